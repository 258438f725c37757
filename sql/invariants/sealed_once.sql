-- Intervals follow each other without a gap, and every posting is sealed once or waits for the next seal.

SELECT 'interval ' || s.interval_id, 'does not begin where the one before ended'
FROM new_intervals(:only_new) s
WHERE s.interval_id > 1
  AND NOT EXISTS (SELECT FROM settlement b WHERE b.interval_id = s.interval_id - 1 AND b.until_ms = s.from_ms)
UNION ALL
SELECT 'posting ' || key, 'is neither sealed nor waits for it'
FROM (SELECT 'journal' AS kind, key, interval_id FROM journal WHERE NOT :only_new
      UNION ALL SELECT 'hold_entry', key, interval_id FROM hold_entry WHERE NOT :only_new) posted
WHERE (interval_id IS NULL OR interval_id IS DISTINCT FROM open_interval())
  AND NOT EXISTS (SELECT FROM unsealed q WHERE q.kind = posted.kind AND q.key = posted.key)
  AND NOT EXISTS (SELECT FROM sealed_row r WHERE r.kind = posted.kind AND r.key = posted.key)
UNION ALL
SELECT 'posting ' || key, 'is sealed and waits for it'
FROM unsealed JOIN sealed_row USING (kind, key) WHERE NOT :only_new
UNION ALL
SELECT kind || ' ' || key, 'is sealed more than once'
FROM sealed_row WHERE NOT :only_new GROUP BY kind, key HAVING count(*) > 1;
