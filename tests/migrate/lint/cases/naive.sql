-- What people write first.
ALTER TABLE contacts ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE contacts ADD COLUMN score integer CHECK (score BETWEEN 0 AND 100);
ALTER TABLE contacts ADD COLUMN trend text;
ALTER TABLE contacts ADD COLUMN channel text;
ALTER TABLE contacts ADD CONSTRAINT email_known CHECK (email <> '');
ALTER TABLE contacts ALTER COLUMN name SET NOT NULL;
ALTER TABLE contacts ALTER COLUMN phone TYPE text;
ALTER TABLE contacts ADD CONSTRAINT contacts_email_key UNIQUE (email);
CREATE INDEX idx_city ON contacts (city);
DROP INDEX idx_old;
UPDATE contacts SET trend = 'new';
