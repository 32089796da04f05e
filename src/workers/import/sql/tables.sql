-- The import's own tables. Names stand without their schema: a dry run makes the same tables for its session alone.
-- What is unlogged can be fetched again; a server that crashed has emptied it, and the pass begins anew.

-- One profile a row, checked. `round` is the reading that brought it last.
CREATE UNLOGGED TABLE IF NOT EXISTS pulse_staging (
  pulse_id                text PRIMARY KEY,
  name                    text NOT NULL,
  first_name              text,
  last_name               text,
  email                   text,
  email_key               text GENERATED ALWAYS AS (lower(normalize(email, NFC))) STORED,
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
  round                   integer NOT NULL
);

-- What is to become of the profiles that make a difference, numbered: the merge goes by ranges of numbers.
CREATE UNLOGGED TABLE IF NOT EXISTS pulse_plan (
  n                       bigint PRIMARY KEY,
  verdict                 text NOT NULL,
  reason                  text,
  contact_id              uuid,
  rivals                  uuid[],
  both_changed            boolean NOT NULL,
  pulse_id                text NOT NULL,
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
  data_hash               text NOT NULL
);

-- How far the import and the sync are; each changes in the transaction whose work it records.
CREATE TABLE IF NOT EXISTS import_state (
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
  unchanged   bigint NOT NULL DEFAULT 0,
  allowed     double precision
);

-- The ranges of the plan that are merged, each written in the transaction that merged it. What stands here is done, and
-- nothing else is: several connections merge at once, and a kill may come between any two of them.
CREATE TABLE IF NOT EXISTS import_batches (
  run          uuid NOT NULL,
  first_n      bigint NOT NULL,
  last_n       bigint NOT NULL,
  rows         bigint NOT NULL,
  imported     bigint NOT NULL,
  updated      bigint NOT NULL,
  both_changed bigint NOT NULL,
  PRIMARY KEY (run, first_n)
);

-- Profiles that the database would refuse, or did, with the reason in words and the record as it came.
CREATE TABLE IF NOT EXISTS import_rejects (
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
CREATE TABLE IF NOT EXISTS import_conflicts (
  pulse_id  text PRIMARY KEY,
  email_key text,
  reason    text NOT NULL,
  contacts  uuid[],
  profile   jsonb NOT NULL,
  run       uuid NOT NULL,
  seen_at   timestamptz NOT NULL
);
