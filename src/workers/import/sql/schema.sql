-- The import's own tables, in a schema that nobody else may use. Staging is unlogged: it can be fetched again.
CREATE SCHEMA IF NOT EXISTS gonogo;
REVOKE ALL ON SCHEMA gonogo FROM PUBLIC;

-- One profile a row, checked and ready to merge. `round` is the reading that brought it last.
CREATE UNLOGGED TABLE IF NOT EXISTS gonogo.pulse_staging (
  pulse_id                text PRIMARY KEY,
  name                    text NOT NULL,
  first_name              text,
  last_name               text,
  email                   text,
  email_key               text,
  phone                   text,
  relationship_score      integer,
  relationship_trend      text,
  last_interaction_date   timestamptz,
  total_interactions      integer,
  preferred_channel       text,
  communication_frequency text,
  tags                    text[],
  notes                   text,
  is_favorite             boolean NOT NULL,
  is_blocked              boolean NOT NULL,
  pulse_updated_at        timestamptz,
  data_hash               text NOT NULL,
  run                     uuid NOT NULL,
  round                   integer NOT NULL,
  verdict                 text,
  reason                  text,
  contact_id              uuid,
  rivals                  uuid[],
  done                    boolean NOT NULL DEFAULT false
);

-- How far the import and the sync are; each changes in the transaction whose work it records.
CREATE TABLE IF NOT EXISTS gonogo.import_state (
  kind        text PRIMARY KEY,
  run         uuid NOT NULL,
  phase       text NOT NULL,
  mappings    bigint NOT NULL,
  started_at  timestamptz NOT NULL,
  since       timestamptz,
  round       integer NOT NULL DEFAULT 1,
  next_offset bigint NOT NULL DEFAULT 0,
  pages       bigint NOT NULL DEFAULT 0,
  staged      bigint NOT NULL DEFAULT 0,
  total       bigint,
  imported    bigint NOT NULL DEFAULT 0,
  updated     bigint NOT NULL DEFAULT 0,
  unchanged   bigint NOT NULL DEFAULT 0
);

-- Profiles that the database would refuse, or did, with the reason in words and the record as it came.
CREATE TABLE IF NOT EXISTS gonogo.import_rejects (
  pulse_key text PRIMARY KEY,
  pulse_id  text,
  reason    text NOT NULL,
  detail    text NOT NULL,
  sqlstate  text,
  raw       text NOT NULL,
  run       uuid NOT NULL,
  round     integer NOT NULL,
  seen_at   timestamptz NOT NULL
);

-- Profiles that a person must decide on.
CREATE TABLE IF NOT EXISTS gonogo.import_conflicts (
  pulse_id  text PRIMARY KEY,
  email_key text,
  reason    text NOT NULL,
  contacts  uuid[],
  profile   jsonb NOT NULL,
  run       uuid NOT NULL,
  seen_at   timestamptz NOT NULL
);

-- One page on its way into staging.
CREATE TEMP TABLE IF NOT EXISTS gonogo_page (
  n                       integer NOT NULL,
  pulse_id                text NOT NULL,
  name                    text NOT NULL,
  first_name              text,
  last_name               text,
  email                   text,
  phone                   text,
  relationship_score      integer,
  relationship_trend      text,
  last_interaction_date   timestamptz,
  total_interactions      integer,
  preferred_channel       text,
  communication_frequency text,
  tags                    text[],
  notes                   text,
  is_favorite             boolean NOT NULL,
  is_blocked              boolean NOT NULL,
  pulse_updated_at        timestamptz,
  data_hash               text NOT NULL
) ON COMMIT DELETE ROWS;
