INSERT INTO pulse_staging (
  pulse_id, name, first_name, last_name, email, email_key, phone, relationship_score, relationship_trend,
  last_interaction_date, total_interactions, preferred_channel, communication_frequency, tags, notes, is_favorite,
  is_blocked, pulse_updated_at, data_hash, run, round)
SELECT DISTINCT ON (p.pulse_id)
  p.pulse_id, p.name, p.first_name, p.last_name, p.email, lower(normalize(p.email, NFC)), p.phone, p.relationship_score,
  p.relationship_trend, p.last_interaction_date, p.total_interactions, p.preferred_channel, p.communication_frequency,
  p.tags, p.notes, p.is_favorite, p.is_blocked, p.pulse_updated_at, p.data_hash, $1, $2
FROM gonogo_page p
ORDER BY p.pulse_id, p.n DESC
ON CONFLICT (pulse_id) DO UPDATE SET
  name = EXCLUDED.name, first_name = EXCLUDED.first_name, last_name = EXCLUDED.last_name, email = EXCLUDED.email,
  email_key = EXCLUDED.email_key, phone = EXCLUDED.phone, relationship_score = EXCLUDED.relationship_score,
  relationship_trend = EXCLUDED.relationship_trend, last_interaction_date = EXCLUDED.last_interaction_date,
  total_interactions = EXCLUDED.total_interactions, preferred_channel = EXCLUDED.preferred_channel,
  communication_frequency = EXCLUDED.communication_frequency, tags = EXCLUDED.tags, notes = EXCLUDED.notes,
  is_favorite = EXCLUDED.is_favorite, is_blocked = EXCLUDED.is_blocked, pulse_updated_at = EXCLUDED.pulse_updated_at,
  data_hash = EXCLUDED.data_hash, run = EXCLUDED.run, round = EXCLUDED.round
