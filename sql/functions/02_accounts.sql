-- Accounts and grants. What the functions of the ledger answer: 'done', or 'exists' when the same request was
-- carried out before. They raise
--   LG001  not enough credit (DETAIL: what is available, in ucr)
--   LG002  the key was used before, for another request
--   LG003  there is no such account, hold or posting
--   LG004  the hold is closed
--   LG005  a hold cannot shrink, a refund cannot exceed what was paid
--   LG006  the job is not settled yet

CREATE FUNCTION now_ms() RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE FUNCTION open_account(for_user hex_id, at bigint DEFAULT now_ms()) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO account (user_id, opened_ms) VALUES (for_user, at) ON CONFLICT (user_id) DO NOTHING;
    RETURN CASE WHEN FOUND THEN 'done' ELSE 'exists' END;
END $$;

CREATE FUNCTION available_ucr(a account) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ 
    SELECT a.granted_ucr + a.shared_ucr + a.transferred_ucr - a.used_ucr - a.held_ucr - a.floor_ucr
 $$;

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

GRANT EXECUTE ON FUNCTION now_ms, open_account, available_ucr, grant_credit TO market_app;
