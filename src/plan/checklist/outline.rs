//! Markdown as a flat list of pieces with their lines: headings, list items, blocks, paragraphs, the rest.
//!
//! What Markdown is, is settled here and nowhere else; what a piece means is settled by those who read the list.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A piece and the line on which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) line: usize,
    pub(super) piece: Piece,
}

/// A piece of the file. `raw` is its Markdown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Heading {
        level: usize,
        raw: String,
    },
    Item {
        depth: usize,
        column: usize,
        tick: Option<bool>,
        raw: String,
    },
    /// `depth` counts the lists it stands in.
    Fence {
        depth: usize,
        lang: String,
        text: String,
    },
    Paragraph {
        depth: usize,
        raw: String,
    },
    Rest {
        raw: String,
    },
}

/// The pieces of a file whose line ends are `\n`.
pub(super) fn outline(source: &str) -> Vec<Placed> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut walk = Walk::new(source);
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        walk.event(event, range);
    }
    walk.pieces
}

/// The text of inline Markdown, on one line and without its marks; a blank to fill in becomes `____`.
pub(super) fn plain(raw: &str) -> String {
    let one_line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let masked = super::answers::mask_blanks(&one_line);
    // The letter keeps "1. "and "# " from being read as blocks.
    let guarded = format!("x {masked}");
    let mut text = String::new();
    let mut hidden = 0_usize;
    for event in Parser::new_ext(&guarded, Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Text(part) | Event::Code(part) if hidden == 0 => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::Start(Tag::Image { .. }) => hidden += 1,
            Event::End(TagEnd::Image) => hidden = hidden.saturating_sub(1),
            _ => {}
        }
    }
    let text = text.strip_prefix('x').unwrap_or(&text);
    super::answers::unmask_blanks(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Walk<'a> {
    source: &'a str,
    line_starts: Vec<usize>,
    pieces: Vec<Placed>,
    lists: usize,
    /// The items that are open; `None` once an item has been written down.
    items: Vec<Option<OpenItem>>,
    block: Option<OpenBlock>,
    /// Inside a table or a metadata block, which are taken whole.
    whole: usize,
}

struct OpenItem {
    at: usize,
    tick: Option<bool>,
    text: Option<Range<usize>>,
}

enum OpenBlock {
    Heading(usize, Range<usize>),
    Paragraph(Range<usize>),
    Fence { at: usize, lang: String, text: String },
    Rest(Range<usize>),
}

impl<'a> Walk<'a> {
    fn new(source: &'a str) -> Self {
        let breaks = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            source,
            line_starts: std::iter::once(0).chain(breaks).collect(),
            pieces: Vec::new(),
            lists: 0,
            items: Vec::new(),
            block: None,
            whole: 0,
        }
    }

    fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    fn raw(&self, range: Range<usize>) -> String {
        // Quote marks repeat on every line but the first, which begins behind them.
        let mut lines = self.source.get(range).unwrap_or_default().lines();
        let first = lines.next().unwrap_or_default().trim();
        let rest = lines.map(|line| line.trim_start_matches(['>', ' ', '\t']).trim_end());
        std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
    }

    fn push(&mut self, at: usize, piece: Piece) {
        self.pieces.push(Placed { line: self.line(at), piece });
    }

    /// Writes the innermost item down, before anything that stands under it.
    fn flush_item(&mut self) {
        let depth = self.lists;
        let Some(open) = self.items.last_mut().and_then(Option::take) else { return };
        let line_start = self.line_starts[self.line(open.at) - 1];
        let raw = open.text.map(|range| self.raw(range)).unwrap_or_default();
        let indent = self.source[line_start..].chars().take_while(|c| matches!(c, ' ' | '\t'));
        let column = indent.map(|c| if c == '\t' { 4 } else { 1 }).sum();
        self.push(open.at, Piece::Item { depth, column, tick: open.tick, raw });
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        if self.whole > 0 {
            match event {
                Event::Start(Tag::Table(_) | Tag::MetadataBlock(_)) => self.whole += 1,
                Event::End(TagEnd::Table | TagEnd::MetadataBlock(_)) => self.whole -= 1,
                _ => {}
            }
            return;
        }
        match event {
            Event::Start(tag) => self.start(&tag, range),
            Event::End(tag) => self.end(tag),
            Event::TaskListMarker(ticked) => {
                if let Some(Some(item)) = self.items.last_mut() {
                    item.tick = Some(ticked);
                    item.text = Some(range.end..range.end);
                }
                if let Some(OpenBlock::Paragraph(_)) = self.block {
                    self.block = None; // a loose list: the paragraph is the item's own text
                }
            }
            Event::Text(text) if matches!(self.block, Some(OpenBlock::Fence { .. })) => {
                if let Some(OpenBlock::Fence { text: block, .. }) = &mut self.block {
                    block.push_str(&text);
                }
            }
            Event::Rule => {
                self.flush_item();
            }
            _ => self.inline(&range),
        }
    }

    /// Inline content widens the text of the open block, or else of the open item.
    fn inline(&mut self, range: &Range<usize>) {
        match &mut self.block {
            Some(OpenBlock::Heading(_, text) | OpenBlock::Paragraph(text) | OpenBlock::Rest(text)) => {
                text.end = text.end.max(range.end);
            }
            Some(OpenBlock::Fence { .. }) => {}
            None => {
                if let Some(Some(item)) = self.items.last_mut() {
                    let text = item.text.get_or_insert_with(|| range.clone());
                    text.end = text.end.max(range.end);
                }
            }
        }
    }

    fn start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::List(_) => {
                self.flush_item();
                self.lists += 1;
            }
            Tag::Item => self.items.push(Some(OpenItem { at: range.start, tick: None, text: None })),
            Tag::Heading { level, .. } => {
                self.flush_item();
                self.block = Some(OpenBlock::Heading(depth(*level), range.start..range.start));
            }
            Tag::Paragraph => match self.items.last_mut() {
                Some(Some(item)) if item.text.is_none() => {}
                _ => {
                    self.flush_item();
                    self.block = Some(OpenBlock::Paragraph(range.start..range.start));
                }
            },
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
                self.flush_item();
                let lang = info.split([' ', ',', '{']).next().unwrap_or_default().to_lowercase();
                self.block = Some(OpenBlock::Fence { at: range.start, lang, text: String::new() });
            }
            Tag::CodeBlock(CodeBlockKind::Indented) | Tag::HtmlBlock => {
                self.flush_item();
                self.block = Some(OpenBlock::Rest(range));
            }
            Tag::Table(_) => {
                self.flush_item();
                let raw = self.raw(range.clone());
                self.push(range.start, Piece::Rest { raw });
                self.whole = 1;
            }
            Tag::MetadataBlock(_) => self.whole = 1,
            _ => self.inline(&range),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::List(_) => self.lists = self.lists.saturating_sub(1),
            TagEnd::Item => {
                self.flush_item();
                self.items.pop();
            }
            TagEnd::Heading(_) | TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::HtmlBlock => {
                match self.block.take() {
                    Some(OpenBlock::Heading(level, range)) => {
                        let raw = self.raw(range.clone());
                        let raw = raw.trim_start_matches('#').trim().to_owned();
                        self.push(range.start, Piece::Heading { level, raw });
                    }
                    Some(OpenBlock::Paragraph(range)) => {
                        let raw = self.raw(range.clone());
                        self.push(range.start, Piece::Paragraph { depth: self.lists, raw });
                    }
                    Some(OpenBlock::Fence { at, lang, text }) => {
                        self.push(at, Piece::Fence { depth: self.lists, lang, text });
                    }
                    Some(OpenBlock::Rest(range)) => {
                        let raw = self.raw(range.clone());
                        if !raw.starts_with("<!--") {
                            self.push(range.start, Piece::Rest { raw });
                        }
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }
}

const fn depth(level: HeadingLevel) -> usize {
    level as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(source: &str) -> Vec<(usize, usize, Option<bool>, String)> {
        outline(source)
            .into_iter()
            .filter_map(|placed| match placed.piece {
                Piece::Item { depth, tick, raw, .. } => Some((placed.line, depth, tick, raw)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn every_marker_nesting_and_looseness() {
        let found = items("* [ ] a\n  + [x] b\n\n1. [X] c\n\n2. [ ] **d** and\n   more\n- plain\n");
        let row = |line, depth, tick, raw: &str| (line, depth, tick, raw.to_owned());
        assert_eq!(
            found,
            [
                row(1, 1, Some(false), "a"),
                row(2, 2, Some(true), "b"),
                row(4, 1, Some(true), "c"),
                row(6, 1, Some(false), "**d** and\nmore"),
                row(8, 1, None, "plain"),
            ]
        );
    }

    #[test]
    fn plain_text_keeps_blanks_and_numbers_but_no_marks() {
        assert_eq!(plain("**Run** `npm test` [now](http://x) <!-- why -->"), "Run npm test now");
        assert_eq!(plain("2. Errors: \\_\\_\\_\\_\\_% by ________"), "2. Errors: ____% by ____");
        assert_eq!(plain(""), "");
        assert_eq!(plain("# not a heading __init__"), "# not a heading init");
    }
}
