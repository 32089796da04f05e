//! The checklist as rows, and where the cursor stands in it. A place is named by its id, never by its number, so that what
//! another cockpit does cannot slide a different item under the finger.

use chrono::{DateTime, Utc};

use crate::plan::{Gate, GateId, Item, ItemId, Phase, PhaseId, Plan, Section};
use crate::run::next::{Next, next};
use crate::run::state::State;

/// A place in the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A phase.
    Phase(PhaseId),
    /// An item.
    Item(ItemId),
    /// A gate.
    Gate(GateId),
}

/// A row of the checklist.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A phase.
    Phase(&'a Phase),
    /// A section's heading.
    Section(&'a Section),
    /// An item, and how deep it stands.
    Item(&'a Phase, &'a Item, usize),
    /// A gate.
    Gate(&'a Phase, &'a Gate),
}

impl Row<'_> {
    /// The place that it is; a heading is none.
    pub fn spot(&self) -> Option<Spot> {
        match self {
            Self::Phase(phase) => Some(Spot::Phase(phase.id.clone())),
            Self::Section(_) => None,
            Self::Item(_, item, _) => Some(Spot::Item(item.id.clone())),
            Self::Gate(_, gate) => Some(Spot::Gate(gate.id.clone())),
        }
    }

    /// Whether it is that place.
    pub fn is(&self, spot: &Spot) -> bool {
        match (self, spot) {
            (Self::Phase(phase), Spot::Phase(id)) => phase.id == *id,
            (Self::Item(_, item, _), Spot::Item(id)) => item.id == *id,
            (Self::Gate(_, gate), Spot::Gate(id)) => gate.id == *id,
            _ => false,
        }
    }
}

/// Which phases show what is in them.
#[derive(Debug, Clone, Copy)]
pub enum Unfolded<'a> {
    /// All.
    All,
    /// One, without its sections' headings.
    Only(&'a PhaseId),
}

/// The rows, in the order of the plan; with a filter only the items and gates that match, under their phase.
pub fn rows<'a>(plan: &'a Plan, unfolded: Unfolded<'_>, filter: &str) -> Vec<Row<'a>> {
    let filter = filter.to_lowercase();
    let wanted = |text: &str| filter.is_empty() || text.to_lowercase().contains(&filter);
    let mut rows = Vec::new();
    for phase in &plan.checklist.phases {
        rows.push(Row::Phase(phase));
        let headings = match unfolded {
            Unfolded::All => true,
            Unfolded::Only(id) if *id == phase.id => false,
            Unfolded::Only(_) => continue,
        };
        for section in &phase.sections {
            let before = rows.len();
            if headings && !section.title.is_empty() {
                rows.push(Row::Section(section));
            }
            let from = rows.len();
            nest(phase, &section.items, 0, &wanted, &mut rows);
            rows.extend(
                section.gates.iter().filter(|gate| wanted(&gate.title)).map(|gate| Row::Gate(phase, gate)),
            );
            if rows.len() == from && !filter.is_empty() {
                rows.truncate(before);
            }
        }
    }
    rows
}

fn nest<'a>(
    phase: &'a Phase,
    items: &'a [Item],
    depth: usize,
    wanted: &impl Fn(&str) -> bool,
    rows: &mut Vec<Row<'a>>,
) {
    for item in items {
        if wanted(&item.text) {
            rows.push(Row::Item(phase, item, depth));
        }
        nest(phase, &item.items, depth + 1, wanted, rows);
    }
}

/// The place that comes next.
pub fn next_spot(state: &State, now: DateTime<Utc>) -> Option<Spot> {
    Some(match next(state, now) {
        Next::Item(item) | Next::Wait(item, _) | Next::Failed(item) => Spot::Item(item),
        Next::Sign(gate, _) => Spot::Gate(gate),
        Next::Start(phase) | Next::Go(phase) | Next::Held(phase, _) => Spot::Phase(phase),
        Next::Job(job) | Next::Answer(job) => match &state.jobs.get(&job)?.item {
            Some(item) => Spot::Item(item.clone()),
            None => Spot::Phase(state.current_phase()?.id.clone()),
        },
        Next::Open | Next::Alert(_) | Next::Close | Next::TakenBack | Next::Over => {
            Spot::Phase(state.current_phase().or(state.plan()?.checklist.phases.last())?.id.clone())
        }
    })
}

/// The phase that a place is in.
pub fn phase_of<'a>(plan: &'a Plan, spot: &Spot) -> Option<&'a Phase> {
    match spot {
        Spot::Phase(id) => plan.phase(id),
        Spot::Item(id) => plan.item(id).map(|(phase, _)| phase),
        Spot::Gate(id) => plan.gate(id).map(|(phase, ..)| phase),
    }
}
