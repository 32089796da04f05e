INSERT INTO pulse_staging (
  pulse_id, name, first_name, last_name, email, phone, relationship_score, relationship_trend, last_interaction_date,
  total_interactions, preferred_channel, communication_frequency, tags, notes, is_favorite, is_blocked, pulse_updated_at,
  data_hash, run, round)
SELECT
  pulse_id, name, first_name, last_name, email, phone, relationship_score, relationship_trend, last_interaction_date,
  total_interactions, preferred_channel, communication_frequency, tags, notes, is_favorite, is_blocked, pulse_updated_at,
  data_hash, run, round
FROM gonogo_page
ON CONFLICT (pulse_id) DO UPDATE SET
  name = EXCLUDED.name, first_name = EXCLUDED.first_name, last_name = EXCLUDED.last_name, email = EXCLUDED.email,
  phone = EXCLUDED.phone, relationship_score = EXCLUDED.relationship_score, relationship_trend = EXCLUDED.relationship_trend,
  last_interaction_date = EXCLUDED.last_interaction_date, total_interactions = EXCLUDED.total_interactions,
  preferred_channel = EXCLUDED.preferred_channel, communication_frequency = EXCLUDED.communication_frequency,
  tags = EXCLUDED.tags, notes = EXCLUDED.notes, is_favorite = EXCLUDED.is_favorite, is_blocked = EXCLUDED.is_blocked,
  pulse_updated_at = EXCLUDED.pulse_updated_at, data_hash = EXCLUDED.data_hash, run = EXCLUDED.run, round = EXCLUDED.round
