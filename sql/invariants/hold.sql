-- A hold is the sum of its entries; what was captured is what its containers were charged and what the journal
-- says; it is at most the whole hold, and exactly that once the hold is closed.

SELECT h.job_id, format('amount, captured, released are %s, %s, %s; entries say %s, %s, %s; '
                        'charged %s, posted %s', h.amount_ucr, h.captured_ucr, h.released_ucr,
                        e.amount, e.captured, e.released, c.charged, p.posted)
FROM new_holds(:only_new) h
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_ucr) FILTER (WHERE kind IN ('take', 'extend')), 0) AS amount,
           coalesce(sum(amount_ucr) FILTER (WHERE kind = 'capture'), 0) AS captured,
           coalesce(sum(amount_ucr) FILTER (WHERE kind = 'release'), 0) AS released
    FROM hold_entry WHERE job_id = h.job_id) e
CROSS JOIN LATERAL (
    SELECT coalesce(sum(charged_ucr), 0) AS charged FROM charged_line l WHERE l.job_id = h.job_id) c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.amount_ucr), 0) AS posted
    FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.job_id = h.job_id AND j.kind = 'capture' AND t.payer = h.user_id AND t.payee = 'pool') p
WHERE (h.amount_ucr, h.captured_ucr, h.released_ucr) IS DISTINCT FROM (e.amount, e.captured, e.released)
   OR h.captured_ucr <> c.charged OR h.captured_ucr <> p.posted
   OR h.captured_ucr + h.released_ucr > h.amount_ucr
   OR h.closed_ms IS NOT NULL AND h.captured_ucr + h.released_ucr <> h.amount_ucr;
