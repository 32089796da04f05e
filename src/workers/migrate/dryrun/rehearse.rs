//! The third and fourth level: the engine of the day, on a clone. Traced, it runs the pending files once and looks at each
//! statement from inside; rehearsed, it goes there migration by migration, back the same way, compares schema and rows with what
//! was before each, and goes there again. What it measures becomes the forecast, what it proves the record.

use chrono::Utc;
use sqlx::postgres::PgConnection;

use super::clone::Ground;
use super::inner::{Inner, options};
use super::legs::{Leg, legs};
use super::measure::{Measure, Seen};
use super::record::{Mark, Passed, Record};
use super::recorded::Undone;
use super::report::{DryRun, Level, Weight};
use super::states::{State, state};
use crate::run::job::{Failure, StepOutcome};
use crate::workers::migrate::book::{Book, State as Applied};
use crate::workers::migrate::database::Database;
use crate::workers::migrate::files::{Migration, MigrationSet, Script};
use crate::workers::migrate::forecast::Forecast;
use crate::workers::migrate::inverse::{Recorded, recorded, recorded_as};
use crate::workers::migrate::runner::broke;
use crate::workers::migrate::watch::{Edge, Ended, Watcher};
use crate::workers::migrate::{down, engine, up};

/// What came of running on a clone.
#[derive(Debug)]
pub struct Rehearsal {
    /// For a person.
    pub dry: DryRun,
    /// For the marks.
    pub record: Record,
    /// For the day.
    pub forecast: Forecast,
}

/// Runs the pending migrations once, on a clone.
pub async fn trace(
    source: &Database,
    set: &MigrationSet,
    ground: &Ground,
    schemas: &[String],
    watcher: &dyn Watcher,
) -> Result<Rehearsal, Failure> {
    go(source, set, ground, schemas, watcher, Level::Traced).await
}

/// There, back, compared, and there again, on a clone with rows.
pub async fn rehearse(
    source: &Database,
    set: &MigrationSet,
    ground: &Ground,
    schemas: &[String],
    watcher: &dyn Watcher,
) -> Result<Rehearsal, Failure> {
    go(source, set, ground, schemas, watcher, Level::Rehearsed).await
}

async fn go(
    source: &Database,
    set: &MigrationSet,
    ground: &Ground,
    schemas: &[String],
    watcher: &dyn Watcher,
    level: Level,
) -> Result<Rehearsal, Failure> {
    let db = ground.database().await?;
    let mut session = db.session("compare").await?;
    let book = Book::read(&mut session).await.map_err(|e| broke("reading the copied bookkeeping", &e))?;
    let pending: Vec<&Migration> = set
        .migrations
        .iter()
        .filter(|migration| {
            let state = book.entries.get(&migration.number).map(|entry| entry.state);
            !matches!(state, Some(Applied::Applied | Applied::Verified))
        })
        .collect();
    let legs = legs(&pending, level);
    let mut walk = Walk {
        set,
        dry: DryRun::new(level),
        record: Record::new(source.place(), db.server_version(), Utc::now(), schemas),
        measure: Measure::new(&db, set),
        states: Vec::new(),
        schemas,
        watcher,
        below: book.applied().last().copied().unwrap_or(0),
    };
    walk.dry.database = Some(source.place().to_owned());
    walk.record.rows = ground.copied.tables.iter().map(|table| table.rows).sum();
    walk.record.whole = ground.copied.whole;
    walk.record.marks = pending.iter().copied().map(Mark::new).collect();
    walk.introduce(ground, pending.len());
    watcher.planned(legs.iter().map(Leg::plan).collect()).await?;
    walk.states.push(walk.state(&mut session).await?);
    for (at, leg) in legs.iter().enumerate() {
        let step = engine::place(at);
        if watcher.edge().await == Edge::GiveUp {
            return Err(stopped());
        }
        watcher.step_started(step).await?;
        match walk.leg(&db, &mut session, step, *leg).await {
            Ok(note) => watcher.step_ended(step, StepOutcome::Done { note: Some(note) }).await?,
            Err(failure) => {
                watcher.step_ended(step, StepOutcome::Failed { failure: failure.clone() }).await?;
                for left in at + 1..legs.len() {
                    let because = format!("step {} failed", at + 1);
                    watcher.step_ended(engine::place(left), StepOutcome::NotRun { because }).await?;
                }
                walk.failed(*leg, failure);
                break;
            }
        }
    }
    Ok(walk.finish(db.server_version()))
}

fn stopped() -> Failure {
    Failure {
        what: "the rehearsal was stopped".into(),
        state: "the live database was only read; the clone is thrown away".into(),
        next: "rehearse again when there is time: nothing counts as rehearsed until it came to its end"
            .into(),
    }
}

/// A rehearsal under way.
pub(super) struct Walk<'a> {
    pub(super) set: &'a MigrationSet,
    pub(super) dry: DryRun,
    pub(super) record: Record,
    measure: Measure,
    /// Before the first pending migration, and after each.
    pub(super) states: Vec<State>,
    schemas: &'a [String],
    watcher: &'a dyn Watcher,
    /// The newest number that was applied before.
    below: u64,
}

impl Walk<'_> {
    fn introduce(&mut self, ground: &Ground, pending: usize) {
        let copied = &ground.copied;
        let rows: u64 = self.record.rows;
        let kind = if copied.whole { "all rows" } else { "a sample" };
        self.dry.seen(format!(
            "cloned the schemas {} into PostgreSQL {} (live: {}): {} tables, {rows} rows ({kind})",
            self.schemas.join(", "),
            copied.scratch_major,
            copied.server_major,
            copied.tables.len(),
        ));
        let parents: u64 = copied.tables.iter().map(|table| table.parents).sum();
        if parents > 0 {
            self.dry.seen(format!("{parents} of them came along because rows of the sample refer to them"));
        }
        let orphans: u64 = copied.tables.iter().map(|table| table.orphans).sum();
        if orphans > 0 {
            self.dry.seen(format!(
                "{orphans} rows of the sample referred to more rows than could come along, and were left out"
            ));
        }
        if pending == 0 {
            self.dry.seen("nothing is pending, so nothing was run");
        }
        if !copied.missing_extensions.is_empty() {
            self.dry.not_proven.push(format!(
                "what depends on extensions that this machine does not have: {}",
                copied.missing_extensions.join(", ")
            ));
        }
        if copied.scratch_major != copied.server_major {
            self.dry.not_proven.push(format!(
                "how PostgreSQL {} behaves: the clone ran on {}",
                copied.server_major, copied.scratch_major
            ));
        }
    }

    async fn state(&self, session: &mut PgConnection) -> Result<State, Failure> {
        state(session, self.schemas).await.map_err(|e| broke("comparing", &e))
    }

    async fn leg(
        &mut self,
        db: &Database,
        session: &mut PgConnection,
        step: u32,
        leg: Leg<'_>,
    ) -> Result<String, Failure> {
        self.measure.begin(leg.way(), session).await.map_err(|e| broke("looking at the clone", &e))?;
        let undoing = match leg {
            Leg::Undo(at, migration) => Some(self.undoing(session, at, migration).await?),
            Leg::There(..) | Leg::Back(..) | Leg::Again => None,
        };
        let inner = Inner::new(self.watcher, &self.measure, step);
        let options = options();
        let ran = match leg {
            Leg::There(_, migration) => up(db, self.set, Some(migration.number), &options, &inner).await,
            Leg::Back(at, migration) => {
                down(db, self.set, Some(self.stays(at, migration)), &options, &inner).await
            }
            Leg::Undo(at, migration) => {
                let set = undoing.as_ref().unwrap_or(self.set);
                down(db, set, Some(self.stays(at, migration)), &options, &inner).await
            }
            Leg::Again => up(db, self.set, None, &options, &inner).await,
        };
        let report = ran.map_err(|failure| on_clone(leg, failure))?;
        if report.ended == Ended::GivenUp {
            return Err(stopped());
        }
        let now = self.state(session).await?;
        match leg {
            Leg::There(at, migration) => Ok(self.went_there(at, migration, &report, now)),
            Leg::Back(at, migration) => self.came_back(at, migration, &now),
            Leg::Again => self.went_again(&now),
            Leg::Undo(at, migration) => self.undone(at, migration, &now),
        }
    }

    /// The set with the record of that migration in the place of its down file; with the down file, where the record is not whole.
    async fn undoing(
        &mut self,
        session: &mut PgConnection,
        at: usize,
        migration: &Migration,
    ) -> Result<MigrationSet, Failure> {
        let found = recorded(session, migration).await?;
        let mark = self.record.marks.get_mut(at);
        let mut set = self.set.clone();
        match found {
            Recorded::Whole(script) => {
                if let Some(mark) = mark {
                    mark.inverse = Undone::Back { over: script.checksum.clone(), ms: 0.0 };
                }
                for one in set.migrations.iter_mut().filter(|one| one.number == migration.number) {
                    one.down = Some(Script::clone(&script));
                }
            }
            Recorded::Gaps(gaps) => {
                let why = gaps.join("; ");
                if let Some(mark) = mark {
                    mark.inverse = Undone::Gaps { why: why.clone() };
                }
                let said = format!("what is recorded of {} is not whole: {why}", migration.title());
                if migration.down.is_none() {
                    return Err(no_way_back(&said));
                }
                self.dry.seen(said);
            }
            Recorded::Nothing if migration.down.is_none() => {
                return Err(no_way_back(&format!("nothing is recorded of {}", migration.title())));
            }
            Recorded::Nothing => {}
        }
        Ok(set)
    }

    /// The newest number that stays, where this one goes.
    fn stays(&self, at: usize, migration: &Migration) -> u64 {
        if at == 0 { self.below } else { self.number_before(migration) }
    }

    fn number_before(&self, migration: &Migration) -> u64 {
        let before = self.set.migrations.iter().rev().find(|other| other.number < migration.number);
        before.map_or(0, |other| other.number)
    }

    fn finish(mut self, server: i32) -> Rehearsal {
        let mut forecast = Forecast::new(server, Utc::now());
        let seen: Vec<Seen> = self.measure.seen();
        for one in &seen {
            if one.traced.way != "up again" {
                forecast.statements.insert(one.checksum.clone(), one.traced.measured.clone());
            }
        }
        for mark in &mut self.record.marks {
            let Some(migration) = self.set.get(mark.number) else { continue };
            let took = |way: &str, file: &str| {
                seen.iter()
                    .filter(|one| one.traced.way == way && one.file == file)
                    .map(|one| one.traced.measured.ms)
                    .sum::<f64>()
            };
            mark.up_ms = took("up", &migration.up.file);
            mark.down_ms = match (&mark.passed, &migration.down) {
                (Passed::ThereAndBack, Some(down)) => Some(took("down", &down.file)),
                _ => None,
            };
            if let Undone::Back { ms, .. } = &mut mark.inverse {
                *ms = took("inverse", &recorded_as(&migration.label));
            }
        }
        self.dry.traced = seen.into_iter().map(|one| one.traced).collect();
        for traced in &self.dry.traced {
            let measured = &traced.measured;
            if traced.way == "up" && !measured.rewrites.is_empty() {
                let what = format!(
                    "{}: writes {} anew, while nobody can use it",
                    measured.title,
                    measured.rewrites.join(", ")
                );
                self.dry.findings.push(super::report::Finding {
                    weight: Weight::Warns,
                    place: measured.place.clone(),
                    what,
                    next: "see migrate rewrite for a form that does not stop clients".into(),
                });
            }
        }
        self.dry.findings.sort_by_key(|finding| finding.weight);
        self.record.at = Utc::now();
        self.record.states = self.states.iter().map(State::hash).collect();
        self.dry.not_proven(match self.dry.level {
            Level::Rehearsed if self.record.whole => &[
                "how long the live server takes, which is another machine with clients on it",
                "that a lock is to be had: here nobody held one",
                "what clients write while the migrations run, and between now and the day",
            ],
            Level::Rehearsed => &[
                "that the rows which were not copied keep the new rules: the level `catalogue` counts them",
                "how long the live server takes, which is another machine with more rows and with clients on it",
                "that a lock is to be had: here nobody held one",
                "what clients write while the migrations run, and between now and the day",
            ],
            _ => &[
                "that the way back leads back",
                "how long it takes with all rows there, and whether all rows keep the new rules",
                "that a lock is to be had: here nobody held one",
            ],
        });
        if self.dry.level != Level::Rehearsed {
            // Only the whole way counts as rehearsed.
            self.record.marks.clear();
        }
        Rehearsal { dry: self.dry, record: self.record, forecast }
    }
}

fn no_way_back(what: &str) -> Failure {
    Failure {
        what: format!("{what}; and there is no down file"),
        state: "this was on a clone; the live database was only read".into(),
        next: "write its down file, or rely on the backup".into(),
    }
}

fn on_clone(leg: Leg<'_>, failure: Failure) -> Failure {
    let way = match leg {
        Leg::There(..) => "",
        Leg::Back(..) => "on the way back: ",
        Leg::Again => "there again: ",
        Leg::Undo(..) => "back by the record: ",
    };
    Failure {
        what: format!("{way}{}", failure.what),
        state: "this was on a clone; the live database was only read".into(),
        next: failure.next,
    }
}
