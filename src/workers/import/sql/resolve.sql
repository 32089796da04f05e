-- Says for every staged profile what is to become of it. A mapping decides; without one the address does, and where the
-- address does not lead to one contact and one profile alone, a person has to.
WITH crm AS MATERIALIZED (
  SELECT lower(normalize(btrim(c.email), NFC)) AS email_key, count(*) AS n, (array_agg(c.id ORDER BY c.id))[1:10] AS ids
  FROM public.contacts c
  WHERE btrim(c.email) <> ''
  GROUP BY 1
), twins AS MATERIALIZED (
  SELECT known.email_key, count(*) AS n
  FROM (
    SELECT s.email_key, s.pulse_id FROM gonogo.pulse_staging s WHERE s.email_key IS NOT NULL
    UNION ALL
    SELECT f.email_key, f.pulse_id FROM gonogo.import_conflicts f
    WHERE f.email_key IS NOT NULL AND NOT EXISTS (SELECT FROM gonogo.pulse_staging s WHERE s.pulse_id = f.pulse_id)
  ) known
  GROUP BY 1
), looked AS (
  SELECT s.pulse_id, s.data_hash, m.pulse_id IS NOT NULL AS mapped, m.data_hash AS known_hash, own.id AS own_id,
         s.email_key, twins.n AS profiles, crm.n AS contacts, crm.ids, other.pulse_id AS other
  FROM gonogo.pulse_staging s
  LEFT JOIN public.entity_mappings m ON m.entity_type = 'contact' AND m.pulse_id = s.pulse_id
  LEFT JOIN public.contacts own ON own.id = m.logos_id
  LEFT JOIN twins ON twins.email_key = s.email_key
  LEFT JOIN crm ON crm.email_key = s.email_key
  LEFT JOIN public.entity_mappings other ON other.entity_type = 'contact' AND other.logos_id = crm.ids[1]
  WHERE NOT s.done
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
)
UPDATE gonogo.pulse_staging s SET
  verdict = CASE
    WHEN r.conflict IS NOT NULL THEN 'conflict'
    WHEN r.mapped AND r.known_hash = r.data_hash THEN 'unchanged'
    WHEN r.mapped OR r.contacts = 1 THEN 'update'
    ELSE 'insert' END,
  reason = r.conflict,
  contact_id = CASE
    WHEN r.mapped THEN r.own_id
    WHEN r.contacts = 1 THEN r.ids[1]
    ELSE gen_random_uuid() END,
  rivals = r.ids
FROM ruled r
WHERE r.pulse_id = s.pulse_id
