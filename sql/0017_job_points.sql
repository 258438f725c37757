-- Sweeps: a job that runs once for each point of a grid, each run an application of its own, under one hold
-- and one receipt.

CREATE TABLE job_point (
    job_id          hex_id NOT NULL REFERENCES job,
    point           integer NOT NULL CHECK (point >= 0),
    params          jsonb NOT NULL,                -- the grid's names, with this point's values
    status          text NOT NULL DEFAULT 'waiting' CHECK (status IN (
        'waiting', 'queued', 'accepted', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'lost')),
    since_ms        bigint NOT NULL,               -- when it came to this status
    application_id  text,                          -- of the run that goes on, or was the last
    reason_code     text,
    reason          text NOT NULL DEFAULT '',
    started_ms      bigint,
    ended_ms        bigint,
    metrics         jsonb,                         -- what the program reported; NULL: not looked for yet
    PRIMARY KEY (job_id, point),
    CHECK ((status IN ('succeeded', 'failed', 'cancelled', 'lost')) = (ended_ms IS NOT NULL))
);
CREATE INDEX job_point_open ON job_point (job_id) WHERE ended_ms IS NULL;
CREATE INDEX job_point_unread ON job_point (ended_ms) WHERE status = 'succeeded' AND metrics IS NULL;

-- The runs of a point that have ended; a point that failed may be run again.
CREATE TABLE point_run (
    job_id          hex_id NOT NULL,
    point           integer NOT NULL,
    run             integer NOT NULL CHECK (run > 0),
    application_id  text,
    status          text NOT NULL,
    reason_code     text,
    reason          text NOT NULL,
    started_ms      bigint,
    ended_ms        bigint NOT NULL,
    PRIMARY KEY (job_id, point, run),
    FOREIGN KEY (job_id, point) REFERENCES job_point
);
CREATE INDEX point_run_by_application ON point_run (application_id);

-- Which of its job's applications it is, from 0: attempts are counted through all of them.
ALTER TABLE application_usage ADD COLUMN place integer NOT NULL DEFAULT 0 CHECK (place >= 0);
ALTER TABLE log_file ADD COLUMN point integer;

-- As before, and: of a sweep that has ended, the runs that the pool ended are refunded, each by itself.
CREATE OR REPLACE FUNCTION refund_due(iv bigint) RETURNS TABLE (job_id text, attempt integer, amount_ucr bigint)
LANGUAGE sql STABLE AS $$
    SELECT u.job_id::text, u.attempt, sum(c.amount_ucr)::bigint
    FROM usage_line u JOIN charge c USING (container_id, interval_id)
    WHERE u.job_id IN (SELECT job_id FROM usage_line WHERE interval_id = iv
                       UNION SELECT job_id FROM final_job WHERE interval_id = iv)
      AND u.interval_id <= iv
      AND NOT EXISTS (SELECT FROM refund r WHERE r.job_id = u.job_id AND r.attempt = u.attempt)
    GROUP BY u.job_id, u.attempt
    HAVING sum(c.amount_ucr) > 0
       AND NOT EXISTS (SELECT FROM container_usage o WHERE o.job_id = u.job_id AND o.attempt = u.attempt
                       AND NOT EXISTS (SELECT FROM usage_line f WHERE f.container_id = o.container_id AND f.final))
       AND (bool_or(u.role = 'driver' AND u.not_charged_because IS NOT NULL)
            OR EXISTS (SELECT FROM final_job f WHERE f.job_id = u.job_id AND (f.pool_failure OR EXISTS (
                SELECT FROM container_usage o JOIN point_run r USING (job_id, application_id)
                WHERE o.job_id = u.job_id AND o.attempt = u.attempt AND r.reason_code = 'pool_failure'))))
$$;

GRANT SELECT, INSERT, UPDATE ON job_point TO market_app;
GRANT SELECT, INSERT ON point_run TO market_app;
