//! Pieces that the picture is made of; they know nothing of a training.

use super::palette::Palette;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Block;

/// A panel with its title.
pub fn panel<'a>(title: &'a str, palette: &Palette) -> Block<'a> {
    let title = Span::styled(title, palette.title);
    framed(Line::from(vec![Span::raw(" "), title, Span::raw(" ")]), palette)
}

/// A frame with a title of several parts.
pub fn framed<'a>(title: Line<'a>, palette: &Palette) -> Block<'a> {
    // A title is written over the border, and would be as faint.
    let title_style = Style::new().not_dim();
    Block::bordered()
        .border_style(palette.faint)
        .title_style(title_style)
        .title(title)
}

/// A bar of blocks, fine to an eighth of a column.
pub fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * 8.0 * width as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Values as columns, a value each, from nothing to the highest.
pub fn sparkline(values: &[f64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let level = |value: &f64| (value / highest * 8.0).ceil().clamp(1.0, 8.0) as usize - 1;
    values.iter().map(|value| LEVELS[level(value)]).collect()
}

/// Two lines at the two ends of one; the right one gives way.
pub fn sides<'a>(width: u16, left: Line<'a>, right: Line<'a>) -> Line<'a> {
    let Some(gap) = usize::from(width)
        .checked_sub(left.width() + right.width() + 1)
        .filter(|gap| *gap >= 2)
    else {
        return left;
    };
    let mut spans = left.spans;
    spans
        .iter_mut()
        .for_each(|span| span.style = left.style.patch(span.style));
    spans.push(Span::raw(" ".repeat(gap)));
    spans.extend(right.spans.into_iter().map(|span| span.patch_style(right.style)));
    Line::from(spans)
}

/// Puts as many texts on a line as fit.
pub fn flow<'a>(width: u16, texts: impl IntoIterator<Item = String>) -> Vec<Line<'a>> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + text.len() <= width.into() => *line = format!("{line}  {text}"),
            _ => lines.push(format!(" {text}")),
        }
    }
    lines.into_iter().map(Line::raw).collect()
}

/// `wanted` heights, evenly apart, that hold a curve; their ends are rounded, so that the axis stands still while the
/// curve moves.
pub fn ticks(low: f64, high: f64, wanted: u16) -> Vec<f64> {
    // A curve that is flat so far still needs a height.
    let span = (high - low).max(low.abs() * 1e-3).max(1e-6);
    let unit = 10f64.powf(span.log10().floor() - 1.0);
    let (bottom, top) = ((low / unit).floor() * unit, ((low + span) / unit).ceil() * unit);
    let gaps = wanted.max(2) - 1;
    (0..=gaps)
        .map(|gap| bottom + (top - bottom) * f64::from(gap) / f64::from(gaps))
        .collect()
}

/// Decimals that show three digits of a step.
pub fn decimals(step: f64) -> usize {
    (2.0 - step.log10().floor()).clamp(0.0, 9.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_hold_the_curve_and_little_more() {
        for (low, high) in [(0.0, 1.0), (0.41, 0.69), (-3.0, 2.0), (0.49, 0.51), (1e9, 2e9)] {
            for wanted in 0..9 {
                let ticks = ticks(low, high, wanted);
                let (bottom, top) = (ticks[0], ticks[ticks.len() - 1]);
                let (margin, rounding) = (0.1 * (high - low), 1e-9 * (high - low));
                assert_eq!(ticks.len(), usize::from(wanted.max(2)));
                assert!(
                    bottom <= low + rounding && bottom >= low - margin,
                    "{low} to {high}: {ticks:?}"
                );
                assert!(
                    top >= high - rounding && top <= high + margin,
                    "{low} to {high}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn a_flat_curve_has_a_height() {
        for level in [0.0, 0.5, -2.0] {
            let ticks = ticks(level, level, 2);
            assert!(ticks[0] <= level && level < ticks[1], "{level}: {ticks:?}");
        }
    }

    #[test]
    fn decimals_tell_ticks_apart() {
        assert_eq!([100.0, 1.0, 0.5, 0.117, 0.0002].map(decimals), [0, 2, 3, 3, 6]);
    }

    #[test]
    fn bars_are_fine_to_an_eighth() {
        assert_eq!(
            [0.0, 0.5, 0.8125, 1.0, 2.0].map(|share| bar(share, 2)),
            ["", "█", "█▋", "██", "██"]
        );
    }

    #[test]
    fn a_sparkline_begins_at_nothing() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0, 7.0, 8.0]), "▁▁▁▇█");
        assert_eq!(sparkline(&[5.0, 5.0]), "██");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn texts_flow_onto_lines_that_hold_them() {
        let lines = flow(12, ["aaaa", "bbbb", "cc"].map(String::from));
        assert_eq!(
            lines.iter().map(|line| line.to_string()).collect::<Vec<_>>(),
            [" aaaa  bbbb", " cc"]
        );
    }
}
