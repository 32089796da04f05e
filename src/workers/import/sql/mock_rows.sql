INSERT INTO gonogo_mock.contacts (
  name, first_name, last_name, email, notes, created_at, updated_at, pulse_profile_id, relationship_score, relationship_trend,
  last_interaction_date, total_interactions, preferred_channel, communication_frequency, pulse_tags, is_favorite, is_blocked,
  pulse_last_synced_at, pulse_sync_status)
SELECT 'MOCK Contact ' || n, 'MOCK', 'Contact ' || n, 'mock-' || n || '@mock.invalid',
       'MOCK: invented by gonogo while Pulse was away; not a person', $2, $2, 'mock-' || n, n * 37 % 101,
       (ARRAY['rising', 'stable', 'falling', 'new', 'dormant'])[n % 5 + 1], $2::timestamptz - n * interval '7 hours', n * 13 % 90,
       (ARRAY['email', 'slack', 'phone', 'meeting', 'sms'])[n / 5 % 5 + 1],
       (ARRAY['daily', 'weekly', 'monthly', 'quarterly', 'rare'])[n / 3 % 5 + 1], ARRAY['mock'], n % 12 = 0, false, NULL, 'disabled'
FROM generate_series(1, $1) n
