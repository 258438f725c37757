-- Machines, and what each was found to deliver.

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
        ('offered', 'joining', 'active', 'draining', 'resting', 'left', 'lost', 'rejected')),
    reason        text NOT NULL DEFAULT '',
    token_sha256  text,                          -- of the one-time join token; NULL once used
    created_ms    bigint NOT NULL,
    active_ms     bigint,
    drain_ms      bigint,                        -- when the drain began
    drain_now     boolean NOT NULL DEFAULT false,
    left_ms       bigint,
    lease_end_ms  bigint NOT NULL,
    -- When the agent last began to start the machine's NodeManager: one that never appears is told from one
    -- that only takes a moment.
    joined_ms     bigint,
    hours         text NOT NULL DEFAULT '',        -- of the day, as 22:00-06:00; empty: all
    time_zone     text NOT NULL DEFAULT 'UTC',     -- that the hours are meant in
    rests         boolean NOT NULL DEFAULT false,  -- this drain ends in a rest, not in leaving
    host_cores    integer,                         -- what its agent found; NULL: nobody said
    host_memory_mib integer,
    -- Sizes that it had before, as 4x8192: its NodeManager may still start with one of them.
    past_sizes    text[] NOT NULL DEFAULT '{}',
    trust         integer NOT NULL DEFAULT 0 CHECK (trust BETWEEN 0 AND 10),
    trust_ms      bigint NOT NULL DEFAULT 0,       -- losses up to here have been counted
    verified_ms   bigint,                          -- the last good verification; NULL: earns no stipend
    verify_due_ms bigint,                          -- 0: asked for now; NULL: as soon as it has been idle
    CHECK ((user_id IS NULL) = (machine_type = 'pool'))
);

-- One live registration for a host: the second one gets a conflict, also when both arrive at once. A machine that
-- rests holds its host as well.
CREATE UNIQUE INDEX machine_live_host ON machine (ip_address)
    WHERE state IN ('offered', 'joining', 'active', 'draining', 'resting', 'lost');
CREATE INDEX machine_by_owner ON machine (user_id, created_ms DESC);

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

GRANT SELECT, INSERT, UPDATE ON machine, verification TO market_app;
