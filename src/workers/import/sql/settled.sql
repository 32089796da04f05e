-- What people decided about profiles that the import could not place. A decision holds as long as the profile says what it said.
CREATE TABLE IF NOT EXISTS gonogo.import_settled (
  pulse_id   text PRIMARY KEY,
  data_hash  text NOT NULL,
  way        text NOT NULL,
  contact_id uuid,
  decided_by text NOT NULL,
  settled_at timestamptz NOT NULL
);
