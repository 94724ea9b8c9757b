//! The only printer. stdout is data (reports, rankings), stderr is talk.

use crate::data::ingest::DataReport;
use crate::evaluate::Evaluation;
use crate::format::{count, percent};
use crate::recommend::Ranking;
use crate::train::event::ClassCount;
use serde::Serialize;
use std::io::Write;

/// stdout and stderr. A closed pipe is no error: whoever reads has enough, and the command ends with 0.
#[derive(Debug, Default)]
pub struct Output;

impl Output {
    /// The printer of this process.
    pub fn new() -> Self {
        Self
    }

    /// A line of data.
    pub fn data(&mut self, line: &str) {
        match writeln!(std::io::stdout().lock(), "{line}") {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => {
                self.error(&format!("cannot write to stdout: {error}"), "is the disk full?");
                std::process::exit(1);
            }
        }
    }

    /// A line of talk.
    pub fn talk(&mut self, line: &str) {
        // Nobody is left to hear that nobody listens.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// An error and what can be done about it.
    pub fn error(&mut self, message: &str, hint: &str) {
        self.talk(&format!("error: {message}\n\nhint: {hint}"));
    }

    /// One JSON object on one line.
    pub fn json(&mut self, value: &impl Serialize) {
        self.data(&serde_json::to_string(value).expect("reports are JSON"));
    }

    /// What was read, and a block that cannot be overlooked if it was generated.
    pub fn data_report(&mut self, report: &DataReport, missing: &std::path::Path) {
        if report.generated {
            self.talk("");
            self.talk(&format!(
                "  GENERATED RATINGS: there is no file `{}`,",
                missing.display()
            ));
            self.talk(&format!(
                "  so dotcart made {} ratings of its own in the shape of Amazon Electronics,",
                count(report.rows_kept)
            ));
            self.talk("  with planted tastes. All figures below are about them and say nothing of real shoppers.");
            self.talk("  The README says where the real file comes from.");
            self.talk("");
        }
        self.talk(&format!("data   {}", report.path.display()));
        self.talk(&format!(
            "       {} rows read, {} kept; {} users, {} products{}",
            count(report.rows_read),
            count(report.rows_kept),
            count(report.users),
            count(report.items),
            if report.has_timestamps { "" } else { "; no timestamps" },
        ));
        for rows in &report.bad_rows {
            let lines: Vec<String> = rows.lines.iter().map(u64::to_string).collect();
            let more = if rows.count > rows.lines.len() { ", ..." } else { "" };
            self.talk(&format!(
                "       left out {} rows: {} (lines {}{more})",
                count(rows.count),
                rows.fault.describe(&rows.example),
                lines.join(", "),
            ));
        }
        let classes: Vec<String> = report
            .histogram
            .iter()
            .map(|(rating, rows)| format!("{rating}: {}", count(*rows)))
            .collect();
        self.talk(&format!("       ratings  {}", classes.join("   ")));
    }

    /// Users whom `leave-last-out` could not take a rating from.
    pub fn never_held_out(&mut self, never: usize, users: usize) {
        self.talk(&format!(
            "       split    {} of {} users have too few ratings to hold one out: all of theirs train",
            count(never),
            count(users),
        ));
    }

    /// The training split before and after oversampling.
    pub fn oversampling(&mut self, classes: &[ClassCount]) {
        if classes.iter().all(|class| class.natural == class.oversampled) {
            return;
        }
        let classes: Vec<String> = classes
            .iter()
            .map(|class| match class.natural == class.oversampled {
                true => format!("{}: {}", class.rating, count(class.natural)),
                false => format!(
                    "{}: {} -> {}",
                    class.rating,
                    count(class.natural),
                    count(class.oversampled)
                ),
            })
            .collect();
        self.talk(&format!("       train    {}", classes.join("   ")));
        self.talk("                (natural -> oversampled; valid and test stay natural)");
    }

    /// A judged split; each number beside what it must be read against.
    pub fn evaluation(&mut self, evaluation: &Evaluation) {
        if evaluation.rows == 0 {
            let part = evaluation.part.name();
            self.data(&format!(
                "nothing was held out (`split.{part}` = 0), so the model is not judged"
            ));
            return;
        }
        let origin = if evaluation.generated {
            " of GENERATED ratings"
        } else {
            ""
        };
        self.data(&format!(
            "{} split{origin}: {} rows, never trained on",
            evaluation.part.name(),
            count(evaluation.rows),
        ));
        self.data(&format!(
            "cold: {} rows of users and {} of products without a training rating",
            count(evaluation.cold_user_rows),
            count(evaluation.cold_item_rows),
        ));
        self.data(&format!("relevant: rating >= {}", evaluation.relevant_from));
        let share = |value: Option<f64>| value.map_or_else(|| "none".to_string(), percent);
        let number = |value: Option<f64>| value.map_or_else(|| "none".to_string(), |value| format!("{value:.4}"));
        self.data("");
        self.data("  predicted relevant if       precision   base rate   lift    recall");
        for at in &evaluation.thresholds {
            let rule = match at.rating {
                Some(rating) if (at.score - 0.5).abs() > 1e-6 => format!("predicted rating >= {rating}"),
                _ => format!("score >= {}", at.score),
            };
            self.data(&format!(
                "  {rule:<26} {:>10} {:>11}   {:>4} {:>9}",
                share(at.precision),
                share(at.base_rate),
                at.lift.map_or_else(|| "none".to_string(), |lift| format!("{lift:.2}")),
                share(at.recall),
            ));
        }
        self.data("");
        self.data(&format!("  AUC   {}   (0.5 is chance)", number(evaluation.auc)));
        self.data(&format!(
            "  RMSE  {}   (predicting the mean: {})   MAE {}",
            number(evaluation.rmse),
            number(evaluation.rmse_of_global_mean),
            number(evaluation.mae),
        ));
        self.data(&format!("  loss  {}   (binary cross-entropy)", number(evaluation.loss)));
    }

    /// A user's ranking.
    pub fn ranking(&mut self, ranking: &Ranking) {
        let origin = if ranking.generated {
            "; model of GENERATED ratings"
        } else {
            ""
        };
        self.data(&format!(
            "user {}: {} products scored, {} already rated left out{origin}",
            ranking.user,
            count(ranking.candidates),
            count(ranking.seen),
        ));
        if ranking.train_ratings == 0 {
            self.data("nothing of this user was trained on: these are the best products by their own bias");
        }
        self.data("");
        let width = ranking
            .products
            .iter()
            .map(|product| product.product.chars().count())
            .max()
            .unwrap_or(0)
            .max(7);
        self.data(&format!(
            "  rank  {:<width$}  score   predicted rating  ratings of it",
            "product"
        ));
        for product in &ranking.products {
            let rating = product
                .predicted_rating
                .map_or_else(|| "-".to_string(), |rating| format!("{rating:.2}"));
            self.data(&format!(
                "  {:>4}  {:<width$}  {:.4}  {rating:>16}  {:>13}",
                product.rank,
                product.product,
                product.score,
                count(product.train_ratings as usize),
            ));
        }
    }
}
