-- The mark below is a comment for sqlx, which looks only at the first line.
-- no-transaction
ALTER TABLE users DROP COLUMN name;
