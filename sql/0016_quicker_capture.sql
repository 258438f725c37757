-- A capture with less to look up.

-- The parent of each entry is looked for once for a statement, not for each row: see 0002. What the foreign key
-- guarded on the other side is refused altogether.
ALTER TABLE hold_entry DROP CONSTRAINT hold_entry_job_id_fkey;

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

CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows stay', TG_OP, TG_TABLE_NAME USING ERRCODE = 'LG009';
END $$;
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON hold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal();

-- As in 0006; what a container was charged before is looked up once, not once for each use of it (`OFFSET 0`).
CREATE OR REPLACE FUNCTION charge_jobs(iv bigint, chunk text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO charge
        SELECT container_id, iv, amount, before_ucr + amount
        FROM (
            SELECT container_id, before_ucr,
                   greatest(0, least(due, left_ucr - coalesce(sum(due) OVER (
                       PARTITION BY job_id ORDER BY start_ms, container_id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)))::bigint AS amount
            FROM (
                SELECT u.container_id, u.job_id, u.start_ms, p.before_ucr,
                       u.amount_ucr - p.before_ucr AS due,
                       h.amount_ucr - h.captured_ucr - h.released_ucr AS left_ucr
                FROM usage_line u
                JOIN hold h USING (job_id)
                CROSS JOIN LATERAL (SELECT coalesce((SELECT c.total_ucr FROM charge c
                    WHERE c.container_id = u.container_id
                    ORDER BY c.interval_id DESC LIMIT 1), 0) AS before_ucr OFFSET 0) p
                WHERE u.interval_id = iv AND u.job_id = ANY (chunk)
            ) line
        ) capped;
$$;

-- As in 0006; each posting's transfer is written beside it, from what is at hand.
CREATE OR REPLACE FUNCTION book_captures(iv bigint, chunk text[], until bigint) RETURNS void
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT h.job_id, h.user_id, h.amount_ucr, c.captured,
               h.amount_ucr - h.captured_ucr - h.released_ucr - c.captured AS rest,
               coalesce((SELECT h.closed_ms IS NULL FROM final_job f
                         WHERE f.job_id = h.job_id AND f.interval_id = iv), false) AS final
        FROM hold h
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(charged_ucr), 0)::bigint AS captured
            FROM charged_line l WHERE l.interval_id = iv AND l.job_id = h.job_id) c
        WHERE h.job_id = ANY (chunk)
    ), entered AS (
        INSERT INTO hold_entry
            SELECT 'capture:' || job_id || ':' || iv, job_id, 'capture', captured, amount_ucr, until, iv FROM due
            UNION ALL
            SELECT 'release:' || job_id || ':' || iv, job_id, 'release', rest, amount_ucr, until, iv FROM due
            WHERE final
    ), posted AS (
        INSERT INTO journal (key, kind, at_ms, interval_id, job_id)
            SELECT 'capture:' || job_id || ':' || iv, 'capture', until, iv, job_id FROM due WHERE captured > 0
            ORDER BY job_id
            RETURNING journal_id, job_id
    ), moved AS (
        INSERT INTO transfer
            SELECT p.journal_id, 1, d.user_id, 'pool', d.captured
            FROM (SELECT journal_id, row_number() OVER (ORDER BY job_id) AS place FROM posted) p
            JOIN (SELECT user_id, captured, row_number() OVER (ORDER BY job_id) AS place
                  FROM due WHERE captured > 0) d USING (place)
    )
    UPDATE hold h
        SET captured_ucr = h.captured_ucr + due.captured,
            released_ucr = h.released_ucr + CASE WHEN due.final THEN due.rest ELSE 0 END,
            closed_ms = CASE WHEN due.final THEN until ELSE h.closed_ms END
        FROM due WHERE h.job_id = due.job_id;
$$;
