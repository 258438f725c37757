-- Every transfer between accounts names who made it, and its payer stayed within the limit of that day.

SELECT 'posting ' || t.key,
       format('moves %s ucr from %s; noted are %s from %s by %s', t.amount_ucr, t.payer, a.amount_ucr, a.payer, a.giver)
FROM new_transfers(:only_new) t
CROSS JOIN LATERAL (SELECT at_ms FROM journal WHERE journal.journal_id = t.journal_id OFFSET 0) j
LEFT JOIN account_transfer a USING (key)
WHERE t.kind = 'transfer'
  AND (a.key IS NULL OR t.leg <> 1 OR (a.payer::text, a.amount_ucr, a.at_ms) <> (t.payer, t.amount_ucr, j.at_ms)
       OR t.key NOT LIKE 'transfer:' || a.giver || ':' || t.payee || ':%')
UNION ALL
SELECT format('transfers of %s on day %s', a.payer, a.day),
       format('%s ucr, at most %s', a.ucr, a.limit_ucr)
FROM (SELECT payer, at_ms / 86400000 AS day, sum(amount_ucr) AS ucr, max(limit_ucr) AS limit_ucr
      FROM account_transfer
      WHERE NOT :only_new OR key IN (SELECT key FROM unsealed_journal WHERE kind = 'transfer')
         OR (payer, at_ms / 86400000) IN (
            SELECT n.payer, n.at_ms / 86400000 FROM account_transfer n JOIN unsealed_journal USING (key))
      GROUP BY payer, at_ms / 86400000) a
WHERE a.ucr > a.limit_ucr;
