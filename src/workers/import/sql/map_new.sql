-- Those that were nowhere when the plan was made. Who has mapped one since has the last word: the database refuses a second mapping,
-- and the profile is set aside for a person.
INSERT INTO public.entity_mappings (
  entity_type, logos_id, pulse_id, last_synced_at, sync_status, sync_direction, logos_modified_at, pulse_modified_at, data_hash)
SELECT 'contact', p.contact_id, p.pulse_id, $3, 'synced', 'pulse_to_logos', $3, p.pulse_updated_at, p.data_hash
FROM pulse_plan p
WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'insert'
