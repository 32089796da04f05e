-- gonogo: no-transaction
--
-- 002 up: the interactions that Pulse knows, one row each.
--
-- The table is made without its foreign key, because REFERENCES in CREATE TABLE locks writers out of contacts while the
-- statement runs and, worse, while it waits; the key is added NOT VALID and validated on its own. contact_id is a uuid,
-- as contacts.id is. Statistics on contacts are kept by statement, not by row: a bulk load costs one pass per
-- statement, however many interactions a contact has already.

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

DELETE FROM gonogo_backup.catalogue_before WHERE migration = '002' AND reverted_at IS NOT NULL;

INSERT INTO gonogo_backup.catalogue_before (migration, kind, name, definition)
SELECT '002', was.kind, was.name, was.definition
FROM (
  SELECT 'relation' AS kind, c.relname::text AS name, c.relkind::text AS definition
  FROM pg_catalog.pg_class c
  WHERE c.relnamespace = 'public'::regnamespace
    AND c.relname IN ('pulse_contact_interactions', 'pulse_recent_interactions', 'pulse_high_value_interactions')
  UNION ALL
  SELECT 'function', p.proname::text, pg_get_functiondef(p.oid)
  FROM pg_catalog.pg_proc p
  WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
    AND p.proname IN ('pulse_interactions_count', 'pulse_interactions_touch')
  UNION ALL
  SELECT 'rows', 'contacts', count(*)::text FROM public.contacts
) AS was
WHERE NOT EXISTS (SELECT FROM gonogo_backup.catalogue_before b WHERE b.migration = '002');

-- Types of interaction are those that Pulse sends. Channel, direction, label and level are free text: Pulse promises no
-- fixed set of them, and a check that refuses what the API sends loses data.
CREATE TABLE IF NOT EXISTS public.pulse_contact_interactions (
  id                        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  contact_id                uuid NOT NULL,
  pulse_profile_id          text,
  pulse_interaction_id      text NOT NULL,
  interaction_type          text NOT NULL,
  interaction_date          timestamptz NOT NULL,
  channel                   text,
  direction                 text,
  subject                   text,
  snippet                   text,
  content                   text,
  sentiment_score           double precision,
  sentiment_label           text,
  ai_topics                 text[],
  ai_action_items           jsonb,
  ai_summary                text,
  ai_key_points             jsonb,
  duration_minutes          integer,
  attendees                 jsonb,
  location                  text,
  attachments               jsonb,
  channel_metadata          jsonb,
  response_time_minutes     integer,
  engagement_level          text,
  relationship_score_change integer,
  is_important              boolean NOT NULL DEFAULT false,
  is_archived               boolean NOT NULL DEFAULT false,
  synced_at                 timestamptz NOT NULL DEFAULT now(),
  created_at                timestamptz NOT NULL DEFAULT now(),
  updated_at                timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pulse_interactions_pulse_id_key UNIQUE (pulse_interaction_id),
  CONSTRAINT pulse_interactions_type_check CHECK (interaction_type IN (
    'email_sent', 'email_received', 'meeting', 'call', 'slack_message', 'slack_received', 'sms_sent', 'sms_received',
    'linkedin', 'other')),
  CONSTRAINT pulse_interactions_sentiment_check CHECK (sentiment_score BETWEEN -1 AND 1),
  CONSTRAINT pulse_interactions_duration_check CHECK (duration_minutes >= 0),
  CONSTRAINT pulse_interactions_score_change_check CHECK (relationship_score_change BETWEEN -100 AND 100)
);

-- Closed before anything else is done to it: the platform grants everything on a new table to everybody.
ALTER TABLE public.pulse_contact_interactions ENABLE ROW LEVEL SECURITY;

-- Dropping and adding in one ALTER makes the statement repeatable and leaves no moment without the key.
ALTER TABLE public.pulse_contact_interactions
  DROP CONSTRAINT IF EXISTS pulse_interactions_contact_fkey,
  ADD CONSTRAINT pulse_interactions_contact_fkey
    FOREIGN KEY (contact_id) REFERENCES public.contacts (id) ON DELETE CASCADE NOT VALID;

ALTER TABLE public.pulse_contact_interactions VALIDATE CONSTRAINT pulse_interactions_contact_fkey;

-- The table is new and empty, so its indexes need no CONCURRENTLY; on a second run they are there.
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_contact_date
  ON public.pulse_contact_interactions (contact_id, interaction_date DESC);
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_date
  ON public.pulse_contact_interactions (interaction_date DESC);
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_profile
  ON public.pulse_contact_interactions (pulse_profile_id) WHERE pulse_profile_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_type
  ON public.pulse_contact_interactions (interaction_type);
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_channel
  ON public.pulse_contact_interactions (channel) WHERE channel IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_sentiment
  ON public.pulse_contact_interactions (sentiment_score) WHERE sentiment_score IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_important
  ON public.pulse_contact_interactions (interaction_date DESC) WHERE is_important;
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_text
  ON public.pulse_contact_interactions USING gin (to_tsvector('english',
    coalesce(subject, '') || ' ' || coalesce(snippet, '') || ' ' || coalesce(ai_summary, '')));
CREATE INDEX IF NOT EXISTS idx_pulse_interactions_topics
  ON public.pulse_contact_interactions USING gin (ai_topics) WHERE ai_topics IS NOT NULL;

CREATE OR REPLACE FUNCTION public.pulse_interactions_touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

-- Adds what the statement changed, never counts again: the cost is that of the rows touched. The newest date only needs a
-- look, one index probe per contact, where the row that held it went. With the definer's rights, because who may archive an
-- interaction may lack the right to update the contact, and the figures must be true all the same. Contacts are locked in the order of
-- their ids, so that two loads cannot deadlock.
CREATE OR REPLACE FUNCTION public.pulse_interactions_count() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  touched uuid[];
  added   integer[];
  newest  timestamptz[];
  gone    timestamptz[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(d.contact_id ORDER BY d.contact_id), array_agg(d.n ORDER BY d.contact_id),
           array_agg(d.newest ORDER BY d.contact_id), array_agg(NULL::timestamptz)
      INTO touched, added, newest, gone
    FROM (SELECT contact_id, count(*)::integer AS n, max(interaction_date) AS newest
          FROM new_rows WHERE NOT is_archived GROUP BY contact_id) AS d;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(d.contact_id ORDER BY d.contact_id), array_agg(d.n ORDER BY d.contact_id),
           array_agg(NULL::timestamptz), array_agg(d.gone ORDER BY d.contact_id)
      INTO touched, added, newest, gone
    FROM (SELECT contact_id, -count(*)::integer AS n, max(interaction_date) AS gone
          FROM old_rows WHERE NOT is_archived GROUP BY contact_id) AS d;
  ELSE
    -- A row counts for its contact while it is not archived; an update takes the old row out and puts the new one in.
    SELECT array_agg(d.contact_id ORDER BY d.contact_id), array_agg(d.n ORDER BY d.contact_id),
           array_agg(d.newest ORDER BY d.contact_id), array_agg(d.gone ORDER BY d.contact_id)
      INTO touched, added, newest, gone
    FROM (SELECT u.contact_id, sum(u.n)::integer AS n, max(u.interaction_date) FILTER (WHERE u.n > 0) AS newest,
                 max(u.interaction_date) FILTER (WHERE u.n < 0) AS gone
          FROM (SELECT contact_id, interaction_date, 1 AS n, id FROM new_rows WHERE NOT is_archived
                UNION ALL
                SELECT contact_id, interaction_date, -1, id FROM old_rows WHERE NOT is_archived) AS u
          -- Rows that count as they did before cancel out.
          WHERE NOT EXISTS (SELECT FROM old_rows o JOIN new_rows w USING (id)
                            WHERE o.id = u.id AND o.contact_id = w.contact_id AND o.is_archived = w.is_archived
                              AND o.interaction_date = w.interaction_date)
          GROUP BY u.contact_id) AS d;
  END IF;
  IF touched IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM public.contacts c WHERE c.id = ANY (touched) ORDER BY c.id FOR NO KEY UPDATE;
  UPDATE public.contacts c SET
    total_interactions = greatest(0, c.total_interactions + d.added),
    last_interaction_date = CASE
      WHEN d.gone >= c.last_interaction_date THEN (
        SELECT max(i.interaction_date) FROM public.pulse_contact_interactions i
        WHERE i.contact_id = c.id AND NOT i.is_archived)
      ELSE greatest(c.last_interaction_date, d.newest) END
  FROM unnest(touched, added, newest, gone) AS d (contact_id, added, newest, gone)
  WHERE c.id = d.contact_id
    AND (d.added <> 0 OR d.gone >= c.last_interaction_date OR d.newest > coalesce(c.last_interaction_date, '-infinity'));
  RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION public.pulse_interactions_touch(), public.pulse_interactions_count() FROM PUBLIC;

CREATE OR REPLACE TRIGGER pulse_interactions_touch
  BEFORE UPDATE ON public.pulse_contact_interactions
  FOR EACH ROW EXECUTE FUNCTION public.pulse_interactions_touch();

CREATE OR REPLACE TRIGGER pulse_interactions_count_insert
  AFTER INSERT ON public.pulse_contact_interactions REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION public.pulse_interactions_count();

CREATE OR REPLACE TRIGGER pulse_interactions_count_update
  AFTER UPDATE ON public.pulse_contact_interactions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION public.pulse_interactions_count();

CREATE OR REPLACE TRIGGER pulse_interactions_count_delete
  AFTER DELETE ON public.pulse_contact_interactions REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION public.pulse_interactions_count();

-- Row-level security as on contacts, whatever it is there: the sub-select runs under the reader's own policies on
-- contacts, so an interaction shows to whom its contact shows.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy
                 WHERE polrelid = 'public.pulse_contact_interactions'::regclass AND polname = 'pulse_interactions_as_contact') THEN
    CREATE POLICY pulse_interactions_as_contact ON public.pulse_contact_interactions
      FOR ALL
      USING (EXISTS (SELECT FROM public.contacts c WHERE c.id = contact_id))
      WITH CHECK (EXISTS (SELECT FROM public.contacts c WHERE c.id = contact_id));
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
    WHERE c.oid = 'public.pulse_contact_interactions'::regclass AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON public.pulse_contact_interactions FROM %s', granted.role);
  END LOOP;
  FOR granted IN
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role,
           string_agg(DISTINCT a.privilege_type, ', ') AS rights
    FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.oid = 'public.contacts'::regclass AND a.grantee <> c.relowner
      AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    GROUP BY 1
  LOOP
    EXECUTE format('GRANT %s ON public.pulse_contact_interactions TO %s', granted.rights, granted.role);
  END LOOP;
END
$$;

-- The two views read with the rights of the one who asks (PostgreSQL 15 and newer). Before 15 a view reads with its owner's
-- rights, past row-level security; there nobody but the owner gets it.
DO $$
DECLARE
  invoker CONSTANT boolean := current_setting('server_version_num')::int >= 150000;
  options CONSTANT text := CASE WHEN invoker THEN 'WITH (security_invoker = true)' ELSE '' END;
  shown   text;
  granted record;
BEGIN
  EXECUTE format($view$
    CREATE OR REPLACE VIEW public.pulse_recent_interactions %s AS
    SELECT i.id, i.contact_id, c.name AS contact_name, c.email AS contact_email, c.relationship_score,
           i.interaction_type, i.interaction_date, i.channel, i.direction, i.subject, i.snippet, i.sentiment_score,
           i.sentiment_label, i.ai_topics, i.ai_summary, i.duration_minutes, i.is_important
    FROM public.pulse_contact_interactions i
    JOIN public.contacts c ON c.id = i.contact_id
    WHERE i.interaction_date >= now() - interval '30 days' AND NOT i.is_archived
  $view$, options);
  EXECUTE format($view$
    CREATE OR REPLACE VIEW public.pulse_high_value_interactions %s AS
    SELECT i.id, i.contact_id, c.name AS contact_name, c.email AS contact_email, c.relationship_score,
           i.interaction_type, i.interaction_date, i.channel, i.subject, i.ai_summary, i.ai_action_items,
           i.engagement_level, i.relationship_score_change, i.sentiment_score, i.is_important
    FROM public.pulse_contact_interactions i
    JOIN public.contacts c ON c.id = i.contact_id
    WHERE NOT i.is_archived
      AND (i.is_important OR i.engagement_level = 'high' OR i.relationship_score_change >= 10)
  $view$, options);
  FOREACH shown IN ARRAY ARRAY['pulse_recent_interactions', 'pulse_high_value_interactions'] LOOP
    FOR granted IN
      SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
      FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
      WHERE c.oid = to_regclass('public.' || shown) AND a.grantee <> c.relowner
    LOOP
      EXECUTE format('REVOKE ALL ON public.%I FROM %s', shown, granted.role);
    END LOOP;
    IF invoker THEN
      FOR granted IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
        FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
        WHERE c.oid = 'public.contacts'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'SELECT'
      LOOP
        EXECUTE format('GRANT SELECT ON public.%I TO %s', shown, granted.role);
      END LOOP;
    END IF;
  END LOOP;
END
$$;

COMMENT ON TABLE public.pulse_contact_interactions IS 'interactions with contacts as Pulse reports them';
