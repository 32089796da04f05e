//! What slows the import down for the sake of others: a person's word, slow reads of contacts, clients that wait behind it, a
//! replica that falls behind.
//!
//! It guarantees that any one of them is enough, that the reason is told, that one slow reading alone stops nothing, and that
//! what was braked goes on only after the database has been calm for a while. What cannot be measured is said to be so; it
//! neither brakes nor counts as good.

use std::str::FromStr;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::line::Line;
use super::progress::Teller;
use super::trouble::Trouble;
use crate::plan::config::Import;
use crate::run::live::Signals;

/// How often the database is felt, in wall time.
const EVERY: Duration = Duration::from_millis(500);
/// A read that is not answered yet is told as it grows.
const GROWS: Duration = Duration::from_millis(50);
/// Readings beyond the limit before reads alone brake: the first may be an accident.
const SURE: u32 = 2;
/// Calm readings before it goes on.
const CALM: u32 = 3;
/// Calm is this much below the limit, so that it does not go on and stop in turn.
const BELOW: f64 = 0.8;

const READ: &str = "SELECT id FROM public.contacts ORDER BY id LIMIT 1";
/// The longest wait behind one of our sessions, and the slowest replica. What the role may not see is null.
const OTHERS: &str = "SELECT \
     (SELECT max(extract(epoch FROM clock_timestamp() - l.waitstart))::float8 * 1000 FROM pg_catalog.pg_locks l \
        JOIN pg_catalog.pg_stat_activity a USING (pid) \
      WHERE NOT l.granted AND coalesce(a.application_name, '') NOT LIKE 'gonogo%' \
        AND EXISTS (SELECT FROM unnest(pg_blocking_pids(l.pid)) b JOIN pg_catalog.pg_stat_activity o ON o.pid = b \
                    WHERE o.application_name LIKE 'gonogo import%')), \
     (SELECT max(extract(epoch FROM replay_lag))::float8 * 1000 FROM pg_catalog.pg_stat_replication)";

/// From where on it brakes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    latency_ms: f64,
    lag_ms: f64,
}

impl Limits {
    pub(super) fn of(config: &Import) -> Self {
        Self { latency_ms: config.max_latency_ms.into(), lag_ms: config.max_lag_ms.into() }
    }

    /// What is beyond its limit, the first of it; `share` of the limits counts.
    fn beyond(self, signals: &Signals, share: f64) -> Option<String> {
        let over = |value: Option<f64>, limit: f64| value.filter(|value| *value > limit * share);
        if let Some(ms) = over(signals.blocked_ms, self.latency_ms) {
            return Some(format!(
                "a client has waited {ms:.0} ms behind the import, {:.0} are allowed",
                self.latency_ms
            ));
        }
        if let Some(ms) = over(signals.latency_ms, self.latency_ms) {
            return Some(format!("a read of contacts takes {ms:.0} ms, {:.0} are allowed", self.latency_ms));
        }
        over(signals.lag_ms, self.lag_ms).map(|ms| {
            format!("a replica is {:.1} s behind, {:.1} are allowed", ms / 1_000.0, self.lag_ms / 1_000.0)
        })
    }
}

/// Whether it brakes, reading by reading.
#[derive(Debug, Default)]
struct Judge {
    braking: Option<String>,
    hot: u32,
    calm: u32,
}

impl Judge {
    fn reads(&mut self, signals: &Signals, limits: Limits) -> Option<String> {
        if let Some(why) = limits.beyond(signals, 1.0) {
            (self.hot, self.calm) = (self.hot + 1, 0);
            // Somebody who waits behind us is no accident, and neither is a replica.
            let only_slow = signals.blocked_ms.is_none_or(|ms| ms <= limits.latency_ms)
                && signals.lag_ms.is_none_or(|ms| ms <= limits.lag_ms);
            if self.braking.is_some() || self.hot >= SURE || !only_slow {
                self.braking = Some(why);
            }
        } else {
            self.hot = 0;
            if limits.beyond(signals, BELOW).is_none() {
                self.calm += 1;
                if self.calm >= CALM {
                    self.braking = None;
                }
            }
        }
        self.braking.clone()
    }
}

/// What the watch says.
#[derive(Debug, Clone, Default, PartialEq)]
struct Felt {
    signals: Signals,
    why: Option<String>,
}

/// Feels the database for as long as it is held.
#[derive(Debug)]
pub(super) struct Brake {
    felt: watch::Receiver<Felt>,
    task: JoinHandle<()>,
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Brake {
    /// Begins to feel.
    pub(super) fn watch(url: SecretString, limits: Limits) -> Self {
        let (say, felt) = watch::channel(Felt::default());
        let task = tokio::spawn(async move {
            let mut judge = Judge::default();
            loop {
                if let Err(error) = feel(&url, limits, &mut judge, &say).await {
                    tracing::debug!(%error, "the database is not felt");
                    // Unknown: neither a reason to stop nor a good sign.
                    say.send_modify(|felt| felt.signals = Signals::default());
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { felt, task }
    }

    /// Why it brakes now.
    #[cfg(test)]
    pub(super) fn why(&self) -> Option<String> {
        self.felt.borrow().why.clone()
    }

    /// Waits, after so much work, for as long as a person or the database asks for; an error when it is to give up.
    pub(super) async fn ease(
        &self,
        line: Line<'_>,
        teller: &Teller<'_>,
        worked: Duration,
    ) -> Result<(), Trouble> {
        let began = Instant::now();
        let signals = self.felt.borrow().signals.clone();
        teller.also(|live| live.signals = Some(signals));
        if let Some(share) = line.pace().filter(|share| (1..100).contains(share)) {
            let pause = worked.mul_f64(f64::from(100 - share) / f64::from(share));
            teller.also(|live| live.throttled = Some(format!("by hand: it works {share} % of the time")));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = line.given_up() => return Err(Trouble::GivenUp),
            }
        } else {
            teller.also(|live| live.throttled = None);
        }
        let mut felt = self.felt.clone();
        loop {
            let now = felt.borrow_and_update().clone();
            let Some(why) = now.why else { break };
            teller.braked(&now.signals, why);
            tokio::select! {
                changed = felt.changed() => if changed.is_err() { break },
                () = line.given_up() => return Err(Trouble::GivenUp),
            }
        }
        teller.rested(began.elapsed(), line.pace());
        Ok(())
    }
}

async fn feel(
    url: &SecretString,
    limits: Limits,
    judge: &mut Judge,
    say: &watch::Sender<Felt>,
) -> Result<(), sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|_| sqlx::Error::Configuration("unusable".into()))?
        .application_name("gonogo watch")
        .options([("statement_timeout", "30s"), ("default_transaction_read_only", "on")])
        .disable_statement_logging();
    let mut session = options.connect().await?;
    loop {
        let mut signals =
            Signals { latency_ms: Some(read(&mut session, limits, judge, say).await?), ..Signals::default() };
        (signals.blocked_ms, signals.lag_ms) = sqlx::query_as(OTHERS).fetch_one(&mut session).await?;
        let why = judge.reads(&signals, limits);
        say.send_replace(Felt { signals, why });
        tokio::time::sleep(EVERY).await;
    }
}

/// Times a read, and says it as it grows.
async fn read(
    session: &mut PgConnection,
    limits: Limits,
    judge: &mut Judge,
    say: &watch::Sender<Felt>,
) -> Result<f64, sqlx::Error> {
    let began = Instant::now();
    let millis = || began.elapsed().as_secs_f64() * 1_000.0;
    let mut answer = std::pin::pin!(sqlx::raw_sql(READ).execute(session));
    loop {
        tokio::select! {
            answer = &mut answer => return answer.map(|_| millis()),
            () = tokio::time::sleep(GROWS) => {
                let grown = Signals { latency_ms: Some(millis()), ..Signals::default() };
                if limits.beyond(&grown, 1.0).is_some() {
                    let why = judge.reads(&grown, limits);
                    say.send_modify(|felt| {
                        felt.signals.latency_ms = grown.latency_ms;
                        felt.why.clone_from(&why);
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { latency_ms: 200.0, lag_ms: 5_000.0 }
    }

    fn read(ms: f64) -> Signals {
        Signals { latency_ms: Some(ms), ..Signals::default() }
    }

    #[test]
    fn one_slow_read_is_an_accident_and_two_are_not() {
        let mut judge = Judge::default();
        assert_eq!(judge.reads(&read(900.0), limits()), None);
        assert_eq!(judge.reads(&read(2.0), limits()), None);
        assert_eq!(judge.reads(&read(300.0), limits()), None);
        let why = judge.reads(&read(340.0), limits()).unwrap();
        assert_eq!(why, "a read of contacts takes 340 ms, 200 are allowed");
    }

    #[test]
    fn who_waits_behind_us_and_a_replica_brake_at_once_and_the_first_reason_is_told() {
        let blocked = Signals { blocked_ms: Some(450.0), lag_ms: Some(9_000.0), ..read(3.0) };
        let why = Judge::default().reads(&blocked, limits()).unwrap();
        assert!(why.starts_with("a client has waited 450 ms"), "{why}");
        let behind = Signals { lag_ms: Some(9_000.0), ..read(3.0) };
        assert_eq!(
            Judge::default().reads(&behind, limits()).unwrap(),
            "a replica is 9.0 s behind, 5.0 are allowed"
        );
    }

    #[test]
    fn it_goes_on_only_after_a_calm_and_what_is_not_measured_is_none() {
        let mut judge = Judge::default();
        judge.reads(&read(500.0), limits());
        assert!(judge.reads(&read(500.0), limits()).is_some());
        assert!(judge.reads(&read(20.0), limits()).is_some());
        assert!(judge.reads(&read(190.0), limits()).is_some(), "just below is not calm");
        assert!(judge.reads(&read(20.0), limits()).is_some());
        assert!(judge.reads(&read(20.0), limits()).is_none());
        assert_eq!(Judge::default().reads(&Signals::default(), limits()), None);
    }
}
