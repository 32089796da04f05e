-- Whose interactions were read, when, and what did not go well. In the import's own schema, that nobody else may use.
CREATE SCHEMA IF NOT EXISTS gonogo;
REVOKE ALL ON SCHEMA gonogo FROM PUBLIC;
CREATE TABLE IF NOT EXISTS gonogo.interaction_reads (
  pulse_id     text PRIMARY KEY,
  read_at      timestamptz NOT NULL,
  interactions integer NOT NULL,
  problem      text
);
