-- A job is paid by the project that it was submitted for, else by its owner; whoever has left the project since.

SELECT 'job ' || h.job_id, format('is paid by %s, and not by %s', h.user_id, coalesce(j.project_id, j.user_id))
FROM new_holds(:only_new) h
JOIN job j USING (job_id)
WHERE h.user_id <> coalesce(j.project_id, j.user_id);
