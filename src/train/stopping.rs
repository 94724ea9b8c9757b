//! Stopping: which epoch is the best so far, and whether to go on.

use super::event::ValidMetrics;
use crate::config::{EarlyStopping, StoppingMetric};
use burn::train::EarlyStoppingStrategy;
use burn::train::metric::store::EventStoreClient;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// The best epoch and its value, part of every checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// 0 before the first epoch's end.
    pub epoch: usize,
    /// Bits of the f64 value: a decimal that is read back differently would make a resumed training choose differently.
    pub value_bits: u64,
}

/// burn-train's early stopping, over values that the training loop reports.
///
/// burn's own strategy reads a log of all epochs, which a resumed training does not have; this one has the best epoch alone.
#[derive(Clone)]
pub struct Stopping {
    rule: EarlyStopping,
    best: Arc<Mutex<Best>>,
}

impl Stopping {
    /// Continues from `best`.
    pub fn new(rule: EarlyStopping, best: Best) -> Self {
        Self {
            rule,
            best: Arc::new(Mutex::new(best)),
        }
    }

    /// The best epoch so far.
    pub fn best(&self) -> Best {
        *self.best.lock().expect("no thread panics while it holds the lock")
    }

    /// Takes in an epoch's figures on valid, or `None` where nothing is held out: then the last epoch is the best.
    /// Returns whether the epoch is the best so far; a tie goes to the earlier one.
    pub fn report(&self, epoch: usize, valid: Option<&ValidMetrics>) -> bool {
        let mut best = self.best.lock().expect("no thread panics while it holds the lock");
        let value = valid.map_or(0.0, |valid| match self.rule.metric {
            StoppingMetric::Auto | StoppingMetric::ValidLoss => -valid.loss,
            StoppingMetric::ValidAuc => valid.auc,
            // Nothing relevant held out: all epochs are alike, and the last is as good as any.
            StoppingMetric::ValidNdcg => valid.ranking.map_or(epoch as f64, |ranking| ranking.ndcg),
        });
        let is_best = valid.is_none() || best.epoch == 0 || value > f64::from_bits(best.value_bits);
        if is_best {
            *best = Best {
                epoch,
                value_bits: value.to_bits(),
            };
        }
        is_best
    }
}

impl EarlyStoppingStrategy for Stopping {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        self.rule.patience > 0 && epoch - self.best().epoch >= self.rule.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_first_of_the_lowest_losses_or_the_highest_auc() {
        let rule = |metric| EarlyStopping { metric, patience: 1 };
        let valid = |loss, auc| ValidMetrics {
            loss,
            auc,
            ..ValidMetrics::default()
        };
        let by_loss = Stopping::new(rule(StoppingMetric::ValidLoss), Best::default());
        let reports: Vec<bool> = [0.5, 0.4, 0.4, 0.6]
            .iter()
            .zip(1..)
            .map(|(&loss, epoch)| by_loss.report(epoch, Some(&valid(loss, 0.0))))
            .collect();
        assert_eq!((reports, by_loss.best().epoch), (vec![true, true, false, false], 2));
        let by_auc = Stopping::new(rule(StoppingMetric::ValidAuc), Best::default());
        by_auc.report(1, Some(&valid(0.5, 0.7)));
        by_auc.report(2, Some(&valid(0.4, 0.6)));
        assert_eq!(by_auc.best().epoch, 1);
        let resumed = Stopping::new(rule(StoppingMetric::ValidAuc), by_auc.best());
        assert!(!resumed.report(3, Some(&valid(0.1, 0.69))) && resumed.report(4, Some(&valid(0.1, 0.71))));
        let blind = Stopping::new(rule(StoppingMetric::ValidLoss), Best::default());
        assert!(blind.report(1, None) && blind.report(2, None));
        assert_eq!(blind.best().epoch, 2);
    }
}
