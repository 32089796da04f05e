CREATE TABLE fresh (id int PRIMARY KEY);
ANALYZE fresh;
UPDATE contacts SET city = 'Here' WHERE id = 7;
COMMENT ON TABLE others IS 'theirs';
ANALYZE contacts;
ANALYZE others;
ANALYZE unrelated;
