-- The step pay: lenders, the fee, stipends, and what lost attempts had paid: see 09_lost_attempts.sql.

-- Pay what was captured to the owners of the machines, less the fee; pay the stipend; give back what attempts that
-- the pool lost had paid. What lenders owe of that is taken after they were paid: earlier debts from what they have
-- just earned, those of this interval from all that they have.
CREATE FUNCTION settle_pay(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    s settlement;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'pay') THEN
        RETURN false;
    END IF;
    SELECT * INTO s FROM settlement WHERE interval_id = iv;
    INSERT INTO refund (job_id, attempt, interval_id, amount_ucr, paid_ucr, own_ucr, return_ucr, machine_id, lender)
        SELECT job_id, attempt, iv, amount_ucr, paid_ucr, own_ucr, return_ucr, machine_id, lender FROM refund_due(s);
    INSERT INTO payout SELECT * FROM payout_due(s);
    -- Holds, then trees of projects, then accounts, as everywhere.
    PERFORM FROM hold WHERE job_id IN (SELECT job_id FROM refund WHERE interval_id = iv)
        ORDER BY job_id FOR NO KEY UPDATE;
    PERFORM lock_trees((SELECT array_agg(h.user_id::text) FROM hold h WHERE job_id IN (
        SELECT job_id FROM refund WHERE interval_id = iv UNION SELECT job_id FROM owed(iv))));
    PERFORM FROM account WHERE user_id IN (
            SELECT payee FROM payout WHERE interval_id = iv
            UNION SELECT unnest(ARRAY[h.user_id::text, o.lender]) FROM owed(iv) o JOIN hold h USING (job_id)
            UNION SELECT h.user_id FROM hold h JOIN refund USING (job_id) WHERE interval_id = iv)
        ORDER BY user_id FOR NO KEY UPDATE;
    PERFORM post_payouts(iv, s.until_ms);
    INSERT INTO repayment SELECT * FROM repayment_due(iv, false);
    INSERT INTO repayment SELECT * FROM repayment_due(iv, true);
    PERFORM post_refunds(iv, s.until_ms);
    INSERT INTO settlement_step VALUES (iv, 'pay', now_ms());
    RETURN true;
END $$;

-- What each machine brought in. The stipend is for idle cores, at most the interval's cap in all: shared by
-- largest remainder, ties by machine_id.
CREATE FUNCTION payout_due(s settlement) RETURNS SETOF payout
LANGUAGE sql STABLE AS $$
    WITH captured AS (
        SELECT coalesce(l.machine_id, 'unknown') AS machine, coalesce(m.user_id, 'treasury') AS payee,
               sum(l.charged_ucr)::bigint AS ucr
        FROM charged_line l
        LEFT JOIN machine m ON m.machine_id = l.machine_id
        WHERE l.interval_id = s.interval_id AND l.charged_ucr > 0
        GROUP BY l.machine_id, m.user_id
    ), wanted AS (
        SELECT machine_id AS machine, user_id AS payee, idle_core_ms, sum(idle_core_ms) OVER () AS all_ms,
               least(s.stipend_cap_ucr, div(s.stipend_ucr * sum(idle_core_ms) OVER (), 3600000)) AS budget
        FROM uptime_line WHERE interval_id = s.interval_id AND idle_core_ms > 0
    ), shared AS (
        SELECT machine, payee, budget, div(budget * idle_core_ms, all_ms) AS ucr,
               row_number() OVER (ORDER BY mod(budget * idle_core_ms, all_ms) DESC, machine) AS place
        FROM wanted
    ), stipend AS (
        SELECT machine, payee,
               (ucr + CASE WHEN place <= budget - sum(ucr) OVER () THEN 1 ELSE 0 END)::bigint AS ucr
        FROM shared
    )
    SELECT s.interval_id, machine, coalesce(c.payee, t.payee), coalesce(c.ucr, 0),
           CASE WHEN c.payee = 'treasury' THEN 0
                ELSE div(coalesce(c.ucr, 0)::numeric * s.fee_micro, 1000000)::bigint END,
           coalesce(t.ucr, 0)
    FROM captured c FULL JOIN stipend t USING (machine)
    WHERE coalesce(c.ucr, 0) + coalesce(t.ucr, 0) > 0
$$;

CREATE FUNCTION post_payouts(iv bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO journal (key, kind, at_ms, interval_id, machine_id)
        SELECT k.kind || ':' || iv || ':' || machine, k.kind, until, iv, nullif(machine, 'unknown')
        FROM payout CROSS JOIN LATERAL (VALUES ('pay', captured_ucr), ('stipend', stipend_ucr)) k (kind, ucr)
        WHERE interval_id = iv AND k.ucr > 0
        ORDER BY machine, k.kind;
    INSERT INTO transfer
        SELECT j.journal_id, leg.number, leg.payer, leg.payee, leg.ucr
        FROM payout p
        CROSS JOIN LATERAL (VALUES
            ('pay', 1, 'pool', p.payee, p.captured_ucr - p.fee_ucr),
            ('pay', 2, 'pool', 'fee', p.fee_ucr),
            ('stipend', 1, 'treasury', p.payee, p.stipend_ucr)) leg (kind, number, payer, payee, ucr)
        JOIN journal j ON j.key = leg.kind || ':' || iv || ':' || p.machine
        WHERE p.interval_id = iv AND leg.ucr > 0;
    UPDATE account a SET shared_ucr = shared_ucr + p.ucr
        FROM (SELECT payee, sum(captured_ucr - fee_ucr + stipend_ucr) AS ucr FROM payout
              WHERE interval_id = iv GROUP BY payee) p
        WHERE a.user_id = p.payee;
$$;

GRANT EXECUTE ON FUNCTION settle_pay TO market_app;
