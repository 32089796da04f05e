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
