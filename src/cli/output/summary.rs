//! The end of a training on one screen: what was learned on what, how good it is beside what needs no model, and a taste of it.

use super::Output;
use super::ranking::width;
use dotcart::common::format::{count, percent};
use dotcart::data::report::DataReport;
use dotcart::evaluate::Evaluation;
use dotcart::evaluate::ratings::{AtThreshold, Predictor};
use dotcart::recommend::Ranking;

/// Width of the figures' names.
const NAME: usize = 13;
/// Width of a column.
const COLUMN: usize = 10;
/// The length of lists that is judged here, if the config has it judged.
const K: usize = 10;
/// Letters of a title that are shown.
const TITLE: usize = 60;

/// A figure of the model and the same of its base line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Beside {
    model: f64,
    base: f64,
}

/// NDCG of the model's lists and of the most popular products, and the length of the lists.
fn ndcg(evaluation: &Evaluation) -> Option<(usize, Beside)> {
    let rankings = evaluation.rankings.as_ref()?;
    let of = |predictor| {
        let ranker = rankings.rankers.iter().find(|ranker| ranker.predictor == predictor)?;
        let at = ranker.at.iter().find(|at| at.k == K).or(ranker.at.last())?;
        Some((at.k, at.metrics.ndcg))
    };
    let ((k, model), (_, base)) = (of(Predictor::Model)?, of(Predictor::MostPopular)?);
    Some((k, Beside { model, base }))
}

/// RMSE of the model and of user and product biases alone.
fn rmse(evaluation: &Evaluation) -> Option<Beside> {
    let of = |predictor| evaluation.of(predictor)?.rmse;
    Some(Beside {
        model: of(Predictor::Model)?,
        base: of(Predictor::UserItemBias)?,
    })
}

/// How the model stands to its base lines, in a sentence that holds whichever is better; `None` without either figure.
fn verdict(lists: Option<(usize, Beside)>, ratings: Option<Beside>) -> Option<String> {
    let clause = |whose: &str, figure: &str, Beside { model, base }: Beside, is_better_high: bool, base_line: &str| {
        let change = (model - base) / base;
        let by = match base > 0.0 {
            true if model >= 2.0 * base => format!("{:.1} times as high", model / base),
            true if model > base => format!("{} higher", percent(change)),
            true => format!("{} lower", percent(-change)),
            false => format!("{model:.4} against {base:.4}"),
        };
        // What is not seen in the figure is no difference.
        let is_equal = model == base || (base > 0.0 && percent(change.abs()) == percent(0.0));
        match is_equal {
            true => format!("{whose} equal {base_line} ({figure} less than 0.1 % apart)"),
            false if (model > base) == is_better_high => format!("{whose} beat {base_line} ({figure} {by})"),
            false => format!("{whose} fall behind {base_line} ({figure} {by})"),
        }
    };
    let lists = lists.map(|(k, ndcg)| clause("Its lists", &format!("NDCG@{k}"), ndcg, true, "most popular"));
    let whose = if lists.is_some() { "its ratings" } else { "Its ratings" };
    let ratings = ratings.map(|rmse| clause(whose, "RMSE", rmse, false, "the bias model's"));
    let clauses: Vec<String> = lists.into_iter().chain(ratings).collect();
    (!clauses.is_empty()).then(|| clauses.join("; ") + ".")
}

impl Output {
    /// What was learned of how many rows, and how good it is; `learns_choices`: lists are ranked by what was chosen.
    pub fn learned(&mut self, data: &DataReport, train_rows: usize, learns_choices: bool, evaluation: &Evaluation) {
        let generated = if data.generated { "GENERATED " } else { "" };
        let rows = if data.has_ratings { "ratings" } else { "choices" };
        let of = match train_rows == data.rows_kept {
            true => String::new(),
            false => format!(" of {}", count(data.rows_kept)),
        };
        self.data(&format!(
            "learned from {}{of} {generated}{rows}: {} products, {} users",
            count(train_rows),
            count(data.items),
            count(data.users),
        ));
        if evaluation.rows == 0 {
            self.not_judged(evaluation);
            return;
        }
        let part = evaluation.part.name();
        let at = evaluation
            .of(Predictor::Model)
            .and_then(|model| model.thresholds.first());
        let relevant = at.map_or_else(String::new, |at| {
            format!(
                "; relevant: rating >= {}, predicted: {}",
                evaluation.relevant_from,
                at.rule()
            )
        });
        self.data(&format!(
            "judged on {} held-out rows of {} users ({part} split){relevant}",
            count(evaluation.rows),
            count(evaluation.users),
        ));
        self.data("");
        self.data(&format!(
            "{:<width$}{:>COLUMN$}{:>COLUMN$}",
            "",
            "model",
            "without",
            width = NAME + 2
        ));
        if let Some(at) = at {
            self.precision(at);
        }
        let lists = ndcg(evaluation).filter(|_| learns_choices);
        if let (Some((k, ndcg)), Some(rankings)) = (lists, &evaluation.rankings) {
            let base_line = format!(
                "most popular; lists of {} users from all {} products",
                count(rankings.users),
                count(rankings.catalogue)
            );
            self.beside(&format!("NDCG@{k}"), ndcg, &base_line);
        }
        let ratings = rmse(evaluation);
        if let Some(rmse) = ratings {
            self.beside("RMSE", rmse, "bias model: the sum of a user's and a product's bias");
        }
        if learns_choices && lists.is_none() {
            self.data("  nothing relevant was held out, so lists are not judged");
        }
        if let Some(verdict) = verdict(lists, ratings) {
            self.data("");
            self.data(&verdict);
        }
    }

    fn precision(&mut self, at: &AtThreshold) {
        let share = |value: Option<f64>| value.map_or_else(|| "-".to_string(), percent);
        let lift = at.lift.map_or_else(|| "-".to_string(), |lift| format!("{lift:.3}"));
        self.data(&format!(
            "  {:<NAME$}{:>COLUMN$}{:>COLUMN$}   base rate: of all rows; lift {lift}, recall {}",
            "precision",
            share(at.precision),
            share(at.base_rate),
            share(at.recall),
        ));
    }

    fn beside(&mut self, name: &str, Beside { model, base }: Beside, base_line: &str) {
        self.data(&format!(
            "  {name:<NAME$}{model:>COLUMN$.4}{base:>COLUMN$.4}   {base_line}"
        ));
    }

    /// The first recommendations for a user, in short.
    pub fn sample(&mut self, ranking: &Ranking) {
        let user = ranking.user.as_deref().unwrap_or("anybody");
        self.data(&format!(
            "for user {user}, who has {} training rows:",
            count(ranking.train_ratings as usize)
        ));
        if ranking.products.is_empty() {
            self.data("  nothing: the user has rated all there is");
        }
        let width = width(ranking.products.iter().map(|product| product.product.as_str()));
        for product in &ranking.products {
            let rating = product
                .predicted_rating
                .map_or_else(String::new, |rating| format!("  predicted rating {rating:.2}"));
            let title = product.title.as_deref().unwrap_or_default();
            let more = if title.chars().count() > TITLE { "..." } else { "" };
            let title: String = title.chars().take(TITLE).collect();
            let line = format!("  {}  {:<width$}{rating}  {title}{more}", product.rank, product.product);
            self.data(line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(lists: Option<[f64; 2]>, ratings: Option<[f64; 2]>) -> String {
        let beside = |[model, base]: [f64; 2]| Beside { model, base };
        verdict(lists.map(|ndcg| (10, beside(ndcg))), ratings.map(beside)).unwrap()
    }

    #[test]
    fn the_verdict_is_true_in_both_directions() {
        assert_eq!(
            says(Some([0.030, 0.012]), Some([0.95, 1.0])),
            "Its lists beat most popular (NDCG@10 2.5 times as high); its ratings beat the bias model's (RMSE 5.0 % lower)."
        );
        assert_eq!(
            says(Some([0.009, 0.012]), Some([1.328, 1.318])),
            "Its lists fall behind most popular (NDCG@10 25.0 % lower); its ratings fall behind the bias model's (RMSE 0.8 % higher)."
        );
        assert_eq!(
            says(Some([0.015, 0.012]), Some([1.328, 1.318])),
            "Its lists beat most popular (NDCG@10 25.0 % higher); its ratings fall behind the bias model's (RMSE 0.8 % higher)."
        );
        assert_eq!(
            says(Some([0.0, 0.012]), Some([0.95, 1.0])),
            "Its lists fall behind most popular (NDCG@10 100.0 % lower); its ratings beat the bias model's (RMSE 5.0 % lower)."
        );
    }

    #[test]
    fn the_verdict_claims_no_difference_that_is_not_seen() {
        assert_eq!(
            says(Some([0.012, 0.012]), Some([0.94301, 0.943])),
            "Its lists equal most popular (NDCG@10 less than 0.1 % apart); its ratings equal the bias model's (RMSE less than 0.1 % apart)."
        );
        assert_eq!(
            says(Some([0.1, 0.0]), None),
            "Its lists beat most popular (NDCG@10 0.1000 against 0.0000)."
        );
        assert_eq!(
            says(None, Some([1.0, 0.5])),
            "Its ratings fall behind the bias model's (RMSE 2.0 times as high)."
        );
        assert_eq!(verdict(None, None), None);
    }
}
