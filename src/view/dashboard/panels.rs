//! The panels beside the chart, as lines of text.

use super::palette::Palette;
use super::parts::bar;
use super::state::State;
use super::step_stages::Stage;
use super::validations::{Validation, precision};
use crate::common::format::{count, percent};
use crate::train::event::{ValidMetrics, ValidRanking};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The last validation beside the best.
pub fn score_lines<'a>(state: &State, palette: &Palette) -> Vec<Line<'a>> {
    type Score = fn(&Validation, usize) -> String;
    fn precision_of(validation: &Validation, rows: usize) -> String {
        precision(&validation.metrics, rows)
    }
    let rows: [(&str, Score); 7] = [
        ("epoch", |validation, _| epoch_number(validation.at)),
        ("precision", precision_of),
        ("base rate", |validation, _| percent(validation.metrics.base_rate)),
        ("lift", |validation, _| format!("{:.3}", validation.metrics.lift())),
        ("recall", |validation, _| percent(validation.metrics.recall)),
        ("AUC", |validation, _| format!("{:.4}", validation.metrics.auc)),
        ("loss", |validation, _| format!("{:.4}", validation.metrics.loss)),
    ];
    let head = Line::styled(format!(" {:<9}{:>11}{:>11}", "", "last", "best"), palette.faint);
    let ranking: [(&str, Score); 2] = [
        ("NDCG", |validation, _| ndcg(validation, |ranking| ranking.ndcg)),
        ("popular", |validation, _| {
            ndcg(validation, |ranking| ranking.popular_ndcg)
        }),
    ];
    let learns_rankings = state
        .validations
        .latest
        .as_ref()
        .is_some_and(|latest| latest.metrics.ranking.is_some());
    let ranking = ranking.into_iter().filter(|_| learns_rankings);
    // Beside rankings there is no room for what stands elsewhere on the screen: the loss over its chart, the epoch in the notes.
    let kept = match (state.learns_ratings(), learns_rankings) {
        (true, true) => 1..rows.len() - 1,
        (true, false) => 0..rows.len(),
        (false, _) => 0..1,
    };
    let rows = rows.into_iter().skip(kept.start).take(kept.len());
    let rows = rows.chain(ranking).map(|(name, score)| {
        let [last, best] = [&state.validations.latest, &state.validations.best].map(|validation| {
            validation
                .as_ref()
                .map_or("-".into(), |validation| score(validation, state.start.valid_rows))
        });
        Line::from(vec![
            Span::styled(format!(" {name:<9}"), palette.faint),
            Span::styled(format!("{last:>11}"), palette.title),
            Span::styled(format!("{best:>11}"), palette.good),
        ])
    });
    [head].into_iter().chain(rows).collect()
}

/// A figure of the rankings; between the ends of epochs there is none.
fn ndcg(validation: &Validation, of: fn(&ValidRanking) -> f64) -> String {
    let ranking = validation.metrics.ranking.as_ref();
    ranking.map_or("-".into(), |ranking| format!("{:.4}", of(ranking)))
}

/// The newest epochs that fit, the best marked.
pub fn history_lines<'a>(height: u16, state: &State, palette: &Palette) -> Vec<Line<'a>> {
    let columns = ["epoch", "loss", "precision", "base", "lift", "recall", "AUC"];
    let row = |cells: [String; 7], mark: &str| {
        let [epoch, loss, precision, base, lift, recall, auc] = cells;
        format!("{mark}{epoch:>5}{loss:>8}{precision:>10}{base:>8}{lift:>7}{recall:>8}{auc:>8}")
    };
    let head = Line::styled(row(columns.map(String::from), " "), palette.faint);
    let rows = usize::from(height).saturating_sub(1);
    let newest = &state.validations.history[state.validations.history.len().saturating_sub(rows)..];
    let lines = newest.iter().map(|validation| {
        let ValidMetrics {
            loss,
            precision: _,
            base_rate,
            recall,
            auc,
            ranking: _,
        } = validation.metrics;
        let cells = [
            epoch_number(validation.at),
            format!("{loss:.4}"),
            precision(&validation.metrics, state.start.valid_rows),
            percent(base_rate),
            format!("{:.3}", validation.metrics.lift()),
            percent(recall),
            format!("{auc:.4}"),
        ];
        let is_best = state.validations.best.is_some_and(|best| best.at == validation.at);
        let style = if is_best { palette.good } else { Style::new() };
        Line::styled(row(cells, if is_best { "*" } else { " " }), style)
    });
    [head].into_iter().chain(lines).collect()
}

/// The share of each rating class: in the data, and in what is trained on.
pub fn class_lines<'a>(width: u16, state: &State, palette: &Palette) -> Vec<Line<'a>> {
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

/// Each stage of a step and its share, with a bar.
pub fn stage_lines<'a>(width: u16, stages: &[Stage], palette: &Palette) -> Vec<Line<'a>> {
    let name_width = stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
    // ` name  bar  45 % `
    let bar_width = usize::from(width).saturating_sub(name_width + 10);
    let lines = stages.iter().map(|stage| {
        let bar = format!("  {:<bar_width$}", bar(stage.share, bar_width));
        Line::from(vec![
            Span::raw(format!(" {:<name_width$}", stage.name)),
            Span::styled(bar, palette.train),
            Span::raw(format!(" {:>3.0} %", 100.0 * stage.share)),
        ])
    });
    lines.collect()
}

/// `3` at an epoch's end, `2.4` within the third.
fn epoch_number(at: f64) -> String {
    if at.fract() == 0.0 {
        format!("{at}")
    } else {
        format!("{at:.1}")
    }
}

/// `120,000 users x 15,000 products x dim 64, batch 4,096`
pub fn size_text(state: &State) -> String {
    let start = &state.start;
    let [users, items, batch] = [start.users, start.items, start.batch_size].map(count);
    format!("{users} users x {items} products x dim {}, batch {batch}", start.dim)
}
