//! The screen as an SVG, drawn by the same code as the screen: for the README, and to look at a layout without a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::Boot;
use super::app::App;
use super::panes::{Scene, World};
use super::screen;
use super::theme::{Role, Theme};
use crate::plan::Role as Duty;
use crate::run::{Actor, Live, State};

// The advance of the usual monospace fonts is 0.602 em.
const WIDE: f64 = 8.428;
const HIGH: f64 = 18.0;

/// The overview at a moment, as the lead sees it.
pub fn picture(
    state: &State,
    live: &Live,
    now: DateTime<Utc>,
    width: u16,
    height: u16,
    theme: &Theme,
) -> String {
    let lead = state.tail.iter().rev().find(|record| record.by.role == Duty::Lead);
    let seat = lead.map_or_else(|| Actor::person("lead", Duty::Lead), |record| record.by.clone());
    let app = App::new(seat);
    let boot = Boot::default();
    let world =
        World { state, live, boot: &boot, trouble: None, now, lag: Duration::ZERO, cockpit: "", faults: &[] };
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    screen::draw(&Scene { world, app: &app, theme }, &mut buf, Rect::new(0, 0, width, height));
    svg(&buf, theme)
}

/// Cells as an SVG.
pub fn svg(buf: &Buffer, theme: &Theme) -> String {
    let (width, height) = (f64::from(buf.area.width) * WIDE + 16.0, f64::from(buf.area.height) * HIGH + 16.0);
    let ground = hex(theme.of(Role::Ground).bg, "#14171c");
    let text = hex(theme.of(Role::Text).fg, "#d5d9e0");
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{ground}\"/>\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">"
    );
    for y in 0..buf.area.height {
        let cells: Vec<&Cell> = (0..buf.area.width).filter_map(|x| buf.cell((x, y))).collect();
        let mut x = 0;
        for run in cells.chunk_by(|a, b| a.fg == b.fg && a.bg == b.bg && a.modifier == b.modifier) {
            let from = x;
            x += run.len();
            let symbols: String = run.iter().map(|cell| cell.symbol()).collect();
            let (left, top) = (8.0 + from as f64 * WIDE, 8.0 + f64::from(y) * HIGH);
            let long = run.len() as f64 * WIDE;
            let first = run[0];
            let (fg, bg) = if first.modifier.contains(Modifier::REVERSED) {
                (hex(Some(first.bg), &ground), hex(Some(first.fg), &text))
            } else {
                (hex(Some(first.fg), &text), hex(Some(first.bg), &ground))
            };
            if bg != ground {
                let _ = write!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{long:.1}\" height=\"{HIGH}\" fill=\"{bg}\"/>"
                );
            }
            if symbols.trim().is_empty() {
                continue;
            }
            let lead = symbols.len() - symbols.trim_start().len();
            let left = left + lead as f64 * WIDE;
            let shown = symbols.trim();
            let long = shown.width() as f64 * WIDE;
            let mut more = String::new();
            for (modifier, attribute) in [
                (Modifier::BOLD, " font-weight=\"bold\""),
                (Modifier::ITALIC, " font-style=\"italic\""),
                (Modifier::UNDERLINED, " text-decoration=\"underline\""),
                (Modifier::DIM, " opacity=\"0.6\""),
            ] {
                if first.modifier.contains(modifier) {
                    more.push_str(attribute);
                }
            }
            let base = top + 13.5;
            let shown = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = write!(
                out,
                "<text x=\"{left:.1}\" y=\"{base:.1}\" textLength=\"{long:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fg}\"{more}>{shown}</text>"
            );
        }
    }
    out.push_str("</g></svg>\n");
    out
}

fn hex(color: Option<Color>, otherwise: &str) -> String {
    match color {
        Some(Color::Rgb(r, g, b)) => format!("#{r:02x}{g:02x}{b:02x}"),
        _ => otherwise.to_owned(),
    }
}
