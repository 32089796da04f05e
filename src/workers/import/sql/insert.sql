INSERT INTO public.contacts (
  id, name, first_name, last_name, email, phone, notes, created_at, updated_at, pulse_profile_id, relationship_score,
  relationship_trend, last_interaction_date, total_interactions, preferred_channel, communication_frequency, pulse_tags,
  pulse_notes, is_favorite, is_blocked, pulse_last_synced_at, pulse_sync_status)
SELECT p.contact_id, p.name, p.first_name, p.last_name, p.email, p.phone, p.notes, $3, $3, p.pulse_id, p.relationship_score,
       p.relationship_trend, p.last_interaction_date, coalesce(p.total_interactions, 0), p.preferred_channel,
       p.communication_frequency, p.tags, p.notes, p.is_favorite, p.is_blocked, $3, 'synced'
FROM pulse_plan p
WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'insert'
RETURNING *
