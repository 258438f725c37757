-- What the tables guard by themselves, whoever writes them.
--   LG009  rows of this table are not changed, or not removed

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are only ever added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LG009';
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['journal', 'transfer', 'hold_entry', 'settlement', 'settlement_step', 'usage_line',
        'final_job', 'uptime_line', 'demand_line', 'rate_tick', 'charge', 'payout', 'refund', 'repayment', 'seal_page',
        'seal', 'system_balance', 'account_balance', 'named_givers', 'audit', 'account_transfer'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows stay', TG_OP, TG_TABLE_NAME USING ERRCODE = 'LG009';
END $$;
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON hold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal();

-- What people write waits for the next seal: see the table `unsealed`.
CREATE FUNCTION queue_for_seal() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO unsealed VALUES (TG_TABLE_NAME, NEW.key);
    RETURN NULL;
END $$;
CREATE TRIGGER queue_for_seal AFTER INSERT ON journal
    FOR EACH ROW WHEN (NEW.interval_id IS NULL) EXECUTE FUNCTION queue_for_seal();
CREATE TRIGGER queue_for_seal AFTER INSERT ON hold_entry
    FOR EACH ROW WHEN (NEW.interval_id IS NULL) EXECUTE FUNCTION queue_for_seal();

-- Tables to which one statement adds many rows have a trigger in place of a foreign key: it checks the parents
-- of all rows of a statement together. To check at this moment is enough, as a parent is never removed.
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

CREATE FUNCTION require_hold() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM hold h WHERE h.job_id = a.job_id)) THEN
        RAISE EXCEPTION 'an entry belongs to no hold' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER has_hold AFTER INSERT ON hold_entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_hold();

CREATE FUNCTION require_settlement() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (
               SELECT FROM settlement s WHERE s.interval_id = a.interval_id)) THEN
        RAISE EXCEPTION 'a row of % belongs to no interval', TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER has_settlement AFTER INSERT ON usage_line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_settlement();
CREATE TRIGGER has_settlement AFTER INSERT ON final_job REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_settlement();
CREATE TRIGGER has_settlement AFTER INSERT ON charge REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_settlement();
CREATE TRIGGER has_settlement AFTER INSERT ON account_balance REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION require_settlement();

-- Two polls of the meter that are far apart leave a gap.
CREATE FUNCTION note_meter_gap() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO meter_gap VALUES (OLD.at_ms, NEW.at_ms) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER note_gap AFTER UPDATE ON meter_mark FOR EACH ROW
    WHEN (NEW.at_ms - OLD.at_ms > 10000) EXECUTE FUNCTION note_meter_gap();
