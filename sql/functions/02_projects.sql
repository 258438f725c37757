-- Projects: their trees, who may spend from them, and how much. What the functions raise beside the ledger's codes:
--   LG011  the project takes no hold of this member now (DETAIL: role or time)
--   LG012  over a budget or a cap (DETAIL: what is left, in ucr; HINT: budget or cap)
--   LG013  over the limit of transfers (DETAIL: what is left of the day's, in ucr)
--   LG014  against a rule of the tree (DETAIL: the field that is wrong)

-- A project and those above it, itself first.
CREATE FUNCTION project_chain(of_project text) RETURNS TABLE (project_id text, distance integer)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up AS (
        SELECT p.project_id, p.parent_id, 0 AS distance FROM project p WHERE p.project_id = of_project
        UNION ALL
        SELECT p.project_id, p.parent_id, up.distance + 1 FROM up JOIN project p ON p.project_id = up.parent_id)
    SELECT up.project_id::text, up.distance FROM up ORDER BY up.distance
$$;

-- Lock the trees of those among these accounts that are projects: after holds, before accounts. It is called as a
-- statement of its own, so that the next one sees what the holders of the lock before have committed.
CREATE FUNCTION lock_trees(accounts text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT count(*) FROM (
        SELECT FROM project
        WHERE project_id IN (SELECT root_id FROM project WHERE project_id = ANY (accounts))
        ORDER BY project_id FOR NO KEY UPDATE) locked
$$;

-- What a project's account has spent or holds counts for the project and all above it.
CREATE FUNCTION count_commitment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    UPDATE project SET committed_ucr = committed_ucr
            + (NEW.used_ucr + NEW.held_ucr) - (OLD.used_ucr + OLD.held_ucr)
        WHERE project_id IN (SELECT c.project_id FROM project_chain(NEW.project_id) c);
    RETURN NULL;
END $$;
CREATE TRIGGER count_commitment AFTER UPDATE ON account FOR EACH ROW
    WHEN (NEW.project_id IS NOT NULL AND NEW.used_ucr + NEW.held_ucr <> OLD.used_ucr + OLD.held_ucr)
    EXECUTE FUNCTION count_commitment();

-- The role of a member in a project: that which he was given; owners and managers of a project above are managers.
-- NULL: he has nothing to do with it.
CREATE FUNCTION project_role(of_project text, of_user text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$
    SELECT CASE
        WHEN own.role = 'owner' THEN 'owner'
        WHEN own.role = 'manager' OR EXISTS (
            SELECT FROM project_chain(of_project) c JOIN project_member m USING (project_id)
            WHERE c.distance > 0 AND m.user_id = of_user AND m.role IN ('owner', 'manager')) THEN 'manager'
        ELSE own.role END
    FROM (SELECT (SELECT role FROM project_member
                  WHERE project_id = of_project AND user_id = of_user) AS role) own
$$;

-- The beginning of a month (UTC).
CREATE FUNCTION month_of(at bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT floor(extract(epoch FROM date_trunc('month', to_timestamp(at / 1000.0), 'UTC')) * 1000)::bigint
$$;

CREATE FUNCTION month_after(month bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT month_of(month + 32 * 86400000::bigint) $$;

-- Let a job's hold, as it is by now, grow by `amount` only where the project that pays has its say: the submitter may
-- spend from it, it goes on, and neither its budget nor one above nor his cap of the month is passed. A job that its
-- owner pays himself passes. Raises LG011, LG012.
CREATE FUNCTION admit_hold(for_job text, amount bigint, at bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    j job;
    month bigint;
    left_ucr bigint;
    cap bigint;
BEGIN
    SELECT * INTO j FROM job WHERE job_id = for_job;
    IF j.project_id IS NULL THEN
        RETURN;
    END IF;
    PERFORM lock_trees(ARRAY[j.project_id::text]);
    IF coalesce(project_role(j.project_id, j.user_id), 'viewer') = 'viewer' THEN
        RAISE EXCEPTION 'member % may not spend from project %', j.user_id, j.project_id
            USING ERRCODE = 'LG011', DETAIL = 'role';
    ELSIF EXISTS (SELECT FROM project_chain(j.project_id) JOIN project p USING (project_id)
                  WHERE at < p.start_ms OR at >= p.end_ms) THEN
        RAISE EXCEPTION 'project % has not begun, or has ended', j.project_id
            USING ERRCODE = 'LG011', DETAIL = 'time';
    END IF;
    SELECT min(p.budget_ucr - p.committed_ucr) INTO left_ucr
        FROM project_chain(j.project_id) JOIN project p USING (project_id);
    IF amount > left_ucr THEN
        RAISE EXCEPTION '% ucr are over the budget', amount
            USING ERRCODE = 'LG012', DETAIL = left_ucr::text, HINT = 'budget';
    END IF;
    month := month_of(j.added_ms);
    INSERT INTO project_month
        VALUES (j.project_id, j.user_id, month, (SELECT month_cap_ucr FROM project_member
                WHERE project_id = j.project_id AND user_id = j.user_id))
        ON CONFLICT DO NOTHING;
    SELECT cap_ucr INTO cap FROM project_month
        WHERE project_id = j.project_id AND user_id = j.user_id AND month_ms = month;
    IF cap IS NULL THEN
        RETURN;
    END IF;
    left_ucr := cap - month_committed(j.project_id, j.user_id, month) + amount;
    IF amount > left_ucr THEN
        RAISE EXCEPTION '% ucr are over the cap of the month', amount
            USING ERRCODE = 'LG012', DETAIL = left_ucr::text, HINT = 'cap';
    END IF;
    PERFORM tell_of_cap(j.project_id, j.user_id, month, cap, cap - left_ucr + amount);
END $$;

-- Refuse a budget or a time that a project above does not have, or that one below needs. Raises LG014.
CREATE FUNCTION refuse_above_parent(of_project text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    wrong text;
BEGIN
    SELECT CASE WHEN below.budget_ucr > above.budget_ucr THEN 'budget'
                WHEN below.start_ms < above.start_ms THEN 'start' ELSE 'end' END INTO wrong
        FROM project below JOIN project above ON above.project_id = below.parent_id
        WHERE of_project IN (below.project_id, above.project_id)
          AND (below.budget_ucr > above.budget_ucr OR below.start_ms < above.start_ms OR below.end_ms > above.end_ms)
        LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'a sub-project would lie outside its parent' USING ERRCODE = 'LG014', DETAIL = wrong;
    END IF;
END $$;

-- Make a project with an empty account. Raises LG002 (the name is taken), LG003 (no such parent), LG014.
CREATE FUNCTION create_project(
    new_project hex_id, project_name text, project_title text, parent hex_id, owner hex_id, budget bigint,
    starts bigint, ends bigint, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    IF parent IS NOT NULL THEN
        PERFORM lock_trees(ARRAY[parent::text]);
        IF NOT EXISTS (SELECT FROM project WHERE project_id = parent) THEN
            RAISE EXCEPTION 'there is no project %', parent USING ERRCODE = 'LG003';
        END IF;
    END IF;
    INSERT INTO project (project_id, name, title, parent_id, root_id, budget_ucr, start_ms, end_ms, created_ms)
        VALUES (new_project, project_name, project_title, parent,
                coalesce((SELECT root_id FROM project WHERE project_id = parent), new_project),
                budget, starts, ends, at)
        ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is a project % already', project_name USING ERRCODE = 'LG002';
    END IF;
    PERFORM refuse_above_parent(new_project);
    INSERT INTO account (user_id, project_id, opened_ms) VALUES (new_project, new_project, at);
    INSERT INTO project_member VALUES (new_project, owner, 'owner', NULL, at);
    RETURN 'done';
END $$;

-- Give a project another budget and time. Raises LG003, LG012 (more is committed already: DETAIL), LG014.
CREATE FUNCTION set_project_budget(
    of_project hex_id, new_title text, budget bigint, starts bigint, ends bigint
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    committed bigint;
BEGIN
    PERFORM lock_trees(ARRAY[of_project::text]);
    SELECT committed_ucr INTO committed FROM project WHERE project_id = of_project;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no project %', of_project USING ERRCODE = 'LG003';
    ELSIF budget < committed THEN
        RAISE EXCEPTION 'project % has committed more than % ucr', of_project, budget
            USING ERRCODE = 'LG012', DETAIL = committed::text, HINT = 'budget';
    END IF;
    UPDATE project SET title = new_title, budget_ucr = budget, start_ms = starts, end_ms = ends
        WHERE project_id = of_project;
    PERFORM refuse_above_parent(of_project);
    RETURN 'done';
END $$;

-- Give a member a role and a cap; an owner's place is taken by a new owner, who makes the one before a manager.
-- Raises LG003, LG012 (his jobs of this month are committed to more: DETAIL), LG014 (there would be no owner).
CREATE FUNCTION set_project_member(
    of_project hex_id, of_user hex_id, new_role text, month_cap bigint, at bigint DEFAULT now_ms()
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    committed bigint;
BEGIN
    PERFORM lock_trees(ARRAY[of_project::text]);
    IF NOT EXISTS (SELECT FROM project WHERE project_id = of_project)
       OR NOT EXISTS (SELECT FROM member WHERE user_id = of_user) THEN
        RAISE EXCEPTION 'there is no such project or member' USING ERRCODE = 'LG003';
    ELSIF new_role = 'owner' THEN
        UPDATE project_member SET role = 'manager'
            WHERE project_id = of_project AND role = 'owner' AND user_id <> of_user;
    ELSIF EXISTS (SELECT FROM project_member
                  WHERE project_id = of_project AND user_id = of_user AND role = 'owner') THEN
        RAISE EXCEPTION 'a project has one owner' USING ERRCODE = 'LG014', DETAIL = 'role';
    END IF;
    committed := month_committed(of_project, of_user, month_of(at));
    IF month_cap < committed THEN
        RAISE EXCEPTION 'the jobs of this month may cost more than % ucr', month_cap
            USING ERRCODE = 'LG012', DETAIL = committed::text, HINT = 'cap';
    END IF;
    INSERT INTO project_member VALUES (of_project, of_user, new_role, month_cap, at)
        ON CONFLICT (project_id, user_id)
        DO UPDATE SET role = excluded.role, month_cap_ucr = excluded.month_cap_ucr;
    UPDATE project_month SET cap_ucr = month_cap
        WHERE project_id = of_project AND user_id = of_user AND month_ms = month_of(at);
    PERFORM tell_of_cap(of_project, of_user, month_of(at), month_cap, committed);
    RETURN 'done';
END $$;

-- Take a member out. What he submitted goes on, at the project's cost. Raises LG003, LG014 (he is the owner).
CREATE FUNCTION remove_project_member(of_project hex_id, of_user hex_id) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
BEGIN
    PERFORM lock_trees(ARRAY[of_project::text]);
    IF EXISTS (SELECT FROM project_member
               WHERE project_id = of_project AND user_id = of_user AND role = 'owner') THEN
        RAISE EXCEPTION 'a project has one owner' USING ERRCODE = 'LG014', DETAIL = 'role';
    END IF;
    DELETE FROM project_member WHERE project_id = of_project AND user_id = of_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'member % is not in project %', of_user, of_project USING ERRCODE = 'LG003';
    END IF;
    RETURN 'done';
END $$;

GRANT EXECUTE ON FUNCTION lock_trees, project_role, project_chain, month_of, month_after,
    create_project, set_project_budget, set_project_member, remove_project_member TO market_app;
