//! Who sits in the cockpit, and how the screen is to look.

use std::path::Path;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::plan::Role;
use crate::run::Actor;
use crate::tui::{Depth, Fault, Mouse, Options, Theme};

/// The seat and its screen.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The role you act in.
    #[arg(long, global = true, value_name = "ROLE", default_value = "lead", env = "GONOGO_ROLE")]
    role: Role,
    /// The name by which your acts are signed; the user's where none is given.
    #[arg(long, global = true, value_name = "NAME", env = "GONOGO_NAME")]
    name: Option<String>,
    /// The theme: dark, light, contrast, or a file.
    #[arg(long, global = true, value_name = "THEME", default_value = "dark", env = "GONOGO_THEME")]
    theme: String,
    /// Listen to the mouse (then hold Shift to select text).
    #[arg(long, global = true)]
    mouse: bool,
}

impl Args {
    /// Who sits here.
    pub(super) fn actor(&self) -> Actor {
        let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let name = self.name.clone().or_else(user).filter(|name| !name.trim().is_empty());
        Actor::person(name.as_deref().unwrap_or(self.role.word()).trim(), self.role)
    }

    /// The theme's name or file.
    pub(super) fn theme(&self) -> &str {
        &self.theme
    }

    /// How the screen is to look.
    pub(super) fn screen(&self, faults: Vec<Fault>) -> Result<Options, crate::tui::theme::ThemeError> {
        let depth = Depth::detect(|name| std::env::var(name).ok());
        let mouse = if self.mouse { Mouse::On } else { Mouse::Off };
        Ok(Options { theme: Theme::load(&self.theme, depth)?, mouse, faults })
    }
}

/// Where everything that is not for the screen goes: a file beside the journal. `GONOGO_LOG` says how much (`debug`,
/// `gonogo::services=trace`).
pub(super) fn log_to(dir: &Path) {
    let opened = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::File::options().create(true).append(true).open(dir.join("gonogo.log")));
    let Ok(file) = opened else { return }; // the journal's own error says that the directory cannot be written
    // Set to nothing counts as not set: it would parse, and silence the log.
    let wanted = std::env::var("GONOGO_LOG").ok().filter(|levels| !levels.trim().is_empty());
    let wanted = wanted.and_then(|levels| levels.parse::<Targets>().ok());
    let levels = wanted.unwrap_or_else(|| {
        Targets::new().with_default(LevelFilter::WARN).with_target("gonogo", LevelFilter::INFO)
    });
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(file).with_filter(levels);
    if tracing_subscriber::registry().with(log).try_init().is_err() {
        tracing::debug!("the log is open already");
    }
}
