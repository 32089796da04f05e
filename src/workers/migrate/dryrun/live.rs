//! The second level: what the pending files take for granted, asked of the live database in a transaction that its server keeps
//! read-only. It counts the rows that would break a new rule, finds what is there already, who depends on what goes, and whether
//! this role may do it. Its catalogue is compared before and after; nothing is ever written, not even gonogo's own schema.

mod asks;

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::demands::{Demand, demands};
use super::report::{DryRun, Level, Size, Weight};
use crate::run::job::Failure;
use crate::workers::migrate::book::{Book, State};
use crate::workers::migrate::catalogue::{self, Scope};
use crate::workers::migrate::checks;
use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::database::{Database, run};
use crate::workers::migrate::define::Thing;
use crate::workers::migrate::errors::say;
use crate::workers::migrate::files::{Migration, MigrationSet};
use crate::workers::migrate::plan::Plan;
use crate::workers::migrate::runner::broke;
use crate::workers::migrate::split::Statement;

/// A single question may keep the server busy for so long; what takes longer is said not to have been counted.
const PATIENCE: &str = "30s";

/// Asks the live database about the migrations that are not applied yet.
pub async fn live(db: &Database, set: &MigrationSet) -> Result<DryRun, Failure> {
    let mut dry = DryRun::new(Level::Catalogue);
    dry.database = Some(db.place().to_owned());
    let mut session = db.session("dry run").await?;
    let scope = Scope::whole();
    let before =
        catalogue::snapshot(&mut session, &scope).await.map_err(|e| broke("reading the catalogue", &e))?;
    dry.catalogue_before = Some(before.hash().to_string());

    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '2s'; \
         SET LOCAL statement_timeout = '{PATIENCE}'"
    );
    run(&mut session, &begin).await.map_err(|e| broke("beginning a read-only transaction", &e))?;
    let kept: String = sqlx::query_scalar("SHOW transaction_read_only")
        .fetch_one(&mut session)
        .await
        .map_err(|e| broke("asking whether the transaction is read-only", &e))?;
    if kept != "on" {
        return Err(Failure {
            what: format!("{} does not keep the transaction read-only", db.place()),
            state: "nothing was asked and nothing was changed".into(),
            next: "see what stands between: only a direct connection or a session pooler keeps a transaction"
                .into(),
        });
    }
    let asked = asked(&mut session, set, dry).await;
    run(&mut session, "ROLLBACK").await.map_err(|e| broke("ending the read-only transaction", &e))?;
    let mut dry = asked?;

    let after =
        catalogue::snapshot(&mut session, &scope).await.map_err(|e| broke("reading the catalogue", &e))?;
    dry.catalogue_after = Some(after.hash().to_string());
    for change in catalogue::say(&before.diff(&after)) {
        dry.find(
            Weight::Warns,
            db.place(),
            format!("somebody else changed the schema meanwhile: {change}"),
            "find out who; then run this again",
        );
    }
    dry.findings.sort_by_key(|finding| finding.weight);
    dry.not_proven(&[
        "that the statements run at all: none was",
        "which locks they really take, what they scan and rewrite, and how long that takes",
        "that the way back leads back",
        "that rows written between now and the day keep the new rules too",
    ]);
    Ok(dry)
}

async fn asked(session: &mut PgConnection, set: &MigrationSet, dry: DryRun) -> Result<DryRun, Failure> {
    let book = Book::read(session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let mut asker = Asker {
        session,
        dry,
        made: BTreeMap::new(),
        new: BTreeSet::new(),
        written: BTreeSet::new(),
        dropped: Vec::new(),
        denied: BTreeSet::new(),
    };
    let applied = book.applied();
    asker.dry.seen(format!("{} of {} migrations are applied here", applied.len(), set.migrations.len()));
    if let Err(failure) = Plan::up(set, &book, None) {
        asker.dry.find(Weight::Fails, &*set.origin, failure.what, failure.next);
    }
    let pending: Vec<&Migration> = set
        .migrations
        .iter()
        .filter(|migration| {
            let state = book.entries.get(&migration.number).map(|entry| entry.state);
            !matches!(state, Some(State::Applied | State::Verified))
        })
        .collect();
    asker.bookkeeping().await?;
    if let Some(first) = pending.first().filter(|first| !first.checks.before.is_empty()) {
        asker.before(first).await?;
    }
    let mut count = 0;
    for migration in &pending {
        for statement in &migration.up.statements {
            asker.statement(&migration.up.file, statement).await?;
            count += 1;
        }
    }
    let titles: Vec<String> = pending.iter().map(|migration| migration.title()).collect();
    let titles = if titles.is_empty() { "nothing is pending".to_owned() } else { titles.join(", ") };
    asker.dry.seen(format!(
        "asked what {count} statements take for granted, in a read-only transaction: {titles}"
    ));
    asker.sizes(set).await?;
    Ok(asker.dry)
}

/// Asks, and remembers what the statements before would have made of the database.
struct Asker<'a> {
    session: &'a mut PgConnection,
    dry: DryRun,
    /// Columns that the plan has made so far, with their types.
    made: BTreeMap<(String, String), String>,
    /// Tables that the plan has made so far.
    new: BTreeSet<String>,
    /// Tables whose rows the plan has written to so far.
    written: BTreeSet<String>,
    /// The texts that drop something.
    dropped: Vec<String>,
    /// What this role was found not to own.
    denied: BTreeSet<String>,
}

/// Why a question has no answer.
enum Unanswered {
    /// The server refused, in its words.
    Refused(String),
    /// It would have taken too long, or somebody holds the table.
    TooLong,
}

impl Asker<'_> {
    /// One value, in a savepoint; the transaction goes on after a refusal.
    async fn ask<T>(&mut self, sql: &str) -> Result<Result<T, Unanswered>, Failure>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let asked = async {
            run(self.session, "SAVEPOINT ask").await?;
            let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *self.session).await;
            let value = row.and_then(|row| row.try_get::<T, _>(0));
            run(self.session, "ROLLBACK TO SAVEPOINT ask").await?;
            Ok::<_, sqlx::Error>(value)
        };
        let value = asked.await.map_err(|e| broke("asking the database", &e))?;
        Ok(value.map_err(|error| match crate::workers::migrate::errors::sqlstate(&error) {
            Some("57014" | "55P03") => Unanswered::TooLong,
            _ => Unanswered::Refused(say(&error)),
        }))
    }

    /// How many rows; what cannot be counted is said.
    async fn count(&mut self, place: &str, what: &str, sql: &str) -> Result<Option<u64>, Failure> {
        match self.ask::<i64>(sql).await? {
            Ok(rows) => Ok(Some(u64::try_from(rows).unwrap_or(0))),
            Err(Unanswered::TooLong) => {
                self.dry.find(
                    Weight::Warns,
                    place,
                    format!("{what}: not counted, because it takes longer than {PATIENCE} or somebody holds the table"),
                    "count it at a quiet hour, or rehearse on a copy",
                );
                Ok(None)
            }
            Err(Unanswered::Refused(why)) => {
                self.dry.find(
                    Weight::Notes,
                    place,
                    format!("{what}: cannot be counted yet ({why})"),
                    "the rehearsal will tell",
                );
                Ok(None)
            }
        }
    }

    async fn exists(&mut self, relation: &str) -> Result<bool, Failure> {
        let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(relation));
        Ok(self.ask::<bool>(&sql).await?.unwrap_or(false))
    }

    /// The type of a column: as the plan makes it, or as it is.
    async fn type_of(&mut self, table: &str, column: &str) -> Result<Option<String>, Failure> {
        let made = self.made.get(&(normal(table), normal(column)));
        if let Some(ty) = made {
            return Ok(Some(ty.clone()));
        }
        let sql = format!(
            "SELECT (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass({})
                     AND attname = (parse_ident({}))[1] AND NOT attisdropped)",
            literal(table),
            literal(column)
        );
        Ok(self.ask::<Option<String>>(&sql).await?.unwrap_or(None))
    }

    async fn statement(&mut self, file: &str, statement: &Statement) -> Result<(), Failure> {
        let place = format!("{file}:{}", statement.line);
        self.rights(&place, statement).await?;
        for demand in demands(&statement.text) {
            self.demand(&place, &demand).await?;
        }
        match &statement.shape.kind {
            Kind::Write { table: Some(table) } => {
                self.written.insert(normal(table));
            }
            Kind::Block => {
                self.written.insert("*".into());
            }
            _ => {}
        }
        if statement.text.to_ascii_lowercase().contains("drop") {
            self.dropped.push(statement.text.to_ascii_lowercase());
        }
        Ok(())
    }

    /// Whether this role may do it. Said once for each table.
    async fn rights(&mut self, place: &str, statement: &Statement) -> Result<(), Failure> {
        let needs = statement.shape.needs.iter().map(|need| need.relation.to_string()).collect::<Vec<_>>();
        for relation in needs {
            if self.new.contains(&normal(&relation)) || self.denied.contains(&normal(&relation)) {
                continue;
            }
            let table = literal(&relation);
            let (right, sql) = match &statement.shape.kind {
                Kind::CreateTable { .. } => (
                    "REFERENCES on it",
                    format!(
                        "has_table_privilege(c.oid, 'REFERENCES') FROM pg_class c WHERE c.oid = to_regclass({table})"
                    ),
                ),
                Kind::Create { what: Thing::Trigger, .. } => (
                    "TRIGGER on it",
                    format!(
                        "has_table_privilege(c.oid, 'TRIGGER') FROM pg_class c WHERE c.oid = to_regclass({table})"
                    ),
                ),
                Kind::Write { .. } => (
                    "writing to it",
                    format!(
                        "has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE') FROM pg_class c WHERE c.oid = to_regclass({table})"
                    ),
                ),
                _ => (
                    "being its owner",
                    format!(
                        "pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = to_regclass({table})"
                    ),
                ),
            };
            if let Ok(false) = self.ask::<bool>(&format!("SELECT {sql}")).await? {
                self.denied.insert(normal(&relation));
                let who = self.ask::<String>("SELECT current_user::text").await?.unwrap_or_default();
                self.dry.find(
                    Weight::Fails,
                    place,
                    format!(
                        "{}: role {who} may not do this to {relation}; it takes {right}",
                        statement.title
                    ),
                    "connect as the owner of the table, or have the right granted",
                );
            }
        }
        let schema = match &statement.shape.kind {
            Kind::CreateTable { name, .. } | Kind::Create { what: Thing::View, name, .. } => {
                Some(name.split_once('.').map_or("public", |(schema, _)| schema))
            }
            _ => None,
        };
        if let Some(schema) = schema
            && self.denied.insert(format!("schema {schema}"))
        {
            let sql = format!(
                "SELECT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = (parse_ident({}))[1]",
                literal(schema)
            );
            if let Ok(false) = self.ask::<bool>(&sql).await? {
                self.dry.find(
                    Weight::Fails,
                    place,
                    format!("{}: this role may not create anything in schema {schema}", statement.title),
                    "connect as a role that may, or have CREATE granted on the schema",
                );
            }
        }
        Ok(())
    }

    /// gonogo keeps its books in a schema of its own.
    async fn bookkeeping(&mut self) -> Result<(), Failure> {
        let sql = "SELECT to_regnamespace('gonogo') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')";
        if let Ok(false) = self.ask::<bool>(sql).await? {
            self.dry.find(
                Weight::Fails,
                "bookkeeping",
                "this role may not create the schema gonogo, in which applied migrations are recorded",
                "GRANT CREATE ON DATABASE to it, or have the schema made for it",
            );
        }
        Ok(())
    }

    /// The first migration's own checks may be asked now; those of later ones speak of what is not there yet.
    async fn before(&mut self, migration: &Migration) -> Result<(), Failure> {
        let file = &migration.checks.file;
        let mut asked_in_all = 0;
        for statement in &migration.checks.before {
            let place = format!("{file}:{}", statement.line);
            let asked = async {
                run(self.session, "SAVEPOINT ask").await?;
                let rows =
                    sqlx::raw_sql(sqlx::AssertSqlSafe(&*statement.text)).fetch_all(&mut *self.session).await;
                run(self.session, "ROLLBACK TO SAVEPOINT ask").await?;
                Ok::<_, sqlx::Error>(rows)
            };
            match asked.await.map_err(|e| broke("asking the checks", &e))? {
                Ok(rows) => {
                    let answers: Vec<checks::Answer> =
                        rows.iter().filter_map(|row| checks::answer(row).ok()).collect();
                    let bad = answers.iter().filter(|answer| !answer.ok);
                    for answer in bad {
                        let what =
                            format!("check before {}: {}: {}", migration.title(), answer.name, answer.detail);
                        self.dry.find(Weight::Fails, &place, what, "correct what it names before the day");
                    }
                    asked_in_all += answers.len();
                }
                Err(error) => {
                    self.dry.find(
                        Weight::Fails,
                        &place,
                        format!("a check could not be run: {}", say(&error)),
                        "correct the check",
                    );
                }
            }
        }
        self.dry.seen(format!("{asked_in_all} checks before {} were asked", migration.title()));
        Ok(())
    }

    async fn sizes(&mut self, set: &MigrationSet) -> Result<(), Failure> {
        let tables: Vec<String> = set.touched().iter().map(ToString::to_string).collect();
        let rows = sqlx::query(
            "SELECT DISTINCT format('%I.%I', n.nspname, c.relname), c.reltuples::bigint, pg_total_relation_size(c.oid),
                    (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid)::int
             FROM unnest($1::text[]) AS t (name) JOIN pg_class c ON c.oid = to_regclass(t.name) JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^gonogo' ORDER BY 1",
        );
        let rows = rows
            .bind(&tables)
            .fetch_all(&mut *self.session)
            .await
            .map_err(|e| broke("measuring the tables", &e))?;
        for row in rows {
            let read = || -> Result<Size, sqlx::Error> {
                Ok(Size {
                    table: row.try_get(0)?,
                    rows: u64::try_from(row.try_get::<i64, _>(1)?).ok(),
                    bytes: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
                    indexes: u32::try_from(row.try_get::<i32, _>(3)?).unwrap_or(0),
                })
            };
            self.dry.sizes.push(read().map_err(|e| broke("measuring the tables", &e))?);
        }
        Ok(())
    }

    async fn demand(&mut self, place: &str, demand: &Demand) -> Result<(), Failure> {
        asks::demand(self, place, demand).await
    }
}

/// A name as the catalogue has it, without `public`, for comparing names that the files write.
fn normal(name: &str) -> String {
    let parts: Vec<String> = name
        .split('.')
        .map(|part| match part.strip_prefix('"').and_then(|part| part.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => part.to_lowercase(),
        })
        .collect();
    let name = parts.join(".");
    name.strip_prefix("public.").map_or(name.clone(), str::to_owned)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
