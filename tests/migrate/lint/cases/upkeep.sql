-- gonogo: no-transaction
VACUUM contacts;
VACUUM (ANALYZE, VERBOSE) public.contacts, others;
ANALYZE contacts;
CREATE INDEX CONCURRENTLY by_city ON contacts (city);
ANALYZE contacts;
VACUUM others;
VACUUM FREEZE contacts;
