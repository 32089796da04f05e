-- A page of which something is staged already, on its way there.
CREATE TEMP TABLE IF NOT EXISTS gonogo_page (LIKE pulse_staging) ON COMMIT DELETE ROWS;
