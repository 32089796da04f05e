//! Durations and times of day as people write them: "15m" in an attribute, "(10:00 AM, 15–20 min)" in a heading.
//!
//! Of a range the longer end is taken: a plan that is kept should not read as late.

use std::time::Duration;

use chrono::NaiveTime;

const DAY: u64 = 86_400;

/// What a heading says about time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Times {
    pub(super) starts: Option<NaiveTime>,
    pub(super) takes: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Clock(u32, u32),
    Word(String),
    Dash,
    Other(char),
}

/// Reads a duration: `90s`, `15m`, `1h30m`, `2 hours`, `1w`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let found = scan(&lex(text));
    (found.whole && found.clocks.is_empty()).then_some(found.takes).flatten()
}

/// Reads a time of day: `10:00`, `4:30 PM`.
pub(super) fn clock(text: &str) -> Option<NaiveTime> {
    let found = scan(&lex(text));
    match found.clocks.as_slice() {
        [one] if found.whole && found.takes.is_none() => Some(*one),
        _ => None,
    }
}

/// Takes the times out of a heading; what is left is its title.
pub(super) fn heading(text: &str) -> (String, Times) {
    let mut title = String::new();
    let mut times = Times::default();
    let mut rest = text;
    while let Some((before, inside, after)) = parenthesis(rest) {
        let found = scan(&lex(inside));
        title.push_str(before);
        if !found.merge_into(&mut times) || !found.whole {
            title.push('(');
            title.push_str(inside);
            title.push(')');
        }
        rest = after;
    }
    title.push_str(rest);
    if times == Times::default() {
        title = segment(&title, &mut times);
    }
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let trimmed = title.trim_matches([' ', ',', '-', '–', '—', '|', '·']).trim_end_matches(':').trim();
    (trimmed.to_owned(), times)
}

/// "Monitoring – 2 hours" and "10:00–10:20 Migration": a first or last segment that is nothing but a time.
fn segment(title: &str, times: &mut Times) -> String {
    // A leading clock or range of clocks without a separator behind it.
    let ends = title.char_indices().filter(|(_, c)| *c == ' ').map(|(at, _)| at).take(4).collect::<Vec<_>>();
    for end in ends.into_iter().rev() {
        let found = scan(&lex(&title[..end]));
        if found.whole && !found.clocks.is_empty() && found.merge_into(times) {
            return title[end..].to_owned();
        }
    }
    for separator in [" – ", " — ", " - ", " | ", " · ", ": ", ", "] {
        if let Some((before, after)) = title.rsplit_once(separator) {
            let found = scan(&lex(after));
            if found.whole && found.merge_into(times) {
                return before.to_owned();
            }
        }
        if let Some((before, after)) = title.split_once(separator) {
            let found = scan(&lex(before));
            if found.whole && found.merge_into(times) {
                return after.to_owned();
            }
        }
    }
    title.to_owned()
}

fn parenthesis(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('(')?;
    let close = open + text[open..].find(')')?;
    Some((&text[..open], &text[open + 1..close], &text[close + 1..]))
}

fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        if first.is_ascii_digit() {
            let mut digits = String::new();
            while let Some(&c) = chars.peek() {
                if !(c.is_ascii_digit() || c == '.' || c == ':') {
                    break;
                }
                digits.push(c);
                chars.next();
            }
            tokens.push(number(digits.trim_end_matches(['.', ':'])));
        } else if first.is_alphabetic() {
            let mut word = String::new();
            while let Some(c) = chars.next_if(|c| c.is_alphabetic()) {
                word.extend(c.to_lowercase());
            }
            tokens.push(Token::Word(word));
        } else {
            chars.next();
            match first {
                '-' | '–' | '—' | '−' | '→' => tokens.push(Token::Dash),
                c if c.is_whitespace()
                    || matches!(c, '~' | '≈' | ',' | '.' | ';' | '|' | '⏱' | '\u{fe0f}') => {}
                c => tokens.push(Token::Other(c)),
            }
        }
    }
    tokens
}

fn number(digits: &str) -> Token {
    if let Some((hours, minutes)) = digits.split_once(':')
        && let (Ok(hours), Ok(minutes)) = (hours.parse(), minutes.parse())
        && minutes < 60
        && hours < 24
    {
        return Token::Clock(hours, minutes);
    }
    digits.parse().map_or(Token::Other('?'), Token::Number)
}

#[derive(Debug, Default)]
struct Found {
    clocks: Vec<NaiveTime>,
    takes: Option<Duration>,
    /// Whether the text was nothing but times.
    whole: bool,
    /// "7 days before": the number is a distance, not a length.
    relative: bool,
}

impl Found {
    fn merge_into(&self, times: &mut Times) -> bool {
        if self.relative {
            return false;
        }
        let between =
            match self.clocks.as_slice() {
                [from, to] => Some(*to - *from)
                    .map(|span| {
                        if span < chrono::TimeDelta::zero() {
                            span + chrono::TimeDelta::days(1)
                        } else {
                            span
                        }
                    })
                    .and_then(|span| span.to_std().ok()),
                _ => None,
            };
        let takes = self.takes.or(between);
        times.starts = times.starts.or_else(|| self.clocks.first().copied());
        times.takes = times.takes.or(takes);
        takes.is_some() || !self.clocks.is_empty()
    }
}

fn scan(tokens: &[Token]) -> Found {
    let mut found = Found { whole: !tokens.is_empty(), ..Found::default() };
    let mut at = 0;
    let mut last_unit = u64::MAX;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let (used, clock, span) = one(rest, last_unit);
        if let Some(clock) = clock {
            found.clocks.push(clock);
        }
        if let Some((span, unit)) = span {
            found.takes = match found.takes {
                Some(so_far) if unit < last_unit => so_far.checked_add(span),
                Some(so_far) => Some(so_far.max(span)),
                None => Some(span),
            };
            last_unit = unit;
        }
        if clock.is_none() && span.is_none() {
            match &rest[0] {
                Token::Word(word) if RELATIVE.contains(&word.as_str()) => {
                    found.relative = true;
                    found.whole = false;
                }
                Token::Word(word) if FILLER.contains(&word.as_str()) => {}
                Token::Dash if at > 0 => {}
                _ => found.whole = false,
            }
        }
        at += used;
    }
    found
}

const RELATIVE: [&str; 8] = ["before", "after", "prior", "every", "within", "than", "ago", "t"];
const FILLER: [&str; 24] = [
    "approx",
    "approximately",
    "about",
    "around",
    "est",
    "edt",
    "estimated",
    "estimate",
    "time",
    "duration",
    "local",
    "to",
    "at",
    "from",
    "start",
    "starts",
    "and",
    "utc",
    "cet",
    "cest",
    "gmt",
    "pst",
    "up",
    "each",
];

type One = (usize, Option<NaiveTime>, Option<(Duration, u64)>);

fn one(tokens: &[Token], last_unit: u64) -> One {
    let nothing = (1, None, None);
    match tokens {
        [Token::Clock(hours, minutes), Token::Word(half), ..] if half == "am" || half == "pm" => {
            (2, twelve(*hours, *minutes, half), None)
        }
        [Token::Clock(hours, minutes), ..] => (1, NaiveTime::from_hms_opt(*hours, *minutes, 0), None),
        [Token::Number(hours), Token::Word(half), ..] if (half == "am" || half == "pm") && *hours <= 12.0 => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
            let hours = *hours as u32;
            (2, twelve(hours, 0, half), None)
        }
        [Token::Number(_), Token::Dash, Token::Number(high), Token::Word(word), ..] => {
            unit(word).map_or(nothing, |unit| (4, None, long(*high, unit)))
        }
        [Token::Number(_), Token::Word(to), Token::Number(high), Token::Word(word), ..] if to == "to" => {
            unit(word).map_or(nothing, |unit| (4, None, long(*high, unit)))
        }
        [Token::Number(low), Token::Word(word), Token::Dash, Token::Number(_), Token::Word(_), ..]
        | [Token::Number(low), Token::Word(word), ..] => {
            unit(word).map_or(nothing, |unit| (2, None, long(*low, unit)))
        }
        [Token::Number(low), Token::Dash, Token::Word(word), ..] => {
            unit(word).map_or(nothing, |unit| (3, None, long(*low, unit)))
        }
        // "1h30": the minutes go without saying.
        [Token::Number(minutes)] if last_unit == 3600 => (1, None, long(*minutes, 60)),
        _ => nothing,
    }
}

fn twelve(hours: u32, minutes: u32, half: &str) -> Option<NaiveTime> {
    let hours = match (hours, half) {
        (12, "am") => 0,
        (12, _) | (_, "am") => hours,
        _ if hours < 12 => hours + 12,
        _ => hours,
    };
    NaiveTime::from_hms_opt(hours, minutes, 0)
}

fn unit(word: &str) -> Option<u64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => DAY,
        "w" | "wk" | "week" | "weeks" => 7 * DAY,
        _ => return None,
    })
}

fn long(count: f64, unit: u64) -> Option<(Duration, u64)> {
    Duration::try_from_secs_f64(count * unit as f64).ok().map(|span| (span, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> (String, Option<String>, Option<u64>) {
        let (title, times) = heading(text);
        (
            title,
            times.starts.map(|at| at.format("%H:%M").to_string()),
            times.takes.map(|span| span.as_secs() / 60),
        )
    }

    #[test]
    fn headings_as_people_write_them() {
        for (text, title, starts, takes) in [
            ("Database migration (15-20 minutes)", "Database migration", None, Some(20)),
            ("Deploy (10:00 AM, 20 min)", "Deploy", Some("10:00"), Some(20)),
            ("Deploy (1:30 PM - 3:30 PM)", "Deploy", Some("13:30"), Some(120)),
            ("10:00–10:20 Migration", "Migration", Some("10:00"), Some(20)),
            ("Monitoring – 2 hours", "Monitoring", None, Some(120)),
            ("Monitoring: 1.5 h", "Monitoring", None, Some(90)),
            ("23:50 - 00:10: Switch", "Switch", Some("23:50"), Some(20)),
            ("Day -1", "Day -1", None, None),
            ("Day −7 (7 days before)", "Day −7 (7 days before)", None, None),
            ("Rollout (DBA and lead)", "Rollout (DBA and lead)", None, None),
            ("Rollout ⏱️ (est. ~3 weeks)", "Rollout ⏱️", None, Some(3 * 7 * 24 * 60)),
            ("Go/No-Go (Day −1, 16:00)", "Go/No-Go (Day −1, 16:00)", Some("16:00"), None),
            ("Step (1h 30m)", "Step", None, Some(90)),
            ("Wait (20–30 min, DBA)", "Wait (20–30 min, DBA)", None, Some(30)),
        ] {
            assert_eq!(times(text), (title.to_owned(), starts.map(str::to_owned), takes), "{text}");
        }
    }

    #[test]
    fn durations_of_attributes() {
        let minutes = |text| span(text).map(|span| span.as_secs() / 60);
        assert_eq!(minutes("15m"), Some(15));
        assert_eq!(minutes("1h30m"), Some(90));
        assert_eq!(minutes("1h30"), Some(90));
        assert_eq!(minutes("2 hours"), Some(120));
        assert_eq!(minutes("1w"), Some(7 * 24 * 60));
        assert_eq!(minutes("soon"), None);
        assert_eq!(minutes("15"), None);
        assert_eq!(minutes(""), None);
        assert_eq!(span("9999999999999999999999w"), None);
        assert_eq!(clock("4:30 pm"), NaiveTime::from_hms_opt(16, 30, 0));
        assert_eq!(clock("25:00"), None);
    }
}
