-- What a lost attempt had paid is given back as the rule says: nothing of what its payer paid for machines of his own,
-- by the owner of the machine whose loss ended it what that machine earned, by the treasury no more than the rest; and
-- nobody gets back more than the job has paid.

SELECT format('job %s, attempt %s', r.job_id, r.attempt),
       format('paid %s ucr, %s of it for machines of its payer; the treasury gave back %s, posted %s; %s of %s earned by '
              'machine %s have to come back from %s', p.paid_ucr, p.own_ucr, r.amount_ucr, coalesce(j.ucr, 0),
              r.return_ucr, p.earned_ucr, r.machine_id, r.lender)
FROM new_intervals(:only_new) s
JOIN refund r USING (interval_id)
LEFT JOIN hold h ON h.job_id = r.job_id
LEFT JOIN machine m ON m.machine_id = r.machine_id
CROSS JOIN LATERAL attempt_paid(r.job_id, r.attempt, h.user_id, r.machine_id) p
LEFT JOIN LATERAL (SELECT sum(t.amount_ucr) AS ucr FROM journal k JOIN transfer t USING (journal_id)
                   WHERE k.key = 'refund:' || r.job_id || ':' || r.attempt AND t.payee = h.user_id) j ON true
WHERE r.amount_ucr <> coalesce(j.ucr, 0) OR r.paid_ucr <> p.paid_ucr
   OR CASE WHEN s.refund_bound_ucr IS NULL THEN r.amount_ucr <> p.paid_ucr
           ELSE r.own_ucr <> p.own_ucr
             OR r.return_ucr <> CASE WHEN m.user_id <> h.user_id THEN p.earned_ucr ELSE 0 END
             OR r.return_ucr > 0 AND r.lender IS DISTINCT FROM m.user_id
             OR EXISTS (SELECT FROM usage_line u
                        WHERE u.job_id = r.job_id AND u.attempt = r.attempt AND u.role = 'driver'
                          AND u.not_charged_because IN ('node_lost', 'drained')
                          AND u.machine_id IS DISTINCT FROM r.machine_id) END
UNION ALL
SELECT format('job %s, attempt %s', r.job_id, r.attempt),
       format('lender %s gave back %s ucr of %s, posted %s', r.lender, p.ucr, r.return_ucr, coalesce(j.ucr, 0))
FROM (SELECT DISTINCT p.job_id, p.attempt FROM new_intervals(:only_new) s JOIN repayment p USING (interval_id)) given
JOIN refund r USING (job_id, attempt)
JOIN hold h USING (job_id)
CROSS JOIN LATERAL (SELECT sum(amount_ucr) AS ucr FROM repayment p
                    WHERE p.job_id = r.job_id AND p.attempt = r.attempt) p
LEFT JOIN LATERAL (SELECT sum(t.amount_ucr) AS ucr
                   FROM repayment p
                   JOIN journal k ON k.key = 'return:' || p.job_id || ':' || p.attempt || ':' || p.interval_id
                   JOIN transfer t USING (journal_id)
                   WHERE p.job_id = r.job_id AND p.attempt = r.attempt AND k.kind = 'return'
                     AND t.payer = r.lender AND t.payee = h.user_id AND t.amount_ucr = p.amount_ucr) j ON true
WHERE p.ucr > r.return_ucr OR p.ucr <> coalesce(j.ucr, 0)
UNION ALL
SELECT 'job ' || job_id, format('paid %s ucr and got back %s', h.captured_ucr, refunded_ucr(job_id))
FROM (SELECT DISTINCT j.job_id
      FROM new_transfers(:only_new) t
      CROSS JOIN LATERAL (SELECT job_id FROM journal WHERE journal.journal_id = t.journal_id OFFSET 0) j
      WHERE t.kind IN ('refund', 'return')) refunded
LEFT JOIN hold h USING (job_id)
WHERE h.captured_ucr IS NULL OR refunded_ucr(job_id) > h.captured_ucr;
