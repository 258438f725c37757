-- The members whose address, as it is now, they have confirmed: mail goes to these.
CREATE VIEW confirmed_mail AS
    SELECT m.user_id, m.email FROM member m JOIN confirmed_address c ON c.user_id = m.user_id AND c.email = lower(m.email);

GRANT SELECT ON confirmed_mail TO market_app;
