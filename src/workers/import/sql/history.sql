-- Whose interactions were read, when, and what did not go well. In the import's own schema, that nobody else may use.
-- One at a time: two that revoke at once are an error to PostgreSQL. The lock goes with this transaction; see database.rs for its kin.
SELECT pg_advisory_xact_lock(113728291825521);
CREATE SCHEMA IF NOT EXISTS gonogo;
REVOKE ALL ON SCHEMA gonogo FROM PUBLIC;
CREATE TABLE IF NOT EXISTS gonogo.interaction_reads (
  pulse_id     text PRIMARY KEY,
  read_at      timestamptz NOT NULL,
  interactions integer NOT NULL,
  problem      text
);
