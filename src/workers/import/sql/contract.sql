-- Everything here ends with the transaction, which is rolled back. A client that waits is never kept waiting by it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TEMP TABLE gonogo_contacts (LIKE public.contacts INCLUDING CONSTRAINTS INCLUDING DEFAULTS) ON COMMIT DROP;
CREATE TEMP TABLE gonogo_pulse_contact_interactions
  (LIKE public.pulse_contact_interactions INCLUDING CONSTRAINTS INCLUDING DEFAULTS) ON COMMIT DROP;

-- A value is tried alone, so that nothing else may be asked for.
DO $$
DECLARE
  col record;
BEGIN
  FOR col IN
    SELECT a.attrelid::regclass AS relation, a.attname FROM pg_catalog.pg_attribute a
    WHERE a.attrelid IN ('pg_temp.gonogo_contacts'::regclass, 'pg_temp.gonogo_pulse_contact_interactions'::regclass)
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', col.relation, col.attname);
  END LOOP;
END
$$;

CREATE FUNCTION pg_temp.gonogo_try(tbl text, col text, val text, OUT state text, OUT rule text, OUT said text)
LANGUAGE plpgsql AS $$
BEGIN
  -- An untyped literal is converted as an assignment is: what is too long is an error, not cut.
  EXECUTE format('INSERT INTO pg_temp.%I (%I) VALUES (%L)', 'gonogo_' || tbl, col, val);
EXCEPTION
  WHEN query_canceled OR admin_shutdown THEN RAISE;
  WHEN OTHERS THEN GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, rule = CONSTRAINT_NAME, said = MESSAGE_TEXT;
END
$$;

CREATE FUNCTION pg_temp.gonogo_whole(cols text[], vals text[], OUT state text, OUT rule text, OUT said text)
LANGUAGE plpgsql AS $$
DECLARE
  named text;
  given text;
BEGIN
  SELECT string_agg(quote_ident(c), ', ' ORDER BY n), string_agg(quote_literal(v), ', ' ORDER BY n)
    INTO named, given
  FROM unnest(cols, vals) WITH ORDINALITY AS pairs (c, v, n);
  EXECUTE format('INSERT INTO public.contacts (%s, pulse_last_synced_at, pulse_sync_status) VALUES (%s, now(), ''synced'')',
                 named, given);
EXCEPTION
  WHEN query_canceled OR admin_shutdown OR lock_not_available THEN RAISE;
  WHEN OTHERS THEN GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, rule = CONSTRAINT_NAME, said = MESSAGE_TEXT;
END
$$;
