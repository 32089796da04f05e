-- Every object of a database as kind, name, definition: by names and never by oids, so that two servers can be compared.
-- $1 the schemas, or null for all; $2 whether gonogo's own are among them; $3 whether owners are told.
-- Runs with an empty search_path, so that every name in a definition is a full one. What belongs to an extension is told by
-- the extension. Rights are told as the difference from what the owner's defaults would give.
WITH seen AS (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND ($1::text[] IS NULL OR n.nspname::text = ANY ($1)) AND ($2 OR n.nspname !~ '^gonogo')
),
extended AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
relation AS (
  SELECT c.*, s.nspname, format('%I.%I', s.nspname, c.relname) AS full_name,
         CASE WHEN $3 THEN ' OWNER ' || quote_ident(pg_get_userbyid(c.relowner)) END AS owned
  FROM pg_class c JOIN seen s ON s.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
),
held AS (
  SELECT 'pg_namespace'::regclass AS class, oid, 0 AS sub, nspowner AS owner, nspacl AS acl, acldefault('n', nspowner) AS plain FROM seen
  UNION ALL
  SELECT 'pg_class'::regclass, oid, 0, relowner, relacl,
         acldefault(CASE WHEN relkind = 'S' THEN 's'::"char" ELSE 'r'::"char" END, relowner)
  FROM relation WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  UNION ALL
  SELECT 'pg_class'::regclass, a.attrelid, a.attnum, r.relowner, a.attacl, NULL::aclitem[]
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, 0, p.proowner, p.proacl, acldefault('f', p.proowner)
  FROM pg_proc p JOIN seen s ON s.oid = p.pronamespace
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, 0, t.typowner, t.typacl, acldefault('T', t.typowner)
  FROM pg_type t JOIN seen s ON s.oid = t.typnamespace
),
granted AS (
  SELECT class, oid, sub,
         ' RIGHTS ' || string_agg(sign || CASE grantee WHEN 0::oid THEN 'PUBLIC' WHEN owner THEN 'owner' ELSE quote_ident(pg_get_userbyid(grantee)) END
                    || ' ' || privilege_type || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
                    ', ' ORDER BY CASE grantee WHEN 0::oid THEN '' WHEN owner THEN 'owner' ELSE pg_get_userbyid(grantee) END, privilege_type, sign)
         AS rights
  FROM (
    (SELECT '+' AS sign, h.class, h.oid, h.sub, h.owner, x.grantee, x.privilege_type, x.is_grantable FROM held h, aclexplode(h.acl) x
     EXCEPT
     SELECT '+', h.class, h.oid, h.sub, h.owner, x.grantee, x.privilege_type, x.is_grantable FROM held h, aclexplode(h.plain) x)
    UNION ALL
    (SELECT '-', h.class, h.oid, h.sub, h.owner, x.grantee, x.privilege_type, x.is_grantable FROM held h, aclexplode(h.plain) x
     WHERE h.acl IS NOT NULL
     EXCEPT
     SELECT '-', h.class, h.oid, h.sub, h.owner, x.grantee, x.privilege_type, x.is_grantable FROM held h, aclexplode(h.acl) x)
  ) AS differs
  GROUP BY class, oid, sub
)

SELECT 'schema' AS kind, quote_ident(s.nspname) AS name,
       concat('SCHEMA', CASE WHEN $3 THEN ' OWNER ' || quote_ident(pg_get_userbyid(s.nspowner)) END, g.rights,
              ' COMMENT ' || quote_literal(obj_description(s.oid, 'pg_namespace'))) AS definition
FROM seen s LEFT JOIN granted g ON g.class = 'pg_namespace'::regclass AND g.oid = s.oid

UNION ALL
SELECT 'extension', quote_ident(e.extname), format('VERSION %s SCHEMA %I', e.extversion, n.nspname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE $1::text[] IS NULL OR n.nspname::text = ANY ($1)

UNION ALL
SELECT 'type', format('%I.%I', s.nspname, t.typname),
       concat(CASE t.typtype
         WHEN 'e' THEN (SELECT 'ENUM (' || string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder) || ')' FROM pg_enum l WHERE l.enumtypid = t.oid)
         WHEN 'd' THEN concat('DOMAIN ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN ' NOT NULL' END,
                              ' DEFAULT ' || t.typdefault,
                              (SELECT string_agg(format(' CONSTRAINT %I %s', c.conname, pg_get_constraintdef(c.oid)), '' ORDER BY c.conname)
                               FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
         WHEN 'r' THEN (SELECT format('RANGE (%s)', format_type(r.rngsubtype, NULL)) FROM pg_range r WHERE r.rngtypid = t.oid)
         WHEN 'c' THEN (SELECT 'COMPOSITE (' || string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) || ')'
                        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
         ELSE 'BASE TYPE' END,
         CASE WHEN $3 THEN ' OWNER ' || quote_ident(pg_get_userbyid(t.typowner)) END, g.rights,
         ' COMMENT ' || quote_literal(obj_description(t.oid, 'pg_type')))
FROM pg_type t JOIN seen s ON s.oid = t.typnamespace LEFT JOIN granted g ON g.class = 'pg_type'::regclass AND g.oid = t.oid
WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typelem = 0
       OR t.typtype = 'c' AND (SELECT c.relkind FROM pg_class c WHERE c.oid = t.typrelid) = 'c')
  AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)

UNION ALL
SELECT 'sequence', r.full_name,
       concat(format('%s START %s INCREMENT %s MIN %s MAX %s CACHE %s', format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache),
              CASE WHEN q.seqcycle THEN ' CYCLE' END,
              (SELECT format(' OWNED BY %s.%I', d.refobjid::regclass, a.attname) FROM pg_depend d
               JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
               WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
               ORDER BY d.refobjid, d.refobjsubid LIMIT 1),
              r.owned, g.rights, ' COMMENT ' || quote_literal(obj_description(r.oid, 'pg_class')))
FROM relation r JOIN pg_sequence q ON q.seqrelid = r.oid LEFT JOIN granted g ON g.class = 'pg_class'::regclass AND g.oid = r.oid AND g.sub = 0

UNION ALL
SELECT 'table', r.full_name,
       concat(CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED ' WHEN 't' THEN 'TEMPORARY ' END,
              CASE r.relkind WHEN 'p' THEN 'PARTITIONED TABLE BY ' || pg_get_partkeydef(r.oid) WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
              CASE WHEN r.relispartition THEN ' PARTITION' END,
              (SELECT ' OF ' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = r.oid),
              ' ' || pg_get_expr(r.relpartbound, r.oid),
              CASE WHEN r.relrowsecurity THEN ' ROW LEVEL SECURITY' END, CASE WHEN r.relforcerowsecurity THEN ' FORCED' END,
              ' WITH (' || array_to_string(r.reloptions, ', ') || ')',
              CASE r.relreplident WHEN 'n' THEN ' REPLICA IDENTITY NOTHING' WHEN 'f' THEN ' REPLICA IDENTITY FULL' WHEN 'i' THEN ' REPLICA IDENTITY INDEX' END,
              r.owned, g.rights, ' COMMENT ' || quote_literal(obj_description(r.oid, 'pg_class')))
FROM relation r LEFT JOIN granted g ON g.class = 'pg_class'::regclass AND g.oid = r.oid AND g.sub = 0
WHERE r.relkind IN ('r', 'p', 'f')

UNION ALL
SELECT 'columns', r.full_name, (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                                WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM relation r WHERE r.relkind IN ('r', 'p', 'f')

UNION ALL
SELECT 'column', format('%s.%I', r.full_name, a.attname),
       concat(format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation::text END,
              CASE WHEN a.attnotnull THEN ' NOT NULL' END,
              CASE WHEN a.attgenerated = '' THEN ' DEFAULT ' ELSE ' GENERATED ALWAYS AS ' END || pg_get_expr(d.adbin, d.adrelid),
              CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' END,
              CASE WHEN a.attstorage <> t.typstorage THEN ' STORAGE ' || a.attstorage::text END,
              CASE WHEN a.attcompression <> '' THEN ' COMPRESSION ' || a.attcompression::text END,
              CASE WHEN a.attstattarget >= 0 THEN ' STATISTICS ' || a.attstattarget END,
              ' WITH (' || array_to_string(a.attoptions, ', ') || ')',
              CASE WHEN a.attinhcount > 0 THEN ' INHERITED' END,
              g.rights, ' COMMENT ' || quote_literal(col_description(a.attrelid, a.attnum)))
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN granted g ON g.class = 'pg_class'::regclass AND g.oid = r.oid AND g.sub = a.attnum
WHERE r.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped

UNION ALL
SELECT 'constraint', format('%I on %s', c.conname, r.full_name),
       concat(pg_get_constraintdef(c.oid), CASE WHEN NOT c.conislocal THEN ' INHERITED' END,
              ' COMMENT ' || quote_literal(obj_description(c.oid, 'pg_constraint')))
FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid
-- Newer servers have a line for each NOT NULL as well; the column tells that already, unless it is not valid yet.
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') OR c.contype = 'n' AND NOT c.convalidated

UNION ALL
SELECT 'index', x.full_name,
       concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid OR NOT i.indisready THEN ' INVALID' END,
              CASE WHEN i.indisclustered THEN ' CLUSTERED' END, CASE WHEN i.indisreplident THEN ' REPLICA IDENTITY' END,
              ' COMMENT ' || quote_literal(obj_description(x.oid, 'pg_class')))
FROM pg_index i JOIN relation x ON x.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid WHERE r.relkind <> 't'

UNION ALL
SELECT CASE r.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, r.full_name,
       concat(pg_get_viewdef(r.oid), ' WITH (' || array_to_string(r.reloptions, ', ') || ')', r.owned, g.rights,
              ' COMMENT ' || quote_literal(obj_description(r.oid, 'pg_class')))
FROM relation r LEFT JOIN granted g ON g.class = 'pg_class'::regclass AND g.oid = r.oid AND g.sub = 0 WHERE r.relkind IN ('v', 'm')

UNION ALL
SELECT 'function', format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       concat(CASE WHEN p.prokind = 'a' THEN 'AGGREGATE RETURNS ' || pg_get_function_result(p.oid)
                                             || (SELECT format(' (%s, %s, %s)', a.aggtransfn, format_type(a.aggtranstype, NULL), a.aggfinalfn) FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
                   ELSE pg_get_functiondef(p.oid) END,
              CASE WHEN $3 THEN ' OWNER ' || quote_ident(pg_get_userbyid(p.proowner)) END, g.rights,
              ' COMMENT ' || quote_literal(obj_description(p.oid, 'pg_proc')))
FROM pg_proc p JOIN seen s ON s.oid = p.pronamespace LEFT JOIN granted g ON g.class = 'pg_proc'::regclass AND g.oid = p.oid
WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
  -- A range or a domain brings functions of its own.
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')

UNION ALL
SELECT 'trigger', format('%I on %s', t.tgname, r.full_name),
       concat(pg_get_triggerdef(t.oid), CASE t.tgenabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' REPLICA' WHEN 'A' THEN ' ALWAYS' END,
              ' COMMENT ' || quote_literal(obj_description(t.oid, 'pg_trigger')))
FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal

UNION ALL
SELECT 'policy', format('%I on %s', p.polname, r.full_name),
       concat(CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN ' SELECT' WHEN 'a' THEN ' INSERT' WHEN 'w' THEN ' UPDATE' WHEN 'd' THEN ' DELETE' ELSE ' ALL' END,
              ' TO ' || (SELECT string_agg(CASE o WHEN 0::oid THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', '
                                           ORDER BY CASE o WHEN 0::oid THEN '' ELSE pg_get_userbyid(o) END) FROM unnest(p.polroles) AS o),
              ' USING ' || pg_get_expr(p.polqual, p.polrelid), ' WITH CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid),
              ' COMMENT ' || quote_literal(obj_description(p.oid, 'pg_policy')))
FROM pg_policy p JOIN relation r ON r.oid = p.polrelid

UNION ALL
SELECT 'rule', format('%I on %s', w.rulename, r.full_name), pg_get_ruledef(w.oid)
FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'

UNION ALL
SELECT 'statistics', format('%I.%I', s.nspname, x.stxname), pg_get_statisticsobjdef(x.oid)
FROM pg_statistic_ext x JOIN seen s ON s.oid = x.stxnamespace

UNION ALL
SELECT 'publication', quote_ident(p.pubname),
       concat(CASE WHEN p.puballtables THEN 'ALL TABLES' END,
              (SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid),
              format(' INSERT %s UPDATE %s DELETE %s TRUNCATE %s', p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate))
FROM pg_publication p WHERE $1::text[] IS NULL

UNION ALL
SELECT 'event trigger', quote_ident(e.evtname), format('ON %s EXECUTE %s %s %s', e.evtevent, e.evtfoid::regprocedure, e.evttags, e.evtenabled)
FROM pg_event_trigger e
WHERE $1::text[] IS NULL AND NOT EXISTS (SELECT FROM extended x WHERE x.classid = 'pg_event_trigger'::regclass AND x.objid = e.oid)

UNION ALL
SELECT 'default rights', format('of %I on %s%s', pg_get_userbyid(d.defaclrole), d.defaclobjtype, coalesce(' in ' || quote_ident(s.nspname), '')),
       (SELECT string_agg(format('%s %s', CASE x.grantee WHEN 0::oid THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.privilege_type), ', '
                          ORDER BY x.grantee = 0, pg_get_userbyid(x.grantee), x.privilege_type) FROM aclexplode(d.defaclacl) x)
FROM pg_default_acl d LEFT JOIN seen s ON s.oid = d.defaclnamespace
WHERE $3 AND (s.oid IS NOT NULL OR d.defaclnamespace = 0 AND $1::text[] IS NULL)
