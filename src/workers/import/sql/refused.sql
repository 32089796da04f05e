-- The record of a row that the database refused, in the fields of a profile, so that it can be judged again.
DELETE FROM pulse_plan p WHERE p.n = $1
RETURNING p.pulse_id, jsonb_build_object(
  'id', p.pulse_id, 'display_name', p.name, 'first_name', p.first_name, 'last_name', p.last_name,
  'canonical_email', p.email, 'phone_number', p.phone, 'relationship_score', p.relationship_score,
  'relationship_trend', p.relationship_trend, 'last_interaction_date', p.last_interaction_date,
  'total_interactions', p.total_interactions, 'preferred_channel', p.preferred_channel,
  'communication_frequency', p.communication_frequency, 'tags', p.tags, 'notes', p.notes,
  'is_favorite', p.is_favorite, 'is_blocked', p.is_blocked, 'updated_at', p.pulse_updated_at)::text
