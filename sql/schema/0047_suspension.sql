-- Whether an administrator has suspended an account: while `suspended_ms` is set, nothing that speaks for it is believed.
-- `reopened` counts how often that was lifted: a token of Airflow's names the count of its time, so that what was
-- issued before a suspension opens nothing after it either.
ALTER TABLE member
    ADD COLUMN suspended_ms       bigint,
    ADD COLUMN suspended_by       text,                -- the administrator's name
    ADD COLUMN suspended_because  text,                -- what the person is told
    ADD COLUMN reopened           integer NOT NULL DEFAULT 0 CHECK (reopened >= 0),
    ADD COLUMN last_login_ms      bigint,              -- by password; NULL: never, or before this was noted
    ADD CHECK (num_nonnulls(suspended_ms, suspended_by, suspended_because) IN (0, 3));

-- Administrators look for people by how a name or an address begins.
CREATE INDEX member_by_name_prefix ON member (username text_pattern_ops);
CREATE INDEX member_by_email_prefix ON member (lower(email) text_pattern_ops);
CREATE INDEX member_suspended ON member (fab_user_id) WHERE suspended_ms IS NOT NULL;
