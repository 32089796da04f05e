//! Taking over what another tool applied into gonogo's own bookkeeping: only when a person asks for it, with the person's name and the
//! time, under the runner's lock, all of it or nothing. The other tool's tables are not written; from then on gonogo's word counts.

use super::book::{self, Book};
use super::database::{Database, run};
use super::files::{MigrationSet, refused};
use super::layout::Tool;
use super::runner::{Runner, broke};
use super::theirs::{self, Baseline, Sameness};
use super::watch::Options;
use crate::run::job::Failure;

/// What to do with a file that is not what the other tool ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Adopt nothing.
    Refuse,
    /// Take the file as it is now for what is applied.
    Accept,
}

/// What was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// From whom.
    pub tool: Tool,
    /// The migrations, ascending, as a person names them.
    pub titles: Vec<String>,
}

/// Takes over what another tool applied, up to and including `to`.
pub async fn adopt(
    db: &Database,
    set: &MigrationSet,
    to: Option<u64>,
    changed: Changed,
    options: &Options,
) -> Result<Adopted, Failure> {
    let mut runner = Runner::start(db, options.runner_wait, |_| ()).await?;
    let session = &mut runner.session;
    let book = Book::of(session, set).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    book.baseline.sound(set)?;
    let Baseline::One(theirs) = &book.baseline else {
        return Err(refused(
            format!("no other tool has kept books about the files of {} in this database", set.origin),
            "there is nothing to adopt; migrate status shows what is applied",
        ));
    };
    let wanted = set.migrations.iter().filter(|migration| to.is_none_or(|to| migration.number <= to));
    let wanted = wanted.filter(|migration| {
        book.baseline.applied(migration.number) && !book.entries.contains_key(&migration.number)
    });
    let wanted: Vec<_> = wanted.collect();
    let differ = wanted.iter().filter(|migration| {
        theirs
            .entries
            .get(&migration.number)
            .is_some_and(|row| theirs::sameness(row, migration) == Sameness::Differs)
    });
    let differ: Vec<&str> = differ.map(|migration| &*migration.up.file).collect();
    if !differ.is_empty() && changed == Changed::Refuse {
        return Err(refused(
            format!("not what {} applied, by its checksum: {}", theirs.tool.name(), differ.join(", ")),
            "put the files back as they were; or, if the schema is what they say now, say --changed accept",
        ));
    }
    let written = async {
        book::ensure(session).await?;
        run(session, "BEGIN").await?;
        for migration in &wanted {
            let at = theirs.entries.get(&migration.number).and_then(theirs::applied_at);
            book::take_over(session, migration, at, &options.by).await?;
        }
        run(session, "COMMIT").await
    };
    let written = written.await;
    if let Err(error) = written {
        // The session ends with this function, and its transaction with it.
        let failure = broke("writing the bookkeeping", &error);
        return Err(Failure { state: "nothing was adopted".into(), ..failure });
    }
    Ok(Adopted { tool: theirs.tool, titles: wanted.iter().map(|migration| migration.title()).collect() })
}
