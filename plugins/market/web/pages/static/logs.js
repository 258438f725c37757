// The log viewer: one file at a time, read from where the last read ended, from its last part on.
(function () {
  "use strict";
  const viewer = document.getElementById("log-viewer");
  const root = document.querySelector("[data-job]");
  const id = root.dataset.job;
  const select = document.getElementById("log-file");
  const follow = document.getElementById("log-follow");
  const pane = document.getElementById("log-text");
  const note = document.getElementById("log-note");
  const download = document.getElementById("log-download");
  const CHUNK = 256 * 1024;
  let files = [];
  let current = null;
  let offset = 0;
  let reading = false;

  const key = (file) => `${file.container_id}/${file.file}`;
  const address = (file) => `${market.api}/jobs/${id}/logs/${encodeURIComponent(file.container_id)}/${encodeURIComponent(file.file)}`;

  function list() {
    const roles = {};
    select.replaceChildren();
    for (const file of files) {
      const heading = `${file.role === "driver" ? "Driver" : "Executor"} on ${file.host} · ${file.container_id.split("_").pop()}`;
      if (!roles[heading]) {
        roles[heading] = document.createElement("optgroup");
        roles[heading].label = heading;
        select.append(roles[heading]);
      }
      const option = document.createElement("option");
      option.value = key(file);
      option.textContent = `${file.file} (${market.size(file.size)})`;
      roles[heading].append(option);
    }
    select.disabled = files.length === 0;
    if (!files.length) select.innerHTML = "<option>No logs yet</option>";
    if (current) select.value = key(current);
  }

  function open(file, from) {
    current = file;
    offset = from;
    pane.textContent = "";
    note.textContent = from > 0 ? `Only the last ${market.size(CHUNK)} are shown; the download has everything.` : "";
    download.href = address(file);
    download.download = `${id}-${file.role}-${file.file}.txt`;
    download.hidden = false;
    read();
  }

  async function read() {
    if (!current || reading) return;
    reading = true;
    const file = current;
    try {
      const answer = await fetch(`${address(file)}?offset=${offset}&length=${CHUNK}`, { credentials: "same-origin" });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        note.textContent = problem.detail || `The log cannot be read now (${answer.status}).`;
        return;
      }
      const bytes = await answer.arrayBuffer();
      if (file !== current) return;
      offset += bytes.byteLength;
      const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
      pane.append(new TextDecoder().decode(bytes));
      if (offset === 0) pane.textContent = "";
      if (!pane.textContent) note.textContent = "This file is empty so far.";
      else if (note.textContent === "This file is empty so far.") note.textContent = "";
      if (follow.checked && atEnd) pane.scrollTop = pane.scrollHeight;
    } catch (error) {
      note.textContent = "The log cannot be read now; it is tried again.";
    } finally {
      reading = false;
    }
  }

  async function refresh() {
    files = (await market.get(`/jobs/${id}/logs`)).files;
    list();
    if (!current && files.length) {
      // What a person looks for first: what the program printed, else why it failed.
      const driver = files.filter((file) => file.role === "driver");
      const wanted = root.dataset.status === "failed" ? ["stderr", "stdout"] : ["stdout", "stderr"];
      const best = wanted.map((name) => driver.find((file) => file.file === name && file.size > 0)).find(Boolean);
      const file = best || driver[0] || files[0];
      open(file, Math.max(0, file.size - CHUNK));
      select.value = key(file);
    }
  }

  async function turn() {
    try {
      await refresh();
      if (follow.checked) await read();
      if (!files.length && !("open" in root.dataset)) note.textContent = "No container has started, so there are no logs.";
    } catch (error) {
      note.textContent = `The logs cannot be listed now. ${error.message}`;
      if (!files.length) select.innerHTML = "<option>No logs now</option>";
    }
    return "open" in root.dataset;
  }

  select.addEventListener("change", () => {
    const file = files.find((one) => key(one) === select.value);
    if (file) open(file, Math.max(0, file.size - CHUNK));
  });
  follow.addEventListener("change", () => follow.checked && read());
  viewer.hidden = false;
  market.poll(turn, 3000);
})();
