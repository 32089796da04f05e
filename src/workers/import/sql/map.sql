INSERT INTO public.entity_mappings AS m (
  entity_type, logos_id, pulse_id, last_synced_at, sync_status, sync_direction, logos_modified_at, pulse_modified_at, data_hash)
SELECT 'contact', p.contact_id, p.pulse_id, $3, 'synced', 'pulse_to_logos', $3, p.pulse_updated_at, p.data_hash
FROM pulse_plan p
WHERE p.n BETWEEN $1 AND $2 AND p.verdict = ANY ($4)
ON CONFLICT (entity_type, pulse_id) DO UPDATE SET
  logos_id = EXCLUDED.logos_id, last_synced_at = EXCLUDED.last_synced_at, sync_status = 'synced', sync_error = NULL,
  retry_count = 0, logos_modified_at = EXCLUDED.logos_modified_at, pulse_modified_at = EXCLUDED.pulse_modified_at,
  data_hash = EXCLUDED.data_hash
