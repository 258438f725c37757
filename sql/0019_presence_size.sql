-- A machine that is resized: each stretch of its presence has the size that it had then, and the stipend of an
-- interval counts each with its own.

ALTER TABLE machine_presence ADD COLUMN cores integer CHECK (cores > 0);
-- Nobody knows the sizes of stretches from before: the largest makes no closed interval look wrong.
UPDATE machine_presence p
    SET cores = greatest(m.core_count, (SELECT max(split_part(size, 'x', 1)::integer) FROM unnest(m.past_sizes) size))
    FROM machine m WHERE m.machine_id = p.machine_id;
ALTER TABLE machine_presence ALTER COLUMN cores SET NOT NULL;

-- As in 0005, with the cores of each stretch.
CREATE OR REPLACE FUNCTION freeze_uptime(iv bigint, since bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO uptime_line
        SELECT machine_id, iv, user_id, online_ms, used_core_ms, greatest(0, core_ms - used_core_ms)
        FROM (
            SELECT m.machine_id, m.user_id,
                   sum(least(p.to_ms, until) - greatest(p.from_ms, since))::bigint AS online_ms,
                   sum(p.cores * (least(p.to_ms, until) - greatest(p.from_ms, since)))::bigint AS core_ms
            FROM machine_presence p JOIN machine m USING (machine_id)
            WHERE p.to_ms > since AND p.from_ms < until AND m.user_id IS NOT NULL
            GROUP BY m.machine_id
        ) online
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(c.vcores * (least(coalesce(c.end_ms, c.last_seen_ms), until)
                                            - greatest(c.start_ms, since))), 0)::bigint AS used_core_ms
            FROM container_usage c
            WHERE c.machine_id = online.machine_id AND c.start_ms < until
              AND coalesce(c.end_ms, 9223372036854775807) > since
              AND coalesce(c.end_ms, c.last_seen_ms) > since
        ) used
$$;

-- As in 0008, where a machine that shrank made its earlier intervals look wrong. The bound is the largest size
-- until then, not that of the interval: a stretch is shortened when its machine turns out to have been silent.
CREATE OR REPLACE FUNCTION invariant_uptime(only_new boolean) RETURNS TABLE (subject text, detail text)
LANGUAGE sql STABLE AS $$
    SELECT format('machine %s in interval %s', l.machine_id, l.interval_id),
           format('was online for %s ms, idle for %s core ms', l.online_ms, l.idle_core_ms)
    FROM new_intervals(only_new) s
    JOIN uptime_line l USING (interval_id)
    WHERE l.online_ms > s.until_ms - s.from_ms
       OR l.idle_core_ms > l.online_ms * (SELECT coalesce(max(p.cores), 0) FROM machine_presence p
                                          WHERE p.machine_id = l.machine_id AND p.from_ms < s.until_ms)
$$;
