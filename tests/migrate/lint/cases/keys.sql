-- gonogo: no-transaction
CREATE TABLE visits (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  contact_id integer NOT NULL REFERENCES contacts (id),
  happened_at timestamp NOT NULL
);
CREATE TABLE notes (
  id uuid PRIMARY KEY,
  visit_id integer REFERENCES visits,
  body char(20)
);
ALTER TABLE orders ADD CONSTRAINT orders_contact_fkey FOREIGN KEY (contact_id) REFERENCES contacts (id);
ALTER TABLE contacts ADD COLUMN id_of_owner uuid REFERENCES owners (id);
