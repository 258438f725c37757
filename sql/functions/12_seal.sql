-- The step seal: each closed interval has the digest of every row that belongs to it, and a hash over those
-- digests and the seal before. A row that is changed, removed or added afterwards, by whoever, is named by
-- verify_ledger(); so is a seal that no longer follows from its rows.

CREATE VIEW sealed_row AS
    SELECT kind, key, interval_id, sha256, version
    FROM seal_page CROSS JOIN LATERAL unnest(keys, digests) row (key, sha256);

-- The seal of an interval that follows from its rows' digests and the seal before.
CREATE FUNCTION seal_of(iv bigint) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce((SELECT sha256 FROM seal WHERE interval_id = iv - 1), '') || coalesce(string_agg(
        (SELECT string_agg(convert_to(p.kind || ' ' || key || ' ', 'UTF8') || sha256, '' ORDER BY place)
         FROM unnest(p.keys, p.digests) WITH ORDINALITY row (key, sha256, place)),
        '' ORDER BY p.kind COLLATE "C", p.page), ''))
    FROM seal_page p WHERE p.interval_id = iv
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
               coalesce(b.used_ucr, 0) + m.used, coalesce(b.transferred_ucr, 0) + m.transferred
        FROM (SELECT c.user_id, sum(c.granted_ucr) AS granted, sum(c.shared_ucr) AS shared, sum(c.used_ucr) AS used,
                     sum(c.transferred_ucr) AS transferred
              FROM sealed_transfers(iv, journals) t
              CROSS JOIN LATERAL account_change(t.kind, t.payer, t.payee, t.amount_ucr) c
              GROUP BY c.user_id) m
        LEFT JOIN LATERAL (SELECT * FROM account_balance WHERE account_balance.user_id = m.user_id
                           ORDER BY interval_id DESC LIMIT 1) b ON true;
$$;

-- Digest what the seal covers, in the newest text of each table: of people's rows those with the given keys, and
-- all that the settlement wrote.
CREATE FUNCTION write_seal_pages(iv bigint, journals text[], entries text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO seal_page (interval_id, kind, page, keys, digests, version)
        SELECT iv, kind, page, array_agg(key ORDER BY number), array_agg(sha256 ORDER BY number), version
        FROM (
            SELECT kind, key, sha256, version, number, (number - 1) / 200 AS page
            FROM (
                SELECT kind, key, digest_of(texts[cardinality(texts)]) AS sha256, cardinality(texts) AS version,
                       row_number() OVER (PARTITION BY kind ORDER BY key COLLATE "C")::integer AS number
                FROM (
                    SELECT 'journal' AS kind, key, texts FROM journal_text WHERE key = ANY (journals)
                    UNION ALL
                    SELECT 'hold_entry', key, texts FROM hold_entry_text WHERE key = ANY (entries)
                    UNION ALL
                    SELECT kind, key, texts FROM sealable WHERE interval_id = iv
                ) body
            ) numbered
        ) paged
        GROUP BY kind, page, version
$$;

-- Raises LG010, and LG020 (DETAIL: what does not fit) if what is to be sealed does not add up.
CREATE FUNCTION settle_seal(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp SET work_mem = '64MB' AS $$
DECLARE
    kinds text[];
    posted text[];
    journals text[];
    entries text[];
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'seal') THEN
        RETURN false;
    END IF;
    SELECT array_agg(kind), array_agg(key) INTO kinds, posted FROM unsealed;
    -- People go on posting after the step reconcile. What is checked here has all rows that are sealed here: those
    -- that come later wait for the next seal.
    PERFORM refuse_violations();
    WITH claimed AS (DELETE FROM unsealed q USING unnest(kinds, posted) seen (kind, key)
                     WHERE q.kind = seen.kind AND q.key = seen.key RETURNING q.kind, q.key)
        SELECT array_agg(key) FILTER (WHERE kind = 'journal'), array_agg(key) FILTER (WHERE kind = 'hold_entry')
        INTO journals, entries FROM claimed;
    PERFORM take_balances(iv, journals);
    PERFORM write_seal_pages(iv, journals, entries);
    INSERT INTO seal
        SELECT iv, (SELECT coalesce(sum(cardinality(keys)), 0) FROM seal_page WHERE interval_id = iv), seal_of(iv);
    INSERT INTO settlement_step VALUES (iv, 'seal', now_ms());
    RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION settle_seal TO market_app;
