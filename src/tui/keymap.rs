//! The one table of keys. The handler looks keys up in it, help and footer are made from it, and a test holds that no key
//! means two things in one pane.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::panes::Pane;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Show a pane.
    Show(Pane),
    /// Show the next pane.
    NextPane,
    /// Show the pane before.
    PrevPane,
    /// Move the cursor.
    Move(Step),
    /// Tick an item, answer it, or sign a gate.
    Tick,
    /// Let the machine do or prove what the item says; or open what is selected.
    Enter,
    /// Write a note.
    Note,
    /// Write a deviation down.
    Deviation,
    /// Skip an item.
    Skip,
    /// Say that an item failed.
    Fail,
    /// Reopen an item.
    Reopen,
    /// GO, or start the phase that is next.
    Go,
    /// NO-GO.
    NoGo,
    /// End the run.
    End,
    /// Open or close the guard over the way out.
    Arm,
    /// Take the way out.
    WayOut,
    /// Pause or resume a job.
    Pause,
    /// Cancel a job.
    Cancel,
    /// Have locks that stop clients wait for a person, or not any more.
    Hold,
    /// Let go on what waits for a person.
    LetGo,
    /// Leave the selected index out.
    LeaveOut,
    /// Larger batches, or less rest between them.
    Faster,
    /// Smaller batches, or more rest between them.
    Slower,
    /// End what somebody who is in the way does.
    EndSession,
    /// Decide that a job which asks goes on.
    GoOn,
    /// Say whose contact a profile is.
    Settle,
    /// Switch the automatic sync off, or on again.
    SyncSwitch,
    /// Switch the history of interactions off, or on again.
    HistorySwitch,
    /// Go on with mock data.
    Mock,
    /// Say that an alert was seen.
    Acknowledge,
    /// Tell people.
    Announce,
    /// Filter.
    Filter,
    /// Everything by its name.
    Palette,
    /// The keys.
    Help,
    /// Take another seat.
    Seat,
    /// Throw a fault in.
    Faults,
    /// Jump over the present wait.
    Jump,
    /// Back: close what is open, or let the cursor follow what is next again.
    Back,
    /// Leave.
    Quit,
}

/// A movement of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One up.
    Up,
    /// One down.
    Down,
    /// To the phase or group before.
    Left,
    /// To the next phase or group.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    Home,
    /// To the last.
    End,
}

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In every pane.
    Everywhere,
    /// In these panes.
    In(&'static [Pane]),
    /// In every pane of a rehearsal.
    Rehearsal,
}

/// The heading of the help under which a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Moving about.
    Look,
    /// Items and gates.
    Checklist,
    /// Phases and the run.
    Run,
    /// Emergencies.
    Emergency,
    /// Work of machines, and words to people.
    Work,
    /// Rehearsals only.
    Rehearsal,
}

impl Group {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Look => "Look around",
            Self::Checklist => "Checklist",
            Self::Run => "Phases",
            Self::Emergency => "Way out",
            Self::Work => "Work and words",
            Self::Rehearsal => "Rehearsal",
        }
    }

    /// Every group, in the order of the help.
    pub const ALL: [Self; 6] =
        [Self::Checklist, Self::Run, Self::Emergency, Self::Work, Self::Look, Self::Rehearsal];
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [KeyCode],
    /// What they ask for.
    pub act: Act,
    /// What the footer says.
    pub word: &'static str,
    /// What the help says.
    pub help: &'static str,
    /// Where it stands in the help.
    pub group: Group,
    /// Where the keys mean it.
    pub place: Where,
}

use KeyCode::{BackTab, Char, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

const fn bind(
    keys: &'static [KeyCode],
    act: Act,
    word: &'static str,
    help: &'static str,
    group: Group,
    place: Where,
) -> Binding {
    Binding { keys, act, word, help, group, place }
}

/// The table.
pub const BINDINGS: &[Binding] = {
    use Act as A;
    use Group as G;
    use Where as W;
    const LISTS: Where = W::In(&[Pane::Checklist, Pane::Log]);
    const MIGRATING: Where = W::In(&[Pane::Migrations]);
    const PULSE: Where = W::In(&[Pane::Import]);
    &[
        bind(
            &[Char(' ')],
            A::Tick,
            "tick",
            "tick the item (or give its value); sign the gate",
            G::Checklist,
            W::Everywhere,
        ),
        bind(
            &[Enter],
            A::Enter,
            "run",
            "run the item's action or check; open what is selected",
            G::Checklist,
            W::Everywhere,
        ),
        bind(&[Char('n')], A::Note, "note", "write a note", G::Checklist, W::Everywhere),
        bind(
            &[Char('d')],
            A::Deviation,
            "deviation",
            "write down what was done otherwise than planned",
            G::Checklist,
            W::Everywhere,
        ),
        bind(&[Char('s')], A::Skip, "skip", "skip the item, with a reason", G::Checklist, W::Everywhere),
        bind(
            &[Char('f')],
            A::Fail,
            "fail",
            "say that the item failed, with a reason",
            G::Checklist,
            W::Everywhere,
        ),
        bind(
            &[Char('u')],
            A::Reopen,
            "reopen",
            "reopen the item, with a reason",
            G::Checklist,
            W::Everywhere,
        ),
        bind(&[Char('g')], A::Go, "GO", "call GO, or start the phase that is next", G::Run, W::Everywhere),
        bind(&[Char('G')], A::NoGo, "NO-GO", "call NO-GO, with a reason", G::Run, W::Everywhere),
        bind(&[Char('E')], A::End, "end", "end the run, and say how it ended", G::Run, W::Everywhere),
        bind(
            &[Char('R')],
            A::WayOut,
            "way out",
            "take the release back: armed beforehand, three seconds to stop it",
            G::Emergency,
            W::Everywhere,
        ),
        bind(&[Char('A')], A::Arm, "arm", "open or close the guard over R", G::Emergency, W::Everywhere),
        bind(
            &[Char('a')],
            A::Acknowledge,
            "seen",
            "say that the alert was seen",
            G::Emergency,
            W::Everywhere,
        ),
        bind(
            &[Char('p')],
            A::Pause,
            "pause",
            "pause the running job, or let it go on",
            G::Work,
            W::Everywhere,
        ),
        bind(&[Char('x')], A::Cancel, "cancel", "ask the running job to give up", G::Work, W::Everywhere),
        bind(
            &[Char('o')],
            A::Hold,
            "hold",
            "hold the run before the next lock that stops clients, or hold it no longer",
            G::Work,
            MIGRATING,
        ),
        bind(
            &[Char('c')],
            A::LetGo,
            "let go",
            "let go on what waits for a person: a held lock, a point of no return",
            G::Work,
            MIGRATING,
        ),
        bind(&[Char('i')], A::LeaveOut, "leave out", "leave the selected index out", G::Work, MIGRATING),
        bind(&[Char('+')], A::Faster, "faster", "larger batches, or less rest", G::Work, MIGRATING),
        bind(&[Char('-')], A::Slower, "slower", "smaller batches, or more rest", G::Work, MIGRATING),
        bind(
            &[Char('K')],
            A::EndSession,
            "end session",
            "end the query or the session of somebody who is in the way, by its typed name",
            G::Work,
            MIGRATING,
        ),
        bind(
            &[Char('y')],
            A::GoOn,
            "go on",
            "decide that the job which asks goes on, with a reason",
            G::Work,
            W::Everywhere,
        ),
        bind(&[Char('e')], A::Announce, "announce", "write and send an announcement", G::Work, W::Everywhere),
        bind(&[Char('c')], A::Settle, "settle", "say whose contact the selected profile is", G::Work, PULSE),
        bind(&[Char('-')], A::Slower, "slower", "let the import work less of the time", G::Work, PULSE),
        bind(&[Char('+')], A::Faster, "faster", "let the import work more of the time", G::Work, PULSE),
        bind(
            &[Char('o')],
            A::SyncSwitch,
            "sync off/on",
            "switch the automatic sync off, with a reason, or on again",
            G::Work,
            PULSE,
        ),
        bind(
            &[Char('i')],
            A::HistorySwitch,
            "history off/on",
            "switch the history of interactions off, with a reason, or on again",
            G::Work,
            PULSE,
        ),
        bind(
            &[Char('M')],
            A::Mock,
            "mock",
            "go on with mock data while Pulse is down, with a reason",
            G::Emergency,
            PULSE,
        ),
        bind(&[Char('w')], A::Seat, "seat", "take another seat: name and role", G::Rehearsal, W::Rehearsal),
        bind(
            &[Char('!')],
            A::Faults,
            "faults",
            "throw a fault in, or take it away",
            G::Rehearsal,
            W::Rehearsal,
        ),
        bind(&[Char('J')], A::Jump, "jump", "jump over the present wait", G::Rehearsal, W::Rehearsal),
        bind(&[Char('1')], A::Show(Pane::Overview), "", "overview", G::Look, W::Everywhere),
        bind(&[Char('2')], A::Show(Pane::Checklist), "", "checklist", G::Look, W::Everywhere),
        bind(&[Char('3')], A::Show(Pane::Migrations), "", "migrations", G::Look, W::Everywhere),
        bind(&[Char('4')], A::Show(Pane::Import), "", "import", G::Look, W::Everywhere),
        bind(&[Char('5')], A::Show(Pane::Health), "", "health", G::Look, W::Everywhere),
        bind(&[Char('6')], A::Show(Pane::WayOut), "", "way out", G::Look, W::Everywhere),
        bind(&[Char('7')], A::Show(Pane::Timeline), "", "timeline", G::Look, W::Everywhere),
        bind(&[Char('8')], A::Show(Pane::Log), "", "log", G::Look, W::Everywhere),
        bind(&[Tab], A::NextPane, "", "next pane", G::Look, W::Everywhere),
        bind(&[BackTab], A::PrevPane, "", "pane before", G::Look, W::Everywhere),
        bind(&[Up, Char('k')], A::Move(Step::Up), "", "up", G::Look, W::Everywhere),
        bind(&[Down, Char('j')], A::Move(Step::Down), "", "down", G::Look, W::Everywhere),
        bind(&[Left, Char('h')], A::Move(Step::Left), "", "phase or group before", G::Look, W::Everywhere),
        bind(&[Right, Char('l')], A::Move(Step::Right), "", "next phase or group", G::Look, W::Everywhere),
        bind(&[PageUp], A::Move(Step::PageUp), "", "page up", G::Look, W::Everywhere),
        bind(&[PageDown], A::Move(Step::PageDown), "", "page down", G::Look, W::Everywhere),
        bind(&[Home], A::Move(Step::Home), "", "first", G::Look, W::Everywhere),
        bind(&[End], A::Move(Step::End), "", "last", G::Look, W::Everywhere),
        bind(&[Char('/')], A::Filter, "filter", "filter the checklist or the log", G::Look, LISTS),
        bind(&[Char(':')], A::Palette, "commands", "everything by its name", G::Look, W::Everywhere),
        bind(&[Char('?')], A::Help, "help", "these keys", G::Look, W::Everywhere),
        bind(&[Esc], A::Back, "", "close; let the cursor follow what is next", G::Look, W::Everywhere),
        bind(&[Char('q')], A::Quit, "quit", "leave; the run goes on", G::Look, W::Everywhere),
    ]
};

impl Binding {
    /// Whether it holds in that pane.
    pub fn holds(&self, pane: Pane) -> bool {
        match self.place {
            Where::Everywhere | Where::Rehearsal => true,
            Where::In(panes) => panes.contains(&pane),
        }
    }

    /// Its keys as the help writes them.
    pub fn label(&self) -> String {
        self.keys.iter().map(|key| label(*key)).collect::<Vec<_>>().join(" ")
    }
}

/// What a key asks for in a pane.
pub fn lookup(key: KeyEvent, pane: Pane) -> Option<Act> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == Char('c')).then_some(Act::Quit);
    }
    if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    BINDINGS
        .iter()
        .find(|binding| binding.holds(pane) && binding.keys.contains(&key.code))
        .map(|binding| binding.act)
}

/// The line of the table for an act.
pub fn binding(act: Act) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.act == act)
}

/// A key as it is written.
pub fn label(key: KeyCode) -> String {
    match key {
        Char(' ') => "␣".into(),
        Char(letter) => letter.to_string(),
        Enter => "⏎".into(),
        Esc => "esc".into(),
        Tab => "tab".into(),
        BackTab => "shift-tab".into(),
        Up => "↑".into(),
        Down => "↓".into(),
        Left => "←".into(),
        Right => "→".into(),
        PageUp => "pgup".into(),
        PageDown => "pgdn".into(),
        Home => "home".into(),
        End => "end".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_pane() {
        for pane in Pane::ALL {
            let here: Vec<_> = BINDINGS.iter().filter(|binding| binding.holds(pane)).collect();
            let mut keys: Vec<_> = here.iter().flat_map(|binding| binding.keys).collect();
            let all = keys.len();
            keys.sort_by_key(|key| label(**key));
            keys.dedup();
            assert_eq!(keys.len(), all, "a key is bound twice in {pane:?}");
        }
    }

    #[test]
    fn every_pane_has_its_number() {
        for (digit, pane) in ('1'..='8').zip(Pane::ALL) {
            let key = KeyEvent::new(Char(digit), KeyModifiers::NONE);
            assert_eq!(lookup(key, Pane::Overview), Some(Act::Show(pane)));
        }
    }

    #[test]
    fn what_cannot_be_undone_is_a_capital_and_far_from_the_arrows() {
        for act in [Act::WayOut, Act::Arm, Act::NoGo, Act::End, Act::Jump, Act::EndSession, Act::Mock] {
            let keys = binding(act).expect("it is bound").keys;
            assert!(
                keys.iter().all(|key| matches!(key, Char(letter) if letter.is_ascii_uppercase())),
                "{act:?}"
            );
        }
    }
}
