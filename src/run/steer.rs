//! How people steer work while it runs. Each wish is a fact with its author and time; what is in force is read off the list of
//! them, newest last. No rule stands here: who may wish what is decided in `decide::steer`.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::Actor;
use super::job::{Nature, StepOutcome, StepPlan};
use super::live::Blocker;

/// The pace where nobody has said anything, in percent.
pub const USUAL_PACE: u16 = 100;
/// The slowest and the fastest pace that can be wished for, in percent.
pub const PACES: std::ops::RangeInclusive<u16> = 10..=400;

/// A wish about work that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case")]
pub enum Steer {
    /// Batches at that pace from now on.
    Pace {
        /// In percent of what the work does by itself: 50 rests as long as it works, 200 takes twice as much at a time.
        percent: u16,
    },
    /// Wait for a person before the next lock that stops clients.
    Hold,
    /// Do not wait there any more.
    Release,
    /// That step may be taken, though it waits for a person: it is held, or there is no way back from it.
    Let {
        /// Its name in the plan.
        step: Arc<str>,
    },
    /// Leave out that step, which only builds an index.
    LeaveOut {
        /// Its name in the plan.
        step: Arc<str>,
    },
    /// End what somebody else does, who stands in the way.
    End {
        /// Whose.
        session: Session,
        /// How much of it.
        what: Extent,
        /// What was typed to confirm it: the process id, or the application's name.
        typed: String,
    },
}

/// How much of another's session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// What it runs now (`pg_cancel_backend`); its connection stays.
    Query,
    /// The whole session (`pg_terminate_backend`); its transaction is rolled back.
    Session,
}

/// A session of the database, as it is written down. Its query is shown and not kept: it may hold anybody's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The backend's process id.
    pub pid: i32,
    /// When the backend began; with the process id it is this session and no later one.
    pub since: DateTime<Utc>,
    /// Its application's name.
    pub app: String,
    /// Its role in the database.
    pub user: String,
    /// Its state when it was looked at ("idle in transaction").
    pub state: String,
    /// The age of its transaction when it was looked at, in seconds.
    pub age: f64,
}

impl Session {
    /// Of somebody in the way; none where it is not known which session that is.
    pub fn of(blocker: &Blocker) -> Option<Self> {
        Some(Self {
            pid: blocker.pid,
            since: blocker.since?,
            app: blocker.app.clone(),
            user: blocker.user.clone(),
            state: blocker.state.clone(),
            age: blocker.age,
        })
    }

    /// Whether it is the same one.
    pub fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.since == other.since
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        match (self.app.as_str(), self.user.as_str()) {
            ("", "") => Ok(()),
            ("", one) | (one, "") => write!(f, " ({one})"),
            (app, user) => write!(f, " ({app}, {user})"),
        }
    }
}

/// A wish that was let into the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steered {
    /// Whose.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// What for.
    pub steer: Steer,
    /// What came of it, where it is something to be carried out once.
    pub answer: Option<StepOutcome>,
}

/// The pace in force, in percent.
pub fn pace(steered: &[Steered]) -> u16 {
    let paces = steered.iter().rev().find_map(|one| match one.steer {
        Steer::Pace { percent } => Some(percent),
        _ => None,
    });
    paces.unwrap_or(USUAL_PACE)
}

/// Who has said that locks are to wait, if that is in force.
pub fn hold(steered: &[Steered]) -> Option<&Steered> {
    let last = steered.iter().rev().find(|one| matches!(one.steer, Steer::Hold | Steer::Release))?;
    (last.steer == Steer::Hold).then_some(last)
}

/// Who has let a step go on that waits for a person.
pub fn let_by<'a>(steered: &'a [Steered], name: &str) -> Option<&'a Steered> {
    steered.iter().find(|one| matches!(&one.steer, Steer::Let { step } if **step == *name))
}

/// Who has left a step out.
pub fn left_out<'a>(steered: &'a [Steered], name: &str) -> Option<&'a Steered> {
    steered.iter().find(|one| matches!(&one.steer, Steer::LeaveOut { step } if **step == *name))
}

/// Every point of no return among those steps, let by somebody who answers for all of them at once: whoever typed the name of
/// what a way back loses, or a rehearsal, which loses nothing.
pub fn all_let(steps: &[StepPlan], by: &Actor, at: DateTime<Utc>) -> Vec<Steered> {
    let points = steps.iter().filter(|step| step.nature == Nature::NoReturn);
    let lets = points.map(|step| Steer::Let { step: step.name.clone() });
    lets.map(|steer| Steered { by: by.clone(), at, steer, answer: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Role;

    fn said(steers: &[Steer]) -> Vec<Steered> {
        let at = DateTime::from_timestamp(1_790_000_000, 0).expect("a valid moment");
        let one = |steer: &Steer| Steered {
            by: Actor::person("dora", Role::Dba),
            at,
            steer: steer.clone(),
            answer: None,
        };
        steers.iter().map(one).collect()
    }

    #[test]
    fn the_newest_word_holds() {
        let nothing = said(&[]);
        assert_eq!((pace(&nothing), hold(&nothing)), (USUAL_PACE, None));
        let words =
            said(&[Steer::Hold, Steer::Pace { percent: 50 }, Steer::Release, Steer::Pace { percent: 200 }]);
        assert_eq!((pace(&words), hold(&words)), (200, None));
        assert!(hold(&said(&[Steer::Release, Steer::Hold])).is_some());
    }

    #[test]
    fn a_step_is_let_by_its_name() {
        let words = said(&[Steer::Let { step: "001 a".into() }, Steer::LeaveOut { step: "001 i".into() }]);
        assert!(let_by(&words, "001 a").is_some() && let_by(&words, "001 i").is_none());
        assert!(left_out(&words, "001 i").is_some() && left_out(&words, "001 a").is_none());
    }
}
