//! What the clients of a table of a million rows feel while it is migrated, in one run against one cluster: by what people write
//! first, through `psql` and through the migration tools that are installed, and by the shipped 001 through gonogo; each alone and
//! with a session idle in its transaction for five seconds. Then what the engine costs beside `psql` for the same statements.
//!
//! `script/bench migrate [--rows N] [--pairs N] [--only NAME]`, where a name is that of a way, or `overhead`. Durability is on. Times
//! are this machine's; the ratios travel.

mod clients;
mod ways;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use gonogo::scratch::{Durability, Scratch};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use clients::{Clients, Seen};
use ways::{Taken, Way};

const LAB: &str = "lab";
const BLOCKED_FOR: Duration = Duration::from_secs(5);
/// The name under which the blocker is to be reported.
const BLOCKER: &str = "night-report";

struct Settings {
    rows: u32,
    pairs: usize,
    only: Option<String>,
}

fn settings() -> Settings {
    let mut settings = Settings { rows: 1_000_000, pairs: 3, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rows" => settings.rows = words.next().and_then(|n| n.parse().ok()).expect("--rows N"),
            "--pairs" => settings.pairs = words.next().and_then(|n| n.parse().ok()).expect("--pairs N"),
            "--only" => settings.only = words.next(),
            "--bench" => {}
            other => panic!("{other} is not known; there is --rows N, --pairs N and --only NAME"),
        }
    }
    settings
}

#[tokio::main]
async fn main() {
    let settings = settings();
    let dir = tempfile::tempdir().expect("a directory");
    let scratch = Scratch::start_with(dir.path(), Durability::On).await.expect("a cluster");
    eprintln!("PostgreSQL {}, {} rows; filling the table", scratch.binaries().major(), settings.rows);
    fill(&scratch, settings.rows).await;

    let mut worst: BTreeMap<(String, bool), f64> = BTreeMap::new();
    println!(
        "{:<26} {:>8} {:>8} {:>10} {:>10} {:>9} {:>12} {:>7} {:>9}",
        "way", "blocker", "takes s", "worst ms", "p99 ms", "p50 ms", "> 1 s", "errors", "news s"
    );
    for way in Way::found(dir.path()) {
        if settings.only.as_ref().is_some_and(|only| !way.name().contains(only.as_str())) {
            continue;
        }
        for blocked in [false, true] {
            if blocked && matches!(way, Way::Nothing) {
                continue;
            }
            let (taken, seen) = run(&scratch, &way, blocked, settings.rows).await;
            report(&way, blocked, &taken, &seen);
            worst.insert((way.name(), blocked), seen.worst());
        }
    }
    for blocked in [false, true] {
        let of = |way: &Way| worst.get(&(way.name(), blocked)).copied();
        if let (Some(naive), Some(ours)) = (of(&Way::Psql), of(&Way::Gonogo)) {
            let how = if blocked { "with a blocker" } else { "alone" };
            println!("{how}: the first way's worst wait is {:.0} times that of gonogo", naive / ours);
        }
    }
    if settings.only.as_ref().is_none_or(|only| only == "overhead") {
        overhead(&scratch, settings.pairs).await;
    }
}

async fn fill(scratch: &Scratch, rows: u32) {
    scratch.create_database(LAB).await.expect("a database");
    scratch.load_base_schema(LAB).await.expect("the schema");
    let mut session = scratch.connect(LAB).await.expect("a session");
    let sql = format!(
        "INSERT INTO contacts (id, first_name, last_name, name, email, phone, address, city, state, zip_code, type, notes,
                               engagement_score, donor_stage, total_lifetime_giving, last_gift_date, created_at, updated_at)
         SELECT md5(n::text)::uuid, 'First' || n % 5000, 'Last' || n % 20000, 'First' || n % 5000 || ' Last' || n % 20000,
                'person' || n || '@example.org', '+1555' || lpad((n % 10000000)::text, 7, '0'),
                n || ' Long Example Street, Building ' || n % 40, 'City' || n % 900, 'ST' || n % 50, lpad((n % 99999)::text, 5, '0'),
                CASE WHEN n % 5 = 0 THEN 'organization_contact' ELSE 'individual' END, repeat('note ', n % 12),
                (ARRAY['low', 'medium', 'high'])[n % 3 + 1], (ARRAY['Prospect', 'First gift', 'Repeat', 'Major'])[n % 4 + 1],
                n % 1000 * 1.25, date '2026-01-01' - n % 900, now() - n % 1000 * interval '1 hour', now() - n % 500 * interval '1 hour'
         FROM generate_series(1, {rows}) n"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.expect("rows");
    sqlx::raw_sql("VACUUM (ANALYZE) contacts").execute(&mut session).await.expect("statistics");
    sqlx::raw_sql("CHECKPOINT").execute(&mut session).await.expect("a checkpoint");
    session.close().await.expect("nobody is left in the template");
}

/// A database as it was at first.
async fn fresh(scratch: &Scratch, name: &str) {
    let mut session = scratch.connect("postgres").await.expect("a session");
    for sql in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name} TEMPLATE {LAB} STRATEGY file_copy"),
        "CHECKPOINT".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.expect("a fresh database");
    }
}

async fn run(scratch: &Scratch, way: &Way, blocked: bool, rows: u32) -> (Taken, Seen) {
    fresh(scratch, "run").await;
    let url = scratch.url("run");
    // Everything is in memory before anybody's time counts.
    let mut warm = scratch.connect("run").await.expect("a session");
    let counted = sqlx::query("SELECT count(*), max(length(name)) FROM contacts").execute(&mut warm);
    counted.await.expect("the table is read");
    let clients = Clients::start(&url, rows).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let blocker = if blocked {
        Some(tokio::spawn(block(scratch.connect("run").await.expect("a session"))))
    } else {
        None
    };
    if let Some(blocker) = &blocker {
        until_blocked(&mut warm).await;
        assert!(!blocker.is_finished(), "the blocker holds the table");
    }
    let taken = way.take(&url).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let seen = clients.stop().await;
    if let Some(blocker) = blocker {
        blocker.await.expect("the blocker ends");
    }
    (taken, seen)
}

/// Reads a contact, and then thinks for a while before it ends its transaction.
async fn block(mut session: PgConnection) {
    let sql = format!("SET application_name = '{BLOCKER}'; BEGIN; SELECT name FROM contacts LIMIT 1");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.expect("it reads");
    tokio::time::sleep(BLOCKED_FOR).await;
    sqlx::raw_sql("COMMIT").execute(&mut session).await.expect("it ends");
}

async fn until_blocked(session: &mut PgConnection) {
    let deadline = Instant::now() + BLOCKED_FOR;
    while Instant::now() < deadline {
        let there: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle in transaction')",
        )
        .bind(BLOCKER)
        .fetch_one(&mut *session)
        .await
        .expect("an answer");
        if there {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn report(way: &Way, blocked: bool, taken: &Taken, seen: &Seen) {
    let (slow, all) = seen.slow();
    println!(
        "{:<26} {:>8} {:>8.1} {:>10.1} {:>10.1} {:>9.2} {:>12} {:>7} {:>9}",
        way.name(),
        if blocked { "5 s" } else { "-" },
        taken.seconds,
        seen.worst(),
        seen.percentile(99),
        seen.percentile(50),
        format!("{slow} of {all}"),
        seen.errors,
        taken.news.map_or("-".into(), |news| format!("{news:.2}")),
    );
    if let Some(trouble) = &taken.trouble {
        println!("    it failed: {trouble}");
    }
    let record = json!({
        "way": way.name(), "blocker": blocked, "seconds": taken.seconds, "worst_ms": seen.worst(), "p99_ms": seen.percentile(99),
        "p50_ms": seen.percentile(50), "over_1_s": slow, "statements": all, "errors": seen.errors, "news_s": taken.news,
        "failed": taken.trouble,
    });
    eprintln!("{record}");
}

/// The same file through psql and through the engine, in turn, with nobody else there.
async fn overhead(scratch: &Scratch, pairs: usize) {
    let (mut whole, mut statements) = (Vec::new(), Vec::new());
    for pair in 1..=pairs {
        let mut seconds = Vec::new();
        for way in [Way::SafePsql, Way::Gonogo] {
            fresh(scratch, "run").await;
            let mut warm = scratch.connect("run").await.expect("a session");
            let counted = sqlx::query("SELECT count(*), max(length(name)) FROM contacts").execute(&mut warm);
            counted.await.expect("the table is read");
            let taken = way.take(&scratch.url("run")).await;
            assert!(taken.trouble.is_none(), "{}: {:?}", way.name(), taken.trouble);
            seconds.push((taken.seconds, taken.checks));
        }
        let [(psql, _), (ours, checks)] = seconds[..] else { continue };
        println!(
            "pair {pair}: psql {psql:.2} s, gonogo {ours:.2} s, of which checks {checks:.2} s: {:+.1} % in all, {:+.1} % for the statements",
            (ours / psql - 1.0) * 100.0,
            ((ours - checks) / psql - 1.0) * 100.0
        );
        whole.push(ours / psql);
        statements.push((ours - checks) / psql);
    }
    for (what, ratios) in [("in all", &mut whole), ("for the statements", &mut statements)] {
        ratios.sort_by(f64::total_cmp);
        if let Some(median) = ratios.get(ratios.len() / 2) {
            println!(
                "the engine beside psql, {what}: {:+.1} % (median of {})",
                (median - 1.0) * 100.0,
                ratios.len()
            );
        }
    }
}

/// A file of this repository.
fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
