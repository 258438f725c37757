-- A run that was handed to YARN before the servers' connections were encrypted, or while they were, carries the other
-- way in its configuration: as with another mode, the servers do not take it up again.
ALTER TABLE submission DROP CONSTRAINT submission_mode_check;
ALTER TABLE submission ADD CONSTRAINT submission_mode_check CHECK (mode IN ('simple', 'kerberos', 'encrypted'));
