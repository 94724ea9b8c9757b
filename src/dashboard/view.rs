//! The dashboard's picture of a [`State`].
//!
//! ```text
//! title                                device
//! generated ratings, if they are
//! epoch 3/10 ━━━━────   step 120/489 ━━──────
//! speed and time
//! ┌ loss ──────────────┐┌ validation ───────┐
//! │                    ││ last and best     │
//! │                    │└───────────────────┘
//! └────────────────────┘┌ ratings ──────────┐
//! ┌ notes ─────────────┐│ natural, training │
//! └────────────────────┘└───────────────────┘
//! keys                                   sizes
//! ```
//!
//! On a small screen the same is said in fewer words. Everything reads the same without colour.

use super::parts::{bar, decimals, flow, sides, ticks};
use super::state::{State, Validation};
use crate::format::{count, duration, percent};
use crate::train::event::ValidMetrics;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

/// The smallest screen on which the panels have room.
const PANELS: (u16, u16) = (76, 20);
/// Columns of the panels beside the chart, and those that hold the history of epochs too.
const NARROW: u16 = 34;
const WIDE: u16 = 58;

/// How the parts look.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    title: Style,
    faint: Style,
    train: Style,
    valid: Style,
    good: Style,
    warning: Style,
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

/// Draws the whole screen, whatever its size.
pub fn draw(frame: &mut Frame, state: &State, palette: &Palette) {
    let [screen, footer] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    if screen.width >= PANELS.0 && frame.area().height >= PANELS.1 {
        draw_panels(frame, screen, state, palette);
    } else {
        draw_words(frame, screen, state, palette);
    }
    draw_footer(frame, footer, state, palette);
}

fn draw_panels(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let [title, warning, progress, speed, body] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(state.start.generated.into()),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    frame.render_widget(
        sides(title.width, name(state, palette), Line::raw(state.start.device.clone())),
        title,
    );
    frame.render_widget(Line::styled(warning_text(warning.width), palette.warning), warning);
    let [epoch, step] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(progress);
    frame.render_widget(gauge(epoch.width, epoch_text(state), state.run_ratio(), palette), epoch);
    frame.render_widget(gauge(step.width, step_text(state), state.epoch_ratio(), palette), step);
    frame.render_widget(Line::raw(format!(" {}", speed_texts(state).join("   "))), speed);

    let panel_width = if area.width >= 2 * WIDE { WIDE } else { NARROW };
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(panel_width)]).areas(body);
    let notes_height = (left.height / 3).clamp(3, 12);
    let [chart, notes] = Layout::vertical([Constraint::Fill(1), Constraint::Length(notes_height)]).areas(left);
    draw_chart(frame, chart, state, palette);
    draw_notes(frame, notes, state, palette);
    draw_validation(frame, right, state, palette);
}

/// The right side, from top to bottom: the last and the best validation, the rating classes, the epochs so far. A panel
/// that would be cut is left out.
fn draw_validation(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let height = |lines: &[Line]| lines.len() as u16 + 2;
    let scores = score_lines(state, palette);
    let mut room = area.height.saturating_sub(height(&scores));
    let mut panels = vec![("validation", scores)];
    let classes = class_lines(area.width.saturating_sub(2), state, palette);
    if !state.start.classes.is_empty() && height(&classes) <= room {
        room -= height(&classes);
        panels.push(("ratings in training", classes));
    }
    if area.width >= WIDE && room >= 5 {
        panels.push(("epochs, * best", history_lines(room - 2, state, palette)));
    }
    let last = panels.len() - 1;
    let heights = panels.iter().enumerate().map(|(number, (_, lines))| match number {
        _ if number == last => Constraint::Fill(1),
        _ => Constraint::Length(height(lines)),
    });
    let areas = Layout::vertical(heights).split(area);
    for ((title, lines), area) in panels.into_iter().zip(areas.iter()) {
        frame.render_widget(Paragraph::new(lines).block(panel(title, palette)), *area);
    }
}

/// Words alone, the most important first; a statement that does not fit is left out as a whole, so that precision never
/// stands without its base rate.
fn draw_words(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let width = area.width;
    let run_percent = percent(state.run_ratio());
    let mut statements = vec![vec![name(state, palette)]];
    if state.start.generated {
        statements.push(vec![Line::styled(warning_text(width), palette.warning)]);
    }
    let [train, valid] = loss_texts(state).map(|text| text.replace(' ', " loss "));
    statements.extend(
        flow(width, [epoch_text(state), run_percent, step_text(state)])
            .into_iter()
            .map(|line| vec![line]),
    );
    statements.extend(flow(width, [train, valid]).into_iter().map(|line| vec![line]));
    if let Some(validation) = state.latest {
        let ValidMetrics {
            precision,
            base_rate,
            recall,
            ..
        } = validation.metrics;
        let lift = format!("lift {:.3}", validation.metrics.lift());
        let [precision, base_rate, recall] = [precision, base_rate, recall].map(percent);
        let pair = [format!("precision {precision}"), format!("base rate {base_rate}")];
        statements.push(flow(width, pair.into_iter().chain([lift, format!("recall {recall}")])));
    }
    statements.push(flow(width, speed_texts(state)));
    statements.push(vec![Line::raw(format!(" {}", state.start.device))]);

    let mut lines = Vec::new();
    for statement in statements {
        if lines.len() + statement.len() <= area.height.into() {
            lines.extend(statement);
        }
    }
    let [words, chart] = Layout::vertical([Constraint::Length(lines.len() as u16), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(lines), words);
    if chart.height >= 6 && chart.width >= 30 {
        draw_chart(frame, chart, state, palette);
    }
}

fn draw_footer(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let keys = match &state.outcome {
        Some(outcome) => Line::styled(format!(" {outcome}"), palette.title),
        None if state.stopping => Line::styled(
            " stopping: saving a checkpoint ...  (Ctrl-C leaves the dashboard) ",
            palette.warning,
        ),
        None => Line::from(vec![
            Span::raw(" "),
            Span::styled("q", palette.title),
            Span::raw(" stop and save"),
        ]),
    };
    let start = &state.start;
    let [users, items, batch] = [start.users, start.items, start.batch_size].map(count);
    let sizes = format!("{users} users x {items} products x dim {}, batch {batch}", start.dim);
    frame.render_widget(sides(area.width, keys, Line::styled(sizes, palette.faint)), area);
}

fn draw_notes(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let rows = area.height.saturating_sub(2).into();
    let newest = state.notes.iter().skip(state.notes.len().saturating_sub(rows));
    let lines = newest.map(|note| {
        let time = Span::styled(format!(" {:>7}  ", duration(note.seconds)), palette.faint);
        Line::from(vec![time, Span::raw(note.text.as_str())])
    });
    frame.render_widget(
        Paragraph::new(Text::from_iter(lines)).block(panel("notes", palette)),
        area,
    );
}

fn draw_chart(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let [train_text, valid_text] = loss_texts(state);
    let legend = Line::from(vec![
        Span::styled(" loss ", palette.title),
        Span::styled(format!(" ⠤⠒ {train_text} "), palette.train),
        Span::styled(format!(" ● {valid_text} "), palette.valid),
    ]);
    let block = framed(legend, palette);
    let bounds = [state.train.bounds(), state.valid.bounds()];
    let Some((low, high)) = bounds.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        frame.render_widget(Paragraph::new(" waiting for the first steps").block(block), area);
        return;
    };
    let heights = ticks(low, high, (area.height / 3).clamp(2, 8));
    let decimals = decimals(heights[1] - heights[0]);
    let labels = heights
        .iter()
        .map(|height| Line::styled(format!("{height:.decimals$}"), palette.faint).right_aligned());
    // From where this process began to the end of the running epoch: the curve grows by the epoch.
    let from = state.start.first_epoch.saturating_sub(1) as f64;
    let to = state.position().ceil().max(from + 1.0);
    let epochs = [
        format!("{from}"),
        format!("{}", (from + to) / 2.0),
        format!("epoch {to}"),
    ];
    let datasets = vec![
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(palette.train)
            .data(state.train.points()),
        Dataset::default()
            .marker(Marker::Custom('●'))
            .graph_type(GraphType::Scatter)
            .style(palette.valid)
            .data(state.valid.points()),
    ];
    let chart = Chart::new(datasets)
        .block(block)
        .x_axis(
            Axis::default()
                .style(palette.faint)
                .bounds([from, to])
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

/// The last validation beside the best.
fn score_lines<'a>(state: &State, palette: &Palette) -> Vec<Line<'a>> {
    type Score = fn(&Validation) -> String;
    let rows: [(&str, Score); 7] = [
        ("epoch", |validation| epoch_number(validation.at)),
        ("precision", |validation| percent(validation.metrics.precision)),
        ("base rate", |validation| percent(validation.metrics.base_rate)),
        ("lift", |validation| format!("{:.3}", validation.metrics.lift())),
        ("recall", |validation| percent(validation.metrics.recall)),
        ("AUC", |validation| format!("{:.4}", validation.metrics.auc)),
        ("loss", |validation| format!("{:.4}", validation.metrics.loss)),
    ];
    let head = Line::styled(format!(" {:<9}{:>11}{:>11}", "", "last", "best"), palette.faint);
    let rows = rows.map(|(name, score)| {
        let [last, best] = [&state.latest, &state.best].map(|validation| validation.as_ref().map_or("-".into(), score));
        Line::from(vec![
            Span::styled(format!(" {name:<9}"), palette.faint),
            Span::styled(format!("{last:>11}"), palette.title),
            Span::styled(format!("{best:>11}"), palette.good),
        ])
    });
    [head].into_iter().chain(rows).collect()
}

/// The newest epochs that fit, the best marked.
fn history_lines<'a>(height: u16, state: &State, palette: &Palette) -> Vec<Line<'a>> {
    let columns = ["epoch", "loss", "precision", "base", "lift", "recall", "AUC"];
    let row = |cells: [String; 7], mark: &str| {
        let [epoch, loss, precision, base, lift, recall, auc] = cells;
        format!("{mark}{epoch:>5}{loss:>8}{precision:>10}{base:>8}{lift:>7}{recall:>8}{auc:>8}")
    };
    let head = Line::styled(row(columns.map(String::from), " "), palette.faint);
    let rows = usize::from(height).saturating_sub(1);
    let newest = &state.history[state.history.len().saturating_sub(rows)..];
    let lines = newest.iter().map(|validation| {
        let ValidMetrics {
            loss,
            precision,
            base_rate,
            recall,
            auc,
        } = validation.metrics;
        let cells = [
            epoch_number(validation.at),
            format!("{loss:.4}"),
            percent(precision),
            percent(base_rate),
            format!("{:.3}", validation.metrics.lift()),
            percent(recall),
            format!("{auc:.4}"),
        ];
        let is_best = state.best.is_some_and(|best| best.at == validation.at);
        let style = if is_best { palette.good } else { Style::new() };
        Line::styled(row(cells, if is_best { "*" } else { " " }), style)
    });
    [head].into_iter().chain(lines).collect()
}

/// The share of each rating class: in the data, and in what is trained on.
fn class_lines<'a>(width: u16, state: &State, palette: &Palette) -> Vec<Line<'a>> {
    let classes = &state.start.classes;
    let natural = shares(classes.iter().map(|class| class.natural));
    let oversampled = shares(classes.iter().map(|class| class.oversampled));
    let longest = natural.iter().chain(&oversampled).fold(0.0, |a: f64, b| a.max(*b));
    // A row: ` 4.5  ` and twice a bar with ` 45 %`, two columns apart.
    let half = usize::from(width).saturating_sub(6 + 2 + 1) / 2;
    let bar_width = half.saturating_sub(6);
    let cell = |share: f64| {
        format!(
            "{:<bar_width$} {:>3.0} %",
            bar(share / longest, bar_width),
            100.0 * share
        )
    };
    let head = format!("      {:<half$}  {:<half$}", "natural", "oversampled");
    let rows = classes
        .iter()
        .zip(natural.iter().zip(&oversampled))
        .map(|(class, (natural, oversampled))| {
            Line::from(vec![
                Span::raw(format!(" {:<4} ", class.rating)),
                Span::styled(cell(*natural), palette.valid),
                Span::styled(format!("  {}", cell(*oversampled)), palette.train),
            ])
        });
    [Line::styled(head, palette.faint)].into_iter().chain(rows).collect()
}

fn shares(parts: impl Iterator<Item = usize> + Clone) -> Vec<f64> {
    let whole = parts.clone().sum::<usize>().max(1);
    parts.map(|part| part as f64 / whole as f64).collect()
}

/// A label, a line that fills up, and how far it is.
fn gauge<'a>(width: u16, label: String, ratio: f64, palette: &Palette) -> Line<'a> {
    let label = format!(" {label} ");
    let share = format!(" {:>7}", percent(ratio));
    let room = usize::from(width).saturating_sub(label.len() + share.len());
    let filled = (ratio * room as f64) as usize;
    Line::from(vec![
        Span::raw(label),
        Span::styled("━".repeat(filled), palette.train),
        Span::styled("─".repeat(room - filled), palette.faint),
        Span::raw(share),
    ])
}

fn panel<'a>(title: &'a str, palette: &Palette) -> Block<'a> {
    let title = Span::styled(title, palette.title);
    framed(Line::from(vec![Span::raw(" "), title, Span::raw(" ")]), palette)
}

fn framed<'a>(title: Line<'a>, palette: &Palette) -> Block<'a> {
    // A title is written over the border, and would be as faint.
    let title_style = Style::new().not_dim();
    Block::bordered()
        .border_style(palette.faint)
        .title_style(title_style)
        .title(title)
}

fn name<'a>(state: &State, palette: &Palette) -> Line<'a> {
    Line::from(vec![
        Span::raw(" dotcart  "),
        Span::styled(state.start.run.clone(), palette.title),
    ])
}

fn warning_text(width: u16) -> &'static str {
    const LONG: &str = " GENERATED RATINGS: a stand-in for real data, and so is all that is learned ";
    if usize::from(width) >= LONG.len() {
        LONG
    } else {
        " GENERATED RATINGS "
    }
}

fn epoch_text(state: &State) -> String {
    format!("epoch {}/{}", state.epoch, state.start.epochs)
}

fn step_text(state: &State) -> String {
    format!("step {}/{}", count(state.step()), count(state.start.steps_per_epoch))
}

fn speed_texts(state: &State) -> [String; 3] {
    [
        format!(
            "{} samples/s",
            state.rate().map_or("-".into(), |rate| count(rate.round() as usize))
        ),
        format!("elapsed {}", duration(state.elapsed)),
        format!("remaining {}", duration(state.remaining().unwrap_or(f64::NAN))),
    ]
}

fn loss_texts(state: &State) -> [String; 2] {
    let text = |loss: Option<f64>| loss.map_or("-".into(), |loss| format!("{loss:.4}"));
    let valid = state.latest.map(|validation| validation.metrics.loss);
    [format!("train {}", text(state.loss)), format!("valid {}", text(valid))]
}

/// `3` at an epoch's end, `2.4` within the third.
fn epoch_number(at: f64) -> String {
    if at.fract() == 0.0 {
        format!("{at}")
    } else {
        format!("{at:.1}")
    }
}
