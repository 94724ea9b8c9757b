//! The tables of an evaluation: a row a figure, a column a predictor, the definition at the row's end.

use super::Output;
use dotcart::common::format::{count, percent};
use dotcart::evaluate::Evaluation;
use dotcart::evaluate::calibrate::{Calibration, Outcome};
use dotcart::evaluate::definitions::definition;
use dotcart::evaluate::rankings::{RankerScores, RankingAt, Rankings};
use dotcart::evaluate::ratings::{AtThreshold, Predictor, RatingScores};
use dotcart::metrics::bootstrap::Interval;

/// Width of the figures' names.
const NAME: usize = 13;
/// Width of a column.
const COLUMN: usize = 9;

/// A table whose rows are figures.
struct Table<'a> {
    output: &'a mut Output,
    columns: usize,
}

impl Table<'_> {
    fn row(&mut self, key: &str, values: &[String]) {
        let (name, meaning) = definition(key);
        let cells: String = values.iter().map(|value| format!("{value:>COLUMN$}")).collect();
        let width = self.columns * COLUMN;
        self.output.data(&format!("  {name:<NAME$}{cells:<width$}   {meaning}"));
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), percent)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.4}"))
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.3}"))
}

/// `88.1-89.3`, in percent.
fn share_interval(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |Interval { low, high }| {
        format!("{:.1}-{:.1}", 100.0 * low, 100.0 * high)
    })
}

/// The head of a predictor's column.
fn head(predictor: Predictor) -> String {
    let word = match predictor {
        Predictor::Model => "model",
        Predictor::Uncalibrated => "uncalib.",
        Predictor::UserItemBias => "bias",
        Predictor::GlobalMean => "mean",
        Predictor::EverythingRelevant => "all",
        Predictor::MostPopular => "popular",
    };
    word.to_string()
}

impl Output {
    /// A table with a title over the names and a head over each column.
    fn table(&mut self, title: &str, columns: &[String]) -> Table<'_> {
        let heads: String = columns.iter().map(|head| format!("{head:>COLUMN$}")).collect();
        self.data(&format!("{title:<width$}{heads}", width = NAME + 2));
        Table {
            columns: columns.len(),
            output: self,
        }
    }

    /// A split without a row: `split.test` is 0, or all rows were trained on by the run that this one begins with.
    pub(super) fn not_judged(&mut self, evaluation: &Evaluation) {
        let part = evaluation.part.name();
        self.data(&format!(
            "nothing is held out in the {part} part (`split.{part}`), so the model is not judged"
        ));
    }

    /// A judged split; each number beside its definition and what it must be read against.
    pub fn evaluation(&mut self, evaluation: &Evaluation) {
        if evaluation.rows == 0 {
            self.not_judged(evaluation);
            return;
        }
        let origin = if evaluation.generated {
            " of GENERATED ratings"
        } else {
            ""
        };
        self.data(&format!(
            "{} split{origin}: {} rows of {} users, never trained on; relevant: rating >= {}",
            evaluation.part.name(),
            count(evaluation.rows),
            count(evaluation.users),
            evaluation.relevant_from,
        ));
        if !evaluation.rates {
            self.data("ratings were not learned, so rankings alone are judged; popular: by number of training ratings");
            match &evaluation.rankings {
                Some(rankings) => self.rankings(rankings),
                None => self.data("\nnothing relevant was held out, so rankings are not judged"),
            }
            return;
        }
        self.calibration(evaluation);
        self.data("");
        self.data("  bias: user + item bias by ridge regression   mean: the mean training rating everywhere");
        self.data("  all: everything is relevant                  popular: by number of training ratings");
        self.rating_tables(evaluation);
        self.class_table(evaluation);
        self.group_table(evaluation);
        match &evaluation.rankings {
            Some(rankings) => self.rankings(rankings),
            None => {
                self.data("");
                self.data("nothing relevant was held out, so rankings are not judged");
            }
        }
    }

    /// What became of the head.
    fn calibration(&mut self, evaluation: &Evaluation) {
        let Some(Calibration { outcome, rows, fit, .. }) = &evaluation.calibration else {
            return;
        };
        let line = match (outcome, fit) {
            (Outcome::Calibrated, Some(fit)) => format!(
                "calibrated on {} validation rows: logit x {:.3} {} {:.3}; no ranking changes (uncalib.: before)",
                count(*rows),
                fit.slope,
                if fit.intercept < 0.0 { '-' } else { '+' },
                fit.intercept.abs(),
            ),
            (Outcome::Off, _) => "not calibrated: `train.calibrate = false`".to_string(),
            (outcome, _) => format!("not calibrated: {}", outcome.refusal().unwrap_or("unknown")),
        };
        self.data(&line);
    }

    fn rating_tables(&mut self, evaluation: &Evaluation) {
        let judged = &evaluation.ratings;
        let deciders: Vec<&RatingScores> = judged.iter().filter(|scores| !scores.thresholds.is_empty()).collect();
        let rules = deciders.first().map_or(0, |scores| scores.thresholds.len());
        for rule in 0..rules {
            let at: Vec<&AtThreshold> = deciders.iter().map(|scores| &scores.thresholds[rule]).collect();
            self.data("");
            self.data(&format!("predicted relevant if {}", at[0].rule()));
            let heads: Vec<String> = deciders.iter().map(|scores| head(scores.predictor)).collect();
            let mut table = self.table("", &heads);
            let row =
                |value: &dyn Fn(&AtThreshold) -> String| -> Vec<String> { at.iter().map(|at| value(at)).collect() };
            table.row("precision", &row(&|at| share(at.precision)));
            if let Some(intervals) = at[0].intervals {
                table.row("interval", &[share_interval(intervals.precision)]);
            }
            table.row("base_rate", &row(&|at| share(at.base_rate)));
            table.row("lift", &row(&|at| ratio(at.lift)));
            table.row("recall", &row(&|at| share(at.recall)));
            if let Some(intervals) = at[0].intervals {
                table.row("interval", &[share_interval(intervals.recall)]);
            }
            table.row("f1", &row(&|at| share(at.f1)));
        }
        let heads: Vec<String> = judged.iter().map(|scores| head(scores.predictor)).collect();
        self.data("");
        let mut table = self.table("ratings", &heads);
        for (key, value) in RatingScores::FIGURES {
            let cells: Vec<String> = judged.iter().map(|scores| number(value(scores))).collect();
            table.row(key, &cells);
            if let ("rmse", Some(Interval { low, high })) = (key, judged[0].rmse_interval) {
                table.row("interval", &[format!("{low:.2}-{high:.2}")]);
            }
        }
    }

    fn class_table(&mut self, evaluation: &Evaluation) {
        let Some(table) = &evaluation.ratings[0].classes else {
            return;
        };
        self.data("");
        self.data("by true rating: the model's mean prediction, distance (MAE) and nearest class; rows: true, columns: nearest");
        let nearest: String = table
            .classes
            .iter()
            .map(|class| format!("{:>9}", class.rating))
            .collect();
        self.data(&format!(
            "  {:>6}{:>10}{:>9}{:>9}{:>11}{:>9}  |{nearest}",
            "rating", "rows", "mean", "MAE", "precision", "recall"
        ));
        for (class, row) in table.classes.iter().zip(&table.confusion) {
            let cells: String = row.iter().map(|rows| format!("{:>9}", count(*rows))).collect();
            self.data(&format!(
                "  {:>6}{:>10}{:>9}{:>9}{:>11}{:>9}  |{cells}",
                class.rating,
                count(class.rows),
                class
                    .mean_predicted
                    .map_or_else(|| "-".to_string(), |mean| format!("{mean:.2}")),
                class.mae.map_or_else(|| "-".to_string(), |mae| format!("{mae:.3}")),
                share(class.precision),
                share(class.recall),
            ));
        }
    }

    fn group_table(&mut self, evaluation: &Evaluation) {
        let groups = &evaluation.groups;
        let all = [
            ("user and product known to training", &groups.warm),
            ("cold user: no training rating", &groups.cold_users),
            ("cold product: no training rating", &groups.cold_items),
        ];
        self.data("");
        self.data(&format!(
            "{:<36}{:>10}{:>9}{:>9}{:>11}{:>11}{:>9}",
            "the model on rows apart", "rows", "RMSE", "AUC", "precision", "base rate", "recall"
        ));
        for (name, scores) in all {
            let Some(scores) = scores else {
                self.data(&format!("  {name:<34}{:>10}", 0));
                continue;
            };
            let at = scores.thresholds.first();
            self.data(&format!(
                "  {name:<34}{:>10}{:>9}{:>9}{:>11}{:>11}{:>9}",
                count(scores.rows),
                number(scores.rmse),
                number(scores.auc),
                share(at.and_then(|at| at.precision)),
                share(at.and_then(|at| at.base_rate)),
                share(at.and_then(|at| at.recall)),
            ));
        }
    }

    fn rankings(&mut self, rankings: &Rankings) {
        self.data("");
        let drawn = match rankings.users == rankings.users_with_relevant {
            true => String::new(),
            false => format!(", drawn of {}", count(rankings.users_with_relevant)),
        };
        self.data(&format!(
            "rankings of all {} products, less what training saw of the user, for {} users with a relevant one held out{drawn}",
            count(rankings.catalogue),
            count(rankings.users),
        ));
        self.data(&format!(
            "({} users with nothing relevant held out are left out; warm, cold: users with and without a training rating)",
            count(rankings.users_without_relevant),
        ));
        let mut columns: Vec<(String, &RankerScores)> = rankings
            .rankers
            .iter()
            .map(|ranker| (head(ranker.predictor), ranker))
            .collect();
        // Apart from all users only where there are users of both kinds.
        if rankings.warm_users.users > 0 && rankings.cold_users.users > 0 {
            columns.push(("warm".to_string(), &rankings.warm_users));
            columns.push(("cold".to_string(), &rankings.cold_users));
        }
        let heads: Vec<String> = columns.iter().map(|(head, _)| head.clone()).collect();
        for place in 0..rankings.rankers[0].at.len() {
            let at: Vec<_> = columns.iter().map(|(_, ranker)| ranker.at[place]).collect();
            self.data("");
            let mut table = self.table(&format!("k = {}", at[0].k), &heads);
            for (key, value) in RankingAt::FIGURES {
                let cells: Vec<String> = at.iter().map(|at| number(value(at))).collect();
                table.row(key, &cells);
                if let ("ndcg", Some(Interval { low, high })) = (key, at[0].ndcg_interval) {
                    table.row("interval", &[format!("{low:.3}-{high:.3}")]);
                }
            }
        }
        if let Some(sampled) = &rankings.sampled {
            self.data("");
            self.data(&format!(
                "SAMPLED: {} relevant products, each among {} drawn unrated ones; not comparable with the full catalogue",
                count(sampled.rows),
                count(sampled.negatives),
            ));
            for at in &sampled.at {
                self.data(&format!(
                    "  k = {:<6} hit rate {:.4}   NDCG {:.4}   MRR {:.4}",
                    at.k, at.hit_rate, at.ndcg, at.reciprocal_rank
                ));
            }
        }
    }
}
