//! The footer: the one next thing with its owner and its key, or the last word to the person; and the keys that do something
//! now, from the table of keys and the rules of the run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::plan::{Item, Role as Duty};
use crate::run::job::Job;
use crate::run::next::{Next, next};
use crate::run::state::State;
use crate::tui::keymap::{Act, BINDINGS, Binding, Group, Where};
use crate::tui::panes::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, span};
use crate::tui::{Notice, acts};

/// Draws both lines.
pub(super) fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let mut rows = area.rows();
    if let Some(line) = rows.next() {
        match scene.app.notice() {
            Some(notice) => word(scene, notice).draw(buf, line),
            None => coming(scene).draw(buf, line),
        }
    }
    if let Some(line) = rows.next() {
        hints(scene, usize::from(area.width)).draw(buf, line);
    }
}

fn word<'a>(scene: &Scene<'_>, notice: &'a Notice) -> Row<'a> {
    let (sign, text, role) = match notice {
        Notice::Refused(text) => (" ✘ refused: ", text, Role::Warn),
        Notice::Failed(text) => (" ✘ failed: ", text, Role::Bad),
        Notice::Info(text) => (" ● ", text, Role::Accent),
    };
    Row::new().put(sign, scene.of(role)).put(text.as_str(), scene.of(Role::Text))
}

/// What is next, in words.
fn coming(scene: &Scene<'_>) -> Row<'static> {
    let Coming { what, owner, key, role } = words(scene);
    let mut row = Row::new().put(" next: ", scene.of(Role::Muted));
    if let Some(owner) = owner {
        let mine = owner == scene.app.seat().role;
        row = row.put(format!("{owner} "), scene.of(if mine { Role::Accent } else { Role::Muted }));
    }
    row = row.put(what, scene.of(role));
    match key.and_then(crate::tui::keymap::binding) {
        Some(binding) => row
            .end(format!("{} ", binding.label()), scene.of(Role::Accent))
            .end(format!("{} ", binding.word), scene.of(Role::Text)),
        None => row,
    }
}

struct Coming {
    what: String,
    owner: Option<Duty>,
    key: Option<Act>,
    role: Role,
}

fn words(scene: &Scene<'_>) -> Coming {
    let world = &scene.world;
    let state = world.state;
    let plain = |what: String| Coming { what, owner: None, key: None, role: Role::Text };
    let phase = |id| world.plan().and_then(|plan| plan.phase(id));
    let item = |id| world.plan().and_then(|plan| plan.item(id)).map(|(_, item)| item);
    match next(state, world.now) {
        Next::Open if world.boot.has_failed() => Coming {
            key: Some(Act::Quit),
            role: Role::Bad,
            ..plain("mend what is named above, then start again".into())
        },
        Next::Open => plain("the run is being opened".into()),
        Next::Over => plain("the run is over; notes can still be added".into()),
        Next::Close => {
            Coming { key: Some(Act::End), owner: Some(Duty::Lead), ..plain("ends the run".into()) }
        }
        Next::TakenBack => Coming {
            key: Some(Act::End),
            owner: Some(Duty::Lead),
            role: Role::Warn,
            what: "the release was taken back: end the run, or bring it live again (:)".into(),
        },
        Next::Alert(metric) => {
            let label = world.plan().and_then(|plan| plan.metric(&metric)).map(|metric| metric.label.clone());
            let what = format!("decides on the alert on {}", label.unwrap_or_else(|| metric.to_string()));
            let key =
                if acts::hindrance(Act::WayOut, scene.app, world).is_none() { Act::WayOut } else { Act::Arm };
            Coming { what, owner: Some(Duty::Lead), key: Some(key), role: Role::Bad }
        }
        Next::Job(id) => plain(state.jobs.get(&id).map_or_else(String::new, |job| job_words(scene, job))),
        Next::Answer(id) => {
            let job = state.jobs.get(&id);
            let question = job.and_then(|job| job.question()).map(|question| question.what.as_str());
            let what = format!("{id} asks: {}; x gives it up", question.unwrap_or_default());
            Coming { key: Some(Act::GoOn), role: Role::Warn, ..plain(what) }
        }
        Next::Start(id) => Coming {
            owner: phase(&id).and_then(|phase| phase.owner),
            key: Some(Act::Go),
            ..plain(format!("starts {}", phase(&id).map_or("", |phase| phase.title.as_str())))
        },
        Next::Go(id) => Coming {
            owner: Some(Duty::Lead),
            key: Some(Act::Go),
            ..plain(format!("calls GO for {}", phase(&id).map_or("", |phase| phase.title.as_str())))
        },
        Next::Held(_, why) => Coming { role: Role::Warn, ..plain(format!("GO is held: {}", why.join("; "))) },
        Next::Item(id) => {
            let machine = item(&id).is_some_and(|item| item.action.is_some() || item.check.is_some());
            let key = if machine { Act::Enter } else { Act::Tick };
            Coming { owner: state.owner(&id), key: Some(key), ..plain(item_words(item(&id))) }
        }
        Next::Failed(id) => Coming {
            owner: state.owner(&id),
            role: Role::Bad,
            ..plain(format!("failed: {}; try again, skip with a reason, or go back", item_words(item(&id))))
        },
        Next::Wait(id, at) => Coming {
            owner: state.owner(&id),
            key: world.rehearses().then_some(Act::Jump),
            ..plain(format!("{} in {}", item_words(item(&id)), span(at - world.now)))
        },
        Next::Sign(id, role) => {
            let title = world.plan().and_then(|plan| plan.gate(&id)).map(|(_, _, gate)| gate.title.clone());
            let what = format!("signs {}", title.unwrap_or_else(|| id.to_string()));
            Coming { owner: Some(role), key: Some(Act::Tick), ..plain(what) }
        }
    }
}

fn item_words(item: Option<&Item>) -> String {
    item.map_or_else(String::new, |item| item.text.clone())
}

fn job_words(scene: &Scene<'_>, job: &Job) -> String {
    let doing = scene.world.live.progress.get(&job.id).map(|progress| format!(": {}", progress.doing));
    let (done, all) = job.steps_done();
    let steps = if all > 0 { format!(", step {} of {all}", (done + 1).min(all)) } else { String::new() };
    format!("{} {} runs{steps}{}", job.kind.title(), job.id, doing.unwrap_or_default())
}

/// The keys that do something now. What cannot be done by this seat is left out, and so is what it did to itself.
fn hints(scene: &Scene<'_>, width: usize) -> Row<'static> {
    let (key, word) = (scene.of(Role::Accent), scene.of(Role::Muted));
    let tail = [Act::Palette, Act::Help];
    let fixed = "1-8 panes  : commands  ? help ".chars().count();
    let mut row = Row::new().put(" ", word);
    let order = |group: Group| group != Group::Look;
    // What only this pane has comes first: the others are known by then.
    let own = |binding: &&Binding| matches!(binding.place, Where::In(_));
    let named = || BINDINGS.iter().filter(|binding| order(binding.group) && !binding.word.is_empty());
    for binding in named().filter(own).chain(named().filter(|binding| !own(binding))) {
        if !binding.holds(scene.app.pane()) || acts::hindrance(binding.act, scene.app, &scene.world).is_some()
        {
            continue;
        }
        if binding.act == Act::Enter && scene.app.runnable(&scene.world).is_none() {
            continue;
        }
        let label = binding.label();
        let text = match binding.act {
            Act::Arm if is_armed(scene.world.state) => "disarm",
            Act::Tick if matches!(scene.app.spot(&scene.world), Some(crate::tui::rows::Spot::Gate(_))) => {
                "sign"
            }
            _ => binding.word,
        };
        if row.width() + label.chars().count() + text.chars().count() + 3 + fixed > width {
            continue;
        }
        row = row.put(label, key).put(format!(" {text}  "), word);
    }
    row = row.end("1-8", key).end(" panes  ", word);
    for binding in tail.into_iter().filter_map(crate::tui::keymap::binding) {
        let gap = if binding.act == Act::Help { " " } else { "  " };
        row = row.end(binding.label(), key).end(format!(" {}{gap}", binding.word), word);
    }
    row
}

fn is_armed(state: &State) -> bool {
    matches!(state.guard, crate::run::state::Guard::Armed { .. })
}
