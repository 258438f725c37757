-- What has been told of a budget, or of a member's cap of a month: each threshold once for each limit. Events are
-- deleted with time, and a project may last longer than they do, so what was told is kept here.
CREATE TABLE budget_notice (
    project_id  hex_id NOT NULL REFERENCES project,
    user_id     hex_id REFERENCES member,           -- whose cap; NULL: the project's own budget
    month_ms    bigint,                             -- the month of a cap (UTC); a budget has none
    limit_ucr   bigint NOT NULL CHECK (limit_ucr > 0),  -- the budget or the cap: another one is told of anew
    percent     smallint NOT NULL CHECK (percent = 80 OR percent = 100),
    at_ms       bigint NOT NULL,
    CHECK ((user_id IS NULL) = (month_ms IS NULL)),
    UNIQUE NULLS NOT DISTINCT (project_id, user_id, month_ms, limit_ucr, percent)
);
GRANT SELECT ON budget_notice TO market_app;
