//! A small plan for the tests of the rules and of the rooms that stand on them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::event::{Actor, Mode, Record};
use super::{Command, Refusal, State, decide};
use crate::plan::checklist::{Action, Check, Checklist, Gate, Item, ItemKind, Phase, PhaseKind, Section};
use crate::plan::{Better, Metric, Plan, Role, Rung, RungKind, Severity, Unit};

pub(crate) fn item(id: &str, owner: Role) -> Item {
    Item {
        id: id.into(),
        text: id.replace('-', " "),
        kind: ItemKind::Tick,
        owner: Some(owner),
        action: None,
        check: None,
        commands: Vec::new(),
        due: None,
        wait: None,
        ticked: false,
        items: Vec::new(),
        line: 1,
    }
}

fn phase(id: &str, kind: PhaseKind, owner: Role, items: Vec<Item>, gates: Vec<Gate>) -> Phase {
    let section = Section { title: String::new(), takes: None, items, gates, prose: String::new(), line: 1 };
    Phase {
        id: id.into(),
        title: id.replace('-', " "),
        kind,
        owner: Some(owner),
        starts: None,
        takes: Some(Duration::from_mins(20)),
        sections: vec![section],
        line: 1,
    }
}

pub(crate) fn plan() -> Plan {
    let signed = |id: &str, roles: &[Role], people| Gate {
        id: id.into(),
        title: id.replace('-', " "),
        roles: roles.to_vec(),
        people,
        line: 1,
    };
    let backup = Item { action: Some(Action::Backup), ..item("backup", Role::Dba) };
    let migrate = Item { action: Some(Action::Migrate { to: None }), ..item("migrate", Role::Dba) };
    let deploy =
        Item { action: Some(Action::Deploy), check: Some(Check::Version), ..item("deploy", Role::Devops) };
    let reading = Item {
        kind: ItemKind::Value { expect: Some("< 0.5 %".into()) },
        check: Some(Check::Metric { name: "error_rate".into() }),
        due: Some(Duration::from_mins(15)),
        ..item("reading", Role::Devops)
    };
    let colour = Item {
        kind: ItemKind::Choice { of: ["GREEN", "YELLOW", "RED"].map(String::from).to_vec() },
        ..item("colour", Role::Devops)
    };
    let parent = Item { items: vec![item("child", Role::Qa)], ..item("parent", Role::Qa) };
    let rung = |order, kind: RungKind, needs| Rung {
        order,
        kind,
        title: format!("{kind:?} back").to_lowercase(),
        bound: Duration::from_mins(5),
        loses: if kind.loses_data() { "what was written since".into() } else { "nothing".into() },
        needs,
        confirm: kind.loses_data().then(|| "crm".into()),
    };
    Plan {
        name: "Contacts Redesign".into(),
        version: "2.0.0".into(),
        day: None,
        timezone: chrono_tz::America::New_York,
        checklist: Checklist {
            title: "Contacts Redesign".into(),
            phases: vec![
                phase(
                    "preparation",
                    PhaseKind::Preparation,
                    Role::Lead,
                    vec![parent],
                    vec![signed("ready", &[Role::Lead, Role::Devops], 2)],
                ),
                phase("database", PhaseKind::Numbered(1), Role::Dba, vec![backup, migrate, deploy], vec![]),
                phase("monitoring", PhaseKind::Numbered(2), Role::Devops, vec![reading, colour], vec![]),
            ],
        },
        metrics: vec![Metric {
            id: "error_rate".into(),
            label: "error rate".into(),
            unit: Unit::Percent,
            better: Better::Lower,
            target: 0.5,
            alert: 5.0,
            severity: Severity::Critical,
            source: "sentry-error-rate".into(),
            window: Duration::from_mins(5),
            min_samples: 20,
            fresh: Duration::from_mins(2),
            hold: Duration::from_mins(1),
        }],
        ladder: vec![
            rung(1, RungKind::Flag, None),
            rung(2, RungKind::Deployment, None),
            rung(3, RungKind::Database, Some(2)),
        ],
        rollout: Vec::new(),
        operators: Vec::new(),
    }
}

/// A run that is folded without a store.
#[derive(Clone)]
pub(crate) struct Fold {
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
}

impl Fold {
    pub(crate) fn opened() -> Self {
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a valid moment");
        let mut fold = Self { state: State::default(), now };
        let open = Command::Open { plan: Arc::new(plan()), mode: Mode::Rehearsal };
        fold.give("lea", Role::Lead, open).expect("the run opens");
        fold
    }

    pub(crate) fn give(&mut self, name: &str, role: Role, command: Command) -> Result<usize, Refusal> {
        let by = Actor::person(name, role);
        let events = decide(&self.state, &by, command)?;
        let made = events.len();
        for event in events {
            let seq = self.state.seq + 1;
            self.state.apply(Arc::new(Record { seq, at: self.now, by: by.clone(), event }));
        }
        Ok(made)
    }

    pub(crate) fn must(&mut self, name: &str, role: Role, command: Command) {
        let words = format!("{command:?}");
        if let Err(refusal) = self.give(name, role, command) {
            panic!("{words} was refused: {refusal}");
        }
    }

    pub(crate) fn refused(&mut self, name: &str, role: Role, command: Command) -> String {
        let before = self.state.clone();
        let words = format!("{command:?} is refused");
        let refusal = self.give(name, role, command).expect_err(&words);
        assert_eq!(before, self.state, "a refusal changes nothing");
        refusal.to_string()
    }
}
