// The files of the form that submits a job: walk the home, upload with a PUT, choose what to run.
(function () {
  "use strict";
  const form = document.querySelector("form[data-chosen]");
  const rows = document.getElementById("file-rows");
  const crumbs = document.getElementById("crumbs");
  const uploads = document.getElementById("uploads");
  const drop = document.getElementById("drop");
  const chosen = JSON.parse(form.dataset.chosen);
  const program = /\.(py|jar)$/i;
  let folder = form.elements.root_path.value || ".";

  const join = (base, name) => (base === "." ? name : `${base}/${name}`);
  const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

  function crumb(name, path, last) {
    const element = document.createElement(last ? "span" : "button");
    element.textContent = name;
    if (last) element.setAttribute("aria-current", "true");
    else {
      element.type = "button";
      element.addEventListener("click", () => go(path));
    }
    crumbs.append(element);
    if (!last) crumbs.append("/");
  }

  function showCrumbs() {
    crumbs.replaceChildren();
    const parts = folder === "." ? [] : folder.split("/");
    crumb("Home", ".", parts.length === 0);
    parts.forEach((part, index) => crumb(part, parts.slice(0, index + 1).join("/"), index === parts.length - 1));
  }

  function line(words) {
    rows.innerHTML = '<tr><td colspan="5" class="muted"></td></tr>';
    rows.querySelector("td").textContent = words;
  }

  function pick(row, kind, name, value, label, on) {
    const cell = row.insertCell();
    cell.className = "pick";
    const input = document.createElement("input");
    Object.assign(input, { type: kind, name, value, checked: on });
    input.setAttribute("aria-label", label);
    cell.append(input);
  }

  function fileRow(file) {
    const name = file.path.split("/").pop();
    const row = rows.insertRow();
    const first = row.insertCell();
    const size = row.insertCell();
    size.className = "num";
    if (file.is_folder) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "linkish", textContent: `${name}/` });
      button.addEventListener("click", () => go(join(folder, name)));
      first.append(button);
      row.insertCell().colSpan = 3;
      return;
    }
    first.textContent = name;
    first.className = "mono";
    size.textContent = market.size(file.size);
    if (program.test(name)) pick(row, "radio", "entry_file", name, `Run ${name}`, chosen.entry === name);
    else row.insertCell();
    if (/\.(py|zip|egg|jar)$/i.test(name)) pick(row, "checkbox", "libs", name, `${name} is a library`, chosen.libs.includes(name));
    else row.insertCell();
    if (/\.(zip|tar|tgz|gz|jar)$/i.test(name)) pick(row, "checkbox", "archives", name, `Unpack ${name} for the program`, chosen.archives.includes(name));
    else row.insertCell();
  }

  async function show() {
    showCrumbs();
    const mine = folder;
    try {
      const { files } = await market.get(`/files?path=${encodeURIComponent(folder)}&limit=200`);
      if (mine !== folder) return;
      const visible = files.filter((file) => !file.path.split("/").pop().startsWith("."));
      rows.replaceChildren();
      visible.sort((a, b) => b.is_folder - a.is_folder || a.path.localeCompare(b.path)).forEach(fileRow);
      if (!visible.length) line("This folder is empty. Upload a program, for instance main.py.");
      choose();
    } catch (error) {
      line(error.status === 404 ? "This folder is new: it is made by the first upload." : error.message);
    }
  }

  // The rule of the market: main.py, else the only program that is not a library.
  function choose() {
    const programs = [...rows.querySelectorAll('input[name="entry_file"]')];
    if (programs.some((input) => input.checked)) return;
    const best = programs.find((input) => input.value === "main.py") || (programs.length === 1 ? programs[0] : null);
    if (best) best.checked = true;
  }

  function go(path) {
    folder = path;
    form.elements.root_path.value = path;
    Object.assign(chosen, { entry: "", libs: [], archives: [] });
    return show();
  }

  function upload(file) {
    return new Promise((done) => {
      const item = document.createElement("li");
      item.innerHTML = '<span></span><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><span style="width: 0"></span></div>';
      item.firstChild.textContent = file.name;
      uploads.append(item);
      const bar = item.querySelector(".bar");
      bar.setAttribute("aria-label", `Upload of ${file.name}`);
      const request = new XMLHttpRequest(); // fetch cannot tell how far an upload is
      request.open("PUT", `${market.api}/files/${encoded(join(folder, file.name))}`);
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) bar.firstChild.style.width = `${(100 * event.loaded) / event.total}%`;
      });
      request.addEventListener("loadend", () => {
        const good = request.status === 201;
        bar.firstChild.style.width = "100%";
        bar.classList.toggle("done", good);
        if (good) item.firstChild.textContent = `${file.name} is uploaded`;
        else {
          let words = "The market did not answer.";
          try {
            words = JSON.parse(request.responseText).detail || words;
          } catch (error) {
            words = request.status ? `The market answered ${request.status}.` : words;
          }
          item.innerHTML = '<span class="error" style="grid-column: 1 / -1"></span>';
          item.firstChild.textContent = `${file.name}: ${words}`;
        }
        done();
      });
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }

  async function uploadAll(files) {
    uploads.replaceChildren();
    for (const file of files) await upload(file); // one after the other: a home has a quota, and order is plain
    remember();
    await show();
  }

  function remember() {
    const values = (name) => [...form.querySelectorAll(`input[name="${name}"]:checked`)].map((input) => input.value);
    Object.assign(chosen, { entry: values("entry_file")[0] || "", libs: values("libs"), archives: values("archives") });
  }

  document.getElementById("upload").addEventListener("change", (event) => uploadAll([...event.target.files]));
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") uploadAll([...event.dataTransfer.files]);
    });
  }
  const field = document.getElementById("folder-name");
  function openNamed() {
    const name = field.value.trim().replace(/^\/+|\/+$/g, "");
    if (name) go(join(folder, name));
    field.value = "";
  }
  document.getElementById("folder-make").addEventListener("click", openNamed);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    openNamed();
  });
  show();
})();
