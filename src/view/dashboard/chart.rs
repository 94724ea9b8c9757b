//! The chart: one of several pictures over epochs, all of it or a part.

use super::chart_kind::ChartKind;
use super::curve::Curve;
use super::keys::Controls;
use super::palette::Palette;
use super::parts::{decimals, framed, ticks};
use super::state::State;
use super::validations::Validation;
use crate::common::format::{count, percent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

/// `train 0.4322` and `valid 0.4871`.
pub fn loss_texts(state: &State) -> [String; 2] {
    let text = |loss: Option<f64>| loss.map_or("-".into(), |loss| format!("{loss:.4}"));
    let valid = state.validations.latest.map(|validation| validation.metrics.loss);
    [format!("train {}", text(state.loss)), format!("valid {}", text(valid))]
}

/// Three digits of a learning rate: `0.001`, `0.0000483`.
pub fn learning_rate_text(rate: f64) -> String {
    if rate <= 0.0 || !rate.is_finite() {
        return format!("{rate}");
    }
    let decimals = (2.0 - rate.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{rate:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// Draws the chart that the controls have chosen.
pub fn draw_chart(frame: &mut Frame, area: Rect, state: &State, controls: &Controls, palette: &Palette) {
    let kind = controls.chart;
    let (left, right) = controls.window(state);
    let series = series_of(kind, state, palette);
    let mut legend = vec![Span::styled(format!(" {} ", kind.title()), palette.title)];
    legend.extend(series.iter().map(Series::legend));
    let mut block = framed(Line::from(legend), palette);
    if controls.zoom > 0 {
        let shown = format!(" zoom x{}: epochs {left:.2} to {right:.2} ", 1 << controls.zoom);
        block = block.title_bottom(Line::styled(shown, palette.title));
    }
    let visible: Vec<Vec<(f64, f64)>> = series.iter().map(|series| series.visible(left, right)).collect();
    let within = visible
        .iter()
        .flatten()
        .filter(|point| (left..=right).contains(&point.0))
        .map(|point| (point.1, point.1));
    let Some((low, high)) = within.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        let why = match kind {
            _ if controls.zoom > 0 && !series.iter().all(|series| series.curve.points().is_empty()) => {
                " nothing was reported here"
            }
            ChartKind::Precision | ChartKind::Recall | ChartKind::Auc => " waiting for the first validation",
            _ => " waiting for the first steps",
        };
        frame.render_widget(Paragraph::new(why).block(block), area);
        return;
    };
    let heights = ticks(low, high, (area.height / 3).clamp(2, 8));
    let decimals = decimals(heights[1] - heights[0]);
    let labels = heights.iter().map(|height| {
        let label = match kind {
            ChartKind::Speed => count(height.max(0.0).round() as usize),
            _ => format!("{height:.decimals$}"),
        };
        Line::styled(label, palette.faint).right_aligned()
    });
    let whole = left.fract() == 0.0 && right.fract() == 0.0;
    let epochs = match whole {
        true => [
            format!("{left}"),
            format!("{}", (left + right) / 2.0),
            format!("epoch {right}"),
        ],
        false => [
            format!("{left:.2}"),
            format!("{:.2}", (left + right) / 2.0),
            format!("epoch {right:.2}"),
        ],
    };
    let datasets = series.iter().zip(&visible).map(|(series, points)| {
        let (marker, graph) = match series.mark {
            Mark::Line => (Marker::Braille, GraphType::Line),
            Mark::Dots => (Marker::Custom('●'), GraphType::Scatter),
        };
        Dataset::default()
            .marker(marker)
            .graph_type(graph)
            .style(series.style)
            .data(points)
    });
    let chart = Chart::new(datasets.collect())
        .block(block)
        .x_axis(
            Axis::default()
                .style(palette.faint)
                .bounds([left, right])
                .labels(epochs.map(|epoch| Line::styled(epoch, palette.faint))),
        )
        .y_axis(
            Axis::default()
                .style(palette.faint)
                .bounds([heights[0], heights[heights.len() - 1]])
                .labels(labels),
        );
    frame.render_widget(chart, area);
}

/// The curves of a picture.
fn series_of<'a>(kind: ChartKind, state: &'a State, palette: &Palette) -> Vec<Series<'a>> {
    let curves = &state.curves;
    let last = |text: fn(&Validation) -> String| state.validations.latest.as_ref().map_or("-".into(), text);
    let train = |text, curve, scale| Series::new(Mark::Line, text, palette.train, curve, scale);
    let valid = |text, curve, scale| Series::new(Mark::Dots, text, palette.valid, curve, scale);
    let share: fn(f64) -> f64 = |share| 100.0 * share;
    match kind {
        ChartKind::Loss => {
            let [train_text, valid_text] = loss_texts(state);
            vec![
                train(train_text, &curves.train_loss, plain),
                valid(valid_text, &curves.valid_loss, plain),
            ]
        }
        ChartKind::Precision => vec![
            train(
                format!("base rate {}", last(|last| percent(last.metrics.base_rate))),
                &curves.base_rate,
                share,
            ),
            valid(last(|last| percent(last.metrics.precision)), &curves.precision, share),
        ],
        ChartKind::Recall => vec![valid(last(|last| percent(last.metrics.recall)), &curves.recall, share)],
        ChartKind::Auc => vec![valid(
            last(|last| format!("valid {:.4}", last.metrics.auc)),
            &curves.auc,
            plain,
        )],
        ChartKind::Speed => {
            let now = state.rate().map_or("-".into(), |rate| count(rate.round() as usize));
            vec![train(now, &curves.sample_seconds, |seconds| 1.0 / seconds)]
        }
        ChartKind::LearningRate => {
            let now = state.learning_rate.map_or("-".into(), learning_rate_text);
            vec![train(now, &curves.learning_rate, plain)]
        }
    }
}

/// How points are drawn: told apart without colour.
#[derive(Clone, Copy)]
enum Mark {
    Line,
    Dots,
}

/// A curve and how it is drawn.
struct Series<'a> {
    mark: Mark,
    text: String,
    style: Style,
    curve: &'a Curve,
    scale: fn(f64) -> f64,
}

impl<'a> Series<'a> {
    fn new(mark: Mark, text: String, style: Style, curve: &'a Curve, scale: fn(f64) -> f64) -> Self {
        Self {
            mark,
            text,
            style,
            curve,
            scale,
        }
    }

    fn legend(&self) -> Span<'a> {
        let mark = match self.mark {
            Mark::Line => "⠤⠒",
            Mark::Dots => "●",
        };
        Span::styled(format!(" {mark} {} ", self.text), self.style)
    }

    /// The points between `left` and `right`, and one beyond on either side, so that a line runs out of the picture.
    fn visible(&self, left: f64, right: f64) -> Vec<(f64, f64)> {
        let points = self.curve.points();
        let first = points.partition_point(|point| point.0 < left);
        let end = points.partition_point(|point| point.0 <= right);
        let points = &points[first.saturating_sub(1)..(end + 1).min(points.len())];
        points.iter().map(|&(x, y)| (x, (self.scale)(y))).collect()
    }
}

fn plain(value: f64) -> f64 {
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rates_show_three_digits() {
        let texts = [0.001, 0.05, 2.0, 150.0, 0.000_048_34, 0.0].map(learning_rate_text);
        assert_eq!(texts, ["0.001", "0.05", "2", "150", "0.0000483", "0"]);
    }
}
