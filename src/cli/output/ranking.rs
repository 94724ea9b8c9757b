//! Rankings and likenesses in the words of people, and as CSV.

use super::Output;
use crate::cli::args::{CsvStyle, WhyStyle};
use dotcart::common::format::count;
use dotcart::recommend::bulk::Summary;
use dotcart::recommend::lists::{Unknown, Unlisted};
use dotcart::recommend::similar::Similar;
use dotcart::recommend::{Basis, Ranking, Recommendation, Why};
use std::io::IsTerminal;
use std::path::Path;

/// What a spreadsheet takes for the beginning of a formula, also behind a tab or in wide letters.
const BEGINS_A_FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// What a ranking rests on, in words.
fn basis(ranking: &Ranking) -> Option<String> {
    Some(match ranking.basis {
        Basis::Trained => return None,
        Basis::FoldedIn => format!(
            "nobody the model was trained on: fitted to {} given ratings",
            count(ranking.train_ratings as usize)
        ),
        Basis::ProductBias => {
            "nothing of this user was trained on: these are the best products by their own bias".to_string()
        }
        Basis::ProductAppeal => {
            "nothing of this user was trained on: these are the products of the most appeal".to_string()
        }
        Basis::ShrunkenMean => {
            "nothing is known of the user: these are the best products by their shrunken mean rating".to_string()
        }
    })
}

fn title(title: Option<&str>) -> String {
    title.map_or_else(String::new, |title| format!("  {title}"))
}

pub(super) fn width<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    ids.map(|id| id.chars().count()).max().unwrap_or(0).max(7)
}

fn origin(generated: bool) -> &'static str {
    if generated { "; model of GENERATED ratings" } else { "" }
}

impl Output {
    /// A user's ranking; its reasons in a style, with the rating from which a product counts as liked.
    pub fn ranking(&mut self, ranking: &Ranking, style: WhyStyle, liked_from: Option<f32>) {
        let who = ranking
            .user
            .as_ref()
            .map_or_else(|| "anybody".to_string(), |user| format!("user {user}"));
        self.data(&format!(
            "{who}: {} products scored, {} already rated left out{}",
            count(ranking.candidates),
            count(ranking.seen),
            origin(ranking.generated),
        ));
        if let Some(basis) = basis(ranking) {
            self.data(&basis);
        }
        if let Some(shortfall) = &ranking.shortfall {
            self.data(&format!("fewer than asked for: {shortfall}"));
        }
        if ranking.products.is_empty() {
            return;
        }
        self.data("");
        let width = width(ranking.products.iter().map(|product| product.product.as_str()));
        let has_titles = ranking.products.iter().any(|product| product.title.is_some());
        self.data(&format!(
            "  rank  {:<width$}  {}  predicted rating  ratings of it{}",
            "product",
            // What it is ranked by stands first.
            if ranking.products.iter().any(|product| product.appeal.is_some()) {
                "appeal"
            } else {
                "score "
            },
            if has_titles { "  title" } else { "" }
        ));
        for product in &ranking.products {
            self.recommendation(product, width);
            match (&product.why, style) {
                (None, _) => {}
                (Some(why), WhyStyle::Words) => self.data(&format!("        {}", why.words(liked_from))),
                (Some(why), WhyStyle::Logits) => self.parts(why),
            }
        }
    }

    fn recommendation(&mut self, product: &Recommendation, width: usize) {
        let rating = product
            .predicted_rating
            .map_or_else(|| "-".to_string(), |rating| format!("{rating:.2}"));
        let by = match product.appeal {
            Some(appeal) => format!("{appeal:>6.2}"),
            None => format!("{:.4}", product.score),
        };
        self.data(&format!(
            "  {:>4}  {:<width$}  {by}  {rating:>16}  {:>13}{}",
            product.rank,
            product.product,
            count(product.train_ratings as usize),
            title(product.title.as_deref()),
        ));
    }

    /// The parts of what a product is ranked by.
    fn parts(&mut self, why: &Why) {
        for because in &why.because {
            self.data(&format!(
                "        {:+.3}  rated {} {}{}",
                because.contribution,
                because.product,
                because.rating,
                title(because.title.as_deref()),
            ));
        }
        self.data(&format!(
            "        {:+.3}  all ratings, {:+.3} the product itself: {} {:+.3} as fitted to the ratings",
            why.all_ratings, why.product_itself, why.measure, why.sum,
        ));
    }

    /// The names of the CSV's columns.
    pub fn csv_header(&mut self) {
        self.data_as_it_is("user,rank,product,title,score,predicted_rating,train_ratings,basis");
    }

    /// A user's ranking as rows of CSV.
    pub fn csv_ranking(&mut self, ranking: &Ranking, style: CsvStyle) {
        let text = |text: &str| match style {
            CsvStyle::Excel if text.starts_with(BEGINS_A_FORMULA) => format!("'{text}"),
            CsvStyle::Plain | CsvStyle::Excel => text.to_string(),
        };
        let is_seen = std::io::stdout().is_terminal();
        for product in &ranking.products {
            let mut row = csv::WriterBuilder::new()
                .terminator(csv::Terminator::Any(b'\n'))
                .from_writer(Vec::new());
            let fields = [
                text(ranking.user.as_deref().unwrap_or_default()),
                product.rank.to_string(),
                text(&product.product),
                text(product.title.as_deref().unwrap_or_default()),
                product.score.to_string(),
                product
                    .predicted_rating
                    .map_or_else(String::new, |rating| rating.to_string()),
                product.train_ratings.to_string(),
                ranking.basis.name().to_string(),
            ];
            row.write_record(&fields).expect("writing to memory does not fail");
            let row = row.into_inner().expect("writing to memory does not fail");
            let row = String::from_utf8_lossy(&row);
            // Only the last is the row's own: a quoted text may hold others.
            let row = row.strip_suffix('\n').unwrap_or(&row);
            match is_seen {
                true => self.data(row),
                false => self.data_as_it_is(row),
            }
        }
        if let Some(shortfall) = &ranking.shortfall {
            let user = ranking.user.as_deref().unwrap_or("anybody");
            self.talk(&format!("{user}: fewer than asked for: {shortfall}"));
        }
    }

    /// Users of a list whom the run does not know, each with its line or row.
    pub fn unlisted_users(&mut self, unlisted: &Unlisted) {
        for Unknown { path, line, id, .. } in &unlisted.unknown {
            self.talk(&format!("{}:{line}: user `{id}` is not in the run", path.display()));
        }
    }

    /// Ids of a candidate list that the run does not know.
    pub fn unlisted(&mut self, unlisted: &Unlisted) {
        self.talk(&format!(
            "{} of {} products in {} are not in the run",
            count(unlisted.unknown.len()),
            count(unlisted.ids),
            unlisted.path.display(),
        ));
    }

    /// What a folder of recommendations holds.
    pub fn bulk_summary(&mut self, summary: &Summary, folder: &Path) {
        self.talk(&format!(
            "{} users, {} rows in {} parts: {}",
            count(summary.users),
            count(summary.rows),
            count(summary.parts),
            folder.display(),
        ));
    }

    /// What is like a product or a user.
    pub fn similar(&mut self, similar: &Similar) {
        self.data(&format!(
            "{} {}{}: {} training ratings{}",
            similar.of,
            similar.id,
            title(similar.title.as_deref()),
            count(similar.train_ratings as usize),
            origin(similar.generated),
        ));
        self.data("");
        let width = width(similar.similar.iter().map(|other| other.id.as_str()));
        let whose = if similar.of == "user" {
            "ratings by them"
        } else {
            "ratings of it"
        };
        self.data(&format!("  rank  {:<width$}  likeness  cosine  {whose}", similar.of));
        for other in &similar.similar {
            self.data(&format!(
                "  {:>4}  {:<width$}  {:>+8.3}  {:+.3}  {:>w$}{}",
                other.rank,
                other.id,
                other.likeness,
                other.cosine,
                count(other.train_ratings as usize),
                title(other.title.as_deref()),
                w = whose.len(),
            ));
        }
    }
}
