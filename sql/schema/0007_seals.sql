-- The digests of all rows that belong to a closed interval, many to a page, and the chain over them.
CREATE TABLE seal_page (
    interval_id  bigint NOT NULL REFERENCES settlement,
    kind         text NOT NULL,                    -- the table
    page         integer NOT NULL,
    keys         text[] STORAGE EXTERNAL NOT NULL,
    digests      bytea[] STORAGE EXTERNAL NOT NULL,  -- SHA-256, in the order of the keys
    PRIMARY KEY (interval_id, kind, page),
    CHECK (cardinality(keys) = cardinality(digests))
);

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

-- When the whole ledger was looked at (`./market ledger verify`), and how much did not fit.
CREATE TABLE ledger_check (
    at_ms      bigint PRIMARY KEY,
    row_count  bigint NOT NULL,                    -- sealed rows then
    wrong      bigint NOT NULL CHECK (wrong >= 0)
);

GRANT SELECT ON seal_page, seal, system_balance, account_balance TO market_app;
GRANT SELECT, INSERT ON ledger_check TO market_app;
