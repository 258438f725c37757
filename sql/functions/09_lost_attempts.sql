-- What attempts that the pool lost had paid is given back: by the owner of the machine whose loss ended the attempt,
-- as much as that machine earned from it, and by the treasury the rest, within `refund_bound_ucr` for each member and
-- day (UTC). Other lenders keep what they earned. Nobody is given back what he paid for machines of his own, so no
-- members have more together than before they lost an attempt, but for the bound. Where a project pays, its submitter's
-- machines count as its own (but the lost one, whose owner gives back), and the bound is that of the submitter: else
-- whoever made many projects would have many bounds.
--
-- What counts is what the ResourceManager said: the driver's node, its preemption counters, the application's state.

-- The machine whose loss ended a lost attempt: that of its driver. NULL: none is to blame, as YARN preempted the driver,
-- or the ResourceManager forgot the application. One that YARN calls FAILED because of the pool has lost its driver's
-- container, whatever has become of that node since.
CREATE FUNCTION lost_driver(for_job text, of_attempt integer) RETURNS TABLE (machine_id text)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT CASE WHEN u.not_charged_because IN ('node_lost', 'drained')
                          OR u.not_charged_because IS NULL AND a.state = 'FAILED' THEN u.machine_id::text END
            FROM usage_line u
            JOIN container_usage c USING (container_id) LEFT JOIN application_usage a USING (application_id)
            WHERE u.job_id = for_job AND u.attempt = of_attempt AND u.role = 'driver' AND u.final
            ORDER BY u.container_id LIMIT 1)
$$;

-- The attempts that the pool ended, when nothing more can be charged for them: their driver was lost, drained or
-- preempted, or their run ended because of the pool; of an application that the market lost track of before it was
-- stored with its run, the job's end says so.
CREATE FUNCTION lost_attempts(iv bigint) RETURNS TABLE (job_id text, attempt integer)
LANGUAGE sql STABLE AS $$
    SELECT a.job_id, a.attempt
    FROM (
        SELECT u.job_id::text, u.attempt
        FROM capture_jobs(iv) j JOIN usage_line u ON u.job_id = j
        WHERE u.role = 'driver' AND u.not_charged_because IS NOT NULL AND u.interval_id <= iv
        UNION
        SELECT c.job_id, c.attempt
        FROM final_job f JOIN container_usage c ON c.job_id = f.job_id
        LEFT JOIN run r ON r.application_id = c.application_id
        WHERE f.interval_id = iv
          AND CASE WHEN r.application_id IS NULL THEN f.pool_failure ELSE r.reason_code = 'pool_failure' END
    ) a
    WHERE NOT EXISTS (SELECT FROM container_usage o WHERE o.job_id = a.job_id AND o.attempt = a.attempt
                      AND NOT EXISTS (SELECT FROM usage_line f WHERE f.container_id = o.container_id AND f.final))
$$;

-- What an attempt paid in all, and for machines of its payer or submitter; and what a machine earned from it: of each interval's
-- charges what is left after the fee, rounded down, so that all attempts together never return more than was earned.
CREATE FUNCTION attempt_paid(for_job text, of_attempt integer, payer text, machine text)
RETURNS TABLE (paid_ucr bigint, own_ucr bigint, earned_ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(ucr), 0)::bigint, coalesce(sum(ucr) FILTER (
               WHERE m.user_id = payer OR m.user_id = submitter AND line.machine_id IS DISTINCT FROM machine), 0)::bigint,
           coalesce(sum(div(ucr::numeric * (1000000 - s.fee_micro), 1000000))
                    FILTER (WHERE line.machine_id = machine), 0)::bigint
    FROM (
        SELECT u.interval_id, u.machine_id, sum(c.amount_ucr) AS ucr
        FROM usage_line u JOIN charge c USING (container_id, interval_id)
        WHERE u.job_id = for_job AND u.attempt = of_attempt
        GROUP BY u.interval_id, u.machine_id
    ) line
    JOIN settlement s USING (interval_id)
    LEFT JOIN machine m ON m.machine_id = line.machine_id
    CROSS JOIN (SELECT user_id AS submitter FROM job WHERE job_id = for_job) j
$$;

-- What settlements before this one gave back from the treasury on its day, for what a member had submitted.
CREATE FUNCTION refunded_that_day(s settlement, submitter text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(r.amount_ucr), 0)::bigint
    FROM settlement z JOIN refund r USING (interval_id) JOIN job j ON j.job_id = r.job_id
    WHERE z.until_ms >= s.until_ms - mod(s.until_ms, 86400000) AND z.until_ms < s.until_ms AND j.user_id = submitter
$$;

CREATE FUNCTION refund_due(s settlement) RETURNS SETOF refund
LANGUAGE sql STABLE AS $$
    WITH lost AS (
        SELECT a.job_id, a.attempt, d.machine_id, j.user_id::text AS submitter, m.user_id::text AS lender,
               p.paid_ucr, p.own_ucr, CASE WHEN m.user_id <> h.user_id THEN p.earned_ucr ELSE 0 END AS return_ucr
        FROM lost_attempts(s.interval_id) a
        JOIN hold h ON h.job_id = a.job_id
        JOIN job j ON j.job_id = a.job_id
        CROSS JOIN LATERAL lost_driver(a.job_id, a.attempt) d
        LEFT JOIN machine m ON m.machine_id = d.machine_id
        CROSS JOIN LATERAL attempt_paid(a.job_id, a.attempt, h.user_id, d.machine_id) p
        WHERE p.paid_ucr > 0 AND NOT EXISTS (
            SELECT FROM refund r WHERE r.job_id = a.job_id AND r.attempt = a.attempt)
    ), rest AS (
        SELECT *, paid_ucr - own_ucr - return_ucr AS ucr,
               coalesce(sum(paid_ucr - own_ucr - return_ucr) OVER (
                   PARTITION BY submitter ORDER BY job_id, attempt
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before_ucr
        FROM lost
    )
    SELECT job_id::hex_id, attempt, s.interval_id,
           least(ucr, greatest(0, s.refund_bound_ucr - refunded_that_day(s, submitter) - before_ucr))::bigint,
           paid_ucr, own_ucr, return_ucr, machine_id::hex_id,
           CASE WHEN return_ucr > 0 THEN lender END::hex_id
    FROM rest
$$;

-- What lenders owe: for attempts that were lost in this interval, and of earlier ones those whose lender earned in it.
CREATE FUNCTION owed(iv bigint)
RETURNS TABLE (job_id text, attempt integer, since bigint, lender text, ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.job_id, r.attempt, r.interval_id, r.lender, r.return_ucr - coalesce(p.ucr, 0)
    FROM refund r
    LEFT JOIN LATERAL (SELECT sum(amount_ucr)::bigint AS ucr FROM repayment p
                       WHERE p.job_id = r.job_id AND p.attempt = r.attempt) p ON true
    WHERE r.return_ucr > coalesce(p.ucr, 0)
      AND (r.interval_id = iv OR r.lender IN (SELECT payee FROM payout WHERE interval_id = iv))
$$;

-- What lenders give back now. Of `fresh` debts, those of this interval, they give what they have available; of earlier
-- ones, oldest first, what they earned in this interval.
CREATE FUNCTION repayment_due(iv bigint, fresh boolean) RETURNS SETOF repayment
LANGUAGE sql STABLE AS $$
    SELECT job_id::hex_id, attempt, iv, ucr
    FROM (
        SELECT o.job_id, o.attempt,
               least(o.ucr, room.ucr - coalesce(sum(o.ucr) OVER (
                   PARTITION BY o.lender ORDER BY o.since, o.job_id, o.attempt
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::bigint AS ucr
        FROM owed(iv) o
        JOIN account a ON a.user_id = o.lender
        CROSS JOIN LATERAL (
            SELECT least(
                available_ucr(a) - coalesce((
                    SELECT sum(p.amount_ucr) FROM repayment p JOIN refund r USING (job_id, attempt)
                    WHERE p.interval_id = iv AND r.lender = o.lender), 0),
                CASE WHEN NOT fresh THEN (
                    SELECT sum(captured_ucr - fee_ucr + stipend_ucr) FROM payout
                    WHERE interval_id = iv AND payee = o.lender) END) AS ucr) room
        WHERE (o.since = iv) = fresh
    ) share
    WHERE ucr > 0
$$;

-- What came back, in the interval that found them lost, of what attempts had paid.
CREATE FUNCTION given_at_once(iv bigint) RETURNS TABLE (job_id text, attempt integer, ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.job_id, r.attempt, r.amount_ucr + coalesce(p.amount_ucr, 0)
    FROM refund r LEFT JOIN repayment p USING (job_id, attempt, interval_id)
    WHERE r.interval_id = iv AND r.amount_ucr + coalesce(p.amount_ucr, 0) > 0
$$;

-- What a lender gives back, and the treasury's part, go to the payer. If the job still runs, its hold grows by what
-- comes back at once, so that the next attempt may cost what the lost one could.
CREATE FUNCTION post_refunds(iv bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO journal (key, kind, at_ms, interval_id, job_id, machine_id, note)
        SELECT 'refund:' || job_id || ':' || attempt, 'refund', until, iv, job_id, NULL,
               'the pool lost attempt ' || attempt
        FROM refund WHERE interval_id = iv AND amount_ucr > 0
        UNION ALL
        SELECT 'return:' || job_id || ':' || attempt || ':' || iv, 'return', until, iv, job_id, r.machine_id,
               'the machine was lost, and with it attempt ' || attempt
        FROM repayment p JOIN refund r USING (job_id, attempt) WHERE p.interval_id = iv
        ORDER BY 1;
    INSERT INTO transfer
        SELECT j.journal_id, 1, 'treasury', h.user_id, r.amount_ucr
        FROM refund r
        JOIN journal j ON j.key = 'refund:' || r.job_id || ':' || r.attempt
        JOIN hold h ON h.job_id = r.job_id
        WHERE r.interval_id = iv AND r.amount_ucr > 0
        UNION ALL
        SELECT j.journal_id, 1, r.lender, h.user_id, p.amount_ucr
        FROM repayment p
        JOIN refund r USING (job_id, attempt)
        JOIN journal j ON j.key = 'return:' || p.job_id || ':' || p.attempt || ':' || iv
        JOIN hold h ON h.job_id = p.job_id
        WHERE p.interval_id = iv;
    UPDATE account a SET used_ucr = used_ucr - back.ucr
        FROM (SELECT t.payee, sum(t.amount_ucr) AS ucr FROM journal j JOIN transfer t USING (journal_id)
              WHERE j.interval_id = iv AND j.kind IN ('refund', 'return') GROUP BY t.payee) back
        WHERE a.user_id = back.payee;
    UPDATE account a SET shared_ucr = shared_ucr - back.ucr
        FROM (SELECT t.payer, sum(t.amount_ucr) AS ucr FROM journal j JOIN transfer t USING (journal_id)
              WHERE j.interval_id = iv AND j.kind = 'return' GROUP BY t.payer) back
        WHERE a.user_id = back.payer;
    INSERT INTO hold_entry
        SELECT 'refund:' || job_id || ':' || attempt, job_id, 'extend', ucr,
               amount_ucr + sum(ucr) OVER (PARTITION BY job_id ORDER BY attempt), until, iv
        FROM given_at_once(iv) JOIN hold h USING (job_id) WHERE h.closed_ms IS NULL;
    UPDATE account a SET held_ucr = held_ucr + g.ucr
        FROM (SELECT h.user_id, sum(ucr) AS ucr FROM given_at_once(iv) JOIN hold h USING (job_id)
              WHERE h.closed_ms IS NULL GROUP BY h.user_id) g
        WHERE a.user_id = g.user_id;
    UPDATE hold h SET amount_ucr = h.amount_ucr + g.ucr
        FROM (SELECT job_id, sum(ucr) AS ucr FROM given_at_once(iv) GROUP BY job_id) g
        WHERE g.job_id = h.job_id AND h.closed_ms IS NULL;
$$;
