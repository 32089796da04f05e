//! Proves on copies of a database that a file and its safe plan come to the same end: the same catalogue, the same rows. Both are
//! run by the engine of the day, and how long each kept clients out is measured. A value that differs between two runs of the
//! file itself, as a drawn one does, proves nothing against the plan, and is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Proposal, replaced};
use crate::run::job::{Failure, StepOutcome, StepPlan};
use crate::scratch::Scratch;
use crate::workers::migrate::catalogue::{
    Catalogue, Fingerprint, Kind, Scope, fingerprint, fingerprint_of, snapshot,
};
use crate::workers::migrate::database::{Database, run};
use crate::workers::migrate::dryrun::Measure;
use crate::workers::migrate::errors::say;
use crate::workers::migrate::files::MigrationSet;
use crate::workers::migrate::names::quoted;
use crate::workers::migrate::runner::broke;
use crate::workers::migrate::up;
use crate::workers::migrate::watch::{BackupGate, Edge, Moment, Options, Probe, Watcher};

/// Whether both forms come to the same end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "proof", rename_all = "kebab-case")]
pub enum Proof {
    /// On these copies they do.
    Equal {
        /// Over the catalogue after both.
        catalogue: Arc<str>,
        /// Tables whose rows were compared.
        tables: usize,
        /// Rows in them.
        rows: u64,
        /// Columns whose values differ on every run of the file itself: only how many there are was compared.
        drawn: Vec<String>,
        /// How long the file kept clients out.
        as_it_is: Measured,
        /// How long the plan did.
        rewritten: Measured,
    },
    /// They do not.
    Different {
        /// What is otherwise after the plan.
        differences: Vec<String>,
    },
    /// One of them did not run.
    Failed {
        /// Which, and why.
        what: String,
    },
}

/// How long clients were kept out, on the copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The longest time that a lock which stops clients, or a written row, was held, in milliseconds.
    pub longest_ms: f64,
    /// By which statement.
    pub at: String,
    /// All its statements together, in milliseconds.
    pub takes_ms: f64,
}

/// Where copies of a database are made: beside it, on a scratch server.
#[derive(Debug, Clone, Copy)]
pub struct Branches<'a> {
    scratch: &'a Scratch,
    base: &'a str,
}

impl<'a> Branches<'a> {
    /// Of `base`, to which nobody may be connected while a copy is made.
    pub const fn new(scratch: &'a Scratch, base: &'a str) -> Self {
        Self { scratch, base }
    }

    async fn fresh(&self, name: &str) -> Result<Database, Failure> {
        let failed = |what: String| Failure {
            what,
            state: "only copies on the scratch server were touched".into(),
            next: "ask again; see its log where it fails again".into(),
        };
        let mut server = self.scratch.connect("postgres").await.map_err(|error| failed(error.to_string()))?;
        let (name, base) = (quoted(name), quoted(self.base));
        for sql in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE {base}"),
        ] {
            run(&mut server, &sql)
                .await
                .map_err(|error| failed(format!("copying {base}: {}", say(&error))))?;
        }
        Database::connect(&self.scratch.url(&name), "gonogo proof").await
    }
}

struct End {
    catalogue: Catalogue,
    rows: BTreeMap<String, Fingerprint>,
    measured: Measured,
    db: Database,
}

/// Runs both on copies, and compares.
pub async fn prove(copies: &Branches<'_>, set: &MigrationSet, proposal: &Proposal) -> Result<Proof, Failure> {
    let safe = replaced(set, proposal)?;
    let one = match play(copies.fresh("as_it_is").await?, set, proposal.number).await {
        Ok(end) => end,
        Err(failure) => return Ok(Proof::Failed { what: format!("the file as it is: {failure}") }),
    };
    let two = match play(copies.fresh("rewritten").await?, &safe, proposal.number).await {
        Ok(end) => end,
        Err(failure) => return Ok(Proof::Failed { what: format!("the safe plan: {failure}") }),
    };
    let mut differences: Vec<String> =
        one.catalogue.diff(&two.catalogue).iter().map(ToString::to_string).collect();
    let mut drawn = Vec::new();
    let same = |(table, rows): &(&String, &Fingerprint)| two.rows.get(*table) == Some(*rows);
    let unlike: Vec<&String> = one.rows.iter().filter(|pair| !same(pair)).map(|(table, _)| table).collect();
    if differences.is_empty() && !unlike.is_empty() {
        let again = play(copies.fresh("again").await?, set, proposal.number).await?;
        for table in unlike {
            for column in columns(&one.catalogue, table) {
                let mut seen = Vec::new();
                for end in [&one, &again, &two] {
                    seen.push(values(end, table, &column).await?);
                }
                let [first, again, rewritten] = seen.as_slice() else { continue };
                if first == rewritten {
                    continue;
                }
                let called = format!("{table}.{column}");
                // Drawn anew on each run: as many values are all that two runs can have in common.
                if first.0 != again.0 && first.1 == rewritten.1 {
                    drawn.push(called);
                } else {
                    differences.push(format!(
                        "the values of {called}: {} there as it is, {} rewritten",
                        first.1, rewritten.1
                    ));
                }
            }
            // Equal column by column is not yet equal row by row.
            let drawn_here = |column: &String| drawn.contains(&format!("{table}.{column}"));
            let kept: Vec<String> =
                columns(&one.catalogue, table).into_iter().filter(|column| !drawn_here(column)).collect();
            if differences.is_empty() && print(&one, table, &kept).await? != print(&two, table, &kept).await?
            {
                differences.push(format!("the rows of {table}: the same values stand in other rows"));
            }
        }
    }
    if !differences.is_empty() {
        return Ok(Proof::Different { differences });
    }
    Ok(Proof::Equal {
        catalogue: one.catalogue.hash(),
        tables: one.rows.len(),
        rows: one.rows.values().map(|print| print.rows).sum(),
        drawn,
        as_it_is: one.measured,
        rewritten: two.measured,
    })
}

/// The fingerprint of some columns of a table.
async fn print(end: &End, table: &str, columns: &[String]) -> Result<Fingerprint, Failure> {
    let mut session = end.db.session("compare").await?;
    let print = fingerprint_of(&mut session, table, columns).await;
    print.map_err(|error| broke("comparing the rows", &error))
}

/// The fingerprint of a column, and how many values are in it.
async fn values(end: &End, table: &str, column: &str) -> Result<(Fingerprint, i64), Failure> {
    let mut session = end.db.session("compare").await?;
    let wrong = |error: sqlx::Error| broke("comparing the rows", &error);
    let print = print(end, table, &[column.to_owned()]).await?;
    let sql = format!("SELECT count({}) FROM ONLY {table}", quoted(column));
    let there = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut session).await.map_err(wrong)?;
    Ok((print, there))
}

fn columns(catalogue: &Catalogue, table: &str) -> Vec<String> {
    let start = format!("{table}.");
    let found = catalogue.objects.keys().filter(|object| object.kind == Kind::Column);
    found
        .filter_map(|object| object.name.strip_prefix(&start))
        .map(crate::workers::migrate::names::last)
        .collect()
}

async fn play(db: Database, set: &MigrationSet, number: u64) -> Result<End, Failure> {
    let wrong = |error: sqlx::Error| broke("looking at a copy", &error);
    let mut session = db.session("compare").await?;
    let measure = Measure::new(&db, set);
    measure.begin("up", &mut session).await.map_err(wrong)?;
    let options = Options { by: "proof".into(), backup: BackupGate::Waived, ..Options::default() };
    up(&db, set, Some(number), &options, &Silent { probe: &measure }).await?;
    let catalogue = snapshot(&mut session, &Scope::whole()).await.map_err(wrong)?;
    let mut rows = BTreeMap::new();
    for table in catalogue.tables() {
        let print = fingerprint(&mut session, table).await.map_err(wrong)?;
        rows.insert(table.to_owned(), print);
    }
    let file = set.get(number).map(|migration| migration.up.file.to_string()).unwrap_or_default();
    let measured = longest(&measure, &file);
    Ok(End { catalogue, rows, measured, db })
}

fn longest(measure: &Measure, file: &str) -> Measured {
    let mut found = Measured { longest_ms: 0.0, at: "no statement".into(), takes_ms: 0.0 };
    for seen in measure.seen().iter().filter(|seen| seen.file == file) {
        let measured = &seen.traced.measured;
        found.takes_ms += measured.ms;
        // A row that is written stays locked until its transaction ends.
        let held = if measured.wrote > 0 { measured.ms.max(measured.stop_ms()) } else { measured.stop_ms() };
        if held > found.longest_ms {
            (found.longest_ms, found.at) = (held, measured.title.clone());
        }
    }
    found
}

/// Nobody watches but the probe.
struct Silent<'a> {
    probe: &'a Measure,
}

impl Watcher for Silent<'_> {
    fn planned(&self, _: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn step_started(&self, _: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn step_ended(&self, _: u32, _: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn moment(&self, _: Moment) {}

    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(async { Edge::GoOn })
    }

    fn probe(&self) -> Option<&dyn Probe> {
        Some(self.probe)
    }
}
