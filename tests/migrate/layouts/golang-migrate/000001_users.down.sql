DROP FUNCTION touched();
DROP TABLE users;
