//! Plays the scenario: tells the world when phases begin, and writes into the journal which faults come and go, so that
//! the summary can say how long each took to be noticed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::faults::{Fault, Vendor};
use super::world::World;
use crate::run::{Actor, Command, State};
use crate::store::Store;

/// How often the world is looked at, in wall time: often enough that a fault's time is right to a few rehearsal seconds
/// at any sensible speed.
const LOOK: Duration = Duration::from_millis(50);

/// The faults that can be thrown in by hand, with what they do.
pub const BY_HAND: [(&str, &str); 10] = [
    ("error-spike", "the new page throws: 12 % of page loads fail"),
    ("slow-pages", "pages load four times slower"),
    ("app-down", "the application answers 503"),
    ("sentry-silent", "Sentry drops every event"),
    ("posthog-silent", "PostHog drops every event"),
    ("pulse-outage", "Pulse answers 503"),
    ("pulse-hang", "Pulse takes requests and never answers"),
    ("pulse-rate-limit", "Pulse refuses everything for its rate limit"),
    ("broken-build", "builds at Vercel end in ERROR"),
    ("stuck-aliases", "Vercel cannot move the domains"),
];

fn by_hand(name: &str) -> Option<Fault> {
    let vendor = Vendor::Pulse;
    Some(match name {
        "error-spike" => Fault::ErrorSpike { rate: 0.12 },
        "slow-pages" => Fault::SlowPages { factor: 4.0 },
        "app-down" => Fault::AppDown,
        "sentry-silent" => Fault::SentrySilent,
        "posthog-silent" => Fault::PosthogSilent,
        "pulse-outage" => Fault::Outage { vendor },
        "pulse-hang" => Fault::Hang { vendor },
        "pulse-rate-limit" => Fault::RateLimit { vendor },
        "broken-build" => Fault::BrokenBuild,
        "stuck-aliases" => Fault::StuckAliases,
        _ => return None,
    })
}

/// Throws a fault of [`BY_HAND`] in, or takes it away. Returns whether there is one of that name.
pub fn throw(world: &World, name: &str, on: bool) -> bool {
    let Some(fault) = by_hand(name) else { return false };
    if on {
        world.inject(fault, None);
    } else {
        world.clear(fault.kind());
    }
    true
}

/// Plays the scenario until the run is over or the store is gone.
pub async fn direct(store: Store, world: Arc<World>) {
    let by = Actor::machine("rehearsal");
    let mut state = store.state();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            changed = state.changed() => if changed.is_err() { return },
        }
        let now: Arc<State> = Arc::clone(&state.borrow_and_update());
        if now.run.is_none() {
            continue;
        }
        if now.ended().is_some() {
            return;
        }
        for number in begun(&now) {
            world.phase_started(number);
        }
        let names: BTreeSet<String> = world.faults().iter().map(|span| name(&span.fault)).collect();
        let came = names.difference(&known).map(|fault| Command::Inject { fault: fault.clone() });
        let went = known.difference(&names).map(|fault| Command::Clear { fault: fault.clone() });
        for command in came.chain(went) {
            if let Err(error) = store.submit(&by, command).await {
                tracing::warn!(%error, "a fault of the rehearsal was not recorded");
            }
        }
        known = names;
    }
}

fn begun(state: &State) -> Vec<u32> {
    let phases = state.plan().map_or(&[][..], |plan| plan.checklist.phases.as_slice());
    let begun = phases.iter().filter(|phase| state.phases.contains_key(&phase.id));
    begun.filter_map(|phase| phase.number().map(u32::from)).collect()
}

fn name(fault: &Fault) -> String {
    match fault.vendor() {
        Some(vendor) if !matches!(fault, Fault::AppDown) => {
            format!("{vendor:?} {}", fault.kind()).to_lowercase()
        }
        _ => fault.kind().to_owned(),
    }
}
