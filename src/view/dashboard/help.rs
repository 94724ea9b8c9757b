//! The help that lies over the dashboard: every key, and the sizes that a narrow screen has no room for.

use super::keys::{Controls, explained};
use super::palette::Palette;
use super::panels::size_text;
use super::parts::panel;
use super::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

/// Draws the help in the middle of `area`; what has no room is cut.
pub fn draw_help(frame: &mut Frame, area: Rect, state: &State, controls: &Controls, palette: &Palette) {
    let keys = explained(controls.role);
    let key_width = keys.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut lines: Vec<Line> = keys
        .iter()
        .map(|(key, what)| {
            Line::from(vec![
                Span::styled(format!(" {key:<key_width$}  "), palette.title),
                Span::raw(format!("{what} ")),
            ])
        })
        .collect();
    lines.push(Line::raw(""));
    lines.push(Line::styled(format!(" {} ", size_text(state)), palette.faint));
    let width = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 2;
    let height = lines.len() as u16 + 2;
    let popup = area.centered(width.into(), height.into());
    frame.render_widget(Clear, popup);
    frame.render_widget(Paragraph::new(lines).block(panel("help", palette)), popup);
}
