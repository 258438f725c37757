-- What the digests of seals are made of: every row that a seal covers, as text.
--
-- A text lists its columns one by one: a column that is added to a table later changes no text, and no seal that
-- was made of it. `texts` has one text for each version of the list, the newest last. A page of digests says in
-- `seal_page.version` which one it was made of; new pages take the newest.
--
-- To have another column sealed, add a text behind the others of its table, as
--     ARRAY[ROW(container_id, interval_id)::text, ROW(container_id, interval_id, new_column)::text]
-- The texts before it stay as they are for as long as there are seals of them. The first ones are those of the
-- time when whole rows were sealed: the columns that the tables had then, in their order.

CREATE FUNCTION digest_of(body text) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$ SELECT sha256(convert_to(body, 'UTF8')) $$;

-- A posting with all its transfers.
CREATE VIEW journal_text AS
    SELECT j.key, j.interval_id, ARRAY[
           ROW(j.key, j.kind, j.at_ms, j.interval_id, j.job_id, j.machine_id, j.note)::text
           || coalesce((SELECT string_agg(ROW(leg, payer, payee, amount_ucr)::text, '' ORDER BY leg)
                        FROM transfer t WHERE t.journal_id = j.journal_id), '')] AS texts
    FROM journal j;

CREATE VIEW hold_entry_text AS
    SELECT key, interval_id, ARRAY[ROW(key, job_id, kind, amount_ucr, total_ucr, at_ms, interval_id)::text] AS texts
    FROM hold_entry;

-- All of them. `interval_id` is the settlement that wrote the row; what people wrote is sealed by the next
-- settlement after its commit.
CREATE VIEW sealable AS
    SELECT 'journal' AS kind, key, interval_id, texts FROM journal_text
    UNION ALL
    SELECT 'hold_entry', key, interval_id, texts FROM hold_entry_text
    UNION ALL
    SELECT 'settlement', interval_id::text, interval_id,
           ARRAY[ROW(interval_id, from_ms, until_ms, fee_micro, stipend_ucr, stipend_cap_ucr, initial_rate_micro,
                     rate_min_micro, rate_max_micro, target_micro, lost_after_ms)::text,
                 ROW(interval_id, from_ms, until_ms, fee_micro, stipend_ucr, stipend_cap_ucr, initial_rate_micro,
                     rate_min_micro, rate_max_micro, target_micro, lost_after_ms, refund_bound_ucr)::text]
    FROM settlement
    UNION ALL
    SELECT 'usage_line', container_id || '@' || interval_id, interval_id,
           ARRAY[ROW(container_id, interval_id, job_id, attempt, role, machine_id, host, vcores, memory_mib, start_ms,
                     held_ms, charged_ms, amount_ucr, final, not_charged_because)::text]
    FROM usage_line
    UNION ALL
    SELECT 'final_job', job_id, interval_id,
           ARRAY[ROW(job_id, interval_id, pool_failure)::text]
    FROM final_job
    UNION ALL
    SELECT 'uptime_line', machine_id || '@' || interval_id, interval_id,
           ARRAY[ROW(machine_id, interval_id, user_id, online_ms, used_core_ms, idle_core_ms)::text]
    FROM uptime_line
    UNION ALL
    SELECT 'demand_line', interval_id::text, interval_id,
           ARRAY[ROW(interval_id, total_mib_ms, wanted_mib_ms, total_vcore_ms, wanted_vcore_ms)::text]
    FROM demand_line
    UNION ALL
    SELECT 'rate_tick', interval_id::text, interval_id,
           ARRAY[ROW(interval_id, utilisation_micro, error_micro, x_micro, rate_micro)::text]
    FROM rate_tick
    UNION ALL
    SELECT 'charge', container_id || '@' || interval_id, interval_id,
           ARRAY[ROW(container_id, interval_id, amount_ucr, total_ucr)::text]
    FROM charge
    UNION ALL
    SELECT 'payout', machine || '@' || interval_id, interval_id,
           ARRAY[ROW(interval_id, machine, payee, captured_ucr, fee_ucr, stipend_ucr)::text]
    FROM payout
    UNION ALL
    SELECT 'refund', job_id || ':' || attempt, interval_id,
           ARRAY[ROW(job_id, attempt, interval_id, amount_ucr)::text,
                 ROW(job_id, attempt, interval_id, amount_ucr, paid_ucr, own_ucr, return_ucr, machine_id, lender)::text]
    FROM refund
    UNION ALL
    SELECT 'repayment', job_id || ':' || attempt || '@' || interval_id, interval_id,
           ARRAY[ROW(job_id, attempt, interval_id, amount_ucr)::text]
    FROM repayment
    UNION ALL
    SELECT 'system_balance', account || '@' || interval_id, interval_id,
           ARRAY[ROW(interval_id, account, balance_ucr)::text]
    FROM system_balance
    UNION ALL
    SELECT 'account_balance', user_id || '@' || interval_id, interval_id,
           ARRAY[ROW(user_id, interval_id, granted_ucr, shared_ucr, used_ucr)::text,
                 ROW(user_id, interval_id, granted_ucr, shared_ucr, used_ucr, transferred_ucr)::text]
    FROM account_balance;
