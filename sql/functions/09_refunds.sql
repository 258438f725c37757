-- A refund that an administrator makes: what a job paid may be given back, at most once.

-- All that a job's payer got back, from settlements, lenders and administrators.
CREATE FUNCTION refunded_ucr(for_job hex_id) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(t.amount_ucr), 0)::bigint FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.job_id = for_job AND j.kind IN ('refund', 'return')
$$;

-- What may still be given back of what a job has paid: not what was paid for machines of its payer or its submitter,
-- nor what a lender still owes.
CREATE FUNCTION refundable_ucr(h hold) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT (h.captured_ucr - refunded_ucr(h.job_id)
            - coalesce((SELECT sum(r.return_ucr - coalesce((
                            SELECT sum(p.amount_ucr) FROM repayment p
                            WHERE p.job_id = r.job_id AND p.attempt = r.attempt), 0))
                        FROM refund r WHERE r.job_id = h.job_id), 0)
            - coalesce((SELECT sum(l.charged_ucr) FROM charged_line l JOIN machine m ON m.machine_id = l.machine_id
                        WHERE l.job_id = h.job_id
                          AND m.user_id IN (h.user_id, (SELECT user_id FROM job WHERE job_id = h.job_id))), 0))::bigint
$$;

-- Whether a job is settled: its hold is closed, and the interval in which the job became final has made its
-- payments. The step capture closes the hold; if the pool ended the job, the step pay refunds it after that.
CREATE FUNCTION settled_job(h hold) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT h.closed_ms IS NOT NULL AND NOT EXISTS (
        SELECT FROM final_job f WHERE f.job_id = h.job_id AND NOT EXISTS (
            SELECT FROM settlement_step s WHERE s.interval_id = f.interval_id AND s.step = 'pay'))
$$;

-- Give back to its payer part of what a settled job has paid, from the treasury. Lenders keep what they earned. The
-- key names who gave it, for which job: refund:GIVER:JOB:NUMBER; the invariant `supply` asks for it.
-- A job that is not settled is refused, as its settlement may still refund it. Raises LG002, LG003, LG005
-- (DETAIL: what may be given back, in ucr), LG006 (the job is not settled yet).
CREATE FUNCTION refund_charge(
    for_job hex_id, amount bigint, reason text, request_key text, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    h hold;
    made bigint;
    left_ucr bigint;
BEGIN
    SELECT * INTO h FROM hold WHERE job_id = for_job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % has no hold', for_job USING ERRCODE = 'LG003';
    ELSIF EXISTS (SELECT FROM journal WHERE key = request_key) THEN
        IF EXISTS (SELECT FROM journal j JOIN transfer t USING (journal_id)
                   WHERE j.key = request_key AND j.kind = 'refund' AND j.job_id = for_job AND j.note = reason
                     AND t.amount_ucr = amount) THEN
            RETURN 'exists';
        END IF;
        RAISE EXCEPTION 'the key % was used for another posting', request_key USING ERRCODE = 'LG002';
    ELSIF NOT settled_job(h) THEN
        RAISE EXCEPTION 'job % is not settled yet', for_job USING ERRCODE = 'LG006';
    END IF;
    left_ucr := greatest(0, refundable_ucr(h));
    IF amount > left_ucr THEN
        RAISE EXCEPTION 'job % has % ucr left to give back', for_job, left_ucr
            USING ERRCODE = 'LG005', DETAIL = left_ucr::text;
    END IF;
    INSERT INTO journal (key, kind, at_ms, job_id, note) VALUES (request_key, 'refund', at, for_job, reason)
        RETURNING journal_id INTO made;
    INSERT INTO transfer VALUES (made, 1, 'treasury', h.user_id, amount);
    PERFORM lock_trees(ARRAY[h.user_id::text]);
    UPDATE account SET used_ucr = used_ucr - amount WHERE user_id = h.user_id;
    RETURN 'done';
END $$;

GRANT EXECUTE ON FUNCTION refund_charge, refunded_ucr, settled_job TO market_app;
