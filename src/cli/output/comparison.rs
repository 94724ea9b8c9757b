//! The table of a comparison: a row a figure, a column a run, and for two runs what the second changes.

use super::Output;
use dotcart::common::format::{count, percent};
use dotcart::evaluate::definitions::definition;
use dotcart::evaluate::rankings::RankingAt;
use dotcart::evaluate::ratings::{AtThreshold, Predictor, RatingScores};
use dotcart::flow::compare::{ComparedRun, Comparison};

/// Width of the figures' names.
const NAME: usize = 30;
/// Width of a column.
const COLUMN: usize = 10;

impl Output {
    /// Runs side by side, under letters.
    pub fn comparison(&mut self, comparison: &Comparison) {
        let runs = &comparison.runs;
        for (letter, run) in letters().zip(runs) {
            let evaluation = &run.evaluation;
            self.data(&format!(
                "{letter}: {}   best epoch {}, judged on {} rows of {}{}",
                run.run,
                run.best_epoch,
                count(evaluation.rows),
                evaluation.part.name(),
                if evaluation.generated {
                    ", GENERATED ratings"
                } else {
                    ""
                },
            ));
        }
        if !comparison.same_split {
            self.data("");
            self.data("THE RUNS DO NOT SHARE A SPLIT: their figures are about different rows and cannot be compared as they stand");
        }
        self.data("");
        for (key, values) in &comparison.differences {
            let values: Vec<String> = letters()
                .zip(values)
                .map(|(letter, value)| format!("{letter} {value}"))
                .collect();
            self.data(&format!("  {key:<NAME$}{}", values.join("   ")));
        }
        if comparison.differences.is_empty() {
            self.data("  the configs are the same");
        }

        for predictor in [Predictor::Model, Predictor::Uncalibrated] {
            let judged: Vec<Option<&RatingScores>> = runs.iter().map(|run| run.evaluation.of(predictor)).collect();
            if judged.iter().all(Option::is_none) {
                continue;
            }
            self.data("");
            let title = match predictor {
                Predictor::Model => "as each run predicts",
                _ => "before calibration",
            };
            self.comparison_head(title, runs);
            self.rating_rows(runs, &judged);
            self.class_rows(&judged);
        }
        self.ranking_rows(runs);
        if !comparison.lists.is_empty() {
            self.data("");
        }
        for lists in &comparison.lists {
            let letter = letters().zip(runs).find(|(_, run)| run.run == lists.run);
            let letter = letter.map_or(' ', |(letter, _)| letter);
            self.data(&format!(
                "lists of {letter} beside those of A, {} users of both: {:.1} of {} products are the same, the first is for {}; {} \
                 of the lists have not moved",
                count(lists.users),
                lists.kept * lists.top as f64,
                lists.top,
                percent(lists.same_first),
                percent(lists.same),
            ));
        }
    }

    fn comparison_head(&mut self, title: &str, runs: &[ComparedRun]) {
        let mut heads: String = letters()
            .take(runs.len())
            .map(|letter| format!("{letter:>COLUMN$}"))
            .collect();
        if runs.len() == 2 {
            heads.push_str(&format!("{:>COLUMN$}", "B - A"));
        }
        self.data(&format!("{title:<width$}{heads}", width = NAME + 2));
    }

    fn comparison_row(&mut self, name: &str, values: &[Option<f64>], meaning: &str) {
        if values.iter().all(Option::is_none) {
            return;
        }
        let cell = |value: &Option<f64>| value.map_or_else(|| "-".to_string(), |value| format!("{value:.4}"));
        let mut cells: String = values.iter().map(|value| format!("{:>COLUMN$}", cell(value))).collect();
        if let [Some(a), Some(b)] = values {
            cells.push_str(&format!("{:>+COLUMN$.4}", b - a));
        } else if values.len() == 2 {
            cells.push_str(&format!("{:>COLUMN$}", "-"));
        }
        self.data(format!("  {name:<NAME$}{cells}   {meaning}").trim_end());
    }

    fn rating_rows(&mut self, runs: &[ComparedRun], judged: &[Option<&RatingScores>]) {
        let rules = judged
            .iter()
            .flatten()
            .map(|scores| scores.thresholds.len())
            .min()
            .unwrap_or(0);
        for rule in 0..rules {
            let at: Vec<Option<&AtThreshold>> = judged
                .iter()
                .map(|scores| scores.and_then(|scores| scores.thresholds.get(rule)))
                .collect();
            let rules: Vec<String> = at.iter().flatten().map(|at| at.rule()).collect();
            let is_one_rule = rules.iter().all(|rule| *rule == rules[0]);
            let if_ = match is_one_rule {
                true => format!("if {}", rules[0]),
                false => "if a threshold of its own".to_string(),
            };
            self.data(&format!("  predicted relevant {if_}"));
            let values = |value: &dyn Fn(&AtThreshold) -> Option<f64>| -> Vec<Option<f64>> {
                at.iter().map(|at| at.and_then(value)).collect()
            };
            let rows: [(&str, Vec<Option<f64>>); 5] = [
                ("precision", values(&|at| at.precision)),
                ("base_rate", values(&|at| at.base_rate)),
                ("lift", values(&|at| at.lift)),
                ("recall", values(&|at| at.recall)),
                ("f1", values(&|at| at.f1)),
            ];
            for (key, values) in rows {
                let (name, meaning) = definition(key);
                self.comparison_row(&format!("  {name}"), &values, meaning);
            }
        }
        for (key, value) in RatingScores::FIGURES {
            let values: Vec<Option<f64>> = judged.iter().map(|scores| scores.and_then(value)).collect();
            let (name, meaning) = definition(key);
            self.comparison_row(name, &values, meaning);
        }
        // What a user of the product would have to beat without any of these runs.
        if judged
            .iter()
            .flatten()
            .any(|scores| scores.predictor == Predictor::Model)
        {
            let biases: Vec<Option<&RatingScores>> = runs
                .iter()
                .map(|run| run.evaluation.of(Predictor::UserItemBias))
                .collect();
            let of_bias = |value: &dyn Fn(&RatingScores) -> Option<f64>| -> Vec<Option<f64>> {
                biases.iter().map(|scores| scores.and_then(value)).collect()
            };
            self.comparison_row("baseline user+item bias: RMSE", &of_bias(&|scores| scores.rmse), "");
            self.comparison_row("baseline user+item bias: AUC", &of_bias(&|scores| scores.auc), "");
        }
    }

    /// What each rating class got.
    fn class_rows(&mut self, judged: &[Option<&RatingScores>]) {
        let tables: Vec<_> = judged
            .iter()
            .map(|scores| scores.and_then(|scores| scores.classes.as_ref()))
            .collect();
        let mut ratings: Vec<f32> = Vec::new();
        for table in tables.iter().flatten() {
            ratings.extend(table.classes.iter().map(|class| class.rating));
        }
        ratings.sort_unstable_by(f32::total_cmp);
        ratings.dedup();
        for rating in ratings {
            let classes: Vec<_> = tables
                .iter()
                .map(|table| table.and_then(|table| table.classes.iter().find(|class| class.rating == rating)))
                .collect();
            let rows: Vec<String> = classes.iter().flatten().map(|class| count(class.rows)).collect();
            let mut distinct = rows;
            distinct.dedup();
            self.data(&format!("  true rating {rating}: {} rows", distinct.join(", ")));
            let of = |value: &dyn Fn(&dotcart::metrics::classes::ClassRow) -> Option<f64>| -> Vec<Option<f64>> {
                classes.iter().map(|class| class.and_then(value)).collect()
            };
            self.comparison_row("  mean prediction", &of(&|class| class.mean_predicted), "");
            self.comparison_row("  MAE", &of(&|class| class.mae), definition("class_mae").1);
            let precision = of(&|class| class.precision);
            self.comparison_row("  precision", &precision, definition("class_precision").1);
            self.comparison_row("  recall", &of(&|class| class.recall), definition("class_recall").1);
        }
    }

    fn ranking_rows(&mut self, runs: &[ComparedRun]) {
        let rankers: Vec<_> = runs
            .iter()
            .map(|run| {
                run.evaluation
                    .rankings
                    .as_ref()
                    .and_then(|rankings| rankings.rankers.first())
            })
            .collect();
        let mut lengths: Vec<usize> = Vec::new();
        for ranker in rankers.iter().flatten() {
            lengths.extend(ranker.at.iter().map(|at| at.k));
        }
        lengths.sort_unstable();
        lengths.dedup();
        for k in lengths {
            self.data("");
            self.comparison_head(&format!("rankings, k = {k}"), runs);
            let at: Vec<_> = rankers
                .iter()
                .map(|ranker| ranker.and_then(|ranker| ranker.at.iter().find(|at| at.k == k)))
                .collect();
            for (key, value) in RankingAt::FIGURES {
                let values: Vec<Option<f64>> = at.iter().map(|at| at.and_then(value)).collect();
                let (name, meaning) = definition(key);
                self.comparison_row(name, &values, meaning);
            }
        }
    }
}

/// Names of columns; clap takes no more runs than there are letters.
fn letters() -> impl Iterator<Item = char> {
    'A'..='Z'
}
