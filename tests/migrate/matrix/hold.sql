-- Points at which the runner's session can be held: at the begin and the end of every schema change, and before and after each
-- line of the bookkeeping, which stands in the step's own transaction. They are numbered as they come; a sequence does not
-- forget its number when a transaction is rolled back.
CREATE SCHEMA hold;
-- Unlogged: a number that is written to the log takes a transaction id, and what must come first in its transaction comes too late.
CREATE UNLOGGED SEQUENCE hold.points;
CREATE TABLE hold.target (point bigint NOT NULL);
INSERT INTO hold.target VALUES (0);

CREATE FUNCTION hold.here() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  here bigint;
BEGIN
  IF current_setting('application_name') <> 'gonogo migrate' THEN
    RETURN;
  END IF;
  here := nextval('hold.points');
  WHILE EXISTS (SELECT FROM hold.target WHERE point = here) LOOP
    PERFORM pg_sleep(0.005);
  END LOOP;
END
$$;

CREATE FUNCTION hold.at_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM hold.here(); END $$;
CREATE FUNCTION hold.at_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM hold.here(); RETURN NULL; END $$;

CREATE TRIGGER hold_before BEFORE INSERT OR UPDATE OR DELETE ON gonogo.steps FOR EACH STATEMENT EXECUTE FUNCTION hold.at_line();
CREATE TRIGGER hold_after AFTER INSERT OR UPDATE OR DELETE ON gonogo.steps FOR EACH STATEMENT EXECUTE FUNCTION hold.at_line();
CREATE TRIGGER hold_before BEFORE INSERT OR UPDATE OR DELETE ON gonogo.migrations FOR EACH STATEMENT EXECUTE FUNCTION hold.at_line();

CREATE EVENT TRIGGER hold_start ON ddl_command_start EXECUTE FUNCTION hold.at_ddl();
CREATE EVENT TRIGGER hold_end ON ddl_command_end EXECUTE FUNCTION hold.at_ddl();
