-- What the meter saw, sample by sample: the only source of charges and stipends.
-- The meter writes these tables, the settlement reads them. Times are epoch milliseconds.

-- One row: the meter's last complete poll of the ResourceManager. What happened before it is known, except
-- for a node that fell silent less than the expiry ago.
CREATE TABLE meter_mark (
    id        smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    at_ms     bigint NOT NULL,
    epoch_ms  bigint NOT NULL DEFAULT 0   -- the ResourceManager's `startedOn` then
);

-- An application's own totals as high-water marks: the ResourceManager's figures fall when it restarts.
CREATE TABLE application_usage (
    application_id              text PRIMARY KEY,
    job_id                      hex_id NOT NULL REFERENCES job,
    epoch_ms                    bigint NOT NULL DEFAULT 0,  -- the ResourceManager's `startedOn` of the last sample
    vcore_seconds               bigint NOT NULL DEFAULT 0 CHECK (vcore_seconds >= 0),
    memory_mib_seconds          bigint NOT NULL DEFAULT 0 CHECK (memory_mib_seconds >= 0),
    preempted_vcore_seconds     bigint NOT NULL DEFAULT 0 CHECK (preempted_vcore_seconds >= 0),
    preempted_memory_mib_seconds bigint NOT NULL DEFAULT 0 CHECK (preempted_memory_mib_seconds >= 0),
    state                       text NOT NULL DEFAULT '',
    final                       boolean NOT NULL DEFAULT false,
    started_ms                  bigint,
    finished_ms                 bigint,
    last_seen_ms                bigint NOT NULL,
    final_ms                    bigint,
    -- Which of its job's applications it is, from 0: attempts are counted through all of them.
    place                       integer NOT NULL DEFAULT 0 CHECK (place >= 0),
    -- Final: terminal, no running container, and two equal reads 4 s apart. It is not read again after that.
    CHECK (final = (final_ms IS NOT NULL))
);
CREATE INDEX application_usage_by_job ON application_usage (job_id);
CREATE INDEX application_usage_open ON application_usage (application_id) WHERE NOT final;

CREATE TABLE container_usage (
    container_id    text PRIMARY KEY,
    job_id          hex_id NOT NULL REFERENCES job,
    application_id  text NOT NULL,
    attempt         integer NOT NULL CHECK (attempt > 0),
    role            text NOT NULL CHECK (role IN ('driver', 'executor')),
    node_id         text NOT NULL,
    host            text NOT NULL,                -- the machine's display name, never an address
    machine_id      hex_id REFERENCES machine,    -- NULL: no registered machine is known for the node
    vcores          integer NOT NULL CHECK (vcores > 0),
    memory_mib      integer NOT NULL CHECK (memory_mib > 0),
    start_ms        bigint NOT NULL,
    last_seen_ms    bigint NOT NULL,
    end_ms          bigint,
    end_kind        text CHECK (end_kind IN ('finished', 'killed', 'node_lost', 'preempted', 'drained')),
    gone_ms         bigint,                       -- the first poll after the last that saw it
    CHECK ((end_ms IS NULL) = (end_kind IS NULL)),
    CHECK (end_ms IS NULL OR end_ms >= start_ms),
    CHECK (last_seen_ms >= start_ms),
    -- A charge may reach to last_seen_ms: an end before it would take back what was settled.
    CHECK (end_ms >= last_seen_ms)
);
CREATE INDEX container_usage_by_job ON container_usage (job_id);
CREATE INDEX container_usage_by_application ON container_usage (application_id);
CREATE INDEX container_usage_by_machine ON container_usage (machine_id, start_ms);
CREATE INDEX container_usage_open ON container_usage (container_id) WHERE end_ms IS NULL;

-- Stretches in which a machine was online and took work; `to_ms` moves on with each poll that finds it so. A new
-- size begins a new stretch.
CREATE TABLE machine_presence (
    machine_id  hex_id NOT NULL REFERENCES machine,
    from_ms     bigint NOT NULL,
    to_ms       bigint NOT NULL,
    cores       integer NOT NULL CHECK (cores > 0),
    PRIMARY KEY (machine_id, from_ms),
    CHECK (to_ms >= from_ms)
);
CREATE INDEX machine_presence_by_end ON machine_presence (to_ms);

CREATE TABLE node_sample (
    at_ms         bigint NOT NULL,
    node_id       text NOT NULL,
    machine_id    hex_id,
    state         text NOT NULL,
    total_mib     bigint NOT NULL,
    total_vcores  integer NOT NULL,
    used_mib      bigint NOT NULL,
    used_vcores   integer NOT NULL,
    PRIMARY KEY (at_ms, node_id)
);

-- What is there, used and asked for in each partition (machine type): the rate answers it.
CREATE TABLE demand_sample (
    at_ms           bigint NOT NULL,
    partition       text NOT NULL,
    total_mib       bigint NOT NULL CHECK (total_mib >= 0),
    total_vcores    integer NOT NULL CHECK (total_vcores >= 0),
    used_mib        bigint NOT NULL CHECK (used_mib >= 0),
    used_vcores     integer NOT NULL CHECK (used_vcores >= 0),
    pending_mib     bigint NOT NULL CHECK (pending_mib >= 0),
    pending_vcores  integer NOT NULL CHECK (pending_vcores >= 0),
    PRIMARY KEY (at_ms, partition)
);

-- Times in which the meter did not look: longer than a few polls. A container that no poll saw lived within one
-- of them, or shorter than two polls are apart; whoever says otherwise of it is not believed.
CREATE TABLE meter_gap (
    from_ms  bigint PRIMARY KEY,
    to_ms    bigint NOT NULL,
    CHECK (to_ms > from_ms)
);

-- The containers that may overlap an interval: those that ended after it began, or have not ended.
CREATE INDEX container_usage_by_end ON container_usage (coalesce(end_ms, 9223372036854775807));

GRANT SELECT ON meter_gap TO market_app;
GRANT SELECT, INSERT, UPDATE ON meter_mark, application_usage, container_usage, machine_presence TO market_app;
GRANT SELECT, INSERT, DELETE ON node_sample, demand_sample TO market_app;  -- samples are kept for a while only
