//! Reads a Markdown checklist: any GitHub task list as it is, and Pandoc's attributes where somebody wrote them.
//!
//! It guarantees that every item of the file is in the result, once, under an id that edits elsewhere do not change; or
//! else says every problem at once. It reads text only; files are opened in `plan::load`.

use super::super::Role;
use super::super::problem::Problem;
use super::attributes::{self, Attributes};
use super::outline::{Piece, Placed, outline, plain};
use super::section::{self, Content};
use super::slug::{Ids, slug};
use super::{Checklist, Phase, PhaseId, PhaseKind, gates, meaning, phases, times};

/// A heading and what stands directly under it.
struct Part {
    level: usize,
    title: String,
    times: times::Times,
    said: meaning::OfHeading,
    line: usize,
    content: Content,
}

/// Reads a checklist. `file` is the name that problems carry.
///
/// # Errors
/// Every problem found, in the order of the file.
pub fn read(markdown: &str, file: &str) -> Result<Checklist, Vec<Problem>> {
    let source = cleaned(markdown);
    if source.trim().is_empty() {
        let problem = Problem::at(file, 0, "the checklist is empty");
        return Err(vec![problem.instead("write items as \"- [ ] what to do\" under headings")]);
    }
    let mut problems = Vec::new();
    let mut parts = parts(outline(&source), file, &mut problems);
    if parts.iter().all(|part| part.content.tasks() == 0) {
        let problem = Problem::at(file, 0, "there is no task list in it: nothing to tick");
        problems.push(problem.instead("write items as \"- [ ] what to do\""));
        return Err(problems);
    }
    for at in 0..parts.len() {
        let level = parts[at].level;
        let mut below = parts[at + 1..].iter().take_while(|part| part.level > level);
        if gates::heading(&parts[at].title) && below.any(|part| part.content.has_gate()) {
            parts[at].content.leave_to_those_below();
        }
    }
    let heads: Vec<phases::Head> = parts
        .iter()
        .map(|part| phases::Head {
            level: part.level,
            text: part.title.clone(),
            has_items: part.content.tasks() > 0 || part.content.has_gate(),
        })
        .collect();
    let (title_at, found) = phases::find(&heads);
    let title = title_at.map_or_else(|| from_name(file), |at| heads[at].text.clone());

    let mut ids = Ids::default();
    for (id, line) in parts.iter().flat_map(Part::named) {
        if !ids.claim(id) {
            let problem = Problem::at(file, line, format!("the id {id:?} is taken"));
            problems.push(problem.instead("give each item, gate and phase an id of its own"));
        }
    }
    let phases = found.into_iter().map(|found| phase(found, &title, &mut parts, &mut ids)).collect();
    if problems.is_empty() {
        Ok(Checklist { title, phases })
    } else {
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }
}

/// The text without a byte order mark, its line ends `\n`, as [`outline`] wants it.
pub(super) fn cleaned(markdown: &str) -> String {
    markdown.strip_prefix('\u{feff}').unwrap_or(markdown).replace("\r\n", "\n").replace('\r', "\n")
}

impl Part {
    fn owner(&self) -> Option<Role> {
        self.said.owner.or(self.content.owner())
    }

    /// The ids that the file names, and where.
    fn named(&self) -> impl Iterator<Item = (&str, usize)> {
        self.said.id.as_deref().map(|id| (id, self.line)).into_iter().chain(self.content.named())
    }
}

fn from_name(file: &str) -> String {
    let stem =
        std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().replace(['-', '_'], " "));
    let stem = stem.unwrap_or_default();
    let mut chars = stem.chars();
    chars.next().map_or_else(|| "Checklist".to_owned(), |first| first.to_uppercase().chain(chars).collect())
}

fn parts(pieces: Vec<Placed>, file: &str, problems: &mut Vec<Problem>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    let mut head = (0, String::new(), 1);
    loop {
        let mut under = Vec::new();
        while let Some(placed) = pieces.next_if(|placed| !matches!(placed.piece, Piece::Heading { .. })) {
            under.push(placed);
        }
        let (level, raw, line) = std::mem::take(&mut head);
        if level > 0 || !under.is_empty() {
            parts.push(part(level, &raw, line, under, file, problems));
        }
        match pieces.next() {
            Some(Placed { line, piece: Piece::Heading { level, raw } }) => head = (level, raw, line),
            _ => return parts,
        }
    }
}

fn part(
    level: usize,
    raw: &str,
    line: usize,
    under: Vec<Placed>,
    file: &str,
    problems: &mut Vec<Problem>,
) -> Part {
    let split = split(raw, file, line, problems);
    let (title, times) = times::heading(&plain(&split.0));
    let said = meaning::heading(split.1, file, line, problems);
    let content = section::content(&title, line, &said.gate, under, file, problems);
    Part { level, title, times, said, line, content }
}

/// Splits attributes off, and says where they never end.
pub(super) fn split(raw: &str, file: &str, line: usize, problems: &mut Vec<Problem>) -> (String, Attributes) {
    let without_comments = strip_comments(raw);
    let split = attributes::split(&without_comments);
    if split.broken {
        let problem = Problem::at(file, line, "attributes begin with { and never end");
        problems.push(problem.instead("close them with } and every quoted value with \""));
    }
    (split.text.to_owned(), split.attributes)
}

fn strip_comments(raw: &str) -> String {
    let mut text = String::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

fn phase(found: phases::Found, title: &str, parts: &mut [Part], ids: &mut Ids) -> Phase {
    let own = &parts[found.heads[0]];
    let name = if found.title.is_empty() { title.to_owned() } else { found.title };
    let id = own.said.id.clone().unwrap_or_else(|| {
        let wanted = match found.kind {
            PhaseKind::Numbered(number) => format!("phase-{number}"),
            PhaseKind::Preparation | PhaseKind::AfterCare => slug(name.split('(').next().unwrap_or_default()),
        };
        ids.mint(if wanted.is_empty() { "phase" } else { &wanted })
    });
    let (owner, line) = (own.owner(), own.line);
    // A phase begins when the first part of it that says so begins.
    let starts = found.heads.iter().find_map(|at| parts[*at].said.starts.or(parts[*at].times.starts));
    let takes = own.said.takes.or(own.times.takes);
    let sections = found
        .heads
        .iter()
        .enumerate()
        .filter_map(|(order, at)| {
            let part = &mut parts[*at];
            let owner = part.owner().or(owner);
            let content = std::mem::take(&mut part.content);
            let takes = part.said.takes.or(part.times.takes);
            let (title, takes) = if order == 0 { (String::new(), None) } else { (part.title.clone(), takes) };
            (order > 0 || !content.is_empty())
                .then(|| content.into_section(title, takes, part.line, &id, &name, owner, ids))
        })
        .collect();
    Phase {
        id: PhaseId::from(id.as_str()),
        title: name,
        kind: found.kind,
        owner,
        starts,
        takes,
        sections,
        line,
    }
}
