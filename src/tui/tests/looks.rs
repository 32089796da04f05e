//! How it looks: every pane at the sizes people have, as text; and where colour means something, the styles as well.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use crate::plan::Role;
use crate::run::job::{Facts, ImportTotals, JobKind, RehearsedMigration};
use crate::run::live::More;
use crate::run::{Command, Mode, WorkerId};
use crate::tui::app::{App, Input};
use crate::tui::fixture::{self, Story, moments, person};
use crate::tui::panes::{Scene, World};
use crate::tui::widgets::text::clock;
use crate::tui::{Boot, Depth, Theme, screen};

fn drawn(
    story: &Story,
    boot: &Boot,
    keys: &[KeyCode],
    size: (u16, u16),
    theme: &str,
    depth: Depth,
) -> Buffer {
    let theme = Theme::load(theme, depth).expect("it ships");
    let faults = fixture::faults();
    let world = World {
        state: &story.state,
        live: &story.live,
        boot,
        trouble: None,
        now: story.now,
        lag: std::time::Duration::ZERO,
        cockpit: "lead-cockpit",
        faults: &faults,
    };
    let mut app = App::new(person(Role::Lead));
    let area = Rect::new(0, 0, size.0, size.1);
    app.painted(Instant::now(), area);
    for key in keys {
        let key = Event::Key(KeyEvent::new(*key, KeyModifiers::NONE));
        app.update(Input::Term(key), &world, Instant::now());
    }
    let mut buf = Buffer::empty(area);
    screen::draw(&Scene { world, app: &app, theme: &theme }, &mut buf, area);
    buf
}

pub(super) fn text(buf: &Buffer) -> String {
    let line = |y| {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buf.area.width {
            let symbol = buf[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        line.trim_end().to_owned()
    };
    (0..buf.area.height).map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn dark(story: &Story, keys: &[KeyCode], size: (u16, u16)) -> Buffer {
    drawn(story, &Boot::default(), keys, size, "dark", Depth::True)
}

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (140, 32), (200, 60)];

#[test]
fn the_overview_while_all_is_well() {
    let story = moments::mid_import();
    for size in SIZES {
        insta::assert_snapshot!(
            format!("overview-import-{}x{}", size.0, size.1),
            text(&dark(&story, &[], size))
        );
    }
}

#[test]
fn the_overview_while_an_alert_fires() {
    let story = moments::alert();
    for size in SIZES {
        insta::assert_snapshot!(
            format!("overview-alert-{}x{}", size.0, size.1),
            text(&dark(&story, &[], size))
        );
    }
}

#[test]
fn colours_where_they_mean_something() {
    for theme in ["dark", "light", "contrast"] {
        let buf = drawn(&moments::alert(), &Boot::default(), &[], (80, 24), theme, Depth::True);
        insta::assert_debug_snapshot!(format!("styles-alert-{theme}"), buf);
    }
    let buf = drawn(&moments::alert(), &Boot::default(), &[], (80, 24), "dark", Depth::None);
    assert!(buf.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset), "NO_COLOR means none");
    insta::assert_debug_snapshot!("styles-alert-no-color", buf);
}

#[test]
fn every_pane_by_its_number() {
    let panes = [
        ('2', "checklist", moments::alert()),
        ('3', "migration-failed", moments::migration_failed()),
        ('4', "import", moments::mid_import()),
        ('5', "health", moments::alert()),
        ('6', "wayout", moments::rolled_back()),
        ('7', "timeline", moments::mid_import()),
        ('8', "log", moments::alert()),
    ];
    for (key, name, story) in panes {
        for size in [(80, 24), (120, 40)] {
            let buf = dark(&story, &[KeyCode::Char(key)], size);
            insta::assert_snapshot!(format!("pane-{name}-{}x{}", size.0, size.1), text(&buf));
        }
    }
}

#[test]
fn a_migration_with_all_that_goes_on() {
    let stories =
        [("migrations", moments::migrating()), ("held", moments::held()), ("batching", moments::batching())];
    for (name, story) in stories {
        for size in [(80, 24), (120, 40), (200, 60)] {
            let buf = dark(&story, &[KeyCode::Char('3')], size);
            insta::assert_snapshot!(format!("pane-{name}-{}x{}", size.0, size.1), text(&buf));
        }
        let buf = dark(&story, &[KeyCode::Char('3')], (80, 24));
        insta::assert_debug_snapshot!(format!("styles-{name}"), buf);
    }
}

#[test]
fn what_stands_around_the_import() {
    let story = moments::beside_import();
    for size in [(80, 24), (120, 40), (200, 60)] {
        let buf = dark(&story, &[KeyCode::Char('4')], size);
        insta::assert_snapshot!(format!("pane-import-beside-{}x{}", size.0, size.1), text(&buf));
    }
    insta::assert_debug_snapshot!("styles-import-beside", dark(&story, &[KeyCode::Char('4')], (80, 24)));
    // The second conflict is reached, whole, on the smallest screen.
    let second = text(&dark(&story, &[KeyCode::Char('4'), KeyCode::Down, KeyCode::Down], (80, 24)));
    assert!(second.contains("▸ Tomas Vey") && second.contains("no contact here"), "{second}");
    let mut story = story;
    let job = *story.state.jobs.last_key_value().expect("the import runs").0;
    story.ends(WorkerId::Import, job, "1,519 of 1,523 taken over", Facts::None);
    let choice = text(&dark(&story, &[KeyCode::Char('4'), KeyCode::Char('c')], (80, 24)));
    insta::assert_snapshot!("dialog-conflict", choice);
}

#[test]
fn a_narrow_import_keeps_its_forecast_and_drops_what_matters_less() {
    let mut story = moments::importing(Mode::Live);
    let job = *story.state.jobs.last_key_value().expect("the import runs").0;
    let mut progress = (*story.live.progress[&job]).clone();
    progress.left = Some((900, 1_860));
    let More::Import(live) = &mut progress.more else { panic!("an import") };
    live.totals = ImportTotals {
        total: 1_000_000,
        fetched: 1_000_000,
        imported: 611_412,
        updated: 240_101,
        unchanged: 18_003,
        quarantined: 4_120,
        conflicts: 1_204,
        ..ImportTotals::default()
    };
    story.live.progress.insert(job, progress.into());
    let pane = text(&dark(&story, &[KeyCode::Char('4')], (80, 24)));
    insta::assert_snapshot!("pane-import-million-80x24", pane);
    for size in [(80, 24), (80, 40), (100, 30), (120, 40), (200, 60)] {
        let pane = text(&dark(&story, &[KeyCode::Char('4')], size));
        assert!(pane.contains("ETA 11:22–11:38") && pane.contains(" 1 s"), "{pane}");
        let overview = text(&dark(&story, &[], size));
        // The smallest overview has one line for the import: the bar.
        assert!(overview.contains("ETA 11:22–11:38") || size.1 == 24, "{overview}");
    }
    let wide = text(&dark(&story, &[KeyCode::Char('4')], (200, 60)));
    assert!(wide.contains("unchanged 18,003") && wide.contains("budget 41/60"), "{wide}");
}

#[test]
fn mock_data_are_said_on_every_screen() {
    let story = moments::mocked();
    for size in [(80, 24), (120, 40), (200, 60)] {
        for key in '1'..='8' {
            let screen = text(&dark(&story, &[KeyCode::Char(key)], size));
            assert!(screen.lines().take(2).any(|line| line.contains("MOCK DATA")), "{screen}");
        }
        let overview = text(&dark(&story, &[], size));
        assert!(overview.contains("NOT imported: MOCK DATA"), "{overview}");
        assert!(overview.contains("NOTHING of Pulse's is imported"), "{overview}");
        insta::assert_snapshot!(
            format!("pane-import-mocked-{}x{}", size.0, size.1),
            text(&dark(&story, &[KeyCode::Char('4')], size))
        );
    }
}

#[test]
fn dialogs_stand_in_the_middle() {
    let rehearsal = moments::importing(Mode::Rehearsal);
    for (key, name) in
        [('?', "help"), (':', "palette"), ('R', "countdown"), ('n', "note"), ('w', "seat"), ('!', "faults")]
    {
        let buf = dark(&rehearsal, &[KeyCode::Char(key)], (80, 24));
        insta::assert_snapshot!(format!("dialog-{name}"), text(&buf));
    }
    let third = [KeyCode::Char('6'), KeyCode::Down, KeyCode::Down, KeyCode::Char('R')];
    let buf = dark(&moments::rolled_back(), &third, (80, 24));
    assert!(text(&buf).contains("needs rung 2"), "the database cannot go back before the deployment");
}

#[test]
fn the_first_frame_shows_the_start() {
    let nothing = moments::named("empty").expect("it is one");
    for (boot, name) in [(fixture::boot(), "boot"), (Boot::default(), "empty")] {
        let buf = drawn(&nothing, &boot, &[], (80, 24), "dark", Depth::True);
        insta::assert_snapshot!(name, text(&buf));
    }
}

#[test]
fn no_size_is_too_small_to_draw() {
    for story in [moments::alert(), moments::migrating(), moments::rolling_back()] {
        for key in ['1', '2', '3', '4', '5', '6', '7', '8', '?', ':', 'n', 'R', 'w'] {
            for size in [(1, 1), (5, 3), (20, 8), (60, 15), (99, 24), (101, 20), (300, 90)] {
                dark(&story, &[KeyCode::Char(key)], size);
            }
        }
    }
}

#[test]
fn an_old_number_is_taken_off_the_screen() {
    let mut story = moments::mid_import();
    let line = |story: &Story| {
        let text = text(&dark(story, &[], (140, 32)));
        text.lines().find(|line| line.contains("error rate")).expect("the gauge").to_owned()
    };
    assert!(line(&story).contains("OK"));
    story.wait(90);
    assert!(line(&story).contains("stale") && line(&story).contains("0.18 %"), "{}", line(&story));
    story.wait(200);
    assert!(line(&story).contains("stale") && !line(&story).contains("0.18 %"), "{}", line(&story));
}

#[test]
fn what_a_rung_loses_is_never_cut_off() {
    let story = moments::mid_import();
    for size in [(100, 30), (120, 40), (140, 32), (200, 60)] {
        let drawn = text(&dark(&story, &[], size));
        let whole = drawn.contains("loses what was written since");
        assert!(whole || size.0 < 120, "at {}x{}:\n{drawn}", size.0, size.1);
        assert!(drawn.contains("loses nothing"), "at {}x{}:\n{drawn}", size.0, size.1);
    }
    let alone = text(&dark(&story, &[KeyCode::Char('6')], (80, 24)));
    assert!(alone.contains("loses what was written since"), "{alone}");
}

#[test]
fn no_pane_is_shown_without_what_is_the_matter_with_the_journal() {
    let story = moments::alert();
    let what = "run.sqlite was altered: event 4 is not what was written (it was there, and is missing now); restore the \
                file from a copy, or begin another run: another path under [store] in gonogo.toml";
    let theme = Theme::load("dark", Depth::True).expect("it ships");
    for size in SIZES {
        for pane in '1'..='8' {
            let (faults, boot) = (fixture::faults(), Boot::default());
            let world = World {
                state: &story.state,
                live: &story.live,
                boot: &boot,
                trouble: Some(what),
                now: story.now,
                lag: std::time::Duration::ZERO,
                cockpit: "lead-cockpit",
                faults: &faults,
            };
            let mut app = App::new(person(Role::Lead));
            let area = Rect::new(0, 0, size.0, size.1);
            app.painted(Instant::now(), area);
            let key = Event::Key(KeyEvent::new(KeyCode::Char(pane), KeyModifiers::NONE));
            app.update(Input::Term(key), &world, Instant::now());
            let mut buf = Buffer::empty(area);
            screen::draw(&Scene { world, app: &app, theme: &theme }, &mut buf, area);
            let shown = text(&buf);
            let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            let since = clock(story.state.at, story.state.plan().unwrap().timezone);
            let said = format!("nothing can be recorded, and what is shown is the run as of {since}: {what}");
            assert!(
                joined.contains("✘ JOURNAL") && joined.contains(&said),
                "pane {pane} at {size:?}\n{shown}"
            );
            assert!(joined.contains("CRITICAL error rate"), "the alert stays beside it\n{shown}");
        }
    }
}

#[test]
fn a_rehearsed_way_back_is_shown_with_its_time_and_an_unrehearsed_one_as_such() {
    let mut story = moments::prepared(Mode::Live);
    let way_out = |story: &Story| text(&dark(story, &[KeyCode::Char('6')], (120, 40)));
    let rung = |text: &str| text.lines().find(|line| line.contains("3 ")).unwrap_or_default().to_owned();
    assert!(way_out(&story).contains("never rehearsed"), "{}", way_out(&story));
    let rehearse = |story: &mut Story, back_ms| {
        story.does(Role::Dba, Command::Request(JobKind::RehearseMigrations));
        let group = "rehearsal on a clone";
        let job = story.begins(
            WorkerId::Migrate,
            &[(group, "rehearse 001 there", ""), (group, "rehearse 001 back", "")],
        );
        story.step(WorkerId::Migrate, job, 0, 4, Some("12 steps done"));
        story.step(WorkerId::Migrate, job, 1, 4, None);
        let one =
            RehearsedMigration { title: "001 contacts_pulse_integration".into(), there_ms: 4_000, back_ms };
        let facts = Facts::Rehearsed { migrations: vec![one], rows: 10_000 };
        story.ends(WorkerId::Migrate, job, "1 migration there, 1 of them back", facts);
    };
    rehearse(&mut story, None);
    assert!(way_out(&story).contains("never rehearsed"), "no way back, so none was rehearsed");
    rehearse(&mut story, Some(95_000));
    let text_now = way_out(&story);
    assert!(
        !text_now.contains("never rehearsed") && text_now.contains("rehearsed 1m35s"),
        "{}\n{text_now}",
        rung(&text_now)
    );
    let migrations = text(&dark(&story, &[KeyCode::Char('3')], (120, 40)));
    assert!(migrations.contains("rehearsal on a clone") && migrations.contains("2/2 steps"), "{migrations}");
}
