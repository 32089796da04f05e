//! `gonogo rehearse`: the whole deployment against stand-ins, by hand or on autopilot.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use super::front::{Backstage, Opened, Starting, pair};
use super::headless::{Form, follow, rest, say, sum_up};
use super::{Exit, Files, complain, runtime, seat};
use crate::clock::Clock;
use crate::cockpit::{Cockpit, CockpitError, new_id};
use crate::rehearsal::autopilot::{self, Until};
use crate::rehearsal::stage::{Options, Prop, Stage, StageError, Start};
use crate::rehearsal::{director, proof};
use crate::run::{Actor, Mode};
use crate::tui;

/// How fast a rehearsal runs where nobody says: by hand there must be time to press keys.
const BY_HAND: f64 = 20.0;
const ON_AUTOPILOT: f64 = 240.0;

/// What is rehearsed, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What goes wrong: smooth, error-spike, pulse-outage, migration-fails, …
    #[arg(long, value_name = "NAME", default_value = "smooth")]
    scenario: String,
    /// How fast the clock runs (20 by hand, 240 on autopilot).
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    speed: Option<f64>,
    /// How many contacts the CRM and profiles Pulse has.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    contacts: Option<u32>,
    /// Clone the schema of this database, by the name of the environment variable that holds its URL, or the URL.
    #[arg(long, value_name = "DATABASE_URL")]
    from: Option<String>,
    /// Let an operator follow the plan; without a terminal it always does.
    #[arg(long)]
    autopilot: bool,
    /// Let the operator bring the run to this phase; from there it is yours.
    #[arg(long, value_name = "PHASE", conflicts_with = "autopilot", value_parser = clap::value_parser!(u8).range(1..=99))]
    take_over: Option<u8>,
    /// Begin anew even if an unfinished rehearsal of this scenario is there.
    #[arg(long)]
    fresh: bool,
    /// The rehearsal's directory.
    #[arg(long, value_name = "DIR", default_value = ".gonogo/rehearsal")]
    dir: PathBuf,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it must be a number, such as 240".to_owned())?;
    if (0.1..=3_600.0).contains(&speed) { Ok(speed) } else { Err("it must lie between 0.1 and 3600".into()) }
}

/// Who turns the wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pilot {
    Person,
    Auto(Until),
}

impl Args {
    fn options(&self, files: &Files, pilot: Pilot) -> Options {
        let from = self.from.as_ref().map(|from| std::env::var(from).unwrap_or_else(|_| from.clone()));
        Options {
            dir: self.dir.clone(),
            scenario: self.scenario.clone(),
            speed: self.speed.unwrap_or(match pilot {
                Pilot::Person | Pilot::Auto(Until::Phase(_)) => BY_HAND,
                Pilot::Auto(Until::Over) => ON_AUTOPILOT,
            }),
            contacts: self.contacts,
            from: from.map(SecretString::from),
            config: files.config.clone(),
            checklist: files.checklist.clone(),
            start: if self.fresh { Start::Fresh } else { Start::Resume },
        }
    }
}

pub(super) fn run(args: &Args, files: &Files, seat: &seat::Args, json: bool) -> color_eyre::Result<Exit> {
    seat::log_to(&args.dir);
    let screen = std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !json;
    let pilot = match args.take_over {
        _ if args.autopilot || !screen => Pilot::Auto(Until::Over),
        Some(phase) => Pilot::Auto(Until::Phase(phase)),
        None => Pilot::Person,
    };
    let options = args.options(files, pilot);
    if screen {
        on_screen(options, seat, pilot)
    } else {
        runtime()?.block_on(headless(options, Form::of(json)))
    }
}

/// Everything that runs behind a rehearsal.
async fn begin(
    options: &Options,
    clock: &Clock,
    seat: &Actor,
    id: Arc<str>,
    pilot: Pilot,
    told: impl FnMut(Prop, String),
) -> Result<Opened, RehearsalError> {
    let stage = Stage::set(options, clock, told).await?;
    let cockpit = Cockpit::open(stage.store.clone(), &stage.loaded, Mode::Rehearsal, seat, id).await?;
    let world = Arc::clone(&stage.world);
    let mut tasks = vec![tokio::spawn(director::direct(stage.store.clone(), Arc::clone(&world)))];
    if let Pilot::Auto(until) = pilot {
        let store = stage.store.clone();
        tasks.push(tokio::spawn(async move { autopilot::follow(&store, until).await }));
    }
    Ok(Opened { cockpit, world: Some(world), backstage: Backstage { stage: Some(stage), tasks } })
}

/// Why a rehearsal did not begin.
#[derive(Debug, thiserror::Error)]
enum RehearsalError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Cockpit(#[from] CockpitError),
}

fn on_screen(options: Options, args: &seat::Args, pilot: Pilot) -> color_eyre::Result<Exit> {
    let faults = director::BY_HAND.map(|(name, words)| tui::Fault { name: name.into(), words: words.into() });
    let screen = match args.screen(faults.to_vec()) {
        Ok(screen) => screen,
        Err(error) => return complain(&error, false),
    };
    let actor = args.actor();
    runtime()?.block_on(async move {
        let clock = Clock::paced(Clock::wall().now(), options.speed);
        let id = new_id();
        let mut steps: Vec<&str> = Prop::ALL.iter().map(|prop| prop.words()).collect();
        steps.push("run and workers");
        let (feed, front) = pair(clock.clone(), actor.clone(), Arc::clone(&id), &steps);
        let behind = tokio::spawn(async move {
            let boot: Starting = front.boot.clone();
            let told = |prop: Prop, note: String| {
                boot.done(Prop::ALL.iter().position(|known| *known == prop).unwrap_or_default(), note);
            };
            match begin(&options, &clock, &actor, id, pilot, told).await {
                Ok(opened) => {
                    boot.done(Prop::ALL.len(), "");
                    front.serve(opened).await;
                    Exit::Go
                }
                Err(error) => {
                    tracing::error!(%error, "the rehearsal did not begin");
                    boot.failed(&error.to_string(), "nothing outside the rehearsal's directory was touched");
                    front.stand_by().await;
                    Exit::Usage
                }
            }
        });
        let shown = tui::run(feed, screen).await;
        let exit = behind.await?;
        shown.map(|()| exit)
    })
}

async fn headless(options: Options, form: Form) -> color_eyre::Result<Exit> {
    let clock = Clock::paced(Clock::wall().now(), options.speed);
    let seat = Actor::person("lead", crate::plan::Role::Lead);
    let told = |prop: Prop, note: String| tracing::info!(prop = prop.words(), note, "the stage is being set");
    let opened = match begin(&options, &clock, &seat, new_id(), Pilot::Auto(Until::Over), told).await {
        Ok(opened) => opened,
        Err(error) => return complain(&error, form == Form::Json),
    };
    let store = opened.cockpit.store.clone();
    let Backstage { stage, tasks } = &mut { opened.backstage };
    let pilot = tasks.pop();
    let printed = std::sync::atomic::AtomicU64::new(0);
    let told_to_end = tui::terminal::told_to_end()?;
    let ended = tokio::select! {
        () = async { if let Some(pilot) = pilot { pilot.await.ok(); } } => Ended::ByPilot,
        result = follow(&store, &printed, form) => { result?; Ended::ByPilot }
        () = told_to_end => Ended::Told,
        _ = tokio::signal::ctrl_c() => Ended::Told,
    };
    let from = printed.load(std::sync::atomic::Ordering::Relaxed);
    rest(&store, from, form).await?;
    opened.cockpit.leave().await;
    let state = store.now();
    let proof = match stage {
        Some(stage) => proof::look(stage).await,
        None => None,
    };
    if ended == Ended::Told {
        say("told to end; the same command goes on with this rehearsal");
    }
    say(&sum_up(&state, proof, form));
    Ok(match state.ended() {
        Some(ending) if ending.is_success() => Exit::Go,
        _ => Exit::NoGo,
    })
}

/// Why a rehearsal without a screen came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByPilot,
    Told,
}
