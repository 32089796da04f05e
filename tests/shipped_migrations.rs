//! The shipped migrations on a real server: up, used, and back to exactly what was there before.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

use std::collections::BTreeMap;
use std::fmt::Write;

use gonogo::rehearsal::contacts;
use gonogo::scratch::Scratch;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode;

struct Migration {
    name: &'static str,
    up: &'static str,
    down: &'static str,
    check: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../migrations/", $name, ".up.sql")),
            down: include_str!(concat!("../migrations/", $name, ".down.sql")),
            check: include_str!(concat!("../migrations/", $name, ".check.sql")),
        }
    };
}

const PLAN: [Migration; 3] = [
    migration!("001_contacts_pulse_integration"),
    migration!("002_pulse_interactions"),
    migration!("003_entity_mappings"),
];

/// Each statement as it stands in the file, by the real parser.
fn statements(file: &str) -> Vec<String> {
    let parsed = SourceFile::parse(file);
    assert_eq!(parsed.errors(), [], "the file parses");
    parsed.tree().stmts().map(|statement| statement.syntax().text().to_string()).collect()
}

async fn execute(database: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *database).await {
        panic!("{error}\nin:\n{sql}");
    }
}

async fn run(database: &mut PgConnection, file: &str) {
    for statement in statements(file) {
        execute(database, &statement).await;
    }
}

fn part<'a>(check: &'a str, wanted: &str) -> &'a str {
    let heading = format!("-- gonogo: {wanted}\n");
    let (_, rest) = check.split_once(&heading).unwrap_or_else(|| panic!("no part {wanted}"));
    rest.split_once("\n-- gonogo: ").map_or(rest, |(part, _)| part)
}

/// The rows of a part that are not ok, and how many there are in all.
async fn failing(database: &mut PgConnection, check: &str, wanted: &str) -> (Vec<String>, usize) {
    let mut failing = Vec::new();
    let mut all = 0;
    for statement in statements(part(check, wanted)) {
        let rows = sqlx::query(AssertSqlSafe(statement.clone()))
            .fetch_all(&mut *database)
            .await
            .unwrap_or_else(|error| panic!("{error}\nin:\n{statement}"));
        assert!(!rows.is_empty(), "a check that yields nothing proves nothing:\n{statement}");
        for row in rows {
            let (name, ok, detail): (String, bool, String) =
                (row.get("name"), row.get("ok"), row.get("detail"));
            all += 1;
            if !ok {
                failing.push(format!("{name}: {detail}"));
            }
        }
    }
    (failing, all)
}

async fn proven(database: &mut PgConnection, migration: &Migration, wanted: &str) {
    let (failing, all) = failing(database, migration.check, wanted).await;
    assert!(failing.is_empty(), "{} {wanted}: {failing:#?}", migration.name);
    assert!(all >= 3, "{} {wanted} has {all} checks", migration.name);
}

async fn up(database: &mut PgConnection) {
    for migration in &PLAN {
        proven(database, migration, "before").await;
        run(database, migration.up).await;
        proven(database, migration, "after").await;
    }
}

async fn down(database: &mut PgConnection) {
    for migration in PLAN.iter().rev() {
        run(database, migration.down).await;
        proven(database, migration, "after-down").await;
    }
}

/// Everything in `public`, by definition, grants included.
async fn catalogue(database: &mut PgConnection) -> BTreeMap<String, String> {
    const SQL: &str = "
        SELECT 'column ' || c.relname || '.' || a.attname AS name,
               concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS definition
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT 'relation ' || relname, concat_ws(' ', relkind, relrowsecurity, relforcerowsecurity, relacl, reloptions)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'index ' || indexrelid::regclass, indisvalid || ' ' || pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class c ON c.oid = indrelid AND c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname, convalidated || ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger ' || tgrelid::regclass || ' ' || tgname, tgenabled::text || ' ' || pg_get_triggerdef(t.oid)
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid AND c.relnamespace = 'public'::regnamespace WHERE NOT tgisinternal
        UNION ALL SELECT 'policy ' || polrelid::regclass || ' ' || polname,
               concat_ws(' ', polcmd, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy
        UNION ALL SELECT 'function ' || oid::regprocedure, pg_get_functiondef(oid) || proacl::text
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'view ' || oid::regclass, pg_get_viewdef(oid) FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace";
    sqlx::query_as::<_, (String, String)>(SQL).fetch_all(database).await.unwrap().into_iter().collect()
}

/// A digest of each column of `contacts` named, over all rows.
async fn fingerprint(database: &mut PgConnection, columns: &[String]) -> BTreeMap<String, String> {
    let mut sql = String::new();
    for column in columns {
        let union = if sql.is_empty() { "" } else { " UNION ALL " };
        write!(
            sql,
            "{union}SELECT '{column}', md5(string_agg(id || '=' || coalesce({column}::text, '<null>'), E'\\n' ORDER BY id)) \
             FROM contacts"
        )
        .unwrap();
    }
    sqlx::query_as::<_, (String, String)>(AssertSqlSafe(sql))
        .fetch_all(database)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

async fn columns(database: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = 'contacts' ORDER BY 1",
    )
    .fetch_all(database)
    .await
    .unwrap()
}

async fn number(database: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(database).await.unwrap()
}

async fn before_the_day(scratch: &Scratch, name: &str, count: u32) -> PgConnection {
    scratch.create_database(name).await.unwrap();
    scratch.load_base_schema(name).await.unwrap();
    let mut database = scratch.connect(name).await.unwrap();
    contacts::seed(&mut database, 1, count, "2026-10-05T14:00:00Z".parse().unwrap()).await.unwrap();
    database
}

/// What the import does to contacts: Pulse wins for name, email and phone, notes are appended, new people are added.
const IMPORT: &str = "
    UPDATE contacts SET name = upper(name), email = lower(email), phone = '+1 200 555 0100',
           notes = concat_ws(E'\\n---\\n', notes, 'from Pulse'), updated_at = now(),
           pulse_profile_id = 'profile-' || id, relationship_score = 71, relationship_trend = 'falling',
           last_interaction_date = '2026-09-01T00:00:00Z', preferred_channel = 'meeting', communication_frequency = 'rare',
           pulse_tags = ARRAY['board', 'gala'], is_vip = true, pulse_last_synced_at = now(), pulse_sync_status = 'synced'
    WHERE email <> '';
    INSERT INTO contacts (name, email, pulse_profile_id, relationship_score, pulse_last_synced_at, pulse_sync_status)
    SELECT 'New ' || n, 'new' || n || '@example.org', 'profile-new-' || n, 12, now(), 'synced' FROM generate_series(1, 500) n;
    INSERT INTO entity_mappings (entity_type, logos_id, pulse_id, sync_status, last_synced_at)
    SELECT 'contact', id, pulse_profile_id, 'synced', now() FROM contacts WHERE pulse_profile_id IS NOT NULL;
    INSERT INTO pulse_contact_interactions (contact_id, pulse_interaction_id, interaction_type, interaction_date)
    SELECT id, 'i-' || id || n, 'slack_message', now() - n * interval '1 day'
    FROM (SELECT id FROM contacts WHERE pulse_profile_id IS NOT NULL ORDER BY id LIMIT 200) c, generate_series(1, 5) n";

#[tokio::test]
async fn up_import_down_returns_every_value_and_every_definition() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 3_000).await;
    let existing = columns(&mut database).await;
    let (shape, values) = (catalogue(&mut database).await, fingerprint(&mut database, &existing).await);

    up(&mut database).await;
    let added = columns(&mut database).await.len() - existing.len();
    assert_eq!(added, 15, "and four of the nineteen were there");
    assert_eq!(fingerprint(&mut database, &existing).await, values, "the migration itself changes no value");
    let now = catalogue(&mut database).await;
    for (name, definition) in &shape {
        assert_eq!(now.get(name), Some(definition), "{name} is as it was");
    }
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'contacts' AND schemaname = 'public'";
    assert_eq!(number(&mut database, indexes).await, 7 + 9 - 2, "nine of the plan, two of them there before");

    // Twice, with a person's work between: the second sync overwrites an edit, and the rollback must go back to the edit.
    execute(&mut database, IMPORT).await;
    let edited =
        "SELECT id FROM contacts WHERE pulse_profile_id = 'profile-' || id ORDER BY id OFFSET 10 LIMIT 1";
    let person: sqlx::types::Uuid = sqlx::query_scalar(edited).fetch_one(&mut database).await.unwrap();
    execute(
        &mut database,
        &format!(
            "UPDATE contacts SET total_lifetime_giving = 1234.56, phone = 'by hand' WHERE id = '{person}'"
        ),
    )
    .await;
    execute(&mut database, "UPDATE contacts SET phone = '+1 200 555 0199', pulse_last_synced_at = now() WHERE pulse_profile_id IS NOT NULL").await;
    execute(
        &mut database,
        "UPDATE contacts SET donor_stage = 'Major Donor' WHERE pulse_profile_id = 'profile-new-7'",
    )
    .await;
    let imported =
        number(&mut database, "SELECT count(*) FROM contacts WHERE pulse_profile_id IS NOT NULL").await;

    down(&mut database).await;
    assert_eq!(catalogue(&mut database).await, shape);
    // What people did stays: the gift, the number typed by hand, and the new contact somebody has promoted.
    let kept: (String, String) =
        sqlx::query_as("SELECT total_lifetime_giving::text, phone FROM contacts WHERE id = $1")
            .bind(person)
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(kept, ("1234.56".into(), "by hand".into()));
    assert_eq!(number(&mut database, "SELECT count(*) FROM contacts").await, 3_001);
    // Without those, the table is what it was, to the cent.
    execute(&mut database, "DELETE FROM contacts WHERE name = 'New 7'").await;
    restore_by_hand(&mut database, person).await;
    assert_eq!(fingerprint(&mut database, &existing).await, values);

    // And nothing that Pulse brought is lost.
    for (like, rows) in [
        ("contacts_2%", imported),
        ("entity_mappings_2%", imported),
        ("pulse_contact_interactions_2%", 1_000),
    ] {
        let table: String = sqlx::query_scalar(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'gonogo_backup' AND tablename LIKE $1",
        )
        .bind(like)
        .fetch_one(&mut database)
        .await
        .unwrap();
        assert_eq!(
            number(&mut database, &format!("SELECT count(*) FROM gonogo_backup.{table}")).await,
            rows,
            "{table}"
        );
    }
    let open = "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE relnamespace = 'gonogo_backup'::regnamespace \
                AND a.grantee <> c.relowner";
    assert_eq!(number(&mut database, open).await, 0, "and nobody else may read it");
    let unprotected = "SELECT count(*) FROM pg_class WHERE relnamespace = 'gonogo_backup'::regnamespace AND relkind = 'r' AND NOT relrowsecurity";
    assert_eq!(number(&mut database, unprotected).await, 0);

    up(&mut database).await;
    execute(&mut database, IMPORT).await;
    down(&mut database).await;
    assert_eq!(
        fingerprint(&mut database, &existing).await,
        values,
        "a second round ends where the first began"
    );
    assert_eq!(catalogue(&mut database).await, shape);
    scratch.stop().await.unwrap();
}

/// Puts back what the test itself, as a person, has changed.
async fn restore_by_hand(database: &mut PgConnection, person: sqlx::types::Uuid) {
    let contact =
        (0..3_000).map(|index| contacts::contact(1, index)).find(|contact| contact.id == person).unwrap();
    sqlx::query("UPDATE contacts SET total_lifetime_giving = $2::numeric / 100, phone = $3 WHERE id = $1")
        .bind(person)
        .bind(contact.giving_cents)
        .bind(contact.person.phone)
        .execute(database)
        .await
        .unwrap();
}

#[tokio::test]
async fn statistics_on_contacts_stay_true() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 300).await;
    up(&mut database).await;
    let wrong = "SELECT count(*) FROM contacts c LEFT JOIN (SELECT contact_id, count(*) AS n, max(interaction_date) AS newest \
                 FROM pulse_contact_interactions WHERE NOT is_archived GROUP BY 1) i ON i.contact_id = c.id \
                 WHERE c.total_interactions <> coalesce(i.n, 0) OR c.last_interaction_date IS DISTINCT FROM i.newest";
    let steps = [
        "INSERT INTO pulse_contact_interactions (contact_id, pulse_interaction_id, interaction_type, interaction_date, is_archived) \
         SELECT id, id || '-' || n, 'call', timestamptz '2026-01-01Z' + n * interval '1 hour', n % 7 = 0 \
         FROM contacts, generate_series(1, 60) n",
        "UPDATE pulse_contact_interactions SET is_archived = true WHERE interaction_date > '2026-01-03Z'",
        "UPDATE pulse_contact_interactions SET subject = 'no effect on figures'",
        "UPDATE pulse_contact_interactions SET is_archived = NOT is_archived",
        "UPDATE pulse_contact_interactions SET interaction_date = interaction_date - interval '1 year' WHERE ctid::text LIKE '%5)'",
        "UPDATE pulse_contact_interactions SET contact_id = (SELECT id FROM contacts ORDER BY id LIMIT 1) WHERE pulse_interaction_id LIKE '%-3'",
        "DELETE FROM pulse_contact_interactions WHERE pulse_interaction_id LIKE '%9'",
        "INSERT INTO pulse_contact_interactions (contact_id, pulse_interaction_id, interaction_type, interaction_date) \
         SELECT contact_id, pulse_interaction_id, 'call', now() FROM pulse_contact_interactions \
         ON CONFLICT (pulse_interaction_id) DO UPDATE SET interaction_date = excluded.interaction_date, is_archived = false",
        "DELETE FROM contacts WHERE id IN (SELECT contact_id FROM pulse_contact_interactions LIMIT 5)",
        "DELETE FROM pulse_contact_interactions",
    ];
    for step in steps {
        execute(&mut database, step).await;
        assert_eq!(number(&mut database, wrong).await, 0, "figures are true after: {step}");
    }
    // With the rights of the application too, whose policies decide who sees which interaction.
    execute(&mut database, "INSERT INTO pulse_contact_interactions (contact_id, pulse_interaction_id, interaction_type, interaction_date) \
                            SELECT id, id::text, 'meeting', now() FROM contacts").await;
    let seen = number(&mut database, "SELECT count(*) FROM pulse_recent_interactions").await;
    execute(&mut database, "SET ROLE authenticated").await;
    assert_eq!(number(&mut database, "SELECT count(*) FROM pulse_recent_interactions").await, seen);
    execute(&mut database, "UPDATE pulse_contact_interactions SET is_archived = true").await;
    execute(&mut database, "SET ROLE anon").await;
    assert_eq!(number(&mut database, "SELECT count(*) FROM pulse_recent_interactions").await, 0);
    assert_eq!(number(&mut database, "SELECT count(*) FROM pulse_contact_interactions").await, 0);
    let private =
        sqlx::query("SELECT FROM gonogo_backup.catalogue_before").execute(&mut database).await.unwrap_err();
    assert_eq!(private.as_database_error().unwrap().code().unwrap(), "42501");
    execute(&mut database, "RESET ROLE").await;
    assert_eq!(number(&mut database, wrong).await, 0);
    scratch.stop().await.unwrap();
}

#[tokio::test]
async fn every_value_that_pulse_sends_is_accepted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 50).await;
    up(&mut database).await;
    let allowed: [(&str, &[&str]); 4] = [
        ("relationship_trend", &["rising", "stable", "falling", "new", "dormant"]),
        ("preferred_channel", &["email", "slack", "phone", "meeting", "sms"]),
        ("communication_frequency", &["daily", "weekly", "monthly", "quarterly", "rare"]),
        ("pulse_sync_status", &["synced", "pending", "failed", "disabled"]),
    ];
    for (column, values) in allowed {
        for value in values {
            execute(&mut database, &format!("UPDATE contacts SET {column} = '{value}'")).await;
        }
        let refused = sqlx::raw_sql(AssertSqlSafe(format!("UPDATE contacts SET {column} = 'else'")))
            .execute(&mut database)
            .await;
        assert_eq!(refused.unwrap_err().as_database_error().unwrap().code().unwrap(), "23514", "{column}");
    }
    for wrong in ["relationship_score = 101", "relationship_score = -1", "total_interactions = -1"] {
        let refused =
            sqlx::raw_sql(AssertSqlSafe(format!("UPDATE contacts SET {wrong}"))).execute(&mut database).await;
        assert_eq!(refused.unwrap_err().as_database_error().unwrap().code().unwrap(), "23514", "{wrong}");
    }
    scratch.stop().await.unwrap();
}

/// Stops each file after each of its statements, then runs it from the top, as a runner that has forgotten everything would.
#[tokio::test]
async fn a_run_stopped_after_any_statement_ends_the_same_when_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 200).await;
    let mut shapes = vec![catalogue(&mut database).await];
    for migration in &PLAN {
        run(&mut database, migration.up).await;
        shapes.push(catalogue(&mut database).await);
    }
    run(&mut database, PLAN[2].down).await;
    run(&mut database, PLAN[1].down).await;
    run(&mut database, PLAN[0].down).await;
    assert_eq!(catalogue(&mut database).await, shapes[0]);

    for (number, migration) in PLAN.iter().enumerate() {
        let (before, after) = (&shapes[number], &shapes[number + 1]);
        let (ups, downs) = (statements(migration.up), statements(migration.down));
        for stop in 1..=ups.len() {
            for statement in &ups[..stop] {
                execute(&mut database, statement).await;
            }
            proven(&mut database, migration, "before").await;
            run(&mut database, migration.up).await;
            assert_eq!(&catalogue(&mut database).await, after, "{} up, stopped after {stop}", migration.name);
            proven(&mut database, migration, "after").await;

            for statement in &downs[..stop.min(downs.len())] {
                execute(&mut database, statement).await;
            }
            run(&mut database, migration.down).await;
            assert_eq!(
                &catalogue(&mut database).await,
                before,
                "{} down, stopped after {stop}",
                migration.name
            );
            proven(&mut database, migration, "after-down").await;
        }
        assert!(ups.len() >= downs.len(), "every stop of the rollback was tried too");
        run(&mut database, migration.up).await;
    }
    scratch.stop().await.unwrap();
}

/// IF NOT EXISTS would skip each of these; the checks must not.
#[tokio::test]
async fn checks_notice_what_has_the_right_name_and_another_shape() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 50).await;
    let strangers = [
        (0, "ALTER TABLE contacts ADD is_vip text", "column is_vip"),
        (0, "ALTER TABLE contacts ADD is_vip boolean NOT NULL DEFAULT false", "nothing of somebody else's"),
        (
            0,
            "DROP INDEX idx_contacts_donor_stage; CREATE INDEX idx_contacts_donor_stage ON contacts (donor_stage, city)",
            "index idx_contacts_donor_stage",
        ),
        (0, "ALTER TABLE contacts ALTER donor_stage TYPE text", "existing column donor_stage"),
        (
            0,
            "ALTER TABLE contacts ADD CONSTRAINT contacts_relationship_trend_check CHECK (type <> '')",
            "constraint contacts_relationship_trend_check",
        ),
        (
            1,
            "CREATE TABLE pulse_contact_interactions (id bigint)",
            "public.pulse_contact_interactions is free",
        ),
        (1, "CREATE TABLE pulse_recent_interactions (id bigint)", "the names of the views"),
        (2, "CREATE TABLE entity_mappings (id uuid, entity_type text)", "public.entity_mappings is free"),
    ];
    for (number, stranger, complaint) in strangers {
        let mut undone = database.begin().await.unwrap();
        sqlx::raw_sql(stranger).execute(&mut *undone).await.unwrap();
        let (failing, _) = failing(&mut undone, PLAN[number].check, "before").await;
        assert!(failing.iter().any(|line| line.starts_with(complaint)), "{stranger}: {failing:#?}");
        undone.rollback().await.unwrap();
    }
    up(&mut database).await;
    let broken = [
        (0, "DROP INDEX idx_contacts_pulse_tags", "index idx_contacts_pulse_tags"),
        (
            0,
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_contacts_status_flags'::regclass",
            "index idx_contacts_status_flags",
        ),
        (
            0,
            "ALTER TABLE contacts DROP CONSTRAINT contacts_pulse_sync_status_check, ADD CONSTRAINT contacts_pulse_sync_status_check \
             CHECK (pulse_sync_status IN ('synced', 'pending', 'failed', 'disabled')) NOT VALID",
            "constraint contacts_pulse_sync_status_check",
        ),
        (0, "ALTER TABLE contacts DROP COLUMN last_gift_date", "kept column last_gift_date"),
        (0, "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY", "row-level security on contacts"),
        (0, "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts LIMIT 1)", "no contact was lost"),
        (0, "GRANT USAGE ON SCHEMA gonogo_backup TO anon", "the private schema is closed"),
        (
            1,
            "ALTER TABLE pulse_contact_interactions DISABLE TRIGGER pulse_interactions_count_insert",
            "trigger pulse_interactions_count_insert",
        ),
        (
            1,
            "ALTER TABLE pulse_contact_interactions DROP CONSTRAINT pulse_interactions_contact_fkey",
            "constraint pulse_interactions_contact_fkey",
        ),
        (
            1,
            "ALTER VIEW pulse_recent_interactions RESET (security_invoker)",
            "view pulse_recent_interactions shows nobody more",
        ),
        (
            1,
            "GRANT TRUNCATE ON pulse_contact_interactions TO anon",
            "nobody has more rights on pulse_contact_interactions",
        ),
        (
            2,
            "DROP POLICY entity_mappings_as_contact ON entity_mappings",
            "row-level security on entity_mappings",
        ),
        (2, "ALTER TABLE entity_mappings ALTER pulse_id TYPE varchar(20)", "column pulse_id"),
    ];
    for (number, breakage, complaint) in broken {
        let mut undone = database.begin().await.unwrap();
        sqlx::raw_sql(breakage)
            .execute(&mut *undone)
            .await
            .unwrap_or_else(|error| panic!("{breakage}: {error}"));
        let (failing, _) = failing(&mut undone, PLAN[number].check, "after").await;
        assert!(failing.iter().any(|line| line.starts_with(complaint)), "{breakage}: {failing:#?}");
        undone.rollback().await.unwrap();
    }
    scratch.stop().await.unwrap();
}

/// A rollback without the record of what was there before, or against it, must not touch anything.
#[tokio::test]
async fn a_rollback_refuses_to_drop_what_it_did_not_make() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let mut database = before_the_day(&scratch, "crm", 50).await;
    execute(
        &mut database,
        "ALTER TABLE contacts ADD is_vip boolean NOT NULL DEFAULT false; UPDATE contacts SET is_vip = true",
    )
    .await;
    run(&mut database, PLAN[0].up).await;
    let shape = catalogue(&mut database).await;
    let refused = sqlx::raw_sql(AssertSqlSafe(statements(PLAN[0].down).remove(0)))
        .execute(&mut database)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("was on contacts before 001, and would be dropped: column is_vip"),
        "{refused}"
    );
    assert_eq!(catalogue(&mut database).await, shape);

    // Indexes on the two existing fields are made where they are missing, and then taken away again.
    let mut bare = before_the_day(&scratch, "bare", 50).await;
    execute(&mut bare, "DROP INDEX idx_contacts_engagement_score").await;
    let shape = catalogue(&mut bare).await;
    up(&mut bare).await;
    assert!(catalogue(&mut bare).await.contains_key("index idx_contacts_engagement_score"));
    down(&mut bare).await;
    assert_eq!(catalogue(&mut bare).await, shape);
    scratch.stop().await.unwrap();
}
