// The list of jobs: those that are open, or not settled yet, are asked for every few seconds.
(function () {
  "use strict";
  const table = document.querySelector("[data-jobs]");
  if (!table) return;
  let rows = [...table.querySelectorAll("tr[data-job]")];
  const statuses = JSON.parse(table.dataset.statuses);

  function tick() {
    for (const cell of table.querySelectorAll("[data-since]")) {
      cell.textContent = market.duration(Date.now() - Number(cell.dataset.since));
    }
  }

  async function refresh() {
    for (const row of rows) {
      const job = await market.get(`/jobs/${row.dataset.job}`);
      const status = statuses[job.status];
      const badge = row.querySelector(".badge");
      if (badge.dataset.status !== job.status) {
        badge.className = `badge ${status.tone}`;
        badge.dataset.status = job.status;
        badge.textContent = status.word;
      }
      row.querySelector('[data-cell="warning"]').hidden = !job.warning;
      market.money(row.querySelector('[data-cell="cost"]'), job.cost);
      const settled = row.querySelector('[data-cell="settled"]');
      settled.hidden = job.cost_final;
      settled.textContent = status.ended ? "being settled" : "so far";
      const duration = row.querySelector('[data-cell="duration"]');
      if (status.ended) {
        delete duration.dataset.since;
        if (job.duration !== null) duration.textContent = market.duration(job.duration);
      } else if (job.start_time) duration.dataset.since = job.start_time;
      if (status.ended && job.cost_final) delete row.dataset.job;
    }
    rows = rows.filter((row) => row.dataset.job);
    return rows.length > 0;
  }

  // All jobs of this page at once, and how many are chosen.
  const all = table.querySelector("[data-all]");
  const boxes = [...table.querySelectorAll('input[name="job"]')];
  const chosen = document.querySelector('[data-out="chosen"]');
  function count() {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    chosen.textContent = ticked ? `With the ${ticked} ticked:` : "Tick jobs to cancel or hide several at once:";
  }
  all.hidden = false;
  all.addEventListener("change", () => {
    boxes.forEach((box) => (box.checked = all.checked));
    count();
  });
  boxes.forEach((box) => box.addEventListener("change", count));
  window.addEventListener("pageshow", count); // a browser that comes back keeps what was ticked

  if (rows.length) {
    setInterval(tick, 1000);
    market.poll(refresh, 4000);
  }
})();
