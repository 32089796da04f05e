BEGIN;

CREATE TABLE users (id serial PRIMARY KEY, email varchar(300) UNIQUE NOT NULL);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.email := lower(NEW.email);
    RETURN NEW;
END;
$$;

COMMIT;
