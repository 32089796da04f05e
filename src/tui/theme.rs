//! The only place that knows a colour. Panes name roles; a theme gives each role a style; a terminal with fewer colours,
//! or none, gets the nearest it can show. Every role must be given, and nothing else may be: a misspelt role is an error
//! that names the file and the nearest word.

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};
use thiserror::Error;

/// What a piece of the screen means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What is read.
    Text,
    /// What explains it.
    Muted,
    /// Borders, rules, empty bars.
    Faint,
    /// Headings.
    Title,
    /// Where the focus is, and the next action.
    Accent,
    /// Healthy.
    Ok,
    /// Somebody should know.
    Warn,
    /// Somebody must act.
    Bad,
    /// It cannot be told.
    Unknown,
    /// The filled part of a bar.
    Progress,
    /// The row under the cursor.
    Selected,
    /// The sign of the day itself.
    Live,
    /// The sign of a rehearsal.
    Rehearsal,
    /// What is behind everything.
    Ground,
}

const ROLES: [(&str, Role); 14] = [
    ("text", Role::Text),
    ("muted", Role::Muted),
    ("faint", Role::Faint),
    ("title", Role::Title),
    ("accent", Role::Accent),
    ("ok", Role::Ok),
    ("warn", Role::Warn),
    ("bad", Role::Bad),
    ("unknown", Role::Unknown),
    ("progress", Role::Progress),
    ("selected", Role::Selected),
    ("live", Role::Live),
    ("rehearsal", Role::Rehearsal),
    ("ground", Role::Ground),
];

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Any.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The sixteen that the terminal's own scheme defines.
    Sixteen,
    /// None: weight, slant and reversal only.
    None,
}

impl Depth {
    /// What the environment says of the terminal (`NO_COLOR`, `COLORTERM`, `TERM`), without asking the terminal itself:
    /// an answer that does not come would hold the first frame up.
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if set("NO_COLOR").is_some() {
            return Self::None;
        }
        if set("COLORTERM").is_some_and(|value| value.contains("truecolor") || value.contains("24bit")) {
            return Self::True;
        }
        match set("TERM") {
            Some(term) if term.contains("direct") => Self::True,
            Some(term) if term.contains("256") => Self::Indexed,
            Some(term) if term == "dumb" => Self::None,
            _ => Self::Sixteen,
        }
    }
}

/// A theme, ready to draw with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    name: String,
    styles: [Style; ROLES.len()],
}

/// A theme that cannot be used.
#[derive(Debug, Error)]
pub enum ThemeError {
    /// No shipped theme and no file has that name.
    #[error("no theme {0:?}; shipped are {shipped}, and a file's path is taken too", shipped = names().join(", "))]
    Unknown(String),
    /// The file cannot be read.
    #[error("theme {file}: cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no theme.
    #[error("theme {file}: {what}; {next}")]
    Bad {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
        /// What would be right.
        next: String,
    },
}

const SHIPPED: [(&str, &str); 3] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("contrast", include_str!("../../themes/contrast.toml")),
];

/// The names of the shipped themes.
pub fn names() -> Vec<&'static str> {
    SHIPPED.iter().map(|(name, _)| *name).collect()
}

impl Theme {
    /// The shipped theme of that name, or the file at that path, for that many colours.
    pub fn load(name: &str, depth: Depth) -> Result<Self, ThemeError> {
        if let Some((file, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            return Self::parse(&format!("themes/{file}.toml"), text).map(|theme| theme.degraded(depth));
        }
        if !Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")) {
            return Err(ThemeError::Unknown(name.into()));
        }
        let text =
            std::fs::read_to_string(name).map_err(|source| ThemeError::Read { file: name.into(), source })?;
        Self::parse(name, &text).map(|theme| theme.degraded(depth))
    }

    /// Reads a theme; `file` is for the errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, ThemeError> {
        let bad = |what: String, next: &str| ThemeError::Bad { file: file.into(), what, next: next.into() };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            bad(error.to_string().trim().replace('\n', " "), "write it as TOML")
        })?;
        if let Some(key) = table.keys().find(|key| !["name", "roles"].contains(&key.as_str())) {
            return Err(bad(format!("unknown key {key:?}"), "it has `name` and `[roles]` only"));
        }
        let name = table.get("name").and_then(toml::Value::as_str).unwrap_or(file).to_owned();
        let roles = table
            .get("roles")
            .and_then(toml::Value::as_table)
            .ok_or_else(|| bad("no [roles]".into(), "give each role a style"))?;
        let mut styles = [None; ROLES.len()];
        for (key, value) in roles {
            let Some(place) = ROLES.iter().position(|(word, _)| word == key) else {
                let words = ROLES.map(|(word, _)| word);
                return Err(bad(format!("unknown role {key:?}"), &nearest(key, &words)));
            };
            styles[place] = Some(style(value).map_err(|(what, next)| bad(format!("{key}: {what}"), &next))?);
        }
        let mut whole = [Style::new(); ROLES.len()];
        for ((style, given), (word, _)) in whole.iter_mut().zip(styles).zip(ROLES) {
            *style = given.ok_or_else(|| bad(format!("role {word:?} is missing"), "add it"))?;
        }
        Ok(Self { name, styles: whole })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The style of a role.
    pub const fn of(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    fn degraded(mut self, depth: Depth) -> Self {
        for (style, (_, role)) in self.styles.iter_mut().zip(ROLES) {
            *style = degrade(*style, role, depth);
        }
        self
    }
}

fn degrade(style: Style, role: Role, depth: Depth) -> Style {
    let map = |color: Option<Color>, to: fn(u8, u8, u8) -> Color| match color {
        Some(Color::Rgb(r, g, b)) => Some(to(r, g, b)),
        other => other,
    };
    match depth {
        Depth::True => style,
        Depth::Indexed => Style { fg: map(style.fg, indexed), bg: map(style.bg, indexed), ..style },
        // The terminal's own ground and text are kept: a scheme of sixteen colours is the user's choice.
        Depth::Sixteen => match role {
            Role::Ground | Role::Text | Role::Title => Style { fg: None, bg: None, ..style },
            Role::Selected => Style { fg: None, bg: None, ..style }.add_modifier(Modifier::REVERSED),
            _ => Style { fg: map(style.fg, sixteen), bg: map(style.bg, sixteen), ..style },
        },
        Depth::None => {
            let plain = Style { fg: None, bg: None, ..style };
            match role {
                Role::Live | Role::Bad | Role::Selected => plain.add_modifier(Modifier::REVERSED),
                Role::Warn => plain.add_modifier(Modifier::UNDERLINED),
                Role::Faint | Role::Muted => plain.add_modifier(Modifier::DIM),
                _ => plain,
            }
        }
    }
}

fn indexed(r: u8, g: u8, b: u8) -> Color {
    let level = |c: u8| if c < 48 { 0 } else { u8::min((c.saturating_sub(35)) / 40, 5) };
    let spread = r.max(g).max(b) - r.min(g).min(b);
    if spread < 12 {
        let grey = (r.saturating_sub(8) / 10).min(23);
        return Color::Indexed(232 + grey);
    }
    Color::Indexed(16 + 36 * level(r) + 6 * level(g) + level(b))
}

const SIXTEEN: [(Color, (u8, u8, u8)); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (170, 30, 30)),
    (Color::Green, (60, 130, 60)),
    (Color::Yellow, (190, 130, 20)),
    (Color::Blue, (40, 90, 190)),
    (Color::Magenta, (140, 70, 160)),
    (Color::Cyan, (40, 150, 160)),
    (Color::Gray, (190, 195, 200)),
    (Color::DarkGray, (110, 115, 122)),
    (Color::LightRed, (245, 105, 100)),
    (Color::LightGreen, (140, 190, 135)),
    (Color::LightYellow, (235, 190, 90)),
    (Color::LightBlue, (125, 180, 235)),
    (Color::LightMagenta, (190, 160, 220)),
    (Color::LightCyan, (150, 215, 225)),
    (Color::White, (250, 250, 250)),
];

fn sixteen(r: u8, g: u8, b: u8) -> Color {
    let far = |(x, y, z): (u8, u8, u8)| {
        [(r, x), (g, y), (b, z)].iter().map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>()
    };
    SIXTEEN.iter().min_by_key(|(_, rgb)| far(*rgb)).map_or(Color::Reset, |(color, _)| *color)
}

fn style(value: &toml::Value) -> Result<Style, (String, String)> {
    const KEYS: [&str; 6] = ["fg", "bg", "bold", "italic", "underlined", "dim"];
    let table = match value {
        toml::Value::String(fg) => return Ok(Style::new().fg(color(fg)?)),
        toml::Value::Table(table) => table,
        _ => {
            return Err((
                "is no style".into(),
                "write \"#rrggbb\" or { fg = \"#rrggbb\", bold = true }".into(),
            ));
        }
    };
    let mut style = Style::new();
    for (key, value) in table {
        match (key.as_str(), value) {
            ("fg", toml::Value::String(word)) => style.fg = Some(color(word)?),
            ("bg", toml::Value::String(word)) => style.bg = Some(color(word)?),
            ("bold", toml::Value::Boolean(true)) => style = style.add_modifier(Modifier::BOLD),
            ("italic", toml::Value::Boolean(true)) => style = style.add_modifier(Modifier::ITALIC),
            ("underlined", toml::Value::Boolean(true)) => style = style.add_modifier(Modifier::UNDERLINED),
            ("dim", toml::Value::Boolean(true)) => style = style.add_modifier(Modifier::DIM),
            (key, toml::Value::Boolean(false)) if KEYS.contains(&key) => {}
            (key, _) if KEYS.contains(&key) => {
                let next = "colours are \"#rrggbb\", the others true or false";
                return Err((format!("{key} has a wrong value"), next.into()));
            }
            (key, _) => return Err((format!("unknown key {key:?}"), nearest(key, &KEYS))),
        }
    }
    Ok(style)
}

fn color(word: &str) -> Result<Color, (String, String)> {
    word.parse()
        .map_err(|_| (format!("{word:?} is no colour"), "write #rrggbb or one of the sixteen names".into()))
}

fn nearest(word: &str, words: &[&str]) -> String {
    let near = words.iter().min_by_key(|other| strsim::damerau_levenshtein(word, other));
    near.map_or_else(String::new, |near| format!("did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_theme_loads_at_every_depth() {
        for name in names() {
            for depth in [Depth::True, Depth::Indexed, Depth::Sixteen, Depth::None] {
                let theme = Theme::load(name, depth).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(theme.name(), name);
                let colourless = |style: Style| style.fg.is_none() && style.bg.is_none();
                assert!(depth != Depth::None || theme.styles.iter().all(|style| colourless(*style)));
            }
        }
    }

    #[test]
    fn roles_stand_in_the_order_of_their_enum() {
        for (place, (word, role)) in ROLES.iter().enumerate() {
            assert_eq!(*role as usize, place, "{word}");
        }
    }

    #[test]
    fn without_colour_what_must_be_seen_still_differs_from_text() {
        for depth in [Depth::Sixteen, Depth::None] {
            let theme = Theme::load("dark", depth).expect("it ships");
            for role in [Role::Warn, Role::Bad, Role::Selected, Role::Live, Role::Unknown] {
                assert_ne!(theme.of(role), theme.of(Role::Text), "{role:?} at {depth:?}");
            }
        }
    }

    #[test]
    fn a_misspelt_role_names_the_file_and_the_nearest_word() {
        let text = SHIPPED[0].1.replace("accent", "acccent");
        let error = Theme::parse("my.toml", &text).expect_err("it is unknown").to_string();
        assert_eq!(error, "theme my.toml: unknown role \"acccent\"; did you mean \"accent\"?");
        let error =
            Theme::parse("my.toml", "[roles]\ntext = { fgg = \"#ffffff\" }").expect_err("unknown key");
        assert!(error.to_string().contains("did you mean \"fg\""), "{error}");
    }

    #[test]
    fn the_environment_decides_the_depth() {
        let with = |pairs: &'static [(&str, &str)]| {
            Depth::detect(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into()))
        };
        assert_eq!(with(&[("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(with(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(with(&[("TERM", "screen-256color")]), Depth::Indexed);
        assert_eq!(with(&[("TERM", "linux")]), Depth::Sixteen);
    }
}
