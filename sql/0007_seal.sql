-- Seals: each closed interval has the digest of every row that belongs to it, and a hash over those digests
-- and the seal before. A row that is changed, removed or added afterwards, by whoever, is named by
-- verify_ledger(); so is a seal that no longer follows from its rows.

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

-- The seal of an interval that follows from its rows' digests and the seal before.
CREATE FUNCTION seal_of(iv bigint) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce((SELECT sha256 FROM seal WHERE interval_id = iv - 1), '') || coalesce(string_agg(
        (SELECT string_agg(convert_to(p.kind || ' ' || key || ' ', 'UTF8') || sha256, '' ORDER BY place)
         FROM unnest(p.keys, p.digests) WITH ORDINALITY row (key, sha256, place)),
        '' ORDER BY p.kind COLLATE "C", p.page), ''))
    FROM seal_page p WHERE p.interval_id = iv
$$;

-- The interval that is being settled; NULL: the last one is sealed.
CREATE FUNCTION open_interval() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT interval_id FROM (SELECT interval_id FROM settlement ORDER BY interval_id DESC LIMIT 1) last
    WHERE NOT EXISTS (SELECT FROM settlement_step t WHERE t.interval_id = last.interval_id AND t.step = 'seal')
$$;

-- What no seal covers yet: what people made since the last one, and what the open interval's settlement did.
-- `OFFSET 0` has each row fetched by its key. The queue is long at one time and empty at another; a plan for a
-- long one would read every posting that there ever was.
CREATE VIEW unsealed_journal AS
    SELECT j.* FROM unsealed q
    CROSS JOIN LATERAL (SELECT * FROM journal WHERE journal.key = q.key OFFSET 0) j WHERE q.kind = 'journal'
    UNION ALL
    SELECT * FROM journal WHERE interval_id = open_interval();
CREATE VIEW unsealed_transfer AS
    SELECT j.key, j.kind, t.* FROM unsealed_journal j
    CROSS JOIN LATERAL (SELECT * FROM transfer WHERE transfer.journal_id = j.journal_id OFFSET 0) t;
CREATE VIEW unsealed_hold_entry AS
    SELECT e.* FROM unsealed q
    CROSS JOIN LATERAL (SELECT * FROM hold_entry WHERE hold_entry.key = q.key OFFSET 0) e
    WHERE q.kind = 'hold_entry'
    UNION ALL
    SELECT * FROM hold_entry WHERE interval_id = open_interval();

-- What a transfer changes in the accounts of members.
CREATE FUNCTION account_change(kind text, payer text, payee text, amount_ucr bigint)
RETURNS TABLE (user_id text, granted_ucr bigint, shared_ucr bigint, used_ucr bigint)
LANGUAGE sql IMMUTABLE AS $$
    SELECT side.user_id,
           CASE WHEN kind = 'grant' THEN side.ucr ELSE 0 END,
           CASE WHEN kind IN ('pay', 'stipend') THEN side.ucr ELSE 0 END,
           CASE WHEN kind IN ('capture', 'refund') THEN -side.ucr ELSE 0 END
    FROM (VALUES (payer, -amount_ucr), (payee, amount_ucr)) side (user_id, ucr)
    WHERE length(side.user_id) = 32
$$;

-- The transfers that a seal covers: of people's postings, by their keys, and the interval's own.
CREATE FUNCTION sealed_transfers(iv bigint, journals text[]) RETURNS SETOF unsealed_transfer
LANGUAGE sql STABLE AS $$
    SELECT j.key, j.kind, t.*
    FROM (SELECT key, kind, journal_id FROM journal WHERE key = ANY (journals)
          UNION ALL SELECT key, kind, journal_id FROM journal WHERE interval_id = iv) j
    CROSS JOIN LATERAL (SELECT * FROM transfer WHERE transfer.journal_id = j.journal_id OFFSET 0) t
$$;

-- Bring the balances up to this seal.
CREATE FUNCTION take_balances(iv bigint, journals text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO system_balance
        SELECT iv, name, coalesce(b.balance_ucr, 0) + coalesce(m.ucr, 0)
        FROM unnest(ARRAY['treasury', 'pool', 'fee']) name
        LEFT JOIN system_balance b ON b.account = name AND b.interval_id = iv - 1
        LEFT JOIN (
            SELECT side.account, sum(side.ucr) AS ucr
            FROM sealed_transfers(iv, journals) t
            CROSS JOIN LATERAL (VALUES (t.payer, -t.amount_ucr), (t.payee, t.amount_ucr)) side (account, ucr)
            WHERE length(side.account) < 32
            GROUP BY side.account) m ON m.account = name;
    INSERT INTO account_balance
        SELECT m.user_id, iv, coalesce(b.granted_ucr, 0) + m.granted, coalesce(b.shared_ucr, 0) + m.shared,
               coalesce(b.used_ucr, 0) + m.used
        FROM (SELECT c.user_id, sum(c.granted_ucr) AS granted, sum(c.shared_ucr) AS shared, sum(c.used_ucr) AS used
              FROM sealed_transfers(iv, journals) t
              CROSS JOIN LATERAL account_change(t.kind, t.payer, t.payee, t.amount_ucr) c
              GROUP BY c.user_id) m
        LEFT JOIN LATERAL (SELECT * FROM account_balance WHERE account_balance.user_id = m.user_id
                           ORDER BY interval_id DESC LIMIT 1) b ON true;
$$;

-- Digest what the seal covers: of people's rows those with the given keys, and all that the settlement wrote.
CREATE FUNCTION write_seal_pages(iv bigint, journals text[], entries text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO seal_page
        SELECT iv, kind, page, array_agg(key ORDER BY number), array_agg(sha256 ORDER BY number)
        FROM (
            SELECT kind, key, sha256, number, (number - 1) / 200 AS page
            FROM (
                SELECT kind, key, digest_of(body) AS sha256,
                       row_number() OVER (PARTITION BY kind ORDER BY key COLLATE "C")::integer AS number
                FROM (
                    SELECT 'journal' AS kind, key, body FROM journal_body WHERE key = ANY (journals)
                    UNION ALL
                    SELECT 'hold_entry', key, e::text FROM hold_entry e WHERE key = ANY (entries)
                    UNION ALL
                    SELECT kind, key, body FROM sealable WHERE interval_id = iv
                ) body
            ) numbered
        ) paged
        GROUP BY kind, page
$$;

CREATE FUNCTION settle_seal(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp SET work_mem = '64MB' AS $$
DECLARE
    journals text[];
    entries text[];
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'seal') THEN
        RETURN false;
    END IF;
    WITH claimed AS (DELETE FROM unsealed RETURNING kind, key)
        SELECT array_agg(key) FILTER (WHERE kind = 'journal'), array_agg(key) FILTER (WHERE kind = 'hold_entry')
        INTO journals, entries FROM claimed;
    PERFORM take_balances(iv, journals);
    PERFORM write_seal_pages(iv, journals, entries);
    INSERT INTO seal
        SELECT iv, (SELECT coalesce(sum(cardinality(keys)), 0) FROM seal_page WHERE interval_id = iv), seal_of(iv);
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
