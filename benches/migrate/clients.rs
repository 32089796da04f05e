//! What an application feels: some clients that each keep to a timetable, so that a statement which comes late because the one
//! before it hung counts as late too. Four of five statements read one contact by its key, the fifth writes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;

const CLIENTS: u32 = 4;
const EACH_PER_SECOND: u32 = 100;

/// What the clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reads: Vec<f64>,
    pub(crate) writes: Vec<f64>,
    pub(crate) errors: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.errors += other.errors;
    }

    /// The longest wait, in milliseconds from the moment at which the statement was due.
    pub(crate) fn worst(&self) -> f64 {
        self.reads.iter().chain(&self.writes).copied().fold(0.0, f64::max)
    }

    /// So many of a hundred waits are no longer than this, in milliseconds.
    pub(crate) fn percentile(&self, of_hundred: usize) -> f64 {
        let mut all: Vec<f64> = self.reads.iter().chain(&self.writes).copied().collect();
        all.sort_by(f64::total_cmp);
        let place = (all.len() * of_hundred / 100).min(all.len().saturating_sub(1));
        all.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Statements that waited longer than a second, and all.
    pub(crate) fn slow(&self) -> (usize, usize) {
        let all = self.reads.iter().chain(&self.writes);
        (all.clone().filter(|wait| **wait > 1_000.0).count(), all.count())
    }
}

/// Clients at work.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Seen>>,
}

impl Clients {
    /// Begins the timetable once every client is connected.
    pub(crate) async fn start(url: &SecretString, rows: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut sessions = Vec::new();
        for _ in 0..CLIENTS {
            sessions.push(PgConnection::connect(url.expose_secret()).await.expect("a client connects"));
        }
        let begin = Instant::now();
        let tasks = (0..CLIENTS).zip(sessions);
        let tasks = tasks.map(|(client, session)| {
            let stop = Arc::clone(&stop);
            tokio::spawn(work(session, client, rows, begin, stop))
        });
        Self { stop: Arc::clone(&stop), tasks: tasks.collect() }
    }

    /// Lets them end what they are at, and gathers what they saw.
    pub(crate) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for task in self.tasks {
            seen.add(task.await.expect("a client ends"));
        }
        seen
    }
}

async fn work(
    mut session: PgConnection,
    client: u32,
    rows: u32,
    begin: Instant,
    stop: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    // A generator of its own: the same contacts in each case.
    let mut random = u64::from(client) + 1;
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let due = begin + Duration::from_secs(1) / EACH_PER_SECOND * number;
        tokio::time::sleep_until(due.into()).await;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let contact = i64::try_from((random >> 33) % u64::from(rows) + 1).expect("it is small");
        let write = number % 5 == 4;
        let sql = if write {
            "UPDATE contacts SET updated_at = now() WHERE id = md5($1::text)::uuid"
        } else {
            "SELECT id, name, email, phone FROM contacts WHERE id = md5($1::text)::uuid"
        };
        let answer = sqlx::query(sql).bind(contact).fetch_optional(&mut session).await;
        let waited = due.elapsed().as_secs_f64() * 1_000.0;
        match answer {
            Ok(_) if write => seen.writes.push(waited),
            Ok(_) => seen.reads.push(waited),
            Err(error) => {
                eprintln!("client {client}: {error}");
                seen.errors += 1;
            }
        }
    }
    seen
}
