-- What a job really used of what was allocated to it: known when its logs have been collected, each job's once.
ALTER TABLE job
    ADD COLUMN used     jsonb,   -- processor time and memory by role (jobs/output/used.py); NULL: not known
    ADD COLUMN used_ms  bigint;  -- when it was looked for
-- Nobody has measured those that have ended by now: their containers were of an earlier release.
UPDATE job SET used_ms = ended_ms WHERE ended_ms IS NOT NULL;
CREATE INDEX job_to_measure ON job (ended_ms) WHERE ended_ms IS NOT NULL AND used_ms IS NULL;
