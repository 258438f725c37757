// What all pages share: times in the chosen time zone, copy buttons, questions before actions, charts, quotes.
(function () {
  "use strict";
  const market = (window.market = {});
  market.api = document.body.dataset.api;
  const minus = "\u2212";

  // Credits with two to four places, as text.py writes them; whole numbers, so that none passes through a float.
  market.credits = function (text) {
    const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d*))?/.exec(String(text)) || ["", "", "0"];
    const micro = BigInt(whole + part.padEnd(6, "0").slice(0, 6));
    const places = micro < 50n ? 6 : 4; // of less, nothing were left
    const digits = String(places === 6 ? micro : (micro + 50n) / 100n).padStart(places + 1, "0");
    const rest = digits.slice(-places).replace(/0+$/, "").padEnd(2, "0");
    return `${sign ? minus : ""}${digits.slice(0, -places)}.${rest}`;
  };

  // Write an amount into a cell of a column whose figures have data-places places.
  market.money = function (cell, text) {
    const shown = market.credits(text);
    const missing = Number(cell.dataset.places || 2) - shown.split(".")[1].length;
    const element = cell.querySelector(".money");
    element.textContent = shown;
    element.title = text;
    if (missing > 0) {
      const pad = document.createElement("span");
      pad.className = "pad";
      pad.setAttribute("aria-hidden", "true");
      pad.textContent = "0".repeat(missing);
      element.append(pad);
    }
  };

  market.duration = function (milliseconds) {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    const sizes = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
    for (const [size, unit, below, small] of sizes) {
      if (seconds >= size) {
        const rest = Math.floor((seconds % size) / below);
        return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${small}` : ""}`;
      }
    }
    return `${seconds} s`;
  };

  market.size = function (bytes) {
    let value = bytes;
    for (const unit of ["B", "KiB", "MiB", "GiB"]) {
      if (value < 1024) return `${unit === "B" ? value : value.toFixed(1).replace(/\.0$/, "")} ${unit}`;
      value /= 1024;
    }
    return `${value.toFixed(1)} TiB`;
  };

  function timeZone() {
    try {
      return JSON.parse(window.localStorage.getItem("timezone")) || undefined;
    } catch (error) {
      return undefined;
    }
  }
  function formatter(options) {
    try {
      return new Intl.DateTimeFormat(undefined, { timeZone: timeZone(), ...options });
    } catch (error) {
      return new Intl.DateTimeFormat(undefined, options);
    }
  }
  const exact = formatter({ dateStyle: "full", timeStyle: "long" });
  const plain = formatter({ day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const short = formatter({ day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  market.moment = (ms) => short.format(new Date(ms));

  market.times = function (within) {
    for (const element of within.querySelectorAll("time[data-ms]")) {
      const at = new Date(Number(element.dataset.ms));
      const thisYear = at.getFullYear() === new Date().getFullYear();
      element.textContent = (thisYear ? short : plain).format(at);
      element.title = exact.format(at);
    }
  };

  async function refused(answer) {
    if (answer.status === 401) market.session.end();
    const problem = await answer.json().catch(() => ({}));
    const error = new Error(answer.status === 401 ? "Your session has ended." : problem.detail || `The market answered ${answer.status}.`);
    error.status = answer.status;
    error.errors = problem.errors || {};
    return error;
  }

  // Ask one of the REST routes; an error carries the words of the problem document.
  market.ask = async function (method, path, options = {}) {
    const answer = await fetch(market.api + path, { method, credentials: "same-origin", ...options, headers: { Accept: "application/json", ...options.headers } });
    if (!answer.ok) throw await refused(answer);
    return answer;
  };
  market.get = async (path) => (await market.ask("GET", path)).json();

  // Fetch a page of the market, or a part of one, as a document.
  market.page = async function (address) {
    const answer = await fetch(address, { credentials: "same-origin" });
    if (!answer.ok) throw await refused(answer);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  // Run `work` every `everyMs` while it returns true; slower while it fails or nobody looks, and not while nobody is
  // logged in. `everyMs` may be a function.
  market.poll = function (work, everyMs) {
    let failures = 0;
    async function turn() {
      let again = true;
      if (!document.hidden) {
        try {
          again = await work();
          failures = 0;
        } catch (error) {
          if (error.status === 401) return market.session.whenBack(turn);
          failures += 1;
          again = error.status === undefined || error.status >= 500 || error.status === 429;
        }
      }
      const wait = typeof everyMs === "function" ? everyMs() : everyMs;
      if (again) setTimeout(turn, wait * Math.min(8, 2 ** failures));
      return undefined;
    }
    turn();
  };

  // Open an address in the whole window, also from within Airflow's frame.
  market.leave = function (address, target = "") {
    const outer = window.parent.document;
    const link = outer.createElement("a");
    link.href = address;
    link.target = target;
    outer.body.append(link);
    link.click();
    link.remove();
  };

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      const area = document.createElement("textarea"); // without https there is no clipboard to write to
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  document.addEventListener("click", async (event) => {
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      await copy(document.querySelector(copier.dataset.copy).textContent);
      const words = copier.dataset.words || (copier.dataset.words = copier.textContent);
      copier.textContent = "Copied";
      setTimeout(() => (copier.textContent = words), 2000);
    }
    if (event.target.closest("[data-close]")) event.target.closest("details").open = false;
    if (event.target.closest("[data-back]")) window.history.back();
    for (const open of document.querySelectorAll("details.sure[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
    const leaving = event.target.closest("a[data-leave]");
    if (leaving && window.parent !== window) {
      // The frame may not load another page in the window: a link of the window's own may.
      event.preventDefault();
      market.leave(leaving.href);
    }
    const outside = event.target.closest("a[data-outside]");
    if (outside && window.parent !== window && !event.ctrlKey && !event.metaKey) {
      // Airflow frames this page and forbids it to load another in its place; its own router may go there.
      event.preventDefault();
      window.parent.history.pushState({}, "", outside.href);
      window.parent.dispatchEvent(new window.parent.PopStateEvent("popstate", { state: {} }));
    }
  });
  // In a table, which scrolls, or below one, a question would be cut off at the edge: there it gets its place in the
  // window.
  function place(question) {
    if (!question.open || !question.closest(".scroll, .selected")) return;
    const popover = question.querySelector(".popover");
    const [button, width, height] = [question.getBoundingClientRect(), popover.offsetWidth, popover.offsetHeight];
    const above = button.top - 6 - height;
    const fits = button.bottom + 6 + height <= window.innerHeight;
    popover.style.position = "fixed";
    popover.style.right = "auto";
    popover.style.left = `${Math.max(8, Math.min(button.right, window.innerWidth - 8) - width)}px`;
    popover.style.top = `${fits || above < 0 ? button.bottom + 6 : above}px`;
  }
  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.sure")) place(event.target);
  }, true);
  for (const moved of ["scroll", "resize"]) {
    window.addEventListener(moved, () => document.querySelectorAll("details.sure[open]").forEach(place), true);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.sure[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
  // A second click must not send the form twice. And what was typed must not go to a session that has ended.
  document.addEventListener("submit", async (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent || !event.target.dataset.safe) event.preventDefault();
    if (event.target.dataset.sent) return;
    if (!event.target.dataset.safe && !(await market.session.holds())) return;
    if (!event.target.dataset.safe) {
      event.target.dataset.safe = "yes";
      setTimeout(() => event.target.requestSubmit(event.submitter)); // not while this very event is still on its way
      return;
    }
    event.target.dataset.sent = "yes";
    for (const button of event.target.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      delete form.dataset.safe;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    }
  });

  function readout(svg) {
    const points = JSON.parse(svg.dataset.points);
    const cursor = svg.querySelector(".cursor");
    const words = svg.closest("figure").querySelector(".readout");
    let index = points.length - 1;
    function show(x) {
      const before = points.filter((point) => point[0] <= x).pop() || points[0];
      index = points.indexOf(before);
      const at = Math.max(before[0], Math.min(x, svg.viewBox.baseVal.width - 12));
      cursor.querySelector("line").setAttribute("x1", at);
      cursor.querySelector("line").setAttribute("x2", at);
      cursor.querySelector("circle").setAttribute("cx", at);
      cursor.querySelector("circle").setAttribute("cy", before[1]);
      cursor.removeAttribute("hidden");
      words.textContent = `since ${market.moment(before[2])}: ${before[3]} ${svg.dataset.unit}`;
    }
    function leave() {
      cursor.setAttribute("hidden", "");
      words.textContent = "";
    }
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      show(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width);
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("focus", () => show(points[index][0]));
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: points.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(points[Math.max(0, Math.min(points.length - 1, to))][0]);
    });
  }

  // Forms with data-quote show what the job would cost; the market computes it, not the page.
  function quotes(form) {
    const names = { machine_type: "type", core_num: "cores" };
    const fields = ["type", "cores", "executor_cores", "driver_memory", "executor_memory", "minutes", "grid", "max_parallel"];
    const out = (name) => form.querySelector(`[data-out="${name}"]`);
    let timer = 0;
    let latest = 0;
    async function ask() {
      const query = new URLSearchParams();
      for (const [name, value] of new FormData(form)) {
        if (fields.includes(names[name] || name) && value) query.set(names[name] || name, value);
      }
      const mine = ++latest;
      const answer = await fetch(`${form.dataset.quote}?${query}`, { credentials: "same-origin" });
      if (answer.status === 401) market.session.end();
      const found = await answer.json().catch(() => ({ detail: "The quote cannot be made now." }));
      if (mine !== latest) return;
      const error = out("error");
      error.hidden = answer.ok;
      error.textContent = answer.ok ? "" : found.detail.replaceAll("_", " ");
      const limit = form.elements.max_credits ? Number(form.elements.max_credits.value.replace(",", ".")) : 0;
      if (answer.ok && limit > 0 && limit < Number(found.hold)) found.hold = limit.toFixed(6);
      for (const name of ["rate", "containers", "sizes"]) if (out(name)) out(name).textContent = answer.ok ? found[name] : "–";
      for (const name of ["credits_per_hour", "hold"]) out(name).textContent = answer.ok ? market.credits(found[name]) : "–";
      const panel = form.querySelector("[data-available]");
      if (panel) out("short").hidden = !answer.ok || Number(found.hold) <= Number(panel.dataset.available);
    }
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 250);
    });
    ask();
  }

  function command(form) {
    form.addEventListener("input", () => {
      const values = Object.fromEntries(new FormData(form));
      const optional = (name) => (values[name] && form.elements[name].checkValidity() ? ` --${name} ${values[name]}` : "");
      const text = form.dataset.command
        .replace(/\{--(\w+)\}/g, (_, name) => optional(name))
        .replace(/\{(\w+)\}/g, (_, name) => values[name] || "?");
      form.querySelector("#command").textContent = text;
      const weight = Number(form.elements.type.selectedOptions[0].dataset.weight);
      const earned = Number(form.dataset.rate) * (weight * values.cores + Number(form.dataset.gib) * values.memory);
      form.querySelector('[data-out="earns"]').textContent = market.credits((earned * Number(form.dataset.kept)).toFixed(4));
    });
  }

  // The axis of time: days where the steps are days or at midnight, else hours.
  function ticks(svg) {
    const day = formatter({ day: "2-digit", month: "short" });
    const hour = formatter({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    for (const label of svg.querySelectorAll("text[data-ms]")) {
      const at = new Date(Number(label.dataset.ms));
      const written = hour.format(at);
      label.textContent = label.dataset.day === "1" || written === "00:00" ? day.format(at) : written;
    }
  }

  // What scrolls sideways can be reached and moved by the keyboard, and says what it is. A group, not a region: its
  // section is the landmark of that name already.
  market.reachable = function () {
    for (const box of document.querySelectorAll(".scroll, .drawing")) {
      if (box.scrollWidth <= box.clientWidth || box.hasAttribute("tabindex")) continue;
      const section = box.closest("[aria-labelledby], [aria-label]");
      const heading = section && document.getElementById(section.getAttribute("aria-labelledby"));
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", (heading && heading.textContent) || (section && section.getAttribute("aria-label")) || "Table");
    }
  };
  window.addEventListener("resize", market.reachable);
  window.addEventListener("load", market.reachable);
  // What the keyboard comes to is shown whole: a browser is content with some of it.
  document.addEventListener("focusin", (event) => {
    const reached = event.target;
    if (!reached.parentElement?.closest(".scroll") || !reached.matches(":focus-visible")) return;
    reached.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  // A form that came back: to the first field that is wrong, and its words go when it is written anew.
  function mend(field) {
    const words = document.getElementById(field.getAttribute("aria-describedby"));
    field.addEventListener("input", () => {
      field.removeAttribute("aria-invalid");
      if (words) words.hidden = true;
    }, { once: true });
  }
  // What is typed once and never shown may be mistyped.
  for (const input of document.querySelectorAll('input[autocomplete="new-password"]')) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "linkish", textContent: "Show the password" });
    button.addEventListener("click", () => {
      const shows = input.type === "text";
      input.type = shows ? "password" : "text";
      button.textContent = shows ? "Show the password" : "Hide the password";
    });
    input.after(button);
  }
  const wrong = [...document.querySelectorAll('[aria-invalid="true"]')];
  wrong.forEach(mend);
  if (wrong.length) wrong[0].focus();

  // Figures of a page that stays open: its parts are put in anew from time to time, unless somebody is in them.
  const fresh = document.querySelector("[data-fresh]");
  async function renew() {
    const page = await market.page(window.location.href);
    market.times(page);
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other && other.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) part.innerHTML = other.innerHTML;
    }
    market.reachable();
    return true;
  }
  if (fresh) setTimeout(() => market.poll(renew, Number(fresh.dataset.fresh)), Number(fresh.dataset.fresh));

  market.times(document);
  document.querySelectorAll("svg[data-points]").forEach(ticks);
  document.querySelectorAll("svg[data-points]").forEach(readout);
  document.querySelectorAll("form[data-quote]").forEach(quotes);
  document.querySelectorAll("form[data-command]").forEach(command);
  document.querySelectorAll("[data-back]").forEach((button) => (button.hidden = window.history.length < 2));
})();
