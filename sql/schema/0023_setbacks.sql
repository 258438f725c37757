-- What failed for one thing in a pass over many: how often, why, and when it may be tried again. The row goes when it
-- works. `work` is what the pass does, `subject` names the thing within it.
CREATE TABLE setback (
    work      text NOT NULL,
    subject   text NOT NULL,
    failures  integer NOT NULL CHECK (failures >= 0),   -- 0: put off through no fault of its own
    next_ms   bigint NOT NULL,
    detail    text NOT NULL,
    PRIMARY KEY (work, subject)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON setback TO market_app;
