-- Whether the ledger is as it was sealed, and whether it adds up: `violations` is made of `sql/invariants/`.
--   LG020  an invariant does not hold

-- What in closed intervals is not as it was sealed: no row if all is well. Each row is compared in that version
-- of its text of which its seal was made; where there is no such version, the row counts as changed. A seal is
-- missing where a step or a page of digests says that there was one, and changed where it does not follow from
-- its digests or counts another number of rows. Missing steps are named as well: the invariants of an
-- interval's payments and of its tick are checked only for steps that are there.
CREATE FUNCTION verify_ledger()
RETURNS TABLE (interval_id bigint, kind text, key text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT coalesce(r.interval_id, s.interval_id), coalesce(r.kind, s.kind), coalesce(r.key, s.key),
           CASE WHEN s.key IS NULL THEN 'missing' WHEN r.key IS NULL THEN 'added' ELSE 'changed' END
    FROM sealed_row r FULL JOIN sealable s USING (kind, key)
    WHERE s.key IS NULL OR r.key IS NOT NULL AND r.sha256 IS DISTINCT FROM digest_of(s.texts[r.version])
       OR r.key IS NULL AND CASE WHEN s.interval_id IS NULL
            THEN NOT EXISTS (SELECT FROM unsealed q WHERE q.kind = s.kind AND q.key = s.key)
            ELSE EXISTS (SELECT FROM seal WHERE seal.interval_id = s.interval_id) END
    UNION ALL
    SELECT i.interval_id, 'seal', i.interval_id::text,
           CASE WHEN seal.interval_id IS NULL THEN 'missing' ELSE 'changed' END
    FROM (SELECT t.interval_id FROM settlement_step t WHERE t.step = 'seal'
          UNION SELECT p.interval_id FROM seal_page p
          UNION SELECT l.interval_id FROM seal l) i
    LEFT JOIN seal USING (interval_id)
    WHERE seal.sha256 IS DISTINCT FROM seal_of(i.interval_id)
       OR seal.row_count <> (SELECT coalesce(sum(cardinality(p.keys)), 0) FROM seal_page p
                             WHERE p.interval_id = i.interval_id)
    UNION ALL
    SELECT l.interval_id, 'settlement_step', l.interval_id || ' ' || name, 'missing'
    FROM seal l
    CROSS JOIN unnest(ARRAY['freeze', 'price', 'capture', 'pay', 'reconcile', 'seal']) name
    WHERE NOT EXISTS (SELECT FROM settlement_step t WHERE t.interval_id = l.interval_id AND t.step = name)
    UNION ALL
    SELECT n.number, 'settlement', n.number::text, 'missing'
    FROM generate_series(1, (SELECT max(x.interval_id) FROM sealed_row x)) n (number)
    WHERE NOT EXISTS (SELECT FROM settlement x WHERE x.interval_id = n.number)
    ORDER BY 1, 2, 3
$$;

-- Fail if an invariant does not hold for what no seal covers yet. Raises LG020 (DETAIL: what does not fit).
CREATE FUNCTION refuse_violations() RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found text;
BEGIN
    SELECT string_agg(format('%s: %s: %s', invariant, subject, detail), E'\n') INTO found
        FROM (SELECT * FROM violations(true) LIMIT 100) v;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger does not add up' USING ERRCODE = 'LG020', DETAIL = found;
    END IF;
END $$;

-- The step reconcile: it records that all invariants hold, or fails. It repairs nothing.
CREATE FUNCTION settle_reconcile(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'reconcile') THEN
        RETURN false;
    END IF;
    PERFORM refuse_violations();
    INSERT INTO settlement_step VALUES (iv, 'reconcile', now_ms());
    RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION verify_ledger, settle_reconcile TO market_app;
