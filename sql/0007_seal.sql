-- Seals: each closed interval has the digest of every row that belongs to it, and a hash over those digests
-- and the seal before. A row that is changed, removed or added afterwards, by whoever, is named by
-- verify_ledger(); so is a seal that no longer follows from its rows.

-- A posting with all its transfers, as text.
CREATE FUNCTION body_of(j journal) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(j.key, j.kind, j.at_ms, j.interval_id, j.job_id, j.machine_id, j.note,
        (SELECT jsonb_agg(jsonb_build_array(leg, payer, payee, amount_ucr) ORDER BY leg)
         FROM transfer t WHERE t.journal_id = j.journal_id))::text
$$;

-- Every row that a seal covers, as text. `interval_id` is set for rows that a settlement wrote; the others
-- are sealed by the next settlement after their commit. A column that is added to one of these tables later
-- must be taken out of the text here, or old seals no longer hold.
CREATE VIEW sealable AS
    SELECT 'journal' AS kind, key, NULL::bigint AS interval_id, body_of(j) AS body FROM journal j
    UNION ALL SELECT 'hold_entry', key, NULL, to_jsonb(r)::text FROM hold_entry r
    UNION ALL SELECT 'settlement', interval_id::text, interval_id, to_jsonb(r)::text FROM settlement r
    UNION ALL SELECT 'usage_line', container_id || '@' || interval_id, interval_id, to_jsonb(r)::text
              FROM usage_line r
    UNION ALL SELECT 'final_job', job_id, interval_id, to_jsonb(r)::text FROM final_job r
    UNION ALL SELECT 'uptime_line', machine_id || '@' || interval_id, interval_id, to_jsonb(r)::text
              FROM uptime_line r
    UNION ALL SELECT 'demand_line', interval_id::text, interval_id, to_jsonb(r)::text FROM demand_line r
    UNION ALL SELECT 'rate_tick', interval_id::text, interval_id, to_jsonb(r)::text FROM rate_tick r
    UNION ALL SELECT 'charge', container_id || '@' || interval_id, interval_id, to_jsonb(r)::text FROM charge r
    UNION ALL SELECT 'payout', machine || '@' || interval_id, interval_id, to_jsonb(r)::text FROM payout r
    UNION ALL SELECT 'refund', job_id || ':' || attempt, interval_id, to_jsonb(r)::text FROM refund r
    UNION ALL SELECT 'system_balance', account || '@' || interval_id, interval_id, to_jsonb(r)::text
              FROM system_balance r;

CREATE FUNCTION digest_of(body text) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$ SELECT sha256(convert_to(body, 'UTF8')) $$;

-- The seal of an interval that follows from its rows' digests and the seal before.
CREATE FUNCTION seal_of(iv bigint) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce((SELECT sha256 FROM seal WHERE interval_id = iv - 1), '')
                  || coalesce(string_agg(convert_to(kind || ' ' || key || ' ', 'UTF8') || sha256, ''
                                         ORDER BY kind COLLATE "C", key COLLATE "C"), ''))
    FROM sealed_row WHERE interval_id = iv
$$;

CREATE FUNCTION settle_seal(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'seal') THEN
        RETURN false;
    END IF;
    -- Not through the view: a join with it reads every posting that there ever was.
    WITH claimed AS (DELETE FROM unsealed RETURNING kind, key)
        INSERT INTO sealed_row
            SELECT c.kind, c.key, iv, digest_of(body_of(j)) FROM claimed c JOIN journal j USING (key)
            WHERE c.kind = 'journal'
            UNION ALL
            SELECT c.kind, c.key, iv, digest_of(to_jsonb(e)::text) FROM claimed c JOIN hold_entry e USING (key)
            WHERE c.kind = 'hold_entry';
    INSERT INTO system_balance
        SELECT iv, name, coalesce(b.balance_ucr, 0) + coalesce(m.ucr, 0)
        FROM unnest(ARRAY['treasury', 'pool', 'fee']) name
        LEFT JOIN system_balance b ON b.account = name AND b.interval_id = iv - 1
        LEFT JOIN (
            SELECT side.account, sum(side.ucr) AS ucr
            FROM sealed_row r
            JOIN journal j USING (key)
            JOIN transfer t USING (journal_id)
            CROSS JOIN LATERAL (VALUES (t.payer, -t.amount_ucr), (t.payee, t.amount_ucr)) side (account, ucr)
            WHERE r.kind = 'journal' AND r.interval_id = iv
            GROUP BY side.account) m ON m.account = name;
    INSERT INTO sealed_row SELECT kind, key, iv, digest_of(body) FROM sealable WHERE interval_id = iv;
    INSERT INTO seal SELECT iv, (SELECT count(*) FROM sealed_row WHERE interval_id = iv), seal_of(iv);
    INSERT INTO settlement_step VALUES (iv, 'seal', now_ms());
    RETURN true;
END $$;

-- What in closed intervals is not as it was sealed: no row if all is well.
CREATE FUNCTION verify_ledger() RETURNS TABLE (interval_id bigint, kind text, key text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT coalesce(r.interval_id, s.interval_id), coalesce(r.kind, s.kind), coalesce(r.key, s.key),
           CASE WHEN s.key IS NULL THEN 'missing' WHEN r.key IS NULL THEN 'added' ELSE 'changed' END
    FROM sealed_row r FULL JOIN sealable s USING (kind, key)
    WHERE s.key IS NULL OR r.sha256 <> digest_of(s.body)
       OR r.key IS NULL AND CASE WHEN s.interval_id IS NULL
            THEN NOT EXISTS (SELECT FROM unsealed q WHERE q.kind = s.kind AND q.key = s.key)
            ELSE EXISTS (SELECT FROM seal WHERE seal.interval_id = s.interval_id) END
    UNION ALL
    SELECT i.interval_id, 'seal', i.interval_id::text,
           CASE WHEN seal.interval_id IS NULL THEN 'missing' ELSE 'changed' END
    FROM settlement_step i LEFT JOIN seal USING (interval_id)
    WHERE i.step = 'seal' AND seal.sha256 IS DISTINCT FROM seal_of(i.interval_id)
    UNION ALL
    SELECT n.number, 'settlement', n.number::text, 'missing'
    FROM generate_series(1, (SELECT max(x.interval_id) FROM sealed_row x)) n (number)
    WHERE NOT EXISTS (SELECT FROM settlement x WHERE x.interval_id = n.number)
    ORDER BY 1, 2, 3
$$;
