-- What pages and budgets read: sums over rows that the settlement and the meter wrote.

-- A settlement in one row, for lists.
CREATE VIEW settlement_summary AS
    SELECT s.interval_id, s.from_ms, s.until_ms, t.rate_micro, t.utilisation_micro,
           p.captured_ucr, p.fee_ucr, p.captured_ucr - p.fee_ucr AS paid_ucr, p.stipend_ucr, r.refunded_ucr, b.returned_ucr,
           l.row_count, l.sha256
    FROM settlement s
    LEFT JOIN rate_tick t USING (interval_id)
    LEFT JOIN seal l USING (interval_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(captured_ucr), 0)::bigint AS captured_ucr,
               coalesce(sum(fee_ucr), 0)::bigint AS fee_ucr,
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
