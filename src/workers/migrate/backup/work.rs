//! One backup under way: reads all tables in one snapshot, writes them out, restores them, and only then calls them proven.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use tokio::sync::mpsc;

use super::Target;
use super::files::{self, Filling, Held, Manifest};
use super::print::{Print, alike, print};
use super::progress;
use super::proof::{self, Bench, broke, equal};
use super::record::{self, Medium, New};
use super::tables::{self, Table};
use super::vault::{Key, Lock};
use crate::run::job::{Failure, StepPlan};
use crate::workers::migrate::database::{Database, run};
use crate::workers::migrate::files::MigrationSet;
use crate::workers::migrate::now::Now;
use crate::workers::migrate::runner::Runner;
use crate::workers::migrate::watch::{Options, Watcher};

/// A step of a backup; the number is the table's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Make the place.
    Place,
    /// Count, fingerprint and copy a table.
    Copy(usize),
    /// Write the manifest, end the snapshot.
    Keep,
    /// Restore a copy and compare.
    Restore(usize),
    /// See that nobody else can read a copy.
    Closed(usize),
}

/// What was made of a table.
#[derive(Debug)]
struct Made {
    print: Print,
    /// The copy's table, or the file's entry.
    copy: Copied,
    line: Option<i64>,
}

#[derive(Debug)]
enum Copied {
    Table(String),
    File(Box<Held>),
}

pub(super) struct Work<'a> {
    db: &'a Database,
    runner: Runner,
    target: &'a Target,
    options: &'a Options,
    watcher: &'a dyn Watcher,
    now: Now,
    tables: Vec<Table>,
    name: String,
    manifest: Manifest,
    filling: Option<Filling>,
    whole: Option<PathBuf>,
    key: Option<Arc<Key>>,
    made: Vec<Made>,
    bench: Option<Bench>,
}

impl<'a> Work<'a> {
    pub(super) async fn begin(
        db: &'a Database,
        mut runner: Runner,
        set: &MigrationSet,
        target: &'a Target,
        options: &'a Options,
        watcher: &'a dyn Watcher,
    ) -> Result<Self, Failure> {
        let session = &mut runner.session;
        record::ensure(session).await.map_err(|e| broke("making the schema gonogo", &e))?;
        alike(session).await.map_err(|e| broke("making the session ready", &e))?;
        let tables = tables::of_all(session, set).await.map_err(|e| broke("looking for the tables", &e))?;
        let row = sqlx::query(
            "SELECT clock_timestamp(), to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS')",
        );
        let row = row.fetch_one(&mut *session).await.map_err(|e| broke("asking for the time", &e))?;
        let read = |e: &sqlx::Error| broke("asking for the time", e);
        let manifest = Manifest {
            schema: files::SCHEMA,
            at: row.try_get(0).map_err(|e| read(&e))?,
            by: options.by.clone(),
            database: db.database_name().into(),
            place: db.place().into(),
            server: db.server_version(),
            snapshot: String::new(),
            lock: None,
            tables: Vec::new(),
        };
        Ok(Self {
            db,
            runner,
            target,
            options,
            watcher,
            now: Now::default(),
            tables,
            name: row.try_get(1).map_err(|e| read(&e))?,
            manifest,
            filling: None,
            whole: None,
            key: None,
            made: Vec::new(),
            bench: None,
        })
    }

    pub(super) fn acts(&self) -> Vec<Act> {
        let each = |act: fn(usize) -> Act| (0..self.tables.len()).map(act);
        let mut acts = vec![Act::Place];
        acts.extend(each(Act::Copy));
        if !self.tables.is_empty() {
            acts.push(Act::Keep);
        }
        acts.extend(each(Act::Restore));
        if let Target::Schema = self.target {
            acts.extend(each(Act::Closed));
        }
        acts
    }

    fn table(&self, at: usize) -> Result<&Table, Failure> {
        self.tables.get(at).ok_or_else(|| missing("a table"))
    }

    pub(super) fn plan(&self, act: &Act) -> StepPlan {
        let of = |at: &usize| self.tables.get(*at).map_or("", |table| &table.name);
        let (name, group) = match (act, self.target) {
            (Act::Place, Target::Schema) => ("private schema gonogo_backup".into(), "backup"),
            (Act::Place, Target::Files { dir, .. }) => {
                (format!("directory {}/{}", dir.display(), self.directory()), "backup")
            }
            (Act::Copy(at), _) => (format!("copy {}, count, fingerprint", of(at)), of(at)),
            (Act::Keep, _) => ("end the snapshot, write the record".into(), "backup"),
            (Act::Restore(at), _) => (format!("restore {} once, compare", of(at)), of(at)),
            (Act::Closed(at), _) => (format!("nobody else can read the copy of {}", of(at)), of(at)),
        };
        let detail = match act {
            Act::Copy(at) => self.tables.get(*at).map(|table| table.why.as_str().into()),
            _ => None,
        };
        StepPlan { name: name.into(), detail, group: Some(group.into()), ..StepPlan::default() }
    }

    fn directory(&self) -> String {
        let database: String =
            self.manifest.database.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("{}_{database}", self.name)
    }

    pub(super) async fn act(&mut self, step: u32, act: &Act) -> Result<String, Failure> {
        self.now.step(step, "beginning");
        match *act {
            Act::Place => self.place().await,
            Act::Copy(at) => self.copy(at).await,
            Act::Keep => self.keep().await,
            Act::Restore(at) => self.restore(at).await,
            Act::Closed(at) => self.closed(at).await,
        }
    }

    /// Takes back what is not whole. What is whole but unproven stays, and says so.
    pub(super) async fn abandon(&mut self) {
        self.filling = None;
        // In the middle of a COPY this would first read the rest of it; the session ends with the work anyway.
        if self.made.len() == self.tables.len() {
            drop(run(&mut self.runner.session, "ROLLBACK").await);
        }
    }

    async fn place(&mut self) -> Result<String, Failure> {
        let note = match self.target {
            Target::Schema => {
                let sql = "BEGIN; CREATE SCHEMA IF NOT EXISTS gonogo_backup; REVOKE ALL ON SCHEMA gonogo_backup FROM PUBLIC; COMMIT";
                let made = run(&mut self.runner.session, sql).await;
                made.map_err(|e| broke("making the schema gonogo_backup", &e))?;
                "there, and closed".to_owned()
            }
            Target::Files { dir, secret } => {
                let (dir, name) = (dir.clone(), self.directory());
                let begun = blocking(move || Filling::begin(&dir, &name)).await;
                self.filling = Some(begun.map_err(|e| unwritten("making the directory", &e))?);
                let Some(secret) = secret.clone() else {
                    return Ok("there, for its owner alone; NOT encrypted: no backup_key_env is named".into());
                };
                let made = blocking(move || {
                    let lock = Lock::new()?;
                    let key = lock.key(&secret)?;
                    Ok((lock, key))
                });
                let (lock, key) = made.await.map_err(|e| unwritten("making the key", &e))?;
                self.manifest.lock = Some(lock);
                self.key = Some(Arc::new(key));
                "there, for its owner alone; encrypted".to_owned()
            }
        };
        // One snapshot for all tables. It is over before a restore is tried, and long before a migration begins.
        if !self.tables.is_empty() {
            let read_only = if matches!(self.target, Target::Schema) { "" } else { " READ ONLY" };
            let sql =
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ{read_only}; SET LOCAL lock_timeout = '5s'");
            let session = &mut self.runner.session;
            let begun = async {
                run(session, &sql).await?;
                sqlx::query_scalar("SELECT pg_current_snapshot()::text").fetch_one(&mut *session).await
            };
            self.manifest.snapshot = begun.await.map_err(|e| broke("taking the snapshot", &e))?;
        }
        Ok(note)
    }

    async fn copy(&mut self, at: usize) -> Result<String, Failure> {
        let table = self.table(at)?.clone();
        self.now.doing(&format!("counting {} and taking its fingerprint", table.name));
        self.watcher.moment(self.now.moment());
        let failed = |e: &sqlx::Error| broke(&format!("copying {}", table.name), e);
        let print =
            print(&mut self.runner.session, &table.name, &table.columns).await.map_err(|e| failed(&e))?;
        let (copy, note) = match self.target {
            Target::Schema => {
                let copy =
                    format!("gonogo_backup.\"backup_{}_{}\"", self.name, table.bare.replace('"', "\"\""));
                self.copy_here(&table, &copy, &print).await?;
                let note = format!("{print}, in {copy}");
                (Copied::Table(copy), note)
            }
            Target::Files { .. } => {
                let held = self.copy_out(at, &table, &print).await?;
                let note = format!("{print}, in {} ({} bytes)", held.file, held.bytes);
                (Copied::File(Box::new(held)), note)
            }
        };
        self.made.push(Made { print, copy, line: None });
        Ok(note)
    }

    /// A copy beside the table, in the same snapshot.
    async fn copy_here(&mut self, table: &Table, copy: &str, wanted: &Print) -> Result<(), Failure> {
        self.now.doing(&format!(
            "copying {} rows of {}; the server shows no progress of this",
            wanted.rows, table.name
        ));
        self.watcher.moment(self.now.moment());
        let session = &mut self.runner.session;
        let failed = |e: &sqlx::Error| broke(&format!("copying {}", table.name), e);
        let sql = format!("CREATE TABLE {copy} AS SELECT {} FROM {}", table.list(), table.name);
        run(session, &sql).await.map_err(|e| failed(&e))?;
        // The platform may grant every new table to everybody: taken from each by name.
        let close = format!(
            "ALTER TABLE {copy} ENABLE ROW LEVEL SECURITY; REVOKE ALL ON {copy} FROM PUBLIC;
             DO $close$ DECLARE who text; BEGIN
               FOR who IN SELECT DISTINCT a.grantee::regrole FROM pg_class c, aclexplode(c.relacl) a
                          WHERE c.oid = {}::regclass AND a.grantee NOT IN (0, c.relowner) LOOP
                 EXECUTE format('REVOKE ALL ON {} FROM %s', who);
               END LOOP;
             END $close$",
            literal(copy),
            copy.replace('\'', "''").replace('%', "%%"),
        );
        run(session, &close).await.map_err(|e| failed(&e))?;
        let copied = print(session, copy, &table.columns).await.map_err(|e| failed(&e))?;
        equal(&table.name, &copied, wanted)
    }

    /// A file beside the others, in the same snapshot.
    async fn copy_out(&mut self, at: usize, table: &Table, counted: &Print) -> Result<Held, Failure> {
        let Some(filling) = &self.filling else { return Err(missing("the directory")) };
        let ending = if self.key.is_some() { "copy.gz.sealed" } else { "copy.gz" };
        let safe: String =
            table.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
        let file = format!("{:03}_{safe}.{ending}", at + 1);
        let (path, key, bound) = (filling.path().join(&file), self.key.clone(), table.name.clone());
        let (send, rows) = mpsc::channel(32);
        let writing = tokio::task::spawn_blocking(move || files::write(rows, &path, key.as_deref(), &bound));
        let (db, pid, watcher) = (self.db, self.runner.pid, self.watcher);
        let sql = format!("COPY (SELECT {} FROM {}) TO STDOUT", table.list(), table.name);
        let session = &mut self.runner.session;
        let reading = async move {
            let mut stream = session.copy_out_raw(&sql).await?;
            while let Some(some) = stream.try_next().await? {
                if send.send(some).await.is_err() {
                    // The writer has an error of its own to tell.
                    break;
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        let rows = u64::try_from(counted.rows).unwrap_or(0);
        let what = format!("reading {}", table.name);
        let read = tokio::select! {
            read = reading => read,
            () = watcher.cancelled() => return Err(Failure {
                what: format!("the copy of {} was cancelled", table.name),
                state: "the incomplete backup was removed; the tables themselves were not changed".into(),
                next: "back up again".into(),
            }),
            () = progress::sample(db, pid, rows, &what, &self.now, watcher) => Ok(()),
        };
        let written = writing.await.map_err(std::io::Error::other).and_then(|written| written);
        let written = written.map_err(|e| unwritten(&format!("writing the copy of {}", table.name), &e))?;
        read.map_err(|e| broke(&format!("copying {}", table.name), &e))?;
        Ok(Held {
            table: table.name.clone(),
            why: table.why.clone(),
            columns: table.columns.clone(),
            key: table.key.clone(),
            print: counted.clone(),
            file,
            bytes: written.bytes,
            sha256: written.sha256,
        })
    }

    async fn keep(&mut self) -> Result<String, Failure> {
        let mut sha256 = None;
        if let Some(filling) = self.filling.take() {
            run(&mut self.runner.session, "COMMIT").await.map_err(|e| broke("ending the snapshot", &e))?;
            for made in &self.made {
                if let Copied::File(held) = &made.copy {
                    self.manifest.tables.push((**held).clone());
                }
            }
            let manifest = self.manifest.clone();
            let kept = blocking(move || {
                let (path, sha256) = filling.finish(&manifest)?;
                Ok((path.canonicalize()?, sha256))
            });
            let (path, hash) = kept.await.map_err(|e| unwritten("writing the manifest", &e))?;
            self.whole = Some(path);
            sha256 = Some(hash);
        }
        let whole = self.whole.as_ref().map(|path| path.display().to_string());
        let session = &mut self.runner.session;
        for (made, table) in self.made.iter_mut().zip(&self.tables) {
            let (medium, copy) = match (&made.copy, &whole) {
                (Copied::Table(copy), _) => (Medium::Schema, copy.as_str()),
                (Copied::File(_), Some(dir)) => (Medium::File, dir.as_str()),
                (Copied::File(_), None) => return Err(missing("the directory")),
            };
            let line = New {
                name: &self.name,
                by: &self.options.by,
                source: &table.name,
                medium,
                copy,
                print: &made.print,
                columns: table.columns.iter().map(|column| &*column.name).collect(),
                sha256: sha256.as_deref(),
                snapshot: &self.manifest.snapshot,
            };
            let written = record::write(session, &line).await;
            made.line =
                Some(written.map_err(|e| broke(&format!("recording the copy of {}", table.name), &e))?);
        }
        if whole.is_none() {
            run(session, "COMMIT").await.map_err(|e| broke("ending the snapshot", &e))?;
        }
        Ok(format!("backup {}{}", self.name, whole.map_or(String::new(), |dir| format!(" in {dir}"))))
    }

    async fn restore(&mut self, at: usize) -> Result<String, Failure> {
        let table = self.table(at)?.clone();
        if self.bench.is_none() {
            self.now.doing("starting a scratch server to restore into");
            self.watcher.moment(self.now.moment());
            self.bench = Some(Bench::start().await?);
        }
        let Some(bench) = &mut self.bench else { return Err(missing("the scratch server")) };
        let Some(made) = self.made.get(at) else { return Err(missing("the copy")) };
        self.now.doing(&format!("restoring {} into a scratch server", table.name));
        self.watcher.moment(self.now.moment());
        let held = match &made.copy {
            Copied::File(held) => (**held).clone(),
            Copied::Table(_) => Held {
                table: table.name.clone(),
                why: table.why.clone(),
                columns: table.columns.clone(),
                key: table.key.clone(),
                print: made.print.clone(),
                file: String::new(),
                bytes: 0,
                sha256: String::new(),
            },
        };
        let name = bench.table(&held).await?;
        match (&made.copy, &self.whole) {
            (Copied::File(_), Some(dir)) => {
                let (dir_too, held_too) = (dir.clone(), held.clone());
                let damage = tokio::task::spawn_blocking(move || files::damage(&dir_too, &held_too)).await;
                if let Some(what) = damage.unwrap_or_else(|error| Some(error.to_string())) {
                    return Err(Failure {
                        what,
                        state: "there is no proven backup; the tables themselves were not changed".into(),
                        next: "look at the disk, then back up again".into(),
                    });
                }
                proof::load(&mut bench.session, &name, dir, &held, self.key.clone()).await?;
            }
            (Copied::Table(copy), _) => {
                proof::pipe(&mut self.runner.session, copy, &mut bench.session, &name, &held).await?;
            }
            (Copied::File(_), None) => return Err(missing("the directory")),
        }
        let note = bench.judge(&name, &held).await?;
        let Some(line) = made.line else { return Err(missing("the record")) };
        let proven = record::proven(&mut self.runner.session, line, &note).await;
        proven.map_err(|e| broke("recording the proof", &e))?;
        Ok(note)
    }

    async fn closed(&mut self, at: usize) -> Result<String, Failure> {
        let Some(Made { copy: Copied::Table(copy), .. }) = self.made.get(at) else {
            return Err(missing("the copy"));
        };
        let open = record::is_open(&mut self.runner.session, copy).await;
        match open.map_err(|e| broke("looking at the rights on the copy", &e))? {
            Some(false) => Ok("row-level security on, rights with the owner alone".into()),
            open => Err(Failure {
                what: format!(
                    "{copy} is {}",
                    if open.is_some() { "readable by others than its owner" } else { "gone" }
                ),
                state: "the copy was proven, but is not private".into(),
                next: format!("REVOKE ALL ON {copy} and on its schema from those roles, then back up again"),
            }),
        }
    }
}

fn missing(what: &str) -> Failure {
    Failure {
        what: format!("{what} of the backup is missing"),
        state: "there is no proven backup; the tables themselves were not changed".into(),
        next: "this is an error of gonogo: report it".into(),
    }
}

fn unwritten(doing: &str, error: &std::io::Error) -> Failure {
    Failure {
        what: format!("{doing}: {error}"),
        state: "the incomplete backup was removed; the tables themselves were not changed".into(),
        next: "make room, or name another directory as backup_dir under [database], then back up again"
            .into(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// A text as SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
