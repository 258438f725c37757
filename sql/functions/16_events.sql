-- What people are told of: each trigger writes into the outbox in the transaction that makes it true. Kinds and their
-- words are in plugins/market/notifications/kinds.py.

CREATE FUNCTION event_write(
    kind text, for_user hex_id, of_job hex_id, of_machine hex_id, data jsonb, once text DEFAULT NULL
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    INSERT INTO event (event_id, at_ms, kind, user_id, job_id, machine_id, data, once)
    VALUES (replace(gen_random_uuid()::text, '-', ''), now_ms(), kind, for_user, of_job, of_machine, data, once)
    ON CONFLICT (once) DO NOTHING
$$;

CREATE FUNCTION credits_text(ucr bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT trim_scale(round(ucr / 1000000.0, 6))::text $$;

CREATE FUNCTION tell_of_job() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
DECLARE
    said jsonb := jsonb_build_object('job_name', NEW.job_name, 'status', NEW.status,
                                     'reason_code', NEW.reason_code, 'reason', NEW.reason);
BEGIN
    IF OLD.status <> NEW.status AND NEW.status = 'running' THEN
        PERFORM event_write('job_started', NEW.user_id, NEW.job_id, NULL, said);
    ELSIF OLD.status <> NEW.status AND NEW.status IN ('succeeded', 'cancelled') THEN
        PERFORM event_write('job_ended', NEW.user_id, NEW.job_id, NULL, said);
    ELSIF OLD.status <> NEW.status AND NEW.status IN ('failed', 'lost') THEN
        PERFORM event_write('job_failed', NEW.user_id, NEW.job_id, NULL, said);
    END IF;
    -- Whoever stops his own job knows of it.
    IF OLD.stop_code IS NULL AND (NEW.stop_code <> 'cancelled' OR NEW.stop_code = 'cancelled'
            AND NEW.cancelled_by <> (SELECT username FROM member WHERE user_id = NEW.user_id)) THEN
        PERFORM event_write('job_stopped', NEW.user_id, NEW.job_id, NULL,
                            said || jsonb_build_object('reason_code', NEW.stop_code, 'reason', NEW.stop_reason));
    END IF;
    IF OLD.warned_ms IS NULL AND NEW.warned_ms IS NOT NULL THEN
        PERFORM event_write('job_hold', NEW.user_id, NEW.job_id, NULL, said || jsonb_build_object(
            'hold', credits_text((SELECT amount_ucr FROM hold WHERE job_id = NEW.job_id))));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF status, stop_code, warned_ms ON job FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.stop_code IS DISTINCT FROM NEW.stop_code
          OR OLD.warned_ms IS DISTINCT FROM NEW.warned_ms)
    EXECUTE FUNCTION tell_of_job();

CREATE FUNCTION tell_of_extension() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM event_write('job_extended', j.user_id, j.job_id, NULL, jsonb_build_object(
                            'job_name', j.job_name, 'hold', credits_text(NEW.total_ucr)))
        FROM job j WHERE j.job_id = NEW.job_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON hold_entry FOR EACH ROW
    WHEN (NEW.kind = 'extend' AND starts_with(NEW.key, 'auto:')) EXECUTE FUNCTION tell_of_extension();

CREATE FUNCTION tell_of_machine() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
DECLARE
    told text := CASE
        WHEN NEW.state = 'active' AND OLD.state IN ('offered', 'joining', 'resting', 'lost') THEN 'machine_joined'
        WHEN NEW.state = 'lost' THEN 'machine_lost'
        WHEN NEW.state = 'rejected' THEN 'machine_rejected'
        WHEN NEW.state IN ('left', 'resting') AND OLD.state = 'draining' THEN 'machine_drained' END;
BEGIN
    IF told IS NOT NULL THEN
        PERFORM event_write(told, NEW.user_id, NULL, NEW.machine_id, jsonb_build_object(
            'machine', NEW.display_name, 'state', NEW.state, 'reason', NEW.reason));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON machine FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NEW.user_id IS NOT NULL) EXECUTE FUNCTION tell_of_machine();

CREATE FUNCTION tell_of_verification() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM event_write('machine_poor', m.user_id, NULL, m.machine_id, jsonb_build_object(
                            'machine', m.display_name, 'reason', NEW.detail))
        FROM machine m WHERE m.machine_id = NEW.machine_id AND m.user_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF outcome ON verification FOR EACH ROW
    WHEN (OLD.outcome IS NULL AND NEW.outcome = 'poor') EXECUTE FUNCTION tell_of_verification();

-- Leases that end within the notice, each once. Nobody changes a row when time passes, so a loop asks.
CREATE FUNCTION tell_of_leases(notice_ms bigint) RETURNS void
LANGUAGE sql SET search_path = market, pg_temp AS $$
    SELECT event_write('lease_ending', m.user_id, NULL, m.machine_id,
                       jsonb_build_object('machine', m.display_name, 'ends_ms', m.lease_end_ms),
                       'lease:' || m.machine_id || ':' || m.lease_end_ms)
    FROM machine m
    WHERE m.state IN ('joining', 'active', 'resting') AND m.user_id IS NOT NULL
      AND m.lease_end_ms BETWEEN now_ms() AND now_ms() + notice_ms
      AND NOT EXISTS (SELECT FROM event e WHERE e.once = 'lease:' || m.machine_id || ':' || m.lease_end_ms)
$$;

-- What somebody is given, or gets back. Of a statement's transfers all at once: a settlement makes thousands.
CREATE FUNCTION tell_of_transfers() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM event_write(CASE j.kind WHEN 'grant' THEN 'grant' ELSE 'refund' END, t.payee::hex_id, j.job_id, NULL,
                        jsonb_build_object('amount', credits_text(t.amount_ucr), 'reason', j.note, 'job_name', w.job_name))
        FROM added t JOIN journal j USING (journal_id) LEFT JOIN job w ON w.job_id = j.job_id
        WHERE j.kind IN ('grant', 'refund', 'return') AND length(t.payee) = 32;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON transfer REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_transfers();

-- What an administrator says of an account that waited for it.
CREATE FUNCTION tell_of_approval() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM event_write('account', NEW.user_id, NULL, NULL, jsonb_build_object(
        'state', NEW.state, 'reason', NEW.reason));
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON approval FOR EACH ROW
    WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION tell_of_approval();

-- Note which thresholds of a budget (of a cap: with its member and month) are passed and were not told yet; return the
-- highest of them, NULL for none. Two transactions that pass one together wait for each other at its row.
CREATE FUNCTION note_budget(
    of_project text, of_user text, of_month bigint, limit_ucr bigint, committed bigint
) RETURNS smallint
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    WITH passed AS (
        INSERT INTO budget_notice (project_id, user_id, month_ms, limit_ucr, percent, at_ms)
        SELECT of_project, of_user, of_month, limit_ucr, percent, now_ms()
        FROM unnest(ARRAY[80, 100]::smallint[]) AS percent
        WHERE limit_ucr > 0 AND committed * 100.0 >= limit_ucr * percent::numeric
        ON CONFLICT DO NOTHING RETURNING percent)
    SELECT max(percent) FROM passed
$$;

-- Of a budget hear the owner and the managers who were made so in this very project. Those of a project above hear of
-- that one's budget.
CREATE FUNCTION tell_of_budget() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
DECLARE
    told smallint := note_budget(NEW.project_id, NULL, NULL, NEW.budget_ucr, NEW.committed_ucr);
BEGIN
    IF told IS NOT NULL THEN
        PERFORM event_write('budget', m.user_id, NULL, NULL, jsonb_build_object(
                'project', NEW.name, 'project_id', NEW.project_id, 'percent', told,
                'budget', credits_text(NEW.budget_ucr), 'left', credits_text(NEW.budget_ucr - NEW.committed_ucr)))
            FROM project_member m WHERE m.project_id = NEW.project_id AND m.role IN ('owner', 'manager');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF committed_ucr, budget_ucr ON project FOR EACH ROW
    WHEN (NEW.committed_ucr > OLD.committed_ucr OR NEW.budget_ucr <> OLD.budget_ucr)
    EXECUTE FUNCTION tell_of_budget();

-- Of a cap hear the member himself, and who may give him another one. No column has what is committed of a cap: whoever
-- has just read that under the tree's lock says it here.
CREATE FUNCTION tell_of_cap(of_project text, of_user text, month bigint, cap bigint, committed bigint) RETURNS void
LANGUAGE plpgsql SET search_path = market, pg_temp AS $$
DECLARE
    told smallint := note_budget(of_project, of_user, month, cap, committed);
BEGIN
    IF told IS NOT NULL THEN
        PERFORM event_write('cap', m.user_id, NULL, NULL, jsonb_build_object(
                'project', p.name, 'project_id', p.project_id, 'member', w.username, 'percent', told,
                'month', to_char(to_timestamp(month / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM'),
                'cap', credits_text(cap), 'left', credits_text(cap - committed)))
            FROM project_member m JOIN project p USING (project_id) JOIN member w ON w.user_id = of_user
            WHERE m.project_id = of_project AND (m.role IN ('owner', 'manager') OR m.user_id = of_user);
    END IF;
END $$;

-- An alert is raised again and again for as long as its cause lasts: administrators hear of it once, and anew when it
-- comes back after an hour of silence.
CREATE FUNCTION tell_of_alert() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.at_ms - OLD.at_ms > 3600000 THEN
        PERFORM event_write('alert', NULL, NULL, NULL, jsonb_build_object(
            'alert', NEW.kind, 'subject', NEW.subject, 'detail', NEW.detail));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON alert FOR EACH ROW EXECUTE FUNCTION tell_of_alert();

GRANT EXECUTE ON FUNCTION event_write, credits_text, tell_of_leases TO market_app;
