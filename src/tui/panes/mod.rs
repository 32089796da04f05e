//! One pane, one file, one function from a scene to cells. A pane reads; it decides nothing and changes nothing.

pub mod alerts;
pub mod checklist;
pub mod health;
pub mod import;
pub mod log;
pub mod migrations;
pub mod overview;
pub mod timeline;
pub mod wayout;

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::app::App;
use super::theme::{Role, Theme};
use super::{Boot, Fault};
use crate::plan::Plan;
use crate::run::{Live, State};

/// What can fill the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// All at once.
    #[default]
    Overview,
    /// The checklist with all its details.
    Checklist,
    /// The migrations, step by step.
    Migrations,
    /// The import.
    Import,
    /// The gauges.
    Health,
    /// The rollback ladder.
    WayOut,
    /// Planned against actual.
    Timeline,
    /// What happened.
    Log,
}

impl Pane {
    /// Every pane, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Checklist,
        Self::Migrations,
        Self::Import,
        Self::Health,
        Self::WayOut,
        Self::Timeline,
        Self::Log,
    ];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Checklist => "Checklist",
            Self::Migrations => "Migrations",
            Self::Import => "Pulse import",
            Self::Health => "Health",
            Self::WayOut => "Way out",
            Self::Timeline => "Timeline",
            Self::Log => "Log",
        }
    }
}

/// What is at the other end of the screen at a moment.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The run.
    pub state: &'a State,
    /// What stands beside it.
    pub live: &'a Live,
    /// The start-up.
    pub boot: &'a Boot,
    /// What keeps the journal from being followed or written.
    pub trouble: Option<&'a str>,
    /// The run's time.
    pub now: DateTime<Utc>,
    /// How much of that time honest work may take (`Clock::lag`).
    pub lag: Duration,
    /// This cockpit's id.
    pub cockpit: &'a str,
    /// The faults that a rehearsal offers.
    pub faults: &'a [Fault],
}

impl<'a> World<'a> {
    /// The plan, once there is one.
    pub fn plan(&self) -> Option<&'a Plan> {
        self.state.plan().map(|plan| &**plan)
    }

    /// The plan's zone; UTC without a plan.
    pub fn zone(&self) -> Tz {
        self.plan().map_or(Tz::UTC, |plan| plan.timezone)
    }

    /// Whether it is a rehearsal.
    pub fn rehearses(&self) -> bool {
        self.state.run.as_ref().is_some_and(|run| run.mode == crate::run::Mode::Rehearsal)
    }
}

/// All that a pane draws from.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The world.
    pub world: World<'a>,
    /// Where the person looks.
    pub app: &'a App,
    /// The colours.
    pub theme: &'a Theme,
}

impl Scene<'_> {
    /// The style of a role.
    pub const fn of(&self, role: Role) -> Style {
        self.theme.of(role)
    }
}

/// Draws the pane that was chosen.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    match scene.app.pane() {
        Pane::Overview => overview::draw(scene, buf, area),
        Pane::Checklist => checklist::draw(scene, buf, area),
        Pane::Migrations => migrations::draw(scene, buf, area),
        Pane::Import => import::draw(scene, buf, area),
        Pane::Health => health::draw(scene, buf, area),
        Pane::WayOut => wayout::draw(scene, buf, area),
        Pane::Timeline => timeline::draw(scene, buf, area),
        Pane::Log => log::draw(scene, buf, area),
    }
}
