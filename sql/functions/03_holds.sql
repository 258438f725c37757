-- Holds: what a job may cost at most, set aside from what its owner has, or the project that pays. See 02_accounts.sql
-- and 02_projects.sql for the answers.

-- Set credits aside from what is available; the check and the change are one statement on one row. A refusal
-- names what is available (DETAIL), and that is always less than the amount: if credits came back between the
-- update and the reading of that figure, the update is tried again. Raises LG001, LG003.
CREATE FUNCTION set_aside(from_user hex_id, amount bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    available bigint;
BEGIN
    LOOP
        UPDATE account a SET held_ucr = held_ucr + amount
            WHERE user_id = from_user AND available_ucr(a) >= amount;
        IF FOUND THEN
            RETURN;
        END IF;
        SELECT available_ucr(a) INTO available FROM account a WHERE user_id = from_user;
        IF available IS NULL THEN
            RAISE EXCEPTION 'user % has no account', from_user USING ERRCODE = 'LG003';
        END IF;
        EXIT WHEN available < amount;
    END LOOP;
    RAISE EXCEPTION '% ucr are needed', amount USING ERRCODE = 'LG001', DETAIL = available::text;
END $$;

-- Hold what a job may cost, at most; the job's row is there already, with its locked weights. `from_user` is the
-- account that pays: the project that the job's row names, else its owner. Raises LG001, LG002, LG003, LG011, LG012.
CREATE FUNCTION take_hold(
    for_job hex_id, from_user hex_id, amount bigint, rate bigint, expires bigint, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO hold (job_id, user_id, amount_ucr, rate_micro, weight_micro, gib_weight_micro, taken_ms, expires_ms)
        SELECT job_id, from_user, amount, rate, weight_micro, gib_weight_micro, at, expires
        FROM job WHERE job_id = for_job AND from_user = coalesce(project_id, user_id)
        ON CONFLICT (job_id) DO NOTHING;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM hold h JOIN hold_entry e ON e.key = 'take:' || for_job
                   WHERE h.job_id = for_job AND h.user_id = from_user AND h.rate_micro = rate
                     AND e.amount_ucr = amount) THEN
            RETURN 'exists';
        ELSIF EXISTS (SELECT FROM hold WHERE job_id = for_job) THEN
            RAISE EXCEPTION 'job % has another hold', for_job USING ERRCODE = 'LG002';
        END IF;
        RAISE EXCEPTION 'there is no job %', for_job USING ERRCODE = 'LG003';
    END IF;
    INSERT INTO hold_entry VALUES ('take:' || for_job, for_job, 'take', amount, amount, at);
    PERFORM admit_hold(for_job, amount, at);
    PERFORM set_aside(from_user, amount);
    RETURN 'done';
END $$;

-- Raise a hold to `new_amount` in all. Raises LG001 to LG005, LG011, LG012.
CREATE FUNCTION extend_hold(
    for_job hex_id, new_amount bigint, request_key text, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    h hold;
BEGIN
    SELECT * INTO h FROM hold WHERE job_id = for_job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % has no hold', for_job USING ERRCODE = 'LG003';
    ELSIF EXISTS (SELECT FROM hold_entry WHERE key = request_key) THEN
        IF EXISTS (SELECT FROM hold_entry WHERE key = request_key AND job_id = for_job
                   AND kind = 'extend' AND total_ucr = new_amount) THEN
            RETURN 'exists';
        END IF;
        RAISE EXCEPTION 'the key % was used for another change', request_key USING ERRCODE = 'LG002';
    ELSIF h.closed_ms IS NOT NULL THEN
        RAISE EXCEPTION 'the hold of job % is closed', for_job USING ERRCODE = 'LG004';
    ELSIF new_amount < h.amount_ucr THEN
        RAISE EXCEPTION 'a hold of % ucr cannot shrink to %', h.amount_ucr, new_amount
            USING ERRCODE = 'LG005';
    END IF;
    INSERT INTO hold_entry
        VALUES (request_key, for_job, 'extend', new_amount - h.amount_ucr, new_amount, at);
    UPDATE hold SET amount_ucr = new_amount WHERE job_id = for_job;
    PERFORM admit_hold(for_job, new_amount - h.amount_ucr, at);
    PERFORM set_aside(h.user_id, new_amount - h.amount_ucr);
    RETURN 'done';
END $$;

-- Give back all of a hold whose job ended and can never have held a container: no run of it was handed to YARN. Else
-- it changes nothing and answers 'metered': the settlement captures what is due and releases the rest. A container may
-- turn up after the job's end, when the meter looks; once the hold was given back, nobody would pay for it.
-- Raises LG003.
CREATE FUNCTION release_hold(for_job hex_id, request_key text, at bigint DEFAULT now_ms()) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    h hold;
BEGIN
    SELECT * INTO h FROM hold WHERE job_id = for_job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % has no hold', for_job USING ERRCODE = 'LG003';
    ELSIF h.closed_ms IS NOT NULL THEN
        RETURN 'exists';
    ELSIF EXISTS (SELECT FROM submission WHERE job_id = for_job)
       OR EXISTS (SELECT FROM container_usage WHERE job_id = for_job) THEN
        RETURN 'metered';
    END IF;
    INSERT INTO hold_entry VALUES (request_key, for_job, 'release', h.amount_ucr, h.amount_ucr, at);
    UPDATE hold SET released_ucr = amount_ucr, closed_ms = at WHERE job_id = for_job;
    PERFORM lock_trees(ARRAY[h.user_id::text]);
    UPDATE account SET held_ucr = held_ucr - h.amount_ucr WHERE user_id = h.user_id;
    RETURN 'done';
END $$;

GRANT EXECUTE ON FUNCTION take_hold, extend_hold, release_hold TO market_app;
