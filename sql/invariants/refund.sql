-- A refund of a settlement is what the attempt had paid, and nobody gets back more than the job has paid.

SELECT format('job %s, attempt %s', r.job_id, r.attempt),
       format('paid %s ucr and got back %s', c.paid, r.amount_ucr)
FROM new_intervals(:only_new) s
JOIN refund r USING (interval_id)
CROSS JOIN LATERAL (SELECT coalesce(sum(charged_ucr), 0) AS paid FROM charged_line l
                    WHERE l.job_id = r.job_id AND l.attempt = r.attempt) c
WHERE r.amount_ucr <> c.paid
   OR NOT EXISTS (SELECT FROM journal j WHERE j.key = 'refund:' || r.job_id || ':' || r.attempt)
UNION ALL
SELECT 'job ' || job_id, format('paid %s ucr and got back %s', h.captured_ucr, refunded_ucr(job_id))
FROM (SELECT DISTINCT j.job_id
      FROM new_transfers(:only_new) t
      CROSS JOIN LATERAL (SELECT job_id FROM journal WHERE journal.journal_id = t.journal_id OFFSET 0) j
      WHERE t.kind = 'refund') refunded
LEFT JOIN hold h USING (job_id)
WHERE h.captured_ucr IS NULL OR refunded_ucr(job_id) > h.captured_ucr;
