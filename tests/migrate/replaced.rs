//! What a statement puts in the place of something else is said by its step, and comes back by the recorded inverse.

use gonogo::run::StepOutcome;
use gonogo::workers::migrate::inverse::with_inverses;
use gonogo::workers::migrate::{down, up};

use crate::ground::{Ground, Recorder, brisk, set};

const OLD: &str = "CREATE ROLE app; CREATE ROLE other;
  CREATE SCHEMA crm; CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 3, city text, CONSTRAINT known CHECK (n > 0));
  CREATE TABLE crm.far (id int); CREATE INDEX by_city ON t (city); CREATE VIEW v WITH (security_barrier = true) AS SELECT id FROM t;
  CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION two(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION two(a text) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touched BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch(); CREATE POLICY p ON t USING (true);
  CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN pct AS int;
  COMMENT ON TABLE t IS 'old t'; COMMENT ON COLUMN t.city IS 'old city'; COMMENT ON VIEW v IS 'old v'; COMMENT ON COLUMN v.id IS 'old v.id';
  COMMENT ON INDEX by_city IS 'old by_city'; COMMENT ON CONSTRAINT known ON t IS 'old known'; COMMENT ON TRIGGER touched ON t IS 'old touched';
  COMMENT ON POLICY p ON t IS 'old p'; COMMENT ON SCHEMA crm IS 'old crm'; COMMENT ON TYPE mood IS 'old mood'; COMMENT ON DOMAIN pct IS 'old pct';
  COMMENT ON FUNCTION f(int) IS 'old f'; COMMENT ON FUNCTION two(int) IS 'old two';
  GRANT SELECT ON t TO app; GRANT USAGE ON SCHEMA crm TO app";

/// Each statement with what its step says was there.
const CASES: &[(&str, &str)] = &[
    ("COMMENT ON TABLE t IS 'new'", "replaced comment 'old t'"),
    ("COMMENT ON COLUMN public.t.city IS 'new'", "replaced comment 'old city'"),
    ("COMMENT ON VIEW v IS NULL", "took away comment 'old v'"),
    ("COMMENT ON COLUMN v.id IS 'new'", "replaced comment 'old v.id'"),
    ("COMMENT ON INDEX by_city IS 'new'", "replaced comment 'old by_city'"),
    ("COMMENT ON CONSTRAINT known ON t IS 'new'", "replaced comment 'old known'"),
    ("COMMENT ON TRIGGER touched ON public.t IS 'new'", "replaced comment 'old touched'"),
    ("COMMENT ON POLICY p ON t IS 'new'", "replaced comment 'old p'"),
    ("COMMENT ON SCHEMA crm IS 'new'", "replaced comment 'old crm'"),
    ("COMMENT ON TYPE mood IS 'new'", "replaced comment 'old mood'"),
    ("COMMENT ON DOMAIN public.pct IS 'new'", "replaced comment 'old pct'"),
    ("COMMENT ON FUNCTION f(a int) IS 'new'", "replaced comment 'old f'"),
    // Which of two is meant its words alone do not tell.
    ("COMMENT ON FUNCTION two(int) IS 'new'", ""),
    ("COMMENT ON COLUMN t.n IS 'first'", ""),
    ("COMMENT ON TABLE t IS 'new'", "comment 'new' was there already"),
    ("ALTER TABLE t ALTER n SET DEFAULT 4, ALTER COLUMN city SET DEFAULT 'Here'", "replaced default 3 of n"),
    ("ALTER TABLE ONLY t ALTER COLUMN city DROP DEFAULT", "took away default 'Here'::text of city"),
    ("ALTER VIEW v SET (security_barrier = false)", "replaced options security_barrier=true"),
    (
        "GRANT INSERT ON TABLE t TO app, other",
        "rights on t: it was `app: SELECT`, and is now `app: INSERT, SELECT` and 1 more line",
    ),
    ("REVOKE SELECT ON t FROM app", "rights on t: it was `app: INSERT, SELECT`, and is now `app: INSERT`"),
    ("GRANT SELECT ON crm.far TO app", "rights on crm.far: it was nothing, and is now `app: SELECT`"),
    ("REVOKE USAGE ON SCHEMA crm FROM app", "rights on crm: it was `app: USAGE`, and is now nothing"),
    ("GRANT SELECT ON crm.far TO app", "rights on crm.far were these already"),
    ("GRANT app TO other", ""),
    ("GRANT SELECT (id) ON t TO other", ""),
    ("GRANT EXECUTE ON FUNCTION f(int) TO app", ""),
];

/// All that may have been replaced, as the server has it.
const ALL: &str = "SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat(d.classoid::regclass, ' ', d.objsubid, ' ', d.description) AS line FROM pg_description d WHERE d.description ~ '^(old|new|first)'
  UNION ALL SELECT concat(a.attname, ' ', pg_get_expr(d.adbin, d.adrelid)) FROM pg_attrdef d
    JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum) WHERE d.adrelid = 't'::regclass
  UNION ALL SELECT concat('options ', array_to_string(reloptions, ',')) FROM pg_class WHERE oid = 'v'::regclass
  UNION ALL SELECT concat(c.oid::regclass, ' ', x.grantee::regrole, ' ', x.privilege_type) FROM pg_class c, aclexplode(c.relacl) x
    WHERE c.oid IN ('t'::regclass, 'crm.far'::regclass) AND x.grantee <> c.relowner
  UNION ALL SELECT concat(nspname, ' ', x.grantee::regrole, ' ', x.privilege_type) FROM pg_namespace, aclexplode(nspacl) x
    WHERE nspname = 'crm' AND x.grantee <> nspowner) AS all_of_it";

#[tokio::test]
async fn a_step_says_what_it_replaced_and_its_inverse_brings_it_back() {
    let ground = Ground::empty().await;
    ground.sql(OLD).await;
    let before = ground.text(ALL).await;
    let statements: Vec<&str> = CASES.iter().map(|(sql, _)| *sql).collect();
    let sql = format!("{};", statements.join(";\n"));
    for unit in ["", "-- gonogo: no-transaction\n"] {
        let files = set(&[("1_a.up.sql", &format!("{unit}{sql}"))]);
        let (db, recorder) = (ground.db().await, Recorder::default());
        up(&db, &files, None, &brisk(), &recorder).await.unwrap();
        for (step, (sql, words)) in (0..).zip(CASES) {
            let StepOutcome::Done { note: Some(note) } = recorder.outcome(step) else {
                panic!("{sql}: {:?}", recorder.outcome(step))
            };
            let said = note.split("; ").nth(1).unwrap_or_default();
            let said = said.split(", worst client wait").next().unwrap_or_default();
            assert_eq!(said, *words, "{sql}: {note}");
        }
        assert_ne!(ground.text(ALL).await, before);
        let back = with_inverses(&db, &files, None).await.unwrap();
        let report = down(&db, &back, None, &brisk(), &Recorder::default()).await.unwrap();
        assert_eq!(report.remarks, Vec::<String>::new());
        assert_eq!(ground.text(ALL).await, before, "{unit:?}");
        ground.sql("REVOKE app FROM other").await;
    }
}
