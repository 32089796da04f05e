-- Pulse wins for name, email, phone and the relationship, but what it does not know erases nothing that is known here.
-- The donor's fields are not named at all. Notes are appended once: not when they were brought before, nor when they stand there.
UPDATE public.contacts c SET
  name = p.name,
  first_name = coalesce(p.first_name, c.first_name),
  last_name = coalesce(p.last_name, c.last_name),
  email = coalesce(p.email, c.email),
  phone = coalesce(p.phone, c.phone),
  notes = CASE
    WHEN p.notes IS NULL OR p.notes = c.pulse_notes
      OR position($4 || p.notes || $4 IN $4 || coalesce(c.notes, '') || $4) > 0 THEN c.notes
    WHEN btrim(coalesce(c.notes, '')) = '' THEN p.notes
    ELSE c.notes || $4 || p.notes END,
  updated_at = $3,
  pulse_profile_id = p.pulse_id,
  relationship_score = p.relationship_score,
  relationship_trend = p.relationship_trend,
  last_interaction_date = coalesce(p.last_interaction_date, c.last_interaction_date),
  total_interactions = coalesce(p.total_interactions, c.total_interactions),
  preferred_channel = p.preferred_channel,
  communication_frequency = p.communication_frequency,
  pulse_tags = (SELECT array_agg(DISTINCT tag ORDER BY tag)
                FROM unnest(coalesce(c.pulse_tags, '{}') || coalesce(p.tags, '{}')) tag),
  pulse_notes = coalesce(p.notes, c.pulse_notes),
  is_favorite = p.is_favorite,
  is_blocked = p.is_blocked,
  -- The before-image of 001 is taken when this changes, so it has to change whatever the clock shows.
  pulse_last_synced_at = greatest($3, c.pulse_last_synced_at + interval '1 microsecond'),
  pulse_sync_status = 'synced',
  pulse_sync_error = NULL
FROM pulse_plan p
WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'update' AND c.id = p.contact_id
RETURNING c.*, p.both_changed
