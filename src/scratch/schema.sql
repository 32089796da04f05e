-- The production schema as it is before migration 001, for rehearsals that have no DATABASE_URL to clone from.
-- Four of the nineteen Pulse fields are here already, with donor data in them: that is the point of rehearsing on it.

-- The roles of the platform; they belong to the cluster, not to this database.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'anon') THEN
    CREATE ROLE anon NOLOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticated') THEN
    CREATE ROLE authenticated NOLOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
    CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
  END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

-- The platform grants everything on new tables and leaves the protection to row-level security.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;

CREATE TABLE public.contacts (
  id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  first_name               varchar(100),
  last_name                varchar(100),
  name                     varchar(255) NOT NULL,
  email                    varchar(255),
  phone                    varchar(50),
  address                  text,
  city                     varchar(100),
  state                    varchar(50),
  zip_code                 varchar(20),
  type                     varchar(50) DEFAULT 'individual'
                           CONSTRAINT contacts_type_check CHECK (type IN ('individual', 'organization_contact')),
  engagement_score         varchar(20) DEFAULT 'low'
                           CONSTRAINT contacts_engagement_score_check CHECK (engagement_score IN ('low', 'medium', 'high')),
  donor_stage              varchar(50) DEFAULT 'Prospect',
  total_lifetime_giving    numeric(12,2) DEFAULT 0,
  last_gift_date           date,
  notes                    text,
  preferred_contact_method varchar(20)
                           CONSTRAINT contacts_preferred_contact_method_check
                           CHECK (preferred_contact_method IN ('email', 'phone', 'text', 'mail')),
  do_not_email             boolean DEFAULT false,
  do_not_call              boolean DEFAULT false,
  do_not_mail              boolean DEFAULT false,
  do_not_text              boolean DEFAULT false,
  email_opt_in             boolean DEFAULT true,
  newsletter_subscriber    boolean DEFAULT false,
  is_active                boolean DEFAULT true,
  created_at               timestamptz DEFAULT now(),
  updated_at               timestamptz DEFAULT now()
);

CREATE INDEX idx_contacts_name ON public.contacts (name);
CREATE INDEX idx_contacts_email ON public.contacts (email);
CREATE INDEX idx_contacts_type ON public.contacts (type);
CREATE INDEX idx_contacts_engagement_score ON public.contacts (engagement_score);
CREATE INDEX idx_contacts_donor_stage ON public.contacts (donor_stage);
CREATE INDEX idx_contacts_is_active ON public.contacts (is_active);

CREATE TABLE public.organizations (
  id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name               varchar(255) NOT NULL,
  primary_contact_id uuid REFERENCES public.contacts (id) ON DELETE SET NULL,
  created_at         timestamptz DEFAULT now(),
  updated_at         timestamptz DEFAULT now()
);

CREATE INDEX idx_organizations_primary_contact ON public.organizations (primary_contact_id);

CREATE TABLE public.organization_contacts (
  organization_id uuid NOT NULL REFERENCES public.organizations (id) ON DELETE CASCADE,
  contact_id      uuid NOT NULL REFERENCES public.contacts (id) ON DELETE CASCADE,
  role            varchar(100),
  created_at      timestamptz DEFAULT now(),
  PRIMARY KEY (organization_id, contact_id)
);

CREATE INDEX idx_organization_contacts_contact ON public.organization_contacts (contact_id);

CREATE POLICY contacts_authenticated ON public.contacts
  FOR ALL TO authenticated USING (true) WITH CHECK (true);
CREATE POLICY organizations_authenticated ON public.organizations
  FOR ALL TO authenticated USING (true) WITH CHECK (true);
CREATE POLICY organization_contacts_authenticated ON public.organization_contacts
  FOR ALL TO authenticated USING (true) WITH CHECK (true);

ALTER TABLE public.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.organization_contacts ENABLE ROW LEVEL SECURITY;
