//! The safe rewrite: what becomes of each kind of statement, and that both forms come to the same end.

use std::time::Duration;

use gonogo::workers::migrate::lint::{Finding, Knowledge, Table, learn, lint};
use gonogo::workers::migrate::rewrite::{Branches, Proof, Proposal, Verdict, prove, replaced, rewrite};

use crate::ground::{Ground, set};

/// A catalogue that knows the keys of these tables.
fn keyed(tables: &[&str]) -> Knowledge {
    let table =
        |name: &&str| (format!("public.{name}"), Table { key: vec!["id".into()], ..Table::default() });
    Knowledge { tables: tables.iter().map(table).collect(), ..Knowledge::default() }
}

fn proposed(sql: &str) -> Proposal {
    rewrite(&set(&[("1_x.sql", sql)]), 1, &keyed(&["contacts", "orders", "organizations"])).unwrap()
}

#[test]
fn what_people_write_first_becomes_steps_that_stop_nobody() {
    let naive = include_str!("lint/cases/naive.sql");
    let files = set(&[("1_x.sql", naive)]);
    let known = keyed(&["contacts"]);
    let proposal = rewrite(&files, 1, &known).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("lint/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let told = format!("{}\n{}", proposal.text, proposal.left.join("\n"));
    settings.bind(|| insta::assert_snapshot!("naive-rewritten", told));

    // What it proposes parses, and the linter has nothing left but what could not be made safe.
    let again = replaced(&files, &proposal).unwrap();
    let left: Vec<String> =
        lint(&again, &known).iter().filter(|one| one.is_no_go()).map(Finding::line).collect();
    assert_eq!(left.len(), 1, "{left:#?}");
    assert!(left[0].contains("changing-column-type"), "{left:#?}");
    let twice = rewrite(&again, 1, &known).unwrap();
    assert_eq!(twice.verdict, Verdict::Unchanged, "{}", twice.text);
}

#[test]
fn the_safe_form_and_the_shipped_files_stay_as_they_are() {
    let safe = proposed(include_str!("lint/cases/safe.sql"));
    assert_eq!((safe.verdict, safe.left.len()), (Verdict::Unchanged, 0), "{}", safe.text);
    for number in [1, 2, 3] {
        let shipped = rewrite(&crate::ground::shipped(), number, &Knowledge::default()).unwrap();
        assert_eq!(shipped.verdict, Verdict::Unchanged, "{}", shipped.text);
    }
}

#[test]
fn what_cannot_be_made_safe_is_left_and_said() {
    for (sql, word) in [
        (
            "ALTER TABLE contacts ADD COLUMN n text GENERATED ALWAYS AS (lower(name)) STORED",
            "computed by the server",
        ),
        ("ALTER TABLE contacts ADD COLUMN n bigserial", "is a serial"),
        ("ALTER TABLE contacts ALTER COLUMN id TYPE bigint", "written anew"),
        ("ALTER TABLE contacts ADD EXCLUDE USING gist (during WITH &&)", "exclusion"),
        ("DROP INDEX a CASCADE", "no concurrent form"),
        ("UPDATE contacts SET n = (SELECT max(n) FROM contacts)", "asks a query"),
        ("UPDATE unknown SET n = 1", "needs a key"),
        ("UPDATE contacts SET n = o.n FROM orders o WHERE o.id = contacts.id", "joins or returns"),
        ("ALTER TABLE ONLY contacts ALTER COLUMN name SET NOT NULL", "not taken apart"),
        ("ALTER TABLE contacts ADD COLUMN IF NOT EXISTS t uuid DEFAULT gen_random_uuid()", "IF NOT EXISTS"),
        ("REFRESH MATERIALIZED VIEW totals", "unique index"),
    ] {
        let proposal = proposed(sql);
        assert!(proposal.left.iter().any(|left| left.contains(word)), "{sql}: {:?}", proposal.left);
        assert!(proposal.text.contains(sql.split(' ').next().unwrap()), "{}", proposal.text);
    }
}

#[test]
fn a_new_tables_key_to_an_old_one_comes_after_it() {
    let proposal = proposed(
        "CREATE TABLE visits (
           id bigint PRIMARY KEY,
           contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE, -- who
           visit_before bigint REFERENCES visits,
           order_id bigint,
           CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders (id) DEFERRABLE
         );
         CREATE INDEX visits_contact ON visits (contact_id);",
    );
    let sql: Vec<String> = proposal
        .statements
        .iter()
        .map(|one| one.sql.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        sql,
        [
            "CREATE TABLE visits ( id bigint PRIMARY KEY, contact_id uuid NOT NULL, -- who visit_before bigint REFERENCES visits, order_id bigint )",
            "ALTER TABLE visits ADD CONSTRAINT visits_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contacts (id) ON DELETE CASCADE NOT VALID, ADD CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders (id) DEFERRABLE NOT VALID",
            "ALTER TABLE visits VALIDATE CONSTRAINT visits_contact_id_fkey",
            "ALTER TABLE visits VALIDATE CONSTRAINT of_order",
            "CREATE INDEX visits_contact ON visits (contact_id)",
        ]
    );
}

#[test]
fn the_order_is_the_one_that_avoids_the_traps() {
    let proposal = proposed(
        "CREATE INDEX by_city ON contacts (city);
         ANALYZE contacts;
         ALTER TABLE contacts ADD COLUMN stage text;
         UPDATE contacts SET stage = 'new';
         ALTER TABLE contacts ADD CONSTRAINT known CHECK (stage IN ('new', 'old'));
         ALTER TABLE contacts ALTER COLUMN stage SET NOT NULL, ADD UNIQUE (stage, id);
         ALTER TABLE orders ADD FOREIGN KEY (stage) REFERENCES contacts (stage);",
    );
    let sql = proposal.statements.iter().map(|one| one.sql.as_str()).collect::<Vec<_>>().join(";\n");
    let at = |what: &str| sql.find(what).unwrap_or_else(|| panic!("{what} is not in\n{sql}"));
    let order = [
        "ADD COLUMN stage",
        "-- gonogo: batches of 1000 by id\nUPDATE contacts",
        "ADD CONSTRAINT known CHECK",
        "VALIDATE CONSTRAINT known",
        "ALTER COLUMN stage SET NOT NULL",
        "DROP CONSTRAINT contacts_stage_gonogo_not_null",
        "CREATE INDEX CONCURRENTLY by_city",
        "CREATE UNIQUE INDEX CONCURRENTLY contacts_stage_id_key",
        "UNIQUE USING INDEX contacts_stage_id_key",
        "ADD CONSTRAINT orders_stage_fkey",
        "VALIDATE CONSTRAINT orders_stage_fkey",
        "ANALYZE contacts",
    ];
    for pair in order.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {}:\n{sql}", pair[0], pair[1]);
    }
}

/// Each kind of statement, with what must be there before it.
const KINDS: &[(&str, &str)] = &[
    ("several columns", "ALTER TABLE t ADD COLUMN a text; ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 7; ALTER TABLE t ADD c date"),
    ("a drawn default", "ALTER TABLE t ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()"),
    ("a drawn default that may lack", "ALTER TABLE t ADD COLUMN dice double precision DEFAULT random()"),
    ("a check in a column", "ALTER TABLE t ADD COLUMN score int DEFAULT 5 CHECK (score BETWEEN 0 AND 100)"),
    ("a check", "ALTER TABLE t ADD CHECK (n > 0), ADD CONSTRAINT pair CHECK (n > 0 AND id > 0)"),
    ("not null", "ALTER TABLE t ALTER COLUMN n SET NOT NULL"),
    ("an index", "CREATE INDEX ON t (n); CREATE UNIQUE INDEX by_v ON t (v) WHERE v IS NOT NULL"),
    ("an index that goes", "DROP INDEX was_there"),
    ("unique", "ALTER TABLE t ADD UNIQUE (v), ADD CONSTRAINT two UNIQUE (n, v) DEFERRABLE INITIALLY DEFERRED"),
    ("unique in a column", "ALTER TABLE t ADD COLUMN code int UNIQUE"),
    ("unique with an index's clauses", "ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (v) INCLUDE (n)"),
    ("a primary key", "ALTER TABLE keyless ADD PRIMARY KEY (id)"),
    ("a foreign key", "ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE"),
    ("a foreign key in a column", "ALTER TABLE child ADD COLUMN other int REFERENCES t ON DELETE SET NULL"),
    ("a new table's foreign key", "CREATE TABLE fresh (id int PRIMARY KEY, t_id int NOT NULL REFERENCES t, u_id int, FOREIGN KEY (u_id) REFERENCES t (id))"),
    ("all rows", "UPDATE t SET n = n + 1, v = upper(v)"),
    ("rows that go", "DELETE FROM child"),
    ("all of it", "CREATE INDEX by_n ON t (n);
        ALTER TABLE t ADD COLUMN stage text;
        UPDATE t SET stage = CASE WHEN n > 100 THEN 'old' ELSE 'new' END;
        ALTER TABLE t ADD CONSTRAINT stage_known CHECK (stage IN ('old', 'new')), ALTER COLUMN stage SET NOT NULL;
        ALTER TABLE t ADD COLUMN token uuid DEFAULT gen_random_uuid() UNIQUE;
        COMMENT ON COLUMN t.stage IS 'how far';
        ANALYZE t"),
];

const BEFORE: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int, v text);
    CREATE INDEX was_there ON t (n, v);
    CREATE TABLE child (id int PRIMARY KEY, t_id int);
    CREATE TABLE keyless (id int, v text);
    INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 2500) g;
    INSERT INTO child SELECT g, g FROM generate_series(1, 500) g;
    INSERT INTO keyless SELECT g, 'x' FROM generate_series(1, 500) g;";

#[tokio::test]
async fn each_kind_comes_to_the_same_end() {
    let ground = Ground::empty().await;
    ground.sql(BEFORE).await;
    for (kind, sql) in KINDS {
        let files = set(&[("1_x.sql", sql)]);
        let known = learn(&ground.db().await, &files, Duration::ZERO).await.unwrap();
        let proposal = rewrite(&files, 1, &known).unwrap();
        assert_eq!(
            (proposal.verdict, proposal.left.len()),
            (Verdict::Rewritten, 0),
            "{kind}: {:?}\n{}",
            proposal.left,
            proposal.text
        );
        match prove(&Branches::new(&ground.scratch, "crm"), &files, &proposal).await.unwrap() {
            Proof::Equal { rows, drawn, as_it_is, rewritten, .. } => {
                assert!(rows >= 2_500, "{kind}: {rows}");
                println!(
                    "{kind}: {:.1} ms ({}) > {:.1} ms ({}), drawn: {drawn:?}",
                    as_it_is.longest_ms, as_it_is.at, rewritten.longest_ms, rewritten.at
                );
            }
            other => panic!("{kind}: {other:?}\n{}", proposal.text),
        }
    }
}

#[tokio::test]
async fn what_is_not_the_same_is_not_called_proven() {
    let ground = Ground::empty().await;
    ground.sql(BEFORE).await;
    let files = set(&[("1_x.sql", "ALTER TABLE t ADD CHECK (n > 0); UPDATE t SET v = 'x'")]);
    let known = learn(&ground.db().await, &files, Duration::ZERO).await.unwrap();
    let proposal = rewrite(&files, 1, &known).unwrap();
    let branches = Branches::new(&ground.scratch, "crm");
    for (from, to, word) in [
        ("CHECK (n > 0)", "CHECK (n > 1 OR n = 1)", "t_n_check"),
        ("SET v = 'x'", "SET v = 'y'", "public.t.v"),
    ] {
        let forged = Proposal { text: proposal.text.replace(from, to), ..proposal.clone() };
        let proof = prove(&branches, &files, &forged).await.unwrap();
        assert!(
            matches!(&proof, Proof::Different { differences } if differences.iter().any(|one| one.contains(word))),
            "{proof:?}"
        );
    }
    let broken = Proposal { text: proposal.text.replace("(n > 0)", "(n > 10)"), ..proposal };
    let proof = prove(&branches, &files, &broken).await.unwrap();
    assert!(matches!(&proof, Proof::Failed { what } if what.contains("the safe plan")), "{proof:?}");
}
