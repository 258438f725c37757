-- Projects: accounts of the ledger from which several members spend, each within a budget and a time. A sub-project
-- spends from an account of its own, and what it spends counts for every project above it as well.

CREATE TABLE project (
    project_id     hex_id PRIMARY KEY,
    name           text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_-]{1,31}$'),
    title          text NOT NULL,
    parent_id      hex_id REFERENCES project,
    root_id        hex_id NOT NULL REFERENCES project,  -- the top of its tree: its row is the lock of all of it
    budget_ucr     bigint NOT NULL CHECK (budget_ucr >= 0),    -- the most that it and its sub-projects may spend
    -- What they have spent, less what came back, and what their open holds may still take.
    committed_ucr  bigint NOT NULL DEFAULT 0 CHECK (committed_ucr >= 0),
    start_ms       bigint NOT NULL,                     -- holds are taken from then on
    end_ms         bigint NOT NULL,                     -- and before then
    created_ms     bigint NOT NULL,
    CHECK (start_ms < end_ms),
    CHECK ((parent_id IS NULL) = (root_id = project_id)),
    CONSTRAINT within_budget CHECK (committed_ucr <= budget_ucr)
);
CREATE INDEX project_by_parent ON project (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE project_member (
    project_id     hex_id NOT NULL REFERENCES project,
    user_id        hex_id NOT NULL REFERENCES member,
    role           text NOT NULL CHECK (role IN ('owner', 'manager', 'member', 'viewer')),
    month_cap_ucr  bigint CHECK (month_cap_ucr >= 0),   -- what his jobs of one month may cost; NULL: no cap of his own
    since_ms       bigint NOT NULL,
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_member_by_user ON project_member (user_id);
CREATE UNIQUE INDEX project_has_one_owner ON project_member (project_id) WHERE role = 'owner';

-- The cap of each month (UTC) in which a member submitted something: it stays when the member is given another one
-- later, or leaves. NULL: he had none.
CREATE TABLE project_month (
    project_id  hex_id NOT NULL REFERENCES project,
    user_id     hex_id NOT NULL REFERENCES member,
    month_ms    bigint NOT NULL,
    cap_ucr     bigint CHECK (cap_ucr >= 0),
    PRIMARY KEY (project_id, user_id, month_ms)
);

-- A job that a project pays; its owner is still the member who submitted it.
ALTER TABLE job ADD COLUMN project_id hex_id REFERENCES project;
CREATE INDEX job_by_project ON job (project_id, user_id, added_ms) WHERE project_id IS NOT NULL;

-- An account is a member's or a project's, and has its id; credits move between accounts by transfers.
ALTER TABLE account
    DROP CONSTRAINT account_user_id_fkey,
    ADD COLUMN project_id hex_id REFERENCES project CHECK (project_id = user_id),
    ADD COLUMN member_id hex_id GENERATED ALWAYS AS (CASE WHEN project_id IS NULL THEN user_id END) STORED
        REFERENCES member,
    ADD COLUMN transferred_ucr bigint NOT NULL DEFAULT 0,   -- came from other accounts, less what went to them
    DROP CONSTRAINT never_overdrawn,
    ADD CONSTRAINT never_overdrawn
        CHECK (granted_ucr + shared_ucr + transferred_ucr - used_ucr - held_ucr >= floor_ucr);
ALTER TABLE account_balance ADD COLUMN transferred_ucr bigint NOT NULL DEFAULT 0;

ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check
        CHECK (kind IN ('grant', 'capture', 'pay', 'stipend', 'refund', 'return', 'transfer')),
    DROP CONSTRAINT journal_check,
    ADD CONSTRAINT journal_check
        CHECK ((kind = 'grant' OR kind = 'transfer') = (interval_id IS NULL) OR kind = 'refund');

-- Who made a transfer, and what its payer could transfer at most in one day (UTC) then.
CREATE TABLE account_transfer (
    key         text PRIMARY KEY REFERENCES journal (key),
    payer       hex_id NOT NULL,
    at_ms       bigint NOT NULL,
    amount_ucr  bigint NOT NULL CHECK (amount_ucr > 0),
    giver       hex_id NOT NULL REFERENCES member,
    limit_ucr   bigint NOT NULL CHECK (limit_ucr >= 0)
);
CREATE INDEX account_transfer_by_payer ON account_transfer (payer, at_ms);

GRANT SELECT ON project, project_member, project_month, account_transfer TO market_app;
