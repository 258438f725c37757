// What a job has left, as a tree of folders: each file can be looked at or downloaded, all together as a zip.
//
// What a program wrote is never opened as a page: it comes as bytes, and is put in as text, as cells of a table, or, if
// its first bytes are those of a picture, as that picture's data.
(function () {
  "use strict";
  const list = document.getElementById("result-list");
  const view = document.getElementById("result-view");
  const shown = document.getElementById("result-shown");
  const note = document.getElementById("result-note");
  const title = document.getElementById("result-name");
  const zip = document.getElementById("result-zip");
  const figures = document.getElementById("result-figures");
  const TEXT = 256 * 1024;
  const PICTURE = 8 * 1024 * 1024;
  const OPEN_UP_TO = 15; // files: of more, folders are closed at first
  const STEP = 300; // files of one folder that are listed at once
  const opened = new Map(); // folder -> whether a person has it open
  let before = "";
  let job = "";

  const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");
  const address = (path) => `${market.api}/jobs/${job}/results/${encoded(path)}`;
  // What Spark writes for itself: markers, logs of commits, checksums.
  const isMarker = (name) => name.startsWith("_") || name.startsWith(".");
  const files = (count) => `${count} ${count === 1 ? "file" : "files"}`;

  function element(tag, words = "", className = "") {
    const made = document.createElement(tag);
    made.textContent = words;
    if (className) made.className = className;
    return made;
  }

  function tree(entries) {
    const root = { path: "", name: "", folders: new Map(), files: [], size: 0, count: 0 };
    for (const file of entries) {
      const parts = file.path.split("/");
      const name = parts.pop();
      let folder = root;
      for (const part of ["", ...parts]) {
        if (part) {
          if (!folder.folders.has(part)) folder.folders.set(part, { path: `${folder.path}${part}/`, name: part, folders: new Map(), files: [], size: 0, count: 0 });
          folder = folder.folders.get(part);
        }
        folder.size += file.size;
        folder.count += 1;
      }
      folder.files.push({ ...file, name });
    }
    return root;
  }

  function fileLine(file) {
    const item = element("li");
    const line = element("div", "", "line");
    const acts = element("span", "", "acts");
    const size = element("span", market.size(file.size), "size");
    size.title = `${file.size} bytes${file.sha256 ? `, SHA-256 ${file.sha256}` : ""}`;
    const look = element("button", "View", "button quiet small");
    look.type = "button";
    look.setAttribute("aria-label", `View ${file.path}`);
    look.addEventListener("click", () => open(file));
    const link = element("a", "Download", "button quiet small");
    link.href = address(file.path);
    link.download = file.name;
    link.setAttribute("aria-label", `Download ${file.path}`);
    acts.append(size, look, link);
    line.append(element("span", file.name, "mono"), acts);
    item.append(line);
    return item;
  }

  // A folder's content is made when it is opened: there may be tens of thousands of files.
  function folded(key, name, inside, isOpen, fill) {
    const item = element("li");
    const details = element("details");
    const summary = element("summary");
    summary.append(element("span", name, "mono"), element("span", inside, "size"));
    const below = element("ul");
    details.append(summary, below);
    const fillOnce = () => below.childElementCount || fill(below);
    details.open = opened.has(key) ? opened.get(key) : isOpen;
    if (details.open) fillOnce();
    details.addEventListener("toggle", () => {
      opened.set(key, details.open);
      if (details.open) fillOnce();
    });
    item.append(details);
    return item;
  }

  function some(place, entries) {
    place.append(...entries.slice(0, STEP).map(fileLine));
    if (entries.length <= STEP) return;
    const item = element("li");
    const more = element("button", `Show ${Math.min(STEP, entries.length - STEP)} of ${entries.length - STEP} more`, "button quiet small");
    more.type = "button";
    more.addEventListener("click", () => {
      item.remove();
      some(place, entries.slice(STEP));
    });
    item.append(more);
    place.append(item);
  }

  function fill(place, folder, isOpen) {
    const folders = [...folder.folders.values()];
    const line = (one) => folded(one.path, `${one.name}/`, `${files(one.count)}, ${market.size(one.size)}`, isOpen, (below) => fill(below, one, isOpen));
    place.append(...folders.filter((one) => !isMarker(one.name)).map(line));
    some(place, folder.files.filter((file) => !isMarker(file.name)));
    const markers = folder.files.filter((file) => isMarker(file.name));
    const aside = folders.filter((one) => isMarker(one.name));
    const count = aside.reduce((sum, one) => sum + one.count, markers.length);
    if (!count) return;
    place.append(folded(`${folder.path}\n`, "Markers of Spark's", files(count), false, (below) => {
      below.append(...aside.map(line));
      some(below, markers);
    }));
  }

  // The figures of metrics.json, as the table of a sweep has them for each point.
  async function metrics(entries) {
    const file = entries.find((one) => one.path === "metrics.json" && one.size > 0 && one.size <= 65536);
    figures.hidden = true;
    if (!file || document.getElementById("point-list")) return;
    const found = await (await market.ask("GET", `/jobs/${job}/results/metrics.json`, { headers: { Accept: "*/*" } })).json();
    const numbers = Object.entries(found).filter(([, value]) => typeof value === "number").slice(0, 8);
    figures.replaceChildren(...numbers.map(([name, value]) => {
      const box = element("div", "", "figure");
      const place = element("dd");
      place.append(element("span", String(Number(value.toPrecision(6))), "value"));
      box.append(element("dt", name.slice(0, 60)), place);
      return box;
    }));
    figures.hidden = !numbers.length;
  }

  function picture(bytes) {
    const starts = (...first) => first.every((byte, index) => bytes[index] === byte);
    const word = String.fromCharCode(...bytes.subarray(8, 12));
    if (starts(0x89, 0x50, 0x4e, 0x47)) return "image/png";
    if (starts(0xff, 0xd8, 0xff)) return "image/jpeg";
    if (starts(0x47, 0x49, 0x46, 0x38)) return "image/gif";
    return starts(0x52, 0x49, 0x46, 0x46) && word === "WEBP" ? "image/webp" : "";
  }

  function table({ columns, rows, more }) {
    const made = element("table");
    const head = made.createTHead().insertRow();
    for (const column of columns) {
      const cell = element("th", column.name);
      cell.scope = "col";
      if (column.type !== "text") cell.append(element("span", column.type, "under"));
      head.append(cell);
    }
    const body = made.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) line.append(value === null ? element("td", "–", "none") : element("td", value));
    }
    const scroll = element("div", "", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-labelledby", "result-name");
    scroll.append(made);
    shown.replaceChildren(scroll);
    note.textContent = `${rows.length} ${rows.length === 1 ? "row" : "rows"}${more ? "; the file has more" : ""}.`;
  }

  function text(bytes, size) {
    const pane = element("pre", new TextDecoder().decode(bytes), "log");
    pane.tabIndex = 0;
    pane.setAttribute("role", "region");
    pane.setAttribute("aria-labelledby", "result-name");
    shown.replaceChildren(pane);
    note.textContent = bytes.length < size ? `Only the first ${market.size(bytes.length)} of ${market.size(size)} are shown.` : "";
  }

  function drawn(bytes, type, name) {
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      const image = element("img");
      image.alt = `The picture ${name}`;
      image.src = reader.result;
      shown.replaceChildren(image);
      note.textContent = "";
    });
    reader.readAsDataURL(new Blob([bytes], { type }));
  }

  async function open(file) {
    view.hidden = false;
    title.textContent = file.path;
    shown.replaceChildren();
    note.textContent = "Loading …";
    title.focus();
    try {
      await look(file);
    } catch (error) {
      if (title.textContent === file.path) note.textContent = [error.message, ...Object.values(error.errors || {}).flat()].join(" ");
    }
  }

  async function look(file) {
    const still = () => title.textContent === file.path;
    if (!file.size) {
      note.textContent = "This file is empty.";
      return;
    }
    if (/\.(csv|tsv|parquet)$/i.test(file.name)) {
      const found = await market.get(`/jobs/${job}/tables/${encoded(file.path)}`);
      if (still()) table(found);
      return;
    }
    const most = /\.(png|jpe?g|gif|webp)$/i.test(file.name) ? PICTURE : TEXT;
    const answer = await market.ask("GET", `/jobs/${job}/results/${encoded(file.path)}`, { headers: { Range: `bytes=0-${most - 1}`, Accept: "*/*" } });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (!still()) return;
    const type = picture(bytes);
    if (type && bytes.length >= file.size) drawn(bytes, type, file.name);
    else if (bytes.subarray(0, 4096).includes(0)) note.textContent = "This is no text, and no table or picture that can be shown. Download it to see it.";
    else text(bytes, file.size);
  }

  market.results = async function (id) {
    job = id;
    try {
      const { files: entries } = await market.get(`/jobs/${id}/results`);
      const now = JSON.stringify(entries);
      if (now === before) return; // what a person has opened and where he is stays
      before = now;
      zip.hidden = !entries.length;
      if (!entries.length) {
        list.replaceChildren(element("p", list.dataset.empty, "empty"));
        return;
      }
      const root = tree(entries);
      zip.href = `${market.api}/jobs/${id}/results?format=zip`;
      zip.download = "results.zip";
      zip.textContent = `Download all (${files(root.count)}, ${market.size(root.size)})`;
      const top = element("ul", "", "tree");
      fill(top, root, root.count <= OPEN_UP_TO);
      list.replaceChildren(top);
      await metrics(entries).catch(() => undefined); // a file of the program's: what is no JSON shows no figures
    } catch (error) {
      before = "";
      zip.hidden = true;
      list.replaceChildren(element("p", `The results cannot be listed now. ${error.message}`, "empty"));
    }
  };

  document.getElementById("result-close").addEventListener("click", () => {
    view.hidden = true;
    shown.replaceChildren();
  });
})();
