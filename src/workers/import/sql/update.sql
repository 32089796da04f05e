-- Pulse wins for name, email, phone and the relationship, but what it does not know erases nothing that is known here.
-- The donor's fields are not named at all. Notes are appended once: not when they were brought before, nor when they stand there.
UPDATE public.contacts c SET
  name = s.name,
  first_name = coalesce(s.first_name, c.first_name),
  last_name = coalesce(s.last_name, c.last_name),
  email = coalesce(s.email, c.email),
  phone = coalesce(s.phone, c.phone),
  notes = CASE
    WHEN s.notes IS NULL OR s.notes = c.pulse_notes
      OR position($3 || s.notes || $3 IN $3 || coalesce(c.notes, '') || $3) > 0 THEN c.notes
    WHEN btrim(coalesce(c.notes, '')) = '' THEN s.notes
    ELSE c.notes || $3 || s.notes END,
  updated_at = $2,
  pulse_profile_id = s.pulse_id,
  relationship_score = s.relationship_score,
  relationship_trend = s.relationship_trend,
  last_interaction_date = coalesce(s.last_interaction_date, c.last_interaction_date),
  total_interactions = coalesce(s.total_interactions, c.total_interactions),
  preferred_channel = s.preferred_channel,
  communication_frequency = s.communication_frequency,
  pulse_tags = (SELECT array_agg(DISTINCT tag ORDER BY tag)
                FROM unnest(coalesce(c.pulse_tags, '{}') || coalesce(s.tags, '{}')) tag),
  pulse_notes = coalesce(s.notes, c.pulse_notes),
  is_favorite = s.is_favorite,
  is_blocked = s.is_blocked,
  -- The before-image of 001 is taken when this changes, so it has to change whatever the clock shows.
  pulse_last_synced_at = greatest($2, c.pulse_last_synced_at + interval '1 microsecond'),
  pulse_sync_status = 'synced',
  pulse_sync_error = NULL
FROM gonogo.pulse_staging s
WHERE s.pulse_id = ANY ($1) AND s.verdict = 'update' AND c.id = s.contact_id
