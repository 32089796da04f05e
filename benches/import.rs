//! The import, as the program that is installed, against `psql \copy` of the same rows into an equal table with equal indexes,
//! in one run; and against Pulse's own limit. `script/bench import [ROWS]`, `script/bench import limit [MINUTES]`.
//!
//! Pulse stands on a loopback socket of this process and writes its pages faster than anybody reads them. The database is a
//! scratch cluster with durability off, for both sides alike.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use gonogo::plan::bundled;
use gonogo::scratch::Scratch;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode;
use tokio::net::TcpListener;

const ROWS: usize = 200_000;
const ROUNDS: u32 = 2;
const TOKEN: &str = "a-token-of-the-bench";

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    // Cargo adds its own words.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<usize>().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if words.first().is_some_and(|word| word == "limit") {
        runtime.block_on(against_the_limit(number(1).unwrap_or(4)))
    } else {
        runtime.block_on(against_copy(number(0).unwrap_or(ROWS)))
    }
}

/// A Pulse of so many profiles.
#[derive(Debug)]
struct Pulse {
    rows: usize,
    /// Requests in a minute, where they are counted.
    limit: Option<u32>,
    window: Mutex<(DateTime<Utc>, u32)>,
    refused: Mutex<u32>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    limit: usize,
    offset: usize,
    modified_since: Option<String>,
}

async fn profiles(State(pulse): State<Arc<Pulse>>, Query(asked): Query<Asked>) -> Response {
    let Some(most) = pulse.limit else { return pulse.page(&asked).into_response() };
    let now = Utc::now();
    let (remaining, resets) = {
        let mut window = pulse.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now >= window.0 + TimeDelta::seconds(60) {
            *window = (now, 0);
        }
        window.1 += 1;
        (i64::from(most) - i64::from(window.1), window.0 + TimeDelta::seconds(60))
    };
    let mut answer = if remaining < 0 {
        *pulse.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        StatusCode::TOO_MANY_REQUESTS.into_response()
    } else {
        pulse.page(&asked).into_response()
    };
    for (name, value) in [
        ("x-ratelimit-limit", i64::from(most)),
        ("x-ratelimit-remaining", remaining.max(0)),
        ("x-ratelimit-reset", resets.timestamp()),
    ] {
        answer.headers_mut().insert(name, value.into());
    }
    answer
}

impl Pulse {
    async fn start(rows: usize, limit: Option<u32>) -> Result<(Arc<Self>, String), Failed> {
        let window = Mutex::new((DateTime::UNIX_EPOCH, 0));
        let pulse = Arc::new(Self { rows, limit, window, refused: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/api/contacts/relationship-profiles", get(profiles))
            .with_state(Arc::clone(&pulse));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((pulse, url))
    }

    fn page(&self, asked: &Asked) -> impl IntoResponse + use<> {
        // Nobody changes while it is read.
        let rows = if asked.modified_since.is_some() { 0 } else { self.rows };
        let end = rows.min(asked.offset + asked.limit);
        let mut body = String::with_capacity(asked.limit * 800);
        body.push_str("{\"data\":[");
        for place in asked.offset.min(end)..end {
            let comma = if place > asked.offset { "," } else { "" };
            let mixed = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let word = |of: &[&'static str]| of[place % of.len()];
            // Writing to a string cannot fail.
            let _ = write!(
                body,
                "{comma}{{\"id\":\"{mixed:016x}-{place:08x}\",\"user_id\":\"u1\",\"canonical_email\":\"first{place}.last{}@example.org\",\
                 \"display_name\":\"First{place} Last{}\",\"first_name\":\"First{place}\",\"last_name\":\"Last{}\",\
                 \"phone_number\":\"+1 212 555 {:04}\",\"company\":\"Works {}\",\"title\":\"Engineer\",\"linkedin_url\":null,\
                 \"timezone\":\"America/New_York\",\"relationship_score\":{},\"relationship_trend\":\"{}\",\"total_interactions\":{},\
                 \"last_interaction_date\":\"2026-0{}-1{}T10:00:00.000Z\",\"communication_frequency\":\"{}\",\"preferred_channel\":\"{}\",\
                 \"tags\":[\"donor\",\"{}\"],\"notes\":{},\"is_favorite\":{},\"is_blocked\":false,\
                 \"created_at\":\"2024-01-01T00:00:00.000Z\",\"updated_at\":\"2026-01-01T00:00:00.000Z\"}}",
                place % 9_973,
                place % 9_973,
                place % 9_973,
                place % 10_000,
                place % 500,
                mixed % 101,
                word(&["rising", "stable", "falling", "new", "dormant"]),
                mixed % 240,
                1 + place % 9,
                place % 10,
                word(&["daily", "weekly", "monthly", "quarterly", "rare"]),
                word(&["email", "slack", "phone", "meeting", "sms"]),
                word(&["board", "volunteer", "press"]),
                if place.is_multiple_of(3) {
                    "null"
                } else {
                    "\"Met at the autumn gala; asked about the annual report.\""
                },
                place.is_multiple_of(12),
            );
        }
        let more = end < rows;
        let _ = write!(
            body,
            "],\"pagination\":{{\"total\":{rows},\"limit\":{},\"offset\":{},\"has_more\":{more}}}}}",
            asked.limit, asked.offset
        );
        ([(header::CONTENT_TYPE, "application/json")], body)
    }
}

/// What a run of the program came to.
struct Run {
    took: Duration,
    /// In kilobytes.
    peak: u64,
    said: Value,
}

/// `gonogo import` in that directory.
fn import(dir: &Path) -> Result<Run, Failed> {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gonogo"))
        .args(["--json", "import"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(dir.join("said"))?)
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = resident(child.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    };
    let took = began.elapsed();
    let said = std::fs::read_to_string(dir.join("said"))?;
    if !status.success() {
        return Err(format!("gonogo import failed: {said}").into());
    }
    let said = serde_json::from_str(said.lines().last().unwrap_or_default())?;
    Ok(Run { took, peak, said })
}

/// The most memory that a process has had, in kilobytes, as Linux counts it.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A deployment's directory over a database of its own.
async fn lay_out(
    scratch: &Scratch,
    database: &str,
    pulse: &str,
) -> Result<(tempfile::TempDir, PgConnection), Failed> {
    scratch.create_database(database).await?;
    scratch.load_base_schema(database).await?;
    let mut session = scratch.connect(database).await?;
    for (_, text) in bundled::MIGRATIONS.iter().filter(|(name, _)| name.ends_with(".up.sql")) {
        for statement in SourceFile::parse(text).tree().stmts() {
            let statement = statement.syntax().text().to_string();
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut session).await?;
        }
    }
    let dir = tempfile::tempdir()?;
    let file = |name: &str, text: String| std::fs::write(dir.path().join(name), text);
    file(
        "gonogo.toml",
        format!(
            "[services.pulse]\nurl = \"{pulse}\"\ntoken_env = \"GONOGO_BENCH_PULSE\"\n[database]\nurl_env = \"GONOGO_BENCH_DB\"\n[import]\n\
             requests_per_minute = {}\n",
            if database == "limited" { 60 } else { 1_000_000 }
        ),
    )?;
    file("checklist.md", "# A plan\n\n## Phase 1\n\n- [ ] import\n".into())?;
    let url = scratch.url(database);
    file(".env", format!("GONOGO_BENCH_PULSE='{TOKEN}'\nGONOGO_BENCH_DB='{}'\n", url.expose_secret()))?;
    Ok((dir, session))
}

/// Runs psql on a database, and says how long it took.
fn psql(scratch: &Scratch, database: &str, command: &str) -> Result<Duration, Failed> {
    let url = scratch.url(database);
    let began = Instant::now();
    let output = Command::new("psql")
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", command, url.expose_secret()])
        .output()?;
    if !output.status.success() {
        return Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(began.elapsed())
}

async fn number(session: &mut PgConnection, sql: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(session).await
}

fn rate(rows: usize, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

async fn against_copy(rows: usize) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let scratch = Scratch::start(&home.path().join("pg")).await?;
    let (_, url) = Pulse::start(rows, None).await?;
    let file = home.path().join("contacts.copy");
    println!("{rows} profiles, an empty CRM; PostgreSQL {}; release build", scratch.binaries().major());
    println!(
        "round  import/s  \\copy/s  ratio  \\copy with 001's triggers/s  ratio  peak MB  again/s  rows written again"
    );
    for round in 1..=ROUNDS {
        let name = format!("round{round}");
        let (dir, mut session) = lay_out(&scratch, &name, &url).await?;
        let run = import(dir.path())?;
        let imported = run.said["totals"]["imported"].as_u64();
        if imported != Some(rows as u64) {
            return Err(format!("not all were imported: {}", run.said).into());
        }
        let steps = steps(&dir.path().join("said"))?;
        let written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE schemaname = 'public'";
        let before = number(&mut session, written).await?;
        let again = import(dir.path())?;
        let after = number(&mut session, written).await?;

        let place = file.display();
        psql(&scratch, &name, &format!("\\copy contacts to '{place}'"))?;
        let twin = "CREATE TABLE twin (LIKE contacts INCLUDING ALL); CHECKPOINT";
        sqlx::raw_sql(twin).execute(&mut session).await?;
        let copied = psql(&scratch, &name, &format!("\\copy twin from '{place}'"))?;
        let noted = "DROP TABLE twin; CREATE TABLE twin (LIKE contacts INCLUDING ALL); TRUNCATE gonogo_backup.contact_sync_journal; \
                     CREATE TRIGGER noted AFTER INSERT ON twin FOR EACH ROW WHEN (NEW.pulse_last_synced_at IS NOT NULL) \
                     EXECUTE FUNCTION gonogo_backup.note_contact_sync(); CHECKPOINT";
        sqlx::raw_sql(noted).execute(&mut session).await?;
        let noted = psql(&scratch, &name, &format!("\\copy twin from '{place}'"))?;
        let (ours, theirs, with) = (rate(rows, run.took), rate(rows, copied), rate(rows, noted));
        println!(
            "{round:>5}  {ours:>8.0}  {theirs:>7.0}  {:>5.2}  {with:>27.0}  {:>5.2}  {:>7.1}  {:>7.0}  {}",
            ours / theirs,
            ours / with,
            run.peak.max(again.peak) as f64 / 1024.0,
            rate(rows, again.took),
            after - before,
        );
        println!("       steps of the import: {steps}");
        drop(session);
    }
    scratch.stop().await?;
    Ok(())
}

/// What the steps of the last run said, and how long each took.
fn steps(said: &Path) -> Result<String, Failed> {
    let lines = std::fs::read_to_string(said)?;
    let notes = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(notes
        .filter_map(|line| {
            let (name, took) = (line["name"].as_str()?, line["took_ms"].as_u64()?);
            Some(format!("{name} {took} ms ({})", line["outcome"]["note"].as_str().unwrap_or_default()))
        })
        .collect::<Vec<_>>()
        .join("; "))
}

/// How long the step of that name took, in milliseconds.
fn took(said: &Path, step: &str) -> Result<u64, Failed> {
    let lines = std::fs::read_to_string(said)?;
    let mut told = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = told.find(|line| {
        line["name"].as_str().is_some_and(|name| name.contains(step)) && line.get("outcome").is_some()
    });
    found.and_then(|line| line["took_ms"].as_u64()).ok_or_else(|| format!("no step {step} was told").into())
}

async fn against_the_limit(minutes: usize) -> Result<(), Failed> {
    let rows = minutes * 60_000;
    let home = tempfile::tempdir()?;
    let scratch = Scratch::start(&home.path().join("pg")).await?;
    let (pulse, url) = Pulse::start(rows, Some(60)).await?;
    let (dir, _session) = lay_out(&scratch, "limited", &url).await?;
    let run = import(dir.path())?;
    let refused = *pulse.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ours = rate(rows, run.took);
    let fetched = rate(rows, Duration::from_millis(took(&dir.path().join("said"), "fetch and stage")?));
    println!(
        "{rows} profiles at 60 requests of 1,000 a minute: fetched and staged at {fetched:.0} profiles/s, {:.3} of the limit's 1,000; \
         with the merge {:.1} s, {ours:.0} contacts/s, {:.3}; {refused} answers 429; peak {:.1} MB",
        fetched / 1_000.0,
        run.took.as_secs_f64(),
        ours / 1_000.0,
        run.peak as f64 / 1024.0,
    );
    scratch.stop().await?;
    Ok(())
}
