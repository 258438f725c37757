-- What an interval captured is what it paid, to lenders, to the treasury and as fees; nothing stays in the pool,
-- and every machine's payout is what its containers were charged.

SELECT 'interval ' || s.interval_id,
       format('captured %s, charged %s, paid %s, payouts say %s', m.captured, c.charged, m.paid, p.captured)
FROM new_intervals(:only_new) s
JOIN settlement_step t ON t.interval_id = s.interval_id AND t.step = 'pay'
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.amount_ucr) FILTER (WHERE t.payee = 'pool'), 0) AS captured,
           coalesce(sum(t.amount_ucr) FILTER (WHERE t.payer = 'pool'), 0) AS paid
    FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.interval_id = s.interval_id AND j.kind IN ('capture', 'pay')) m
CROSS JOIN LATERAL (
    SELECT coalesce(sum(charged_ucr), 0) AS charged FROM charged_line WHERE interval_id = s.interval_id) c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(captured_ucr), 0) AS captured FROM payout WHERE interval_id = s.interval_id) p
WHERE NOT (m.captured = m.paid AND m.captured = c.charged AND m.captured = p.captured)
UNION ALL
SELECT format('interval %s, machine %s', p.interval_id, p.machine),
       format('captured %s, charged %s; paid %s of %s', p.captured_ucr, coalesce(c.charged, 0),
              coalesce(j.paid, 0), p.captured_ucr + p.stipend_ucr)
FROM new_intervals(:only_new) s
JOIN payout p USING (interval_id)
LEFT JOIN (
    SELECT l.interval_id, coalesce(l.machine_id, 'unknown') AS machine, sum(l.charged_ucr) AS charged
    FROM new_intervals(:only_new) n
    JOIN charged_line l USING (interval_id)
    GROUP BY l.interval_id, l.machine_id) c ON c.interval_id = p.interval_id AND c.machine = p.machine
LEFT JOIN LATERAL (
    SELECT coalesce(sum(t.amount_ucr) FILTER (WHERE t.payee = p.payee), 0) AS earned,
           coalesce(sum(t.amount_ucr), 0) AS paid
    FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.key = ANY (ARRAY['pay:' || s.interval_id || ':' || p.machine,
                             'stipend:' || s.interval_id || ':' || p.machine])) j ON true
WHERE p.captured_ucr <> coalesce(c.charged, 0) OR j.paid <> p.captured_ucr + p.stipend_ucr
   OR j.earned <> p.captured_ucr - p.fee_ucr + p.stipend_ucr;
