//! The dashboard's picture of a [`State`].
//!
//! ```text
//! title                         device, memory
//! generated ratings, if they are
//! epoch 3/10 ━━━━────   step 120/489 ━━──────
//! speed ▅▆▇, time, learning rate
//! step time by stage (a panel of its own on a wide screen)
//! ┌ a chart ───────────┐┌ validation ───────┐
//! │                    ││ last and best     │
//! │                    │└───────────────────┘
//! └────────────────────┘┌ ratings ──────────┐
//! ┌ notes ─────────────┐│ natural, training │
//! └────────────────────┘└───────────────────┘
//! keys                                   sizes
//! ```
//!
//! On a small screen the same is said in fewer words. Everything reads the same without colour.

use super::chart::{draw_chart, learning_rate_text, loss_texts};
use super::help::draw_help;
use super::keys::{Controls, Role};
use super::palette::Palette;
use super::panels::{class_lines, history_lines, score_lines, size_text, stage_lines};
use super::parts::{flow, panel, sides, sparkline};
use super::state::State;
use super::validations::precision;
use crate::common::format::{count, duration, mebibytes, percent};
use crate::train::event::ValidMetrics;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;

/// The smallest screen on which the panels have room.
const PANELS: (u16, u16) = (76, 20);
/// Columns of the panels beside the chart, and those that hold the history of epochs too.
const NARROW: u16 = 34;
const WIDE: u16 = 58;

/// Draws the whole screen, whatever its size.
pub fn draw(frame: &mut Frame, state: &State, controls: &Controls, palette: &Palette) {
    let [screen, footer] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    if screen.width >= PANELS.0 && frame.area().height >= PANELS.1 {
        draw_panels(frame, screen, state, controls, palette);
    } else {
        draw_words(frame, screen, state, controls, palette);
    }
    draw_footer(frame, footer, state, controls, palette);
    if controls.shows_help {
        draw_help(frame, screen, state, controls, palette);
    }
}

fn draw_panels(frame: &mut Frame, area: Rect, state: &State, controls: &Controls, palette: &Palette) {
    let is_wide = area.width >= 2 * WIDE;
    let [title, warning, progress, speed, steps, body] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(state.start.generated.into()),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length((!is_wide && !state.stages.shares().is_empty()).into()),
        Constraint::Fill(1),
    ])
    .areas(area);
    let memory = state
        .memory_bytes
        .map_or(String::new(), |bytes| format!("   memory {}", mebibytes(bytes)));
    let place = Line::raw(format!("{}{memory}", state.start.device));
    frame.render_widget(sides(title.width, name(state, palette), place), title);
    frame.render_widget(Line::styled(warning_text(warning.width), palette.warning), warning);
    let [epoch, step] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(progress);
    frame.render_widget(gauge(epoch.width, epoch_text(state), state.run_ratio(), palette), epoch);
    frame.render_widget(gauge(step.width, step_text(state), state.epoch_ratio(), palette), step);
    frame.render_widget(speed_line(speed.width, state, palette), speed);
    frame.render_widget(steps_line(steps.width, state), steps);

    let panel_width = if is_wide { WIDE } else { NARROW };
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(panel_width)]).areas(body);
    let notes_height = (left.height / 3).clamp(3, 12);
    let [chart, notes] = Layout::vertical([Constraint::Fill(1), Constraint::Length(notes_height)]).areas(left);
    draw_chart(frame, chart, state, controls, palette);
    draw_notes(frame, notes, state, palette);
    draw_side(frame, right, state, palette);
}

/// The right side, from top to bottom: the last and the best validation, the rating classes, a step's stages, the epochs so
/// far. A panel that would be cut is left out.
fn draw_side(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let height = |lines: &[Line]| lines.len() as u16 + 2;
    let step_time = format!("{}, by stage", step_time_text(state));
    let scores = score_lines(state, palette);
    let mut room = area.height.saturating_sub(height(&scores));
    let mut panels = vec![("validation", scores)];
    let classes = class_lines(area.width.saturating_sub(2), state, palette);
    if !state.start.classes.is_empty() && height(&classes) <= room {
        room -= height(&classes);
        panels.push(("ratings in training", classes));
    }
    let stages = stage_lines(area.width.saturating_sub(2), state.stages.shares(), palette);
    if area.width >= WIDE && !stages.is_empty() && height(&stages) <= room {
        room -= height(&stages);
        panels.push((step_time.as_str(), stages));
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
fn draw_words(frame: &mut Frame, area: Rect, state: &State, controls: &Controls, palette: &Palette) {
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
    if let Some(validation) = state.validations.latest {
        let ValidMetrics { base_rate, recall, .. } = validation.metrics;
        let precision = precision(&validation.metrics, state.start.valid_rows);
        let lift = format!("lift {:.3}", validation.metrics.lift());
        let [base_rate, recall] = [base_rate, recall].map(percent);
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
        draw_chart(frame, chart, state, controls, palette);
    }
}

fn draw_footer(frame: &mut Frame, area: Rect, state: &State, controls: &Controls, palette: &Palette) {
    let keys = match (controls.role, &state.outcome) {
        (Role::Training, Some(outcome)) => Line::styled(format!(" {outcome}"), palette.title),
        (_, Some(outcome)) => Line::styled(format!(" {outcome}   q leave"), palette.title),
        (Role::Training, None) if controls.stopping => Line::styled(
            " stopping: saving a checkpoint ...  (Ctrl-C leaves the dashboard) ",
            palette.warning,
        ),
        (Role::Training, None) if state.paused && controls.pausing => {
            Line::styled(" PAUSED: p goes on, q stops and saves ", palette.warning)
        }
        (Role::Training, None) if controls.pausing => Line::styled(" pausing after these steps ... ", palette.warning),
        (Role::Training, None) => key_line(
            &[
                ("q", "stop and save"),
                ("p", "pause"),
                ("c", "checkpoint"),
                ("m", "next chart"),
                ("?", "help"),
            ],
            palette,
        ),
        (_, None) if controls.pausing => Line::styled(" HELD: p goes on, q leaves ", palette.warning),
        (_, None) if state.paused => Line::styled(" PAUSED by its own dashboard;  q leave ", palette.warning),
        (Role::Replay, None) => key_line(
            &[
                ("q", "leave the replay"),
                ("p", "hold"),
                ("e", "to its end"),
                ("m", "next chart"),
                ("?", "help"),
            ],
            palette,
        ),
        (Role::Following, None) => key_line(
            &[
                ("q", "leave, it trains on"),
                ("p", "hold"),
                ("m", "next chart"),
                ("?", "help"),
            ],
            palette,
        ),
    };
    let sizes = Line::styled(size_text(state), palette.faint);
    frame.render_widget(sides(area.width, keys, sizes), area);
}

fn key_line<'a>(keys: &[(&'a str, &'a str)], palette: &Palette) -> Line<'a> {
    let spans = keys.iter().flat_map(|(key, what)| {
        [
            Span::raw(" "),
            Span::styled(*key, palette.title),
            Span::raw(format!(" {what} ")),
        ]
    });
    Line::from_iter(spans)
}

/// Speed with its course so far, the time, the learning rate: what has no room gives way, from the right.
fn speed_line<'a>(width: u16, state: &State, palette: &Palette) -> Line<'a> {
    /// Columns of the course: fewer say nothing.
    const COURSE: std::ops::RangeInclusive<usize> = 6..=60;
    let [speed, elapsed, remaining] = speed_texts(state);
    let times = format!("   {elapsed}   {remaining}");
    let room = usize::from(width).saturating_sub(speed.len() + times.len() + 3);
    let rate = state.learning_rate.map(learning_rate_text);
    let rates = rate.map_or([String::new(), String::new()], |rate| {
        [format!("   learning rate {rate}"), format!("   lr {rate}")]
    });
    let rate = rates.into_iter().find(|rate| rate.len() + COURSE.start() <= room);
    let rate = rate.unwrap_or_default();
    let columns = (room - rate.len().min(room)).min(*COURSE.end());
    let speeds = state.curves.sample_seconds.means(columns);
    let speeds: Vec<f64> = speeds.iter().map(|seconds| 1.0 / seconds).collect();
    let course = match columns {
        _ if columns < *COURSE.start() => String::new(),
        _ => format!(" {:<columns$}", sparkline(&speeds)),
    };
    Line::from(vec![
        Span::raw(format!(" {speed}")),
        Span::styled(course, palette.train),
        Span::raw(times),
        Span::raw(rate),
    ])
}

/// The time of a step, and which share of it each stage takes: as many as there is room for.
fn steps_line<'a>(width: u16, state: &State) -> Line<'a> {
    let mut text = format!(" {}:", step_time_text(state));
    for stage in state.stages.shares() {
        // What a stage does in detail stands after a colon.
        let name = stage.name.split(':').next().unwrap_or_default();
        let part = format!("  {name} {:.0} %", 100.0 * stage.share);
        if text.len() + part.len() > usize::from(width) {
            break;
        }
        text += &part;
    }
    Line::raw(text)
}

fn draw_notes(frame: &mut Frame, area: Rect, state: &State, palette: &Palette) {
    let rows = area.height.saturating_sub(2).into();
    let newest = state.notes.newest(rows);
    let lines = newest.map(|note| {
        let time = Span::styled(format!(" {:>7}  ", duration(note.seconds)), palette.faint);
        Line::from(vec![time, Span::raw(note.text.as_str())])
    });
    frame.render_widget(
        Paragraph::new(Text::from_iter(lines)).block(panel("notes", palette)),
        area,
    );
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

fn step_time_text(state: &State) -> String {
    match state.step_seconds() {
        Some(seconds) => format!("step {:.2} ms", 1e3 * seconds),
        None => "step - ms".into(),
    }
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
