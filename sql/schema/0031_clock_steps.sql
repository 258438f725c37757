-- Steps of the clock that the market's host keeps: where it jumped, and by how much. A limit in time counts what has
-- passed, not what the clock says.

-- How far the clock was ahead of the time since this start of the host (`boot`), when that was last looked at.
CREATE TABLE clock_offset (
    boot       text PRIMARY KEY,
    offset_ms  bigint NOT NULL
);

CREATE TABLE clock_step (
    at_ms  bigint PRIMARY KEY,        -- by the clock, after the step
    by_ms  bigint NOT NULL CHECK (by_ms <> 0)
);

GRANT SELECT, INSERT, UPDATE ON clock_offset TO market_app;
GRANT SELECT, INSERT ON clock_step TO market_app;
