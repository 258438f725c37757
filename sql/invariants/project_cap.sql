-- What the jobs of a member and a month cost a project, or may still, is within the cap that he had in that month.

SELECT format('project %s, member %s, month %s', m.project_id, m.user_id, m.month_ms),
       format('%s ucr are committed, at most %s', c.ucr, m.cap_ucr)
FROM (SELECT DISTINCT j.project_id, j.user_id, month_of(j.added_ms) AS month_ms
      FROM new_holds(:only_new) JOIN job j USING (job_id) WHERE j.project_id IS NOT NULL) spent
LEFT JOIN project_month m USING (project_id, user_id, month_ms)
CROSS JOIN LATERAL (SELECT CASE WHEN m.cap_ucr IS NOT NULL
    THEN month_committed(spent.project_id, spent.user_id, spent.month_ms) END AS ucr) c
WHERE m.project_id IS NULL OR c.ucr > m.cap_ucr;
