-- +goose Up
CREATE TABLE users (id int PRIMARY KEY, email text);
-- +goose StatementBegin
CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.email := lower(NEW.email);
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION lowered();
DROP TABLE users;
