-- What a settlement writes. It closes one interval of time after the other; each interval goes through the
-- steps freeze, price, capture, pay, reconcile and seal (0005, 0007). All rows are only ever added.

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

-- Usage lines that were charged, with the amounts. `OFFSET 0` has each charge fetched by its key: to a planner
-- that has not counted a new interval's rows yet, reading all of them for each line looks as good.
CREATE VIEW charged_line AS
    SELECT u.container_id, u.interval_id, u.job_id, u.attempt, u.machine_id, c.charged_ucr
    FROM usage_line u
    CROSS JOIN LATERAL (
        SELECT amount_ucr AS charged_ucr FROM charge
        WHERE charge.container_id = u.container_id AND charge.interval_id = u.interval_id OFFSET 0) c;

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

-- The digests of all rows that belong to a closed interval, many to a page, and the chain over them: 0007.
CREATE TABLE seal_page (
    interval_id  bigint NOT NULL REFERENCES settlement,
    kind         text NOT NULL,                    -- the table
    page         integer NOT NULL,
    keys         text[] STORAGE EXTERNAL NOT NULL,
    digests      bytea[] STORAGE EXTERNAL NOT NULL,  -- SHA-256, in the order of the keys
    PRIMARY KEY (interval_id, kind, page),
    CHECK (cardinality(keys) = cardinality(digests))
);

CREATE VIEW sealed_row AS
    SELECT kind, key, interval_id, sha256
    FROM seal_page CROSS JOIN LATERAL unnest(keys, digests) row (key, sha256);

CREATE TABLE seal (
    interval_id  bigint PRIMARY KEY REFERENCES settlement,
    row_count    bigint NOT NULL,
    sha256       bytea NOT NULL
);

-- Balances of the market's own accounts over all sealed postings, so that nobody has to add them all up.
CREATE TABLE system_balance (
    interval_id  bigint NOT NULL REFERENCES settlement,
    account      text NOT NULL CHECK (account IN ('treasury', 'pool', 'fee')),
    balance_ucr  bigint NOT NULL,
    PRIMARY KEY (interval_id, account)
);

-- The same of members, for each interval in which something was posted to them.
CREATE TABLE account_balance (
    user_id      hex_id NOT NULL,
    interval_id  bigint NOT NULL,
    granted_ucr  bigint NOT NULL,
    shared_ucr   bigint NOT NULL,
    used_ucr     bigint NOT NULL,
    PRIMARY KEY (user_id, interval_id)
);
CREATE INDEX account_balance_by_interval ON account_balance (interval_id, user_id);

CREATE FUNCTION require_settlement() RETURNS trigger LANGUAGE plpgsql
SET search_path = market, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (
               SELECT FROM settlement s WHERE s.interval_id = a.interval_id)) THEN
        RAISE EXCEPTION 'a row of % belongs to no interval', TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['settlement', 'settlement_step', 'usage_line', 'final_job', 'uptime_line',
        'demand_line', 'rate_tick', 'charge', 'payout', 'refund', 'seal_page', 'seal', 'system_balance',
        'account_balance'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('GRANT SELECT ON %I TO market_app', name);
    END LOOP;
    -- The tables with a row for each container or job.
    FOREACH name IN ARRAY ARRAY['usage_line', 'final_job', 'charge', 'account_balance'] LOOP
        EXECUTE format('CREATE TRIGGER has_settlement AFTER INSERT ON %I REFERENCING NEW TABLE AS added
                        FOR EACH STATEMENT EXECUTE FUNCTION require_settlement()', name);
    END LOOP;
END $$;

-- The containers that may overlap an interval: those that ended after it began, or have not ended.
CREATE INDEX container_usage_by_end ON container_usage (coalesce(end_ms, 9223372036854775807));
