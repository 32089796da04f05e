-- gonogo: no-transaction
-- 1: every old row lacks the value, and NOT VALID is enforced on each write.
ALTER TABLE contacts ADD COLUMN stage text;
ALTER TABLE contacts ADD CONSTRAINT stage_there CHECK (stage IS NOT NULL) NOT VALID;
UPDATE contacts SET stage = 'new' WHERE stage IS NULL;
ALTER TABLE contacts VALIDATE CONSTRAINT stage_there;
-- 2: the drop runs first, and with it goes the proof.
ALTER TABLE contacts ALTER COLUMN stage SET NOT NULL, DROP CONSTRAINT stage_there;
-- 3: the waits for old transactions count.
SET lock_timeout = '200ms';
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_stage ON contacts (stage);
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_stage_again ON contacts (stage);
