-- What the jobs that a member submitted for a project in a month cost, or may still: holds less what came back.
CREATE FUNCTION month_committed(of_project text, of_user text, month bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT coalesce(sum(h.amount_ucr - h.released_ucr - refunded_ucr(h.job_id)), 0)::bigint
    FROM job j JOIN hold h USING (job_id)
    WHERE j.project_id = of_project AND j.user_id = of_user
      AND j.added_ms >= month AND j.added_ms < month_after(month)
$$;

GRANT EXECUTE ON FUNCTION month_committed TO market_app;
