-- The import's own schema, which nobody else may use. What stands in it is in tables.sql.
-- One at a time: two that revoke at once are an error to PostgreSQL. The lock goes with this transaction; see database.rs for its kin.
SELECT pg_advisory_xact_lock(113728291825521);
CREATE SCHEMA IF NOT EXISTS gonogo;
REVOKE ALL ON SCHEMA gonogo FROM PUBLIC;

-- Staging of an older shape holds nothing that cannot be fetched again.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_attribute
             WHERE attrelid = to_regclass('gonogo.pulse_staging') AND NOT attisdropped
             AND (attname = 'verdict' OR attname = 'email_key' AND attgenerated = '')) THEN
    DROP TABLE gonogo.pulse_staging;
  END IF;
  IF to_regclass('gonogo.import_state') IS NOT NULL THEN
    ALTER TABLE gonogo.import_state ADD COLUMN IF NOT EXISTS allowed double precision;
  END IF;
END
$$;
