-- Whether the ledger is as it was sealed, and whether it adds up: `violations` is made of `sql/invariants/`.
--   LG020  an invariant does not hold

-- The last interval of which a step, a page of digests or a seal says that it was sealed; 0: none.
CREATE FUNCTION last_sealed() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT greatest(0, (SELECT max(interval_id) FROM seal), (SELECT max(interval_id) FROM seal_page),
                    (SELECT max(interval_id) FROM settlement_step WHERE step = 'seal'))
$$;

-- Up to which interval, and at most to `last`, one statement compares that begins behind `after`: by the number of
-- sealed rows, so that it takes seconds and its memory has a bound, whatever the length of the history. One interval
-- is never cut.
CREATE FUNCTION look_until(after bigint, last bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT coalesce(max(interval_id) FILTER (WHERE before < 20000), least(after + 500, last))
    FROM (SELECT interval_id, sum(row_count) OVER (ORDER BY interval_id) - row_count AS before
          FROM seal WHERE interval_id > after AND interval_id <= least(after + 500, last)) s
$$;

-- What is not as it was sealed in the intervals behind `after`, up to `until`: no row if all is well. Each row is
-- compared in that version of its text of which its seal was made; where there is no such version, the row counts as
-- changed. A seal is missing where a step or a page of digests says that there was one, and changed where it does not
-- follow from its digests and the seal before, or counts another number of rows. Missing steps are named as well: the
-- invariants of an interval's payments and of its tick are checked only for steps that are there.
--
-- It reads these intervals and nothing else: `OFFSET 0` makes the planner fetch what people posted by its key.
CREATE FUNCTION verify_intervals(after bigint, until bigint)
RETURNS TABLE (interval_id bigint, kind text, key text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    WITH sealed AS MATERIALIZED (
        SELECT r.* FROM sealed_row r WHERE r.interval_id > after AND r.interval_id <= until
    ), compared AS (
        SELECT s.*, t.texts FROM sealed s
        LEFT JOIN LATERAL (SELECT j.texts FROM journal_text j WHERE j.key = s.key OFFSET 0) t ON true
        WHERE s.kind = 'journal'
        UNION ALL
        SELECT s.*, t.texts FROM sealed s
        LEFT JOIN LATERAL (SELECT h.texts FROM hold_entry_text h WHERE h.key = s.key OFFSET 0) t ON true
        WHERE s.kind = 'hold_entry'
        UNION ALL
        SELECT s.*, t.texts FROM sealed s
        LEFT JOIN (SELECT x.kind, x.key, x.texts FROM sealable x
                   WHERE x.interval_id > after AND x.interval_id <= until
                     AND x.kind <> 'journal' AND x.kind <> 'hold_entry') t USING (kind, key)
        WHERE s.kind <> 'journal' AND s.kind <> 'hold_entry'
    )
    SELECT c.interval_id, c.kind, c.key, CASE WHEN c.texts IS NULL THEN 'missing' ELSE 'changed' END
    FROM compared c
    WHERE c.texts IS NULL OR c.sha256 IS DISTINCT FROM digest_of(c.texts[c.version])
    UNION ALL
    SELECT x.interval_id, x.kind, x.key, 'added'
    FROM sealable x
    WHERE x.interval_id > after AND x.interval_id <= until
      AND EXISTS (SELECT FROM seal WHERE seal.interval_id = x.interval_id)
      AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = x.kind AND s.key = x.key)
    UNION ALL
    SELECT i.interval_id, 'seal', i.interval_id::text,
           CASE WHEN seal.interval_id IS NULL THEN 'missing' ELSE 'changed' END
    FROM (SELECT t.interval_id FROM settlement_step t WHERE t.step = 'seal'
          UNION SELECT p.interval_id FROM seal_page p
          UNION SELECT l.interval_id FROM seal l) i
    LEFT JOIN seal USING (interval_id)
    WHERE i.interval_id > after AND i.interval_id <= until
      AND (seal.sha256 IS DISTINCT FROM seal_of(i.interval_id)
           OR seal.row_count <> (SELECT coalesce(sum(cardinality(p.keys)), 0) FROM seal_page p
                                 WHERE p.interval_id = i.interval_id))
    UNION ALL
    SELECT l.interval_id, 'settlement_step', l.interval_id || ' ' || name, 'missing'
    FROM seal l
    CROSS JOIN unnest(ARRAY['freeze', 'price', 'capture', 'pay', 'reconcile', 'seal']) name
    WHERE l.interval_id > after AND l.interval_id <= until
      AND NOT EXISTS (SELECT FROM settlement_step t WHERE t.interval_id = l.interval_id AND t.step = name)
    UNION ALL
    SELECT n.number, 'settlement', n.number::text, 'missing'
    FROM generate_series(after + 1, until) n (number)
    WHERE NOT EXISTS (SELECT FROM settlement x WHERE x.interval_id = n.number)
    ORDER BY 1, 2, 3
$$;

-- The same in words.
CREATE FUNCTION seal_line(interval_id bigint, kind text, key text, problem text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT format('interval %s: %s %s: %s', interval_id, kind, key, problem) $$;

-- All intervals in one statement. What people posted and no seal covers is the business of the invariant `sealed_once`.
CREATE FUNCTION verify_ledger()
RETURNS TABLE (interval_id bigint, kind text, key text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT * FROM verify_intervals(0, last_sealed())
$$;

-- Begin a look, unless one is open: at everything, or behind the watermark. The last interval before it is looked at
-- anew, as the chain of seals goes on from it; where even that is gone, it is named.
CREATE FUNCTION begin_look(everything boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    INSERT INTO ledger_look (whole, began_ms, after_interval, until_interval, reached)
        SELECT everything, now_ms(), first, greatest(last_sealed(), mark), first
        FROM (SELECT mark, CASE WHEN everything THEN 0 ELSE greatest(0, mark - 1) END AS first
              FROM (SELECT coalesce((SELECT until_interval FROM ledger_look WHERE ended_ms IS NOT NULL
                                     ORDER BY look_id DESC LIMIT 1), 0) AS mark) m) b
    ON CONFLICT DO NOTHING
$$;

-- Note in the open look what did not fit: how much, and in words the first of all.
CREATE FUNCTION note_wrong(look bigint, how_much bigint, lines text[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE ledger_look SET wrong = wrong + how_much, named = (named || lines)[1:20] WHERE look_id = look
$$;

-- Compare some more of the open look's intervals. One statement compares, so it has one snapshot.
CREATE FUNCTION look_further() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    look ledger_look;
    upto bigint;
BEGIN
    SELECT * INTO look FROM ledger_look WHERE ended_ms IS NULL FOR UPDATE;
    IF NOT FOUND OR look.reached = look.until_interval THEN
        RETURN;
    END IF;
    upto := look_until(look.reached, look.until_interval);
    PERFORM note_wrong(look.look_id, count(*), array_agg(w.line) FILTER (WHERE w.place <= 20))
        FROM (SELECT seal_line(v.interval_id, v.kind, v.key, v.problem) AS line, row_number() OVER () AS place
              FROM verify_intervals(look.reached, upto) v) w;
    UPDATE ledger_look l SET reached = upto, row_count = l.row_count + (
            SELECT coalesce(sum(s.row_count), 0) FROM seal s
            WHERE s.interval_id > look.reached AND s.interval_id <= upto)
        WHERE l.look_id = look.look_id;
END $$;

-- End the open look, if it has compared all: the watermark moves. One at everything asks all invariants about all that
-- there is before, and is written down as such. `beside`: what did not fit where the database cannot look, in words.
CREATE FUNCTION end_look(beside text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    look ledger_look;
BEGIN
    SELECT * INTO look FROM ledger_look WHERE ended_ms IS NULL AND reached = until_interval FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM note_wrong(look.look_id, cardinality(beside), beside);
    IF look.whole THEN
        PERFORM note_wrong(look.look_id, count(*), array_agg(w.line) FILTER (WHERE w.place <= 20))
            FROM (SELECT concat_ws(': ', v.invariant, v.subject, v.detail) AS line, row_number() OVER () AS place
                  FROM violations(false) v) w;
        INSERT INTO ledger_check SELECT l.began_ms, l.row_count, l.wrong FROM ledger_look l
            WHERE l.look_id = look.look_id ON CONFLICT DO NOTHING;
    END IF;
    UPDATE ledger_look SET ended_ms = now_ms() WHERE look_id = look.look_id;
END $$;

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

GRANT EXECUTE ON FUNCTION verify_ledger, verify_intervals, seal_line, last_sealed, look_until, begin_look, look_further,
    end_look, settle_reconcile TO market_app;
