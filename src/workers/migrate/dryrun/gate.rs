//! Whether what stands in the files is rehearsed, for the live schema as it is now; and whether a run may start without. It reads the
//! live catalogue and nothing else.

use super::record::{Record, Standing};
use super::recorded::inverses;
use super::report::{DryRun, Weight};
use crate::run::job::Failure;
use crate::workers::migrate::book::{Book, Direction, State};
use crate::workers::migrate::catalogue::{self, Scope};
use crate::workers::migrate::database::Database;
use crate::workers::migrate::files::MigrationSet;
use crate::workers::migrate::runner::broke;

/// Compares the live catalogue once more, after what was run on a clone of it.
pub async fn unchanged(db: &Database, dry: &mut DryRun, before: Option<&str>) -> Result<(), Failure> {
    let mut session = db.session("dry run").await?;
    let after = catalogue::snapshot(&mut session, &Scope::whole())
        .await
        .map_err(|e| broke("reading the catalogue", &e))?
        .hash()
        .to_string();
    if before.is_some_and(|before| before != after) {
        let what = "the live schema was changed by somebody while this ran on a clone";
        dry.find(Weight::Warns, db.place(), what, "find out who; then run this again");
    }
    dry.catalogue_before = before.map(str::to_owned);
    dry.catalogue_after = Some(after);
    Ok(())
}

/// Whether each migration is rehearsed, as its files and the live schema are now.
pub async fn standings(
    db: &Database,
    set: &MigrationSet,
    record: Option<&Record>,
) -> Result<Vec<Standing>, Failure> {
    let Some(record) = record else { return Ok(set.migrations.iter().map(|_| Standing::Never).collect()) };
    let schemas: Vec<&str> = record.schemas.iter().map(String::as_str).collect();
    let mut session = db.session("status").await?;
    let now = catalogue::snapshot(&mut session, &Scope::shape(&schemas)).await;
    let hash = now.map_err(|e| broke("reading the catalogue", &e))?.hash();
    Ok(set.migrations.iter().map(|migration| record.standing(migration, Some(&hash))).collect())
}

/// Refuses where a migration that would be run, or taken back, is not rehearsed that way.
pub async fn demanded(
    db: &Database,
    set: &MigrationSet,
    record: Option<&Record>,
    direction: Direction,
    to: Option<u64>,
) -> Result<(), Failure> {
    let mut session = db.session("status").await?;
    let book = Book::read(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let standings = standings(db, set, record).await?.into_iter().zip(inverses(db, set, record).await?);
    for (migration, (standing, inverse)) in set.migrations.iter().zip(standings) {
        let state = book.entries.get(&migration.number).map(|entry| entry.state);
        let applied = matches!(state, Some(State::Applied | State::Verified));
        let concerned = match direction {
            Direction::Up => !applied && to.is_none_or(|to| migration.number <= to),
            Direction::Down => state.is_some() && to.is_none_or(|to| migration.number > to),
        };
        let rehearsed = match direction {
            Direction::Up if migration.down.is_none() => matches!(standing, Standing::Rehearsed { .. }),
            Direction::Down if migration.down.is_none() => inverse.way_back(),
            // A migration whose way back was never rehearsed has none to rely on.
            Direction::Up | Direction::Down => standing.way_back(),
        };
        if concerned && !rehearsed && state.is_none_or(|state| state != State::Applying) {
            let said = match direction {
                Direction::Down if migration.down.is_none() => inverse.to_string(),
                _ => standing.to_string(),
            };
            return Err(Failure {
                what: format!("{} {}: {said}", migration.title(), direction.word()),
                state: "nothing was run".into(),
                next: "rehearse it (gonogo migrate plan --level rehearsed); gonogo.toml demands it with rehearsal = \"required\" under [database]".into(),
            });
        }
    }
    Ok(())
}
