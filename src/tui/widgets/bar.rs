//! A bar that fills in eighths of a cell; one that does not know its whole says so instead of pretending.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::{Role, Theme};

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Draws how much is done; without a total, an empty track.
pub fn bar(buf: &mut Buffer, area: Rect, theme: &Theme, done: u64, total: Option<u64>) {
    if area.is_empty() || area.intersection(buf.area) != area {
        return;
    }
    let width = usize::from(area.width);
    let share = match total {
        Some(total) if total > 0 => (done as f64 / total as f64).clamp(0.0, 1.0),
        _ => 0.0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 8 times a screen's width"
    )]
    let eighths = (share * (width * 8) as f64).floor() as usize;
    let (full, part) = (eighths / 8, EIGHTHS[eighths % 8]);
    let filled = format!("{}{part}", "█".repeat(full));
    let (x, _) = buf.set_stringn(area.x, area.y, filled, width, theme.of(Role::Progress));
    let rest = usize::from(area.right().saturating_sub(x));
    let track = if total.is_some() { "░" } else { "·" };
    buf.set_stringn(x, area.y, track.repeat(rest), rest, theme.of(Role::Faint));
}

/// Recent values as a line of eight heights, newest at the right; what is not known is a gap, never a zero.
pub fn trend(values: &[Option<f64>], width: usize, low: f64, high: f64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let from = values.len().saturating_sub(width);
    let shown = &values[from..];
    let room = if high > low { high - low } else { 1.0 };
    let mut line = " ".repeat(width - shown.len());
    line.extend(shown.iter().map(|value| match value {
        Some(value) => {
            let share = ((value - low) / room).clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
            let height = (share * 7.0).round() as usize;
            HEIGHTS[height]
        }
        None => '·',
    }));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Depth;

    #[test]
    fn a_bar_is_full_only_when_all_is_done() {
        let theme = Theme::load("dark", Depth::True).expect("it ships");
        let drawn = |done, total| {
            let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
            let area = buf.area;
            bar(&mut buf, area, &theme, done, total);
            buf.content.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        assert_eq!(drawn(999, Some(1_000)), "███▉");
        assert_eq!(drawn(1_000, Some(1_000)), "████");
        assert_eq!(drawn(0, Some(1_000)), "░░░░");
        assert_eq!(drawn(500, None), "····", "an unknown whole fills nothing");
    }

    #[test]
    fn a_gap_is_not_a_zero() {
        assert_eq!(trend(&[Some(0.0), None, Some(8.0)], 5, 0.0, 8.0), "  ▁·█");
    }
}
