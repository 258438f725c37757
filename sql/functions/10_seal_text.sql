-- What the digests of seals are made of: every row that a seal covers, as text.

-- A posting with all its transfers, as text.
CREATE VIEW journal_body AS
    SELECT j.key, j.interval_id,
           ROW(j.key, j.kind, j.at_ms, j.interval_id, j.job_id, j.machine_id, j.note)::text
           || coalesce((SELECT string_agg(ROW(leg, payer, payee, amount_ucr)::text, '' ORDER BY leg)
                        FROM transfer t WHERE t.journal_id = j.journal_id), '') AS body
    FROM journal j;

-- Every row that a seal covers, as text. `interval_id` is the settlement that wrote it; what people wrote is
-- sealed by the next settlement after its commit. A column that is added to one of these tables later
-- must be taken out of the text here, or old seals no longer hold.
CREATE VIEW sealable AS
    SELECT 'journal' AS kind, key, interval_id, body FROM journal_body
    UNION ALL SELECT 'hold_entry', key, interval_id, r::text FROM hold_entry r
    UNION ALL SELECT 'settlement', interval_id::text, interval_id, r::text FROM settlement r
    UNION ALL SELECT 'usage_line', container_id || '@' || interval_id, interval_id, r::text
              FROM usage_line r
    UNION ALL SELECT 'final_job', job_id, interval_id, r::text FROM final_job r
    UNION ALL SELECT 'uptime_line', machine_id || '@' || interval_id, interval_id, r::text
              FROM uptime_line r
    UNION ALL SELECT 'demand_line', interval_id::text, interval_id, r::text FROM demand_line r
    UNION ALL SELECT 'rate_tick', interval_id::text, interval_id, r::text FROM rate_tick r
    UNION ALL SELECT 'charge', container_id || '@' || interval_id, interval_id, r::text FROM charge r
    UNION ALL SELECT 'payout', machine || '@' || interval_id, interval_id, r::text FROM payout r
    UNION ALL SELECT 'refund', job_id || ':' || attempt, interval_id, r::text FROM refund r
    UNION ALL SELECT 'system_balance', account || '@' || interval_id, interval_id, r::text
              FROM system_balance r
    UNION ALL SELECT 'account_balance', user_id || '@' || interval_id, interval_id, r::text
              FROM account_balance r;

CREATE FUNCTION digest_of(body text) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$ SELECT sha256(convert_to(body, 'UTF8')) $$;
