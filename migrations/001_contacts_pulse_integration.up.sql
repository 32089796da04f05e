-- gonogo: no-transaction
--
-- 001 up: contacts gets its Pulse fields.
--
-- Nineteen fields belong to the plan; four of them (engagement_score, donor_stage, total_lifetime_giving, last_gift_date)
-- are there already and hold donor history, so nothing here names them in an ALTER. Fifteen are added, in one ALTER, with
-- constant defaults (no rewrite) and checks that are NOT VALID (no scan); each check is then validated on its own, which
-- stops no client. Indexes are built CONCURRENTLY, which is why this file cannot be one transaction.
--
-- Every statement can be run again after a failure at any other. An interrupted CREATE INDEX CONCURRENTLY leaves an invalid
-- index, which IF NOT EXISTS would skip: the runner drops an invalid index before it goes on, and the checks look for it.

-- What was there before is written down first, once, so that the rollback drops only what this file has added.
CREATE SCHEMA IF NOT EXISTS gonogo_backup;

REVOKE ALL ON SCHEMA gonogo_backup FROM PUBLIC;

CREATE TABLE IF NOT EXISTS gonogo_backup.catalogue_before (
  migration   text NOT NULL,
  kind        text NOT NULL,
  name        text NOT NULL,
  definition  text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  reverted_at timestamptz,
  PRIMARY KEY (migration, kind, name)
);

ALTER TABLE gonogo_backup.catalogue_before ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON gonogo_backup.catalogue_before FROM PUBLIC;

-- The record of an earlier round that was taken back has served.
DELETE FROM gonogo_backup.catalogue_before WHERE migration = '001' AND reverted_at IS NOT NULL;

-- One statement, so the record is whole or absent; a second run finds it and leaves it alone.
INSERT INTO gonogo_backup.catalogue_before (migration, kind, name, definition)
SELECT '001', was.kind, was.name, was.definition
FROM (
  SELECT 'column' AS kind, a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = 'public.contacts'::regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'index', x.relname::text, pg_get_indexdef(i.indexrelid)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = 'public.contacts'::regclass AND i.indisvalid
  UNION ALL
  SELECT 'constraint', c.conname::text, pg_get_constraintdef(c.oid)
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = 'public.contacts'::regclass
  UNION ALL
  SELECT 'trigger', t.tgname::text, pg_get_triggerdef(t.oid)
  FROM pg_catalog.pg_trigger t WHERE t.tgrelid = 'public.contacts'::regclass AND NOT t.tgisinternal
  UNION ALL
  SELECT 'policy', p.polname::text, concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid),
                                              pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_catalog.pg_policy p WHERE p.polrelid = 'public.contacts'::regclass
  UNION ALL
  SELECT 'rows', 'contacts', count(*)::text FROM public.contacts
) AS was
WHERE NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before b WHERE b.migration = '001');

-- The sync overwrites name, email, phone and notes of contacts that were there before, so the columns alone are no way
-- back. This keeps, per contact, what each column held before the sync first touched it and what the sync last wrote:
-- the rollback can then undo the sync and leave alone what a person has changed since.
CREATE TABLE IF NOT EXISTS gonogo_backup.contact_sync_journal (
  contact_id uuid PRIMARY KEY,
  action     text NOT NULL CHECK (action IN ('inserted', 'updated')),
  before     jsonb,
  written    jsonb NOT NULL,
  edited     boolean NOT NULL DEFAULT false,
  first_at   timestamptz NOT NULL DEFAULT now(),
  last_at    timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE gonogo_backup.contact_sync_journal ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON gonogo_backup.contact_sync_journal FROM PUBLIC;

-- DROP CONSTRAINT IF EXISTS before each ADD makes the statement repeatable: ADD CONSTRAINT knows no IF NOT EXISTS, and one
-- ALTER is atomic, so a check that stood before the second run stands at every moment of it.
-- The allowed values are those that Pulse sends, all of them.
ALTER TABLE public.contacts
  ADD COLUMN IF NOT EXISTS pulse_profile_id        text,
  ADD COLUMN IF NOT EXISTS relationship_score      integer,
  ADD COLUMN IF NOT EXISTS relationship_trend      text,
  ADD COLUMN IF NOT EXISTS last_interaction_date   timestamptz,
  ADD COLUMN IF NOT EXISTS total_interactions      integer NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS preferred_channel       text,
  ADD COLUMN IF NOT EXISTS communication_frequency text,
  ADD COLUMN IF NOT EXISTS pulse_tags              text[],
  ADD COLUMN IF NOT EXISTS pulse_notes             text,
  ADD COLUMN IF NOT EXISTS is_favorite             boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS is_blocked              boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS is_vip                  boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS pulse_last_synced_at    timestamptz,
  ADD COLUMN IF NOT EXISTS pulse_sync_status       text NOT NULL DEFAULT 'pending',
  ADD COLUMN IF NOT EXISTS pulse_sync_error        text,
  DROP CONSTRAINT IF EXISTS contacts_relationship_score_check,
  DROP CONSTRAINT IF EXISTS contacts_relationship_trend_check,
  DROP CONSTRAINT IF EXISTS contacts_total_interactions_check,
  DROP CONSTRAINT IF EXISTS contacts_preferred_channel_check,
  DROP CONSTRAINT IF EXISTS contacts_communication_frequency_check,
  DROP CONSTRAINT IF EXISTS contacts_pulse_sync_status_check,
  ADD CONSTRAINT contacts_relationship_score_check
    CHECK (relationship_score BETWEEN 0 AND 100) NOT VALID,
  ADD CONSTRAINT contacts_relationship_trend_check
    CHECK (relationship_trend IN ('rising', 'stable', 'falling', 'new', 'dormant')) NOT VALID,
  ADD CONSTRAINT contacts_total_interactions_check
    CHECK (total_interactions >= 0) NOT VALID,
  ADD CONSTRAINT contacts_preferred_channel_check
    CHECK (preferred_channel IN ('email', 'slack', 'phone', 'meeting', 'sms')) NOT VALID,
  ADD CONSTRAINT contacts_communication_frequency_check
    CHECK (communication_frequency IN ('daily', 'weekly', 'monthly', 'quarterly', 'rare')) NOT VALID,
  ADD CONSTRAINT contacts_pulse_sync_status_check
    CHECK (pulse_sync_status IN ('synced', 'pending', 'failed', 'disabled')) NOT VALID;

ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_relationship_score_check;
ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_relationship_trend_check;
ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_total_interactions_check;
ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_preferred_channel_check;
ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_communication_frequency_check;
ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_pulse_sync_status_check;

-- The time zone is pinned because timestamps are compared as JSON text; the definer's rights because the application's
-- roles may not look into the private schema.
CREATE OR REPLACE FUNCTION gonogo_backup.note_contact_sync() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  pulse_fields CONSTANT text[] := ARRAY[
    'id', 'pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date', 'total_interactions',
    'preferred_channel', 'communication_frequency', 'pulse_tags', 'pulse_notes', 'is_favorite', 'is_blocked', 'is_vip',
    'pulse_last_synced_at', 'pulse_sync_status', 'pulse_sync_error'];
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO gonogo_backup.contact_sync_journal (contact_id, action, before, written)
    VALUES (NEW.id, 'inserted', NULL, to_jsonb(NEW) - pulse_fields)
    ON CONFLICT (contact_id) DO UPDATE SET
      action = 'inserted', before = NULL, written = EXCLUDED.written, edited = false, last_at = now();
  ELSE
    INSERT INTO gonogo_backup.contact_sync_journal AS j (contact_id, action, before, written)
    VALUES (NEW.id, 'updated', to_jsonb(OLD) - pulse_fields, to_jsonb(NEW) - pulse_fields)
    ON CONFLICT (contact_id) DO UPDATE SET
      -- A column that still holds what the sync wrote keeps its older before-image; one that a person has changed since
      -- starts from the person's value.
      before = CASE WHEN j.before IS NULL THEN NULL ELSE (
        SELECT jsonb_object_agg(was.key,
                 CASE WHEN j.written -> was.key = was.value THEN coalesce(j.before -> was.key, was.value) ELSE was.value END)
        FROM jsonb_each(EXCLUDED.before) AS was) END,
      edited = j.edited OR EXCLUDED.before IS DISTINCT FROM j.written,
      written = EXCLUDED.written,
      last_at = now();
  END IF;
  RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION gonogo_backup.note_contact_sync() FROM PUBLIC;

-- WHEN is evaluated before the function is called, so a write of the application pays nothing. Whoever writes many contacts
-- in one statement and notes them all in another, in the same transaction, says so with SET LOCAL gonogo.noted.
CREATE OR REPLACE TRIGGER contacts_note_sync_insert
  AFTER INSERT ON public.contacts FOR EACH ROW
  WHEN (NEW.pulse_last_synced_at IS NOT NULL
        AND current_setting('gonogo.noted', true) IS DISTINCT FROM 'by the import')
  EXECUTE FUNCTION gonogo_backup.note_contact_sync();

CREATE OR REPLACE TRIGGER contacts_note_sync_update
  AFTER UPDATE ON public.contacts FOR EACH ROW
  WHEN (NEW.pulse_last_synced_at IS DISTINCT FROM OLD.pulse_last_synced_at
        AND current_setting('gonogo.noted', true) IS DISTINCT FROM 'by the import')
  EXECUTE FUNCTION gonogo_backup.note_contact_sync();

-- The nine indexes of the plan. The fifth and the sixth are on fields that were there, and so are they as a rule.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_pulse_profile_id
  ON public.contacts (pulse_profile_id) WHERE pulse_profile_id IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_relationship_score
  ON public.contacts (relationship_score DESC NULLS LAST) WHERE relationship_score IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_relationship_trend
  ON public.contacts (relationship_trend) WHERE relationship_trend IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_last_interaction_date
  ON public.contacts (last_interaction_date DESC) WHERE last_interaction_date IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_donor_stage
  ON public.contacts (donor_stage);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_engagement_score
  ON public.contacts (engagement_score);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_status_flags
  ON public.contacts (is_vip, is_favorite, is_blocked) WHERE is_vip OR is_favorite OR is_blocked;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_pulse_sync_status
  ON public.contacts (pulse_sync_status, pulse_last_synced_at);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_pulse_tags
  ON public.contacts USING gin (pulse_tags) WHERE pulse_tags IS NOT NULL;

COMMENT ON COLUMN public.contacts.pulse_profile_id IS 'the id of this person''s profile in Pulse';
COMMENT ON COLUMN public.contacts.total_interactions IS
  'Pulse''s figure at the last sync, plus and minus what was stored, archived or deleted here since';

-- The planner knows nothing of the new columns until somebody looks at them.
ANALYZE public.contacts;
