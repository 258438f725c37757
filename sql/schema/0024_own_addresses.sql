-- Whether a machine was registered from its own address. Any other address is held only for the time in which its
-- NodeManager must appear, and yields to a registration from the host itself.

ALTER TABLE machine ADD COLUMN own_address boolean NOT NULL DEFAULT false;
