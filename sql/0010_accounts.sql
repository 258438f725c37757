-- How often somebody may try: one row for each bucket, in the generic cell rate algorithm. `full_ms` is when
-- the bucket would be full again if nothing more came; each attempt moves it on by one step.
-- Nothing is lost with it, so it is not written ahead.

CREATE UNLOGGED TABLE attempt (
    bucket   text PRIMARY KEY,       -- what is limited and for whom; SHA-256 of names, which may be anything
    full_ms  bigint NOT NULL
);
CREATE INDEX attempt_age ON attempt (full_ms);

GRANT SELECT, INSERT, UPDATE, DELETE ON attempt TO market_app;
