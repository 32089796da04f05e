-- The nineteen fields as they are written first: one statement a column, each with its check, values that are different in
-- each row, plain indexes; IF NOT EXISTS, so that it seems to work where four of them are there already.
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_profile_id text;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS relationship_score integer CHECK (relationship_score BETWEEN 0 AND 100);
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS relationship_trend text
  CHECK (relationship_trend IN ('rising', 'stable', 'falling', 'new', 'dormant'));
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS last_interaction_date timestamptz;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS total_interactions integer DEFAULT 0 CHECK (total_interactions >= 0);
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS preferred_channel text
  CHECK (preferred_channel IN ('email', 'slack', 'phone', 'meeting', 'sms'));
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS communication_frequency text
  CHECK (communication_frequency IN ('daily', 'weekly', 'monthly', 'quarterly', 'rare'));
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_tags text[];
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_notes text;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS is_favorite boolean DEFAULT false;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS is_blocked boolean DEFAULT false;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS is_vip boolean DEFAULT false;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS donor_stage varchar(50) DEFAULT 'Prospect';
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS engagement_score varchar(20) DEFAULT 'low';
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS total_lifetime_giving numeric(12, 2) DEFAULT 0;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS last_gift_date date;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_last_synced_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_sync_token uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_sync_status text DEFAULT 'pending'
  CHECK (pulse_sync_status IN ('synced', 'pending', 'failed', 'disabled'));
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS pulse_sync_error text;
UPDATE contacts SET total_interactions = 0, pulse_sync_status = 'pending';
CREATE INDEX IF NOT EXISTS idx_contacts_pulse_profile_id ON contacts (pulse_profile_id);
CREATE INDEX IF NOT EXISTS idx_contacts_relationship_score ON contacts (relationship_score DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS idx_contacts_relationship_trend ON contacts (relationship_trend);
CREATE INDEX IF NOT EXISTS idx_contacts_last_interaction_date ON contacts (last_interaction_date DESC);
CREATE INDEX IF NOT EXISTS idx_contacts_donor_stage ON contacts (donor_stage);
CREATE INDEX IF NOT EXISTS idx_contacts_engagement_score ON contacts (engagement_score);
CREATE INDEX IF NOT EXISTS idx_contacts_status_flags ON contacts (is_vip, is_favorite, is_blocked);
CREATE INDEX IF NOT EXISTS idx_contacts_pulse_sync_status ON contacts (pulse_sync_status, pulse_last_synced_at);
CREATE INDEX IF NOT EXISTS idx_contacts_pulse_tags ON contacts USING gin (pulse_tags);
