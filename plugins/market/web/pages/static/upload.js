// Uploads into one's home, by choosing or dropping files and folders: one after the other, as a home has a quota, and
// never over a file that is there without a question.
(function () {
  "use strict";
  const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");
  const join = (base, name) => (base === "." ? name : `${base}/${name}`);
  // Shows the folders above one, each a button that goes there: `go` takes its path.
  function trail(element, folder, go) {
    const parts = folder === "." ? [] : folder.split("/");
    const places = [["Home", "."], ...parts.map((part, index) => [part, parts.slice(0, index + 1).join("/")])];
    element.replaceChildren();
    places.forEach(([name, path], index) => {
      const last = index === places.length - 1;
      const place = document.createElement(last ? "span" : "button");
      place.textContent = name;
      if (last) place.setAttribute("aria-current", "true");
      else {
        place.type = "button";
        place.addEventListener("click", () => go(path));
      }
      element.append(place, ...(last ? [] : ["/"]));
    });
  }

  market.path = { encoded, join, trail };

  function send(file, path, item) {
    return new Promise((done) => {
      item.innerHTML = '<span></span><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><span style="width: 0"></span></div>';
      item.firstChild.textContent = path.split("/").pop();
      const bar = item.querySelector(".bar");
      bar.setAttribute("aria-label", `Upload of ${path}`);
      const request = new XMLHttpRequest(); // fetch cannot tell how far an upload is
      request.open("PUT", `${market.api}/files/${encoded(path)}`);
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) bar.firstChild.style.width = `${(100 * event.loaded) / event.total}%`;
      });
      request.addEventListener("loadend", () => {
        const good = request.status === 201;
        bar.firstChild.style.width = "100%";
        bar.classList.toggle("done", good);
        if (good) item.firstChild.textContent = `${path.split("/").pop()} is uploaded`;
        else {
          let words = "The market did not answer.";
          if (request.status === 401) {
            market.session.end();
            words = "Your session has ended.";
          } else {
            try {
              words = JSON.parse(request.responseText).detail || words;
            } catch (error) {
              words = request.status ? `The market answered ${request.status}.` : words;
            }
          }
          item.innerHTML = '<span class="error" style="grid-column: 1 / -1"></span>';
          item.firstChild.textContent = `${path}: ${words}`;
        }
        done(good);
      });
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }

  // Tell whether a file may take the place of one that is there.
  function asked(path, item) {
    return new Promise((answer) => {
      item.innerHTML = '<span></span><span class="row"><button type="button" class="button small">Replace</button><button type="button" class="button quiet small">Keep the old one</button></span>';
      item.firstChild.textContent = `${path} is there already.`;
      const [replace, keep] = item.querySelectorAll("button");
      replace.addEventListener("click", () => answer(true));
      keep.addEventListener("click", () => answer(false));
      replace.focus();
    });
  }

  async function isThere(path) {
    const answer = await fetch(`${market.api}/files/${encoded(path)}`, { method: "HEAD", credentials: "same-origin" });
    return answer.ok;
  }

  // What was dropped, folders with all that is in them: [{ file, name }], where the name is a path below the folder.
  async function dropped(transfer) {
    const found = [];
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
    async function walk(entry, base) {
      const name = base ? `${base}/${entry.name}` : entry.name;
      if (entry.isFile) found.push({ file: await new Promise((good, bad) => entry.file(good, bad)), name });
      else {
        const reader = entry.createReader();
        for (;;) {
          const part = await new Promise((good, bad) => reader.readEntries(good, bad));
          if (!part.length) break;
          for (const inner of part) await walk(inner, name);
        }
      }
    }
    for (const entry of entries) await walk(entry, "");
    return found;
  }

  // Let a place take files into the folder that `folder()` names; `done` is called after the last.
  market.uploads = function (drop, input, list, folder, done) {
    async function all(items) {
      const into = folder();
      list.replaceChildren();
      for (const { file, name } of items) {
        const item = document.createElement("li");
        list.append(item);
        const path = join(into, name);
        if ((await isThere(path).catch(() => false)) && !(await asked(path, item))) {
          item.textContent = `${path} is as it was.`;
          continue;
        }
        await send(file, path, item);
      }
      input.value = "";
      await done();
    }
    input.addEventListener("change", () => all([...input.files].map((file) => ({ file, name: file.name }))));
    for (const name of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(name, async (event) => {
        event.preventDefault();
        drop.classList.toggle("over", name === "dragover");
        if (name === "drop") await all(await dropped(event.dataTransfer));
      });
    }
  };
})();
