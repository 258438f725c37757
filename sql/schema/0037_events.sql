-- The outbox: what people are told of. A row is written in the transaction that makes it true, by the triggers of
-- `sql/functions/16_events.sql`; a loop gives it its place in the order in which everybody reads, and makes a delivery
-- of it for each channel that its owner has chosen for it.

CREATE SEQUENCE event_position;

CREATE TABLE event (
    event_id    hex_id PRIMARY KEY,     -- the one id of all its deliveries and of every try
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    -- Its place in the order of publication, which is what cursors count by; NULL: not published yet. `seq` is drawn
    -- before the commit, so a reader who goes by it would pass by what commits late.
    position    bigint UNIQUE,
    at_ms       bigint NOT NULL,
    kind        text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    user_id     hex_id,                 -- whom it is for; NULL: administrators. A member, who is never removed
    job_id      hex_id,
    machine_id  hex_id,
    data        jsonb NOT NULL,         -- the words and figures, by kind
    once        text UNIQUE             -- names what is told one time only; NULL: each time
);
CREATE INDEX event_unpublished ON event (seq) WHERE position IS NULL;
CREATE INDEX event_by_owner ON event (user_id, position);
CREATE INDEX event_by_age ON event (at_ms);

-- Where somebody is told of what: his mail address, or a webhook of his. `next_ms` is when it may be tried again after
-- failures: one that does not answer is asked later and later, for all that waits for it together.
CREATE TABLE channel (
    channel_id    hex_id PRIMARY KEY,
    user_id       hex_id REFERENCES member,     -- NULL: the operator's, for alerts
    way           text NOT NULL CHECK (way IN ('mail', 'webhook')),
    url           text NOT NULL DEFAULT '',
    kinds         text[] NOT NULL DEFAULT '{}', -- told at once
    digest_kinds  text[] NOT NULL DEFAULT '{}', -- told once a day, together
    created_ms    bigint NOT NULL,
    failures      integer NOT NULL DEFAULT 0,   -- one after the other
    next_ms       bigint NOT NULL DEFAULT 0,
    failure       text NOT NULL DEFAULT '',     -- the last one, in words
    delivered_ms  bigint,
    CHECK ((way = 'webhook') = (url <> '')),
    CHECK (way = 'mail' OR digest_kinds = '{}')
);
CREATE UNIQUE INDEX channel_mail ON channel (user_id) NULLS NOT DISTINCT WHERE way = 'mail';
CREATE INDEX channel_by_owner ON channel (user_id, created_ms);

CREATE TABLE delivery (
    event_id     hex_id NOT NULL REFERENCES event ON DELETE CASCADE,
    channel_id   hex_id NOT NULL REFERENCES channel ON DELETE CASCADE,
    digest       boolean NOT NULL DEFAULT false,
    created_ms   bigint NOT NULL,
    due_ms       bigint NOT NULL,
    lease_ms     bigint NOT NULL DEFAULT 0,      -- until then somebody is at it
    tries        integer NOT NULL DEFAULT 0,
    ended_ms     bigint,
    outcome      text CHECK (outcome IN ('delivered', 'given_up')),
    PRIMARY KEY (event_id, channel_id),
    CHECK ((ended_ms IS NULL) = (outcome IS NULL))
);
CREATE INDEX delivery_open ON delivery (channel_id, due_ms) WHERE ended_ms IS NULL;
CREATE INDEX delivery_by_channel ON delivery (channel_id, created_ms);

GRANT SELECT, UPDATE, DELETE ON event TO market_app;
GRANT USAGE ON SEQUENCE event_position TO market_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON channel, delivery TO market_app;
