-- Deletion of an account, which its owner asks for: it is suspended at once, and what is his is removed later. The row
-- stays, since the ledger names its id, and so does the username, which nobody is given again.
ALTER TABLE member
    ADD COLUMN deletion_due_ms  bigint,     -- when what is his is removed; NULL: he has not asked, or it was taken back
    ADD COLUMN erasing_ms       bigint,     -- when that began: from then on nobody can reopen the account
    ADD COLUMN erased_ms        bigint,     -- when all of it was gone
    ADD CHECK (erasing_ms IS NULL OR suspended_ms IS NOT NULL AND deletion_due_ms IS NOT NULL),
    ADD CHECK (erased_ms IS NULL OR erasing_ms IS NOT NULL AND email = '');
CREATE INDEX member_to_erase ON member (deletion_due_ms) WHERE deletion_due_ms IS NOT NULL AND erased_ms IS NULL;

-- Addresses that accounts had confirmed which are deleted: HMAC-SHA-256 with the secret `retired_addresses_key`, so that
-- none brings a second opening grant, and who reads this table learns none.
CREATE TABLE retired_address (
    digest  bytea PRIMARY KEY CHECK (octet_length(digest) = 32)
);
GRANT SELECT, INSERT ON retired_address TO market_app;
GRANT DELETE ON confirmed_address TO market_app;

-- One more kind of mail: that a deletion was asked for.
ALTER TABLE account_mail DROP CONSTRAINT account_mail_kind_check;
ALTER TABLE account_mail
    ADD CONSTRAINT account_mail_kind_check CHECK (kind IN ('confirm', 'reset', 'leaving', 'deletion'));
