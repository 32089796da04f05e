//! Backs up what the migrations touch, and proves the copy: counted, fingerprinted, restored once and compared, out of everybody's
//! reach. Without that proof it is not a backup, and the plan does not start.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::database::{Database, run};
use super::files::MigrationSet;
use super::runner::{Runner, broke};
use super::watch::{Edge, Ended, Options, Report, Watcher};
use super::{book, errors};
use crate::run::job::{Failure, StepOutcome, StepPlan};

/// What is fingerprinted is every value of every row, whatever the order.
const FINGERPRINT: &str =
    "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM";

/// The tables that exist, with schema, and are not our own.
async fn tables(
    session: &mut PgConnection,
    set: &MigrationSet,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut found: Vec<(String, String)> = Vec::new();
    for name in set.touched() {
        let row = sqlx::query(
            "SELECT format('%I.%I', n.nspname, c.relname), c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.oid = to_regclass($1) AND c.relkind = 'r' AND n.nspname NOT LIKE 'gonogo%'",
        );
        if let Some(row) = row.bind(&*name).fetch_optional(&mut *session).await? {
            let pair = (row.try_get(0)?, row.try_get(1)?);
            if !found.contains(&pair) {
                found.push(pair);
            }
        }
    }
    Ok(found)
}

/// Backs up every table that the migrations touch, into the private schema `gonogo_backup`.
pub async fn backup(
    db: &Database,
    set: &MigrationSet,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Report, Failure> {
    let mut runner = Runner::start(db, options.runner_wait, |_| {}).await?;
    let session = &mut runner.session;
    book::ensure(session).await.map_err(|e| broke("making the schema gonogo", &e))?;
    let tables = tables(session, set).await.map_err(|e| broke("looking for the tables", &e))?;
    let stamp: String =
        sqlx::query_scalar("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS')")
            .fetch_one(&mut *session)
            .await
            .map_err(|e| broke("asking for the time", &e))?;
    let step =
        |name: String, group: &str| StepPlan { name: name.into(), detail: None, group: Some(group.into()) };
    let mut steps = vec![step("private schema gonogo_backup".into(), "backup")];
    for (table, _) in &tables {
        steps.push(step(format!("copy {table}, count, fingerprint"), table));
        steps.push(step(format!("restore {table} once, compare"), table));
        steps.push(step(format!("nobody else can read the copy of {table}"), table));
    }
    let count = steps.len();
    watcher.planned(steps).await?;
    let mut at = 0;
    let mut taken = Vec::new();
    for phase in 0..count {
        if watcher.edge().await == Edge::GiveUp {
            for left in phase..count {
                let because = "somebody stopped the run".to_owned();
                watcher.step_ended(super::engine::place(left), StepOutcome::NotRun { because }).await?;
            }
            return Ok(report(Ended::GivenUp, phase));
        }
        watcher.step_started(super::engine::place(phase)).await?;
        let result = if phase == 0 {
            private(session).await
        } else {
            let which = (phase - 1) / 3;
            let Some((table, name)) = tables.get(which) else { break };
            match (phase - 1) % 3 {
                0 => {
                    copy(
                        session,
                        table,
                        &format!("gonogo_backup.\"backup_{stamp}_{}\"", name.replace('"', "\"\"")),
                        options,
                        &mut taken,
                    )
                    .await
                }
                1 => restore(session, table, &taken).await,
                _ => closed(session, &taken).await,
            }
        };
        match result {
            Ok(note) => {
                watcher
                    .step_ended(super::engine::place(phase), StepOutcome::Done { note: Some(note) })
                    .await?;
            }
            Err(failure) => {
                drop(run(session, "ROLLBACK").await);
                watcher
                    .step_ended(super::engine::place(phase), StepOutcome::Failed { failure: failure.clone() })
                    .await?;
                for left in phase + 1..count {
                    let because = format!("step {} failed", phase + 1);
                    watcher.step_ended(super::engine::place(left), StepOutcome::NotRun { because }).await?;
                }
                return Err(failure);
            }
        }
        at = phase + 1;
    }
    Ok(report(Ended::Complete, at))
}

fn report(ended: Ended, done: usize) -> Report {
    Report { applied: Vec::new(), done, skipped: 0, worst_wait_ms: None, ended }
}

/// A copy that was taken.
struct Taken {
    id: i64,
    copy: String,
    rows: i64,
    fingerprint: String,
}

fn failed(what: &str, error: &sqlx::Error) -> Failure {
    Failure {
        what: format!("{what}: {}", errors::say(error)),
        state: "there is no proven backup; the table itself was not changed".into(),
        next: errors::next(error).into(),
    }
}

async fn private(session: &mut PgConnection) -> Result<String, Failure> {
    let sql = "BEGIN; CREATE SCHEMA IF NOT EXISTS gonogo_backup; REVOKE ALL ON SCHEMA gonogo_backup FROM PUBLIC; COMMIT";
    run(session, sql).await.map_err(|e| failed("making the schema gonogo_backup", &e))?;
    Ok("there, and closed".into())
}

/// Copy and fingerprints are of one snapshot, so that clients may go on writing.
async fn copy(
    session: &mut PgConnection,
    table: &str,
    copy: &str,
    options: &Options,
    taken: &mut Vec<Taken>,
) -> Result<String, Failure> {
    let work = async {
        run(session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '5s'").await?;
        run(session, &format!("CREATE TABLE {copy} AS SELECT * FROM {table}")).await?;
        run(
            session,
            &format!("ALTER TABLE {copy} ENABLE ROW LEVEL SECURITY; REVOKE ALL ON {copy} FROM PUBLIC"),
        )
        .await?;
        let source = fingerprint(session, table).await?;
        let copied = fingerprint(session, copy).await?;
        Ok::<_, sqlx::Error>((source, copied))
    };
    let (source, copied) = work.await.map_err(|e| failed(&format!("copying {table}"), &e))?;
    if source != copied {
        return Err(Failure {
            what: format!("the copy of {table} differs: {} rows, the table {}", copied.0, source.0),
            state: "the copy was thrown away; the table itself was not changed".into(),
            next: "back up again; if it happens again, the role may not see every row (row-level security)"
                .into(),
        });
    }
    let record = async {
        let id = sqlx::query_scalar(
            "INSERT INTO gonogo.backups (by, source, copy, rows, fingerprint) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        );
        let id = id
            .bind(&options.by)
            .bind(table)
            .bind(copy)
            .bind(source.0)
            .bind(&source.1)
            .fetch_one(&mut *session)
            .await?;
        run(session, "COMMIT").await?;
        Ok::<i64, sqlx::Error>(id)
    };
    let id = record.await.map_err(|e| failed(&format!("recording the copy of {table}"), &e))?;
    let note = format!("{} rows in {copy}, fingerprint {}", source.0, source.1);
    taken.push(Taken { id, copy: copy.to_owned(), rows: source.0, fingerprint: source.1 });
    Ok(note)
}

async fn fingerprint(session: &mut PgConnection, table: &str) -> Result<(i64, String), sqlx::Error> {
    let sql = format!("{FINGERPRINT} {table} AS t");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(session).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Puts the copy back into a scratch table with the real one's rules, and compares.
async fn restore(session: &mut PgConnection, table: &str, taken: &[Taken]) -> Result<String, Failure> {
    let Some(last) = taken.last() else {
        return Err(Failure {
            what: format!("there is no copy of {table}"),
            state: String::new(),
            next: String::new(),
        });
    };
    let work = async {
        run(session, "BEGIN").await?;
        let like = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING GENERATED INCLUDING IDENTITY";
        run(session, &format!("CREATE TEMP TABLE gonogo_restored (LIKE {table} {like}) ON COMMIT DROP"))
            .await?;
        let columns: Option<String> = sqlx::query_scalar(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        )
        .bind(table)
        .fetch_one(&mut *session)
        .await?;
        let columns = columns.unwrap_or_default();
        let insert = format!(
            "INSERT INTO gonogo_restored ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {}",
            last.copy
        );
        run(session, &insert).await?;
        let restored = fingerprint(session, "gonogo_restored").await?;
        run(session, "ROLLBACK").await?;
        Ok::<_, sqlx::Error>(restored)
    };
    let restored = work.await.map_err(|e| failed(&format!("restoring the copy of {table} for proof"), &e))?;
    if restored != (last.rows, last.fingerprint.clone()) {
        return Err(Failure {
            what: format!(
                "the restored copy of {table} differs: {} rows, the copy {}",
                restored.0, last.rows
            ),
            state: "there is no proven backup; the table itself was not changed".into(),
            next: "do not start; find out why the copy does not restore".into(),
        });
    }
    sqlx::query("UPDATE gonogo.backups SET proven_at = clock_timestamp() WHERE id = $1")
        .bind(last.id)
        .execute(session)
        .await
        .map_err(|e| failed("recording the proof", &e))?;
    Ok(format!("{} rows restored, fingerprints equal", restored.0))
}

async fn closed(session: &mut PgConnection, taken: &[Taken]) -> Result<String, Failure> {
    let Some(last) = taken.last() else {
        return Err(Failure { what: "there is no copy".into(), state: String::new(), next: String::new() });
    };
    let open: bool = sqlx::query_scalar(
        "SELECT NOT c.relrowsecurity OR EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
           OR EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 0)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
    )
    .bind(&last.copy)
    .fetch_one(session)
    .await
    .map_err(|e| failed("looking at the rights on the copy", &e))?;
    if open {
        return Err(Failure {
            what: format!("others than its owner can read {}", last.copy),
            state: "the copy is there and proven, but not private".into(),
            next: format!("REVOKE ALL ON {} from those roles, then back up again", last.copy),
        });
    }
    Ok("row-level security on, rights with the owner alone".into())
}

/// Refuses where a touched table has no proven backup of the last day.
pub(crate) async fn required(session: &mut PgConnection, set: &MigrationSet) -> Result<(), Failure> {
    let tables = tables(session, set).await.map_err(|e| broke("looking for the tables", &e))?;
    for (table, _) in tables {
        let proven: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM gonogo.backups WHERE source = $1 AND proven_at > clock_timestamp() - interval '24 hours'
               AND to_regclass(copy) IS NOT NULL)",
        )
        .bind(&table)
        .fetch_one(&mut *session)
        .await
        .map_err(|e| broke("looking for the backup", &e))?;
        if !proven {
            return Err(Failure {
                what: format!("there is no proven backup of {table} of the last 24 hours"),
                state: "nothing was run".into(),
                next: "run the backup first".into(),
            });
        }
    }
    Ok(())
}
