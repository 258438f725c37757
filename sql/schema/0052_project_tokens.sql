-- Tokens for programs that manage projects, as their maker may. The check is the one of 0035 that names its scopes.
ALTER TABLE program_token
    DROP CONSTRAINT program_token_scopes_check1,
    ADD CONSTRAINT program_token_scopes_check1 CHECK (scopes <@ ARRAY['read', 'submit', 'lend', 'files', 'project']);
