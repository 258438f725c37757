-- An alert is open until an administrator has acknowledged it, or what it tells of is over. Raised again after it was
-- over, it is a new one in the same row.
ALTER TABLE alert
    ADD COLUMN first_ms bigint,                               -- when it was raised first since it was open
    ADD COLUMN times bigint NOT NULL DEFAULT 1 CHECK (times > 0),   -- how often since
    ADD COLUMN acknowledged_ms bigint,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN cleared_ms bigint,
    ADD CHECK ((acknowledged_ms IS NULL) = (acknowledged_by IS NULL));
UPDATE alert SET first_ms = at_ms;
ALTER TABLE alert ALTER COLUMN first_ms SET NOT NULL;
CREATE INDEX alert_open ON alert (at_ms) WHERE cleared_ms IS NULL AND acknowledged_ms IS NULL;
CREATE INDEX alert_by_time ON alert (at_ms);

GRANT DELETE ON alert TO market_app;  -- what was over long ago
