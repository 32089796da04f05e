INSERT INTO public.entity_mappings AS m (
  entity_type, logos_id, pulse_id, last_synced_at, sync_status, sync_direction, logos_modified_at, pulse_modified_at, data_hash)
SELECT 'contact', s.contact_id, s.pulse_id, $2, 'synced', 'pulse_to_logos', $2, s.pulse_updated_at, s.data_hash
FROM gonogo.pulse_staging s
WHERE s.pulse_id = ANY ($1) AND s.verdict IN ('insert', 'update')
ORDER BY s.pulse_id
ON CONFLICT (entity_type, pulse_id) DO UPDATE SET
  logos_id = EXCLUDED.logos_id, last_synced_at = EXCLUDED.last_synced_at, sync_status = 'synced', sync_error = NULL,
  retry_count = 0, logos_modified_at = EXCLUDED.logos_modified_at, pulse_modified_at = EXCLUDED.pulse_modified_at,
  data_hash = EXCLUDED.data_hash
