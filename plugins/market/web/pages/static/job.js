// A job's page: its progress until its receipt is final, and its results. Both come from the REST routes; what the
// server writes for a status is put in anew, part by part, so that logs, focus and scrolling stay.
(function () {
  "use strict";
  const root = document.querySelector("[data-job]");
  const id = root.dataset.job;
  const out = (name) => root.querySelector(`[data-out="${name}"]`);
  let shown = root.dataset.status;

  function fill(bar, percent) {
    bar.setAttribute("aria-valuenow", Math.round(percent));
    bar.querySelector("span").style.width = `${percent}%`;
  }

  function cost(used) {
    const bar = root.querySelector("[data-hold]");
    const hold = bar.dataset.hold;
    const percent = Number(hold) > 0 ? Math.min(100, (100 * Number(used)) / Number(hold)) : 0;
    fill(bar, percent);
    bar.classList.toggle("hot", percent >= 90);
    market.money(out("used"), used);
  }

  function tasks(progress) {
    const bar = root.querySelector("#tasks .bar");
    const total = progress.tasks_total || 0;
    fill(bar, total ? (100 * progress.tasks_done) / total : 0);
    if (shown !== "running") out("tasks").textContent = shown === "cancelling" ? "being stopped" : "waiting to start";
    else out("tasks").textContent = total ? `${progress.tasks_done} of ${total}` : "between stages";
    const stage = (progress.stages || []).find((one) => one.status === "ACTIVE") || (progress.stages || [])[0];
    const executors = progress.executors ? `${progress.executors} ${progress.executors === 1 ? "executor" : "executors"}` : "";
    out("stage").textContent = [executors, stage ? stage.name : ""].filter(Boolean).join(" · ");
  }

  // Said anew only when it is something else: a screen reader reads each change.
  function waits(waiting) {
    const place = out("waiting");
    const sentence = waiting ? waiting.sentence : "";
    if (place.textContent !== sentence) place.textContent = sentence;
    place.hidden = !sentence;
  }

  // Every status, a warning, the final receipt and what was used bring other buttons and words, and the server writes those.
  async function renew() {
    const fresh = await market.page(window.location.href);
    const there = fresh.querySelector("[data-job]");
    if (!there) return;
    market.times(fresh);
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!other || part.innerHTML === other.innerHTML) continue;
      const focused = part.contains(document.activeElement);
      part.innerHTML = other.innerHTML;
      const first = part.querySelector("a, summary, button");
      if (focused && first) first.focus();
    }
    const ended = "open" in root.dataset && !("open" in there.dataset);
    for (const name of ["warned", "open", "final", "measured"]) {
      if (name in there.dataset) root.dataset[name] = "";
      else delete root.dataset[name];
    }
    market.reachable();
    root.dataset.status = shown = there.dataset.status;
    cost(root.querySelector("[data-hold]").dataset.used);
    if (ended) results();
  }

  async function refresh() {
    const job = await market.get(`/jobs/${id}`);
    const now = { warned: Boolean(job.warning), final: job.cost_final, measured: Boolean(job.used) };
    const changed = job.status !== shown || Object.keys(now).some((name) => now[name] !== (name in root.dataset));
    if (changed && !document.querySelector("details.sure[open]")) await renew();
    if ("final" in root.dataset) return false;
    if ("open" in root.dataset) tasks(await market.get(`/jobs/${id}/progress`));
    cost(job.cost);
    waits(job.waiting);
    return true;
  }

  const results = () => market.results(id);

  // The rows of a sweep are written by the server, as at first.
  async function points() {
    const place = document.getElementById("point-list");
    const table = await market.page(place.dataset.src);
    place.innerHTML = table.body.innerHTML;
    market.reachable();
  }

  const isOpen = () => "open" in root.dataset;
  cost(root.querySelector("[data-hold]").dataset.used);
  results();
  if (!("final" in root.dataset)) market.poll(refresh, () => (isOpen() ? 2000 : 5000));
  if (isOpen()) {
    const looking = setInterval(() => {
      if (!isOpen()) clearInterval(looking);
      else if (!document.hidden) results();
    }, 15000);
    if (document.getElementById("point-list")) market.poll(async () => { await points(); return isOpen(); }, 3000);
  }
})();
