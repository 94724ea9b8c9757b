//! Lines of text, where there is no terminal: in a log, a pipe, a job on a cluster.
//!
//! Columns line up, no line is ever taken back, and there are no escape codes.

use super::state::State;
use super::validations::precision;
use crate::common::format::{count, duration, percent};
use crate::common::visible::visible;
use crate::train::event::{Observer, TrainEvent, ValidMetrics};
use std::io::Write;
use std::time::Duration;

/// Writes a training as lines.
pub struct Plain {
    out: Box<dyn Write + Send>,
    interval: f64,
    state: State,
    /// When the last line of progress was written.
    written: Option<f64>,
}

impl Plain {
    /// Writes to `out`, one line of progress an `interval`; errors of `out` are ignored, for a closed pipe must not
    /// stop a training.
    pub fn new(out: Box<dyn Write + Send>, interval: Duration) -> Self {
        Self {
            out,
            interval: interval.as_secs_f64(),
            state: State::default(),
            written: None,
        }
    }

    fn line(&mut self, text: &str) {
        // One call a line, so that lines of several writers do not mix.
        let _ = self
            .out
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| self.out.flush());
    }

    /// True if it is time for a line of progress.
    fn is_due(&mut self, seconds: f64) -> bool {
        let due = self.written.is_none_or(|written| seconds - written >= self.interval);
        if due {
            self.written = Some(seconds);
        }
        due
    }
}

impl Observer for Plain {
    fn observe(&mut self, event: &TrainEvent) {
        self.state.apply(event);
        match event {
            TrainEvent::Started(_) => {
                // The log of a resumed run begins its time again.
                self.written = None;
                header(&self.state).iter().for_each(|text| self.line(text));
            }
            TrainEvent::Progress { seconds, .. } => {
                if self.is_due(*seconds) {
                    self.line(&progress(&self.state));
                }
            }
            TrainEvent::Validated {
                epoch_end: false,
                metrics,
                ..
            } => {
                self.line(&format!("{}  {}", place(&self.state), scores(&self.state, metrics)));
            }
            // Whether the epoch is the best so far is known at its end, after its validation.
            TrainEvent::EpochEnded { epoch, is_best, .. } => {
                let mut text = format!(
                    "{}  {:width$}",
                    epoch_of(&self.state),
                    "done",
                    width = step_width(&self.state)
                );
                if let Some(validation) = self.state.validations.end_of(*epoch) {
                    text += &format!("  {}", scores(&self.state, &validation.metrics));
                }
                self.line(&format!("{text}{}", if *is_best { "  best so far" } else { "" }));
            }
            TrainEvent::CheckpointSaved { step, .. } => {
                // Each epoch ends with a checkpoint: only the others are news.
                if !self.state.is_between_epochs() || self.state.paused {
                    self.line(&format!("checkpoint at step {step}"));
                }
            }
            TrainEvent::LearningRateReduced { epoch, factor, .. } => {
                self.line(&format!(
                    "epoch {epoch}: no better for a while, learning rate times {factor}"
                ));
            }
            TrainEvent::Finished { .. } => {
                let outcome = self.state.outcome.clone().unwrap_or_default();
                self.line(&outcome);
            }
            TrainEvent::Paused { step, .. } => self.line(&format!("paused at step {step}")),
            TrainEvent::Resumed { .. } => self.line("goes on"),
            TrainEvent::EventsLost { place, fault } => {
                self.line(&format!("warning: events are lost at {}: {fault}", visible(place)))
            }
            TrainEvent::Validated { .. } | TrainEvent::EpochStarted { .. } | TrainEvent::Measured { .. } => {}
        }
    }
}

fn header(state: &State) -> Vec<String> {
    let start = &state.start;
    let mut lines = vec![format!("run      {}", start.run), format!("device   {}", start.device)];
    if start.generated {
        lines.push("ratings  GENERATED: a stand-in for real data, and so is all that is learned".into());
    }
    let samples = count(start.samples_per_epoch);
    let users = count(start.users);
    let items = count(start.items);
    lines.push(format!(
        "data     {samples} samples an epoch, {} rows for validation",
        count(start.valid_rows)
    ));
    lines.push(format!("model    {users} users x {items} products x dim {}", start.dim));
    let from = if start.first_epoch > 1 {
        format!(", from epoch {}", start.first_epoch)
    } else {
        String::new()
    };
    let steps = count(start.steps_per_epoch);
    lines.push(format!(
        "epochs   {}{from}; {steps} steps of {} samples each",
        start.epochs,
        count(start.batch_size)
    ));
    lines
}

fn progress(state: &State) -> String {
    let loss = state.loss.unwrap_or(f64::NAN);
    let rate = state.rate().map_or("-".into(), |rate| count(rate.round() as usize));
    let remaining = duration(state.remaining().unwrap_or(f64::NAN));
    format!(
        "{}  loss {loss:.4}  {rate:>11} samples/s  remaining {remaining:>8}",
        place(state)
    )
}

/// Figures of the validation split; of ratings only where they are learned.
fn scores(state: &State, metrics: &ValidMetrics) -> String {
    let ValidMetrics {
        loss,
        precision: _,
        base_rate,
        recall,
        auc,
        ranking,
    } = *metrics;
    let precision = precision(metrics, state.start.valid_rows);
    let (base_rate, recall) = (percent(base_rate), percent(recall));
    let lift = metrics.lift();
    let ranking = ranking.map_or(String::new(), |ranking| {
        format!(
            "  NDCG@{} {:.4} (most popular {:.4}, {} products shown)",
            ranking.k,
            ranking.ndcg,
            ranking.popular_ndcg,
            count(ranking.shown)
        )
    });
    if !state.learns_ratings() {
        return ranking.trim_start().to_string();
    }
    format!(
        "valid loss {loss:.4}  precision {precision:>7} (base rate {base_rate:>7}, lift {lift:.3})  \
         recall {recall:>7}  AUC {auc:.4}{ranking}"
    )
}

/// Epoch and step.
fn place(state: &State) -> String {
    let steps = count(state.start.steps_per_epoch);
    format!(
        "{}  step {:>width$}/{steps}",
        epoch_of(state),
        count(state.step()),
        width = steps.len()
    )
}

fn epoch_of(state: &State) -> String {
    let epochs = state.start.epochs.to_string();
    format!("epoch {:>width$}/{epochs}", state.epoch, width = epochs.len())
}

/// Columns of `step 120/489`.
fn step_width(state: &State) -> usize {
    "step /".len() + 2 * count(state.start.steps_per_epoch).len()
}
