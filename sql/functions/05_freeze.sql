-- The step freeze: what was used in an interval, written down.

-- The price of a container's time, rounded down once: see market/credits/tariff.py.
CREATE FUNCTION cost_ucr(h hold, vcores integer, memory_mib integer, ms bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT div(h.rate_micro::numeric * (h.weight_micro::numeric * vcores * 1024
                                        + h.gib_weight_micro::numeric * memory_mib) * ms,
               1024 * 1000000 * 3600000::numeric)::bigint
$$;

-- Close the open interval at `until` and write down what was used in it. Answers its number, also when it was
-- closed there before. Raises LG010 if a later one is closed, or the one before is not sealed.
CREATE FUNCTION settle_freeze(
    until bigint, fee bigint, stipend bigint, stipend_cap bigint, initial_rate bigint, rate_min bigint,
    rate_max bigint, target bigint, lost_after bigint, refund_bound bigint
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    last settlement;
    iv bigint;
    since bigint;
BEGIN
    PERFORM lock_settlement();
    SELECT interval_id INTO iv FROM settlement WHERE until_ms = until;
    IF FOUND THEN
        RETURN iv;
    END IF;
    SELECT * INTO last FROM settlement ORDER BY interval_id DESC LIMIT 1;
    IF last.until_ms > until THEN
        RAISE EXCEPTION 'the interval until % is closed already', last.until_ms USING ERRCODE = 'LG010';
    ELSIF NOT EXISTS (SELECT FROM settlement_step WHERE interval_id = last.interval_id AND step = 'seal')
          AND last.interval_id IS NOT NULL THEN
        RAISE EXCEPTION 'interval % is not sealed yet', last.interval_id USING ERRCODE = 'LG010';
    END IF;
    iv := coalesce(last.interval_id, 0) + 1;
    -- The first interval begins when the market's first account was opened.
    since := coalesce(last.until_ms, least((SELECT min(opened_ms) FROM account), until - 1));
    INSERT INTO settlement VALUES (iv, since, until, fee, stipend, stipend_cap, initial_rate, rate_min,
                                   rate_max, target, lost_after, refund_bound);
    PERFORM freeze_usage(iv, until, lost_after);
    PERFORM freeze_uptime(iv, since, until);
    PERFORM freeze_demand(iv, since, until);
    INSERT INTO settlement_step VALUES (iv, 'freeze', now_ms());
    RETURN iv;
END $$;

-- Containers of open holds. Of a container that the pool lost nothing is charged beyond the last closed
-- interval. When a node is found lost, it has been silent for up to `lost_after`, so that time counts as lost
-- as well.
CREATE FUNCTION freeze_usage(iv bigint, until bigint, lost_after bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO usage_line
        SELECT c.container_id, iv, c.job_id, c.attempt, c.role, c.machine_id, c.host, c.vcores, c.memory_mib,
               c.start_ms, greatest(n.held_ms, n.charged_ms), n.charged_ms,
               cost_ucr(h, c.vcores, c.memory_mib, n.charged_ms), n.lost OR n.ended,
               CASE WHEN n.lost THEN c.end_kind END
        FROM hold h
        JOIN container_usage c USING (job_id)
        LEFT JOIN LATERAL (SELECT u.charged_ms, u.final FROM usage_line u
                           WHERE u.container_id = c.container_id ORDER BY u.interval_id DESC LIMIT 1) p ON true
        CROSS JOIN LATERAL (SELECT
            coalesce(c.end_ms <= until, false) AS ended,
            CASE c.end_kind WHEN 'node_lost' THEN c.end_ms - lost_after <= until
                            WHEN 'preempted' THEN c.end_ms <= until
                            WHEN 'drained' THEN c.end_ms <= until ELSE false END AS lost,
            coalesce(p.charged_ms, 0) AS before_ms,
            least(until, coalesce(c.end_ms, c.last_seen_ms)) - c.start_ms AS held_ms) s
        CROSS JOIN LATERAL (SELECT s.ended, s.lost, s.held_ms, s.before_ms,
            CASE WHEN s.lost THEN s.before_ms ELSE greatest(s.before_ms, s.held_ms) END AS charged_ms) n
        WHERE h.closed_ms IS NULL AND c.start_ms < until AND NOT coalesce(p.final, false)
          AND (n.lost OR n.ended OR n.charged_ms > n.before_ms);
    INSERT INTO final_job
        SELECT h.job_id, iv, coalesce(j.reason_code = 'pool_failure', false)
        FROM hold h JOIN job j USING (job_id)
        WHERE h.closed_ms IS NULL AND j.ended_ms <= until
          AND NOT EXISTS (SELECT FROM container_usage c WHERE c.job_id = h.job_id AND NOT EXISTS (
              SELECT FROM usage_line u WHERE u.container_id = c.container_id AND u.final))
          AND CASE WHEN EXISTS (SELECT FROM application_usage a WHERE a.job_id = h.job_id)
                   THEN NOT EXISTS (SELECT FROM application_usage a WHERE a.job_id = h.job_id
                                    AND (NOT a.final OR a.final_ms > until + 30000))
                   -- The meter knows no application: it never had one, or the ResourceManager forgot it.
                   ELSE j.application_id IS NULL OR least(h.expires_ms, j.ended_ms + 600000) <= until END;
$$;

-- Each stretch counts with the cores that the machine had then: it may have been resized.
CREATE FUNCTION freeze_uptime(iv bigint, since bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO uptime_line
        SELECT machine_id, iv, user_id, online_ms, coalesce(used_core_ms, 0),
               greatest(0, core_ms - coalesce(used_core_ms, 0))
        FROM (
            SELECT m.machine_id, m.user_id,
                   sum(least(p.to_ms, until) - greatest(p.from_ms, since))::bigint AS online_ms,
                   sum(p.cores * (least(p.to_ms, until) - greatest(p.from_ms, since)))::bigint AS core_ms
            FROM machine_presence p JOIN machine m USING (machine_id)
            WHERE p.to_ms > since AND p.from_ms < until AND m.user_id IS NOT NULL
            GROUP BY m.machine_id
        ) online
        LEFT JOIN (
            -- Of all machines at once: each by itself would read all that it ever ran.
            SELECT c.machine_id, sum(c.vcores * (least(coalesce(c.end_ms, c.last_seen_ms), until)
                                                 - greatest(c.start_ms, since)))::bigint AS used_core_ms
            FROM container_usage c
            WHERE c.start_ms < until AND coalesce(c.end_ms, 9223372036854775807) > since
              AND coalesce(c.end_ms, c.last_seen_ms) > since
            GROUP BY c.machine_id
        ) used USING (machine_id)
$$;

-- A sample stands for the time until the next sample, for a minute at most: of a longer time, in which the
-- meter was down, nothing is known. The last sample before the interval reaches into it.
CREATE FUNCTION freeze_demand(iv bigint, since bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO demand_line
        SELECT iv, coalesce(sum(total_mib * ms), 0), coalesce(sum(wanted_mib * ms), 0),
               coalesce(sum(total_vcores * ms), 0), coalesce(sum(wanted_vcores * ms), 0)
        FROM (
            SELECT sum(total_mib)::numeric AS total_mib,
                   sum(used_mib + least(pending_mib, total_mib))::numeric AS wanted_mib,
                   sum(total_vcores)::numeric AS total_vcores,
                   sum(used_vcores + least(pending_vcores, total_vcores))::numeric AS wanted_vcores,
                   least(until, at_ms + 60000, lead(at_ms) OVER (ORDER BY at_ms)) - greatest(since, at_ms) AS ms
            FROM demand_sample
            WHERE at_ms > since - 60000 AND at_ms < until AND partition NOT IN ('', 'pool')
            GROUP BY at_ms
        ) sample
        WHERE ms > 0
$$;

GRANT EXECUTE ON FUNCTION cost_ucr, settle_freeze TO market_app;
