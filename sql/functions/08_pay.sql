-- The step pay: lenders, the fee, stipends, and refunds of what the pool lost.

-- Pay what was captured to the owners of the machines, less the fee; pay the stipend; refund what attempts
-- that the pool lost had paid.
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
    INSERT INTO refund SELECT job_id, attempt, iv, amount_ucr FROM refund_due(iv);
    INSERT INTO payout SELECT * FROM payout_due(s);
    -- Holds before accounts, as everywhere.
    PERFORM FROM hold WHERE job_id IN (SELECT job_id FROM refund WHERE interval_id = iv)
        ORDER BY job_id FOR NO KEY UPDATE;
    PERFORM FROM account WHERE user_id IN (
            SELECT payee FROM payout WHERE interval_id = iv
            UNION SELECT user_id FROM hold JOIN refund USING (job_id) WHERE interval_id = iv)
        ORDER BY user_id FOR NO KEY UPDATE;
    PERFORM post_payouts(iv, s.until_ms);
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

-- The attempts to refund. An attempt is refunded if the pool lost its driver, or if its job or its run ended
-- because of the pool, as soon as nothing more can be charged for it.
CREATE FUNCTION refund_due(iv bigint) RETURNS TABLE (job_id text, attempt integer, amount_ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT u.job_id::text, u.attempt, sum(c.amount_ucr)::bigint
    FROM usage_line u JOIN charge c USING (container_id, interval_id)
    WHERE u.job_id IN (SELECT job_id FROM usage_line WHERE interval_id = iv
                       UNION SELECT job_id FROM final_job WHERE interval_id = iv)
      AND u.interval_id <= iv
      AND NOT EXISTS (SELECT FROM refund r WHERE r.job_id = u.job_id AND r.attempt = u.attempt)
    GROUP BY u.job_id, u.attempt
    HAVING sum(c.amount_ucr) > 0
       AND NOT EXISTS (SELECT FROM container_usage o WHERE o.job_id = u.job_id AND o.attempt = u.attempt
                       AND NOT EXISTS (SELECT FROM usage_line f WHERE f.container_id = o.container_id AND f.final))
       AND (bool_or(u.role = 'driver' AND u.not_charged_because IS NOT NULL)
            OR EXISTS (SELECT FROM final_job f WHERE f.job_id = u.job_id AND (f.pool_failure OR EXISTS (
                SELECT FROM container_usage o JOIN run r USING (job_id, application_id)
                WHERE o.job_id = u.job_id AND o.attempt = u.attempt
                  AND r.ended_ms IS NOT NULL AND r.reason_code = 'pool_failure'))))
$$;

-- A refund goes to the payer. If the job still runs, its hold grows by as much, so that the next attempt may
-- cost what the lost one could.
CREATE FUNCTION post_refunds(iv bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO journal (key, kind, at_ms, interval_id, job_id, note)
        SELECT 'refund:' || job_id || ':' || attempt, 'refund', until, iv, job_id,
               'the pool lost attempt ' || attempt
        FROM refund WHERE interval_id = iv ORDER BY job_id, attempt;
    INSERT INTO transfer
        SELECT j.journal_id, 1, 'treasury', h.user_id, r.amount_ucr
        FROM refund r
        JOIN journal j ON j.key = 'refund:' || r.job_id || ':' || r.attempt
        JOIN hold h ON h.job_id = r.job_id
        WHERE r.interval_id = iv;
    INSERT INTO hold_entry
        SELECT 'refund:' || r.job_id || ':' || r.attempt, r.job_id, 'extend', r.amount_ucr,
               h.amount_ucr + sum(r.amount_ucr) OVER (PARTITION BY r.job_id ORDER BY r.attempt), until, iv
        FROM refund r JOIN hold h USING (job_id) WHERE r.interval_id = iv AND h.closed_ms IS NULL;
    UPDATE account a SET used_ucr = used_ucr - r.refunded, held_ucr = held_ucr + r.held
        FROM (SELECT h.user_id, sum(r.amount_ucr) AS refunded,
                     coalesce(sum(r.amount_ucr) FILTER (WHERE h.closed_ms IS NULL), 0) AS held
              FROM refund r JOIN hold h USING (job_id) WHERE r.interval_id = iv GROUP BY h.user_id) r
        WHERE a.user_id = r.user_id;
    UPDATE hold h SET amount_ucr = h.amount_ucr + r.ucr
        FROM (SELECT job_id, sum(amount_ucr) AS ucr FROM refund WHERE interval_id = iv GROUP BY job_id) r
        WHERE r.job_id = h.job_id AND h.closed_ms IS NULL;
$$;

GRANT EXECUTE ON FUNCTION settle_pay TO market_app;
