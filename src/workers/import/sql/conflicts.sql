INSERT INTO import_conflicts (pulse_id, email_key, reason, contacts, profile, run, seen_at)
SELECT p.pulse_id, p.email_key, p.reason, p.rivals,
       to_jsonb(p) - ARRAY['n', 'verdict', 'reason', 'contact_id', 'rivals', 'both_changed'], $4, $3
FROM pulse_plan p WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'conflict'
ON CONFLICT (pulse_id) DO UPDATE SET email_key = EXCLUDED.email_key, reason = EXCLUDED.reason,
  contacts = EXCLUDED.contacts, profile = EXCLUDED.profile, run = EXCLUDED.run, seen_at = EXCLUDED.seen_at
