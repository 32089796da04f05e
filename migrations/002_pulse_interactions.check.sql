-- Checks of 002. Each statement yields rows of (name, ok, detail); the migration may start, or counts as done, or as
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

-- The statistics that the triggers keep, and the score in the views, are columns of 001.
WITH wanted (name, definition) AS (VALUES
  ('total_interactions', 'integer'), ('last_interaction_date', 'timestamp with time zone'), ('relationship_score', 'integer')
)
SELECT '001 has brought contacts.' || w.name AS name,
       coalesce(format_type(a.atttypid, a.atttypmod) = w.definition, false) AS ok,
       coalesce('found ' || format_type(a.atttypid, a.atttypmod), 'absent') AS detail
FROM wanted w
LEFT JOIN pg_catalog.pg_attribute a
  ON a.attrelid = to_regclass('public.contacts') AND a.attname = w.name AND NOT a.attisdropped
ORDER BY 1;

-- A second run finds the table there already; then it must be ours, column by column.
WITH wanted (name, definition) AS (VALUES
  ('id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
  ('contact_id', 'uuid NOT NULL'),
  ('pulse_profile_id', 'text'),
  ('pulse_interaction_id', 'text NOT NULL'),
  ('interaction_type', 'text NOT NULL'),
  ('interaction_date', 'timestamp with time zone NOT NULL'),
  ('channel', 'text'),
  ('direction', 'text'),
  ('subject', 'text'),
  ('snippet', 'text'),
  ('content', 'text'),
  ('sentiment_score', 'double precision'),
  ('sentiment_label', 'text'),
  ('ai_topics', 'text[]'),
  ('ai_action_items', 'jsonb'),
  ('ai_summary', 'text'),
  ('ai_key_points', 'jsonb'),
  ('duration_minutes', 'integer'),
  ('attendees', 'jsonb'),
  ('location', 'text'),
  ('attachments', 'jsonb'),
  ('channel_metadata', 'jsonb'),
  ('response_time_minutes', 'integer'),
  ('engagement_level', 'text'),
  ('relationship_score_change', 'integer'),
  ('is_important', 'boolean NOT NULL DEFAULT false'),
  ('is_archived', 'boolean NOT NULL DEFAULT false'),
  ('synced_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('updated_at', 'timestamp with time zone NOT NULL DEFAULT now()')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.pulse_contact_interactions') AND a.attnum > 0 AND NOT a.attisdropped
), differing AS (
  SELECT coalesce(w.name, l.name) AS name FROM wanted w FULL JOIN live l USING (name)
  WHERE w.definition IS DISTINCT FROM l.definition
)
SELECT 'public.pulse_contact_interactions is free, or ours already' AS name,
       to_regclass('public.pulse_contact_interactions') IS NULL OR NOT EXISTS (SELECT FROM differing) AS ok,
       CASE WHEN to_regclass('public.pulse_contact_interactions') IS NULL THEN 'absent'
            ELSE coalesce('there is a table of that name and another shape: '
                          || (SELECT string_agg(d.name, ', ' ORDER BY d.name) FROM differing d), 'there, and of the right shape') END AS detail;

SELECT 'the names of the views are free, or views' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind <> 'v'
                   AND c.relname IN ('pulse_recent_interactions', 'pulse_high_value_interactions')) AS ok,
       coalesce((SELECT string_agg(c.relname || ' is of kind ' || c.relkind::text, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ('pulse_recent_interactions', 'pulse_high_value_interactions')), 'free') AS detail;

-- gonogo: after

WITH wanted (name, definition) AS (VALUES
  ('id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
  ('contact_id', 'uuid NOT NULL'),
  ('pulse_profile_id', 'text'),
  ('pulse_interaction_id', 'text NOT NULL'),
  ('interaction_type', 'text NOT NULL'),
  ('interaction_date', 'timestamp with time zone NOT NULL'),
  ('channel', 'text'),
  ('direction', 'text'),
  ('subject', 'text'),
  ('snippet', 'text'),
  ('content', 'text'),
  ('sentiment_score', 'double precision'),
  ('sentiment_label', 'text'),
  ('ai_topics', 'text[]'),
  ('ai_action_items', 'jsonb'),
  ('ai_summary', 'text'),
  ('ai_key_points', 'jsonb'),
  ('duration_minutes', 'integer'),
  ('attendees', 'jsonb'),
  ('location', 'text'),
  ('attachments', 'jsonb'),
  ('channel_metadata', 'jsonb'),
  ('response_time_minutes', 'integer'),
  ('engagement_level', 'text'),
  ('relationship_score_change', 'integer'),
  ('is_important', 'boolean NOT NULL DEFAULT false'),
  ('is_archived', 'boolean NOT NULL DEFAULT false'),
  ('synced_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
  ('updated_at', 'timestamp with time zone NOT NULL DEFAULT now()')
), live AS (
  SELECT a.attname::text AS name,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass('public.pulse_contact_interactions') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'column ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

-- NOT VALID would show in the definition.
WITH wanted (name, definition) AS (VALUES
  ('pulse_interactions_pulse_id_key', 'UNIQUE (pulse_interaction_id)'),
  ('pulse_contact_interactions_pkey', 'PRIMARY KEY (id)'),
  ('pulse_interactions_contact_fkey', 'FOREIGN KEY (contact_id) REFERENCES contacts(id) ON DELETE CASCADE'),
  ('pulse_interactions_duration_check', 'CHECK ((duration_minutes >= 0))'),
  ('pulse_interactions_score_change_check', 'CHECK (((relationship_score_change >= ''-100''::integer) AND (relationship_score_change <= 100)))'),
  ('pulse_interactions_sentiment_check', 'CHECK (((sentiment_score >= (''-1''::integer)::double precision) AND (sentiment_score <= (1)::double precision)))'),
  ('pulse_interactions_type_check', 'CHECK ((interaction_type = ANY (ARRAY[''email_sent''::text, ''email_received''::text, ''meeting''::text, ''call''::text, ''slack_message''::text, ''slack_received''::text, ''sms_sent''::text, ''sms_received''::text, ''linkedin''::text, ''other''::text])))')
), live AS (
  SELECT c.conname::text AS name, replace(pg_get_constraintdef(c.oid), 'public.', '') AS definition
  FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass('public.pulse_contact_interactions') AND c.contype <> 'n'
)
SELECT 'constraint ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name, definition) AS (VALUES
  ('idx_pulse_interactions_channel', 'btree (channel) WHERE (channel IS NOT NULL)'),
  ('idx_pulse_interactions_contact_date', 'btree (contact_id, interaction_date DESC)'),
  ('idx_pulse_interactions_date', 'btree (interaction_date DESC)'),
  ('idx_pulse_interactions_important', 'btree (interaction_date DESC) WHERE is_important'),
  ('idx_pulse_interactions_profile', 'btree (pulse_profile_id) WHERE (pulse_profile_id IS NOT NULL)'),
  ('idx_pulse_interactions_sentiment', 'btree (sentiment_score) WHERE (sentiment_score IS NOT NULL)'),
  ('idx_pulse_interactions_text', 'gin (to_tsvector(''english''::regconfig, ((((COALESCE(subject, ''''::text) || '' ''::text) || COALESCE(snippet, ''''::text)) || '' ''::text) || COALESCE(ai_summary, ''''::text))))'),
  ('idx_pulse_interactions_topics', 'gin (ai_topics) WHERE (ai_topics IS NOT NULL)'),
  ('idx_pulse_interactions_type', 'btree (interaction_type)'),
  ('pulse_contact_interactions_pkey', 'UNIQUE btree (id)'),
  ('pulse_interactions_pulse_id_key', 'UNIQUE btree (pulse_interaction_id)')
), live AS (
  SELECT x.relname::text AS name,
         CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE 'invalid: ' END
           || regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\1') AS definition
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('public.pulse_contact_interactions')
)
SELECT 'index ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name, definition) AS (VALUES
  ('pulse_interactions_count_delete', 'CREATE TRIGGER pulse_interactions_count_delete AFTER DELETE ON pulse_contact_interactions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION pulse_interactions_count()'),
  ('pulse_interactions_count_insert', 'CREATE TRIGGER pulse_interactions_count_insert AFTER INSERT ON pulse_contact_interactions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pulse_interactions_count()'),
  ('pulse_interactions_count_update', 'CREATE TRIGGER pulse_interactions_count_update AFTER UPDATE ON pulse_contact_interactions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pulse_interactions_count()'),
  ('pulse_interactions_touch', 'CREATE TRIGGER pulse_interactions_touch BEFORE UPDATE ON pulse_contact_interactions FOR EACH ROW EXECUTE FUNCTION pulse_interactions_touch()')
), live AS (
  SELECT t.tgname::text AS name, replace(pg_get_triggerdef(t.oid), 'public.', '') AS definition
  FROM pg_catalog.pg_trigger t
  WHERE t.tgrelid = to_regclass('public.pulse_contact_interactions') AND NOT t.tgisinternal AND t.tgenabled <> 'D'
)
SELECT 'trigger ' || coalesce(w.name, l.name) AS name,
       w.definition IS NOT DISTINCT FROM l.definition AS ok,
       coalesce('found ' || l.definition, 'absent')
         || CASE WHEN w.definition IS DISTINCT FROM l.definition THEN ', wanted ' || coalesce(w.definition, 'nothing of that name') ELSE '' END
         AS detail
FROM wanted w FULL JOIN live l USING (name)
ORDER BY 1;

WITH wanted (name) AS (VALUES ('pulse_interactions_count'), ('pulse_interactions_touch'))
SELECT 'function ' || w.name AS name,
       coalesce(p.prorettype = 'trigger'::regtype AND p.prosecdef = (w.name = 'pulse_interactions_count')
                AND p.proconfig::text LIKE '%search_path=pg_catalog, pg_temp%', false) AS ok,
       CASE WHEN p.oid IS NULL THEN 'absent'
            ELSE concat_ws(', ', 'returns ' || format_type(p.prorettype, NULL), CASE WHEN p.prosecdef THEN 'security definer' END,
                           array_to_string(p.proconfig, ', ')) END AS detail
FROM wanted w
LEFT JOIN pg_catalog.pg_proc p ON p.pronamespace = 'public'::regnamespace AND p.proname = w.name
ORDER BY 1;

WITH wanted (name, columns) AS (VALUES
  ('pulse_recent_interactions', 'id uuid, contact_id uuid, contact_name character varying(255), contact_email character varying(255), relationship_score integer, interaction_type text, interaction_date timestamp with time zone, channel text, direction text, subject text, snippet text, sentiment_score double precision, sentiment_label text, ai_topics text[], ai_summary text, duration_minutes integer, is_important boolean'),
  ('pulse_high_value_interactions', 'id uuid, contact_id uuid, contact_name character varying(255), contact_email character varying(255), relationship_score integer, interaction_type text, interaction_date timestamp with time zone, channel text, subject text, ai_summary text, ai_action_items jsonb, engagement_level text, relationship_score_change integer, sentiment_score double precision, is_important boolean')
), live AS (
  SELECT c.relname::text AS name, c.reloptions,
         (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
  FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
)
SELECT 'view ' || w.name AS name, l.columns IS NOT DISTINCT FROM w.columns AS ok,
       CASE WHEN l.name IS NULL THEN 'absent' WHEN l.columns = w.columns THEN 'found, columns as wanted'
            ELSE 'found ' || l.columns || ', wanted ' || w.columns END AS detail
FROM wanted w LEFT JOIN live l USING (name)
UNION ALL
-- Before 15 a view cannot read with the rights of the one who asks; there nobody but the owner may read it.
SELECT 'view ' || w.name || ' shows nobody more than contacts does',
       CASE WHEN current_setting('server_version_num')::int >= 150000
            THEN coalesce(l.reloptions @> ARRAY['security_invoker=true'], false)
            ELSE NOT EXISTS (SELECT FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
                             WHERE c.oid = to_regclass('public.' || w.name) AND a.grantee <> c.relowner) END,
       coalesce('options ' || array_to_string(l.reloptions, ', '), 'no options')
FROM wanted w LEFT JOIN live l USING (name)
ORDER BY 1;

SELECT 'row-level security on pulse_contact_interactions is on, with its policy' AS name,
       coalesce((SELECT c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('public.pulse_contact_interactions')), false)
         AND EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = to_regclass('public.pulse_contact_interactions')
                     AND p.polname = 'pulse_interactions_as_contact') AS ok,
       coalesce((SELECT string_agg(p.polname, ', ' ORDER BY p.polname) FROM pg_catalog.pg_policy p
                 WHERE p.polrelid = to_regclass('public.pulse_contact_interactions')), 'no policy') AS detail;

WITH granted AS (
  SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS role, a.privilege_type AS privilege
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
  WHERE c.oid = to_regclass('public.pulse_contact_interactions') AND a.grantee <> c.relowner
), on_contacts AS (
  SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS role, a.privilege_type AS privilege
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
  WHERE c.oid = to_regclass('public.contacts') AND a.grantee <> c.relowner
), beyond AS (
  SELECT role, privilege FROM granted
  EXCEPT
  SELECT role, privilege FROM on_contacts WHERE privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
)
SELECT 'nobody has more rights on pulse_contact_interactions than on contacts' AS name,
       NOT EXISTS (SELECT FROM beyond) AS ok,
       coalesce('beyond: ' || (SELECT string_agg(b.role || ' ' || b.privilege, ', ' ORDER BY b.role, b.privilege) FROM beyond b),
                (SELECT count(*) FROM granted) || ' grants compared') AS detail;

-- Pulse may know a newer interaction than those stored here, never an older newest one.
WITH stored AS (
  SELECT i.contact_id, count(*) AS n, max(i.interaction_date) AS newest
  FROM public.pulse_contact_interactions i WHERE NOT i.is_archived GROUP BY i.contact_id
), wrong AS (
  SELECT c.id FROM stored s JOIN public.contacts c ON c.id = s.contact_id
  WHERE c.last_interaction_date IS NULL OR c.last_interaction_date < s.newest
)
SELECT 'the newest interaction of each contact is on the contact' AS name,
       NOT EXISTS (SELECT FROM wrong) AS ok,
       (SELECT count(*) FROM stored) || ' contacts with interactions, ' || (SELECT count(*) FROM wrong) || ' with an older date' AS detail;

SELECT 'no contact was lost' AS name,
       count(*) >= (SELECT b.definition::bigint FROM gonogo_backup.catalogue_before b WHERE b.migration = '002' AND b.kind = 'rows') AS ok,
       'before ' || coalesce((SELECT b.definition FROM gonogo_backup.catalogue_before b
                              WHERE b.migration = '002' AND b.kind = 'rows'), 'not recorded') || ', now ' || count(*) AS detail
FROM public.contacts;

-- gonogo: after-down

SELECT 'nothing of 002 is left in public' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^(idx_)?pulse_(contact_|recent_|high_value_)?interactions')
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname IN ('pulse_interactions_count', 'pulse_interactions_touch')) AS ok,
       coalesce('left: ' || (SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
                             WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^(idx_)?pulse_(contact_|recent_|high_value_)?interactions'),
                'no table, index, view or function') AS detail;

SELECT 'no key refers to contacts from 002' AS name,
       NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
                   WHERE f.confrelid = to_regclass('public.contacts') AND c.relname ~ '^(idx_)?pulse_(contact_|recent_|high_value_)?interactions') AS ok,
       (SELECT count(*) FROM pg_catalog.pg_constraint f WHERE f.confrelid = to_regclass('public.contacts') AND f.contype = 'f')
         || ' keys refer to contacts' AS detail;

SELECT 'the interactions are set aside, and closed' AS name,
       count(*) > 0
         AND bool_and(c.relrowsecurity)
         AND NOT bool_or(EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)) AS ok,
       coalesce(string_agg('gonogo_backup.' || c.relname, ', ' ORDER BY c.relname), 'no gonogo_backup.pulse_contact_interactions_<date>') AS detail
FROM pg_catalog.pg_class c
WHERE c.relnamespace = to_regnamespace('gonogo_backup') AND c.relkind = 'r' AND c.relname ~ '^pulse_contact_interactions_\d{8}_\d{6}';

SELECT 'the record of 002 is marked as taken back' AS name,
       count(*) > 0 AND bool_and(b.reverted_at IS NOT NULL) AS ok,
       count(*) || ' lines on record' AS detail
FROM gonogo_backup.catalogue_before b WHERE b.migration = '002';
