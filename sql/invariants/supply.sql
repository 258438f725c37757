-- The treasury gives within bounds: the stipends of an interval stay under its cap, the refunds of a settlement under
-- the bound of each member and day, and every grant is a first one or names who gave it, as a refund by hand does.

SELECT 'interval ' || s.interval_id,
       format('stipends are %s ucr, posted %s, at most %s', p.ucr, j.ucr, s.stipend_cap_ucr)
FROM new_intervals(:only_new) s
CROSS JOIN LATERAL (SELECT coalesce(sum(stipend_ucr), 0) AS ucr
                    FROM payout WHERE interval_id = s.interval_id) p
CROSS JOIN LATERAL (SELECT coalesce(sum(t.amount_ucr), 0) AS ucr
                    FROM journal j JOIN transfer t USING (journal_id)
                    WHERE j.interval_id = s.interval_id AND j.kind = 'stipend') j
WHERE p.ucr > s.stipend_cap_ucr OR p.ucr <> j.ucr
UNION ALL
SELECT 'posting ' || key, 'takes from or gives to the wrong account'
FROM new_transfers(:only_new)
WHERE NOT CASE kind
    WHEN 'grant' THEN payer = 'treasury' AND length(payee) = 32
    WHEN 'stipend' THEN payer = 'treasury' AND length(payee) = 32
    WHEN 'refund' THEN payer = 'treasury' AND length(payee) = 32
    WHEN 'capture' THEN length(payer) = 32 AND payee = 'pool'
    WHEN 'return' THEN length(payer) = 32 AND length(payee) = 32
    WHEN 'transfer' THEN length(payer) = 32 AND length(payee) = 32
    WHEN 'pay' THEN payer = 'pool' AND (length(payee) = 32 OR payee IN ('fee', 'treasury'))
    ELSE false END
UNION ALL
SELECT format('refunds for jobs of member %s until interval %s', g.user_id, s.interval_id),
       format('the treasury gave back %s ucr that day, and %s before, at most %s', g.ucr, b.ucr, s.refund_bound_ucr)
FROM new_intervals(:only_new) s
CROSS JOIN LATERAL (SELECT b.user_id::text, sum(r.amount_ucr) AS ucr FROM refund r JOIN job b USING (job_id)
                    WHERE r.interval_id = s.interval_id GROUP BY b.user_id) g
CROSS JOIN LATERAL (SELECT refunded_that_day(s, g.user_id) AS ucr) b
WHERE g.ucr > 0 AND g.ucr + b.ucr > s.refund_bound_ucr
UNION ALL
SELECT 'posting ' || t.key, 'names nobody who gave it'
FROM new_transfers(:only_new) t
CROSS JOIN LATERAL (SELECT * FROM journal WHERE journal.journal_id = t.journal_id OFFSET 0) j
WHERE t.kind IN ('grant', 'refund') AND t.journal_id > (SELECT after_journal_id FROM named_givers)
  AND CASE
    WHEN t.key = 'signup:' || t.payee THEN t.kind <> 'grant'
    WHEN j.interval_id IS NOT NULL THEN NOT EXISTS (
        SELECT FROM refund r WHERE r.interval_id = j.interval_id AND r.job_id = j.job_id
          AND t.key = 'refund:' || r.job_id || ':' || r.attempt)
    ELSE t.key NOT LIKE t.kind || ':%:' || CASE t.kind WHEN 'grant' THEN t.payee ELSE j.job_id END || ':%'
      OR NOT EXISTS (SELECT FROM member WHERE user_id::text = split_part(t.key, ':', 2)) END
UNION ALL
SELECT 'posting ' || j.key, 'moves nothing'
FROM (SELECT key, journal_id FROM journal WHERE NOT :only_new
      UNION ALL SELECT key, journal_id FROM unsealed_journal WHERE :only_new) j
WHERE NOT EXISTS (SELECT FROM transfer t WHERE t.journal_id = j.journal_id);
