-- Who is paid for a machine is who lends it; for the market's own machines, and for those that nobody
-- registered, the treasury is.

SELECT format('interval %s, machine %s', s.interval_id, p.machine),
       format('paid %s, not its owner %s', p.payee, coalesce(m.user_id, 'treasury'))
FROM new_intervals(:only_new) s
JOIN payout p USING (interval_id)
LEFT JOIN machine m ON m.machine_id::text = p.machine
WHERE p.payee <> coalesce(m.user_id, 'treasury');
