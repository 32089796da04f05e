//! A person who does what the footer says is next, with the key that it names, and answers what is asked.

use std::time::Instant;

use crate::cockpit::{Cockpit, PATIENCE};

/// The roles, in the order of the seat dialog.
const SEATS: [&str; 8] = ["lead", "devops", "dba", "qa", "support", "product-owner", "cto", "observer"];

/// What the footer says: whose turn, what, and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// The whole line.
    pub(crate) line: String,
    /// Whose turn it is.
    pub(crate) role: String,
    /// The key and its word, such as `␣ tick`.
    pub(crate) key: String,
}

/// The line of the footer that says what is next; nothing while a word to the person stands there, or a dialog is open.
pub(crate) fn next(screen: &str) -> Option<Next> {
    let line = screen.lines().find(|line| line.starts_with(" next: "))?.trim();
    let words = line.trim_start_matches("next: ");
    let role = words.split(' ').next().unwrap_or_default().to_owned();
    let key = words.rsplit("  ").next().unwrap_or_default().trim().to_owned();
    Some(Next { line: line.to_owned(), role, key })
}

/// Whether a dialog of that title is open.
pub(crate) fn asks(screen: &str, title: &str) -> bool {
    screen.lines().any(|line| line.contains(&format!("╭ {title} ─")))
}

impl Cockpit {
    /// Sits down on that seat.
    #[track_caller]
    pub(crate) fn sit(&mut self, role: &str, name: &str) {
        self.press("w");
        self.wait_for("the seats", |screen| asks(screen, "Take a seat"));
        let place = SEATS.iter().position(|seat| *seat == role).unwrap();
        let at = |screen: &str| SEATS.iter().position(|seat| screen.contains(&format!("│ ▸ {seat} ")));
        while let Some(now) = at(&self.screen()).filter(|now| *now != place) {
            self.press(if now < place { "\x1b[B" } else { "\x1b[A" });
            self.wait_for("the cursor moves", |screen| at(screen).is_some_and(|then| then != now));
        }
        self.press(name);
        self.press("\r");
        self.wait_for_text(&format!("you are {name}, {role}"));
        self.press("\x1b"); // the word to the person gives way to what is next
        self.wait_for("what is next", |screen| next(screen).is_some());
    }

    /// Says yes to the question of that title, as soon as it can have been read.
    #[track_caller]
    pub(crate) fn confirm(&mut self, title: &str) {
        self.wait_for(title, |screen| asks(screen, title));
        self.press_until("y", "yes is taken", |screen| !asks(screen, title));
    }

    /// Does what is next, once. What a machine does is waited for.
    #[track_caller]
    fn step(&mut self, now: &Next) {
        let signs = now.line.contains(" signs ");
        if signs && now.role != "lead" {
            let name = format!("{}-person", now.role);
            self.sit(&now.role, &name);
        }
        match now.key.as_str() {
            "␣ tick" => self.press(" "),
            "⏎ run" => self.press("\r"),
            "g GO" => self.press("g"),
            _ => return, // a machine is at work, or time must pass
        }
        let asked = |screen: &str| {
            ["Sign", "Run", "GO", "Start", "Value", "Answer"].into_iter().find(|title| asks(screen, title))
        };
        let moved = |screen: &str| next(screen).is_none_or(|then| then.line != now.line);
        self.wait_for("an answer to the key", |screen| asked(screen).is_some() || moved(screen));
        match asked(&self.screen()) {
            Some("Value") => self.press("1\r"),
            Some("Answer") => self.press_until("\r", "the answer", |screen| !asks(screen, "Answer")),
            Some(title) => self.confirm(title),
            None => {}
        }
        self.wait_for("the next thing", moved);
        if signs && now.role != "lead" {
            self.sit("lead", "lea");
        }
    }

    /// Does what is next until the screen is so.
    #[track_caller]
    pub(crate) fn follow_until(&mut self, what: &str, so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let screen = self.settled();
            if so(&screen) {
                return;
            }
            assert!(Instant::now() < deadline, "followed the plan until: {what}\n{screen}");
            assert!(!screen.contains("✘ refused"), "it refused\n{screen}");
            match next(&screen) {
                Some(now) if now.key.starts_with(['␣', '⏎', 'g']) => self.step(&now),
                None => self.press_until("\x1b", "the word is read", |then| next(then).is_some()),
                Some(_) => {
                    self.is_within(deadline, |then| then != screen);
                }
            }
        }
    }

    /// Goes on until that is what is next.
    #[track_caller]
    pub(crate) fn follow_to(&mut self, what: &str) {
        self.follow_until(what, |screen| next(screen).is_some_and(|now| now.line.contains(what)));
    }
}
