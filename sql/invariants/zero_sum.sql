-- All balances add up to zero.

SELECT 'all accounts', format('add up to %s ucr', total)
FROM (SELECT coalesce((SELECT sum(granted_ucr + shared_ucr + transferred_ucr - used_ucr) FROM account), 0)
             + (SELECT sum(balance_ucr) FROM system_account) AS total) s
WHERE total <> 0;
