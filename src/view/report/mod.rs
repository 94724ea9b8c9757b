//! Report: a run as one page to read, to send and to print: what was trained, on what, how good it is and beside what.

mod chart;
mod examples;
mod history;

use crate::artifact::run_directory::{CONFIG, DATA_REPORT, RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::common::format::{count, duration, percent};
use crate::common::regular_file;
use crate::config::Config;
use crate::data::report::DataReport;
use crate::evaluate::definitions::definition;
use crate::evaluate::rankings::RankingAt;
use crate::evaluate::ratings::{AtThreshold, Predictor, RatingScores};
use crate::evaluate::{EvaluateError, Evaluation};
use crate::view::page::{MEANING, Style, escape, page, paragraph, section, table, verbatim};
use chart::{REFERENCE, Series, figure, range_of};
use examples::{Example, examples};
use history::{History, history};

/// The page of a complete run.
///
/// Errors if a file of the run is missing or damaged, or if an older dotcart judged it, whose `evaluation.json` says less.
pub fn report(run: &RunDirectory, config: &Config) -> Result<String, EvaluateError> {
    let data: DataReport = run.read_json(DATA_REPORT)?;
    let evaluation = Evaluation::read(run)?;
    let history = history(run)?;
    let path = run.file(CONFIG);
    let toml = regular_file::read_to_string(&path)
        .map_err(FileError::read(&path))
        .map_err(RunError::from)?;
    let body = [
        warning(&data),
        section("In words", &words(config, &data, &evaluation, &history)),
        section("The training", &training(&history)),
        section("How good it is", &judged(&evaluation)),
        section("Rating by rating", &classes(&evaluation, &history)),
        section("As rankings", &rankings(&evaluation)),
        section("What it recommends", &recommended(&examples(run, config)?)),
        section("The ratings", &ratings(&data)),
        section("Again", &again(run, &toml)),
    ];
    Ok(page(&format!("Run {}", run.name()), Style::Within, &body.concat()))
}

/// What a complete run is and how good it is, in words, and how its training went, in curves: both HTML.
///
/// Errors as [`report`] does.
pub fn summary(run: &RunDirectory, config: &Config) -> Result<[String; 2], EvaluateError> {
    let data: DataReport = run.read_json(DATA_REPORT)?;
    let history = history(run)?;
    let words = words(config, &data, &Evaluation::read(run)?, &history);
    Ok([warning(&data) + &words, training(&history)])
}

fn warning(data: &DataReport) -> String {
    match data.generated {
        true => {
            "<p class=\"warn\">GENERATED ratings: nothing here says anything about real shoppers.</p>\n".to_string()
        }
        false => String::new(),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), percent)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.4}"))
}

fn words(config: &Config, data: &DataReport, evaluation: &Evaluation, history: &History) -> String {
    let mut text = vec![format!(
        "{} users and {} products with {} ratings; embeddings of {} numbers, trained in {}.",
        count(data.users),
        count(data.items),
        count(data.rows_kept),
        config.model.dim,
        duration(history.seconds),
    )];
    let (model, bias) = (evaluation.of(Predictor::Model), evaluation.of(Predictor::UserItemBias));
    if let Some(at) = model.and_then(|model| model.thresholds.first()) {
        text.push(format!(
            "Of the rows it predicts as liked ({}), {} are: {:.3} times the base rate of {}, which is what predicting everything \
             gives. It finds {} of what is liked.",
            at.rule(),
            share(at.precision),
            at.lift.unwrap_or(1.0),
            share(at.base_rate),
            share(at.recall),
        ));
    }
    if let (Some(model), Some(bias)) = (model, bias) {
        let verdict = |better: bool| if better { "better" } else { "no better" };
        if let (Some(a), Some(b)) = (model.rmse, bias.rmse) {
            text.push(format!(
                "Its predicted ratings are {} than those of a plain user + item bias: RMSE {a:.4} against {b:.4}.",
                verdict(a < b)
            ));
        }
        if let (Some(a), Some(b)) = (model.auc, bias.auc) {
            text.push(format!(
                "It orders rows {} than that: AUC {a:.4} against {b:.4}.",
                verdict(a > b)
            ));
        }
    }
    if let Some(rankings) = &evaluation.rankings {
        let at = |predictor| {
            let ranker = rankings.rankers.iter().find(|ranker| ranker.predictor == predictor)?;
            ranker.at.last().copied()
        };
        if let (Some(model), Some(popular)) = (at(Predictor::Model), at(Predictor::MostPopular)) {
            text.push(format!(
                "Among the first {} of all {} products, {} of users find one that they liked and that was held \
                 out; the most popular products alone give {}.",
                model.k,
                count(rankings.catalogue),
                percent(model.metrics.hit_rate),
                percent(popular.metrics.hit_rate),
            ));
        }
    }
    if let Some(reason) = evaluation
        .calibration
        .as_ref()
        .and_then(|calibration| calibration.outcome.refusal())
    {
        text.push(format!("Its scores are not calibrated: {reason}."));
    }
    text.iter().map(|text| paragraph(text)).collect()
}

fn training(history: &History) -> String {
    let train: Vec<[f64; 2]> = history
        .train_loss
        .iter()
        .map(|(&step, &loss)| [f64::from(step), loss])
        .collect();
    let valid = |value: fn(&crate::train::event::ValidMetrics) -> f64| -> Vec<[f64; 2]> {
        let points = history.valid.iter();
        points
            .map(|(&step, metrics)| [f64::from(step), value(metrics)])
            .collect()
    };
    let losses = valid(|metrics| metrics.loss);
    let steps = [
        0.0,
        train.iter().chain(&losses).map(|point| point[0]).fold(1.0, f64::max),
    ];
    let y = range_of(train.iter().chain(&losses).map(|point| point[1]));
    let loss = figure(
        "Loss",
        ("step", steps),
        ("binary cross-entropy", y),
        &[
            (0, Series::new("train", train, false)),
            (1, Series::new("valid, at epochs' ends", losses, true)),
        ],
    );
    let shares = [
        (0, Series::new("precision", valid(|metrics| metrics.precision), true)),
        (1, Series::new("recall", valid(|metrics| metrics.recall), true)),
        (2, Series::new("AUC", valid(|metrics| metrics.auc), true)),
        (
            REFERENCE,
            Series::new("base rate", valid(|metrics| metrics.base_rate), false),
        ),
    ];
    let metrics = figure(
        "On valid, before calibration",
        ("step", steps),
        ("share", [0.0, 1.0]),
        &shares,
    );
    let device = history.start.as_ref().map_or_else(String::new, |start| {
        let failure = start.device_failure.iter().map(|failure| format!(" ({failure})"));
        paragraph(&format!(
            "On {}{}: batches of {}, {} steps an epoch, {} samples an epoch after oversampling.",
            start.device,
            failure.collect::<String>(),
            count(start.batch_size),
            count(start.steps_per_epoch),
            count(start.samples_per_epoch),
        ))
    });
    format!("{device}<div class=\"charts\">{loss}{metrics}</div>")
}

fn judged(evaluation: &Evaluation) -> String {
    if evaluation.rows == 0 {
        return paragraph("Nothing was held out, so the model is not judged.");
    }
    if !evaluation.rates {
        return paragraph("Ratings were not learned: rankings alone are judged.");
    }
    let judged = &evaluation.ratings;
    let mut heads = vec![String::new()];
    heads.extend(judged.iter().map(|scores| scores.predictor.name().to_string()));
    heads.push(MEANING.to_string());
    let row = |key: &str, cells: &dyn Fn(&RatingScores) -> String| {
        let (name, meaning) = definition(key);
        let mut row = vec![name.to_string()];
        row.extend(judged.iter().map(cells));
        row.push(meaning.to_string());
        row
    };
    type AtFirst<'a> = (&'a str, fn(&AtThreshold) -> Option<f64>, fn(Option<f64>) -> String);
    let at_first: [AtFirst; 5] = [
        ("precision", |at| at.precision, share),
        ("base_rate", |at| at.base_rate, share),
        ("lift", |at| at.lift, number),
        ("recall", |at| at.recall, share),
        ("f1", |at| at.f1, share),
    ];
    let at_first =
        at_first.map(|(key, value, show)| row(key, &|scores| show(scores.thresholds.first().and_then(value))));
    let others = RatingScores::FIGURES.map(|(key, value)| row(key, &|scores| number(value(scores))));
    let rows: Vec<Vec<String>> = at_first.into_iter().chain(others).collect();
    let rule = judged[0].thresholds.first().map_or_else(String::new, AtThreshold::rule);
    let mut html = paragraph(&format!(
        "{} rows of {} users of the {} split, never trained on. Relevant: rating >= {}. Predicted relevant: {rule}.",
        count(evaluation.rows),
        count(evaluation.users),
        evaluation.part.name(),
        evaluation.relevant_from,
    ));
    html.push_str(&table(&heads, &rows));
    let curves = &evaluation.curves;
    let unit = [0.0, 1.0];
    let diagonal = || vec![[0.0, 0.0], [1.0, 1.0]];
    let base_rate = judged[0].thresholds.first().and_then(|at| at.base_rate).unwrap_or(0.0);
    html.push_str("<div class=\"charts\">");
    let roc = [
        (REFERENCE, Series::new("chance", diagonal(), false)),
        (0, Series::new("model", curves.roc.clone(), false)),
    ];
    html.push_str(&figure(
        "ROC",
        ("false positive rate", unit),
        ("true positive rate", unit),
        &roc,
    ));
    let chance = vec![[0.0, base_rate], [1.0, base_rate]];
    let precision_recall = [
        (REFERENCE, Series::new("base rate", chance, false)),
        (0, Series::new("model", curves.precision_recall.clone(), false)),
    ];
    html.push_str(&figure(
        "Precision and recall",
        ("recall", unit),
        ("precision", unit),
        &precision_recall,
    ));
    let bins = |bins: &[crate::metrics::calibration::ReliabilityBin]| {
        bins.iter()
            .map(|bin| [bin.mean_score, bin.mean_target])
            .collect::<Vec<_>>()
    };
    let mut reliability = vec![
        (REFERENCE, Series::new("to be taken at its word", diagonal(), false)),
        (0, Series::new("model", bins(&curves.reliability), true)),
    ];
    if !curves.reliability_uncalibrated.is_empty() {
        let before = bins(&curves.reliability_uncalibrated);
        reliability.push((1, Series::new("before calibration", before, true)));
    }
    html.push_str(&figure(
        "Calibration",
        ("mean score of a bin", unit),
        ("mean target of it", unit),
        &reliability,
    ));
    html.push_str("</div>");
    html
}

fn classes(evaluation: &Evaluation, history: &History) -> String {
    let mut html = String::new();
    if let Some(start) = &history.start {
        let most = start
            .classes
            .iter()
            .map(|class| class.oversampled)
            .max()
            .unwrap_or(1)
            .max(1) as f64;
        html.push_str("<h3>Training rows of each rating</h3><div class=\"bars\">");
        for class in &start.classes {
            let bar = |rows: usize, colour: usize| {
                let width = 100.0 * rows as f64 / most;
                format!("<b class=\"line-{colour}\" style=\"width:{width:.1}%\"></b>")
            };
            html.push_str(&format!(
                "<span>{}</span><span class=\"both\">{}{}</span><span>{}{}</span>",
                class.rating,
                bar(class.natural, 0),
                bar(class.oversampled, 1),
                count(class.natural),
                match class.natural == class.oversampled {
                    true => String::new(),
                    false => format!(" &rarr; {}", count(class.oversampled)),
                },
            ));
        }
        html.push_str(
            "</div><p><span class=\"key\"><i class=\"line-0\"></i>natural</span>\
             <span class=\"key\"><i class=\"line-1\"></i>in an epoch, after oversampling</span></p>",
        );
    }
    for predictor in [Predictor::Model, Predictor::Uncalibrated] {
        let Some(found) = evaluation.of(predictor).and_then(|scores| scores.classes.as_ref()) else {
            continue;
        };
        let words = ["rating", "rows", "mean prediction", "MAE", "precision", "recall"];
        let mut heads: Vec<String> = words.map(str::to_string).to_vec();
        heads.extend(found.classes.iter().map(|class| format!("nearest {}", class.rating)));
        let rows: Vec<Vec<String>> = found
            .classes
            .iter()
            .zip(&found.confusion)
            .map(|(class, confusion)| {
                let mut row = vec![
                    class.rating.to_string(),
                    count(class.rows),
                    number(class.mean_predicted),
                    number(class.mae),
                    share(class.precision),
                    share(class.recall),
                ];
                row.extend(confusion.iter().map(|rows| count(*rows)));
                row
            })
            .collect();
        html.push_str(&format!(
            "<h3>Held-out rows by their true rating: {}</h3>",
            escape(predictor.name())
        ));
        html.push_str(&table(&heads, &rows));
    }
    html
}

fn rankings(evaluation: &Evaluation) -> String {
    let Some(rankings) = &evaluation.rankings else {
        return paragraph("Nothing relevant was held out, so rankings are not judged.");
    };
    let mut html = paragraph(&format!(
        "All {} products, less what training saw of the user, for {} of {} users with a relevant product held out.",
        count(rankings.catalogue),
        count(rankings.users),
        count(rankings.users_with_relevant),
    ));
    for place in 0..rankings.rankers[0].at.len() {
        let mut heads = vec![format!("k = {}", rankings.rankers[0].at[place].k)];
        heads.extend(
            rankings
                .rankers
                .iter()
                .map(|ranker| ranker.predictor.name().to_string()),
        );
        heads.push(MEANING.to_string());
        let rows: Vec<Vec<String>> = RankingAt::FIGURES
            .iter()
            .map(|(key, value)| {
                let (name, meaning) = definition(key);
                let mut row = vec![name.to_string()];
                row.extend(rankings.rankers.iter().map(|ranker| number(value(&ranker.at[place]))));
                row.push(meaning.to_string());
                row
            })
            .collect();
        html.push_str(&table(&heads, &rows));
    }
    html
}

fn recommended(examples: &[Example]) -> String {
    let mut html = paragraph(
        "The first products for the user with the most training ratings, for one in the middle and for the one with the fewest. \
         What speaks for a product: the user's own taste, and what everybody thinks of it; in appeal, or in logits where choices were \
         not learned.",
    );
    for example in examples {
        html.push_str(&format!(
            "<h3>User {}: {} training ratings</h3>",
            escape(&example.user),
            count(example.train_ratings as usize)
        ));
        let heads = ["product", "score", "this user's taste", "everybody", "ratings of it"].map(str::to_string);
        let rows: Vec<Vec<String>> = example
            .products
            .iter()
            .map(|product| {
                vec![
                    product.name.clone(),
                    number(product.score.map(f64::from)),
                    format!("{:+.3}", product.taste),
                    format!("{:+.3}", product.everybody),
                    count(product.train_ratings as usize),
                ]
            })
            .collect();
        html.push_str(&table(&heads, &rows));
    }
    html
}

fn ratings(data: &DataReport) -> String {
    let bad: usize = data.bad_rows.iter().map(|rows| rows.count).sum();
    let mut html = paragraph(&format!(
        "{}: {} rows read, {} kept; left out: {} bad, {} duplicates, {} outside the time window, {} in users or products with too \
         few ratings. {:.4} % of all pairs are rated; {} of users and {} of products have one rating.",
        data.path.display(),
        count(data.rows_read),
        count(data.rows_kept),
        count(bad),
        count(data.duplicates.rows_removed),
        count(data.outside_window),
        count(data.core.as_ref().map_or(0, |core| core.rows_removed)),
        100.0 * data.density,
        percent(data.single_users as f64 / data.users.max(1) as f64),
        percent(data.single_items as f64 / data.items.max(1) as f64),
    ));
    let json = serde_json::to_string_pretty(data).expect("reports are JSON");
    html.push_str(&verbatim("everything that was found in the file", &json));
    html
}

fn again(run: &RunDirectory, toml: &str) -> String {
    let config = run.file(CONFIG).display().to_string();
    format!(
        "<p>The same bytes on the same device, from the folder that the run was trained in:</p>\
         <p><code>dotcart train {}</code></p>\n{}",
        escape(&config),
        verbatim("the config as it took effect", toml),
    )
}
