//! From files and bookkeeping to the steps that a run will take. Everything that forbids a run is found here, before the first.

use std::sync::Arc;

use super::book::{Book, Direction, Entry, State, Trace};
use super::classify::{Kind, Serves};
use super::files::{Migration, MigrationSet, Script, Unit, gap, refused};
use super::session::sets;
use super::split::Statement;
use crate::run::job::{Failure, Nature, StepPlan};

/// Which checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Before,
    After,
    AfterDown,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act<'a> {
    Check(Part, &'a [Statement]),
    /// A person is asked before this statement, beyond which there is no way back.
    Point {
        words: &'a str,
        before: &'a Statement,
    },
    /// The statement, its place from 1, and whether it is the last of its file.
    Run {
        statement: &'a Statement,
        place: u32,
        last: bool,
    },
}

/// A step with what an earlier attempt left of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Task<'a> {
    pub(crate) migration: &'a Migration,
    pub(crate) direction: Direction,
    pub(crate) script: &'a Script,
    pub(crate) act: Act<'a>,
    pub(crate) earlier: Option<Trace>,
}

/// Tasks that succeed or fail together, and what is true of the migration after them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) tasks: std::ops::Range<usize>,
    /// Whether the migration is finished after this batch.
    pub(crate) finishes: bool,
}

/// A whole plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan<'a> {
    pub(crate) tasks: Vec<Task<'a>>,
    pub(crate) batches: Vec<Batch>,
    /// Migrations whose every step is done and that only lack the last word.
    pub(crate) finished: Vec<(&'a Migration, Direction)>,
}

impl<'a> Plan<'a> {
    /// The way there, up to and including `to`.
    pub(crate) fn up(set: &'a MigrationSet, book: &Book, to: Option<u64>) -> Result<Self, Failure> {
        known(set, book, to)?;
        let mut plan = Self::default();
        book.baseline.sound(set)?;
        let newest = book.entries.keys().next_back().copied().max(book.baseline.newest()).unwrap_or(0);
        let stands = |number: u64| book.entries.contains_key(&number) || book.baseline.applied(number);
        let wanted = |number: u64| !stands(number) && to.is_none_or(|to| number <= to);
        if let Some(aside) = set.asides.iter().find(|aside| aside.number.is_some_and(wanted)) {
            return Err(refused(
                format!("{}: {}, and it is not applied", aside.file, aside.why),
                "apply it with its own tool in its turn, or write it in SQL",
            ));
        }
        if let Some((missing, next)) = set.gaps().find(|(_, next)| wanted(next.number)) {
            return Err(gap(missing, next));
        }
        for migration in set.migrations.iter().filter(|migration| to.is_none_or(|to| migration.number <= to))
        {
            let entry = book.entries.get(&migration.number);
            if entry.is_none() && book.baseline.applied(migration.number) {
                book.baseline.unchanged(migration)?;
                continue;
            }
            if entry.is_none() && migration.number < newest {
                return Err(refused(
                    format!("{} is not applied, but a later one is", migration.title()),
                    "give it a number after the newest, or take the later ones back first",
                ));
            }
            if let Some(entry) = entry {
                unchanged(migration, entry, book)?;
            }
            match entry.map(|entry| entry.state) {
                // What was left out is offered again.
                Some(State::Applied | State::Verified)
                    if plan.left_out(migration, Direction::Up, &migration.up, book) =>
                {
                    plan.proof(migration, Direction::Up, &migration.up, Part::After);
                }
                Some(State::Verified) => {}
                Some(State::Reverting | State::Reverted) => {
                    return Err(refused(
                        format!("the way back of {} has stopped half-way", migration.title()),
                        "finish it first with migrate down, then go up again",
                    ));
                }
                Some(State::Applied) => plan.proof(migration, Direction::Up, &migration.up, Part::After),
                Some(State::Applying) | None => {
                    plan.check(migration, Direction::Up, &migration.up, Part::Before, book);
                    plan.script(migration, Direction::Up, &migration.up, book);
                    plan.proof(migration, Direction::Up, &migration.up, Part::After);
                }
            }
        }
        Ok(plan)
    }

    /// The way back, newest first, down to but not including `to`.
    pub(crate) fn down(set: &'a MigrationSet, book: &Book, to: Option<u64>) -> Result<Self, Failure> {
        known(set, book, to)?;
        if let Some((theirs, row)) = set.migrations.iter().rev().find_map(|migration| {
            book.baseline.row(migration.number).filter(|_| to.is_some_and(|to| migration.number > to))
        }) {
            return Err(refused(
                format!(
                    "{} was applied by {} and is in its bookkeeping, which is not written here",
                    row.title(),
                    theirs.tool.name()
                ),
                "take it back with that tool, or take it over first with migrate adopt",
            ));
        }
        let mut plan = Self::default();
        for entry in book.entries.values().rev().filter(|entry| to.is_none_or(|to| entry.number > to)) {
            let Some(migration) = set.get(entry.number) else { continue };
            let Some(down) = &migration.down else {
                return Err(refused(
                    format!(
                        "{} has no down file, so there is no way back from it, and what was recorded of it is not whole",
                        migration.title()
                    ),
                    "see migrate down --plan for what is missing; write its down file and rehearse it, or go back with the backup",
                ));
            };
            if entry.state != State::Reverted {
                plan.script(migration, Direction::Down, down, book);
            }
            plan.proof(migration, Direction::Down, down, Part::AfterDown);
        }
        Ok(plan)
    }

    fn check(
        &mut self,
        migration: &'a Migration,
        direction: Direction,
        script: &'a Script,
        part: Part,
        book: &Book,
    ) {
        let statements = match part {
            Part::Before => &migration.checks.before,
            Part::After => &migration.checks.after,
            Part::AfterDown => &migration.checks.after_down,
        };
        if statements.is_empty() {
            return;
        }
        let earlier = match part {
            Part::Before => book.traces.get(&(migration.number, direction, 0)).cloned(),
            // Proofs are made anew each time.
            Part::After | Part::AfterDown => None,
        };
        let at = self.tasks.len();
        self.tasks.push(Task { migration, direction, script, act: Act::Check(part, statements), earlier });
        self.batches.push(Batch { tasks: at..at + 1, finishes: false });
    }

    fn script(&mut self, migration: &'a Migration, direction: Direction, script: &'a Script, book: &Book) {
        let tasks: Vec<Task<'a>> = tasks(migration, direction, script, book).collect();
        if script.unit == Unit::File {
            // One transaction holds its locks to its end: nobody is asked within it.
            for task in &tasks {
                self.point(task);
            }
            let first = self.tasks.len();
            self.tasks.extend(tasks);
            self.batches.push(Batch { tasks: first..self.tasks.len(), finishes: false });
            return;
        }
        for task in tasks {
            self.point(&task);
            self.alone(task);
        }
    }

    /// A step that succeeds or fails for itself.
    fn alone(&mut self, task: Task<'a>) {
        let at = self.tasks.len();
        self.tasks.push(task);
        self.batches.push(Batch { tasks: at..at + 1, finishes: false });
    }

    /// The point of no return before a statement, where one is marked.
    fn point(&mut self, task: &Task<'a>) {
        if let Act::Run { statement, .. } = task.act
            && let Some(words) = statement.marks.no_return.as_deref()
        {
            self.alone(Task { act: Act::Point { words, before: statement }, ..task.clone() });
        }
    }

    /// The steps of an applied migration that somebody left out; whether there are any.
    fn left_out(
        &mut self,
        migration: &'a Migration,
        direction: Direction,
        script: &'a Script,
        book: &Book,
    ) -> bool {
        let tasks: Vec<Task<'a>> = tasks(migration, direction, script, book).collect();
        let left = |task: &Task<'_>| task.earlier.as_ref().is_some_and(|trace| trace.left_out.is_some());
        let Some(last) = tasks.iter().rposition(left) else { return false };
        // With what the file had set before them.
        for task in tasks.into_iter().take(last + 1).filter(|task| left(task) || sets(task)) {
            self.alone(task);
        }
        true
    }

    fn proof(&mut self, migration: &'a Migration, direction: Direction, script: &'a Script, part: Part) {
        let before = self.batches.len();
        self.check(migration, direction, script, part, &Book::default());
        let stated = self.tasks.iter().any(|task| task.migration.number == migration.number);
        match self.batches.last_mut() {
            Some(last) if stated || self.tasks.len() > before => last.finishes = true,
            _ => self.finished.push((migration, direction)),
        }
    }

    /// The migrations of which a statement is still to be run.
    pub(crate) fn pending(&self) -> Vec<&'a Migration> {
        let mut pending: Vec<&Migration> = Vec::new();
        for task in self.tasks.iter().filter(|task| matches!(task.act, Act::Run { .. })) {
            if !pending.iter().any(|one| one.number == task.migration.number) {
                pending.push(task.migration);
            }
        }
        pending
    }

    /// As the watcher is told.
    pub(crate) fn steps(&self) -> Vec<StepPlan> {
        let step = |(at, task): (usize, &Task<'a>)| {
            let mut step = task.plan();
            if step.nature == Nature::Index && self.tasks.iter().skip(at + 1).any(|later| later.names(task)) {
                step.nature = Nature::Plain;
            }
            step
        };
        self.tasks.iter().enumerate().map(step).collect()
    }
}

/// The statements of a script, each with what an earlier attempt left of it.
fn tasks<'a>(
    migration: &'a Migration,
    direction: Direction,
    script: &'a Script,
    book: &Book,
) -> impl Iterator<Item = Task<'a>> {
    let count = script.statements.len();
    (1_u32..).zip(&script.statements).map(move |(place, statement)| {
        let act = Act::Run { statement, place, last: place as usize == count };
        let earlier = book.traces.get(&(migration.number, direction, place)).cloned();
        let earlier = earlier.filter(|trace| *trace.checksum == *statement.checksum);
        Task { migration, direction, script, act, earlier }
    })
}

impl Task<'_> {
    pub(crate) fn plan(&self) -> StepPlan {
        let label = &self.migration.label;
        let (name, detail): (String, Option<Arc<str>>) = match self.act {
            Act::Check(part, statements) => {
                let when = part.word();
                (format!("{label} checks {when} ({} queries)", statements.len()), None)
            }
            Act::Run { statement, .. } => {
                let way = if self.direction == Direction::Down { " down:" } else { "" };
                (format!("{label}{way} {}", statement.title), Some(statement.text.clone()))
            }
            Act::Point { words, before } => {
                (format!("{label} POINT OF NO RETURN: {words}"), Some(before.text.clone()))
            }
        };
        StepPlan {
            name: name.into(),
            detail,
            group: Some(self.migration.title().into()),
            nature: self.nature(),
            lock: self.lock().map(Into::into),
        }
    }

    fn nature(&self) -> Nature {
        match self.act {
            Act::Point { .. } => Nature::NoReturn,
            Act::Run { statement, .. } => match statement.shape.kind {
                Kind::CreateIndex { name: Some(_), serves: Serves::Speed, .. }
                    if self.direction == Direction::Up =>
                {
                    Nature::Index
                }
                _ if statement.marks.batches.is_some() => Nature::Batches,
                _ => Nature::Plain,
            },
            Act::Check(..) => Nature::Plain,
        }
    }

    /// The strongest lock that stops clients.
    fn lock(&self) -> Option<String> {
        let Act::Run { statement, .. } = self.act else { return None };
        let strong = statement.shape.needs.iter().filter(|need| need.mode.stops_clients());
        match strong.max_by_key(|need| need.mode) {
            Some(need) => Some(format!("{} on {}", need.mode, need.relation)),
            None if statement.shape.kind == Kind::Block => Some("whatever its block locks".into()),
            None => None,
        }
    }

    /// Whether this statement speaks of the index that the other one builds.
    fn names(&self, other: &Task<'_>) -> bool {
        let (Act::Run { statement: this, .. }, Act::Run { statement: other, .. }) = (self.act, other.act)
        else {
            return false;
        };
        let Kind::CreateIndex { name: Some(name), .. } = &other.shape.kind else { return false };
        let bare = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
        let inner = |c: char| c.is_alphanumeric() || c == '_';
        if !bare.chars().all(inner) {
            return this.text.contains(bare);
        }
        this.text.split(|c| !inner(c)).any(|word| word.eq_ignore_ascii_case(bare))
    }
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::AfterDown => "after the way back",
        }
    }
}

/// The files know all that the database knows, and the number that was asked for.
fn known(set: &MigrationSet, book: &Book, to: Option<u64>) -> Result<(), Failure> {
    for entry in book.entries.values() {
        if set.get(entry.number).is_none() {
            return Err(refused(
                format!(
                    "number {} ({}) is in the database, but has no file in {}",
                    entry.number, entry.name, set.origin
                ),
                "bring the file back, or use the directory that it was applied from",
            ));
        }
    }
    match to {
        Some(to) if to != 0 && set.get(to).is_none() => Err(refused(
            format!("there is no migration of number {to} in {}", set.origin),
            "see migrate status for the numbers",
        )),
        _ => Ok(()),
    }
}

/// An applied file is as it was; of one under way, the part that was run.
fn unchanged(migration: &Migration, entry: &Entry, book: &Book) -> Result<(), Failure> {
    if *migration.up.checksum == *entry.checksum {
        return Ok(());
    }
    let traces =
        book.traces.range((migration.number, Direction::Up, 1)..=(migration.number, Direction::Up, u32::MAX));
    if entry.state == State::Applying {
        let changed = traces.filter(|(_, trace)| trace.ended_at.is_some()).find(|((.., place), trace)| {
            let now = migration.up.statements.get(*place as usize - 1);
            now.is_none_or(|statement| *statement.checksum != *trace.checksum)
        });
        let Some(((.., place), trace)) = changed else { return Ok(()) };
        return Err(refused(
            format!(
                "{}: statement {place} ({}) was run already, and has been changed since",
                migration.up.file, trace.title
            ),
            "put that statement back as it was; only what has not run may be corrected",
        ));
    }
    let diff = similar::TextDiff::from_lines(entry.script.as_str(), &migration.up.text);
    let diff = diff.unified_diff().context_radius(1).header("as applied", &migration.up.file).to_string();
    Err(refused(
        format!("{} was changed after it was applied:\n{}", migration.up.file, diff.trim_end()),
        "put the file back as it was, and write a new migration for the change",
    ))
}
