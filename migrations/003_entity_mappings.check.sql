-- Checks of 003. Each statement yields rows of (name, ok, detail); the migration may start, or counts as done, or as
-- taken back, when every row of the part is ok. They compare by definition: a thing of the right name and another shape fails.

-- gonogo: before

SELECT 'server is PostgreSQL 14 or newer' AS name,
       current_setting('server_version_num')::int >= 140000 AS ok,
       'server_version ' || current_setting('server_version') AS detail;

SELECT 'contacts.id is a uuid, as what refers to it will be' AS name,
       coalesce((SELECT a.atttypid = 'uuid'::regtype FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = to_regclass('public.contacts') AND a.attname = 'id' AND NOT a.attisdropped), false) AS ok,
       coalesce((SELECT 'found ' || format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = to_regclass('public.contacts') AND a.attname = 'id' AND NOT a.attisdropped),
                'there is no public.contacts with an id') AS detail;

-- A second run finds the table there already; then it must be ours, column by column.
WITH wanted (name, definition) AS (VALUES
  ('id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
  ('entity_type', 'text NOT NULL'),
  ('logos_id', 'uuid'),
  ('pulse_id', 'text'),
  ('last_synced_at', 'timestamp with time zone'),
  ('sync_status', 'text NOT NULL DEFAULT ''pending''::text'),
  ('sync_direction', 'text NOT NULL DEFAULT ''bidirectional''::text'),
  ('sync_error', 'text'),
  ('retry_count', 'integer NOT NULL DEFAULT 0'),
  ('logos_modified_at', 'timestamp with time zone'),
  ('pulse_modified_at', 'timestamp with time zone'),
  ('data_hash', 'text'),
  ('created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('updated_at', 'timestamp with time zone NOT NULL DEFAULT now()')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.entity_mappings') AND a.attnum > 0 AND NOT a.attisdropped
), differing AS (
  SELECT coalesce(w.name, l.name) AS name FROM wanted w FULL JOIN live l USING (name)
  WHERE w.definition IS DISTINCT FROM l.definition
)
SELECT 'public.entity_mappings is free, or ours already' AS name,
       to_regclass('public.entity_mappings') IS NULL OR NOT EXISTS (SELECT FROM differing) AS ok,
       CASE WHEN to_regclass('public.entity_mappings') IS NULL THEN 'absent'
            ELSE coalesce('there is a table of that name and another shape: '
                          || (SELECT string_agg(d.name, ', ' ORDER BY d.name) FROM differing d), 'there, and of the right shape') END AS detail;

-- gonogo: after

WITH wanted (name, definition) AS (VALUES
  ('id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
  ('entity_type', 'text NOT NULL'),
  ('logos_id', 'uuid'),
  ('pulse_id', 'text'),
  ('last_synced_at', 'timestamp with time zone'),
  ('sync_status', 'text NOT NULL DEFAULT ''pending''::text'),
  ('sync_direction', 'text NOT NULL DEFAULT ''bidirectional''::text'),
  ('sync_error', 'text'),
  ('retry_count', 'integer NOT NULL DEFAULT 0'),
  ('logos_modified_at', 'timestamp with time zone'),
  ('pulse_modified_at', 'timestamp with time zone'),
  ('data_hash', 'text'),
  ('created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('updated_at', 'timestamp with time zone NOT NULL DEFAULT now()')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.entity_mappings') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'column ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name, definition) AS (VALUES
  ('entity_mappings_logos_key', 'UNIQUE (entity_type, logos_id)'),
  ('entity_mappings_pulse_key', 'UNIQUE (entity_type, pulse_id)'),
  ('entity_mappings_pkey', 'PRIMARY KEY (id)'),
  ('entity_mappings_direction_check', 'CHECK ((sync_direction = ANY (ARRAY[''pulse_to_logos''::text, ''logos_to_pulse''::text, ''bidirectional''::text])))'),
  ('entity_mappings_retry_check', 'CHECK ((retry_count >= 0))'),
  ('entity_mappings_side_check', 'CHECK ((num_nonnulls(logos_id, pulse_id) > 0))'),
  ('entity_mappings_status_check', 'CHECK ((sync_status = ANY (ARRAY[''synced''::text, ''pending''::text, ''failed''::text, ''conflict''::text, ''disabled''::text])))'),
  ('entity_mappings_type_check', 'CHECK ((entity_type = ANY (ARRAY[''contact''::text, ''document''::text, ''interaction''::text, ''task''::text, ''event''::text, ''organization''::text])))')
), live AS (
  SELECT c.conname::text AS name, replace(pg_get_constraintdef(c.oid), 'public.', '') AS definition
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.entity_mappings') AND c.contype <> 'n'
)
SELECT 'constraint ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name, definition) AS (VALUES
  ('entity_mappings_logos_key', 'UNIQUE btree (entity_type, logos_id)'),
  ('entity_mappings_pkey', 'UNIQUE btree (id)'),
  ('entity_mappings_pulse_key', 'UNIQUE btree (entity_type, pulse_id)'),
  ('idx_entity_mappings_failed', 'btree (entity_type, retry_count, updated_at) WHERE (sync_status = ''failed''::text)'),
  ('idx_entity_mappings_pending', 'btree (entity_type, created_at) WHERE (sync_status = ''pending''::text)')
), live AS (
  SELECT x.relname::text AS name,
         CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE 'invalid: ' END
           || regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\1') AS definition
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.entity_mappings')
)
SELECT 'index ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name, definition) AS (VALUES
  ('entity_mappings_touch', 'CREATE TRIGGER entity_mappings_touch BEFORE UPDATE ON entity_mappings FOR EACH ROW EXECUTE FUNCTION entity_mappings_touch()')
), live AS (
  SELECT t.tgname::text AS name, replace(pg_get_triggerdef(t.oid), 'public.', '') AS definition
  FROM pg_catalog.pg_trigger t
  WHERE t.tgrelid = to_regclass('public.entity_mappings') AND NOT t.tgisinternal AND t.tgenabled <> 'D'
)
SELECT 'trigger ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name) AS (VALUES ('entity_mappings_touch'))
SELECT 'function ' || w.name AS name,
       coalesce(p.prorettype = 'trigger'::regtype AND NOT p.prosecdef
                AND p.proconfig::text LIKE '%search_path=pg_catalog, pg_temp%', false) AS ok,
       CASE WHEN p.oid IS NULL THEN 'absent'
            ELSE concat_ws(', ', 'returns ' || format_type(p.prorettype, NULL), CASE WHEN p.prosecdef THEN 'security definer' END,
                           array_to_string(p.proconfig, ', ')) END AS detail
FROM wanted w
LEFT JOIN pg_catalog.pg_proc p ON p.pronamespace = 'public'::regnamespace AND p.proname = w.name
ORDER BY 1;

SELECT 'row-level security on entity_mappings is on, with its policy' AS name,
       coalesce((SELECT c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('public.entity_mappings')), false)
         AND EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = to_regclass('public.entity_mappings')
                     AND p.polname = 'entity_mappings_as_contact') AS ok,
       coalesce((SELECT string_agg(p.polname, ', ' ORDER BY p.polname) FROM pg_catalog.pg_policy p
                 WHERE p.polrelid = to_regclass('public.entity_mappings')), 'no policy') AS detail;

WITH granted AS (
  SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS role, a.privilege_type AS privilege
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
  WHERE c.oid = to_regclass('public.entity_mappings') AND a.grantee <> c.relowner
), on_contacts AS (
  SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS role, a.privilege_type AS privilege
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
  WHERE c.oid = to_regclass('public.contacts') AND a.grantee <> c.relowner
), beyond AS (
  SELECT role, privilege FROM granted
  EXCEPT
  SELECT role, privilege FROM on_contacts WHERE privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
)
SELECT 'nobody has more rights on entity_mappings than on contacts' AS name,
       NOT EXISTS (SELECT FROM beyond) AS ok,
       coalesce('beyond: ' || (SELECT string_agg(b.role || ' ' || b.privilege, ', ' ORDER BY b.role, b.privilege) FROM beyond b),
                (SELECT count(*) FROM granted) || ' grants compared') AS detail;

SELECT 'no contact was lost' AS name,
       count(*) >= (SELECT b.definition::bigint FROM gonogo_backup.catalogue_before b WHERE b.migration = '003' AND b.kind = 'rows') AS ok,
       'before ' || coalesce((SELECT b.definition FROM gonogo_backup.catalogue_before b
                              WHERE b.migration = '003' AND b.kind = 'rows'), 'not recorded') || ', now ' || count(*) AS detail
FROM public.contacts;

-- gonogo: after-down

SELECT 'nothing of 003 is left in public' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^(idx_)?entity_mappings')
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname IN ('entity_mappings_touch')) AS ok,
       coalesce('left: ' || (SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
                             WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^(idx_)?entity_mappings'),
                'no table, index, view or function') AS detail;

SELECT 'no key refers to contacts from 003' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
                   WHERE f.confrelid = to_regclass('public.contacts') AND c.relname ~ '^(idx_)?entity_mappings') AS ok,
       (SELECT count(*) FROM pg_catalog.pg_constraint f WHERE f.confrelid = to_regclass('public.contacts') AND f.contype = 'f')
         || ' keys refer to contacts' AS detail;

SELECT 'the mappings are set aside, and closed' AS name,
       count(*) > 0
         AND bool_and(c.relrowsecurity)
         AND NOT bool_or(EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)) AS ok,
       coalesce(string_agg('gonogo_backup.' || c.relname, ', ' ORDER BY c.relname), 'no gonogo_backup.entity_mappings_<date>') AS detail
FROM pg_catalog.pg_class c
WHERE c.relnamespace = to_regnamespace('gonogo_backup') AND c.relkind = 'r' AND c.relname ~ '^entity_mappings_\d{8}_\d{6}';

SELECT 'the record of 003 is marked as taken back' AS name,
       count(*) > 0 AND bool_and(b.reverted_at IS NOT NULL) AS ok,
       count(*) || ' lines on record' AS detail
FROM gonogo_backup.catalogue_before b WHERE b.migration = '003';
