//! A statement in batches of a key's range: each batch is a transaction of its own that also writes how far it came, so that a
//! kill at any moment loses no batch and repeats none. The size is steered to a short time; what clients, standbys and the log
//! feel slows it, and it says so.

use std::time::{Duration, Instant};

use sqlx::Row as _;

use super::book;
use super::database::run;
use super::engine::deadline;
use super::errors::is_contention;
use super::halt::{Halt, Stop};
use super::marks::Batches;
use super::pace::{Meter, brake, next_size, rest, target};
use super::plan::{Act, Task};
use super::session::Lasts;
use super::slice::Slice;
use super::step::{Crew, pause, step_key};
use super::watch::Edge;
use crate::run::job::StepOutcome;
use crate::run::live;
use crate::run::steer::pace;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS gonogo.batches (
  number bigint NOT NULL, direction text NOT NULL, step integer NOT NULL, last_key text, end_key text NOT NULL,
  keys bigint NOT NULL DEFAULT 0, rows bigint NOT NULL DEFAULT 0, batches bigint NOT NULL DEFAULT 0,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (number, direction, step));
ALTER TABLE gonogo.batches ENABLE ROW LEVEL SECURITY";

/// How long counting what is left may take; without it there is no total.
const COUNTS_WITHIN: &str = "10s";
const BRAKES: Duration = Duration::from_millis(250);

/// The key as the catalogue has it.
struct Key {
    /// The table, quoted where it must be.
    table: String,
    /// The column, quoted where it must be.
    column: String,
    /// Its type.
    kind: String,
}

impl Key {
    /// A literal of its type.
    fn literal(&self, text: &str) -> String {
        format!("'{}'::{}", text.replace('\'', "''"), self.kind)
    }

    /// The keys beyond the last one that is done, up to the end.
    fn range(&self, key: &str, last: Option<&str>, end: &str) -> String {
        let from = last.map_or_else(String::new, |last| format!("{key} > {} AND ", self.literal(last)));
        format!("{from}{key} <= {}", self.literal(end))
    }
}

/// How far it is, as the bookkeeping has it.
#[derive(Debug, Clone)]
struct Checkpoint {
    last: Option<String>,
    end: String,
    keys: u64,
    rows: u64,
    batches: u64,
}

impl Crew<'_> {
    /// Runs a marked statement batch by batch, from where an earlier attempt came to.
    pub(crate) async fn batches(&mut self, task: &Task<'_>, marked: &Batches) -> Result<StepOutcome, Halt> {
        let mut at = None;
        let stop = match self.walk(task, marked, &mut at).await {
            Ok(outcome) => return Ok(outcome),
            Err(stop) => stop,
        };
        drop(run(&mut self.runner.session, "ROLLBACK").await);
        let kept = at.map(|at: Checkpoint| {
            let last = at.last.as_deref().unwrap_or("none");
            format!("{} batches with {} rows are done and recorded, up to key {last}", at.batches, at.rows)
        });
        Err(match self.halt(std::slice::from_ref(task), 0, stop).await {
            Halt::Failed { at, mut failure } => {
                if let Some(kept) = kept {
                    failure.state = format!("this batch was rolled back; {kept}");
                }
                Halt::Failed { at, failure }
            }
            Halt::GivenUp { at, because } => Halt::GivenUp {
                at,
                because: kept.map_or_else(|| because.clone(), |kept| format!("{because}; {kept}")),
            },
        })
    }

    async fn walk(
        &mut self,
        task: &Task<'_>,
        marked: &Batches,
        kept: &mut Option<Checkpoint>,
    ) -> Result<StepOutcome, Stop> {
        let Act::Run { statement, place: step, .. } = task.act else {
            return Err(Stop::Shape("no statement".into()));
        };
        let slice = &marked.slice;
        let key = self.key(slice).await?;
        let book_key = step_key(task, statement, step);
        run(&mut self.runner.session, TABLE).await?;
        book::step_began(&mut self.runner.session, &book_key).await?;
        let resumes = task.earlier.as_ref().is_some_and(|trace| trace.left_out.is_none());
        let Some(mut at) = self.checkpoint(&book_key, &key, resumes).await? else {
            let outcome = StepOutcome::Skipped { why: format!("{} is empty", key.table) };
            self.settle(task, &outcome).await?;
            return Ok(outcome);
        };
        let total = self.left(&key, &at).await?.map(|left| at.keys + left);
        self.probed(&task.script.file, statement).await?;
        let began = Instant::now();
        let (mut size, mut meter, mut beat) = (marked.size, Meter::default(), Instant::now());
        let mut shown = live::Batches { size, ..live::Batches::default() };
        let mut tries = 0;
        let mut until = deadline(self.options.wait_budget);
        *kept = Some(at.clone());
        loop {
            self.slow(&mut size, &mut shown).await?;
            let pace = pace(&self.watcher.steered());
            let Some((to, keys)) = self.boundary(&key, &at, size).await? else { break };
            let started = Instant::now();
            let rows = match self.one(task, slice, &key, &at, &to, keys).await {
                Ok(rows) => rows,
                Err(Stop::Sql(error)) if is_contention(&error) && Instant::now() < until => {
                    drop(run(&mut self.runner.session, "ROLLBACK").await);
                    (tries, shown.retries) = (tries + 1, shown.retries + 1);
                    size = (size / 2).max(1);
                    shown.slowed =
                        Some(format!("try {tries} of this batch met a lock; smaller, and again soon"));
                    self.tell(&at, total, &meter, &shown);
                    tokio::time::sleep(pause(tries)).await;
                    continue;
                }
                Err(stop) => return Err(stop),
            };
            let took = started.elapsed();
            (tries, until) = (0, deadline(self.options.wait_budget));
            at.last = Some(to);
            (at.keys, at.rows, at.batches) = (at.keys + keys, at.rows + rows, at.batches + 1);
            *kept = Some(at.clone());
            meter.add(keys, beat.elapsed().as_secs_f64());
            beat = Instant::now();
            let took_ms = took.as_secs_f64() * 1000.0;
            if keys >= u64::from(size) {
                size = next_size(size, took, target(self.options.batch_target, pace), marked.size);
            }
            shown = live::Batches {
                number: at.batches,
                rows: at.rows,
                size,
                last_ms: took_ms,
                worst_ms: shown.worst_ms.max(took_ms),
                pace,
                slowed: None,
                ..shown
            };
            self.tell(&at, total, &meter, &shown);
            tokio::time::sleep(rest(took, pace)).await;
        }
        self.measured(&task.script.file, statement, began.elapsed(), at.rows).await?;
        let again =
            if shown.retries > 0 { format!(", {} tried again", shown.retries) } else { String::new() };
        let note = format!(
            "{} rows in {} batches, {:.1} s, longest {:.0} ms{again}",
            at.rows,
            at.batches,
            began.elapsed().as_secs_f64(),
            shown.worst_ms
        );
        let outcome = StepOutcome::Done { note: Some(note) };
        self.settle(task, &outcome).await?;
        Ok(outcome)
    }

    /// The key in the catalogue, if batches can walk it.
    async fn key(&mut self, slice: &Slice) -> Result<Key, Stop> {
        let row = sqlx::query(
            "SELECT a.attrelid::regclass::text, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                            WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL
                              AND m.amname = 'btree')
             FROM pg_attribute a
             WHERE a.attrelid = to_regclass($1) AND a.attname = (parse_ident($2))[1] AND a.attnum > 0 AND NOT a.attisdropped",
        );
        let row =
            row.bind(&*slice.table).bind(&*slice.column).fetch_optional(&mut self.runner.session).await?;
        let (table, column) = (&slice.table, &slice.column);
        let Some(row) = row else {
            return Err(Stop::Shape(format!("batches by {column}: {table} has no such column")));
        };
        let key = Key { table: row.try_get(0)?, column: row.try_get(1)?, kind: row.try_get(2)? };
        if !row.try_get::<bool, _>(4)? {
            return Err(Stop::Shape(format!(
                "batches by {column}: no index of {table} begins with it, so each batch would read the whole table"
            )));
        }
        if !row.try_get::<bool, _>(3)? {
            let sql = format!("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)", key.table, key.column);
            let nulls: bool =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut self.runner.session).await?;
            if nulls {
                return Err(Stop::Shape(format!(
                    "batches by {column}: it is null in some rows of {table}, which no batch would reach"
                )));
            }
        }
        Ok(key)
    }

    /// Where it stands: as an earlier attempt left it, or before the first key. The end is fixed once, for what the application
    /// writes afterwards it writes in the new way.
    async fn checkpoint(
        &mut self,
        step: &book::StepKey<'_>,
        key: &Key,
        resumes: bool,
    ) -> Result<Option<Checkpoint>, Stop> {
        let session = &mut self.runner.session;
        let (number, direction, place) = step.columns();
        if resumes {
            let row = sqlx::query(
                "SELECT last_key, end_key, keys, rows, batches FROM gonogo.batches WHERE number = $1 AND direction = $2 AND step = $3",
            );
            let row = row.bind(number).bind(direction).bind(place).fetch_optional(&mut *session).await?;
            if let Some(row) = row {
                let count = |at: usize| row.try_get::<i64, _>(at).map(|n| u64::try_from(n).unwrap_or(0));
                return Ok(Some(Checkpoint {
                    last: row.try_get(0)?,
                    end: row.try_get(1)?,
                    keys: count(2)?,
                    rows: count(3)?,
                    batches: count(4)?,
                }));
            }
        }
        // Qualified, because a bare name would mean the text that is selected, and texts have another order.
        let sql =
            format!("SELECT s.{0}::text FROM {1} AS s ORDER BY s.{0} DESC LIMIT 1", key.column, key.table);
        let end: Option<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_optional(&mut *session).await?;
        let Some(end) = end else { return Ok(None) };
        sqlx::query(
            "INSERT INTO gonogo.batches (number, direction, step, end_key) VALUES ($1, $2, $3, $4)
             ON CONFLICT (number, direction, step) DO UPDATE SET last_key = NULL, end_key = EXCLUDED.end_key, keys = 0, rows = 0,
               batches = 0, at = clock_timestamp()",
        )
        .bind(number)
        .bind(direction)
        .bind(place)
        .bind(&end)
        .execute(session)
        .await?;
        Ok(Some(Checkpoint { last: None, end, keys: 0, rows: 0, batches: 0 }))
    }

    /// How many keys are left, counted; nothing where counting takes too long.
    async fn left(&mut self, key: &Key, at: &Checkpoint) -> Result<Option<u64>, Stop> {
        self.now.doing("counting the keys that are left");
        let session = &mut self.runner.session;
        run(session, &format!("BEGIN READ ONLY; SET LOCAL statement_timeout = '{COUNTS_WITHIN}'")).await?;
        let range = key.range(&format!("s.{}", key.column), at.last.as_deref(), &at.end);
        let sql = format!("SELECT count(*) FROM {} AS s WHERE {range}", key.table);
        let counted = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *session).await;
        run(session, "ROLLBACK").await?;
        match counted {
            Ok(count) => Ok(u64::try_from(count).ok()),
            Err(error) if super::errors::sqlstate(&error) == Some("57014") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The last key of the next batch and its number of keys; nothing when all are done.
    async fn boundary(
        &mut self,
        key: &Key,
        at: &Checkpoint,
        size: u32,
    ) -> Result<Option<(String, u64)>, Stop> {
        let range = key.range(&format!("s.{}", key.column), at.last.as_deref(), &at.end);
        let sql = format!(
            "SELECT b.k::text, b.n FROM (SELECT s.{0} AS k, row_number() OVER (ORDER BY s.{0}) AS n FROM {1} AS s
               WHERE {range} ORDER BY s.{0} LIMIT {size}) AS b ORDER BY b.n DESC LIMIT 1",
            key.column, key.table
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_optional(&mut self.runner.session).await?;
        Ok(match row {
            Some(row) => Some((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0))),
            None => None,
        })
    }

    /// One batch and its checkpoint, together or not at all; the rows that it changed.
    async fn one(
        &mut self,
        task: &Task<'_>,
        slice: &Slice,
        key: &Key,
        at: &Checkpoint,
        to: &str,
        keys: u64,
    ) -> Result<u64, Stop> {
        let Act::Run { statement, place: step, .. } = task.act else { return Ok(0) };
        let (number, direction, place) = step_key(task, statement, step).columns();
        let patience = self.options.lock_timeout.as_millis().max(1);
        run(&mut self.runner.session, &format!("BEGIN; SET LOCAL lock_timeout = {patience}")).await?;
        let sql = slice.sql(&key.range(&slice.key, at.last.as_deref(), to));
        let rows = self.cancellable(&sql, Lasts::Session).await?;
        let session = &mut self.runner.session;
        sqlx::query(
            "UPDATE gonogo.batches SET last_key = $4, keys = keys + $5, rows = rows + $6, batches = batches + 1, at = clock_timestamp()
             WHERE number = $1 AND direction = $2 AND step = $3",
        )
        .bind(number)
        .bind(direction)
        .bind(place)
        .bind(to)
        .bind(i64::try_from(keys).unwrap_or(i64::MAX))
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .execute(&mut *session)
        .await?;
        run(session, "COMMIT").await?;
        Ok(rows)
    }

    /// Waits at the edge of a batch: while somebody holds the run, and while somebody feels it too much.
    async fn slow(&mut self, size: &mut u32, shown: &mut live::Batches) -> Result<(), Stop> {
        let mut slowed = false;
        loop {
            if self.watcher.edge().await == Edge::GiveUp {
                return Err(Stop::Cancelled);
            }
            let felt = self.now.worst_since_edge();
            let Some(why) = brake(&self.now.moment().live, felt, self.options) else { return Ok(()) };
            if !slowed {
                *size = (*size / 2).max(1);
                slowed = true;
            }
            shown.slowed = Some(why.clone());
            let shown = shown.clone();
            self.now.change(|moment| {
                moment.doing = format!("slowed: {why}");
                moment.live.batches = Some(shown);
            });
            self.watcher.moment(self.now.moment());
            tokio::time::sleep(BRAKES).await;
        }
    }

    fn tell(&self, at: &Checkpoint, total: Option<u64>, meter: &Meter, shown: &live::Batches) {
        self.now.change(|moment| {
            moment.doing = match &shown.slowed {
                Some(why) => format!("slowed: {why}"),
                None => format!("batch {}, {} keys, {:.0} ms", at.batches, shown.size, shown.last_ms),
            };
            (moment.done, moment.total) = (at.keys, total);
            "keys".clone_into(&mut moment.unit);
            "batches of gonogo".clone_into(&mut moment.source);
            moment.rate = meter.rate();
            moment.left = total.and_then(|total| meter.left(at.keys, total));
            moment.live.batches = Some(shown.clone());
        });
        self.watcher.moment(self.now.moment());
    }

    /// The step is done: recorded, and its checkpoint taken away, together.
    async fn settle(&mut self, task: &Task<'_>, outcome: &StepOutcome) -> Result<(), Stop> {
        let Act::Run { statement, place: step, last } = task.act else { return Ok(()) };
        let (number, direction, place) = step_key(task, statement, step).columns();
        run(&mut self.runner.session, "BEGIN").await?;
        self.record(task, statement, step, last, outcome).await?;
        sqlx::query("DELETE FROM gonogo.batches WHERE number = $1 AND direction = $2 AND step = $3")
            .bind(number)
            .bind(direction)
            .bind(place)
            .execute(&mut self.runner.session)
            .await?;
        run(&mut self.runner.session, "COMMIT").await?;
        Ok(())
    }
}
