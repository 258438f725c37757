-- The ledger: accounts, postings and holds, and the functions through which alone money moves.
--
-- Amounts are micro-credits (ucr, bigint): 1 credit = 1 000 000 ucr. A posting is a journal row with one or
-- more transfers, each from one account to another: it sums to zero by construction. Postings are never
-- changed; a correction is a new posting.
--
-- An account is a member's user_id, or one of the market's own: 'treasury' (issues credits, so its balance is
-- negative), 'pool' (captures pass through it: zero after every settled interval) and 'fee'. A member's
-- balance is cached in `account`, guarded by CHECKs; the market's own are derived, because one row that every
-- posting updates would halve the throughput.
--
-- A settlement writes many rows at once. Where a foreign key would look up one parent again and again, a trigger
-- looks for all rows of a statement together; such parents are only ever added, like their children.
--
-- Locks, in this order everywhere: holds by job_id, then accounts by user_id.
--
-- What the functions answer: 'done', or 'exists' when the same request was carried out before. They raise
--   LG001  not enough credit (DETAIL: what is available, in ucr)
--   LG002  the key was used before, for another request
--   LG003  there is no such account, hold or posting
--   LG004  the hold is closed
--   LG005  a hold cannot shrink, a refund cannot exceed what was paid

CREATE FUNCTION now_ms() RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE account (
    user_id      hex_id PRIMARY KEY REFERENCES member,
    granted_ucr  bigint NOT NULL DEFAULT 0 CHECK (granted_ucr >= 0),
    shared_ucr   bigint NOT NULL DEFAULT 0 CHECK (shared_ucr >= 0),   -- earned by lending, stipends included
    used_ucr     bigint NOT NULL DEFAULT 0 CHECK (used_ucr >= 0),     -- spent on jobs, less refunds
    held_ucr     bigint NOT NULL DEFAULT 0 CHECK (held_ucr >= 0),     -- what open holds may still take
    floor_ucr    bigint NOT NULL DEFAULT 0 CHECK (floor_ucr <= 0),
    opened_ms    bigint NOT NULL,
    CONSTRAINT never_overdrawn CHECK (granted_ucr + shared_ucr - used_ucr - held_ucr >= floor_ucr)
) WITH (fillfactor = 70);  -- room for updates within the page: no index changes with a balance

CREATE TABLE journal (
    journal_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text NOT NULL UNIQUE,
    kind         text NOT NULL CHECK (kind IN ('grant', 'capture', 'pay', 'stipend', 'refund')),
    at_ms        bigint NOT NULL,
    interval_id  bigint,               -- the settlement that made it; NULL: made by a person
    job_id       hex_id,
    machine_id   hex_id,
    note         text NOT NULL DEFAULT '',
    CHECK ((kind = 'grant') = (interval_id IS NULL) OR kind = 'refund')
);
CREATE INDEX journal_by_job ON journal (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX journal_by_machine ON journal (machine_id, interval_id) WHERE machine_id IS NOT NULL;
CREATE INDEX journal_by_interval ON journal (interval_id) WHERE interval_id IS NOT NULL;

-- Accounts are not foreign keys here: each posting would lock the row of 'pool' or 'treasury' against all
-- others. The invariant `unknown_account` looks for a wrong one.
CREATE TABLE transfer (
    journal_id   bigint NOT NULL,      -- of a row of `journal`: the trigger `has_journal`
    leg          smallint NOT NULL CHECK (leg > 0),
    payer        text NOT NULL,
    payee        text NOT NULL,
    amount_ucr   bigint NOT NULL CHECK (amount_ucr > 0),
    PRIMARY KEY (journal_id, leg),
    CHECK (payer <> payee)
);
-- A member's statement; the market's own accounts are in nearly every posting, and nobody lists them.
CREATE INDEX transfer_by_payer ON transfer (payer, journal_id) WHERE length(payer) = 32;
CREATE INDEX transfer_by_payee ON transfer (payee, journal_id) WHERE length(payee) = 32;

CREATE TABLE hold (
    job_id            hex_id PRIMARY KEY REFERENCES job,
    user_id           hex_id NOT NULL,
    amount_ucr        bigint NOT NULL CHECK (amount_ucr >= 0),
    captured_ucr      bigint NOT NULL DEFAULT 0 CHECK (captured_ucr >= 0),
    released_ucr      bigint NOT NULL DEFAULT 0 CHECK (released_ucr >= 0),
    rate_micro        bigint NOT NULL CHECK (rate_micro > 0),         -- locked: these three price every container
    weight_micro      bigint NOT NULL CHECK (weight_micro > 0),
    gib_weight_micro  bigint NOT NULL CHECK (gib_weight_micro >= 0),
    taken_ms          bigint NOT NULL,
    expires_ms        bigint NOT NULL,       -- an ended job whose usage stays unknown gets the rest back then
    closed_ms         bigint,
    CHECK (captured_ucr + released_ucr <= amount_ucr),
    CHECK (closed_ms IS NULL OR captured_ucr + released_ucr = amount_ucr)
) WITH (fillfactor = 80);
CREATE INDEX hold_open ON hold (user_id) WHERE closed_ms IS NULL;

-- Every change of a hold; `hold` itself is their sum.
CREATE TABLE hold_entry (
    key          text PRIMARY KEY,
    job_id       hex_id NOT NULL REFERENCES hold,
    kind         text NOT NULL CHECK (kind IN ('take', 'extend', 'capture', 'release')),
    amount_ucr   bigint NOT NULL CHECK (amount_ucr >= 0),
    total_ucr    bigint NOT NULL,      -- the hold's amount after it
    at_ms        bigint NOT NULL,
    interval_id  bigint                -- the settlement that made it; NULL: made by a person
);
CREATE INDEX hold_entry_by_job ON hold_entry (job_id);
CREATE INDEX hold_entry_by_interval ON hold_entry (interval_id, job_id) WHERE interval_id IS NOT NULL;

-- Rows that people made and that no seal covers yet: (table, key). The next seal takes what is here, never
-- "ids above the last one": an id that is drawn early and committed late would fall through. What a
-- settlement makes is sealed by its interval.
CREATE TABLE unsealed (
    kind  text NOT NULL,
    key   text NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are only ever added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LG009';
END $$;

CREATE FUNCTION queue_for_seal() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO unsealed VALUES (TG_TABLE_NAME, NEW.key);
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON hold_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER queue_for_seal AFTER INSERT ON journal
    FOR EACH ROW WHEN (NEW.interval_id IS NULL) EXECUTE FUNCTION queue_for_seal();
CREATE TRIGGER queue_for_seal AFTER INSERT ON hold_entry
    FOR EACH ROW WHEN (NEW.interval_id IS NULL) EXECUTE FUNCTION queue_for_seal();

CREATE FUNCTION require_journal() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (
               SELECT FROM journal j WHERE j.journal_id = a.journal_id)) THEN
        RAISE EXCEPTION 'a transfer belongs to no posting' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER has_journal AFTER INSERT ON transfer REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_journal();

CREATE FUNCTION open_account(for_user hex_id, at bigint DEFAULT now_ms()) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO account (user_id, opened_ms) VALUES (for_user, at) ON CONFLICT (user_id) DO NOTHING;
    RETURN CASE WHEN FOUND THEN 'done' ELSE 'exists' END;
END $$;

CREATE FUNCTION available_ucr(a account) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT a.granted_ucr + a.shared_ucr - a.used_ucr - a.held_ucr - a.floor_ucr $$;

-- Give credits from the treasury. Raises LG002, LG003.
CREATE FUNCTION grant_credit(
    to_user hex_id, amount bigint, reason text, request_key text, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO journal (key, kind, at_ms, note) VALUES (request_key, 'grant', at, reason)
        ON CONFLICT (key) DO NOTHING RETURNING journal_id INTO made;
    IF made IS NULL THEN
        IF EXISTS (SELECT FROM journal j JOIN transfer t USING (journal_id)
                   WHERE j.key = request_key AND j.kind = 'grant' AND j.note = reason
                     AND t.payee = to_user AND t.amount_ucr = amount) THEN
            RETURN 'exists';
        END IF;
        RAISE EXCEPTION 'the key % was used for another posting', request_key USING ERRCODE = 'LG002';
    END IF;
    INSERT INTO transfer VALUES (made, 1, 'treasury', to_user, amount);
    UPDATE account SET granted_ucr = granted_ucr + amount WHERE user_id = to_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'user % has no account', to_user USING ERRCODE = 'LG003';
    END IF;
    RETURN 'done';
END $$;

-- Set credits aside from what is available; the guard and the change are one statement on one row. A refusal
-- always names less than what was asked for: what was given back between the look and the answer is tried
-- again. Raises LG001, LG003.
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

-- Hold what a job may cost, at most; the job's row is there already, with its locked weights.
-- Raises LG001, LG002, LG003.
CREATE FUNCTION take_hold(
    for_job hex_id, from_user hex_id, amount bigint, rate bigint, expires bigint, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO hold (job_id, user_id, amount_ucr, rate_micro, weight_micro, gib_weight_micro, taken_ms, expires_ms)
        SELECT job_id, from_user, amount, rate, weight_micro, gib_weight_micro, at, expires
        FROM job WHERE job_id = for_job
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
    PERFORM set_aside(from_user, amount);
    RETURN 'done';
END $$;

-- Raise a hold to `new_amount` in all. Raises LG001 to LG005.
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
    PERFORM set_aside(h.user_id, new_amount - h.amount_ucr);
    RETURN 'done';
END $$;

-- Give back all of a hold whose job ended without ever having held a container. Where the meter saw one it
-- changes nothing and answers 'metered': the settlement captures what is due and releases the rest.
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
    ELSIF EXISTS (SELECT FROM container_usage WHERE job_id = for_job) THEN
        RETURN 'metered';
    END IF;
    INSERT INTO hold_entry VALUES (request_key, for_job, 'release', h.amount_ucr, h.amount_ucr, at);
    UPDATE hold SET released_ucr = amount_ucr, closed_ms = at WHERE job_id = for_job;
    UPDATE account SET held_ucr = held_ucr - h.amount_ucr WHERE user_id = h.user_id;
    RETURN 'done';
END $$;

-- Everybody reads; only the functions write.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA market FROM PUBLIC;
GRANT SELECT ON account, journal, transfer, hold, hold_entry, unsealed TO market_app;
GRANT EXECUTE ON FUNCTION now_ms, available_ucr, open_account, grant_credit, take_hold, extend_hold, release_hold
    TO market_app;
