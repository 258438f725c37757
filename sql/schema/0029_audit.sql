-- The audit: what was refused, what was ended because nobody knew it, which secrets were made anew, what
-- administrators did. Rows are only ever added, by the function audit_write: the market's role may not write here.
CREATE TABLE audit (
    audit_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms     bigint NOT NULL,
    kind      text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    actor     text NOT NULL,    -- who did it, as far as is known: a member's name, an address, a service
    subject   text NOT NULL,    -- what it was done to: an application, a route, a secret's name
    detail    text NOT NULL
);
CREATE INDEX audit_by_time ON audit (at_ms);
CREATE INDEX audit_by_kind ON audit (kind, at_ms);
CREATE INDEX audit_by_subject ON audit (kind, subject);

GRANT SELECT ON audit TO market_app;

-- Tags of what an operator gives to YARN himself beside the market's jobs, as measurements do, and until when. An
-- application whose tags name neither a run nor a canary nor one of these is ended.
CREATE TABLE announced_work (
    tag       text PRIMARY KEY,
    until_ms  bigint NOT NULL
);

GRANT SELECT, INSERT, DELETE ON announced_work TO market_app;
