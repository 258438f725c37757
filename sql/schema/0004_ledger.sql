-- The ledger: accounts, postings and holds. Money moves through the functions of `sql/functions/` alone.
--
-- Amounts are micro-credits (ucr, bigint): 1 credit = 1 000 000 ucr. A posting is a journal row with one or
-- more transfers, each from one account to another: it sums to zero by construction. Postings are never
-- changed; a correction is a new posting.
--
-- An account is a member's user_id, or one of the market's own: 'treasury' (issues credits, so its balance is
-- negative), 'pool' (captures pass through it: zero after every settled interval) and 'fee'. A member's
-- balance is cached in `account`, guarded by CHECKs; the market's own are derived, because one row that every
-- posting updates would halve the throughput.
--
-- A settlement writes many rows at once. Where a foreign key would look up one parent again and again, a trigger
-- looks for all rows of a statement together; such parents are only ever added, like their children.
--
-- Locks, in this order everywhere: holds by job_id, then accounts by user_id.

CREATE TABLE account (
    user_id      hex_id PRIMARY KEY REFERENCES member,
    granted_ucr  bigint NOT NULL DEFAULT 0 CHECK (granted_ucr >= 0),
    shared_ucr   bigint NOT NULL DEFAULT 0 CHECK (shared_ucr >= 0),   -- earned by lending, stipends included
    used_ucr     bigint NOT NULL DEFAULT 0 CHECK (used_ucr >= 0),     -- spent on jobs, less refunds
    held_ucr     bigint NOT NULL DEFAULT 0 CHECK (held_ucr >= 0),     -- what open holds may still take
    floor_ucr    bigint NOT NULL DEFAULT 0 CHECK (floor_ucr <= 0),
    opened_ms    bigint NOT NULL,
    CONSTRAINT never_overdrawn CHECK (granted_ucr + shared_ucr - used_ucr - held_ucr >= floor_ucr)
) WITH (fillfactor = 70);  -- room for updates within the page: no index changes with a balance

CREATE TABLE journal (
    journal_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text NOT NULL UNIQUE,
    kind         text NOT NULL CHECK (kind IN ('grant', 'capture', 'pay', 'stipend', 'refund')),
    at_ms        bigint NOT NULL,
    interval_id  bigint,               -- the settlement that made it; NULL: made by a person
    job_id       hex_id,
    machine_id   hex_id,
    note         text NOT NULL DEFAULT '',
    CHECK ((kind = 'grant') = (interval_id IS NULL) OR kind = 'refund')
);
CREATE INDEX journal_by_job ON journal (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX journal_by_machine ON journal (machine_id, interval_id) WHERE machine_id IS NOT NULL;
CREATE INDEX journal_by_interval ON journal (interval_id) WHERE interval_id IS NOT NULL;

-- Accounts are not foreign keys here: each posting would lock the row of 'pool' or 'treasury' against all
-- others. The invariant `unknown_account` looks for a wrong one.
CREATE TABLE transfer (
    journal_id   bigint NOT NULL,      -- of a row of `journal`: the trigger `has_journal`
    leg          smallint NOT NULL CHECK (leg > 0),
    payer        text NOT NULL,
    payee        text NOT NULL,
    amount_ucr   bigint NOT NULL CHECK (amount_ucr > 0),
    PRIMARY KEY (journal_id, leg),
    CHECK (payer <> payee)
);
-- A member's statement; the market's own accounts are in nearly every posting, and nobody lists them.
CREATE INDEX transfer_by_payer ON transfer (payer, journal_id) WHERE length(payer) = 32;
CREATE INDEX transfer_by_payee ON transfer (payee, journal_id) WHERE length(payee) = 32;

CREATE TABLE hold (
    job_id            hex_id PRIMARY KEY REFERENCES job,
    user_id           hex_id NOT NULL,
    amount_ucr        bigint NOT NULL CHECK (amount_ucr >= 0),
    captured_ucr      bigint NOT NULL DEFAULT 0 CHECK (captured_ucr >= 0),
    released_ucr      bigint NOT NULL DEFAULT 0 CHECK (released_ucr >= 0),
    rate_micro        bigint NOT NULL CHECK (rate_micro > 0),         -- locked: these three price every container
    weight_micro      bigint NOT NULL CHECK (weight_micro > 0),
    gib_weight_micro  bigint NOT NULL CHECK (gib_weight_micro >= 0),
    taken_ms          bigint NOT NULL,
    expires_ms        bigint NOT NULL,       -- an ended job whose usage stays unknown gets the rest back then
    closed_ms         bigint,
    CHECK (captured_ucr + released_ucr <= amount_ucr),
    CHECK (closed_ms IS NULL OR captured_ucr + released_ucr = amount_ucr)
) WITH (fillfactor = 80);
CREATE INDEX hold_open ON hold (user_id) WHERE closed_ms IS NULL;

-- Every change of a hold; `hold` itself is their sum.
CREATE TABLE hold_entry (
    key          text PRIMARY KEY,
    job_id       hex_id NOT NULL,      -- of a row of `hold`: the trigger `has_hold`
    kind         text NOT NULL CHECK (kind IN ('take', 'extend', 'capture', 'release')),
    amount_ucr   bigint NOT NULL CHECK (amount_ucr >= 0),
    total_ucr    bigint NOT NULL,      -- the hold's amount after it
    at_ms        bigint NOT NULL,
    interval_id  bigint                -- the settlement that made it; NULL: made by a person
);
CREATE INDEX hold_entry_by_job ON hold_entry (job_id);
CREATE INDEX hold_entry_by_interval ON hold_entry (interval_id, job_id) WHERE interval_id IS NOT NULL;

-- Rows that people made and that no seal covers yet: (table, key). The next seal takes what is here, never
-- "ids above the last one": an id that is drawn early and committed late would fall through. What a
-- settlement makes is sealed by its interval.
CREATE TABLE unsealed (
    kind  text NOT NULL,
    key   text NOT NULL,
    PRIMARY KEY (kind, key)
);

-- Everybody reads; only the functions write.
GRANT SELECT ON account, journal, transfer, hold, hold_entry, unsealed TO market_app;
