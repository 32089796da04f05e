-- gonogo: no-transaction
--
-- 001 down: contacts goes back to what it was, values included.
--
-- What Pulse brought is set aside in gonogo_backup under the date and time of the rollback. Then what the sync wrote into
-- columns that were there before is undone, except where a person has changed the value since; contacts that the sync
-- added and nobody has touched are taken out; and only then the columns, checks, indexes and triggers of 001 are dropped,
-- and nothing else. Writes of the sync must have stopped before: what is written between the copy and the drop is lost.
-- The interactions (002) and mappings (003) go first.

-- Refuses where the rollback could destroy what it did not create.
DO $$
DECLARE
  foreign_objects text;
BEGIN
  IF to_regclass('public.pulse_contact_interactions') IS NOT NULL
     AND EXISTS (SELECT FROM pg_catalog.pg_constraint
                 WHERE conrelid = to_regclass('public.pulse_contact_interactions')
                   AND confrelid = 'public.contacts'::regclass) THEN
    RAISE EXCEPTION 'public.pulse_contact_interactions still refers to contacts; nothing was changed'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run the rollback of 002 first.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                 WHERE attrelid = 'public.contacts'::regclass AND attname = 'pulse_last_synced_at' AND NOT attisdropped) THEN
    RETURN;
  END IF;
  IF to_regclass('gonogo_backup.catalogue_before') IS NULL THEN
    RAISE EXCEPTION 'there is no record of contacts before 001; nothing was changed'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'The up file of 001 writes gonogo_backup.catalogue_before; without it nobody can tell what was there before.';
  END IF;
  SELECT string_agg(b.kind || ' ' || b.name, ', ' ORDER BY b.kind, b.name) INTO foreign_objects
  FROM gonogo_backup.catalogue_before b
  WHERE b.migration = '001' AND b.reverted_at IS NULL
    AND b.name = ANY (ARRAY[
      'pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date', 'total_interactions',
      'preferred_channel', 'communication_frequency', 'pulse_tags', 'pulse_notes', 'is_favorite', 'is_blocked', 'is_vip',
      'pulse_last_synced_at', 'pulse_sync_status', 'pulse_sync_error',
      'idx_contacts_pulse_profile_id', 'idx_contacts_relationship_score', 'idx_contacts_relationship_trend',
      'idx_contacts_last_interaction_date', 'idx_contacts_status_flags', 'idx_contacts_pulse_sync_status',
      'idx_contacts_pulse_tags',
      'contacts_relationship_score_check', 'contacts_relationship_trend_check', 'contacts_total_interactions_check',
      'contacts_preferred_channel_check', 'contacts_communication_frequency_check', 'contacts_pulse_sync_status_check',
      'contacts_note_sync_insert', 'contacts_note_sync_update']);
  IF foreign_objects IS NOT NULL THEN
    RAISE EXCEPTION 'was on contacts before 001, and would be dropped: %; nothing was changed', foreign_objects
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Roll 001 back by hand, without these.';
  END IF;
END
$$;

-- The whole row of every contact that Pulse has touched, in a table that carries the date; and beside it, in set_aside, how to
-- put it back once 001 is applied again. A run by hand that stopped half-way finds its copy and keeps it: a second one
-- would be of contacts that are half undone.
DO $$
DECLARE
  stamp   CONSTANT text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US');
  aside   CONSTANT text := 'contacts_' || stamp;
  journal text := 'gonogo_backup.contact_sync_journal_' || stamp;
  columns text;
  changes text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                 WHERE attrelid = 'public.contacts'::regclass AND attname = 'pulse_last_synced_at' AND NOT attisdropped) THEN
    RETURN;
  END IF;
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
  IF to_regclass('gonogo_backup.contact_sync_journal') IS NULL THEN
    journal := '(SELECT NULL::uuid AS contact_id, NULL::text AS action, NULL::jsonb AS before, NULL::jsonb AS written)';
  ELSIF EXISTS (SELECT FROM gonogo_backup.set_aside s
                WHERE s.migration = '001' AND to_regclass('gonogo_backup.contact_sync_journal_' || s.stamp) IS NULL
                  AND to_regclass(s.relation) IS NOT NULL) THEN
    RETURN;
  END IF;
  EXECUTE format($aside$
    CREATE TABLE gonogo_backup.%I AS
    SELECT c.* FROM public.contacts c
    WHERE num_nonnulls(pulse_profile_id, relationship_score, relationship_trend, last_interaction_date, preferred_channel,
                       communication_frequency, pulse_tags, pulse_notes, pulse_last_synced_at, pulse_sync_error) > 0
       OR total_interactions <> 0 OR is_favorite OR is_blocked OR is_vip OR pulse_sync_status <> 'pending'
  $aside$, aside);
  EXECUTE format('ALTER TABLE gonogo_backup.%I ENABLE ROW LEVEL SECURITY', aside);
  EXECUTE format('REVOKE ALL ON gonogo_backup.%I FROM PUBLIC', aside);
  EXECUTE format('COMMENT ON TABLE gonogo_backup.%I IS %L', aside,
                 'public.contacts as Pulse left it, set aside by the rollback of 001');
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
         string_agg(format('%1$I = r.%1$I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname <> 'id')
    INTO columns, changes
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = 'public.contacts'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
  -- Contacts that the sync had added come back whole. One that is here gets its Pulse fields, and what the sync had written into
  -- the other columns where nobody has changed it since the rollback; one that Pulse has reached since is left alone, and so
  -- is everything on a second run.
  INSERT INTO gonogo_backup.set_aside (migration, relation, stamp, put_back)
  VALUES ('001', format('gonogo_backup.%I', aside), stamp, format($back$
    WITH returned AS (
      INSERT INTO public.contacts (%2$s)
      SELECT %2$s FROM gonogo_backup.%1$I a WHERE NOT EXISTS (SELECT FROM public.contacts c WHERE c.id = a.id)
      RETURNING 1
    ), image AS (
      SELECT c.id, jsonb_object_agg(k.key, CASE
               WHEN k.key IN ('pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date',
                              'total_interactions', 'preferred_channel', 'communication_frequency', 'pulse_tags', 'pulse_notes',
                              'is_favorite', 'is_blocked', 'is_vip', 'pulse_last_synced_at', 'pulse_sync_status',
                              'pulse_sync_error') THEN to_jsonb(a) -> k.key
               WHEN j.written -> k.key IS NOT NULL AND k.value = j.before -> k.key THEN j.written -> k.key
               ELSE k.value END) AS image
      FROM gonogo_backup.%1$I a JOIN public.contacts c ON c.id = a.id
      LEFT JOIN %4$s j ON j.contact_id = a.id AND j.action = 'updated'
      CROSS JOIN LATERAL jsonb_each(to_jsonb(c)) AS k
      WHERE num_nonnulls(c.pulse_profile_id, c.relationship_score, c.relationship_trend, c.last_interaction_date,
                         c.preferred_channel, c.communication_frequency, c.pulse_tags, c.pulse_notes, c.pulse_last_synced_at,
                         c.pulse_sync_error) = 0
        AND c.total_interactions = 0 AND NOT (c.is_favorite OR c.is_blocked OR c.is_vip) AND c.pulse_sync_status = 'pending'
      GROUP BY c.id
    ), given AS (
      UPDATE public.contacts c SET %3$s
      FROM image i CROSS JOIN LATERAL jsonb_populate_record(NULL::public.contacts, i.image) AS r
      WHERE c.id = i.id AND to_jsonb(c) IS DISTINCT FROM i.image
      RETURNING 1
    )
    SELECT (SELECT count(*) FROM returned) + (SELECT count(*) FROM given)
  $back$, aside, columns, changes, journal));
END
$$;

-- From here on the sync is not noted any more: what follows is not the sync.
DROP TRIGGER IF EXISTS contacts_note_sync_insert ON public.contacts;
DROP TRIGGER IF EXISTS contacts_note_sync_update ON public.contacts;

-- Undoes the sync in columns that were there before: each column that still holds what the sync wrote gets back what it
-- held before. Touches only contacts where that makes a difference.
DO $$
DECLARE
  columns_before text[];
  changes text;
BEGIN
  IF to_regclass('gonogo_backup.contact_sync_journal') IS NULL THEN
    RETURN;
  END IF;
  SELECT array_agg(b.name ORDER BY b.name) INTO columns_before
  FROM gonogo_backup.catalogue_before b
  JOIN pg_catalog.pg_attribute a ON a.attrelid = 'public.contacts'::regclass AND a.attname = b.name AND NOT a.attisdropped
  WHERE b.migration = '001' AND b.kind = 'column' AND b.reverted_at IS NULL AND b.name <> 'id' AND a.attgenerated = '';
  IF columns_before IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('timezone', 'UTC', true);
  SELECT string_agg(format('%1$I = r.%1$I', name), ', ') INTO changes FROM unnest(columns_before) AS name;
  EXECUTE format($undo$
    WITH undone AS (
      SELECT c.id, jsonb_object_agg(k.key, CASE WHEN k.value = j.written -> k.key
                                                THEN coalesce(j.before -> k.key, k.value) ELSE k.value END) AS image
      FROM gonogo_backup.contact_sync_journal j
      JOIN public.contacts c ON c.id = j.contact_id
      CROSS JOIN LATERAL jsonb_each(to_jsonb(c)) AS k
      WHERE j.action = 'updated' AND j.before IS DISTINCT FROM j.written
      GROUP BY c.id
    )
    UPDATE public.contacts c SET %s
    FROM undone u CROSS JOIN LATERAL jsonb_populate_record(NULL::public.contacts, u.image) AS r
    WHERE c.id = u.id AND to_jsonb(c) IS DISTINCT FROM u.image
  $undo$, changes);
END
$$;

-- Takes out the contacts that the sync added, unless a person has edited one since or something refers to it: those stay.
DO $$
DECLARE
  unreferenced text;
BEGIN
  IF to_regclass('gonogo_backup.contact_sync_journal') IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('timezone', 'UTC', true);
  SELECT coalesce(string_agg(format(' AND NOT EXISTS (SELECT FROM %s AS t WHERE t.%I = c.id)',
                                    f.conrelid::regclass, a.attname), ''), '')
    INTO unreferenced
  FROM pg_catalog.pg_constraint f
  JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
  WHERE f.contype = 'f' AND f.confrelid = 'public.contacts'::regclass;
  EXECUTE format($out$
    DELETE FROM public.contacts c
    USING gonogo_backup.contact_sync_journal j
    WHERE c.id = j.contact_id AND j.action = 'inserted' AND NOT j.edited AND to_jsonb(c) @> j.written %s
  $out$, unreferenced);
END
$$;

-- The notes of the sync go beside the rows that were set aside, under the same date.
DO $$
DECLARE
  stamp text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US');
BEGIN
  IF to_regclass('gonogo_backup.contact_sync_journal') IS NULL THEN
    RETURN;
  END IF;
  IF to_regclass('gonogo_backup.set_aside') IS NOT NULL THEN
    SELECT s.stamp INTO stamp FROM gonogo_backup.set_aside s WHERE s.migration = '001' ORDER BY s.set_aside_at DESC LIMIT 1;
  END IF;
  EXECUTE format('ALTER TABLE gonogo_backup.contact_sync_journal RENAME CONSTRAINT contact_sync_journal_pkey TO %I',
                 'contact_sync_journal_' || stamp || '_pkey');
  EXECUTE format('ALTER TABLE gonogo_backup.contact_sync_journal RENAME TO %I', 'contact_sync_journal_' || stamp);
END
$$;

DROP FUNCTION IF EXISTS gonogo_backup.note_contact_sync();

DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_pulse_tags;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_pulse_sync_status;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_status_flags;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_last_interaction_date;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_relationship_trend;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_relationship_score;
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_pulse_profile_id;

-- The indexes on donor_stage and engagement_score are dropped only where 001 has built them. DROP INDEX CONCURRENTLY cannot
-- stand in a condition, so the condition renames them, which locks nobody out, and the drop goes by the new name.
DO $$
DECLARE
  built text;
BEGIN
  IF to_regclass('gonogo_backup.catalogue_before') IS NULL
     OR NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before WHERE migration = '001' AND reverted_at IS NULL) THEN
    RETURN;
  END IF;
  FOREACH built IN ARRAY ARRAY['idx_contacts_donor_stage', 'idx_contacts_engagement_score'] LOOP
    IF to_regclass('public.' || built) IS NOT NULL
       AND NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before
                       WHERE migration = '001' AND kind = 'index' AND name = built) THEN
      EXECUTE format('ALTER INDEX public.%I RENAME TO %I', built, built || '_of_001');
    END IF;
  END LOOP;
END
$$;

-- gonogo: allow drop-not-own because the block above gives this name to an index that 001 has built, and to no other
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_donor_stage_of_001;
-- gonogo: allow drop-not-own because the block above gives this name to an index that 001 has built, and to no other
DROP INDEX CONCURRENTLY IF EXISTS public.idx_contacts_engagement_score_of_001;

-- One ALTER, metadata only. The checks go with their columns; they are named for a run that stopped half-way.
ALTER TABLE public.contacts
  DROP CONSTRAINT IF EXISTS contacts_relationship_score_check,
  DROP CONSTRAINT IF EXISTS contacts_relationship_trend_check,
  DROP CONSTRAINT IF EXISTS contacts_total_interactions_check,
  DROP CONSTRAINT IF EXISTS contacts_preferred_channel_check,
  DROP CONSTRAINT IF EXISTS contacts_communication_frequency_check,
  DROP CONSTRAINT IF EXISTS contacts_pulse_sync_status_check,
  DROP COLUMN IF EXISTS pulse_sync_error,
  DROP COLUMN IF EXISTS pulse_sync_status,
  DROP COLUMN IF EXISTS pulse_last_synced_at,
  DROP COLUMN IF EXISTS is_vip,
  DROP COLUMN IF EXISTS is_blocked,
  DROP COLUMN IF EXISTS is_favorite,
  DROP COLUMN IF EXISTS pulse_notes,
  DROP COLUMN IF EXISTS pulse_tags,
  DROP COLUMN IF EXISTS communication_frequency,
  DROP COLUMN IF EXISTS preferred_channel,
  DROP COLUMN IF EXISTS total_interactions,
  DROP COLUMN IF EXISTS last_interaction_date,
  DROP COLUMN IF EXISTS relationship_trend,
  DROP COLUMN IF EXISTS relationship_score,
  DROP COLUMN IF EXISTS pulse_profile_id;

-- The record has served; it stays, marked, for the checks after the rollback. The next run of 001 writes a new one.
DO $$
BEGIN
  IF to_regclass('gonogo_backup.catalogue_before') IS NOT NULL THEN
    UPDATE gonogo_backup.catalogue_before SET reverted_at = now() WHERE migration = '001' AND reverted_at IS NULL;
  END IF;
END
$$;

ANALYZE public.contacts;
