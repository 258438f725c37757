-- The end of a budget: when a job's owner was told that nearly all of its hold is used.

ALTER TABLE job ADD COLUMN warned_ms bigint;  -- NULL: not told, or told and extended since

-- What the containers of each open hold cost until they were last seen: what a budget is compared with. Of a
-- container that the pool took only that counts which was settled before: the rest is never charged.
CREATE OR REPLACE VIEW hold_usage AS
    SELECT h.job_id, h.user_id, h.amount_ucr, h.captured_ucr,
           coalesce(sum(cost_ucr(h, c.vcores, c.memory_mib, CASE
               WHEN c.end_kind IN ('node_lost', 'preempted', 'drained')
               THEN coalesce((SELECT u.charged_ms FROM usage_line u WHERE u.container_id = c.container_id
                              ORDER BY u.interval_id DESC LIMIT 1), 0)
               ELSE coalesce(c.end_ms, c.last_seen_ms) - c.start_ms END)), 0)::bigint AS used_ucr
    FROM hold h LEFT JOIN container_usage c USING (job_id)
    WHERE h.closed_ms IS NULL
    GROUP BY h.job_id;

-- As before, but a refusal always names less than what was asked for: what was given back between the look and
-- the answer is tried again. Raises LG001, LG003.
CREATE OR REPLACE FUNCTION set_aside(from_user hex_id, amount bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    available bigint;
BEGIN
    LOOP
        UPDATE account a SET held_ucr = held_ucr + amount
            WHERE user_id = from_user AND available_ucr(a) >= amount;
        IF FOUND THEN
            RETURN;
        END IF;
        SELECT available_ucr(a) INTO available FROM account a WHERE user_id = from_user;
        IF available IS NULL THEN
            RAISE EXCEPTION 'user % has no account', from_user USING ERRCODE = 'LG003';
        END IF;
        EXIT WHEN available < amount;
    END LOOP;
    RAISE EXCEPTION '% ucr are needed', amount USING ERRCODE = 'LG001', DETAIL = available::text;
END $$;
