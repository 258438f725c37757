-- Transfers between accounts. See 02_accounts.sql and 02_projects.sql for the answers.

-- What an account has transferred on a day (UTC), until now.
CREATE FUNCTION transferred_that_day(from_account text, at bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount_ucr), 0)::bigint FROM account_transfer
    WHERE payer = from_account AND at_ms >= at - mod(at, 86400000) AND at_ms < at - mod(at, 86400000) + 86400000
$$;

-- Move credits from one account to another, within what the payer may transfer in a day. Who made it, and that limit,
-- stand beside the posting. Raises LG001, LG002, LG003, LG013.
CREATE FUNCTION transfer_credit(
    from_account hex_id, to_account hex_id, amount bigint, reason text, request_key text, made_by hex_id,
    day_limit bigint, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    made bigint;
    that_day bigint;
    available bigint;
BEGIN
    INSERT INTO journal (key, kind, at_ms, note) VALUES (request_key, 'transfer', at, reason)
        ON CONFLICT (key) DO NOTHING RETURNING journal_id INTO made;
    IF made IS NULL THEN
        IF EXISTS (SELECT FROM journal j JOIN transfer t USING (journal_id)
                   WHERE j.key = request_key AND j.kind = 'transfer' AND j.note = reason AND t.payer = from_account
                     AND t.payee = to_account AND t.amount_ucr = amount) THEN
            RETURN 'exists';
        END IF;
        RAISE EXCEPTION 'the key % was used for another posting', request_key USING ERRCODE = 'LG002';
    END IF;
    PERFORM FROM account WHERE user_id IN (from_account, to_account) ORDER BY user_id FOR NO KEY UPDATE;
    that_day := transferred_that_day(from_account, at);
    IF that_day + amount > day_limit THEN
        RAISE EXCEPTION 'account % transfers too much in one day', from_account
            USING ERRCODE = 'LG013', DETAIL = greatest(0, day_limit - that_day)::text;
    END IF;
    INSERT INTO transfer VALUES (made, 1, from_account, to_account, amount);
    INSERT INTO account_transfer VALUES (request_key, from_account, at, amount, made_by, day_limit);
    UPDATE account a SET transferred_ucr = transferred_ucr - amount
        WHERE user_id = from_account AND available_ucr(a) >= amount;
    IF NOT FOUND THEN
        SELECT available_ucr(a) INTO available FROM account a WHERE user_id = from_account;
        IF available IS NULL THEN
            RAISE EXCEPTION 'there is no account %', from_account USING ERRCODE = 'LG003';
        END IF;
        RAISE EXCEPTION '% ucr are needed', amount USING ERRCODE = 'LG001', DETAIL = available::text;
    END IF;
    UPDATE account SET transferred_ucr = transferred_ucr + amount WHERE user_id = to_account;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no account %', to_account USING ERRCODE = 'LG003';
    END IF;
    RETURN 'done';
END $$;

GRANT EXECUTE ON FUNCTION transfer_credit TO market_app;
