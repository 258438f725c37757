-- One model of what runs: a job has points (a plain job has one, a sweep one for each combination of its grid), and a
-- point has runs, one after the other. A run is what YARN knows as an application, by its tag. What a job's row says
-- of status, times and reason follows from its runs; it is kept there for lists and for the settlement.

CREATE TABLE run (
    job_id          hex_id NOT NULL,
    point           integer NOT NULL,
    attempt         integer NOT NULL CHECK (attempt > 0),
    tag             text NOT NULL UNIQUE,          -- of its application at YARN, and of no other run's
    status          text NOT NULL DEFAULT 'waiting' CHECK (status IN (
        'waiting', 'queued', 'accepted', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'lost')),
    since_ms        bigint NOT NULL,               -- when it came to this status
    application_id  text UNIQUE,
    reason_code     text,
    reason          text NOT NULL DEFAULT '',
    started_ms      bigint,
    ended_ms        bigint,
    PRIMARY KEY (job_id, point, attempt),
    FOREIGN KEY (job_id, point) REFERENCES job_point,
    CHECK ((status IN ('succeeded', 'failed', 'cancelled', 'lost')) = (ended_ms IS NOT NULL))
);

-- What was there, as runs. A plain job gets its point and its run.
INSERT INTO job_point (job_id, point, params, since_ms)
    SELECT job_id, 0, '{}', added_ms FROM job j
    WHERE NOT EXISTS (SELECT FROM job_point p WHERE p.job_id = j.job_id);
INSERT INTO run
    SELECT j.job_id, 0, 1, j.job_id, CASE WHEN j.status = 'submitted' THEN 'waiting' ELSE j.status END,
           coalesce((SELECT max(at_ms) FROM job_status s WHERE s.job_id = j.job_id), j.added_ms),
           j.application_id, j.reason_code, j.reason, j.started_ms, j.ended_ms
    FROM job j WHERE j.spec->'grid' IS NULL OR jsonb_typeof(j.spec->'grid') = 'null';
-- The runs of a sweep's point had one tag among them. One that goes on keeps it, as its application has it; else the
-- first run has it, and the others their number behind it.
CREATE TEMPORARY TABLE was ON COMMIT DROP AS
    SELECT job_id::text, point, run AS attempt, status, ended_ms AS since_ms, application_id, reason_code, reason,
           started_ms, ended_ms
    FROM point_run
    UNION ALL
    SELECT p.job_id, p.point, 1 + (SELECT count(*) FROM point_run r WHERE r.job_id = p.job_id AND r.point = p.point),
           p.status, p.since_ms, p.application_id, p.reason_code, p.reason, p.started_ms, p.ended_ms
    FROM job_point p JOIN job j USING (job_id)
    WHERE jsonb_typeof(j.spec->'grid') = 'object'
      -- A point that ended with a run stands in point_run already; one that was stopped while it waited does not.
      AND (p.ended_ms IS NULL OR NOT EXISTS (
          SELECT FROM point_run r WHERE r.job_id = p.job_id AND r.point = p.point AND r.ended_ms = p.ended_ms));
INSERT INTO run
    SELECT job_id, point, attempt,
           job_id || '-' || point || CASE
               WHEN attempt = coalesce(goes_on, 1) THEN ''
               ELSE '.' || attempt END,
           status, since_ms, application_id, reason_code, reason, started_ms, ended_ms
    FROM (SELECT *, max(attempt) FILTER (WHERE ended_ms IS NULL AND application_id IS NOT NULL)
                    OVER (PARTITION BY job_id, point) AS goes_on
          FROM was) named;

CREATE INDEX run_open ON run (job_id) WHERE ended_ms IS NULL;

-- That the whole job was asked to stop, by whom (cancelled_by) and why; its runs are stopped one by one.
ALTER TABLE job ADD COLUMN stop_code text, ADD COLUMN stop_reason text;
UPDATE job SET stop_code = reason_code, stop_reason = reason WHERE status = 'cancelling';

DROP TABLE point_run;
DROP INDEX job_point_open, job_point_unread;
ALTER TABLE job_point DROP COLUMN status, DROP COLUMN since_ms, DROP COLUMN application_id, DROP COLUMN reason_code,
    DROP COLUMN reason, DROP COLUMN started_ms, DROP COLUMN ended_ms;
CREATE INDEX job_point_unread ON job_point (job_id) WHERE metrics IS NULL AND params <> '{}';

GRANT SELECT, INSERT, UPDATE ON run TO market_app;
