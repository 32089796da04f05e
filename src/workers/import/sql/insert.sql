INSERT INTO public.contacts (
  id, name, first_name, last_name, email, phone, notes, created_at, updated_at, pulse_profile_id, relationship_score,
  relationship_trend, last_interaction_date, total_interactions, preferred_channel, communication_frequency, pulse_tags,
  pulse_notes, is_favorite, is_blocked, pulse_last_synced_at, pulse_sync_status)
SELECT s.contact_id, s.name, s.first_name, s.last_name, s.email, s.phone, s.notes, $2, $2, s.pulse_id, s.relationship_score,
       s.relationship_trend, s.last_interaction_date, coalesce(s.total_interactions, 0), s.preferred_channel,
       s.communication_frequency, s.tags, s.notes, s.is_favorite, s.is_blocked, $2, 'synced'
FROM gonogo.pulse_staging s
WHERE s.pulse_id = ANY ($1) AND s.verdict = 'insert'
ORDER BY s.pulse_id
