//! What a view knows of a training: built from its events alone, one at a time, and small however long it runs.

use super::curves::Curves;
use super::notes::Notes;
use super::pace::Pace;
use super::step_stages::StepStages;
use super::validations::Validations;
use crate::common::format::duration;
use crate::common::visible::visible;
use crate::train::event::{FinishReason, TrainEvent, TrainStart};

/// A training as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub start: TrainStart,
    /// The running epoch, from 1; 0 before the first.
    pub epoch: usize,
    /// Samples of the running epoch that are done.
    pub samples: usize,
    /// The training loss as last reported.
    pub loss: Option<f64>,
    pub curves: Curves,
    pub validations: Validations,
    pub notes: Notes,
    /// The clock: time since the start, also between events.
    pub elapsed: f64,
    pub learning_rate: Option<f64>,
    /// What the process has in memory.
    pub memory_bytes: Option<u64>,
    /// Where the steps spend their time.
    pub stages: StepStages,
    /// The training stands still, and so does its clock.
    pub paused: bool,
    /// How it ended.
    pub outcome: Option<String>,
    /// When the last event happened.
    seconds: f64,
    pace: Pace,
}

impl State {
    /// Whether there are ratings to predict; of purchases and clicks there are none.
    pub fn learns_ratings(&self) -> bool {
        self.start.dim > 0
    }

    /// Takes in what happened.
    pub fn apply(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started(start) => {
                let before = std::mem::take(self);
                self.start = (**start).clone();
                // A log may be anybody's.
                for text in [&mut self.start.run, &mut self.start.device] {
                    *text = visible(text).into_owned();
                }
                // The log of a resumed run holds what came before; a process that resumes one knows nothing of it.
                let goes_on = before.start.run == self.start.run && before.epoch > 0;
                if goes_on {
                    self.curves = before.curves;
                    self.notes = before.notes;
                    self.validations = before.validations.before(start.first_epoch);
                }
                if goes_on || start.first_epoch > 1 {
                    self.note(format!("resumed at epoch {}", start.first_epoch));
                }
            }
            TrainEvent::EpochStarted { epoch } => self.stand_at(*epoch, 0),
            TrainEvent::Progress {
                epoch,
                samples,
                loss,
                seconds,
                ..
            } => {
                self.stand_at(*epoch, *samples);
                self.advance(*seconds);
                if let Some(reading) = self.pace.progress(self.done(), *seconds) {
                    self.curves.sample_seconds.push(self.position(), reading);
                }
                if !loss.is_finite() && self.loss.is_none_or(f64::is_finite) {
                    self.note(format!("the training loss is {loss}"));
                }
                self.loss = Some(*loss);
                self.curves.train_loss.push(self.position(), *loss);
            }
            TrainEvent::Validated {
                epoch,
                epoch_end,
                metrics,
                seconds,
                ..
            } => {
                self.advance(*seconds);
                if *epoch_end {
                    self.stand_at(*epoch, self.start.samples_per_epoch);
                }
                self.pace.interrupt();
                self.curves.push(self.position(), metrics);
                self.validations.add(self.position(), *metrics, *epoch_end);
            }
            TrainEvent::Measured {
                learning_rate,
                memory_bytes,
                stages,
                seconds,
                ..
            } => {
                self.advance(*seconds);
                self.curves.learning_rate.push(self.position(), *learning_rate);
                self.learning_rate = Some(*learning_rate);
                self.memory_bytes = *memory_bytes;
                self.stages.report(stages);
            }
            TrainEvent::EpochEnded {
                epoch,
                is_best,
                seconds,
            } => {
                self.stand_at(*epoch, self.start.samples_per_epoch);
                self.advance(*seconds);
                self.pace.pause(self.done(), *seconds);
                if *is_best {
                    self.validations.mark_best(*epoch);
                }
                let best = if *is_best { ", best" } else { "" };
                self.note(match self.validations.end_of(*epoch) {
                    Some(validation) => format!("epoch {epoch}: valid loss {:.4}{best}", validation.metrics.loss),
                    None => format!("epoch {epoch} is done"),
                });
            }
            TrainEvent::CheckpointSaved { step, seconds } => {
                self.advance(*seconds);
                // Each epoch ends with a checkpoint: only the others are news, and those that somebody in a pause has asked for.
                if self.is_between_epochs() && !self.paused {
                    self.pace.pause(self.done(), *seconds);
                } else {
                    self.note(format!("checkpoint at step {step}"));
                }
            }
            TrainEvent::LearningRateReduced { factor, seconds, .. } => {
                self.advance(*seconds);
                self.note(format!("no better for a while: learning rate times {factor}"));
            }
            TrainEvent::Paused { step, seconds, .. } => {
                self.advance(*seconds);
                self.paused = true;
                self.note(format!("paused at step {step}"));
            }
            TrainEvent::Resumed { seconds } => {
                self.advance(*seconds);
                self.paused = false;
                self.note("goes on".into());
            }
            TrainEvent::EventsLost { place, fault } => {
                self.note(format!("events are lost at {}: {fault}", visible(place)))
            }
            TrainEvent::Finished {
                reason,
                best_epoch,
                seconds,
            } => {
                self.advance(*seconds);
                self.outcome = Some(self.say_outcome(*reason, *best_epoch));
            }
        }
    }

    /// Moves the clock: the last event is `since` seconds ago.
    pub fn tick(&mut self, since: f64) {
        if self.outcome.is_none() && !self.paused {
            self.elapsed = self.elapsed.max(self.seconds + since);
        }
    }

    /// The step of the running epoch that was done last, from 1.
    pub fn step(&self) -> usize {
        self.samples
            .div_ceil(self.start.batch_size.max(1))
            .min(self.start.steps_per_epoch)
    }

    /// The share of the running epoch that is done.
    pub fn epoch_ratio(&self) -> f64 {
        ratio(self.samples, self.start.samples_per_epoch)
    }

    /// The share of all epochs that is done.
    pub fn run_ratio(&self) -> f64 {
        ratio(self.done(), self.start.epochs * self.start.samples_per_epoch)
    }

    /// Epochs that are done, with the running one's share.
    pub fn position(&self) -> f64 {
        self.epoch.saturating_sub(1) as f64 + self.epoch_ratio()
    }

    /// True before an epoch's first step and after its last.
    pub fn is_between_epochs(&self) -> bool {
        self.samples == 0 || self.samples >= self.start.samples_per_epoch
    }

    /// The epochs that are drawn: from where the curves begin to the end of the running epoch, so that the picture stands
    /// still within an epoch.
    pub fn extent(&self) -> (f64, f64) {
        let begun = self
            .curves
            .train_loss
            .points()
            .first()
            .map_or(0.0, |first| first.0.floor());
        let from = begun.min(self.start.first_epoch.saturating_sub(1) as f64);
        (from, self.position().ceil().max(from + 1.0))
    }

    /// Seconds of a step of late.
    pub fn step_seconds(&self) -> Option<f64> {
        self.rate().map(|rate| self.start.batch_size as f64 / rate)
    }

    /// Training speed of late, in samples a second.
    pub fn rate(&self) -> Option<f64> {
        self.pace.rate()
    }

    /// Seconds until all epochs are done, if they go on as they went in this process, validations included.
    pub fn remaining(&self) -> Option<f64> {
        let all = self.start.epochs * self.start.samples_per_epoch;
        let estimate = self
            .pace
            .time_for(all.saturating_sub(self.done()), self.done(), self.seconds)?;
        let since = self.elapsed - self.seconds;
        self.outcome.is_none().then_some((estimate - since).max(0.0))
    }

    /// Samples done in the whole run, those before a resume included.
    fn done(&self) -> usize {
        self.epoch.saturating_sub(1) * self.start.samples_per_epoch + self.samples
    }

    fn stand_at(&mut self, epoch: usize, samples: usize) {
        (self.epoch, self.samples) = (epoch, samples);
    }

    fn advance(&mut self, seconds: f64) {
        self.seconds = seconds;
        self.elapsed = self.elapsed.max(seconds);
    }

    fn note(&mut self, text: String) {
        self.notes.add(self.seconds, text);
    }

    fn say_outcome(&self, reason: FinishReason, best_epoch: usize) -> String {
        let time = duration(self.seconds);
        let best = if best_epoch > 0 {
            format!(", best epoch {best_epoch}")
        } else {
            String::new()
        };
        match reason {
            FinishReason::Completed => format!("completed in {time}{best}"),
            FinishReason::EarlyStopped => format!("stopped early after {time}: no longer improving{best}"),
            FinishReason::Stopped => format!("stopped after {time}: `train --resume {}` continues", self.start.run),
        }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        (part as f64 / whole as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::event::ValidMetrics;
    use crate::view::dashboard::curve::Curve;

    /// Four epochs of 1,000 samples in 10 steps.
    fn started(first_epoch: usize) -> State {
        let mut state = State::default();
        state.apply(&TrainEvent::Started(Box::new(TrainStart {
            epochs: 4,
            first_epoch,
            batch_size: 100,
            steps_per_epoch: 10,
            samples_per_epoch: 1_000,
            run: "toy-1".into(),
            ..TrainStart::default()
        })));
        state
    }

    fn progress(state: &mut State, epoch: usize, samples: usize, seconds: f64) {
        state.apply(&TrainEvent::Progress {
            epoch,
            step: 0,
            samples,
            loss: 0.5,
            seconds,
        });
    }

    fn validated(state: &mut State, epoch: usize, epoch_end: bool, loss: f64, seconds: f64) {
        let metrics = ValidMetrics {
            loss,
            ..ValidMetrics::default()
        };
        state.apply(&TrainEvent::Validated {
            epoch,
            step: 0,
            epoch_end,
            metrics,
            seconds,
        });
    }

    fn texts(state: &State) -> Vec<&str> {
        state.notes.newest(usize::MAX).map(|note| note.text.as_str()).collect()
    }

    #[track_caller]
    fn assert_near(value: Option<f64>, expected: f64) {
        let value = value.expect("there is a value");
        assert!(
            (value - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{value} is not {expected}"
        );
    }

    #[test]
    fn the_rate_is_that_of_the_wall_clock() {
        let mut state = started(1);
        progress(&mut state, 1, 100, 3.0);
        assert_eq!(state.rate(), None, "the first report holds the warm-up");
        progress(&mut state, 1, 300, 3.5);
        assert_near(state.rate(), 400.0);
        progress(&mut state, 1, 500, 4.0);
        assert_near(state.rate(), 400.0);
    }

    #[test]
    fn the_rate_follows_a_change_smoothly() {
        let mut state = started(1);
        for second in 0..5 {
            progress(&mut state, 1, 10 * second, second as f64);
        }
        progress(&mut state, 1, 140, 5.0);
        let rate = state.rate().expect("there is a rate");
        assert!((10.0..100.0).contains(&rate), "{rate} did not move, or jumped");
    }

    #[test]
    fn the_rate_leaves_out_what_is_not_training() {
        let mut state = started(1);
        progress(&mut state, 1, 500, 1.0);
        progress(&mut state, 1, 1_000, 2.0);
        validated(&mut state, 1, true, 0.4, 50.0);
        state.apply(&TrainEvent::EpochEnded {
            epoch: 1,
            is_best: true,
            seconds: 51.0,
        });
        state.apply(&TrainEvent::CheckpointSaved {
            step: 10,
            seconds: 60.0,
        });
        state.apply(&TrainEvent::EpochStarted { epoch: 2 });
        progress(&mut state, 2, 500, 61.0);
        assert_near(state.rate(), 500.0);
    }

    #[test]
    fn the_remaining_time_counts_validations_and_runs_down_with_the_clock() {
        let mut state = started(1);
        progress(&mut state, 1, 500, 1.0);
        assert_eq!(state.remaining(), None);
        progress(&mut state, 1, 1_000, 2.0);
        assert_near(state.remaining(), 6.0);
        validated(&mut state, 1, true, 0.4, 3.0);
        assert_near(state.remaining(), 12.0);
        state.tick(5.0);
        assert_eq!(state.elapsed, 8.0);
        assert_near(state.remaining(), 7.0);
        state.tick(100.0);
        assert_near(state.remaining(), 0.0);
    }

    #[test]
    fn a_resumed_run_counts_what_it_did_itself() {
        let mut state = started(3);
        state.apply(&TrainEvent::EpochStarted { epoch: 3 });
        assert_eq!(state.run_ratio(), 0.5);
        progress(&mut state, 3, 400, 100.0);
        assert_eq!((state.rate(), state.remaining()), (None, None));
        progress(&mut state, 3, 600, 101.0);
        assert_near(state.rate(), 200.0);
        assert_near(state.remaining(), 7.0);
        assert_eq!((state.step(), state.epoch_ratio(), state.run_ratio()), (6, 0.6, 0.65));
        assert_eq!(state.curves.train_loss.points()[0].0, 2.4);
        assert_eq!(texts(&state), ["resumed at epoch 3"]);
    }

    #[test]
    fn a_validation_within_an_epoch_is_shown_and_decides_nothing() {
        let mut state = started(1);
        progress(&mut state, 1, 400, 1.0);
        validated(&mut state, 1, false, 0.1, 2.0);
        assert_eq!(state.validations.latest.map(|validation| validation.at), Some(0.4));
        assert_eq!(state.curves.valid_loss.points(), [(0.4, 0.1)]);
        state.apply(&TrainEvent::EpochEnded {
            epoch: 1,
            is_best: true,
            seconds: 3.0,
        });
        assert_eq!((state.validations.history.len(), state.validations.best), (0, None));
    }

    #[test]
    fn the_best_epoch_stays_when_a_worse_one_follows() {
        let mut state = started(1);
        for (epoch, loss, is_best) in [(1, 0.5, true), (2, 0.4, true), (3, 0.6, false)] {
            progress(&mut state, epoch, 1_000, epoch as f64);
            validated(&mut state, epoch, true, loss, epoch as f64);
            state.apply(&TrainEvent::EpochEnded {
                epoch,
                is_best,
                seconds: epoch as f64,
            });
        }
        assert_eq!(
            state.validations.best.map(|best| (best.at, best.metrics.loss)),
            Some((2.0, 0.4))
        );
        assert_eq!(state.validations.history.len(), 3);
        assert_eq!(state.validations.latest.map(|last| last.at), Some(3.0));
    }

    #[test]
    fn the_end_stops_the_clock_and_says_how_to_go_on() {
        let mut state = started(1);
        progress(&mut state, 1, 400, 1.0);
        progress(&mut state, 1, 500, 2.0);
        state.apply(&TrainEvent::Finished {
            reason: FinishReason::Stopped,
            best_epoch: 0,
            seconds: 3.0,
        });
        state.tick(50.0);
        assert_eq!((state.elapsed, state.remaining()), (3.0, None));
        assert_eq!(
            state.outcome.as_deref(),
            Some("stopped after 0:03: `train --resume toy-1` continues")
        );
    }

    #[test]
    fn a_pause_stops_the_clock_and_counts_in_no_rate() {
        let mut state = started(1);
        progress(&mut state, 1, 100, 1.0);
        progress(&mut state, 1, 200, 2.0);
        state.apply(&TrainEvent::Paused {
            epoch: 1,
            step: 2,
            seconds: 2.0,
        });
        state.apply(&TrainEvent::CheckpointSaved { step: 2, seconds: 2.0 });
        assert_eq!(texts(&state), ["paused at step 2", "checkpoint at step 2"]);
        state.tick(500.0);
        assert_eq!((state.paused, state.elapsed), (true, 2.0));
        assert_near(state.remaining(), 38.0);
        // The training's own clock stood as well.
        state.apply(&TrainEvent::Resumed { seconds: 2.0 });
        progress(&mut state, 1, 300, 3.0);
        assert_near(state.rate(), 100.0);
        assert_near(state.remaining(), 37.0);
        assert!(!state.paused);
    }

    #[test]
    fn the_log_of_a_resumed_run_is_one_picture() {
        let mut state = started(1);
        for epoch in 1..=2 {
            state.apply(&TrainEvent::EpochStarted { epoch });
            progress(&mut state, epoch, 500, epoch as f64 - 0.5);
            progress(&mut state, epoch, 1_000, epoch as f64);
            validated(&mut state, epoch, true, 0.5 - 0.1 * epoch as f64, epoch as f64);
            state.apply(&TrainEvent::EpochEnded {
                epoch,
                is_best: true,
                seconds: epoch as f64,
            });
        }
        // Killed after the second epoch, before its checkpoint.
        let start = TrainStart {
            first_epoch: 2,
            ..state.start.clone()
        };
        state.apply(&TrainEvent::Started(Box::new(start)));
        state.apply(&TrainEvent::EpochStarted { epoch: 2 });
        progress(&mut state, 2, 500, 0.5);
        let places = |curve: &Curve| curve.points().iter().map(|point| point.0).collect::<Vec<_>>();
        assert_eq!(places(&state.curves.train_loss), [0.5, 1.0, 1.5]);
        assert_eq!(
            (
                state.validations.history.len(),
                state.validations.best.map(|best| best.at)
            ),
            (1, Some(1.0))
        );
        assert_eq!(state.extent(), (0.0, 2.0));
        assert_eq!(
            (state.rate(), state.elapsed),
            (None, 0.5),
            "speed and time are this process's"
        );
        validated(&mut state, 2, true, 0.2, 1.0);
        assert_eq!(places(&state.curves.valid_loss), [1.0, 2.0]);
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_noted_once() {
        let mut state = started(1);
        for step in 1..4 {
            state.apply(&TrainEvent::Progress {
                epoch: 1,
                step,
                samples: 100,
                loss: f64::NAN,
                seconds: 1.0,
            });
        }
        assert_eq!(texts(&state), ["the training loss is NaN"]);
    }
}
