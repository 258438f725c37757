-- What people gave from the treasury, by time: grants and refunds are few among the postings of settlements.
CREATE INDEX journal_given ON journal (at_ms) WHERE interval_id IS NULL AND kind IN ('grant', 'refund');
