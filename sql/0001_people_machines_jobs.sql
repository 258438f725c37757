-- People, machines and jobs: what the market knows beside money.
-- Times are epoch milliseconds (bigint); ids are 32 hex digits.

CREATE DOMAIN hex_id AS text CHECK (VALUE ~ '^[0-9a-f]{32}$');

CREATE TABLE member (
    user_id      hex_id PRIMARY KEY,
    fab_user_id  integer NOT NULL UNIQUE,       -- ab_user.id: the login, the password hash and the roles are FAB's
    username     text NOT NULL UNIQUE CHECK (username ~ '^[a-z][a-z0-9_-]{1,31}$'),
    email        text NOT NULL,
    created_ms   bigint NOT NULL
);

CREATE TABLE machine (
    machine_id    hex_id PRIMARY KEY,
    user_id       hex_id REFERENCES member,      -- NULL: the pool's own
    machine_type  text NOT NULL,                 -- of the tariff, or 'pool'
    display_name  text NOT NULL,                 -- what others see instead of an address
    ip_address    text NOT NULL,
    service_port  integer NOT NULL CHECK (service_port BETWEEN 1 AND 65535),
    core_count    integer NOT NULL CHECK (core_count > 0),
    memory_mib    integer NOT NULL CHECK (memory_mib > 0),
    time_period_s bigint NOT NULL CHECK (time_period_s > 0),
    state         text NOT NULL CHECK (state IN
        ('offered', 'joining', 'active', 'draining', 'left', 'lost', 'rejected')),
    reason        text NOT NULL DEFAULT '',
    token_sha256  text,                          -- of the one-time join token; NULL once used
    created_ms    bigint NOT NULL,
    active_ms     bigint,
    drain_ms      bigint,                        -- when the drain began
    drain_now     boolean NOT NULL DEFAULT false,
    left_ms       bigint,
    lease_end_ms  bigint NOT NULL,
    CHECK ((user_id IS NULL) = (machine_type = 'pool'))
);

-- One live registration for a host: the second one gets a conflict, also when both arrive at once.
CREATE UNIQUE INDEX machine_live_host ON machine (ip_address)
    WHERE state IN ('offered', 'joining', 'active', 'draining', 'lost');
CREATE INDEX machine_by_owner ON machine (user_id, created_ms DESC);

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
    CHECK ((status IN ('succeeded', 'failed', 'cancelled', 'lost')) = (ended_ms IS NOT NULL))
);
CREATE INDEX job_by_owner ON job (user_id, added_ms DESC);
CREATE INDEX job_open ON job (status) WHERE ended_ms IS NULL;
CREATE INDEX job_offered ON job (job_id) WHERE NOT withdrawn;

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

-- First answers to requests that carry an Idempotency-Key, kept for a day.
CREATE TABLE idempotency (
    user_id      hex_id NOT NULL REFERENCES member,
    method       text NOT NULL,
    target       text NOT NULL,                  -- path and query
    key          text NOT NULL,
    body_sha256  text NOT NULL,
    status       integer,                        -- NULL while the first request runs
    headers      jsonb,
    body         bytea,
    created_ms   bigint NOT NULL,
    PRIMARY KEY (user_id, method, target, key)
);
CREATE INDEX idempotency_age ON idempotency (created_ms);

-- What an operator should look at: an application without a job, a node that nobody registered, ...
CREATE TABLE alert (
    alert_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms      bigint NOT NULL,
    kind       text NOT NULL,
    subject    text NOT NULL,
    detail     text NOT NULL,
    UNIQUE (kind, subject)
);

GRANT SELECT, INSERT, UPDATE ON member, machine, job, job_point, alert TO market_app;
GRANT SELECT, INSERT ON job_status, point_run TO market_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO market_app;
