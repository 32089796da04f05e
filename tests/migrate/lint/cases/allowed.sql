-- gonogo: no-transaction
-- gonogo: allow require-concurrent-index-creation because nothing writes to it on Sundays
CREATE INDEX idx_city ON contacts (city);
-- gonogo: allow require-concurrent-index-creation
CREATE INDEX idx_state ON contacts (state);
-- gonogo: allow ban-drop-table because it was for another file
CREATE INDEX CONCURRENTLY idx_zip ON contacts (zip_code);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX idx_type ON contacts (type);
