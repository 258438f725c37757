// Text of a log as it comes in: lines with a level are marked, an error is found, words are looked for.
(function () {
  "use strict";
  const TRACE = "Traceback (most recent call last):";
  const JAVA = /^Exception in thread |^(?:[\w$]+\.)+[\w$]*(?:Error|Exception)\b/;
  const GOES_ON = /^\s+at |^\s+\.\.\. \d+ more|^Caused by: /;
  const BAD = /\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b/;
  const WARN = /\bWARN(?:ING)?\b/;
  const HEAD = 80; // characters of a line among which its level stands
  const MOST_HITS = 2000;

  // Tell the levels of a log's lines, one after the other: "bad", "warn" or nothing.
  function levels() {
    let before = "";
    let inTrace = false;
    return function (line) {
      const head = line.slice(0, HEAD);
      if (line.startsWith(TRACE)) {
        inTrace = true;
        before = "bad";
      } else if (inTrace) {
        inTrace = line === "" || /^\s/.test(line); // the line behind the frames names the error, and is the last
        before = "bad";
      } else if (!GOES_ON.test(line)) before = JAVA.test(line) || BAD.test(head) ? "bad" : WARN.test(head) ? "warn" : "";
      return before;
    };
  }

  // The last error of a text: its lines, and the frame of the program's own file if it has one.
  market.lastError = function (text, program) {
    const lines = text.split("\n");
    let first = lines.findLastIndex((line) => line.startsWith(TRACE));
    const python = first >= 0;
    if (!python) first = lines.findLastIndex((line) => JAVA.test(line));
    if (first < 0) return null;
    let end = first + 1;
    while (end < lines.length && (python ? lines[end] === "" || /^\s/.test(lines[end]) : GOES_ON.test(lines[end]))) end += 1;
    const block = lines.slice(first, python ? end + 1 : end);
    const name = program.split("/").pop();
    const frame = block.findLastIndex((line) => {
      const found = /^\s+File "([^"]+)", line \d+/.exec(line);
      return found && found[1].split("/").pop() === name;
    });
    const number = frame < 0 ? "" : /, line (\d+)/.exec(block[frame])[1];
    const code = frame < 0 || /^\s+File "/.test(block[frame + 1] || "") ? "" : (block[frame + 1] || "").trim();
    return { python, lines: block, where: number && `${name}, line ${number}`, code };
  };

  // A pane that is appended to. Its textContent is the text, whatever is marked in it.
  market.logText = function (pane) {
    let level = levels();
    let rest = document.createTextNode(""); // the last line, of which more may come

    function clear() {
      level = levels();
      rest = document.createTextNode("");
      pane.replaceChildren(rest);
    }

    function put(words, mark) {
      if (!words) return;
      if (!mark) return rest.before(words);
      const line = document.createElement("span");
      line.className = mark;
      line.textContent = words;
      return rest.before(line);
    }

    function append(text) {
      const lines = (rest.data + text).split("\n");
      rest.data = lines.pop();
      let [words, mark] = ["", ""];
      for (const line of lines) {
        const now = level(line);
        if (now !== mark) {
          put(words, mark);
          [words, mark] = ["", now];
        }
        words += `${line}\n`;
      }
      put(words, mark);
    }

    // Where the last error is, or null: what is marked as bad last.
    const lastBad = () => [...pane.querySelectorAll(".bad")].pop() || null;

    // Ranges of a text in the pane, case aside.
    function find(text) {
      const wanted = text.toLowerCase();
      const nodes = [];
      let all = "";
      const walker = document.createTreeWalker(pane, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        nodes.push([all.length, walker.currentNode]);
        all += walker.currentNode.data;
      }
      const lower = all.toLowerCase();
      const whole = lower.length === all.length ? lower : all; // some letters are longer in small: then as it stands
      const hits = [];
      let index = 0;
      const place = (at) => {
        while (index + 1 < nodes.length && nodes[index + 1][0] <= at) index += 1;
        return [nodes[index][1], at - nodes[index][0]];
      };
      for (let at = whole.indexOf(wanted); wanted && at >= 0 && hits.length < MOST_HITS; at = whole.indexOf(wanted, at + wanted.length)) {
        const range = document.createRange();
        range.setStart(...place(at));
        range.setEnd(...place(at + wanted.length - 1));
        range.setEnd(range.endContainer, range.endOffset + 1);
        hits.push(range);
      }
      return hits;
    }

    // Move the pane, and it alone, so that this is in its upper third.
    function reveal(thing) {
      const [box, at] = [pane.getBoundingClientRect(), thing.getBoundingClientRect()];
      pane.scrollTop += at.top - box.top - box.height / 3;
    }

    clear();
    return { append, clear, find, lastBad, reveal };
  };

  // The field that looks for words, and its two buttons; `stopped` is called when the person has found a place.
  market.logSearch = function (log, field, count, back, on, stopped) {
    let hits = [];
    let here = -1;

    function show() {
      const highlights = window.CSS && CSS.highlights;
      if (highlights) {
        highlights.set("log-hits", new Highlight(...hits));
        highlights.set("log-hit", new Highlight(...hits.slice(here, here + 1)));
      } else if (hits[here]) {
        window.getSelection().removeAllRanges();
        window.getSelection().addRange(hits[here]);
      }
      count.textContent = !field.value ? "" : hits.length ? `${here + 1} of ${hits.length === MOST_HITS ? `${MOST_HITS} or more` : hits.length}` : "not found";
      back.disabled = on.disabled = !hits.length;
      if (hits[here]) log.reveal(hits[here]);
    }

    function look() {
      hits = log.find(field.value);
      here = hits.length - 1; // the newest
      if (hits.length) stopped();
      show();
    }

    function step(by) {
      if (!hits.length) return;
      hits = log.find(field.value); // more may have come
      here = hits.length ? (Math.min(here, hits.length - 1) + by + hits.length) % hits.length : -1;
      stopped();
      show();
    }

    field.addEventListener("input", look);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      step(event.shiftKey ? 1 : -1);
    });
    back.addEventListener("click", () => step(-1));
    on.addEventListener("click", () => step(1));
    return { look: () => field.value && look() };
  };
})();
