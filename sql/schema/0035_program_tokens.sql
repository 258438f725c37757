-- Tokens that a member makes for his programs. The market keeps a hash of each, never the token itself: who reads
-- this table can speak for nobody. One that is revoked is deleted; the audit says so.

CREATE TABLE program_token (
    token_id      hex_id PRIMARY KEY,
    user_id       hex_id NOT NULL REFERENCES member,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    hash          bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),  -- SHA-256 of the token, which is random
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    password_key  text NOT NULL,       -- of the password that it was made under: it ends with that
    created_ms    bigint NOT NULL,
    expires_ms    bigint NOT NULL CHECK (expires_ms > created_ms),
    last_used_ms  bigint,              -- to the minute
    UNIQUE (user_id, name),
    CHECK (scopes <@ ARRAY['read', 'submit', 'lend', 'files'])
);

GRANT SELECT, INSERT, UPDATE, DELETE ON program_token TO market_app;
