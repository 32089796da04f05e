//! The one world that all stand-ins share: change the flag at one, and another answers differently.
//!
//! It guarantees that every change is on disk before it is answered for, whole or not at all, so that a killed rehearsal
//! resumes in the same world. Only the stand-ins and the one who runs the rehearsal hold it; gonogo's own workers and
//! services never see it, they see sockets.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::faults::{Fault, Span};
use super::scenario::{Planned, Scenario, Trigger};
use super::state::{Credentials, Deployment, Flag, FlagPoint, Outcome, Served, State, VercelState};
use crate::clock::Clock;

const FORMAT: u32 = 1;
const FILE: &str = "world.json";

/// The key of the flag that the deployment is about.
pub const FLAG: &str = "contacts_redesign";
/// The version that is live before the deployment.
pub const OLD_VERSION: &str = "1.9.4";
/// The version that the deployment brings.
pub const NEW_VERSION: &str = "2.0.0";
/// The commit of [`OLD_VERSION`].
pub const OLD_COMMIT: &str = "0b1c2d3e4f5a69788796a5b4c3d2e1f00f1e2d3c";
/// The commit of [`NEW_VERSION`].
pub const NEW_COMMIT: &str = "6ba09a7c53235ee8a8fa5ee4c1ca8ca886e7fdbb";

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file cannot be read or written.
    #[error("the rehearsal's world at {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a world.
    #[error("the rehearsal's world at {path} does not read ({source}); begin a new rehearsal")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file was written by another version.
    #[error(
        "the rehearsal's world at {path} has format {found}, this gonogo reads {FORMAT}; begin a new rehearsal"
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
}

/// The shared state of a rehearsal's stand-ins, and the handle of the one who runs it.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    clock: Clock,
    file: Option<PathBuf>,
}

impl World {
    /// A new world that lives in memory alone.
    pub fn in_memory(clock: Clock, scenario: Scenario, seed: u64, contacts: u32) -> Self {
        let state = Mutex::new(genesis(clock.now(), scenario, seed, contacts));
        Self { state, clock, file: None }
    }

    /// A new world that is kept in `dir`.
    pub fn create(
        dir: &Path,
        clock: Clock,
        scenario: Scenario,
        seed: u64,
        contacts: u32,
    ) -> Result<Self, WorldError> {
        let mut world = Self::in_memory(clock, scenario, seed, contacts);
        world.file = Some(dir.join(FILE));
        world.save(&world.lock())?;
        Ok(world)
    }

    /// The world that an earlier process left in `dir`.
    pub fn resume(dir: &Path, clock: Clock) -> Result<Self, WorldError> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(|source| WorldError::File { path: path.clone(), source })?;
        let state: State = serde_json::from_slice(&text)
            .map_err(|source| WorldError::Unreadable { path: path.clone(), source })?;
        if state.format != FORMAT {
            return Err(WorldError::Format { path, found: state.format });
        }
        Ok(Self { state: Mutex::new(state), clock, file: Some(path) })
    }

    /// The rehearsal's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The rehearsal's clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The keys that the stand-ins accept.
    pub fn credentials(&self) -> Credentials {
        self.read(|state| state.credentials.clone())
    }

    /// Looks at the world.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the world and writes it down. A file that cannot be written does not stop the rehearsal: it is logged,
    /// and the next change tries again.
    pub fn change<R>(&self, change: impl FnOnce(&mut State, DateTime<Utc>) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let answer = change(&mut state, now);
        if let Err(error) = self.save(&state) {
            tracing::warn!(%error, "the rehearsal goes on, but could not be resumed");
        }
        answer
    }

    /// Throws a fault in by hand, from now on.
    pub fn inject(&self, fault: Fault, lasts: Option<TimeDelta>) {
        self.change(|state, now| {
            state.faults.push(Span { fault, from: now, until: lasts.map(|lasts| now + lasts) });
        });
    }

    /// Throws in what the scenario left to the hand; returns how many faults that were.
    pub fn inject_planned(&self) -> usize {
        self.change(|state, now| trigger(state, now, |when| matches!(when, Trigger::ByHand)))
    }

    /// Ends every present fault of this kind; returns how many there were.
    pub fn clear(&self, kind: &str) -> usize {
        self.clear_if(|span| span.fault.kind() == kind)
    }

    /// Ends every present fault; returns how many there were.
    pub fn clear_all(&self) -> usize {
        self.clear_if(|_| true)
    }

    fn clear_if(&self, which: impl Fn(&Span) -> bool) -> usize {
        self.change(|state, now| {
            let present = state.faults.iter_mut().filter(|span| span.covers(now) && which(span));
            present.map(|span| span.until = Some(now)).count()
        })
    }

    /// What is wrong now.
    pub fn faults(&self) -> Vec<Span> {
        let now = self.now();
        self.read(|state| state.faults.iter().filter(|span| span.covers(now)).cloned().collect())
    }

    /// Tells the world that a phase was started, which sets off what the scenario planned for it. Only the first start
    /// counts, so that it may be told again after a resume.
    pub fn phase_started(&self, number: u32) {
        self.change(|state, now| {
            if state.phases.contains_key(&number) {
                return;
            }
            state.phases.insert(number, now);
            let delays: Vec<_> = state.scenario.faults.clone();
            for planned in &delays {
                if let Trigger::Phase { number: of, after_seconds } = planned.when
                    && of == number
                {
                    state.faults.push(planned.span(now + TimeDelta::seconds(i64::from(after_seconds))));
                }
            }
        });
    }

    /// Gives Pulse's key a new hour.
    pub fn renew_pulse_key(&self) {
        self.change(|state, now| state.pulse_key_since = now);
    }

    /// Counts a page that Pulse served for an import, which may set off what the scenario planned for it.
    pub(super) fn pulse_page_served(&self) {
        self.change(|state, now| {
            state.pulse_pages += 1;
            let pages = state.pulse_pages;
            trigger(state, now, |when| matches!(when, Trigger::PulsePages { served } if *served == pages));
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A change that panicked halfway leaves facts that are each whole; stopping all stand-ins would help nobody.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, state: &State) -> Result<(), WorldError> {
        let Some(path) = &self.file else { return Ok(()) };
        let failed = |source| WorldError::File { path: path.clone(), source };
        let text = serde_json::to_vec(state).map_err(|source| failed(source.into()))?;
        let beside = path.with_extension("json.new");
        std::fs::write(&beside, text).map_err(failed)?;
        std::fs::rename(&beside, path).map_err(failed)
    }
}

fn trigger(state: &mut State, now: DateTime<Utc>, which: impl Fn(&Trigger) -> bool) -> usize {
    let due: Vec<Span> = state
        .scenario
        .faults
        .iter()
        .filter(|planned| which(&planned.when))
        .map(|planned| planned.span(now))
        .collect();
    let count = due.len();
    state.faults.extend(due);
    count
}

fn genesis(now: DateTime<Utc>, scenario: Scenario, seed: u64, contacts: u32) -> State {
    let at_start = |planned: &Planned| match planned.when {
        Trigger::Start { after_seconds } => {
            Some(planned.span(now + TimeDelta::seconds(i64::from(after_seconds))))
        }
        _ => None,
    };
    State {
        format: FORMAT,
        seed,
        started: now,
        contacts,
        credentials: Credentials::generate(),
        phases: std::collections::BTreeMap::new(),
        faults: scenario.faults.iter().filter_map(at_start).collect(),
        scenario,
        pulse_key_since: now,
        pulse_pages: 0,
        flags: first_flags(now),
        vercel: first_deployments(now),
        envelopes: Vec::new(),
        releases: Vec::new(),
        deploys: Vec::new(),
        captured: Vec::new(),
        annotations: Vec::new(),
        incidents: Vec::new(),
        components: [("8kbf7d35c070", "Web app"), ("8kbf7d35c071", "Contacts"), ("8kbf7d35c072", "API")]
            .map(|(id, name)| (id.into(), name.into(), "operational".into()))
            .into(),
        slack: Vec::new(),
        statuspage: Vec::new(),
        pagerduty: Vec::new(),
    }
}

/// The flag of the deployment at its first stage (internal users), and as many others as a grown project has.
fn first_flags(now: DateTime<Utc>) -> Vec<Flag> {
    let at = now - TimeDelta::days(7);
    let filters = json!({
        "groups": [
            {"properties": [{"key": "email", "value": "@logosvision.com", "operator": "icontains", "type": "person"}],
             "rollout_percentage": 100, "variant": null, "description": "internal"},
            {"properties": [], "rollout_percentage": 0, "variant": null, "description": "everyone"}],
        "multivariate": null, "payloads": {}, "aggregation_group_type_index": null});
    let flag = |id, key: String, name: &str, filters, version| Flag {
        id,
        key,
        name: name.into(),
        deleted: false,
        history: vec![FlagPoint { at, version, active: true, filters }],
    };
    let mut flags = vec![flag(30_571, FLAG.into(), "Contacts redesign with Pulse", filters, 7)];
    flags.extend((0..124).map(|number| {
        let filters = json!({"groups": [{"properties": [], "rollout_percentage": 100, "variant": null}],
            "multivariate": null, "payloads": {}});
        flag(30_600 + number, format!("older-flag-{number:03}"), "", filters, 1)
    }));
    flags
}

/// Two versions that once were live, the later of them live now, and the new one built and staged.
fn first_deployments(now: DateTime<Utc>) -> VercelState {
    let build = |id: &str, version: &str, commit: &str, days: i64, target: &str| {
        let created = now - TimeDelta::days(days);
        Deployment {
            id: id.into(),
            version: version.into(),
            commit: commit.into(),
            redesign: version == NEW_VERSION,
            target: target.into(),
            created,
            building: created + TimeDelta::seconds(4),
            ended: created + TimeDelta::seconds(91),
            outcome: Outcome::Ready,
            takes_domains: version != NEW_VERSION,
            meta: std::collections::BTreeMap::new(),
        }
    };
    let served = |id: &str, days: i64| Served { at: now - TimeDelta::days(days), id: id.into() };
    VercelState {
        deployments: vec![
            build("dpl_7PrevUvw", "1.9.3", "7c1d9e20b35f4a6688d0e1f2a3b4c5d6e7f80912", 30, "production"),
            build("dpl_8OldXyz", OLD_VERSION, OLD_COMMIT, 9, "production"),
            build("dpl_9NewAbc", NEW_VERSION, NEW_COMMIT, 1, "production"),
        ],
        served: vec![served("dpl_7PrevUvw", 30), served("dpl_8OldXyz", 9)],
        jobs: Vec::new(),
        auto_assign: true,
        env: [
            ("VITE_FEATURE_CONTACTS_REDESIGN", "true"),
            ("VITE_PULSE_SYNC_ENABLED", "true"),
            ("VITE_SENTRY_ENVIRONMENT", "production"),
            ("VITE_ROLLOUT_PERCENTAGE", "10"),
        ]
        .iter()
        .enumerate()
        .map(|(number, (key, value))| (format!("Env{number}"), (*key).into(), (*value).into()))
        .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::paced(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), 1.0)
    }

    #[test]
    fn a_killed_rehearsal_resumes_in_the_same_world() {
        let dir = tempfile::tempdir().unwrap();
        let world =
            World::create(dir.path(), clock(), Scenario::shipped("error-spike").unwrap(), 7, 500).unwrap();
        world.phase_started(5);
        world.inject(Fault::SentrySilent, None);
        let before = world.read(State::clone);
        drop(world);
        let resumed = World::resume(dir.path(), clock()).unwrap();
        assert_eq!(resumed.read(State::clone), before);
    }

    #[test]
    fn a_file_of_another_format_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        World::create(dir.path(), clock(), Scenario::shipped("smooth").unwrap(), 7, 5).unwrap();
        let path = dir.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap().replacen("\"format\":1", "\"format\":9", 1);
        std::fs::write(&path, &text).unwrap();
        let error = World::resume(dir.path(), clock()).unwrap_err().to_string();
        assert!(error.contains("format 9"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(World::resume(dir.path(), clock()), Err(WorldError::Unreadable { .. })));
    }

    #[test]
    fn a_planned_fault_waits_for_its_phase_and_is_set_off_once() {
        let clock = clock();
        let world = World::in_memory(clock.clone(), Scenario::shipped("error-spike").unwrap(), 7, 5);
        world.phase_started(4);
        assert!(world.read(|state| state.faults.is_empty()));
        world.phase_started(5);
        world.phase_started(5);
        assert_eq!(world.read(|state| state.faults.len()), 1);
        assert!(world.faults().is_empty(), "not yet");
        clock.jump_to(world.now() + TimeDelta::minutes(7));
        assert_eq!(world.faults().len(), 1);
        assert_eq!(world.clear("error-spike"), 1);
        assert!(world.faults().is_empty());
    }
}
