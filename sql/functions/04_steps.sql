-- The steps of a settlement. Each is one function, does nothing when it was done before, and refuses to run out
-- of order; each call is one transaction, so a settlement that died anywhere goes on where it was. An interval
-- is begun only when the one before is sealed, so what is written does not depend on when it runs.
--   LG010  out of order

CREATE FUNCTION step_number(step text) RETURNS integer
LANGUAGE sql IMMUTABLE AS
$$ SELECT array_position(ARRAY['freeze', 'price', 'capture', 'pay', 'reconcile', 'seal'], step) $$;

-- One settlement at a time. It is called as a statement of its own, before the step reads anything: a statement
-- that waits for a lock goes on with the snapshot that it had before the wait.
CREATE FUNCTION lock_settlement() RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(x'6D61726B6574'::bigint) $$;

-- Tell whether a step is still to be done. Raises LG010 if the step before it is missing.
CREATE FUNCTION step_is_due(iv bigint, this_step text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM settlement_step WHERE interval_id = iv AND step = this_step) THEN
        RETURN false;
    ELSIF NOT EXISTS (SELECT FROM settlement_step WHERE interval_id = iv
                      AND step_number(step) = step_number(this_step) - 1) THEN
        RAISE EXCEPTION 'interval % is not ready for the step %', iv, this_step USING ERRCODE = 'LG010';
    END IF;
    RETURN true;
END $$;

-- The interval that is being settled; NULL: the last one is sealed.
CREATE FUNCTION open_interval() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT interval_id FROM (SELECT interval_id FROM settlement ORDER BY interval_id DESC LIMIT 1) last
    WHERE NOT EXISTS (SELECT FROM settlement_step t WHERE t.interval_id = last.interval_id AND t.step = 'seal')
$$;

-- The time of the poll that the meter must have written before an interval can be closed at `until`; NULL: none
-- is needed. It leaves time for three things: a container that runs may turn out to have been on a dead node
-- (`lost_after`), a job that has ended may become final (30 s), and a container that started just before
-- `until` may not have been observed yet (10 s). The same holds for the end of a job of which a run was handed to
-- YARN: a run ends only when no submission of it is on its way, so a poll that begins later sees whatever there is of
-- it. Its hold is closed after that poll, and no container comes behind it that nobody pays for.
CREATE FUNCTION mark_needed(until bigint, lost_after bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT max(CASE
        WHEN EXISTS (SELECT FROM container_usage c
                     WHERE c.job_id = h.job_id AND c.end_ms IS NULL AND c.start_ms < until) THEN until + lost_after
        WHEN j.ended_ms <= until AND NOT coalesce(a.final, false)
            AND (a.application_id IS NOT NULL OR j.application_id IS NOT NULL) THEN until + 30000
        WHEN j.ended_ms <= until AND EXISTS (SELECT FROM submission s WHERE s.job_id = h.job_id)
            THEN j.ended_ms + 10000
        WHEN j.ended_ms <= until THEN NULL
        ELSE until + 10000 END)
    FROM hold h JOIN job j USING (job_id) LEFT JOIN application_usage a USING (job_id)
    WHERE h.closed_ms IS NULL AND h.taken_ms < until
$$;

GRANT EXECUTE ON FUNCTION open_interval, mark_needed TO market_app;
