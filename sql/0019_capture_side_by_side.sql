-- Captures by several connections side by side: one of them keeps one core of the server at work.

DROP FUNCTION settle_capture(bigint, text, integer);

-- The jobs of an interval for which there is something to capture or to release.
CREATE FUNCTION capture_jobs(iv bigint) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT job_id::text FROM usage_line WHERE interval_id = iv
    UNION
    SELECT job_id::text FROM final_job WHERE interval_id = iv
$$;

-- Cut them into chunks of so many jobs. No chunk if the step is done. Raises LG010.
CREATE FUNCTION capture_chunks(iv bigint, most integer) RETURNS TABLE (first_job text, last_job text)
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT min(job_id), max(job_id)
    FROM (SELECT job_id, (row_number() OVER (ORDER BY job_id) - 1) / most AS chunk FROM capture_jobs(iv) job_id) numbered
    WHERE step_is_due(iv, 'capture')
    GROUP BY chunk
    ORDER BY chunk
$$;

-- Charge the jobs of a chunk, those that are not charged yet. One call is one transaction: it locks few payers for a
-- short time. Chunks share the lock of the settlement; two calls for one job wait for each other at its hold, and what
-- the first did is looked for when the second has it.
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

REVOKE EXECUTE ON FUNCTION capture_jobs, capture_chunks, capture_chunk, settle_capture FROM PUBLIC;
GRANT EXECUTE ON FUNCTION capture_chunks, capture_chunk, settle_capture TO market_app;
