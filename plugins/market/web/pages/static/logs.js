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
  const wrap = document.getElementById("log-wrap");
  const failure = document.getElementById("failure");
  const log = market.logText(pane);
  const CHUNK = 256 * 1024;
  const TAIL = 64 * 1024; // of a failed driver's files, in which its error is looked for
  const ERROR_LINES = 15;
  let files = [];
  // What is shown: a file, the offset behind what was read, and the one decoder of all its parts. A letter of several
  // bytes may be cut between two parts; the decoder keeps its beginning. `before`: bytes at most of a letter that began
  // before the offset at which the file was opened.
  let current = null;
  let reading = false;
  let chosen = false; // by the person: then it stays
  let turnsAfterEnd = 4; // the last lines come some seconds after the end
  let errorFile = null; // of a failed job: which file says why
  let led = false; // to that file, once
  let toError = false; // the pane is to be moved there when its text has come

  const key = (file) => `${file.container_id}/${file.file}`;
  const address = (file) => `${market.api}/jobs/${id}/logs/${encodeURIComponent(file.container_id)}/${encodeURIComponent(file.file)}`;

  function list() {
    const roles = {};
    select.replaceChildren();
    for (const file of files) {
      const heading = file.role === "environment" ? "Packages" :
        `${file.role === "driver" ? "Driver" : "Executor"} on ${file.host} · ${file.container_id.split("_").pop()}`;
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
    if (current) select.value = key(current.file);
  }

  function open(file, from) {
    current = { file, offset: from, decoder: new TextDecoder(), before: from > 0 ? 3 : 0 };
    log.clear();
    note.textContent = from > 0 ? `Only the last ${market.size(CHUNK)} are shown; the download has everything.` : "";
    download.href = address(file);
    download.download = `${id}-${file.role}-${file.file}.txt`;
    download.hidden = false;
    read();
  }

  // Without the rest of a letter that began before them: what is shown begins at any byte.
  function wholeLetters(shown, bytes) {
    let first = 0;
    while (shown.before > 0 && first < bytes.length && (bytes[first] & 0xc0) === 0x80) {
      first += 1;
      shown.before -= 1;
    }
    if (first < bytes.length) shown.before = 0;
    return bytes.subarray(first);
  }

  async function read() {
    if (!current || reading) return;
    reading = true;
    const shown = current;
    try {
      const answer = await fetch(`${address(shown.file)}?offset=${shown.offset}&length=${CHUNK}`, { credentials: "same-origin" });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        note.textContent = answer.status === 401 ? "Your session has ended." : problem.detail || `The log cannot be read now (${answer.status}).`;
        return;
      }
      const bytes = new Uint8Array(await answer.arrayBuffer());
      if (shown !== current) return;
      shown.offset += bytes.length;
      const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
      log.append(shown.decoder.decode(wholeLetters(shown, bytes), { stream: true }));
      if (!pane.textContent) note.textContent = "This file is empty so far.";
      else if (note.textContent === "This file is empty so far.") note.textContent = "";
      const place = toError && log.lastBad();
      if (place) log.reveal(place);
      else if (follow.checked && atEnd) pane.scrollTop = pane.scrollHeight;
    } catch (error) {
      note.textContent = "The log cannot be read now; it is tried again.";
    } finally {
      reading = false;
    }
    if (shown !== current) read(); // another file was chosen meanwhile
  }

  async function refresh() {
    files = (await market.get(`/jobs/${id}/logs`)).files;
    list();
    if (root.dataset.status === "failed" && !errorFile) await lookForError();
    if (files.length && !chosen && (!current || (errorFile && !led))) {
      // What a person looks for first: why it failed, else what the program printed.
      const driver = files.filter((file) => file.role === "driver");
      const best = ["stdout", "stderr"].map((name) => driver.find((file) => file.file === name && file.size > 0)).find(Boolean);
      const file = errorFile || best || driver[0] || files[0];
      toError = led = Boolean(errorFile);
      if (toError) follow.checked = false; // it would move on from there
      if (toError || !current) open(file, Math.max(0, file.size - CHUNK));
      select.value = key(file);
    }
  }

  // Python's errors stand in stdout, where the program prints; Java's, and Spark's own, in stderr.
  async function lookForError() {
    const ends = files.filter((file) => file.role === "driver" && file.size > 0 && ["stdout", "stderr"].includes(file.file));
    const found = [];
    for (const file of ends) {
      const answer = await market.ask("GET", `${address(file).slice(market.api.length)}?tail=${TAIL}`, { headers: { Accept: "text/plain" } });
      const error = market.lastError(await answer.text(), root.dataset.program);
      if (error) found.push({ file, ...error });
    }
    const best = found.find((one) => one.where) || found.find((one) => one.python) || found[0];
    if (!best) return;
    errorFile = best.file;
    failure.querySelector("p").textContent = best.where ? `Where it failed: ${best.where}` : "The last error in its log";
    failure.querySelector("p").append(best.code ? ": " : "");
    if (best.code) {
      const code = document.createElement("code");
      code.textContent = best.code;
      failure.querySelector("p").append(code);
    }
    // Of a long one, Python names the error last, Java first.
    const lines = best.python ? best.lines.slice(-ERROR_LINES) : best.lines.slice(0, ERROR_LINES);
    failure.querySelector("pre").textContent = lines.join("\n").trimEnd();
    failure.hidden = false;
  }

  async function turn() {
    try {
      await refresh();
      if (follow.checked) await read();
      if (!files.length && !("open" in root.dataset)) note.textContent = "No container has started, so there are no logs.";
    } catch (error) {
      if (error.status === 401) throw error;
      note.textContent = `The logs cannot be listed now. ${error.message}`;
      if (!files.length) select.innerHTML = "<option>No logs now</option>";
    }
    return "open" in root.dataset || turnsAfterEnd-- > 0;
  }

  select.addEventListener("change", () => {
    chosen = true;
    toError = false;
    const file = files.find((one) => key(one) === select.value);
    if (file) open(file, Math.max(0, file.size - CHUNK));
  });
  follow.addEventListener("change", () => {
    toError = false;
    if (follow.checked) {
      pane.scrollTop = pane.scrollHeight;
      read();
    }
  });
  wrap.addEventListener("change", () => pane.classList.toggle("unwrapped", !wrap.checked));
  const [field, count, back, on] = ["search", "count", "back", "on"].map((name) => document.getElementById(`log-${name}`));
  market.logSearch(log, field, count, back, on, () => {
    toError = false;
    follow.checked = false; // it would move on from what was found
  });
  viewer.hidden = false;
  market.poll(turn, 3000);
})();
