-- Whether the ResourceManager has read a list of hosts that names a machine's: a NodeManager that registers before
-- that is refused, ends, and is started anew, which cost each machine some ten seconds when it joined.

ALTER TABLE machine ADD COLUMN admitted boolean NOT NULL DEFAULT false;
