-- One interaction may be listed under two people of a meeting: it stands once, with the contact that brought it first. A row
-- that says what it said before is not written again.
INSERT INTO public.pulse_contact_interactions AS i (
  contact_id, pulse_profile_id, pulse_interaction_id, interaction_type, interaction_date, channel, direction, subject, snippet,
  sentiment_score, ai_topics, ai_action_items, ai_summary, channel_metadata, duration_minutes, synced_at)
SELECT DISTINCT ON (r.id)
  r.contact_id, r.profile, r.id, r.type, r.at, r.channel, r.direction, r.subject, r.snippet, r.sentiment,
  nullif(ARRAY(SELECT jsonb_array_elements_text(coalesce(r.topics, '[]'))), '{}'),
  nullif(nullif(r.actions, 'null'), '[]'), r.summary, nullif(nullif(r.metadata, 'null'), '{}'), r.minutes, $2
FROM jsonb_to_recordset($1) AS r (
  contact_id uuid, profile text, id text, type text, at timestamptz, channel text, direction text, subject text, snippet text,
  sentiment double precision, topics jsonb, actions jsonb, summary text, metadata jsonb, minutes integer)
ORDER BY r.id, r.contact_id
ON CONFLICT (pulse_interaction_id) DO UPDATE SET
  interaction_type = EXCLUDED.interaction_type, interaction_date = EXCLUDED.interaction_date, channel = EXCLUDED.channel,
  direction = EXCLUDED.direction, subject = EXCLUDED.subject, snippet = EXCLUDED.snippet,
  sentiment_score = EXCLUDED.sentiment_score, ai_topics = EXCLUDED.ai_topics, ai_action_items = EXCLUDED.ai_action_items,
  ai_summary = EXCLUDED.ai_summary, channel_metadata = EXCLUDED.channel_metadata,
  duration_minutes = EXCLUDED.duration_minutes, synced_at = EXCLUDED.synced_at
WHERE (i.interaction_type, i.interaction_date, i.channel, i.direction, i.subject, i.snippet, i.sentiment_score, i.ai_topics,
       i.ai_action_items, i.ai_summary, i.channel_metadata, i.duration_minutes)
  IS DISTINCT FROM
      (EXCLUDED.interaction_type, EXCLUDED.interaction_date, EXCLUDED.channel, EXCLUDED.direction, EXCLUDED.subject,
       EXCLUDED.snippet, EXCLUDED.sentiment_score, EXCLUDED.ai_topics, EXCLUDED.ai_action_items, EXCLUDED.ai_summary,
       EXCLUDED.channel_metadata, EXCLUDED.duration_minutes)
