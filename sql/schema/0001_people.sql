-- People, and what the market keeps of their requests. What holds for all tables: times are epoch milliseconds
-- (bigint), ids are 32 hex digits. A table stands on tables alone: functions, views and triggers are in
-- `sql/functions/`, and are made after the tables.

CREATE DOMAIN hex_id AS text CHECK (VALUE ~ '^[0-9a-f]{32}$');

CREATE TABLE member (
    user_id      hex_id PRIMARY KEY,
    fab_user_id  integer NOT NULL UNIQUE,       -- ab_user.id: the login, the password hash and the roles are FAB's
    username     text NOT NULL UNIQUE CHECK (username ~ '^[a-z][a-z0-9_-]{1,31}$'),
    email        text NOT NULL,
    created_ms   bigint NOT NULL
);

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

-- How often somebody may try: one row for each bucket, in the generic cell rate algorithm. `full_ms` is when
-- the bucket would be full again if nothing more came; each attempt moves it on by one step.
-- Nothing is lost with it, so it is not written ahead.

CREATE UNLOGGED TABLE attempt (
    bucket   text PRIMARY KEY,       -- what is limited and for whom; SHA-256 of names, which may be anything
    full_ms  bigint NOT NULL
);
CREATE INDEX attempt_age ON attempt (full_ms);

-- What an operator should look at: an application without a job, a node that nobody registered, ...
CREATE TABLE alert (
    alert_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms      bigint NOT NULL,
    kind       text NOT NULL,
    subject    text NOT NULL,
    detail     text NOT NULL,
    UNIQUE (kind, subject)
);

GRANT SELECT, INSERT, UPDATE ON member, alert TO market_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency, attempt TO market_app;
