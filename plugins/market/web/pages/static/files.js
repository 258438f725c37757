// The files of the form that submits a job: walk the home, upload, choose what to run.
(function () {
  "use strict";
  const form = document.querySelector("form[data-chosen]");
  const rows = document.getElementById("file-rows");
  const crumbs = document.getElementById("crumbs");
  const chosen = JSON.parse(form.dataset.chosen);
  const program = /\.(py|ipynb|jar)$/i;
  let folder = form.elements.root_path.value || ".";

  const { join } = market.path;

  function showCrumbs() {
    market.path.trail(crumbs, folder, go);
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

  // What an earlier job took from folders below this one, or has not been uploaded again.
  function elsewhere() {
    const listed = (kind, name) => [...rows.querySelectorAll(`input[name="${kind}"]`)].some((input) => input.value === name);
    const more = new Map();
    const add = (kind, name) => name && !listed(kind, name) && more.set(name, [...(more.get(name) || []), kind]);
    add("entry_file", chosen.entry);
    for (const kind of ["libs", "archives"]) chosen[kind].forEach((name) => add(kind, name));
    for (const [name, kinds] of more) {
      const row = rows.insertRow();
      const first = row.insertCell();
      first.className = "mono";
      first.textContent = name;
      row.insertCell();
      for (const [kind, type, words] of [["entry_file", "radio", "Run"], ["libs", "checkbox", "Library"], ["archives", "checkbox", "Archive"]]) {
        if (kinds.includes(kind)) pick(row, type, kind, name, `${words}: ${name}`, true);
        else row.insertCell();
      }
    }
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
      elsewhere();
      if (!rows.rows.length) line("This folder is empty. Upload a program, for instance main.py.");
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

  function remember() {
    const values = (name) => [...form.querySelectorAll(`input[name="${name}"]:checked`)].map((input) => input.value);
    Object.assign(chosen, { entry: values("entry_file")[0] || "", libs: values("libs"), archives: values("archives") });
  }

  market.uploads(document.getElementById("drop"), document.getElementById("upload"), document.getElementById("uploads"), () => folder, () => {
    remember();
    return show();
  });
  const field = document.getElementById("folder-name");
  async function openNamed() {
    const name = field.value.trim().replace(/^\/+|\/+$/g, "");
    if (!name) return;
    const path = join(folder, name);
    field.value = "";
    try {
      await market.ask("POST", "/folders", { body: JSON.stringify({ path }) });
    } catch (error) {
      if (error.status !== 409) { // one that is there is opened
        line([error.message, ...Object.values(error.errors || {}).flat()].join(" "));
        return;
      }
    }
    go(path);
  }
  document.getElementById("folder-make").addEventListener("click", openNamed);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    openNamed();
  });
  show();
})();
