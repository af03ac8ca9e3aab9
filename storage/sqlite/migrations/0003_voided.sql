-- When the platform was seen to have voided the invoice that a question is about, while it was open.
ALTER TABLE reviews ADD COLUMN voided_at INTEGER;

-- For whose link a job waits, as JSON of its key: it is woken by the transaction which makes that link.
ALTER TABLE jobs ADD COLUMN waits_for TEXT;
CREATE INDEX jobs_waits_for ON jobs (waits_for) WHERE waits_for IS NOT NULL;
