//! Where the steps of a training spend their time, as shares.

use crate::common::visible::visible;
use crate::train::event::StageTime;

/// A stage of a step and its share of all stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub name: String,
    pub share: f64,
}

/// The stages between the last two reports, or since the start while there is but one.
#[derive(Clone, Debug, Default)]
pub struct StepStages {
    stages: Vec<Stage>,
    /// As last reported: seconds since the start.
    totals: Vec<StageTime>,
}

impl StepStages {
    /// Takes in the seconds since the start; those of another process, which are lower, begin anew.
    pub fn report(&mut self, totals: &[StageTime]) {
        let since = |stage: &StageTime| {
            let before = self.totals.iter().find(|before| before.name == stage.name);
            stage.seconds - before.map_or(0.0, |before| before.seconds)
        };
        let late: Vec<f64> = totals.iter().map(since).collect();
        let seconds = match late.iter().all(|seconds| *seconds >= 0.0) && late.iter().any(|seconds| *seconds > 0.0) {
            true => late,
            false => totals.iter().map(|stage| stage.seconds).collect(),
        };
        let whole: f64 = seconds.iter().sum();
        let stages = totals.iter().zip(seconds).map(|(stage, seconds)| Stage {
            name: visible(&stage.name).into_owned(),
            share: if whole > 0.0 { seconds / whole } else { 0.0 },
        });
        self.stages = stages.collect();
        self.totals = totals.to_vec();
    }

    /// Each stage with its share, in the order of a step; empty where the engine does not measure them.
    pub fn shares(&self) -> &[Stage] {
        &self.stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_late() {
        let mut stages = StepStages::default();
        let mut report = |gather: f64, update: f64| {
            let seconds = [("gather", gather), ("update", update)];
            let totals = seconds.map(|(name, seconds)| StageTime {
                name: name.into(),
                seconds,
            });
            stages.report(&totals);
            stages.shares().iter().map(|stage| stage.share).collect::<Vec<_>>()
        };
        assert_eq!(report(0.0, 0.0), [0.0, 0.0]);
        assert_eq!(report(3.0, 1.0), [0.75, 0.25]);
        assert_eq!(report(4.0, 4.0), [0.25, 0.75]);
        assert_eq!(report(1.0, 1.0), [0.5, 0.5], "another process began");
    }
}
