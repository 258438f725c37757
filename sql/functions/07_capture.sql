-- The step capture: what was used is taken from the holds. Several connections do it side by side, as one
-- connection keeps only one core of the server at work.

-- Usage lines that were charged, with the amounts. `OFFSET 0` makes the planner fetch each charge by its key.
-- As long as it has no statistics of a new interval's rows, it would take reading all of them for each line to
-- be as cheap.
CREATE VIEW charged_line AS
    SELECT u.container_id, u.interval_id, u.job_id, u.attempt, u.machine_id, c.charged_ucr
    FROM usage_line u
    CROSS JOIN LATERAL (
        SELECT amount_ucr AS charged_ucr FROM charge
        WHERE charge.container_id = u.container_id AND charge.interval_id = u.interval_id OFFSET 0) c;

-- Each container is charged its line's amount less what it was charged before. A job's containers are charged
-- in the order of their start, until nothing is left of its hold. `OFFSET 0` makes the planner look up once
-- what was charged before, not once for each use of it.
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
                    ORDER BY c.interval_id DESC LIMIT 1), 0) AS before_ucr OFFSET 0) p
                WHERE u.interval_id = iv AND u.job_id = ANY (chunk)
            ) line
        ) capped;
$$;

-- Book what the jobs were charged: in their holds, and as postings. Each job has one entry, also one of
-- nothing: the entry says that the job is done in this interval. The holds of final jobs are closed, and their
-- rest is given back; a hold that was released since the freeze stays as it is. Rows of which each job has one
-- are fetched by their keys, as a plan for a chunk of any size would compare each with each. Each posting's
-- transfer is written beside it, from the same rows.
CREATE FUNCTION book_captures(iv bigint, chunk text[], until bigint) RETURNS void
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT h.job_id, h.user_id, h.amount_ucr, c.captured,
               h.amount_ucr - h.captured_ucr - h.released_ucr - c.captured AS rest,
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
            RETURNING journal_id, job_id
    ), moved AS (
        INSERT INTO transfer
            SELECT p.journal_id, 1, d.user_id, 'pool', d.captured
            FROM (SELECT journal_id, row_number() OVER (ORDER BY job_id) AS place FROM posted) p
            JOIN (SELECT user_id, captured, row_number() OVER (ORDER BY job_id) AS place
                  FROM due WHERE captured > 0) d USING (place)
    )
    UPDATE hold h
        SET captured_ucr = h.captured_ucr + due.captured,
            released_ucr = h.released_ucr + CASE WHEN due.final THEN due.rest ELSE 0 END,
            closed_ms = CASE WHEN due.final THEN until ELSE h.closed_ms END
        FROM due WHERE h.job_id = due.job_id;
$$;

CREATE FUNCTION take_from_accounts(iv bigint, chunk text[]) RETURNS void
LANGUAGE sql AS $$
    SELECT lock_trees((SELECT array_agg(user_id::text) FROM hold WHERE job_id = ANY (chunk)));
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

-- The jobs of an interval for which there is something to capture or to release.
CREATE FUNCTION capture_jobs(iv bigint) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT job_id::text FROM usage_line WHERE interval_id = iv
    UNION
    SELECT job_id::text FROM final_job WHERE interval_id = iv
$$;

-- These jobs in chunks of so many. No chunk if the step is done. Raises LG010.
CREATE FUNCTION capture_chunks(iv bigint, most integer) RETURNS TABLE (first_job text, last_job text)
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT min(job_id), max(job_id)
    FROM (SELECT job_id, (row_number() OVER (ORDER BY job_id) - 1) / most AS chunk
          FROM capture_jobs(iv) job_id) numbered
    WHERE step_is_due(iv, 'capture')
    GROUP BY chunk
    ORDER BY chunk
$$;

-- Charge the jobs of a chunk that are not charged yet. One call is one transaction: it locks few payers for a
-- short time. Chunks share the lock of the settlement. Two calls for one job wait for each other at the lock of
-- its hold; the second one, when it has the lock, leaves out the jobs that the first has charged.
CREATE FUNCTION capture_chunk(iv bigint, first_job text, last_job text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    chunk text[];
    until bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(x'6D61726B6574'::bigint);  -- that of lock_settlement()
    IF NOT step_is_due(iv, 'capture') THEN
        RETURN;
    END IF;
    SELECT until_ms INTO until FROM settlement WHERE interval_id = iv;
    SELECT array_agg(job_id ORDER BY job_id) INTO chunk FROM (
        SELECT job_id::text FROM usage_line WHERE interval_id = iv AND job_id BETWEEN first_job AND last_job
        UNION
        SELECT job_id::text FROM final_job WHERE interval_id = iv AND job_id BETWEEN first_job AND last_job) due;
    PERFORM FROM hold WHERE job_id = ANY (chunk) ORDER BY job_id FOR NO KEY UPDATE;
    SELECT array_agg(due ORDER BY due) INTO chunk FROM unnest(chunk) due
        WHERE NOT EXISTS (SELECT FROM hold_entry e WHERE e.key = 'capture:' || due || ':' || iv);
    IF chunk IS NOT NULL THEN
        PERFORM charge_jobs(iv, chunk);
        PERFORM book_captures(iv, chunk, until);
        PERFORM take_from_accounts(iv, chunk);
    END IF;
END $$;

-- The step is done when each job has its entry. Raises LG010 while one is missing.
CREATE FUNCTION settle_capture(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    missing bigint;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'capture') THEN
        RETURN false;
    END IF;
    missing := (SELECT count(*) FROM capture_jobs(iv))
               - (SELECT count(*) FROM hold_entry WHERE interval_id = iv AND kind = 'capture');
    IF missing > 0 THEN
        RAISE EXCEPTION '% jobs of interval % are not captured', missing, iv USING ERRCODE = 'LG010';
    END IF;
    INSERT INTO settlement_step VALUES (iv, 'capture', now_ms());
    RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION capture_chunks, capture_chunk, settle_capture TO market_app;
