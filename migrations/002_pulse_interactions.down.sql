-- gonogo: no-transaction
--
-- 002 down: the interactions leave, and are kept.
--
-- The table is not copied and dropped but moved, with its rows, into the private schema under the date of the rollback:
-- at once, however large it is, and without losing a row that is written meanwhile. The figures on contacts stay as they
-- are until 001 is taken back. What was there before 002 stays where it is.

-- Refuses where the rollback could take away what it did not make.
DO $$
DECLARE
  foreign_objects text;
BEGIN
  IF to_regclass('public.pulse_contact_interactions') IS NULL THEN
    RETURN;
  END IF;
  IF to_regclass('gonogo_backup.catalogue_before') IS NULL
     OR NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before WHERE migration = '002' AND reverted_at IS NULL) THEN
    RAISE EXCEPTION 'there is no record of a run of 002 for public.pulse_contact_interactions; nothing was changed'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'The up file of 002 writes gonogo_backup.catalogue_before; without it nobody can tell what was there before.';
  END IF;
  SELECT string_agg(b.kind || ' ' || b.name, ', ' ORDER BY b.kind, b.name) INTO foreign_objects
  FROM gonogo_backup.catalogue_before b
  WHERE b.migration = '002' AND b.reverted_at IS NULL AND b.kind <> 'rows';
  IF foreign_objects IS NOT NULL THEN
    RAISE EXCEPTION 'was there before 002, and would be taken away: %; nothing was changed', foreign_objects
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Roll 002 back by hand, without these.';
  END IF;
END
$$;

DROP VIEW IF EXISTS public.pulse_recent_interactions;
DROP VIEW IF EXISTS public.pulse_high_value_interactions;

-- The one statement here that locks contacts, for the time it takes to forget a key.
ALTER TABLE IF EXISTS public.pulse_contact_interactions DROP CONSTRAINT IF EXISTS pulse_interactions_contact_fkey;

-- In one transaction: nobody sees the table half moved, and no row falls between a copy and a drop.
DO $$
DECLARE
  stamp   CONSTANT text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US');
  aside   CONSTANT text := 'pulse_contact_interactions_' || stamp;
  columns text;
  part    record;
BEGIN
  IF to_regclass('public.pulse_contact_interactions') IS NULL THEN
    RETURN;
  END IF;
  LOCK TABLE public.pulse_contact_interactions IN ACCESS EXCLUSIVE MODE;
  FOR part IN SELECT tgname AS name FROM pg_catalog.pg_trigger
              WHERE tgrelid = 'public.pulse_contact_interactions'::regclass AND NOT tgisinternal LOOP
    EXECUTE format('DROP TRIGGER %I ON public.pulse_contact_interactions', part.name);
  END LOOP;
  FOR part IN SELECT polname AS name FROM pg_catalog.pg_policy
              WHERE polrelid = 'public.pulse_contact_interactions'::regclass LOOP
    EXECUTE format('DROP POLICY %I ON public.pulse_contact_interactions', part.name);
  END LOOP;
  FOR part IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name
              FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
              WHERE c.oid = 'public.pulse_contact_interactions'::regclass AND a.grantee <> c.relowner LOOP
    EXECUTE format('REVOKE ALL ON public.pulse_contact_interactions FROM %s', part.name);
  END LOOP;
  FOR part IN SELECT x.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
              WHERE i.indrelid = 'public.pulse_contact_interactions'::regclass LOOP
    EXECUTE format('ALTER INDEX public.%I RENAME TO %I', part.name, left(part.name, 39) || '_' || stamp);
  END LOOP;
  EXECUTE format('ALTER TABLE public.pulse_contact_interactions RENAME TO %I', aside);
  EXECUTE format('ALTER TABLE public.%I SET SCHEMA gonogo_backup', aside);
  EXECUTE format('COMMENT ON TABLE gonogo_backup.%I IS %L', aside, 'interactions from Pulse, set aside by the rollback of 002');
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
  -- The figures on contacts were put back by 001, and count these interactions already: what the triggers add is taken off again.
  INSERT INTO gonogo_backup.set_aside (migration, relation, stamp, put_back)
  VALUES ('002', format('gonogo_backup.%I', aside), stamp, format($back$
    CREATE TEMP TABLE gonogo_figures ON COMMIT DROP AS
      SELECT c.id, c.total_interactions, c.last_interaction_date FROM public.contacts c
      WHERE c.id IN (SELECT a.contact_id FROM gonogo_backup.%1$I a);
    WITH back AS (
      INSERT INTO public.pulse_contact_interactions (%2$s)
      SELECT %2$s FROM gonogo_backup.%1$I a WHERE EXISTS (SELECT FROM public.contacts c WHERE c.id = a.contact_id)
      ON CONFLICT (pulse_interaction_id) DO NOTHING
      RETURNING 1
    )
    SELECT count(*) FROM back;
    UPDATE public.contacts c SET total_interactions = f.total_interactions, last_interaction_date = f.last_interaction_date
    FROM gonogo_figures f
    WHERE c.id = f.id AND (c.total_interactions, c.last_interaction_date) IS DISTINCT FROM
                          (f.total_interactions, f.last_interaction_date)
  $back$, aside, columns));
END
$$;

DROP FUNCTION IF EXISTS public.pulse_interactions_count();
DROP FUNCTION IF EXISTS public.pulse_interactions_touch();

DO $$
BEGIN
  IF to_regclass('gonogo_backup.catalogue_before') IS NOT NULL THEN
    UPDATE gonogo_backup.catalogue_before SET reverted_at = now() WHERE migration = '002' AND reverted_at IS NULL;
  END IF;
END
$$;
