-- Each tick of the rate follows from its interval's demand and the tick before.

SELECT 'interval ' || s.interval_id, format('the tick is %s and should be %s', t, n)
FROM new_intervals(:only_new) s
JOIN settlement_step p ON p.interval_id = s.interval_id AND p.step = 'price'
LEFT JOIN demand_line d ON d.interval_id = s.interval_id
LEFT JOIN rate_tick t ON t.interval_id = s.interval_id
LEFT JOIN rate_tick b ON b.interval_id = s.interval_id - 1
CROSS JOIN LATERAL next_tick(s, d, b) n
WHERE (t.utilisation_micro, t.error_micro, t.x_micro, t.rate_micro)
      IS DISTINCT FROM (n.utilisation_micro, n.error_micro, n.x_micro, n.rate_micro);
