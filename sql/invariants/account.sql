-- A member's cached balance is the sum of his postings (or of the last sealed balance and what was posted
-- since) and of his open holds, and never below its floor.

WITH looked_at AS MATERIALIZED (
    SELECT * FROM new_accounts(:only_new)
), posted AS MATERIALIZED (
    SELECT user_id, sum(granted_ucr) AS granted, sum(shared_ucr) AS shared, sum(used_ucr) AS used,
           sum(transferred_ucr) AS transferred
    FROM (
        SELECT c.* FROM new_transfers(:only_new) t
        CROSS JOIN LATERAL account_change(t.kind, t.payer, t.payee, t.amount_ucr) c
        UNION ALL
        SELECT b.* FROM looked_at a
        CROSS JOIN LATERAL (
            SELECT user_id::text, granted_ucr, shared_ucr, used_ucr, transferred_ucr FROM account_balance b
            WHERE b.user_id = a.user_id ORDER BY interval_id DESC LIMIT 1) b
        WHERE :only_new) part
    GROUP BY user_id
)
SELECT a.user_id, format('granted, shared, used, transferred, held are %s, %s, %s, %s, %s and should be %s, %s, %s, %s, %s',
                         a.granted_ucr, a.shared_ucr, a.used_ucr, a.transferred_ucr, a.held_ucr,
                         s.granted, s.shared, s.used, s.transferred, o.held)
FROM looked_at a
LEFT JOIN posted p USING (user_id)
CROSS JOIN LATERAL (SELECT coalesce(p.granted, 0) AS granted, coalesce(p.shared, 0) AS shared,
                           coalesce(p.used, 0) AS used, coalesce(p.transferred, 0) AS transferred) s
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_ucr - captured_ucr - released_ucr), 0) AS held
    FROM hold WHERE user_id = a.user_id AND closed_ms IS NULL) o
WHERE (a.granted_ucr, a.shared_ucr, a.used_ucr, a.transferred_ucr, a.held_ucr)
      IS DISTINCT FROM (s.granted, s.shared, s.used, s.transferred, o.held)
   OR a.granted_ucr + a.shared_ucr + a.transferred_ucr - a.used_ucr - a.held_ucr < a.floor_ucr;
