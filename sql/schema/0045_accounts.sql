-- How people come to the market and prove their addresses: addresses that were confirmed, one-time codes that are
-- mailed, invitations, and accounts that wait for an administrator's word. Of each code the market keeps a hash.

-- Confirmed for one account and for no second one, also when the first has another address by now: with each address
-- one opening grant. It counts while it is the one in the member's row (view confirmed_mail).
CREATE TABLE confirmed_address (
    email    text PRIMARY KEY CHECK (email = lower(email)),
    user_id  hex_id NOT NULL REFERENCES member,
    at_ms    bigint NOT NULL
);
CREATE INDEX confirmed_address_by_member ON confirmed_address (user_id);

-- What the market mails about accounts themselves, and the codes in it. A code is made when its mail is sent, so this
-- table never holds one; a try after a failure makes another. A row stays for a while after its code was used: it is
-- by the rows that the mails to one address are counted.
CREATE TABLE account_mail (
    mail_id     hex_id PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('confirm', 'reset', 'leaving')),
    -- Whom somebody asked for, as he typed it: who asks must not learn, not even by the time it takes, whether there is
    -- such an account. It is looked up before the mail is sent.
    named       text,
    user_id     hex_id REFERENCES member,
    email       text,                        -- where it goes; for `confirm`, the address that is to be confirmed
    hash        bytea UNIQUE CHECK (octet_length(hash) = 32),   -- SHA-256 of the code; NULL: none is in force
    created_ms  bigint NOT NULL,
    expires_ms  bigint NOT NULL CHECK (expires_ms > created_ms),
    next_ms     bigint,                      -- when to send it, or to try again; NULL: that is over
    tries       integer NOT NULL DEFAULT 0,
    failure     text NOT NULL DEFAULT '',    -- of the last try, in words
    CHECK ((named IS NULL) = (user_id IS NOT NULL)),
    CHECK ((user_id IS NULL) = (email IS NULL))
);
CREATE INDEX account_mail_due ON account_mail (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX account_mail_by_member ON account_mail (user_id);
CREATE INDEX account_mail_by_address ON account_mail (lower(email), created_ms);
CREATE INDEX account_mail_by_age ON account_mail (expires_ms);

CREATE TABLE invitation (
    invitation_id  hex_id PRIMARY KEY,
    hash           bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    note           text NOT NULL,            -- for whom it is, in its maker's words
    uses           integer NOT NULL CHECK (uses > 0),
    used           integer NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses),
    made_by        text NOT NULL,            -- the administrator's name
    created_ms     bigint NOT NULL,
    expires_ms     bigint NOT NULL CHECK (expires_ms > created_ms),
    revoked_ms     bigint
);
CREATE INDEX invitation_by_age ON invitation (created_ms);

-- Accounts that an administrator is to look at before they get their opening grant and may submit jobs. A member
-- without a row waits for nobody.
CREATE TABLE approval (
    user_id     hex_id PRIMARY KEY REFERENCES member,
    state       text NOT NULL CHECK (state IN ('waiting', 'approved', 'refused')),
    asked_ms    bigint NOT NULL,
    decided_ms  bigint,
    decided_by  text,                        -- the administrator's name
    reason      text NOT NULL DEFAULT '',
    CHECK ((state = 'waiting') = (decided_ms IS NULL)),
    CHECK ((decided_ms IS NULL) = (decided_by IS NULL))
);
CREATE INDEX approval_by_state ON approval (state, asked_ms);

GRANT SELECT, INSERT, UPDATE ON confirmed_address, invitation, approval TO market_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON account_mail TO market_app;
