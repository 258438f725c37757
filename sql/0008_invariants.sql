-- What must be true of the ledger, each as a query that returns no row. A settlement looks at what is new
-- since the last seal (`only_new`) and at the sums over everything; `./market ledger verify` looks at all.
--   LG020  an invariant does not hold

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

-- I1: all balances add up to zero.
CREATE FUNCTION invariant_zero_sum(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'all accounts', format('add up to %s ucr', total)
    FROM (SELECT coalesce((SELECT sum(granted_ucr + shared_ucr - used_ucr) FROM account), 0)
                 + (SELECT sum(balance_ucr) FROM system_account) AS total) s
    WHERE total <> 0
$$;

-- I2, I3: a member's cached balance is the sum of his postings (or of the last sealed balance and what was
-- posted since) and of his open holds, and never below its floor.
CREATE FUNCTION invariant_account(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    WITH looked_at AS MATERIALIZED (
        SELECT * FROM new_accounts(only_new)
    ), posted AS MATERIALIZED (
        SELECT user_id, sum(granted_ucr) AS granted, sum(shared_ucr) AS shared, sum(used_ucr) AS used
        FROM (
            SELECT c.* FROM new_transfers(only_new) t
            CROSS JOIN LATERAL account_change(t.kind, t.payer, t.payee, t.amount_ucr) c
            UNION ALL
            SELECT b.* FROM looked_at a
            CROSS JOIN LATERAL (
                SELECT user_id::text, granted_ucr, shared_ucr, used_ucr FROM account_balance b
                WHERE b.user_id = a.user_id ORDER BY interval_id DESC LIMIT 1) b
            WHERE only_new) part
        GROUP BY user_id
    )
    SELECT a.user_id, format('granted, shared, used, held are %s, %s, %s, %s and should be %s, %s, %s, %s',
                             a.granted_ucr, a.shared_ucr, a.used_ucr, a.held_ucr,
                             s.granted, s.shared, s.used, o.held)
    FROM looked_at a
    LEFT JOIN posted p USING (user_id)
    CROSS JOIN LATERAL (SELECT coalesce(p.granted, 0) AS granted, coalesce(p.shared, 0) AS shared,
                               coalesce(p.used, 0) AS used) s
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_ucr - captured_ucr - released_ucr), 0) AS held
        FROM hold WHERE user_id = a.user_id AND closed_ms IS NULL) o
    WHERE (a.granted_ucr, a.shared_ucr, a.used_ucr, a.held_ucr)
          IS DISTINCT FROM (s.granted, s.shared, s.used, o.held)
       OR a.granted_ucr + a.shared_ucr - a.used_ucr - a.held_ucr < a.floor_ucr
$$;

-- I4: a hold is the sum of its entries; what was captured is what its containers were charged and what the
-- journal says; at most the whole hold, and exactly that once it is closed.
CREATE FUNCTION invariant_hold(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT h.job_id, format('amount, captured, released are %s, %s, %s; entries say %s, %s, %s; '
                            'charged %s, posted %s', h.amount_ucr, h.captured_ucr, h.released_ucr,
                            e.amount, e.captured, e.released, c.charged, p.posted)
    FROM new_holds(only_new) h
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_ucr) FILTER (WHERE kind IN ('take', 'extend')), 0) AS amount,
               coalesce(sum(amount_ucr) FILTER (WHERE kind = 'capture'), 0) AS captured,
               coalesce(sum(amount_ucr) FILTER (WHERE kind = 'release'), 0) AS released
        FROM hold_entry WHERE job_id = h.job_id) e
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(charged_ucr), 0) AS charged FROM charged_line l WHERE l.job_id = h.job_id) c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(t.amount_ucr), 0) AS posted
        FROM journal j JOIN transfer t USING (journal_id)
        WHERE j.job_id = h.job_id AND j.kind = 'capture' AND t.payer = h.user_id AND t.payee = 'pool') p
    WHERE (h.amount_ucr, h.captured_ucr, h.released_ucr) IS DISTINCT FROM (e.amount, e.captured, e.released)
       OR h.captured_ucr <> c.charged OR h.captured_ucr <> p.posted
       OR h.captured_ucr + h.released_ucr > h.amount_ucr
       OR h.closed_ms IS NOT NULL AND h.captured_ucr + h.released_ucr <> h.amount_ucr
$$;

-- I5: what an interval captured is what it paid, to lenders, to the treasury and as fees; nothing stays in
-- the pool, and every machine's payout is what its containers were charged.
CREATE FUNCTION invariant_payout(only_new boolean) RETURNS TABLE (subject text, detail text)
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
        SELECT coalesce(sum(charged_ucr), 0) AS charged FROM charged_line WHERE interval_id = s.interval_id) c
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
        SELECT l.interval_id, coalesce(l.machine_id, 'unknown') AS machine, sum(l.charged_ucr) AS charged
        FROM new_intervals(only_new) n
        JOIN charged_line l USING (interval_id)
        GROUP BY l.interval_id, l.machine_id) c ON c.interval_id = p.interval_id AND c.machine = p.machine
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(t.amount_ucr) FILTER (WHERE t.payee = p.payee), 0) AS earned,
               coalesce(sum(t.amount_ucr), 0) AS paid
        FROM journal j JOIN transfer t USING (journal_id)
        WHERE j.key = ANY (ARRAY['pay:' || s.interval_id || ':' || p.machine,
                                 'stipend:' || s.interval_id || ':' || p.machine])) j ON true
    WHERE p.captured_ucr <> coalesce(c.charged, 0) OR j.paid <> p.captured_ucr + p.stipend_ucr
       OR j.earned <> p.captured_ucr - p.fee_ucr + p.stipend_ucr
$$;

-- Who is paid is who lends the machine; for the market's own machines, and those that nobody registered, the
-- treasury is.
CREATE FUNCTION invariant_payee(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('interval %s, machine %s', s.interval_id, p.machine),
           format('paid %s, not its owner %s', p.payee, coalesce(m.user_id, 'treasury'))
    FROM new_intervals(only_new) s
    JOIN payout p USING (interval_id)
    LEFT JOIN machine m ON m.machine_id::text = p.machine
    WHERE p.payee <> coalesce(m.user_id, 'treasury')
$$;

-- I6: the treasury gives grants, refunds and stipends, and the stipends of an interval stay under its cap.
CREATE FUNCTION invariant_supply(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'interval ' || s.interval_id,
           format('stipends are %s ucr, posted %s, at most %s', p.ucr, j.ucr, s.stipend_cap_ucr)
    FROM new_intervals(only_new) s
    CROSS JOIN LATERAL (SELECT coalesce(sum(stipend_ucr), 0) AS ucr
                        FROM payout WHERE interval_id = s.interval_id) p
    CROSS JOIN LATERAL (SELECT coalesce(sum(t.amount_ucr), 0) AS ucr
                        FROM journal j JOIN transfer t USING (journal_id)
                        WHERE j.interval_id = s.interval_id AND j.kind = 'stipend') j
    WHERE p.ucr > s.stipend_cap_ucr OR p.ucr <> j.ucr
    UNION ALL
    SELECT 'posting ' || key, 'takes from or gives to the wrong account'
    FROM new_transfers(only_new)
    WHERE NOT CASE kind
        WHEN 'grant' THEN payer = 'treasury' AND length(payee) = 32
        WHEN 'stipend' THEN payer = 'treasury' AND length(payee) = 32
        WHEN 'refund' THEN payer = 'treasury' AND length(payee) = 32
        WHEN 'capture' THEN length(payer) = 32 AND payee = 'pool'
        WHEN 'pay' THEN payer = 'pool' AND (length(payee) = 32 OR payee IN ('fee', 'treasury'))
        ELSE false END
    UNION ALL
    SELECT 'posting ' || j.key, 'moves nothing'
    FROM (SELECT key, journal_id FROM journal WHERE NOT only_new
          UNION ALL SELECT key, journal_id FROM unsealed_journal WHERE only_new) j
    WHERE NOT EXISTS (SELECT FROM transfer t WHERE t.journal_id = j.journal_id)
$$;

CREATE FUNCTION invariant_unknown_account(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'posting ' || t.key, format('%s is no account', side)
    FROM new_transfers(only_new) t
    CROSS JOIN LATERAL unnest(ARRAY[t.payer, t.payee]) side
    WHERE side NOT IN ('treasury', 'pool', 'fee') AND NOT EXISTS (SELECT FROM account WHERE user_id::text = side)
$$;

-- I10: each tick follows from the interval's demand and the tick before.
CREATE FUNCTION invariant_tick(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'interval ' || s.interval_id, format('the tick is %s and should be %s', t, n)
    FROM new_intervals(only_new) s
    JOIN settlement_step p ON p.interval_id = s.interval_id AND p.step = 'price'
    LEFT JOIN demand_line d ON d.interval_id = s.interval_id
    LEFT JOIN rate_tick t ON t.interval_id = s.interval_id
    LEFT JOIN rate_tick b ON b.interval_id = s.interval_id - 1
    CROSS JOIN LATERAL next_tick(s, d, b) n
    WHERE t IS DISTINCT FROM n
$$;

-- I11: intervals follow each other without a gap, and every posting is sealed or waits for the next seal.
CREATE FUNCTION invariant_sealed_once(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT 'interval ' || s.interval_id, 'does not begin where the one before ended'
    FROM new_intervals(only_new) s
    WHERE s.interval_id > 1
      AND NOT EXISTS (SELECT FROM settlement b WHERE b.interval_id = s.interval_id - 1 AND b.until_ms = s.from_ms)
    UNION ALL
    SELECT 'posting ' || key, 'is neither sealed nor waits for it'
    FROM (SELECT 'journal' AS kind, key, interval_id FROM journal WHERE NOT only_new
          UNION ALL SELECT 'hold_entry', key, interval_id FROM hold_entry WHERE NOT only_new) posted
    WHERE interval_id IS DISTINCT FROM open_interval()
      AND NOT EXISTS (SELECT FROM unsealed q WHERE q.kind = posted.kind AND q.key = posted.key)
      AND NOT EXISTS (SELECT FROM sealed_row r WHERE r.kind = posted.kind AND r.key = posted.key)
    UNION ALL
    SELECT 'posting ' || key, 'is sealed and waits for it'
    FROM unsealed JOIN sealed_row USING (kind, key) WHERE NOT only_new
    UNION ALL
    SELECT kind || ' ' || key, 'is sealed more than once'
    FROM sealed_row WHERE NOT only_new GROUP BY kind, key HAVING count(*) > 1
$$;

-- I12, I13: a line's amount is the price of its time, which only grows and lies within the container's life;
-- a container is never charged more than that, and nothing after a line that is final.
CREATE FUNCTION invariant_charge(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('%s in interval %s', u.container_id, u.interval_id),
           format('%s ms, %s ucr, charged %s of %s in all', u.charged_ms, u.amount_ucr, c.amount_ucr, c.total_ucr)
    FROM new_intervals(only_new) s
    JOIN usage_line u USING (interval_id)
    JOIN hold h USING (job_id)
    LEFT JOIN container_usage m ON m.container_id = u.container_id AND m.job_id = u.job_id
    LEFT JOIN LATERAL (SELECT * FROM charge k WHERE k.container_id = u.container_id
                       AND k.interval_id = u.interval_id OFFSET 0) c ON true
    LEFT JOIN LATERAL (SELECT b.charged_ms, b.final, k.total_ucr
                       FROM usage_line b LEFT JOIN charge k USING (container_id, interval_id)
                       WHERE b.container_id = u.container_id AND b.interval_id < u.interval_id
                       ORDER BY b.interval_id DESC LIMIT 1) b ON true
    WHERE m.container_id IS NULL
       OR u.amount_ucr <> cost_ucr(h, u.vcores, u.memory_mib, u.charged_ms)
       OR u.charged_ms > least(s.until_ms, coalesce(m.end_ms, m.last_seen_ms)) - m.start_ms
       OR u.charged_ms < coalesce(b.charged_ms, 0) OR coalesce(b.final, false)
       OR u.not_charged_because IS NOT NULL AND u.charged_ms <> coalesce(b.charged_ms, 0)
       OR c.total_ucr > u.amount_ucr OR c.total_ucr <> coalesce(b.total_ucr, 0) + c.amount_ucr
       OR c.container_id IS NULL AND EXISTS (SELECT FROM settlement_step t
                                             WHERE t.interval_id = s.interval_id AND t.step = 'capture')
$$;

-- No more uptime than the interval is long, and no more idle cores than the machine had. The bound is its largest
-- size until then, not that of the interval: a stretch is shortened when the machine turns out to have been silent.
CREATE FUNCTION invariant_uptime(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('machine %s in interval %s', l.machine_id, l.interval_id),
           format('was online for %s ms, idle for %s core ms', l.online_ms, l.idle_core_ms)
    FROM new_intervals(only_new) s
    JOIN uptime_line l USING (interval_id)
    WHERE l.online_ms > s.until_ms - s.from_ms
       OR l.idle_core_ms > l.online_ms * (SELECT coalesce(max(p.cores), 0) FROM machine_presence p
                                          WHERE p.machine_id = l.machine_id AND p.from_ms < s.until_ms)
$$;

-- A refund is what the attempt had paid, and at most once.
CREATE FUNCTION invariant_refund(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('job %s, attempt %s', r.job_id, r.attempt),
           format('paid %s ucr and got back %s', c.paid, r.amount_ucr)
    FROM new_intervals(only_new) s
    JOIN refund r USING (interval_id)
    CROSS JOIN LATERAL (SELECT coalesce(sum(charged_ucr), 0) AS paid FROM charged_line l
                        WHERE l.job_id = r.job_id AND l.attempt = r.attempt) c
    WHERE r.amount_ucr <> c.paid
       OR NOT EXISTS (SELECT FROM journal j WHERE j.key = 'refund:' || r.job_id || ':' || r.attempt)
$$;

CREATE FUNCTION violations(only_new boolean) RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT 'zero_sum', v.* FROM invariant_zero_sum(only_new) v
    UNION ALL SELECT 'account', v.* FROM invariant_account(only_new) v
    UNION ALL SELECT 'hold', v.* FROM invariant_hold(only_new) v
    UNION ALL SELECT 'payout', v.* FROM invariant_payout(only_new) v
    UNION ALL SELECT 'payee', v.* FROM invariant_payee(only_new) v
    UNION ALL SELECT 'supply', v.* FROM invariant_supply(only_new) v
    UNION ALL SELECT 'unknown_account', v.* FROM invariant_unknown_account(only_new) v
    UNION ALL SELECT 'tick', v.* FROM invariant_tick(only_new) v
    UNION ALL SELECT 'sealed_once', v.* FROM invariant_sealed_once(only_new) v
    UNION ALL SELECT 'charge', v.* FROM invariant_charge(only_new) v
    UNION ALL SELECT 'uptime', v.* FROM invariant_uptime(only_new) v
    UNION ALL SELECT 'refund', v.* FROM invariant_refund(only_new) v
$$;

-- The step that looks: it records that all is well, or fails and repairs nothing.
CREATE FUNCTION settle_reconcile(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    found text;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'reconcile') THEN
        RETURN false;
    END IF;
    SELECT string_agg(format('%s: %s: %s', invariant, subject, detail), E'\n') INTO found
        FROM (SELECT * FROM violations(true) LIMIT 100) v;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger does not add up' USING ERRCODE = 'LG020', DETAIL = found;
    END IF;
    INSERT INTO settlement_step VALUES (iv, 'reconcile', now_ms());
    RETURN true;
END $$;

-- When the whole ledger was looked at (`./market ledger verify`), and how much did not fit.
CREATE TABLE ledger_check (
    at_ms      bigint PRIMARY KEY,
    row_count  bigint NOT NULL,                    -- sealed rows then
    wrong      bigint NOT NULL CHECK (wrong >= 0)
);

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA market FROM PUBLIC;
GRANT SELECT, INSERT ON ledger_check TO market_app;
GRANT SELECT ON system_account TO market_app;
GRANT EXECUTE ON FUNCTION open_interval, mark_needed, settle_freeze, settle_price, settle_capture, settle_pay,
    settle_reconcile, settle_seal, verify_ledger, violations, cost_ucr TO market_app;
