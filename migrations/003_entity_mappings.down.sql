-- gonogo: no-transaction
--
-- 003 down: the mappings leave, and are kept.
--
-- The table is moved, with its rows, into the private schema under the date of the rollback: at once, and without losing a
-- row that is written meanwhile. What was there before 003 stays where it is.

-- Refuses where the rollback could take away what it did not make.
DO $$
DECLARE
  foreign_objects text;
BEGIN
  IF to_regclass('public.entity_mappings') IS NULL THEN
    RETURN;
  END IF;
  IF to_regclass('gonogo_backup.catalogue_before') IS NULL
     OR NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before WHERE migration = '003' AND reverted_at IS NULL) THEN
    RAISE EXCEPTION 'there is no record of a run of 003 for public.entity_mappings; nothing was changed'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'The up file of 003 writes gonogo_backup.catalogue_before; without it nobody can tell what was there before.';
  END IF;
  SELECT string_agg(b.kind || ' ' || b.name, ', ' ORDER BY b.kind, b.name) INTO foreign_objects
  FROM gonogo_backup.catalogue_before b
  WHERE b.migration = '003' AND b.reverted_at IS NULL AND b.kind <> 'rows';
  IF foreign_objects IS NOT NULL THEN
    RAISE EXCEPTION 'was there before 003, and would be taken away: %; nothing was changed', foreign_objects
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Roll 003 back by hand, without these.';
  END IF;
END
$$;

-- In one transaction: nobody sees the table half moved, and no row falls between a copy and a drop.
DO $$
DECLARE
  stamp   CONSTANT text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US');
  aside   CONSTANT text := 'entity_mappings_' || stamp;
  columns text;
  part    record;
BEGIN
  IF to_regclass('public.entity_mappings') IS NULL THEN
    RETURN;
  END IF;
  LOCK TABLE public.entity_mappings IN ACCESS EXCLUSIVE MODE;
  FOR part IN SELECT tgname AS name FROM pg_catalog.pg_trigger
              WHERE tgrelid = 'public.entity_mappings'::regclass AND NOT tgisinternal LOOP
    EXECUTE format('DROP TRIGGER %I ON public.entity_mappings', part.name);
  END LOOP;
  FOR part IN SELECT polname AS name FROM pg_catalog.pg_policy
              WHERE polrelid = 'public.entity_mappings'::regclass LOOP
    EXECUTE format('DROP POLICY %I ON public.entity_mappings', part.name);
  END LOOP;
  FOR part IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name
              FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
              WHERE c.oid = 'public.entity_mappings'::regclass AND a.grantee <> c.relowner LOOP
    EXECUTE format('REVOKE ALL ON public.entity_mappings FROM %s', part.name);
  END LOOP;
  FOR part IN SELECT x.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
              WHERE i.indrelid = 'public.entity_mappings'::regclass LOOP
    EXECUTE format('ALTER INDEX public.%I RENAME TO %I', part.name, left(part.name, 39) || '_' || stamp);
  END LOOP;
  EXECUTE format('ALTER TABLE public.entity_mappings RENAME TO %I', aside);
  EXECUTE format('ALTER TABLE public.%I SET SCHEMA gonogo_backup', aside);
  EXECUTE format('COMMENT ON TABLE gonogo_backup.%I IS %L', aside, 'mappings to Pulse, set aside by the rollback of 003');
  CREATE TABLE IF NOT EXISTS gonogo_backup.set_aside (
    migration    text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    relation     text NOT NULL,
    stamp        text NOT NULL,
    put_back     text NOT NULL,
    put_back_at  timestamptz,
    PRIMARY KEY (migration, set_aside_at)
  );
  ALTER TABLE gonogo_backup.set_aside ENABLE ROW LEVEL SECURITY;
  REVOKE ALL ON gonogo_backup.set_aside FROM PUBLIC;
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = to_regclass(format('gonogo_backup.%I', aside)) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
  -- A mapping that the sync has made anew since is left as it is.
  INSERT INTO gonogo_backup.set_aside (migration, relation, stamp, put_back)
  VALUES ('003', format('gonogo_backup.%I', aside), stamp, format($back$
    WITH back AS (
      INSERT INTO public.entity_mappings (%2$s)
      SELECT %2$s FROM gonogo_backup.%1$I a
      WHERE a.entity_type <> 'contact' OR a.logos_id IS NULL OR EXISTS (SELECT FROM public.contacts c WHERE c.id = a.logos_id)
      ON CONFLICT DO NOTHING
      RETURNING 1
    )
    SELECT count(*) FROM back
  $back$, aside, columns));
END
$$;

DROP FUNCTION IF EXISTS public.entity_mappings_touch();

DO $$
BEGIN
  IF to_regclass('gonogo_backup.catalogue_before') IS NOT NULL THEN
    UPDATE gonogo_backup.catalogue_before SET reverted_at = now() WHERE migration = '003' AND reverted_at IS NULL;
  END IF;
END
$$;
