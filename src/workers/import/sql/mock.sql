-- Invented people, in a house of their own: the same shape as contacts, checks and indexes included, and one check more.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS gonogo_mock CASCADE;
CREATE SCHEMA gonogo_mock;
REVOKE ALL ON SCHEMA gonogo_mock FROM PUBLIC;
COMMENT ON SCHEMA gonogo_mock IS 'MOCK DATA: invented by gonogo while Pulse was away; nobody in here is a person';
CREATE TABLE gonogo_mock.contacts (LIKE public.contacts INCLUDING ALL);
ALTER TABLE gonogo_mock.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo_mock.contacts ADD CONSTRAINT plainly_mock
  CHECK (name LIKE 'MOCK %' AND email LIKE 'mock-%@mock.invalid' AND pulse_profile_id LIKE 'mock-%');
