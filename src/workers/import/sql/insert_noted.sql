INSERT INTO gonogo_backup.contact_sync_journal (contact_id, action, before, written)
SELECT c.id, 'inserted', NULL, to_jsonb(w)
FROM made c CROSS JOIN LATERAL (SELECT {columns}) w
ON CONFLICT (contact_id) DO UPDATE SET
  action = 'inserted', before = NULL, written = EXCLUDED.written, edited = false, last_at = now()
