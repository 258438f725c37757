-- Every posting is from and to an account that exists.

SELECT 'posting ' || t.key, format('%s is no account', side)
FROM new_transfers(:only_new) t
CROSS JOIN LATERAL unnest(ARRAY[t.payer, t.payee]) side
WHERE side NOT IN ('treasury', 'pool', 'fee') AND NOT EXISTS (SELECT FROM account WHERE user_id::text = side);
