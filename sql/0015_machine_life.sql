-- Machines beyond joining and leaving: sizes that change, hours of the day, and what each was found to deliver.

ALTER TABLE machine
    ADD COLUMN hours           text NOT NULL DEFAULT '',     -- of the day, as 22:00-06:00; empty: all
    ADD COLUMN time_zone       text NOT NULL DEFAULT 'UTC',  -- that the hours are meant in
    ADD COLUMN rests           boolean NOT NULL DEFAULT false,  -- this drain ends in a rest, not in leaving
    ADD COLUMN host_cores      integer,                      -- what its agent found; NULL: nobody said
    ADD COLUMN host_memory_mib integer,
    -- Sizes that it had before, as 4x8192: its NodeManager may still start with one of them.
    ADD COLUMN past_sizes      text[] NOT NULL DEFAULT '{}',
    ADD COLUMN trust           integer NOT NULL DEFAULT 0 CHECK (trust BETWEEN 0 AND 10),
    ADD COLUMN trust_ms        bigint NOT NULL DEFAULT 0,    -- losses up to here have been counted
    ADD COLUMN verified_ms     bigint,                       -- the last good verification; NULL: earns no stipend
    ADD COLUMN verify_due_ms   bigint;                       -- 0: asked for now; NULL: as soon as it has been idle

ALTER TABLE machine DROP CONSTRAINT machine_state_check;
ALTER TABLE machine ADD CONSTRAINT machine_state_check CHECK (state IN
    ('offered', 'joining', 'active', 'draining', 'resting', 'left', 'lost', 'rejected'));

-- A machine that rests holds its host as well.
DROP INDEX machine_live_host;
CREATE UNIQUE INDEX machine_live_host ON machine (ip_address)
    WHERE state IN ('offered', 'joining', 'active', 'draining', 'resting', 'lost');

-- What canaries found. Speeds are thousands of steps a second: of one core while the others are idle, and
-- of all that ran at once, added up.
CREATE TABLE verification (
    verification_id  hex_id PRIMARY KEY,
    machine_id       hex_id NOT NULL REFERENCES machine,
    core_count       integer NOT NULL CHECK (core_count > 0),   -- that were measured
    started_ms       bigint NOT NULL,
    ended_ms         bigint,
    outcome          text CHECK (outcome IN ('good', 'poor', 'none')),  -- none: it measured nothing
    detail           text NOT NULL DEFAULT '',
    one_core_speed   bigint CHECK (one_core_speed > 0),
    all_core_speed   bigint CHECK (all_core_speed > 0),
    memory_mib_s     bigint CHECK (memory_mib_s > 0),
    CHECK ((ended_ms IS NULL) = (outcome IS NULL)),
    CHECK (outcome <> 'good' OR (one_core_speed IS NOT NULL AND all_core_speed IS NOT NULL
                                 AND memory_mib_s IS NOT NULL))
);
CREATE INDEX verification_by_machine ON verification (machine_id, started_ms DESC);
-- One canary at a time, whoever starts it.
CREATE UNIQUE INDEX verification_open ON verification ((true)) WHERE ended_ms IS NULL;

GRANT SELECT, INSERT, UPDATE ON verification TO market_app;
