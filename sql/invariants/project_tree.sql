-- What a project has committed is what its own account has spent and holds and what its sub-projects have committed;
-- it is within the budget, and no sub-project has a larger budget than its parent, or another time.

SELECT 'project ' || p.project_id,
       format('committed %s ucr of %s; its account %s, its sub-projects %s', p.committed_ucr, p.budget_ucr,
              coalesce(a.used_ucr + a.held_ucr, 0), s.committed)
FROM project p
LEFT JOIN account a ON a.project_id = p.project_id
CROSS JOIN LATERAL (SELECT coalesce(sum(c.committed_ucr), 0) AS committed
                    FROM project c WHERE c.parent_id = p.project_id) s
WHERE a.user_id IS NULL OR p.committed_ucr <> a.used_ucr + a.held_ucr + s.committed
   OR p.committed_ucr > p.budget_ucr
UNION ALL
SELECT 'project ' || c.project_id, format('lies outside its parent %s', p.project_id)
FROM project c JOIN project p ON p.project_id = c.parent_id
WHERE c.budget_ucr > p.budget_ucr OR c.start_ms < p.start_ms OR c.end_ms > p.end_ms OR c.root_id <> p.root_id;
