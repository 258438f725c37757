-- The end of a budget: when a job's owner was told that nearly all of its hold is used.

ALTER TABLE job ADD COLUMN warned_ms bigint;  -- NULL: not told, or told and extended since
