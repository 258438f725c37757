// The page My files: walks the home; each file can be looked at, downloaded, moved and deleted.
(function () {
  "use strict";
  const { encoded, join } = market.path;
  const home = document.getElementById("home");
  const rows = document.getElementById("file-rows");
  const crumbs = document.getElementById("crumbs");
  const trouble = document.getElementById("trouble");
  const view = document.getElementById("view");
  const runHere = document.getElementById("run-here");
  const VIEWED = 256 * 1024;
  const STEP = 200;
  let folder = new URLSearchParams(window.location.search).get("folder") || ".";

  const address = (path) => `${market.api}/files/${encoded(path)}`;
  const clean = (text) => text.trim().replace(/^\/+|\/+$/g, "");

  function button(words, label, work, kind = "quiet") {
    const element = document.createElement("button");
    Object.assign(element, { type: "button", className: `button ${kind} small`, textContent: words });
    element.setAttribute("aria-label", label);
    element.addEventListener("click", work);
    return element;
  }

  // Do something to the home, and show it anew; what goes wrong is told above the list.
  async function change(work) {
    trouble.textContent = "";
    try {
      await work();
    } catch (error) {
      trouble.textContent = [error.message, ...Object.values(error.errors || {}).flat()].join(" ");
    }
    await show();
  }

  function showCrumbs() {
    market.path.trail(crumbs, folder, go);
    runHere.href = `${home.dataset.form}?folder=${encodeURIComponent(folder)}`;
  }

  async function look(path) {
    const pane = view.querySelector("pre");
    view.hidden = false;
    document.getElementById("view-name").textContent = path;
    try {
      const answer = await market.ask("GET", `/files/${encoded(path)}`, { headers: { Range: `bytes=0-${VIEWED - 1}`, Accept: "*/*" } });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const whole = bytes.length < VIEWED;
      if (bytes.subarray(0, 4096).includes(0)) pane.textContent = "This is no text. Download it to see it.";
      else pane.textContent = new TextDecoder().decode(bytes) + (whole ? "" : `\n… only the first ${market.size(VIEWED)} are shown`);
    } catch (error) {
      pane.textContent = error.status === 416 ? "This file is empty." : error.message;
    }
    document.getElementById("view-name").focus();
  }

  // In the place of a row's buttons: a question, or a field for a name.
  function ask(cell, words, yes, value, work) {
    const before = [...cell.childNodes];
    const form = document.createElement("form");
    form.className = "row";
    const label = document.createElement("label");
    label.textContent = words;
    const input = document.createElement("input");
    input.value = value || "";
    if (value !== undefined) label.append(input);
    const back = button("Cancel", "Cancel", () => cell.replaceChildren(...before));
    const send = button(yes, yes, () => undefined, value === undefined ? "danger" : "");
    send.type = "submit";
    form.append(label, send, back);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      change(() => work(clean(input.value)));
    });
    cell.replaceChildren(form);
    (value === undefined ? back : input).focus();
  }

  function fileRow(file) {
    const name = file.path.split("/").pop();
    const row = rows.insertRow();
    const first = row.insertCell();
    if (file.is_folder) {
      const open = button(`${name}/`, `Open ${name}`, () => go(file.path));
      open.className = "linkish";
      first.append(open);
    } else {
      first.textContent = name;
      first.className = "mono";
    }
    const size = row.insertCell();
    size.className = "num";
    if (!file.is_folder) {
      size.textContent = market.size(file.size);
      size.title = `${file.size} bytes`;
    }
    row.insertCell().textContent = market.moment(file.modified_time);
    const cell = row.insertCell();
    cell.className = "num";
    const actions = document.createElement("span");
    actions.className = "row";
    actions.style.justifyContent = "flex-end";
    if (!file.is_folder) {
      const download = document.createElement("a");
      Object.assign(download, { href: address(file.path), download: name, className: "button quiet small", textContent: "Download" });
      download.setAttribute("aria-label", `Download ${name}`);
      actions.append(button("View", `View ${name}`, () => look(file.path)), download);
    }
    actions.append(
      button("Move", `Rename or move ${name}`, () => ask(cell, "New path", "Move", file.path, (to) =>
        market.ask("POST", `/files/${encoded(file.path)}`, { body: JSON.stringify({ to }) }))),
      button("Delete", `Delete ${name}`, () => ask(cell, file.is_folder ? "With all that is in it?" : "For good?", "Delete", undefined, () =>
        market.ask("DELETE", `/files/${encoded(file.path)}`)), "quiet danger"),
    );
    cell.append(actions);
  }

  function line(words) {
    rows.innerHTML = '<tr><td colspan="4" class="muted"></td></tr>';
    rows.querySelector("td").textContent = words;
  }

  async function show() {
    showCrumbs();
    const mine = folder;
    try {
      const found = [];
      let total = 1;
      while (found.length < total) {
        const part = await market.get(`/files?path=${encodeURIComponent(folder)}&order_by=path&limit=${STEP}&offset=${found.length}`);
        found.push(...part.files);
        total = part.files.length ? part.total : 0;
      }
      if (mine !== folder) return;
      rows.replaceChildren();
      found.sort((a, b) => b.is_folder - a.is_folder || a.path.localeCompare(b.path)).forEach(fileRow);
      if (!found.length) line("This folder is empty.");
    } catch (error) {
      line(error.message);
    }
  }

  function go(path) {
    folder = path;
    trouble.textContent = "";
    view.hidden = true;
    return show();
  }

  document.getElementById("view-close").addEventListener("click", () => (view.hidden = true));
  document.getElementById("folder-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = document.getElementById("folder-name");
    const name = clean(field.value);
    field.value = "";
    if (name) change(() => market.ask("POST", "/folders", { body: JSON.stringify({ path: join(folder, name) }) }));
  });
  market.uploads(document.getElementById("drop"), document.getElementById("upload"), document.getElementById("uploads"), () => folder, show);
  show();
})();
