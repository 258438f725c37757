-- How Hadoop's servers knew who speaks to them when a run was handed to YARN ([security] mode). What they took in one
-- mode has no proofs, or others, in the other one: it cannot go on there.
ALTER TABLE submission
    ADD COLUMN mode text NOT NULL DEFAULT 'simple' CHECK (mode IN ('simple', 'kerberos'));
-- Until now there was no other one that a release had by default; from here on whoever hands over says it.
ALTER TABLE submission ALTER COLUMN mode DROP DEFAULT;
