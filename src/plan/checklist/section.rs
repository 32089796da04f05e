//! What stands under one heading: items in their nesting, the commands under them, gates, and the rest as prose.

use std::time::Duration;

use super::super::Role;
use super::super::problem::Problem;
use super::meaning::{self, OfGate, OfItem};
use super::outline::{Piece, Placed, plain};
use super::slug::{Ids, slug};
use super::{Block, Check, Gate, GateId, Item, ItemId, ItemKind, Section, answers, gates, read};

/// The content of a section before it has ids.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// In the order of the file, each with the number of items it stands under.
    items: Vec<(usize, Draft)>,
    gates: Vec<DraftGate>,
    prose: String,
    /// "Owner: DBA" under the heading.
    owner: Option<Role>,
}

#[derive(Debug)]
struct Draft {
    text: String,
    kind: ItemKind,
    said: OfItem,
    commands: Vec<Block>,
    ticked: bool,
    line: usize,
}

#[derive(Debug)]
struct DraftGate {
    said: OfGate,
    title: String,
    roles: Vec<Role>,
    /// How many items stood above it, so that a place to sign finds its checkpoint.
    above: usize,
    line: usize,
}

/// Where the next piece belongs.
#[derive(Default)]
struct Reading {
    content: Content,
    /// The open items: Markdown's depth and the column of the marker.
    open: Vec<(usize, usize)>,
    /// A fence here belongs to the last item.
    takes_commands: bool,
    signs: bool,
}

/// Reads what stands under a heading.
pub(super) fn content(
    heading: &str,
    line: usize,
    said: &OfGate,
    under: Vec<Placed>,
    file: &str,
    problems: &mut Vec<Problem>,
) -> Content {
    let mut reading = Reading { signs: gates::heading(heading), ..Reading::default() };
    for placed in under {
        reading.piece(placed, file, problems);
    }
    let mut content = reading.content;
    let asked = !said.sign.is_empty() || said.people.is_some();
    if content.gates.is_empty() && (asked || (reading.signs && line > 0 && !heading.is_empty())) {
        let (above, roles) = (content.items.len(), said.sign.clone());
        content.gates.push(DraftGate { said: said.clone(), title: heading.to_owned(), roles, above, line });
        // The id is the heading's own.
        if let Some(gate) = content.gates.last_mut() {
            gate.said.id = None;
        }
    } else if let Some(gate) = content.gates.last_mut() {
        gate.roles
            .extend(said.sign.iter().filter(|role| !gate.roles.contains(role)).copied().collect::<Vec<_>>());
        gate.said.people = gate.said.people.or(said.people);
    }
    content
}

impl Reading {
    fn piece(&mut self, placed: Placed, file: &str, problems: &mut Vec<Problem>) {
        let line = placed.line;
        match placed.piece {
            Piece::Item { depth, column, tick, raw } => {
                self.item(depth, column, tick, &raw, line, file, problems);
            }
            Piece::Fence { lang, text, .. } => {
                let block = Block { lang, text: text.trim_end().to_owned() };
                match self.content.items.last_mut() {
                    Some((_, item)) if self.takes_commands => item.commands.push(block),
                    _ => self.prose(&format!("```{}\n{}\n```", block.lang, block.text)),
                }
            }
            Piece::Paragraph { depth, raw } => {
                let mut kept = Vec::new();
                for (offset, text) in raw.lines().enumerate() {
                    if !self.gate(text, line + offset, file, problems) {
                        self.content.owner = self.content.owner.or_else(|| owner_line(text));
                        kept.push(text);
                    }
                }
                if !kept.is_empty() {
                    self.prose(&kept.join("\n"));
                    let announces = kept.last().is_some_and(|last| last.trim_end_matches('*').ends_with(':'));
                    self.takes_commands &= depth > 0 || announces;
                }
            }
            Piece::Rest { raw } => {
                if self.signs {
                    self.sign_table(&raw, line);
                }
                self.prose(&raw);
                self.takes_commands = false;
            }
            Piece::Heading { .. } => {}
        }
    }

    fn prose(&mut self, text: &str) {
        let prose = &mut self.content.prose;
        if !prose.is_empty() {
            prose.push_str(if text.starts_with("- ") && last_line(prose).starts_with("- ") {
                "\n"
            } else {
                "\n\n"
            });
        }
        prose.push_str(text);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one list item, and where problems go")]
    fn item(
        &mut self,
        depth: usize,
        column: usize,
        tick: Option<bool>,
        raw: &str,
        line: usize,
        file: &str,
        problems: &mut Vec<Problem>,
    ) {
        let raw = raw.trim();
        if self.gate(raw, line, file, problems) || (self.to_sign() && self.signature(raw, line)) {
            return;
        }
        let Some(ticked) = tick else {
            if !raw.is_empty() {
                self.prose(&format!("- {raw}"));
            }
            return;
        };
        let (raw, found) = read::split(raw, file, line, problems);
        let said = meaning::item(found, file, line, problems);
        let (text, guessed) = answers::answer(&plain(&raw));
        let kind = said.kind.clone().unwrap_or(match (&said.check, guessed) {
            (Some(Check::Metric { .. }), ItemKind::Tick) => ItemKind::Value { expect: None },
            (_, guessed) => guessed,
        });
        // A list that a block interrupted goes on at its own indentation.
        let goes_on = |open: &(usize, usize)| depth == 1 && column >= 2 && open.1 < column;
        while self.open.last().is_some_and(|open| open.0 >= depth && !goes_on(open)) {
            self.open.pop();
        }
        let depth = self.open.last().map_or(depth, |open| depth.max(open.0 + 1));
        let nesting = self.open.len();
        self.open.push((depth, column));
        let draft = Draft { text, kind, said, commands: Vec::new(), ticked, line };
        self.content.items.push((nesting, draft));
        self.takes_commands = true;
    }

    /// Takes a line that is a gate. A place to sign right under a checkpoint is the checkpoint's own.
    fn gate(&mut self, raw: &str, line: usize, file: &str, problems: &mut Vec<Problem>) -> bool {
        let mut ignored = Vec::new();
        let (text, found) = read::split(raw, file, line, &mut ignored);
        let Some(gate) = gates::line(&text) else { return false };
        problems.append(&mut ignored);
        let said = meaning::gate(found, file, line, problems);
        self.takes_commands = false;
        let above = self.content.items.len();
        let roles = if said.sign.is_empty() { gate.roles } else { said.sign.clone() };
        match self.content.gates.last_mut() {
            Some(before) if gate.place_to_sign && before.above == above => {
                before.roles.extend(
                    roles.iter().filter(|role| !before.roles.contains(role)).copied().collect::<Vec<_>>(),
                );
                before.said.people = before.said.people.or(said.people);
                before.said.id = before.said.id.take().or(said.id);
            }
            _ => self.content.gates.push(DraftGate { said, title: gate.title, roles, above, line }),
        }
        true
    }

    fn to_sign(&self) -> bool {
        self.signs || self.content.gates.last().is_some_and(|gate| gate.above == self.content.items.len())
    }

    /// "Deployment Lead: ____" under a sign-off.
    fn signature(&mut self, raw: &str, line: usize) -> bool {
        let text = plain(raw);
        let Some((role, rest)) = gates::role_at(text.trim()) else { return false };
        if !rest.trim_start().starts_with([':', '-', '–', '—', '_', '(']) || !rest.contains("____") {
            return false;
        }
        self.signer(role, line);
        true
    }

    /// A table of who signs, one role a row.
    fn sign_table(&mut self, raw: &str, line: usize) {
        for row in raw.lines().filter(|row| row.contains('|')) {
            let first = row.trim().trim_start_matches('|').split('|').next().unwrap_or_default();
            let cell = plain(first);
            if let Some((role, rest)) = gates::role_at(cell.trim())
                && rest.trim().is_empty()
            {
                self.signer(role, line);
            }
        }
    }

    fn signer(&mut self, role: Role, line: usize) {
        if self.content.gates.is_empty() {
            let above = self.content.items.len();
            let said = OfGate::default();
            self.content.gates.push(DraftGate { said, title: String::new(), roles: Vec::new(), above, line });
        }
        if let Some(gate) = self.content.gates.last_mut()
            && !gate.roles.contains(&role)
        {
            gate.roles.push(role);
        }
    }
}

/// "**Owner:** DBA", as runbooks write it under a heading.
fn owner_line(raw: &str) -> Option<Role> {
    let text = plain(raw);
    let (label, who) = text.split_once(':')?;
    let label = label.trim().to_lowercase();
    (label == "owner" || label == "responsible").then(|| gates::role_at(who.trim()).map(|(role, _)| role))?
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or_default()
}

impl Content {
    /// Who the prose says it belongs to.
    pub(super) fn owner(&self) -> Option<Role> {
        self.owner
    }

    /// How many items there are.
    pub(super) fn tasks(&self) -> usize {
        self.items.len()
    }

    /// Whether somebody must sign.
    pub(super) fn has_gate(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Leaves the signing to the sections below, if only the heading asked for it here.
    pub(super) fn leave_to_those_below(&mut self) {
        if self.items.is_empty()
            && self.gates.iter().all(|gate| gate.said == OfGate::default() && gate.roles.is_empty())
        {
            self.gates.clear();
        }
    }

    /// Whether nothing stood there.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.gates.is_empty() && self.prose.is_empty()
    }

    /// The ids that the file names.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, usize)> {
        let items = self.items.iter().filter_map(|(_, item)| Some((item.said.id.as_deref()?, item.line)));
        items.chain(self.gates.iter().filter_map(|gate| Some((gate.said.id.as_deref()?, gate.line))))
    }

    /// The section, its ids given.
    #[expect(clippy::too_many_arguments, reason = "a section is what its phase gives it")]
    pub(super) fn into_section(
        self,
        title: String,
        takes: Option<Duration>,
        line: usize,
        phase: &str,
        phase_title: &str,
        owner: Option<Role>,
        ids: &mut Ids,
    ) -> Section {
        let within = if title.is_empty() { phase_title } else { &title };
        let gates = self.gates.into_iter().map(|gate| gate.named(phase, within, ids)).collect();
        let mut open: Vec<Item> = Vec::new();
        let mut items: Vec<Item> = Vec::new();
        for (nesting, draft) in self.items {
            close(&mut open, &mut items, nesting);
            let owner = open.last().and_then(|parent| parent.owner).or(owner);
            open.push(draft.named(phase, owner, ids));
        }
        close(&mut open, &mut items, 0);
        Section { title, takes, items, gates, prose: self.prose, line }
    }
}

/// Closes the open items down to that many, each becoming part of the one it stands under.
fn close(open: &mut Vec<Item>, items: &mut Vec<Item>, down_to: usize) {
    while open.len() > down_to {
        let Some(done) = open.pop() else { return };
        open.last_mut().map_or(&mut *items, |parent| &mut parent.items).push(done);
    }
}

impl Draft {
    fn named(self, phase: &str, owner: Option<Role>, ids: &mut Ids) -> Item {
        let id = self.said.id.unwrap_or_else(|| {
            let slug = slug(&self.text);
            ids.mint(&format!("{phase}/{}", if slug.is_empty() { "item" } else { &slug }))
        });
        Item {
            id: ItemId::from(id.as_str()),
            text: self.text,
            kind: self.kind,
            owner: self.said.owner.or(owner),
            action: self.said.action,
            check: self.said.check,
            commands: self.commands,
            due: self.said.due,
            wait: self.said.wait,
            ticked: self.ticked,
            items: Vec::new(),
            line: self.line,
        }
    }
}

impl DraftGate {
    fn named(self, phase: &str, within: &str, ids: &mut Ids) -> Gate {
        let title = match self.title {
            title if !title.is_empty() => title,
            _ if gates::heading(within) => within.to_owned(),
            _ => format!("Sign-off: {within}"),
        };
        let id = self.said.id.unwrap_or_else(|| {
            let slug = slug(&title);
            ids.mint(&format!("{phase}/{}", if slug.is_empty() { "sign-off" } else { &slug }))
        });
        let people = self.said.people.unwrap_or(1);
        Gate { id: GateId::from(id.as_str()), title, roles: self.roles, people, line: self.line }
    }
}
