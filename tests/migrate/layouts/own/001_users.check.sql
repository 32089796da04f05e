-- gonogo: before
SELECT 'users is free', to_regclass('users') IS NULL, '';
-- gonogo: after
SELECT 'users is there', to_regclass('users') IS NOT NULL, '';
