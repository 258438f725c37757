-- What no seal covers yet: what people wrote since the last seal, and what the open interval's settlement
-- wrote. `OFFSET 0` makes the planner fetch each row by its key. The queue may be long or empty when its size
-- is estimated, and a plan for a long one would read every posting that there ever was.
CREATE VIEW unsealed_journal AS
    SELECT j.* FROM unsealed q
    CROSS JOIN LATERAL (SELECT * FROM journal WHERE journal.key = q.key OFFSET 0) j WHERE q.kind = 'journal'
    UNION ALL
    SELECT * FROM journal WHERE interval_id = open_interval();

CREATE VIEW unsealed_transfer AS
    SELECT j.key, j.kind, t.* FROM unsealed_journal j
    CROSS JOIN LATERAL (SELECT * FROM transfer WHERE transfer.journal_id = j.journal_id OFFSET 0) t;

CREATE VIEW unsealed_hold_entry AS
    SELECT e.* FROM unsealed q
    CROSS JOIN LATERAL (SELECT * FROM hold_entry WHERE hold_entry.key = q.key OFFSET 0) e
    WHERE q.kind = 'hold_entry'
    UNION ALL
    SELECT * FROM hold_entry WHERE interval_id = open_interval();

-- What a transfer changes in the accounts of members and projects. Of a return the payer is a lender, who has earned less by it,
-- and the payee has spent less.
CREATE FUNCTION account_change(kind text, payer text, payee text, amount_ucr bigint)
RETURNS TABLE (user_id text, granted_ucr bigint, shared_ucr bigint, used_ucr bigint, transferred_ucr bigint)
LANGUAGE sql IMMUTABLE AS $$
    SELECT side.user_id,
           CASE WHEN kind = 'grant' THEN side.ucr ELSE 0 END,
           CASE WHEN kind IN ('pay', 'stipend') OR kind = 'return' AND side.ucr < 0 THEN side.ucr ELSE 0 END,
           CASE WHEN kind IN ('capture', 'refund') OR kind = 'return' AND side.ucr > 0 THEN -side.ucr ELSE 0 END,
           CASE WHEN kind = 'transfer' THEN side.ucr ELSE 0 END
    FROM (VALUES (payer, -amount_ucr), (payee, amount_ucr)) side (user_id, ucr)
    WHERE length(side.user_id) = 32
$$;

-- What an invariant checks: with `only_new` what no seal covers yet, which a settlement checks before it seals,
-- else all that there is.
CREATE FUNCTION new_accounts(only_new boolean) RETURNS SETOF account
LANGUAGE sql STABLE AS $$
    SELECT * FROM account WHERE NOT only_new
    UNION ALL
    SELECT * FROM account WHERE only_new AND user_id IN (
        SELECT unnest(ARRAY[payer, payee]) FROM unsealed_transfer
        UNION
        SELECT h.user_id FROM unsealed_hold_entry JOIN hold h USING (job_id))
$$;

CREATE FUNCTION new_holds(only_new boolean) RETURNS SETOF hold
LANGUAGE sql STABLE AS $$
    SELECT * FROM hold WHERE NOT only_new
    UNION ALL
    SELECT * FROM hold WHERE only_new AND job_id IN (SELECT job_id FROM unsealed_hold_entry)
$$;

CREATE FUNCTION new_intervals(only_new boolean) RETURNS SETOF settlement
LANGUAGE sql STABLE AS $$
    SELECT * FROM settlement WHERE NOT only_new
    UNION ALL
    SELECT * FROM settlement WHERE only_new AND interval_id = open_interval()
$$;

CREATE FUNCTION new_transfers(only_new boolean) RETURNS SETOF unsealed_transfer
LANGUAGE sql STABLE AS $$
    SELECT j.key, j.kind, t.* FROM journal j JOIN transfer t USING (journal_id) WHERE NOT only_new
    UNION ALL
    SELECT * FROM unsealed_transfer WHERE only_new
$$;

-- The market's own balances: the last snapshot, and every posting after it.
CREATE VIEW system_account AS
    SELECT name AS account,
           coalesce((SELECT balance_ucr FROM system_balance b WHERE b.account = name
                     ORDER BY interval_id DESC LIMIT 1), 0) + coalesce(m.ucr, 0) AS balance_ucr
    FROM unnest(ARRAY['treasury', 'pool', 'fee']) name
    LEFT JOIN (
        SELECT side.account, sum(side.ucr) AS ucr
        FROM unsealed_transfer t
        CROSS JOIN LATERAL (VALUES (t.payer, -t.amount_ucr), (t.payee, t.amount_ucr)) side (account, ucr)
        WHERE length(side.account) < 32
        GROUP BY side.account) m ON m.account = name;

GRANT SELECT ON system_account TO market_app;
