-- Where an account has been logged in from with its password: whoever guesses at it elsewhere, and uses up its
-- attempts, does not lock out who is known there.

CREATE TABLE known_client (
    client   text PRIMARY KEY,       -- SHA-256 of the name and of the network address
    last_ms  bigint NOT NULL         -- when it was last logged in from there
);
CREATE INDEX known_client_age ON known_client (last_ms);

GRANT SELECT, INSERT, UPDATE, DELETE ON known_client TO market_app;
