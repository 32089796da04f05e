-- Everything that a migration can make, in rows of: kind, key, parent, how to make it, how to take it away, how to come back to it
-- from another definition (where that is one statement). Nothing of the system, of extensions, or of gonogo's own schemas.
WITH ns AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'gonogo', 'gonogo_backup')
), rel AS (
  SELECT c.oid, c.relname, c.relkind, c.relacl, c.relowner, c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence,
         c.relispartition, c.relnamespace, format('%I.%I', n.nspname, c.relname) AS name,
         CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'table' END AS word
  FROM pg_class c JOIN ns n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), col AS (
  SELECT r.oid, a.attnum, a.attname, r.name AS rel, format('%I', a.attname) AS name, 'table ' || r.name AS parent,
         'column ' || r.name || '.' || a.attname AS key, a.attnotnull, a.attidentity, a.attgenerated, a.attacl, r.relowner,
         format_type(a.atttypid, a.atttypmod) AS type,
         CASE WHEN a.attcollation <> t.typcollation THEN (SELECT format(' COLLATE %I.%I', cn.nspname, cl.collname)
           FROM pg_collation cl JOIN pg_namespace cn ON cn.oid = cl.collnamespace WHERE cl.oid = a.attcollation) ELSE '' END AS coll,
         pg_get_expr(d.adbin, d.adrelid) AS expr
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE r.relkind IN ('r', 'p')
), said AS MATERIALIZED (
  -- What the system's own objects are said to be is read by nobody, but for the schema public, which is older than any of ours.
  SELECT classoid, objoid, objsubid, description FROM pg_description WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass
), fun AS (
  SELECT p.oid, p.proacl, p.proowner, p.prokind, 'function ' || format('%I.%I', n.nspname, p.proname) || '(' ||
           pg_get_function_identity_arguments(p.oid) || ')' AS key,
         format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
         CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END AS word
  FROM pg_proc p JOIN ns n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'schema' AS kind, 'schema ' || nspname AS key, NULL AS parent, format('CREATE SCHEMA %I', nspname) AS make,
       format('DROP SCHEMA %I', nspname) AS unmake, NULL AS back
FROM ns
UNION ALL
SELECT 'extension', 'extension ' || e.extname, NULL, format('CREATE EXTENSION %I SCHEMA %I', e.extname, n.nspname),
       format('DROP EXTENSION %I', e.extname), NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
UNION ALL
SELECT 'type', 'type ' || format('%I.%I', n.nspname, t.typname), NULL,
       CASE t.typtype
         WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
           (SELECT string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid))
         WHEN 'd' THEN concat(format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod)),
           ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
           (SELECT string_agg(format(' CONSTRAINT %I %s', c.conname, pg_get_constraintdef(c.oid)), '' ORDER BY c.conname)
            FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
         ELSE format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
           (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) END,
       format('DROP %s %I.%I', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, t.typname), NULL
FROM pg_type t JOIN ns n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'sequence', 'sequence ' || r.name, (SELECT 'table ' || o.name FROM pg_depend d JOIN rel o ON o.oid = d.refobjid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass LIMIT 1),
       format('CREATE SEQUENCE %s AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s', r.name, format_type(s.seqtypid, NULL),
              s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END),
       'DROP SEQUENCE IF EXISTS ' || r.name, NULL
FROM rel r JOIN pg_sequence s ON s.seqrelid = r.oid
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'i')
UNION ALL
SELECT 'table', 'table ' || name, NULL,
       CASE WHEN relkind = 'r' AND NOT relispartition AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = rel.oid)
            THEN format('CREATE %sTABLE %s ()', CASE relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, name) END,
       'DROP TABLE ' || name, NULL
FROM rel WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'row security', 'row security on ' || name, 'table ' || name, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name),
       format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', name), NULL
FROM rel WHERE relrowsecurity
UNION ALL
SELECT 'row security', 'forced row security on ' || name, 'table ' || name, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name),
       format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', name), NULL
FROM rel WHERE relforcerowsecurity
UNION ALL
SELECT 'owner', 'owner of ' || name, word || ' ' || name,
       format('ALTER %s %s OWNER TO %I', upper(word), name, pg_get_userbyid(relowner)), NULL,
       format('ALTER %s %s OWNER TO %I', upper(word), name, pg_get_userbyid(relowner))
FROM rel
UNION ALL
SELECT 'options', 'options of ' || name, 'table ' || name,
       format('ALTER TABLE %s SET (%s)', name, array_to_string(reloptions, ', ')),
       format('ALTER TABLE %s RESET (%s)', name, (SELECT string_agg(split_part(o, '=', 1), ', ') FROM unnest(reloptions) o)), NULL
FROM rel WHERE relkind IN ('r', 'p') AND reloptions IS NOT NULL
UNION ALL
SELECT 'column', key, parent,
       concat('ALTER TABLE ', rel, ' ADD COLUMN ', name, ' ', type, coll,
              CASE attgenerated WHEN 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', expr)
                                WHEN 'v' THEN format(' GENERATED ALWAYS AS (%s) VIRTUAL', expr) END,
              CASE attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' END),
       format('ALTER TABLE %s DROP COLUMN %s', rel, name),
       CASE WHEN attgenerated = '' AND attidentity = '' THEN format('ALTER TABLE %s ALTER COLUMN %s TYPE %s%s', rel, name, type, coll) END
FROM col
UNION ALL
SELECT 'default', 'default of ' || rel || '.' || attname, key, format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', rel, name, expr),
       format('ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT', rel, name),
       format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', rel, name, expr)
FROM col WHERE attgenerated = '' AND expr IS NOT NULL
UNION ALL
SELECT 'not null', 'not null of ' || rel || '.' || attname, key, format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL', rel, name),
       format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', rel, name), NULL
FROM col WHERE attnotnull AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = col.oid AND i.indisprimary AND col.attnum = ANY (i.indkey))
UNION ALL
SELECT CASE c.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, 'constraint ' || c.conname || ' on ' || r.name, 'table ' || r.name,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', r.name, c.conname, pg_get_constraintdef(c.oid)),
       format('ALTER TABLE %s DROP CONSTRAINT %I', r.name, c.conname), NULL
FROM pg_constraint c JOIN rel r ON r.oid = c.conrelid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0
UNION ALL
SELECT 'index', 'index ' || format('%I.%I', n.nspname, x.relname), r.word || ' ' || r.name,
       CASE r.relkind WHEN 'p' THEN pg_get_indexdef(i.indexrelid)
         ELSE regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX ', 'CREATE \1INDEX CONCURRENTLY ') END,
       format('DROP INDEX %s%I.%I', CASE r.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END, n.nspname, x.relname), NULL
FROM pg_index i JOIN rel r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE i.indisvalid AND NOT x.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'statistics', 'statistics ' || format('%I.%I', n.nspname, s.stxname), 'table ' || r.name, pg_get_statisticsobjdef(s.oid),
       format('DROP STATISTICS %I.%I', n.nspname, s.stxname), NULL
FROM pg_statistic_ext s JOIN rel r ON r.oid = s.stxrelid JOIN pg_namespace n ON n.oid = s.stxnamespace
UNION ALL
SELECT 'trigger', 'trigger ' || t.tgname || ' on ' || r.name, r.word || ' ' || r.name, pg_get_triggerdef(t.oid),
       format('DROP TRIGGER %I ON %s', t.tgname, r.name), NULL
FROM pg_trigger t JOIN rel r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 'trigger state', 'state of trigger ' || t.tgname || ' on ' || r.name, 'trigger ' || t.tgname || ' on ' || r.name,
       format('ALTER TABLE %s %s TRIGGER %I', r.name,
              CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname),
       format('ALTER TABLE %s ENABLE TRIGGER %I', r.name, t.tgname), NULL
FROM pg_trigger t JOIN rel r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'O'
UNION ALL
SELECT 'rule', 'rule ' || w.rulename || ' on ' || r.name, r.word || ' ' || r.name, rtrim(pg_get_ruledef(w.oid), ';'),
       format('DROP RULE %I ON %s', w.rulename, r.name), NULL
FROM pg_rewrite w JOIN rel r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', 'policy ' || p.polname || ' on ' || r.name, 'table ' || r.name,
       concat(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, r.name,
                     CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                     CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                     (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ' ORDER BY o)
                      FROM unnest(p.polroles) o)),
              ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
       format('DROP POLICY %I ON %s', p.polname, r.name), NULL
FROM pg_policy p JOIN rel r ON r.oid = p.polrelid
UNION ALL
SELECT 'view', r.word || ' ' || r.name, NULL,
       concat('CREATE ', upper(r.word), ' ', r.name, ' WITH (' || array_to_string(r.reloptions, ', ') || ')', ' AS ',
              rtrim(pg_get_viewdef(r.oid), ';')),
       format('DROP %s %s', upper(r.word), r.name), NULL
FROM rel r WHERE r.relkind IN ('v', 'm')
UNION ALL
SELECT 'function', key, NULL, CASE WHEN prokind <> 'a' THEN rtrim(pg_get_functiondef(oid)) END, format('DROP %s %s', word, name),
       CASE WHEN prokind <> 'a' THEN rtrim(pg_get_functiondef(oid)) END
FROM fun
UNION ALL
SELECT 'grant', format('grant %s on %s to %s', a.privilege_type, r.name, who.name), r.word || ' ' || r.name,
       format('GRANT %s ON %s%s TO %s%s', a.privilege_type, CASE r.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END, r.name, who.name,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
       format('REVOKE %s ON %s%s FROM %s', a.privilege_type, CASE r.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END, r.name, who.name), NULL
FROM rel r CROSS JOIN LATERAL aclexplode(r.relacl) a
CROSS JOIN LATERAL (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name) who
WHERE a.grantee <> r.relowner
UNION ALL
SELECT 'grant', format('grant %s (%s) on %s to %s', a.privilege_type, c.attname, c.rel, who.name), c.key,
       format('GRANT %s (%s) ON %s TO %s%s', a.privilege_type, c.name, c.rel, who.name, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
       format('REVOKE %s (%s) ON %s FROM %s', a.privilege_type, c.name, c.rel, who.name), NULL
FROM col c CROSS JOIN LATERAL aclexplode(c.attacl) a
CROSS JOIN LATERAL (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name) who
WHERE a.grantee <> c.relowner
UNION ALL
SELECT 'grant', format('grant %s on %s to %s', a.privilege_type, f.key, who.name), f.key,
       format('GRANT %s ON %s %s TO %s', a.privilege_type, CASE f.word WHEN 'PROCEDURE' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.name, who.name),
       format('REVOKE %s ON %s %s FROM %s', a.privilege_type, CASE f.word WHEN 'PROCEDURE' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.name, who.name), NULL
FROM fun f CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
CROSS JOIN LATERAL (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name) who
WHERE a.grantee <> f.proowner
UNION ALL
SELECT 'grant', format('grant %s on schema %s to %s', a.privilege_type, n.nspname, who.name), 'schema ' || n.nspname,
       format('GRANT %s ON SCHEMA %I TO %s', a.privilege_type, n.nspname, who.name),
       format('REVOKE %s ON SCHEMA %I FROM %s', a.privilege_type, n.nspname, who.name), NULL
FROM ns JOIN pg_namespace n ON n.oid = ns.oid CROSS JOIN LATERAL aclexplode(n.nspacl) a
CROSS JOIN LATERAL (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name) who
WHERE a.grantee <> n.nspowner
UNION ALL
SELECT 'comment', 'comment on ' || r.name, r.word || ' ' || r.name, format('COMMENT ON %s %s IS %L', upper(r.word), r.name, d.description),
       format('COMMENT ON %s %s IS NULL', upper(r.word), r.name), format('COMMENT ON %s %s IS %L', upper(r.word), r.name, d.description)
FROM rel r JOIN said d ON d.classoid = 'pg_class'::regclass AND d.objoid = r.oid AND d.objsubid = 0
UNION ALL
SELECT 'comment', 'comment on ' || c.rel || '.' || c.attname, c.key, format('COMMENT ON COLUMN %s.%s IS %L', c.rel, c.name, d.description),
       format('COMMENT ON COLUMN %s.%s IS NULL', c.rel, c.name), format('COMMENT ON COLUMN %s.%s IS %L', c.rel, c.name, d.description)
FROM col c JOIN said d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = c.attnum
UNION ALL
SELECT 'comment', 'comment on ' || f.key, f.key,
       format('COMMENT ON %s %s IS %L', f.word, f.name, d.description), format('COMMENT ON %s %s IS NULL', f.word, f.name),
       format('COMMENT ON %s %s IS %L', f.word, f.name, d.description)
FROM fun f JOIN said d ON d.classoid = 'pg_proc'::regclass AND d.objoid = f.oid
UNION ALL
SELECT 'comment', 'comment on ' || lower(o.kind) || ' ' || o.name, o.parent, format('COMMENT ON %s %s IS %L', o.kind, o.name, d.description),
       format('COMMENT ON %s %s IS NULL', o.kind, o.name), format('COMMENT ON %s %s IS %L', o.kind, o.name, d.description)
FROM said d JOIN (
  SELECT 'pg_namespace'::regclass AS class, ns.oid, 0 AS part, 'schema ' || nspname AS parent, 'SCHEMA' AS kind, format('%I', nspname) AS name FROM ns
  UNION ALL
  SELECT 'pg_class'::regclass, x.oid, 0, 'index ' || format('%I.%I', ns.nspname, x.relname), 'INDEX', format('%I.%I', ns.nspname, x.relname)
  FROM pg_class x JOIN ns ON ns.oid = x.relnamespace WHERE x.relkind IN ('i', 'I')
  UNION ALL
  SELECT 'pg_class'::regclass, r.oid, a.attnum, r.word || ' ' || r.name, 'COLUMN', format('%s.%I', r.name, a.attname)
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE r.relkind IN ('v', 'm')
  UNION ALL
  SELECT 'pg_constraint'::regclass, c.oid, 0, 'constraint ' || c.conname || ' on ' || r.name, 'CONSTRAINT', format('%I ON %s', c.conname, r.name)
  FROM pg_constraint c JOIN rel r ON r.oid = c.conrelid
  UNION ALL
  SELECT 'pg_trigger'::regclass, t.oid, 0, 'trigger ' || t.tgname || ' on ' || r.name, 'TRIGGER', format('%I ON %s', t.tgname, r.name)
  FROM pg_trigger t JOIN rel r ON r.oid = t.tgrelid
  UNION ALL
  SELECT 'pg_policy'::regclass, p.oid, 0, 'policy ' || p.polname || ' on ' || r.name, 'POLICY', format('%I ON %s', p.polname, r.name)
  FROM pg_policy p JOIN rel r ON r.oid = p.polrelid
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, 0, 'type ' || format('%I.%I', ns.nspname, t.typname),
         CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, format('%I.%I', ns.nspname, t.typname)
  FROM pg_type t JOIN ns ON ns.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'c')
) o ON o.class = d.classoid AND o.oid = d.objoid AND o.part = d.objsubid
