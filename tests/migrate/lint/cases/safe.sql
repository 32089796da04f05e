-- gonogo: no-transaction
ALTER TABLE contacts
  ADD COLUMN token uuid,
  ALTER COLUMN token SET DEFAULT gen_random_uuid(),
  ADD COLUMN score integer,
  ADD COLUMN kind text NOT NULL DEFAULT 'person',
  ADD CONSTRAINT score_check CHECK (score BETWEEN 0 AND 100) NOT VALID;

-- gonogo: batches of 1000 by id
UPDATE contacts SET token = gen_random_uuid() WHERE token IS NULL;

ALTER TABLE contacts VALIDATE CONSTRAINT score_check;
ALTER TABLE contacts ADD CONSTRAINT token_there CHECK (token IS NOT NULL) NOT VALID;
ALTER TABLE contacts VALIDATE CONSTRAINT token_there;
ALTER TABLE contacts ALTER COLUMN token SET NOT NULL;
ALTER TABLE contacts DROP CONSTRAINT token_there;
CREATE INDEX CONCURRENTLY idx_city ON contacts (city);
DROP INDEX CONCURRENTLY idx_old;
COMMENT ON COLUMN contacts.token IS 'who';
ANALYZE contacts;
