-- A machine has no more uptime than the interval is long, and no more idle cores than it had.
--
-- Its largest size until then is the bound, not that of the interval: a stretch is shortened when the machine turns
-- out to have been silent.

SELECT format('machine %s in interval %s', l.machine_id, l.interval_id),
       format('was online for %s ms, idle for %s core ms', l.online_ms, l.idle_core_ms)
FROM new_intervals(:only_new) s
JOIN uptime_line l USING (interval_id)
WHERE l.online_ms > s.until_ms - s.from_ms
   OR l.idle_core_ms > l.online_ms * (SELECT coalesce(max(p.cores), 0) FROM machine_presence p
                                      WHERE p.machine_id = l.machine_id AND p.from_ms < s.until_ms);
