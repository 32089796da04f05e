//! `[[ladder]]`, `[[rollout]]` and `[[operators]]`: the ways out, the way in, and who takes part. The first two replace the defaults whole.

use std::time::Duration;

use serde::Deserialize;

use super::super::{Role, Rung, RungKind, Stage};
use super::words;

/// `[[ladder]]`: one way out, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungTable {
    /// What is taken back.
    pub kind: RungKind,
    /// Its name on the screen.
    pub title: Option<String>,
    /// Until users are safe, at most.
    #[serde(default, deserialize_with = "words::maybe_span")]
    pub bound: Option<Duration>,
    /// What is lost by it.
    pub loses: Option<String>,
    /// The rung that must have been taken before, counted from 1.
    pub needs: Option<u8>,
    /// What must be typed before it is taken; the database's name where it loses data.
    pub confirm: Option<String>,
}

/// `[[rollout]]`: one stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTable {
    /// The share of users, in percent.
    pub share: u8,
    /// Who they are.
    pub who: String,
    /// How long it lasts.
    #[serde(deserialize_with = "words::span")]
    pub lasts: Duration,
    /// What must hold for the next one.
    #[serde(default)]
    pub go_if: Vec<String>,
}

/// `[[operators]]`: a person who may take part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorTable {
    /// The name by which events are signed.
    pub name: String,
    /// The roles that person may take.
    #[serde(deserialize_with = "words::roles")]
    pub roles: Vec<Role>,
}

/// The rung of a kind as it is by default.
fn rung(kind: RungKind, order: u8, database: &str) -> Rung {
    let (title, minutes, loses) = match kind {
        RungKind::Flag => ("flag off", 2, "nothing"),
        RungKind::Deployment => ("deployment back", 5, "nothing"),
        RungKind::Database => ("database back", 20, "what was written since the migration"),
    };
    Rung {
        order,
        kind,
        title: title.to_owned(),
        bound: Duration::from_mins(minutes),
        loses: loses.to_owned(),
        needs: None,
        confirm: kind.loses_data().then(|| database.to_owned()),
    }
}

/// The ladder of a file; the flag, the deployment, then the database where it names none.
pub(super) fn ladder(tables: &[RungTable], database: &str) -> Vec<Rung> {
    let rung = |kind, order| rung(kind, order, database);
    if tables.is_empty() {
        let database = Rung { needs: Some(2), ..rung(RungKind::Database, 3) };
        return vec![rung(RungKind::Flag, 1), rung(RungKind::Deployment, 2), database];
    }
    let orders = 1_u8..;
    tables
        .iter()
        .zip(orders)
        .map(|(table, order)| {
            let default = rung(table.kind, order);
            Rung {
                title: table.title.clone().unwrap_or(default.title),
                bound: table.bound.unwrap_or(default.bound),
                loses: table.loses.clone().unwrap_or(default.loses),
                needs: table.needs,
                confirm: table.confirm.clone().or(default.confirm),
                ..default
            }
        })
        .collect()
}

/// The stages of a file; 10, 50 and 100 % where it names none.
pub(super) fn rollout(tables: &[StageTable]) -> Vec<Stage> {
    if tables.is_empty() {
        let week = Duration::from_hours(7 * 24);
        let stage = |share, who: &str, lasts, go_if: &[&str]| Stage {
            share,
            who: who.to_owned(),
            lasts,
            go_if: go_if.iter().map(|text| (*text).to_owned()).collect(),
        };
        return vec![
            stage(10, "internal users", week, &["error rate < 0.1 %", "no critical bug"]),
            stage(
                50,
                "random users, the same ones every time",
                week,
                &[
                    "users with it do better than users without",
                    "page load < 2 s",
                    "error rate < baseline + 0.1 %",
                ],
            ),
            stage(
                100,
                "everybody",
                Duration::from_hours(48),
                &["error rate < 0.5 %", "page load p95 < 2 s", "no database issue"],
            ),
        ];
    }
    tables
        .iter()
        .map(|table| Stage {
            share: table.share,
            who: table.who.clone(),
            lasts: table.lasts,
            go_if: table.go_if.clone(),
        })
        .collect()
}
