-- What pages and budgets read: sums over rows that the settlement and the meter wrote.

-- A settlement in one row, for lists.
CREATE VIEW settlement_summary AS
    SELECT s.interval_id, s.from_ms, s.until_ms, t.rate_micro, t.utilisation_micro,
           p.captured_ucr, p.fee_ucr, p.captured_ucr - p.fee_ucr AS paid_ucr, p.lenders_ucr, p.stipend_ucr, r.refunded_ucr, b.returned_ucr,
           l.row_count, l.sha256
    FROM settlement s
    LEFT JOIN rate_tick t USING (interval_id)
    LEFT JOIN seal l USING (interval_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(captured_ucr), 0)::bigint AS captured_ucr,
               coalesce(sum(fee_ucr), 0)::bigint AS fee_ucr,
               coalesce(sum(captured_ucr - fee_ucr) FILTER (WHERE payee <> 'treasury'), 0)::bigint AS lenders_ucr,
               coalesce(sum(stipend_ucr), 0)::bigint AS stipend_ucr
        FROM payout WHERE interval_id = s.interval_id) p
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_ucr), 0)::bigint AS refunded_ucr
        FROM refund WHERE interval_id = s.interval_id) r
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_ucr), 0)::bigint AS returned_ucr
        FROM repayment WHERE interval_id = s.interval_id) b;

-- What the containers of each open hold cost until they were last seen: what a budget is compared with. Of a
-- container that the pool lost only the time that was settled before counts: the rest is never charged.
CREATE VIEW hold_usage AS
    SELECT h.job_id, h.user_id, h.amount_ucr, h.captured_ucr,
           coalesce(sum(cost_ucr(h, c.vcores, c.memory_mib, CASE
               WHEN c.end_kind IN ('node_lost', 'preempted', 'drained')
               THEN coalesce((SELECT u.charged_ms FROM usage_line u WHERE u.container_id = c.container_id
                              ORDER BY u.interval_id DESC LIMIT 1), 0)
               ELSE coalesce(c.end_ms, c.last_seen_ms) - c.start_ms END)), 0)::bigint AS used_ucr
    FROM hold h LEFT JOIN container_usage c USING (job_id)
    WHERE h.closed_ms IS NULL
    GROUP BY h.job_id;

GRANT SELECT ON settlement_summary, hold_usage TO market_app;

-- What the treasury gave, and got for its own machines, from a time on, by the day (UTC) and what it was for.
CREATE FUNCTION treasury_days(since bigint) RETURNS TABLE (day_ms bigint, what text, ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT g.at_ms - g.at_ms % 86400000, g.what, sum(g.ucr)::bigint FROM (
        SELECT j.at_ms, CASE WHEN j.kind = 'refund' THEN 'refunds' WHEN starts_with(j.key, 'signup:') THEN 'signup'
                             ELSE 'grants' END AS what, t.amount_ucr AS ucr
        FROM journal j JOIN transfer t USING (journal_id)
        WHERE j.interval_id IS NULL AND j.kind IN ('grant', 'refund') AND j.at_ms >= since
        UNION ALL
        SELECT s.until_ms - 1, w.what, w.ucr
        FROM settlement_summary s CROSS JOIN LATERAL (VALUES
            ('stipends', s.stipend_ucr), ('lost_attempts', s.refunded_ucr),
            ('own_machines', s.paid_ucr - s.lenders_ucr)) w (what, ucr)
        WHERE s.until_ms > since AND w.ucr > 0) g
    GROUP BY 1, 2
$$;

GRANT EXECUTE ON FUNCTION treasury_days TO market_app;
