//! Text in cells: cut by its width on the screen, never wrapped by accident, numbers and times in few characters.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A line with a left part, which gives way, and a right part, which does not.
#[derive(Debug, Clone, Default)]
pub struct Row<'a> {
    left: Vec<(Cow<'a, str>, Style)>,
    right: Vec<(Cow<'a, str>, Style)>,
}

impl<'a> Row<'a> {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to the left part.
    #[must_use]
    pub fn put(mut self, text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        self.left.push((text.into(), style));
        self
    }

    /// Adds to the left part, padded or cut to that many columns.
    #[must_use]
    pub fn column(self, text: &str, width: usize, style: Style) -> Self {
        let text = fit(text, width);
        self.put(text, style)
    }

    /// Adds to the left part, right-aligned in that many columns.
    #[must_use]
    pub fn number(self, text: &str, width: usize, style: Style) -> Self {
        let gap = width.saturating_sub(text.width());
        let text = format!("{}{}", " ".repeat(gap), cut(text, width));
        self.put(text, style)
    }

    /// Adds to the right part.
    #[must_use]
    pub fn end(mut self, text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        self.right.push((text.into(), style));
        self
    }

    /// With the left part of another line after its own.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.left.extend(other.left);
        self
    }

    /// With the right part of another line.
    #[must_use]
    pub fn with_end_of(mut self, other: Self) -> Self {
        self.right = other.right;
        self
    }

    /// The columns that the left part wants.
    pub fn width(&self) -> usize {
        self.left.iter().map(|(text, _)| text.width()).sum()
    }

    /// Draws it into the first line of the area.
    pub fn draw(&self, buf: &mut Buffer, area: Rect) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let all = usize::from(area.width);
        let right: usize = self.right.iter().map(|(text, _)| text.width()).sum();
        let right = if right > all { 0 } else { right };
        let room = if right == 0 { all } else { all.saturating_sub(right + 1) };
        let mut x = area.x;
        let mut left = room;
        for (text, style) in &self.left {
            if left == 0 {
                break;
            }
            let text = cut(text, left);
            let width = text.width();
            buf.set_stringn(x, area.y, &text, left, *style);
            left -= width.min(left);
            x += columns(width);
        }
        if right > 0 {
            let mut x = area.right() - columns(right);
            for (text, style) in &self.right {
                buf.set_stringn(x, area.y, text, usize::from(area.right() - x), *style);
                x += columns(text.width());
            }
        }
    }
}

/// A width as screen columns; wider than any screen is as wide as any screen.
pub fn columns(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

/// The lines of an area, top to bottom.
pub fn lines(area: Rect) -> impl Iterator<Item = Rect> {
    area.rows()
}

/// The text, no wider than that; what is lost is said by an ellipsis. Control characters become spaces.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    let clean: Cow<'_, str> = if text.chars().any(char::is_control) {
        text.replace(char::is_control, " ").into()
    } else {
        text.into()
    };
    if clean.width() <= width {
        return clean;
    }
    if width == 0 {
        return "".into();
    }
    let mut out = String::new();
    let mut used = 0;
    for letter in clean.chars() {
        let wide = letter.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(letter);
    }
    out.push('…');
    out.into()
}

/// The text, exactly that wide.
pub fn fit(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let gap = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(gap))
}

/// The text in lines no wider than that, broken at spaces where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let gap = usize::from(!line.is_empty());
            if line.width() + gap + word.width() > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            for letter in word.chars() {
                if line.width() + letter.width().unwrap_or(0) > width {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    lines
}

/// A count with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The whole part of a figure that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is cut is the fraction")]
pub fn whole(figure: f64) -> u64 {
    figure.max(0.0) as u64
}

/// A span in two units at most: 8s, 17m40s, 1h07m, 3d04h, 2w3d.
pub fn span(span: TimeDelta) -> String {
    let all = span.num_seconds().max(0);
    let unit = |size: i64, of: i64| all / size % of;
    let (seconds, minutes, hours, days) = (unit(1, 60), unit(60, 60), unit(3_600, 24), unit(86_400, 7));
    let weeks = all / 604_800;
    let pair = |major: i64, sign: &str, minor: i64, and: &str, pad: usize| {
        if minor == 0 { format!("{major}{sign}") } else { format!("{major}{sign}{minor:0pad$}{and}") }
    };
    match (weeks, days, hours, minutes) {
        (0, 0, 0, 0) => format!("{seconds}s"),
        (0, 0, 0, _) => pair(minutes, "m", seconds, "s", 2),
        (0, 0, _, _) => pair(hours, "h", minutes, "m", 2),
        (0, _, _, _) => pair(days, "d", hours, "h", 2),
        _ => pair(weeks, "w", days, "d", 1),
    }
}

/// A signed span in whole minutes ("+3m", "±0m"), for a slip.
pub fn slip(by: TimeDelta) -> String {
    if by.num_minutes() == 0 {
        return "±0m".into();
    }
    let sign = if by < TimeDelta::zero() { '-' } else { '+' };
    format!("{sign}{}", span(TimeDelta::minutes(by.num_minutes().abs())))
}

/// The age of a figure. From ten seconds on in steps of five, so that a quiet screen stays quiet on the wire as well.
pub fn age(span: TimeDelta) -> String {
    let all = span.num_seconds().max(0);
    match all {
        0..10 => format!("{all} s"),
        10..120 => format!("{} s", all / 5 * 5),
        120..7_200 => format!("{} min", all / 60),
        7_200..172_800 => format!("{} h", all / 3_600),
        _ => format!("{} d", all / 86_400),
    }
}

/// The time of day in a zone, to the second.
pub fn clock(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%H:%M:%S").to_string()
}

/// The time of day in a zone, to the minute.
pub fn hour(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_fits() {
        assert_eq!(cut("Contacts", 8), "Contacts");
        assert_eq!(cut("Contacts", 5), "Cont…");
        assert_eq!(cut("連絡先一覧", 5), "連絡…", "wide letters count twice");
        assert_eq!(cut("a\nb\u{1b}[31m", 20), "a b [31m", "no control character reaches the terminal");
        assert_eq!(fit("é", 3).width(), 3);
    }

    #[test]
    fn wrapping_loses_no_word() {
        let lines = wrap("drops what its migration did not create, anintolerablylongword", 12);
        assert!(lines.iter().all(|line| line.width() <= 12), "{lines:?}");
        assert_eq!(
            lines.concat().replace(' ', ""),
            "dropswhatitsmigrationdidnotcreate,anintolerablylongword"
        );
    }

    #[test]
    fn spans_and_counts_in_few_letters() {
        let spans = [8, 1_060, 4_020, 3_600, 273_600, 1_468_800].map(|s| span(TimeDelta::seconds(s)));
        assert_eq!(spans, ["8s", "17m40s", "1h07m", "1h", "3d04h", "2w3d"]);
        assert_eq!(count(1_034_567), "1,034,567");
        assert_eq!([slip(TimeDelta::minutes(3)), slip(TimeDelta::seconds(-20))], ["+3m", "±0m"]);
    }

    #[test]
    fn the_right_part_stays_when_the_left_gives_way() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 12, 1));
        let area = buf.area;
        Row::new().put("a long heading", Style::new()).end("12/20", Style::new()).draw(&mut buf, area);
        assert_eq!(buf, Buffer::with_lines(["a lon… 12/20"]));
    }
}
