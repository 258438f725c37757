-- The treasury gives grants, refunds and stipends alone, and the stipends of an interval stay under its cap.

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
    WHEN 'pay' THEN payer = 'pool' AND (length(payee) = 32 OR payee IN ('fee', 'treasury'))
    ELSE false END
UNION ALL
SELECT 'posting ' || j.key, 'moves nothing'
FROM (SELECT key, journal_id FROM journal WHERE NOT :only_new
      UNION ALL SELECT key, journal_id FROM unsealed_journal WHERE :only_new) j
WHERE NOT EXISTS (SELECT FROM transfer t WHERE t.journal_id = j.journal_id);
