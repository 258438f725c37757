-- Corrections of the settlement, one more invariant, and the meter's pauses.

-- As in 0006, but whether a job was captured is asked for that job: there the inner `job_id` was the entry's
-- own, so that all jobs after the first chunk counted as done, and the reconciliation refused the interval.
-- Charge the next `most` jobs of an interval, by job_id after `after_job`. Answers the last one of them, NULL
-- when none was left: the step is done then. One call is one transaction: it locks few payers for a short time.
CREATE OR REPLACE FUNCTION settle_capture(iv bigint, after_job text, most integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    chunk text[];
    last_job text;
    until bigint;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'capture') THEN
        RETURN NULL;
    END IF;
    SELECT until_ms INTO until FROM settlement WHERE interval_id = iv;
    SELECT array_agg(job_id) FILTER (WHERE NOT done), max(job_id) INTO chunk, last_job FROM (
        SELECT both_kinds.job_id, EXISTS (SELECT FROM hold_entry e
                               WHERE e.key = 'capture:' || both_kinds.job_id || ':' || iv) AS done
        FROM (SELECT job_id::text FROM usage_line WHERE interval_id = iv AND job_id > after_job
              UNION SELECT job_id::text FROM final_job WHERE interval_id = iv AND job_id > after_job) both_kinds
        ORDER BY both_kinds.job_id LIMIT most
    ) next_jobs;
    IF last_job IS NULL THEN
        INSERT INTO settlement_step VALUES (iv, 'capture', now_ms());
        RETURN NULL;
    ELSIF chunk IS NOT NULL THEN
        PERFORM FROM hold WHERE job_id = ANY (chunk) ORDER BY job_id FOR NO KEY UPDATE;
        PERFORM charge_jobs(iv, chunk, until);
        PERFORM release_jobs(iv, chunk, until);
        PERFORM take_from_accounts(iv, chunk);
    END IF;
    RETURN last_job;
END $$;

-- Who is paid is who lends the machine; for the market's own machines, and those that nobody registered, the
-- treasury is.
CREATE FUNCTION invariant_payee(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('interval %s, machine %s', s.interval_id, p.machine),
           format('paid %s, not its owner %s', p.payee, coalesce(m.user_id, 'treasury'))
    FROM new_intervals(only_new) s
    JOIN payout p USING (interval_id)
    LEFT JOIN machine m ON m.machine_id::text = p.machine
    WHERE p.payee <> coalesce(m.user_id, 'treasury')
$$;

CREATE OR REPLACE FUNCTION violations(only_new boolean) RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT 'zero_sum', v.* FROM invariant_zero_sum(only_new) v
    UNION ALL SELECT 'account', v.* FROM invariant_account(only_new) v
    UNION ALL SELECT 'hold', v.* FROM invariant_hold(only_new) v
    UNION ALL SELECT 'payout', v.* FROM invariant_payout(only_new) v
    UNION ALL SELECT 'payee', v.* FROM invariant_payee(only_new) v
    UNION ALL SELECT 'supply', v.* FROM invariant_supply(only_new) v
    UNION ALL SELECT 'unknown_account', v.* FROM invariant_unknown_account(only_new) v
    UNION ALL SELECT 'tick', v.* FROM invariant_tick(only_new) v
    UNION ALL SELECT 'sealed_once', v.* FROM invariant_sealed_once(only_new) v
    UNION ALL SELECT 'charge', v.* FROM invariant_charge(only_new) v
    UNION ALL SELECT 'uptime', v.* FROM invariant_uptime(only_new) v
    UNION ALL SELECT 'refund', v.* FROM invariant_refund(only_new) v
$$;
REVOKE EXECUTE ON FUNCTION invariant_payee FROM PUBLIC;

-- Times in which the meter did not look: longer than a few polls. A container that no poll saw lived within one
-- of them, or shorter than two polls are apart; whoever says otherwise of it is not believed.

CREATE TABLE meter_gap (
    from_ms  bigint PRIMARY KEY,
    to_ms    bigint NOT NULL,
    CHECK (to_ms > from_ms)
);

CREATE FUNCTION note_meter_gap() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    INSERT INTO meter_gap VALUES (OLD.at_ms, NEW.at_ms) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER note_gap AFTER UPDATE ON meter_mark FOR EACH ROW
    WHEN (NEW.at_ms - OLD.at_ms > 10000) EXECUTE FUNCTION note_meter_gap();

REVOKE EXECUTE ON FUNCTION note_meter_gap FROM PUBLIC;
GRANT SELECT ON meter_gap TO market_app;
