-- Who gives back what an attempt had paid that the pool lost: the owner of the machine whose loss ended it gives back
-- what that machine earned from it, the treasury the rest within a bound for each member and day, and nobody is given
-- back what he paid for a machine of his own. Before, the treasury gave back all.

ALTER TABLE journal DROP CONSTRAINT journal_kind_check;
ALTER TABLE journal ADD CONSTRAINT journal_kind_check
    CHECK (kind IN ('grant', 'capture', 'pay', 'stipend', 'refund', 'return'));

-- What the treasury gives back at most to one member in one day (UTC). NULL: the interval was closed before there was
-- a bound, and what is said below of refunds does not hold for it.
ALTER TABLE settlement ADD COLUMN refund_bound_ucr bigint CHECK (refund_bound_ucr >= 0);

-- Of what a lost attempt had paid (`paid_ucr`): what the payer had paid for machines of his own, what the owner of the
-- machine whose loss ended the attempt has to give back, and what the treasury gave back (`amount_ucr`).
ALTER TABLE refund
    DROP CONSTRAINT refund_amount_ucr_check,
    ADD CONSTRAINT refund_amount_ucr_check CHECK (amount_ucr >= 0),
    ADD COLUMN paid_ucr   bigint,
    ADD COLUMN own_ucr    bigint NOT NULL DEFAULT 0 CHECK (own_ucr >= 0),
    ADD COLUMN return_ucr bigint NOT NULL DEFAULT 0 CHECK (return_ucr >= 0),
    ADD COLUMN machine_id hex_id,      -- whose loss ended the attempt; NULL: none of a lender
    ADD COLUMN lender     hex_id,      -- its owner, where he has to give back
    ADD CONSTRAINT within_what_was_paid CHECK (amount_ucr + own_ucr + return_ucr <= paid_ucr),
    ADD CONSTRAINT somebody_returns CHECK (return_ucr = 0 OR lender IS NOT NULL AND machine_id IS NOT NULL);
UPDATE refund SET paid_ucr = amount_ucr;
ALTER TABLE refund ALTER COLUMN paid_ucr SET NOT NULL;
CREATE INDEX refund_by_lender ON refund (lender) WHERE return_ucr > 0;
CREATE INDEX refund_by_machine ON refund (machine_id) WHERE return_ucr > 0;

-- What a lender gave back of `refund.return_ucr` in an interval; what is missing is taken from his next earnings.
CREATE TABLE repayment (
    job_id       hex_id NOT NULL,
    attempt      integer NOT NULL,
    interval_id  bigint NOT NULL REFERENCES settlement,
    amount_ucr   bigint NOT NULL CHECK (amount_ucr > 0),
    PRIMARY KEY (job_id, attempt, interval_id),
    FOREIGN KEY (job_id, attempt) REFERENCES refund
);
CREATE INDEX repayment_by_interval ON repayment (interval_id, job_id);

-- What people posted by hand before this file says nothing of who gave it: the invariant `supply` asks for that from
-- here on.
CREATE TABLE named_givers (
    id                 smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    after_journal_id   bigint NOT NULL
);
INSERT INTO named_givers SELECT 1, coalesce(max(journal_id), 0) FROM journal;

-- Runs that were handed to YARN, or may have been: written before the first byte goes there. From then on a container
-- may turn up; so a hold is not given back at once any more, but by the settlement, when the meter has looked.
CREATE TABLE submission (
    tag       text PRIMARY KEY,        -- of the run
    job_id    hex_id NOT NULL REFERENCES job,
    begun_ms  bigint NOT NULL
);
CREATE INDEX submission_by_job ON submission (job_id);
-- Of earlier runs nothing is written down but their status: all that were begun count.
INSERT INTO submission
    SELECT tag, job_id, since_ms FROM run WHERE status <> 'waiting' AND ended_ms IS NULL OR application_id IS NOT NULL;

GRANT SELECT ON repayment, named_givers TO market_app;
GRANT SELECT, INSERT ON submission TO market_app;
