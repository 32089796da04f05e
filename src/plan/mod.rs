//! What should happen: the checklist, the metrics, the rollback ladder, the rollout stages, and who takes part.
//!
//! Everything here is a value: read once, carried whole by the journal's first event, and never changed by a run. Nothing
//! that acts, draws, stores or waits may enter (a test holds that line).

pub mod bundled;
pub mod checklist;
pub mod config;
pub mod ladder;
pub mod load;
pub mod metric;
pub mod problem;
pub mod role;
pub mod schedule;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use checklist::{
    Action, Block, Check, Checklist, Gate, GateId, Item, ItemId, ItemKind, Phase, PhaseId, PhaseKind, Section,
};
pub use config::Config;
pub use ladder::{Rung, RungKind, Stage};
pub use metric::{Better, Metric, MetricId, Severity, Unit};
pub use problem::Problem;
pub use role::Role;

/// One deployment's plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is deployed, as the header shows it ("Contacts Redesign").
    pub name: String,
    /// Its version ("2.0.0").
    pub version: String,
    /// The day of the deployment; the day the run was opened where the plan names none.
    pub day: Option<NaiveDate>,
    /// The zone in which the plan's times are meant (an IANA name in JSON).
    #[serde(with = "zone")]
    pub timezone: Tz,
    /// The checklist.
    pub checklist: Checklist,
    /// The gauges, in the order of the screen.
    pub metrics: Vec<Metric>,
    /// The ways out, the first to be taken first.
    pub ladder: Vec<Rung>,
    /// The gradual rollout.
    pub rollout: Vec<Stage>,
    /// Who may take part, if the plan names them; empty = whoever comes says who they are.
    pub operators: Vec<Operator>,
}

/// A person whom the plan names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The name by which events are signed.
    pub name: String,
    /// The roles this person may take.
    pub roles: Vec<Role>,
}

impl Plan {
    /// The phase of that id.
    pub fn phase(&self, id: &PhaseId) -> Option<&Phase> {
        self.checklist.phases.iter().find(|phase| &phase.id == id)
    }

    /// The item of that id and the phase it stands in.
    pub fn item(&self, id: &ItemId) -> Option<(&Phase, &Item)> {
        self.checklist
            .phases
            .iter()
            .find_map(|phase| Some((phase, phase.items().find(|item| &item.id == id)?)))
    }

    /// The gate of that id, with its phase and section.
    pub fn gate(&self, id: &GateId) -> Option<(&Phase, &Section, &Gate)> {
        self.checklist.phases.iter().find_map(|phase| {
            phase.sections.iter().find_map(|section| {
                section.gates.iter().find(|gate| &gate.id == id).map(|gate| (phase, section, gate))
            })
        })
    }

    /// The metric of that id.
    pub fn metric(&self, id: &MetricId) -> Option<&Metric> {
        self.metrics.iter().find(|metric| &metric.id == id)
    }
}

mod zone {
    use chrono_tz::Tz;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` calls it so")]
    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom(format!("{name:?} is not an IANA time zone")))
    }
}
