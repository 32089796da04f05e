-- gonogo: no-transaction
ALTER TABLE contacts DROP COLUMN fax;
ALTER TABLE contacts RENAME COLUMN zip_code TO postcode;
ALTER TABLE contacts RENAME TO people;
ALTER TABLE contacts ADD COLUMN owner text NOT NULL;
DROP TABLE old_contacts;
TRUNCATE visits;
TRUNCATE visits CASCADE;
LOCK TABLE contacts;
VACUUM FULL contacts;
REFRESH MATERIALIZED VIEW totals;
ANALYZE contacts;
UPDATE contacts SET owner = 'x' WHERE owner IS NULL;
