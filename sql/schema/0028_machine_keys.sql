-- When a machine was given the key by which Hadoop's servers know it; NULL: it has none. It is noted before the key is
-- made and until it has been withdrawn, so that none outlives its machine unseen.

ALTER TABLE machine ADD COLUMN key_ms bigint;

CREATE INDEX machine_key ON machine (ip_address) WHERE key_ms IS NOT NULL;
