-- One transaction: the first lock is held through all that follows.
ALTER TABLE contacts ADD COLUMN stage text, ADD CONSTRAINT stage_known CHECK (stage IN ('a', 'b')) NOT VALID;
ALTER TABLE contacts VALIDATE CONSTRAINT stage_known;
UPDATE organizations SET name = upper(name);
