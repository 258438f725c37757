-- When the agent last began to start the machine's NodeManager: one that never appears is told from one
-- that only takes a moment.

ALTER TABLE machine ADD COLUMN joined_ms bigint;
