-- Which text of a row the digests of a page stand for: see `sealable`. What was sealed before has the first one.
ALTER TABLE seal_page ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0);
