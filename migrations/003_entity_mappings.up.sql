-- gonogo: no-transaction
--
-- 003 up: which record here is which record in Pulse, for the sync in both directions.
--
-- The table is new and refers to contacts by value only (a mapping may be of a document or a task), so nothing here locks
-- a table that the application uses. Both look-ups are served by the indexes of the two unique constraints.

-- What was there before is written down, so that the rollback takes away only what this file has made.
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

DELETE FROM gonogo_backup.catalogue_before WHERE migration = '003' AND reverted_at IS NOT NULL;

INSERT INTO gonogo_backup.catalogue_before (migration, kind, name, definition)
SELECT '003', was.kind, was.name, was.definition
FROM (
  SELECT 'relation' AS kind, c.relname::text AS name, c.relkind::text AS definition
  FROM pg_catalog.pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'entity_mappings'
  UNION ALL
  SELECT 'function', p.proname::text, pg_get_functiondef(p.oid)
  FROM pg_catalog.pg_proc p
  WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f' AND p.proname = 'entity_mappings_touch'
  UNION ALL
  SELECT 'rows', 'contacts', count(*)::text FROM public.contacts
) AS was
WHERE NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before b WHERE b.migration = '003');

-- One side may be unknown while a record waits to be made there, never both. A conflict is both sides changed since
-- last_synced_at; data_hash is that of the record as both sides last agreed on it.
CREATE TABLE IF NOT EXISTS public.entity_mappings (
  id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  entity_type       text NOT NULL,
  logos_id          uuid,
  pulse_id          text,
  last_synced_at    timestamptz,
  sync_status       text NOT NULL DEFAULT 'pending',
  sync_direction    text NOT NULL DEFAULT 'bidirectional',
  sync_error        text,
  retry_count       integer NOT NULL DEFAULT 0,
  logos_modified_at timestamptz,
  pulse_modified_at timestamptz,
  data_hash         text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT entity_mappings_logos_key UNIQUE (entity_type, logos_id),
  CONSTRAINT entity_mappings_pulse_key UNIQUE (entity_type, pulse_id),
  CONSTRAINT entity_mappings_type_check
    CHECK (entity_type IN ('contact', 'document', 'interaction', 'task', 'event', 'organization')),
  CONSTRAINT entity_mappings_status_check
    CHECK (sync_status IN ('synced', 'pending', 'failed', 'conflict', 'disabled')),
  CONSTRAINT entity_mappings_direction_check
    CHECK (sync_direction IN ('pulse_to_logos', 'logos_to_pulse', 'bidirectional')),
  CONSTRAINT entity_mappings_retry_check CHECK (retry_count >= 0),
  CONSTRAINT entity_mappings_side_check CHECK (num_nonnulls(logos_id, pulse_id) > 0)
);

-- Closed before anything else is done to it: the platform grants everything on a new table to everybody.
ALTER TABLE public.entity_mappings ENABLE ROW LEVEL SECURITY;

CREATE INDEX IF NOT EXISTS idx_entity_mappings_pending
  ON public.entity_mappings (entity_type, created_at) WHERE sync_status = 'pending';
CREATE INDEX IF NOT EXISTS idx_entity_mappings_failed
  ON public.entity_mappings (entity_type, retry_count, updated_at) WHERE sync_status = 'failed';

CREATE OR REPLACE FUNCTION public.entity_mappings_touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION public.entity_mappings_touch() FROM PUBLIC;

CREATE OR REPLACE TRIGGER entity_mappings_touch
  BEFORE UPDATE ON public.entity_mappings
  FOR EACH ROW EXECUTE FUNCTION public.entity_mappings_touch();

-- A contact's mapping shows to whom the contact shows; the other kinds are the sync's own business.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy
                 WHERE polrelid = 'public.entity_mappings'::regclass AND polname = 'entity_mappings_as_contact') THEN
    CREATE POLICY entity_mappings_as_contact ON public.entity_mappings
      FOR ALL
      USING (entity_type = 'contact' AND EXISTS (SELECT FROM public.contacts c WHERE c.id = logos_id))
      WITH CHECK (entity_type = 'contact' AND EXISTS (SELECT FROM public.contacts c WHERE c.id = logos_id));
  END IF;
END
$$;

-- Rights as on contacts, but only those that row-level security can bound: TRUNCATE, for one, goes past it.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
    FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.oid = 'public.entity_mappings'::regclass AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON public.entity_mappings FROM %s', granted.role);
  END LOOP;
  FOR granted IN
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role,
           string_agg(DISTINCT a.privilege_type, ', ') AS rights
    FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.oid = 'public.contacts'::regclass AND a.grantee <> c.relowner
      AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    GROUP BY 1
  LOOP
    EXECUTE format('GRANT %s ON public.entity_mappings TO %s', granted.rights, granted.role);
  END LOOP;
END
$$;

COMMENT ON TABLE public.entity_mappings IS 'which record of this database is which record of Pulse';
