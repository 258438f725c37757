-- Looks at what was sealed, which the market takes by itself, piece by piece: one that was killed goes on where it
-- was. Of those that have ended the last one's `until_interval` is the watermark: the next look, unless it is at
-- everything, begins behind it.
--
-- Only functions write here: the application moves the mark by comparing, never by saying so. Whoever may write as
-- the owner can forge it, and what lies behind it is then found by the next look at everything, which begins at
-- zero whatever is written here, and so does `./market ledger verify`.
CREATE TABLE ledger_look (
    look_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    whole           boolean NOT NULL,              -- at everything, and at all invariants
    began_ms        bigint NOT NULL,
    after_interval  bigint NOT NULL CHECK (after_interval >= 0),  -- it began behind this one
    until_interval  bigint NOT NULL,               -- the last one that it looks at
    reached         bigint NOT NULL,               -- all up to this one is compared
    row_count       bigint NOT NULL DEFAULT 0,     -- sealed rows of what is compared
    wrong           bigint NOT NULL DEFAULT 0 CHECK (wrong >= 0),
    named           text[] NOT NULL DEFAULT '{}',  -- the first of what is wrong, in words
    ended_ms        bigint,
    CHECK (reached BETWEEN after_interval AND until_interval)
);
CREATE UNIQUE INDEX ledger_look_open ON ledger_look ((true)) WHERE ended_ms IS NULL;
GRANT SELECT ON ledger_look TO market_app;
