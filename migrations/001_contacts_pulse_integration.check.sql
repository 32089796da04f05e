-- Checks of 001. Each statement yields rows of (name, ok, detail); the migration may start, or counts as done, or as
-- taken back, when every row of the part is ok. They compare by definition: a thing of the right name and another shape fails.

-- gonogo: before

SELECT 'server is PostgreSQL 14 or newer' AS name,
       current_setting('server_version_num')::int >= 140000 AS ok,
       'server_version ' || current_setting('server_version') AS detail;

SELECT 'public.contacts is a plain table that this role owns' AS name,
       coalesce((SELECT c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
                 FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('public.contacts')), false) AS ok,
       coalesce((SELECT 'owner ' || pg_get_userbyid(c.relowner) || ', this role ' || current_user
                 FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('public.contacts')), 'there is no such table') AS detail;

SELECT 'this role may create a private schema' AS name,
       to_regnamespace('gonogo_backup') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE') AS ok,
       'schema gonogo_backup ' || CASE WHEN to_regnamespace('gonogo_backup') IS NULL THEN 'absent' ELSE 'present' END AS detail;

WITH live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'contacts.id is a uuid' AS name,
       coalesce((SELECT l.definition LIKE 'uuid NOT NULL%' FROM live l WHERE l.name = 'id'), false) AS ok,
       coalesce((SELECT 'found ' || l.definition FROM live l WHERE l.name = 'id'), 'absent') AS detail;

-- The four fields that hold donor history must be what the plan takes them for.
WITH wanted (name, definition) AS (VALUES
  ('engagement_score',      'character varying(20) DEFAULT ''low''::character varying'),
  ('donor_stage',           'character varying(50) DEFAULT ''Prospect''::character varying'),
  ('total_lifetime_giving', 'numeric(12,2) DEFAULT 0'),
  ('last_gift_date',        'date')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'existing column ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AS ok,
       coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

WITH wanted (name, definition) AS (VALUES
  ('pulse_profile_id',        'text'),
  ('relationship_score',      'integer'),
  ('relationship_trend',      'text'),
  ('last_interaction_date',   'timestamp with time zone'),
  ('total_interactions',      'integer NOT NULL DEFAULT 0'),
  ('preferred_channel',       'text'),
  ('communication_frequency', 'text'),
  ('pulse_tags',              'text[]'),
  ('pulse_notes',             'text'),
  ('is_favorite',             'boolean NOT NULL DEFAULT false'),
  ('is_blocked',              'boolean NOT NULL DEFAULT false'),
  ('is_vip',                  'boolean NOT NULL DEFAULT false'),
  ('pulse_last_synced_at',    'timestamp with time zone'),
  ('pulse_sync_status',       'text NOT NULL DEFAULT ''pending''::text'),
  ('pulse_sync_error',        'text')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'column ' || w.name || ' is free, or ours already' AS name,
       l.name IS NULL OR l.definition = w.definition AS ok,
       CASE WHEN l.name IS NULL THEN 'absent' ELSE 'found ' || l.definition || ', wanted ' || w.definition END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

-- During a second run the checks may still be unvalidated.
WITH wanted (name, definition) AS (VALUES
  ('contacts_relationship_score_check',      'CHECK (((relationship_score >= 0) AND (relationship_score <= 100)))'),
  ('contacts_relationship_trend_check',      'CHECK ((relationship_trend = ANY (ARRAY[''rising''::text, ''stable''::text, ''falling''::text, ''new''::text, ''dormant''::text])))'),
  ('contacts_total_interactions_check',      'CHECK ((total_interactions >= 0))'),
  ('contacts_preferred_channel_check',       'CHECK ((preferred_channel = ANY (ARRAY[''email''::text, ''slack''::text, ''phone''::text, ''meeting''::text, ''sms''::text])))'),
  ('contacts_communication_frequency_check', 'CHECK ((communication_frequency = ANY (ARRAY[''daily''::text, ''weekly''::text, ''monthly''::text, ''quarterly''::text, ''rare''::text])))'),
  ('contacts_pulse_sync_status_check',       'CHECK ((pulse_sync_status = ANY (ARRAY[''synced''::text, ''pending''::text, ''failed''::text, ''disabled''::text])))')
), live AS (
  SELECT c.conname::text AS name, pg_get_constraintdef(c.oid) AS definition
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.contacts')
)
SELECT 'constraint ' || w.name || ' is free, or ours already' AS name,
       l.name IS NULL OR l.definition = w.definition OR l.definition = w.definition || ' NOT VALID' AS ok,
       CASE WHEN l.name IS NULL THEN 'absent' ELSE 'found ' || l.definition || ', wanted ' || w.definition END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

WITH wanted (name, definition) AS (VALUES
  ('idx_contacts_pulse_profile_id',      'btree (pulse_profile_id) WHERE (pulse_profile_id IS NOT NULL)'),
  ('idx_contacts_relationship_score',    'btree (relationship_score DESC NULLS LAST) WHERE (relationship_score IS NOT NULL)'),
  ('idx_contacts_relationship_trend',    'btree (relationship_trend) WHERE (relationship_trend IS NOT NULL)'),
  ('idx_contacts_last_interaction_date', 'btree (last_interaction_date DESC) WHERE (last_interaction_date IS NOT NULL)'),
  ('idx_contacts_donor_stage',           'btree (donor_stage)'),
  ('idx_contacts_engagement_score',      'btree (engagement_score)'),
  ('idx_contacts_status_flags',          'btree (is_vip, is_favorite, is_blocked) WHERE (is_vip OR is_favorite OR is_blocked)'),
  ('idx_contacts_pulse_sync_status',     'btree (pulse_sync_status, pulse_last_synced_at)'),
  ('idx_contacts_pulse_tags',            'gin (pulse_tags) WHERE (pulse_tags IS NOT NULL)')
), live AS (
  SELECT x.relname::text AS name, i.indisvalid AND i.indisready AS valid,
         regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') AS definition
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.contacts')
)
SELECT 'index ' || w.name || ' is free, or ours already' AS name,
       l.name IS NULL OR (l.valid AND l.definition = w.definition) AS ok,
       CASE WHEN l.name IS NULL THEN 'absent' WHEN NOT l.valid THEN 'invalid, left by an interrupted build: drop it first'
            ELSE 'found ' || l.definition || ', wanted ' || w.definition END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

-- What carries a name of ours while no run of 001 is on record (its journal stands from the first change until the rollback)
-- rollback would drop it.
WITH recorded AS (
  SELECT to_regclass('gonogo_backup.contact_sync_journal') IS NOT NULL AS found
), taken AS (
  SELECT a.attname::text AS name FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = to_regclass('public.contacts') AND NOT a.attisdropped AND a.attname = ANY (ARRAY[
      'pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date',
      'total_interactions', 'preferred_channel', 'communication_frequency', 'pulse_tags', 'pulse_notes',
      'is_favorite', 'is_blocked', 'is_vip', 'pulse_last_synced_at', 'pulse_sync_status', 'pulse_sync_error'])
  UNION ALL
  SELECT x.relname::text FROM pg_catalog.pg_class x
  WHERE x.relnamespace = 'public'::regnamespace AND x.relname = ANY (ARRAY[
      'idx_contacts_pulse_profile_id', 'idx_contacts_relationship_score', 'idx_contacts_relationship_trend',
      'idx_contacts_last_interaction_date', 'idx_contacts_status_flags', 'idx_contacts_pulse_sync_status',
      'idx_contacts_pulse_tags'])
)
SELECT 'nothing of somebody else''s carries a name of 001' AS name,
       r.found OR NOT EXISTS (SELECT FROM taken) AS ok,
       coalesce('there already: ' || (SELECT string_agg(t.name, ', ' ORDER BY t.name) FROM taken t), 'all names are free') AS detail
FROM recorded r;

SELECT 'contacts holds rows' AS name,
       EXISTS (SELECT FROM public.contacts) AS ok,
       count(*) || ' contacts, ' || coalesce(sum(total_lifetime_giving), 0) || ' given in all' AS detail
FROM public.contacts;

-- gonogo: after

WITH wanted (name, definition) AS (VALUES
  ('pulse_profile_id',        'text'),
  ('relationship_score',      'integer'),
  ('relationship_trend',      'text'),
  ('last_interaction_date',   'timestamp with time zone'),
  ('total_interactions',      'integer NOT NULL DEFAULT 0'),
  ('preferred_channel',       'text'),
  ('communication_frequency', 'text'),
  ('pulse_tags',              'text[]'),
  ('pulse_notes',             'text'),
  ('is_favorite',             'boolean NOT NULL DEFAULT false'),
  ('is_blocked',              'boolean NOT NULL DEFAULT false'),
  ('is_vip',                  'boolean NOT NULL DEFAULT false'),
  ('pulse_last_synced_at',    'timestamp with time zone'),
  ('pulse_sync_status',       'text NOT NULL DEFAULT ''pending''::text'),
  ('pulse_sync_error',        'text')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'column ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AS ok,
       coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

WITH wanted (name, definition) AS (VALUES
  ('engagement_score',      'character varying(20) DEFAULT ''low''::character varying'),
  ('donor_stage',           'character varying(50) DEFAULT ''Prospect''::character varying'),
  ('total_lifetime_giving', 'numeric(12,2) DEFAULT 0'),
  ('last_gift_date',        'date')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'kept column ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AS ok,
       coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

-- NOT VALID would show in the definition.
WITH wanted (name, definition) AS (VALUES
  ('contacts_relationship_score_check',      'CHECK (((relationship_score >= 0) AND (relationship_score <= 100)))'),
  ('contacts_relationship_trend_check',      'CHECK ((relationship_trend = ANY (ARRAY[''rising''::text, ''stable''::text, ''falling''::text, ''new''::text, ''dormant''::text])))'),
  ('contacts_total_interactions_check',      'CHECK ((total_interactions >= 0))'),
  ('contacts_preferred_channel_check',       'CHECK ((preferred_channel = ANY (ARRAY[''email''::text, ''slack''::text, ''phone''::text, ''meeting''::text, ''sms''::text])))'),
  ('contacts_communication_frequency_check', 'CHECK ((communication_frequency = ANY (ARRAY[''daily''::text, ''weekly''::text, ''monthly''::text, ''quarterly''::text, ''rare''::text])))'),
  ('contacts_pulse_sync_status_check',       'CHECK ((pulse_sync_status = ANY (ARRAY[''synced''::text, ''pending''::text, ''failed''::text, ''disabled''::text])))')
), live AS (
  SELECT c.conname::text AS name, pg_get_constraintdef(c.oid) AS definition
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.contacts')
)
SELECT 'constraint ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AS ok,
       coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

WITH wanted (name, definition) AS (VALUES
  ('idx_contacts_pulse_profile_id',      'btree (pulse_profile_id) WHERE (pulse_profile_id IS NOT NULL)'),
  ('idx_contacts_relationship_score',    'btree (relationship_score DESC NULLS LAST) WHERE (relationship_score IS NOT NULL)'),
  ('idx_contacts_relationship_trend',    'btree (relationship_trend) WHERE (relationship_trend IS NOT NULL)'),
  ('idx_contacts_last_interaction_date', 'btree (last_interaction_date DESC) WHERE (last_interaction_date IS NOT NULL)'),
  ('idx_contacts_donor_stage',           'btree (donor_stage)'),
  ('idx_contacts_engagement_score',      'btree (engagement_score)'),
  ('idx_contacts_status_flags',          'btree (is_vip, is_favorite, is_blocked) WHERE (is_vip OR is_favorite OR is_blocked)'),
  ('idx_contacts_pulse_sync_status',     'btree (pulse_sync_status, pulse_last_synced_at)'),
  ('idx_contacts_pulse_tags',            'gin (pulse_tags) WHERE (pulse_tags IS NOT NULL)')
), live AS (
  SELECT x.relname::text AS name, i.indisvalid AND i.indisready AS valid,
         regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') AS definition
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.contacts')
)
SELECT 'index ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AND l.valid AS ok,
       CASE WHEN NOT l.valid THEN 'invalid, ' ELSE '' END || coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

WITH wanted (name, definition) AS (VALUES
  ('contacts_note_sync_insert', 'CREATE TRIGGER contacts_note_sync_insert AFTER INSERT ON public.contacts FOR EACH ROW WHEN (((new.pulse_last_synced_at IS NOT NULL) AND (current_setting(''gonogo.noted''::text, true) IS DISTINCT FROM ''by the import''::text))) EXECUTE FUNCTION gonogo_backup.note_contact_sync()'),
  ('contacts_note_sync_update', 'CREATE TRIGGER contacts_note_sync_update AFTER UPDATE ON public.contacts FOR EACH ROW WHEN (((new.pulse_last_synced_at IS DISTINCT FROM old.pulse_last_synced_at) AND (current_setting(''gonogo.noted''::text, true) IS DISTINCT FROM ''by the import''::text))) EXECUTE FUNCTION gonogo_backup.note_contact_sync()')
), live AS (
  SELECT t.tgname::text AS name, pg_get_triggerdef(t.oid) AS definition
  FROM pg_catalog.pg_trigger t
  WHERE t.tgrelid = to_regclass('public.contacts') AND NOT t.tgisinternal AND t.tgenabled <> 'D'
)
SELECT 'trigger ' || w.name AS name,
       l.definition IS NOT DISTINCT FROM w.definition AS ok,
       coalesce('found ' || l.definition, 'absent') || CASE WHEN l.definition IS DISTINCT FROM w.definition
                                                            THEN ', wanted ' || w.definition ELSE '' END AS detail
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY w.name;

-- Whatever was on contacts before is there still, with the definition it had.
WITH live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT x.relname::text, pg_get_indexdef(i.indexrelid)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.contacts') AND i.indisvalid
  UNION ALL
  SELECT c.conname::text AS name, pg_get_constraintdef(c.oid) AS definition
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.contacts')
  UNION ALL
  SELECT t.tgname::text, pg_get_triggerdef(t.oid)
  FROM pg_catalog.pg_trigger t WHERE t.tgrelid = to_regclass('public.contacts') AND NOT t.tgisinternal
  UNION ALL
  SELECT p.polname::text, concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_catalog.pg_policy p WHERE p.polrelid = to_regclass('public.contacts')
), lost AS (
  SELECT b.kind || ' ' || b.name AS name
  FROM gonogo_backup.catalogue_before b
  WHERE b.migration = '001' AND b.kind <> 'rows'
    AND NOT EXISTS (SELECT FROM live l WHERE l.name = b.name AND l.definition = b.definition)
)
SELECT 'everything that was on contacts before is unchanged' AS name,
       (SELECT count(*) FROM gonogo_backup.catalogue_before WHERE migration = '001') > 0 AND NOT EXISTS (SELECT FROM lost) AS ok,
       coalesce('changed or gone: ' || (SELECT string_agg(l.name, ', ' ORDER BY l.name) FROM lost l),
                (SELECT count(*) FROM gonogo_backup.catalogue_before WHERE migration = '001') || ' objects compared') AS detail;

SELECT 'no contact was lost' AS name,
       count(*) >= (SELECT b.definition::bigint FROM gonogo_backup.catalogue_before b WHERE b.migration = '001' AND b.kind = 'rows') AS ok,
       'before ' || coalesce((SELECT b.definition FROM gonogo_backup.catalogue_before b
                              WHERE b.migration = '001' AND b.kind = 'rows'), 'not recorded') || ', now ' || count(*) AS detail
FROM public.contacts;

SELECT 'row-level security on contacts is on' AS name, c.relrowsecurity AS ok,
       (SELECT count(*) FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) || ' policies' AS detail
FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('public.contacts');

SELECT 'the private schema is closed' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) g
                   WHERE n.nspname = 'gonogo_backup' AND g.grantee <> n.nspowner) AS ok,
       'schema gonogo_backup, ' || (SELECT count(*) FROM pg_catalog.pg_class c
                                    WHERE c.relnamespace = to_regnamespace('gonogo_backup') AND c.relkind = 'r') || ' tables' AS detail;

-- gonogo: after-down

-- Both ways: nothing of 001 is left, and nothing that was there before is missing or changed.
WITH live (kind, name, definition) AS (
  SELECT 'column', c.* FROM (
    SELECT a.attname::text AS name,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass('public.contacts') AND a.attnum > 0 AND NOT a.attisdropped
  ) AS c
  UNION ALL
  SELECT 'index', x.relname::text, pg_get_indexdef(i.indexrelid)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.contacts')
  UNION ALL
  SELECT 'constraint', c.conname::text, pg_get_constraintdef(c.oid)
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.contacts')
  UNION ALL
  SELECT 'trigger', t.tgname::text, pg_get_triggerdef(t.oid)
  FROM pg_catalog.pg_trigger t WHERE t.tgrelid = to_regclass('public.contacts') AND NOT t.tgisinternal
  UNION ALL
  SELECT 'policy', p.polname::text, concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid),
                                              pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_catalog.pg_policy p WHERE p.polrelid = to_regclass('public.contacts')
), compared AS (
  SELECT coalesce(b.kind, l.kind) AS kind, coalesce(b.name, l.name) AS name, b.definition AS was, l.definition AS now
  FROM (SELECT * FROM gonogo_backup.catalogue_before WHERE migration = '001' AND kind <> 'rows') AS b
  FULL JOIN live l ON l.kind = b.kind AND l.name = b.name
)
SELECT 'every ' || c.kind || ' of contacts is as before 001' AS name,
       bool_and(c.was IS NOT DISTINCT FROM c.now) AS ok,
       coalesce(string_agg(c.name || ': was ' || coalesce(c.was, 'absent') || ', is ' || coalesce(c.now, 'absent'), '; ' ORDER BY c.name)
                  FILTER (WHERE c.was IS DISTINCT FROM c.now),
                count(*) || ' compared') AS detail
FROM compared c
GROUP BY c.kind
ORDER BY c.kind;

SELECT 'the record of 001 is marked as taken back' AS name,
       count(*) > 0 AND bool_and(b.reverted_at IS NOT NULL) AS ok,
       count(*) || ' objects on record' AS detail
FROM gonogo_backup.catalogue_before b WHERE b.migration = '001';

SELECT 'what Pulse brought is set aside' AS name,
       count(*) > 0 AND bool_and(c.relrowsecurity) AS ok,
       coalesce(string_agg('gonogo_backup.' || c.relname, ', ' ORDER BY c.relname), 'no gonogo_backup.contacts_<date>') AS detail
FROM pg_catalog.pg_class c
WHERE c.relnamespace = to_regnamespace('gonogo_backup') AND c.relkind = 'r' AND c.relname ~ '^contacts_\d{8}_\d{6}';

SELECT 'contacts still holds rows' AS name, EXISTS (SELECT FROM public.contacts) AS ok,
       count(*) || ' contacts, ' || coalesce(sum(total_lifetime_giving), 0) || ' given in all' AS detail
FROM public.contacts;
