-- What a settlement writes. It closes one interval of time after the other; each interval goes through the
-- steps freeze, price, capture, pay, reconcile and seal. All rows are only ever added.

CREATE TABLE settlement (
    interval_id         bigint PRIMARY KEY CHECK (interval_id > 0),
    from_ms             bigint NOT NULL UNIQUE,
    until_ms            bigint NOT NULL UNIQUE,
    -- The tariff when it was closed: a later change touches no past interval, and a rerun finds the same.
    fee_micro           bigint NOT NULL CHECK (fee_micro BETWEEN 0 AND 1000000),
    stipend_ucr         bigint NOT NULL CHECK (stipend_ucr >= 0),      -- for an idle core and hour
    stipend_cap_ucr     bigint NOT NULL CHECK (stipend_cap_ucr >= 0),  -- for the interval
    initial_rate_micro  bigint NOT NULL CHECK (initial_rate_micro > 0),
    rate_min_micro      bigint NOT NULL CHECK (rate_min_micro > 0),
    rate_max_micro      bigint NOT NULL CHECK (rate_max_micro >= rate_min_micro),
    target_micro        bigint NOT NULL CHECK (target_micro > 0),
    lost_after_ms       bigint NOT NULL CHECK (lost_after_ms >= 0),    -- a silent node is known as lost by then
    CHECK (until_ms > from_ms)
);

CREATE TABLE settlement_step (
    interval_id  bigint NOT NULL REFERENCES settlement,
    step         text NOT NULL CHECK (step IN ('freeze', 'price', 'capture', 'pay', 'reconcile', 'seal')),
    done_ms      bigint NOT NULL,
    PRIMARY KEY (interval_id, step)
);

-- What a container had used when the interval was closed, from its start on. Charges are differences of
-- these, so that they do not depend on how time was cut.
CREATE TABLE usage_line (
    container_id         text NOT NULL,
    interval_id          bigint NOT NULL,
    job_id               hex_id NOT NULL,
    attempt              integer NOT NULL,
    role                 text NOT NULL,
    machine_id           hex_id,
    host                 text NOT NULL,
    vcores               integer NOT NULL,
    memory_mib           integer NOT NULL,
    start_ms             bigint NOT NULL,
    held_ms              bigint NOT NULL,          -- from its start to its end, or to the interval's
    charged_ms           bigint NOT NULL,          -- of it, what is to be paid
    amount_ucr           bigint NOT NULL,          -- the price of charged_ms
    final                boolean NOT NULL,
    not_charged_because  text CHECK (not_charged_because IN ('node_lost', 'preempted', 'drained')),
    PRIMARY KEY (container_id, interval_id),
    CHECK (charged_ms BETWEEN 0 AND held_ms),
    CHECK (not_charged_because IS NULL OR final)
);
CREATE INDEX usage_line_by_interval ON usage_line (interval_id, job_id);
CREATE INDEX usage_line_by_job ON usage_line (job_id);

-- Jobs whose usage is complete: the rest of the hold goes back in this interval.
CREATE TABLE final_job (
    job_id        hex_id PRIMARY KEY,
    interval_id   bigint NOT NULL,
    pool_failure  boolean NOT NULL                 -- it ended because of the pool: all of it is refunded
);
CREATE INDEX final_job_by_interval ON final_job (interval_id, job_id);

-- How long each lent machine was online, and what of its cores was idle.
CREATE TABLE uptime_line (
    machine_id    hex_id NOT NULL,
    interval_id   bigint NOT NULL REFERENCES settlement,
    user_id       hex_id NOT NULL,
    online_ms     bigint NOT NULL CHECK (online_ms >= 0),
    used_core_ms  bigint NOT NULL CHECK (used_core_ms >= 0),
    idle_core_ms  bigint NOT NULL CHECK (idle_core_ms >= 0),
    PRIMARY KEY (interval_id, machine_id)
);

-- Capacity and what was wanted of it (used, and asked for within capacity), each times milliseconds.
CREATE TABLE demand_line (
    interval_id       bigint PRIMARY KEY REFERENCES settlement,
    total_mib_ms      numeric NOT NULL,
    wanted_mib_ms     numeric NOT NULL,
    total_vcore_ms    numeric NOT NULL,
    wanted_vcore_ms   numeric NOT NULL
);

CREATE TABLE rate_tick (
    interval_id        bigint PRIMARY KEY REFERENCES settlement,
    utilisation_micro  bigint NOT NULL,
    error_micro        bigint NOT NULL CHECK (error_micro BETWEEN -1000000 AND 1000000),
    x_micro            bigint NOT NULL,            -- the sum of the errors
    rate_micro         bigint NOT NULL CHECK (rate_micro > 0)
);

-- One for each usage line.
CREATE TABLE charge (
    container_id  text NOT NULL,
    interval_id   bigint NOT NULL,
    amount_ucr    bigint NOT NULL CHECK (amount_ucr >= 0),
    total_ucr     bigint NOT NULL CHECK (total_ucr >= amount_ucr),  -- of the container, this one included
    PRIMARY KEY (container_id, interval_id)
);
CREATE INDEX charge_by_interval ON charge (interval_id, container_id);

-- What each machine brought in: captures less the fee, and the stipend. `payee` is its owner, or 'treasury'
-- for the pool's own machines and for nodes that nobody registered.
CREATE TABLE payout (
    interval_id   bigint NOT NULL REFERENCES settlement,
    machine       text NOT NULL,                   -- machine_id or 'unknown'
    payee         text NOT NULL,
    captured_ucr  bigint NOT NULL CHECK (captured_ucr >= 0),
    fee_ucr       bigint NOT NULL CHECK (fee_ucr BETWEEN 0 AND captured_ucr),
    stipend_ucr   bigint NOT NULL CHECK (stipend_ucr >= 0),
    PRIMARY KEY (interval_id, machine)
);
CREATE INDEX payout_by_machine ON payout (machine, interval_id);

-- What an attempt that the pool lost had paid.
CREATE TABLE refund (
    job_id       hex_id NOT NULL,
    attempt      integer NOT NULL,
    interval_id  bigint NOT NULL REFERENCES settlement,
    amount_ucr   bigint NOT NULL CHECK (amount_ucr > 0),
    PRIMARY KEY (job_id, attempt)
);
CREATE INDEX refund_by_interval ON refund (interval_id, job_id);

GRANT SELECT ON settlement, settlement_step, usage_line, final_job, uptime_line, demand_line, rate_tick, charge,
    payout, refund TO market_app;
