-- Says for every staged profile that is not merged yet what is to become of it, and numbers those that make a difference
-- after $1. A mapping decides; without one the address does, and where the address does not lead to one contact and one
-- profile alone, a person has to.
WITH crm AS MATERIALIZED (
  SELECT lower(normalize(btrim(c.email), NFC)) AS email_key, count(*) AS n, (array_agg(c.id ORDER BY c.id))[1:10] AS ids
  FROM public.contacts c
  WHERE btrim(c.email) <> ''
  GROUP BY 1
), twins AS MATERIALIZED (
  SELECT known.email_key, count(*) AS n
  FROM (
    SELECT s.email_key, s.pulse_id FROM pulse_staging s WHERE s.email_key IS NOT NULL
    UNION ALL
    SELECT f.email_key, f.pulse_id FROM import_conflicts f
    WHERE f.email_key IS NOT NULL AND NOT EXISTS (SELECT FROM pulse_staging s WHERE s.pulse_id = f.pulse_id)
  ) known
  GROUP BY 1
  HAVING count(*) > 1
), looked AS (
  SELECT s.*, m.pulse_id IS NOT NULL AS mapped, m.data_hash AS known_hash, own.id AS own_id,
         own.updated_at IS DISTINCT FROM m.logos_modified_at AS edited,
         twins.n AS profiles, crm.n AS contacts, crm.ids, other.pulse_id AS other
  FROM pulse_staging s
  LEFT JOIN public.entity_mappings m ON m.entity_type = 'contact' AND m.pulse_id = s.pulse_id
  LEFT JOIN public.contacts own ON own.id = m.logos_id
  LEFT JOIN twins ON twins.email_key = s.email_key
  LEFT JOIN crm ON crm.email_key = s.email_key
  LEFT JOIN public.entity_mappings other ON other.entity_type = 'contact' AND other.logos_id = crm.ids[1]
  WHERE NOT EXISTS (SELECT FROM pulse_plan d WHERE d.pulse_id = s.pulse_id)
), ruled AS (
  SELECT l.*,
         CASE
           WHEN l.mapped AND l.own_id IS NULL THEN 'the contact it was merged into is not here any more'
           WHEN l.mapped OR l.email_key IS NULL THEN NULL
           WHEN l.profiles > 1 THEN 'several profiles have this address'
           WHEN l.contacts > 1 THEN 'several contacts have this address'
           WHEN l.other IS NOT NULL THEN 'the contact with this address belongs to another profile'
         END AS conflict
  FROM looked l
  WHERE l.mapped IS FALSE OR l.own_id IS NULL OR l.known_hash IS DISTINCT FROM l.data_hash
)
INSERT INTO pulse_plan (
  n, verdict, reason, contact_id, rivals, both_changed, pulse_id,
  name, first_name, last_name, email, email_key, phone, relationship_score, relationship_trend,
  last_interaction_date, total_interactions, preferred_channel, communication_frequency, tags, notes, is_favorite,
  is_blocked, pulse_updated_at, data_hash)
SELECT $1 + row_number() OVER (),
  CASE
    WHEN r.conflict IS NOT NULL THEN 'conflict'
    WHEN r.mapped OR r.contacts = 1 THEN 'update'
    ELSE 'insert' END,
  r.conflict,
  CASE
    WHEN r.mapped THEN r.own_id
    WHEN r.contacts = 1 THEN r.ids[1]
    ELSE gen_random_uuid() END,
  r.ids, r.mapped AND r.edited, r.pulse_id,
  r.name, r.first_name, r.last_name, r.email, r.email_key, r.phone, r.relationship_score, r.relationship_trend,
  r.last_interaction_date, r.total_interactions, r.preferred_channel, r.communication_frequency, r.tags, r.notes, r.is_favorite,
  r.is_blocked, r.pulse_updated_at, r.data_hash
FROM ruled r
