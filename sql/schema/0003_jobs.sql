-- Jobs, the points of sweeps, and the files that they leave behind.

CREATE TABLE job (
    job_id              hex_id PRIMARY KEY,
    user_id             hex_id NOT NULL REFERENCES member,
    job_name            text NOT NULL,
    spec                jsonb NOT NULL,          -- what was submitted, after defaults (the marshmallow schema JobSpec)
    machine_type        text NOT NULL,
    core_num            integer NOT NULL CHECK (core_num > 0),
    rate_micro          bigint NOT NULL CHECK (rate_micro > 0),   -- locked when the hold was taken, x 10^6
    weight_micro        bigint NOT NULL CHECK (weight_micro > 0), -- of the machine type, locked alike
    gib_weight_micro    bigint NOT NULL CHECK (gib_weight_micro >= 0),
    status              text NOT NULL CHECK (status IN
        ('submitted', 'queued', 'accepted', 'running', 'succeeded', 'failed', 'cancelling', 'cancelled', 'lost')),
    reason_code         text,
    reason              text NOT NULL DEFAULT '',
    application_id      text UNIQUE,
    added_ms            bigint NOT NULL,
    started_ms          bigint,
    ended_ms            bigint,
    cancelled_by        text,
    hidden              boolean NOT NULL DEFAULT false,
    withdrawn           boolean NOT NULL DEFAULT false,  -- its DAG file is no longer offered
    -- When its owner was told that nearly all of its hold is used; NULL: not told, or told and extended since.
    warned_ms           bigint,
    -- What it leaves behind is listed once after its end and deleted later; the lists themselves stay.
    results_ms          bigint,                  -- when its result files were listed in result_file
    logs_ms             bigint,                  -- when its log files were listed in log_file
    discarded_ms        bigint,                  -- when its folder in HDFS was deleted because of its age
    dag_deleted_ms      bigint,                  -- when its rows in Airflow were deleted because of their age
    CHECK ((status IN ('succeeded', 'failed', 'cancelled', 'lost')) = (ended_ms IS NOT NULL))
);

CREATE INDEX job_by_owner ON job (user_id, added_ms DESC);
CREATE INDEX job_open ON job (status) WHERE ended_ms IS NULL;
CREATE INDEX job_offered ON job (job_id) WHERE NOT withdrawn;
-- Housekeeping asks every few seconds what there is to do: each index holds only what is left.
CREATE INDEX job_to_list ON job (ended_ms)
    WHERE ended_ms IS NOT NULL AND (results_ms IS NULL OR logs_ms IS NULL);
CREATE INDEX job_to_discard ON job (ended_ms) WHERE ended_ms IS NOT NULL AND discarded_ms IS NULL;
CREATE INDEX job_to_forget ON job (ended_ms) WHERE withdrawn AND dag_deleted_ms IS NULL;

-- Every status that a job had, with the time and the reason in words.
CREATE TABLE job_status (
    job_id  hex_id NOT NULL REFERENCES job,
    seq     bigint GENERATED ALWAYS AS IDENTITY,
    at_ms   bigint NOT NULL,
    status  text NOT NULL,
    reason  text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, seq)
);

-- Sweeps: a job that runs once for each point of a grid, each run an application of its own, under one hold.
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

CREATE TABLE result_file (
    job_id       hex_id NOT NULL REFERENCES job,
    path         text NOT NULL,              -- relative to the job's output folder
    size         bigint NOT NULL CHECK (size >= 0),
    modified_ms  bigint NOT NULL,
    sha256       text,                       -- NULL: not computed yet; empty: the file could not be read
    PRIMARY KEY (job_id, path)
);
CREATE INDEX result_file_unread ON result_file (size) WHERE sha256 IS NULL;

CREATE TABLE log_file (
    job_id        hex_id NOT NULL REFERENCES job,
    place         integer NOT NULL,          -- in the list: the driver's files first
    container_id  text NOT NULL,
    role          text NOT NULL,
    host          text NOT NULL,             -- the machine's display name, never an address
    file          text NOT NULL,
    size          bigint NOT NULL CHECK (size >= 0),
    point         integer,                   -- of a sweep
    PRIMARY KEY (job_id, place)
);

GRANT SELECT, INSERT, UPDATE ON job, job_point, result_file TO market_app;
GRANT SELECT, INSERT ON job_status, point_run, log_file TO market_app;
