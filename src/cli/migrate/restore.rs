//! `gonogo migrate restore`: what backups there are, whether one still restores, and the ways back from one. What destroys says
//! first what is lost, and wants the database's name.

use clap::Subcommand;
use serde_json::json;

use super::Exit;
use crate::run::Failure;
use crate::workers::migrate::restore::{
    Listed, Replaced, Shelf, asides, back, beside, list, put_back, verify,
};
use crate::workers::migrate::{Database, Ended, Report};

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// List every backup, and whether it is there and whole; and what rollbacks have set aside.
    List,
    /// Restore a backup into a throwaway server and compare.
    Verify {
        /// Its name, or the path of its directory.
        backup: String,
    },
    /// Restore one table beside the real one, under a name that is free.
    Beside {
        /// Its name, or the path of its directory.
        backup: String,
        /// The table.
        #[arg(long, value_name = "TABLE")]
        table: String,
        /// The new table: SCHEMA.NAME, or NAME in the private schema gonogo_backup.
        #[arg(long = "as", value_name = "NAME")]
        new: String,
    },
    /// Put the tables back as a backup holds them. Says what would be lost, and wants the database's name.
    Back {
        /// Its name, or the path of its directory.
        backup: String,
        /// This table alone.
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
        /// The database's name, as the server says it.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Put back what the last rollback set aside, once the migrations are applied again.
    Aside,
}

/// Does it; what it came to, as text or JSON.
pub(super) async fn act(
    what: &What,
    db: &Database,
    shelf: &Shelf,
    json: bool,
) -> Result<(String, Exit), Failure> {
    let (value, text) = match what {
        What::List => {
            let (listed, aside) = (list(db, shelf).await?, asides(db).await?);
            let mut text: String = listed.iter().map(line).collect();
            for one in &aside {
                let back = one.put_back_at.map_or("not put back".into(), |at| {
                    format!("put back {}", at.format("%Y-%m-%d %H:%M UTC"))
                });
                let at = one.at.format("%Y-%m-%d %H:%M:%S UTC");
                let (by, rows, place) = (&one.migration, one.rows, &one.relation);
                let line = format!("set aside by {by} at {at}: {rows} rows in {place}; {back}\n");
                text.push_str(&line);
            }
            if text.is_empty() {
                text.push_str("there is no backup\n");
            }
            (json!({ "schema": 1, "backups": listed, "set_aside": aside }), text)
        }
        What::Verify { backup } => {
            let said = verify(db, shelf, backup).await?;
            (json!({ "schema": 1, "backup": backup, "proven": said }), lines(&said))
        }
        What::Beside { backup, table, new } => {
            let said = beside(db, shelf, backup, table, new).await?;
            (json!({ "schema": 1, "restored": said }), format!("{said}\n"))
        }
        What::Back { backup, table, confirm } => {
            let done = back(db, shelf, backup, table.as_deref(), confirm.as_deref()).await?;
            let words: Vec<String> = done.iter().map(Replaced::words).collect();
            (json!({ "schema": 1, "put_back": done }), lines(&words))
        }
        What::Aside => {
            let said = put_back(db).await?;
            (json!({ "schema": 1, "put_back": said }), lines(&said))
        }
    };
    Ok((if json { format!("{value}\n") } else { text }, Exit::Go))
}

/// What a backup came to: its name and what it holds, as the bookkeeping and the disk have it now.
pub(super) async fn taken(
    db: &Database,
    shelf: &Shelf,
    report: &Report,
    json: bool,
) -> Result<(String, Exit), Failure> {
    if report.ended == Ended::GivenUp {
        let text = if json {
            json!({ "schema": 1, "complete": false }).to_string()
        } else {
            "stopped: there is no backup".into()
        };
        return Ok((format!("{text}\n"), Exit::NoGo));
    }
    let mut listed = list(db, shelf).await?;
    let newest = listed.first().map(|one| one.backup.clone());
    listed.retain(|one| Some(&one.backup) == newest.as_ref());
    let good = listed.iter().all(|one| one.fault.is_none() && one.proven_at.is_some());
    let text = if json {
        format!("{}\n", json!({ "schema": 1, "complete": good, "backup": newest, "tables": listed }))
    } else {
        listed.iter().map(line).collect()
    };
    Ok((text, if good { Exit::Go } else { Exit::NoGo }))
}

fn lines(said: &[String]) -> String {
    said.iter().flat_map(|line| [line, "\n"]).collect()
}

fn line(one: &Listed) -> String {
    let proven = match (&one.fault, one.proven_at) {
        (Some(fault), _) => format!("NO BACKUP: {fault}"),
        (None, None) => one.proof.clone().unwrap_or_else(|| "NOT PROVEN: never restored".into()),
        (None, Some(at)) => format!("proven {}", at.format("%Y-%m-%d %H:%M UTC")),
    };
    format!("{}  {:<32} {:>10} rows  {}  {proven}\n", one.backup, one.table, one.print.rows, one.place)
}
