// A job's page: its progress while it is open, and its results. Both come from the REST routes.
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

  function cost(used, hold) {
    const bar = root.querySelector("[data-hold]");
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

  async function refresh() {
    const [job, progress] = await Promise.all([market.get(`/jobs/${id}`), market.get(`/jobs/${id}/progress`)]);
    if ((job.status !== shown || Boolean(job.warning) !== ("warned" in root.dataset)) && !document.querySelector("details.sure[open]")) {
      // Every status, and a warning, brings other buttons and words, and the server writes those.
      window.location.reload();
      return false;
    }
    cost(progress.cost === undefined || progress.cost === null ? job.used_credit : progress.cost, job.hold);
    tasks(progress);
    return true;
  }

  function path(text) {
    return text.split("/").map(encodeURIComponent).join("/");
  }

  async function results() {
    const place = document.getElementById("result-list");
    try {
      const { files } = await market.get(`/jobs/${id}/results`);
      if (!files.length) {
        place.innerHTML = '<p class="empty"></p>';
        place.firstChild.textContent = place.dataset.empty;
        return;
      }
      const table = document.createElement("table");
      table.innerHTML = '<thead><tr><th>File</th><th class="num">Size</th><th><span class="visually-hidden">Download</span></th></tr></thead><tbody></tbody>';
      for (const file of files) {
        const row = table.tBodies[0].insertRow();
        const name = row.insertCell();
        name.className = "mono";
        name.textContent = file.path;
        const size = row.insertCell();
        size.className = "num";
        size.textContent = market.size(file.size);
        const link = document.createElement("a");
        link.href = `${market.api}/jobs/${id}/results/${path(file.path)}`;
        link.download = file.path.split("/").pop();
        link.className = "button quiet small";
        link.textContent = "Download";
        link.setAttribute("aria-label", `Download ${file.path}`);
        const cell = row.insertCell();
        cell.className = "num";
        cell.append(link);
      }
      const scroll = document.createElement("div");
      scroll.className = "scroll";
      scroll.append(table);
      place.replaceChildren(scroll);
    } catch (error) {
      place.innerHTML = '<p class="empty"></p>';
      place.firstChild.textContent = `The results cannot be listed now. ${error.message}`;
    }
  }

  // The rows of a sweep are written by the server, as at first.
  async function points() {
    const place = document.getElementById("point-list");
    const answer = await fetch(place.dataset.src, { credentials: "same-origin" });
    if (answer.ok) place.innerHTML = await answer.text();
  }

  const meter = root.querySelector("[data-hold]");
  cost(meter.dataset.used, meter.dataset.hold);
  results();
  if ("open" in root.dataset) {
    market.poll(refresh, 2000);
    setInterval(() => !document.hidden && results(), 15000);
    if (document.getElementById("point-list")) market.poll(points, 3000);
  }
})();
