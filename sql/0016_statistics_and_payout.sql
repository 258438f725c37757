-- Intervals with many containers: a settlement takes time in proportion to their number.

-- As in 0008, with each machine's charges and postings added up in one pass over the interval.
CREATE OR REPLACE FUNCTION invariant_payout(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'interval ' || s.interval_id,
           format('captured %s, charged %s, paid %s, payouts say %s', m.captured, c.charged, m.paid, p.captured)
    FROM new_intervals(only_new) s
    JOIN settlement_step t ON t.interval_id = s.interval_id AND t.step = 'pay'
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(t.amount_ucr) FILTER (WHERE t.payee = 'pool'), 0) AS captured,
               coalesce(sum(t.amount_ucr) FILTER (WHERE t.payer = 'pool'), 0) AS paid
        FROM journal j JOIN transfer t USING (journal_id)
        WHERE j.interval_id = s.interval_id AND j.kind IN ('capture', 'pay')) m
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_ucr), 0) AS charged FROM charge WHERE interval_id = s.interval_id) c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(captured_ucr), 0) AS captured FROM payout WHERE interval_id = s.interval_id) p
    WHERE NOT (m.captured = m.paid AND m.captured = c.charged AND m.captured = p.captured)
    UNION ALL
    SELECT format('interval %s, machine %s', p.interval_id, p.machine),
           format('captured %s, charged %s; paid %s of %s', p.captured_ucr, coalesce(c.charged, 0),
                  coalesce(j.paid, 0), p.captured_ucr + p.stipend_ucr)
    FROM new_intervals(only_new) s
    JOIN payout p USING (interval_id)
    LEFT JOIN (
        SELECT u.interval_id, coalesce(u.machine_id, 'unknown') AS machine, sum(c.amount_ucr) AS charged
        FROM new_intervals(only_new) n
        JOIN usage_line u USING (interval_id)
        JOIN charge c USING (container_id, interval_id)
        GROUP BY u.interval_id, u.machine_id) c ON c.interval_id = p.interval_id AND c.machine = p.machine
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(t.amount_ucr) FILTER (WHERE t.payee = p.payee), 0) AS earned,
               coalesce(sum(t.amount_ucr), 0) AS paid
        FROM journal j JOIN transfer t USING (journal_id)
        WHERE j.key = ANY (ARRAY['pay:' || s.interval_id || ':' || p.machine,
                                 'stipend:' || s.interval_id || ':' || p.machine])) j ON true
    WHERE p.captured_ucr <> coalesce(c.charged, 0) OR j.paid <> p.captured_ucr + p.stipend_ucr
       OR j.earned <> p.captured_ucr - p.fee_ucr + p.stipend_ucr
$$;

-- Let the planner know what a large interval has written by now: it would take the new rows for a few, and look
-- through all of them for each one. Called between the steps, in a transaction of its own.
CREATE FUNCTION settle_statistics(iv bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM usage_line WHERE interval_id = iv) > 500 THEN
        ANALYZE job, container_usage, hold, hold_entry, usage_line, final_job, charge, payout, refund, journal,
            transfer, unsealed;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION settle_statistics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settle_statistics TO market_app;
