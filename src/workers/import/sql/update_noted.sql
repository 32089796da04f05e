-- All parts of one statement see contacts as they were before it: `b` is what the update found.
INSERT INTO gonogo_backup.contact_sync_journal AS j (contact_id, action, before, written)
SELECT c.id, 'updated', to_jsonb(i), to_jsonb(w)
FROM made c JOIN public.contacts b ON b.id = c.id
  CROSS JOIN LATERAL (SELECT {before}) i CROSS JOIN LATERAL (SELECT {columns}) w
ON CONFLICT (contact_id) DO UPDATE SET
  -- As 001 does it: a column that still holds what was written keeps its older image, one that a person changed since starts anew.
  before = CASE WHEN j.before IS NULL THEN NULL ELSE (
    SELECT jsonb_object_agg(was.key,
             CASE WHEN j.written -> was.key = was.value THEN coalesce(j.before -> was.key, was.value) ELSE was.value END)
    FROM jsonb_each(EXCLUDED.before) AS was) END,
  edited = j.edited OR EXCLUDED.before IS DISTINCT FROM j.written,
  written = EXCLUDED.written,
  last_at = now()
