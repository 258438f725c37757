-- A line's amount is the price of its time, which only grows and lies within the container's life; a container
-- is never charged more than that, and nothing after a line that is final.

SELECT format('%s in interval %s', u.container_id, u.interval_id),
       format('%s ms, %s ucr, charged %s of %s in all', u.charged_ms, u.amount_ucr, c.amount_ucr, c.total_ucr)
FROM new_intervals(:only_new) s
JOIN usage_line u USING (interval_id)
JOIN hold h USING (job_id)
LEFT JOIN container_usage m ON m.container_id = u.container_id AND m.job_id = u.job_id
LEFT JOIN LATERAL (SELECT * FROM charge k WHERE k.container_id = u.container_id
                   AND k.interval_id = u.interval_id OFFSET 0) c ON true
LEFT JOIN LATERAL (SELECT b.charged_ms, b.final, k.total_ucr
                   FROM usage_line b LEFT JOIN charge k USING (container_id, interval_id)
                   WHERE b.container_id = u.container_id AND b.interval_id < u.interval_id
                   ORDER BY b.interval_id DESC LIMIT 1) b ON true
WHERE m.container_id IS NULL
   OR u.amount_ucr <> cost_ucr(h, u.vcores, u.memory_mib, u.charged_ms)
   OR u.charged_ms > least(s.until_ms, coalesce(m.end_ms, m.last_seen_ms)) - m.start_ms
   OR u.charged_ms < coalesce(b.charged_ms, 0) OR coalesce(b.final, false)
   OR u.not_charged_because IS NOT NULL AND u.charged_ms <> coalesce(b.charged_ms, 0)
   OR c.total_ucr > u.amount_ucr OR c.total_ucr <> coalesce(b.total_ucr, 0) + c.amount_ucr
   OR c.container_id IS NULL AND EXISTS (SELECT FROM settlement_step t
                                         WHERE t.interval_id = s.interval_id AND t.step = 'capture');
