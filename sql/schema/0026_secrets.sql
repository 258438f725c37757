-- A member's secrets: values that his jobs find in their environment. `sealed` is the value, encrypted with the
-- market's key `member_secrets_key` together with its owner and its name, so that no row can stand for another.

CREATE TABLE member_secret (
    user_id      hex_id NOT NULL REFERENCES member,
    name         text NOT NULL CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,127}$'),
    sealed       bytea NOT NULL,
    bytes        integer NOT NULL CHECK (bytes >= 0),  -- of the value, in UTF-8
    modified_ms  bigint NOT NULL,
    PRIMARY KEY (user_id, name)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON member_secret TO market_app;
