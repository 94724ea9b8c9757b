//! How the parts of the dashboard look, with colour and without.

use ratatui::style::{Color, Style};

/// How the parts look.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    pub title: Style,
    pub faint: Style,
    pub train: Style,
    pub valid: Style,
    pub good: Style,
    pub warning: Style,
}

impl Palette {
    /// With colours, or with bold, dim and reversed text alone.
    pub fn new(colour: bool) -> Self {
        let plain = Style::new();
        let tint = |color| if colour { plain.fg(color) } else { plain };
        Self {
            title: plain.bold(),
            faint: plain.dim(),
            train: tint(Color::Cyan),
            valid: tint(Color::Magenta),
            good: tint(Color::Green).bold(),
            warning: tint(Color::Yellow).bold().reversed(),
        }
    }
}
