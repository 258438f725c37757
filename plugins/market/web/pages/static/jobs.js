// The list of jobs: open ones are asked for every few seconds, and the list is loaded anew when one has ended.
(function () {
  "use strict";
  const table = document.querySelector("[data-jobs]");
  if (!table) return;
  const rows = [...table.querySelectorAll("tr[data-job]")];
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
      if (status.ended) {
        window.location.reload();
        return false;
      }
      const badge = row.querySelector(".badge");
      if (badge.dataset.status !== job.status) {
        badge.className = `badge ${status.tone}`;
        badge.dataset.status = job.status;
        badge.textContent = status.word;
      }
      row.querySelector('[data-cell="warning"]').hidden = !job.warning;
      market.money(row.querySelector('[data-cell="used_credit"]'), job.used_credit);
      if (job.start_time) row.querySelector('[data-cell="duration"]').dataset.since = job.start_time;
    }
    return rows.length > 0;
  }

  if (rows.length) {
    setInterval(tick, 1000);
    market.poll(refresh, 4000);
  }
})();
