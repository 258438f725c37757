-- The steps that move money: capture and pay. See 0005 for how steps behave.

-- Charge the next `most` jobs of an interval, by job_id after `after_job`. Answers the last one of them, NULL
-- when none was left: the step is done then. One call is one transaction: it locks few payers for a short time.
-- Each of the two lists of jobs is cut before they are joined: a chunk takes the same time wherever it begins.
CREATE FUNCTION settle_capture(iv bigint, after_job text, most integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    chunk text[];
    last_job text;
    until bigint;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'capture') THEN
        RETURN NULL;
    END IF;
    SELECT until_ms INTO until FROM settlement WHERE interval_id = iv;
    SELECT array_agg(job_id) FILTER (WHERE NOT done), max(job_id) INTO chunk, last_job FROM (
        SELECT both_kinds.job_id, EXISTS (SELECT FROM hold_entry e
                               WHERE e.key = 'capture:' || both_kinds.job_id || ':' || iv) AS done
        FROM ((SELECT DISTINCT job_id::text FROM usage_line WHERE interval_id = iv AND job_id > after_job
               ORDER BY 1 LIMIT most)
              UNION (SELECT job_id::text FROM final_job WHERE interval_id = iv AND job_id > after_job
                     ORDER BY 1 LIMIT most)) both_kinds
        ORDER BY both_kinds.job_id LIMIT most
    ) next_jobs;
    IF last_job IS NULL THEN
        INSERT INTO settlement_step VALUES (iv, 'capture', now_ms());
        RETURN NULL;
    ELSIF chunk IS NOT NULL THEN
        PERFORM FROM hold WHERE job_id = ANY (chunk) ORDER BY job_id FOR NO KEY UPDATE;
        PERFORM charge_jobs(iv, chunk);
        PERFORM book_captures(iv, chunk, until);
        PERFORM take_from_accounts(iv, chunk);
    END IF;
    RETURN last_job;
END $$;

-- Each container pays what its line says more than was charged before; a job's containers share what is left
-- of its hold in the order of their start.
CREATE FUNCTION charge_jobs(iv bigint, chunk text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO charge
        SELECT container_id, iv, amount, before_ucr + amount
        FROM (
            SELECT container_id, before_ucr,
                   greatest(0, least(due, left_ucr - coalesce(sum(due) OVER (
                       PARTITION BY job_id ORDER BY start_ms, container_id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)))::bigint AS amount
            FROM (
                SELECT u.container_id, u.job_id, u.start_ms, p.before_ucr,
                       u.amount_ucr - p.before_ucr AS due,
                       h.amount_ucr - h.captured_ucr - h.released_ucr AS left_ucr
                FROM usage_line u
                JOIN hold h USING (job_id)
                CROSS JOIN LATERAL (SELECT coalesce((SELECT c.total_ucr FROM charge c
                    WHERE c.container_id = u.container_id
                    ORDER BY c.interval_id DESC LIMIT 1), 0) AS before_ucr) p
                WHERE u.interval_id = iv AND u.job_id = ANY (chunk)
            ) line
        ) capped;
$$;

-- Book what the jobs were charged: in their holds, and as postings. One entry for each job, also over nothing:
-- it says that the job is done in this interval. The holds of jobs that are final are closed, and what is left
-- of them goes back; one that was released since the freeze stays as it is. Whatever has one row for each job is
-- fetched by its key: a plan for any chunk would compare each with each.
CREATE FUNCTION book_captures(iv bigint, chunk text[], until bigint) RETURNS void
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT h.job_id, h.amount_ucr, c.captured, h.amount_ucr - h.captured_ucr - h.released_ucr - c.captured AS rest,
               coalesce((SELECT h.closed_ms IS NULL FROM final_job f
                         WHERE f.job_id = h.job_id AND f.interval_id = iv), false) AS final
        FROM hold h
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(charged_ucr), 0)::bigint AS captured
            FROM charged_line l WHERE l.interval_id = iv AND l.job_id = h.job_id) c
        WHERE h.job_id = ANY (chunk)
    ), entered AS (
        INSERT INTO hold_entry
            SELECT 'capture:' || job_id || ':' || iv, job_id, 'capture', captured, amount_ucr, until, iv FROM due
            UNION ALL
            SELECT 'release:' || job_id || ':' || iv, job_id, 'release', rest, amount_ucr, until, iv FROM due
            WHERE final
    ), posted AS (
        INSERT INTO journal (key, kind, at_ms, interval_id, job_id)
            SELECT 'capture:' || job_id || ':' || iv, 'capture', until, iv, job_id FROM due WHERE captured > 0
            ORDER BY job_id
    )
    UPDATE hold h
        SET captured_ucr = h.captured_ucr + due.captured,
            released_ucr = h.released_ucr + CASE WHEN due.final THEN due.rest ELSE 0 END,
            closed_ms = CASE WHEN due.final THEN until ELSE h.closed_ms END
        FROM due WHERE h.job_id = due.job_id;
    INSERT INTO transfer
        SELECT j.journal_id, 1, h.user_id, 'pool', e.amount_ucr
        FROM hold_entry e
        CROSS JOIN LATERAL (SELECT journal_id FROM journal WHERE journal.key = e.key OFFSET 0) j
        CROSS JOIN LATERAL (SELECT user_id FROM hold WHERE hold.job_id = e.job_id OFFSET 0) h
        WHERE e.interval_id = iv AND e.job_id = ANY (chunk) AND e.kind = 'capture' AND e.amount_ucr > 0;
$$;

CREATE FUNCTION take_from_accounts(iv bigint, chunk text[]) RETURNS void
LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT FROM account WHERE user_id IN (SELECT user_id FROM hold WHERE job_id = ANY (chunk))
        ORDER BY user_id FOR NO KEY UPDATE) locked;
    UPDATE account a
        SET used_ucr = used_ucr + e.captured, held_ucr = held_ucr - e.captured - e.released
        FROM (SELECT h.user_id, coalesce(sum(e.amount_ucr) FILTER (WHERE e.kind = 'capture'), 0) AS captured,
                     coalesce(sum(e.amount_ucr) FILTER (WHERE e.kind = 'release'), 0) AS released
              FROM hold_entry e JOIN hold h USING (job_id)
              WHERE e.interval_id = iv AND e.job_id = ANY (chunk) AND e.kind IN ('capture', 'release')
              GROUP BY h.user_id) e
        WHERE a.user_id = e.user_id;
$$;

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

-- An attempt is lost to the pool when its driver was, or when its job, or its point of a sweep, ended because
-- of the pool; it is refunded when nothing of it can be charged any more.
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
                SELECT FROM container_usage o JOIN point_run r USING (job_id, application_id)
                WHERE o.job_id = u.job_id AND o.attempt = u.attempt AND r.reason_code = 'pool_failure'))))
$$;

-- A refund goes to the payer. While the job still runs, its hold grows by as much: the lost attempt takes
-- nothing from what the next one may cost.
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

-- A settlement in one row, for lists.
CREATE VIEW settlement_summary AS
    SELECT s.interval_id, s.from_ms, s.until_ms, t.rate_micro, t.utilisation_micro,
           p.captured_ucr, p.fee_ucr, p.captured_ucr - p.fee_ucr AS paid_ucr, p.stipend_ucr, r.refunded_ucr,
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
        FROM refund WHERE interval_id = s.interval_id) r;

-- What the containers of each open hold cost until they were last seen: what a budget is compared with. Of a
-- container that the pool took only that counts which was settled before: the rest is never charged.
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
