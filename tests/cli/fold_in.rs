//! Folded-in users against trained ones, on real ratings: as good, within 2 % of RMSE.
//!
//! A fifth of the users are set apart, and a fifth of their ratings held back to judge on. One model is trained on all other
//! ratings, and predicts for those users by their trained rows. Another never sees those users; they are folded in from the
//! same ratings that the first was trained on.

use super::needs::real;
use super::real_data::config;
use super::scene::Scene;
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::recommend::Recommender;
use std::collections::BTreeMap;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// One in five, told by a hash, so that it depends on nothing else.
fn is_apart(text: &str) -> bool {
    xxh3_64(text.as_bytes()).is_multiple_of(5)
}

fn fields(line: &str) -> (&str, &str, f32) {
    let mut fields = line.split(',');
    let mut next = || fields.next().unwrap();
    (next(), next(), next().parse().unwrap())
}

/// RMSE for the users set apart: trained, folded in.
fn errors(name: &str, data: &Path, more: &[&str]) -> (f64, f64) {
    let scene = Scene::new(&format!("fold-in-{name}"), &config(&format!("{name}.toml")));
    let text = std::fs::read_to_string(data).unwrap();
    let [mut judged, mut given] = [(); 2].map(|()| BTreeMap::<&str, Vec<&str>>::new());
    let (mut with, mut without) = (String::new(), String::new());
    for line in text.lines() {
        let user = fields(line).0;
        if is_apart(user) && is_apart(line) {
            judged.entry(user).or_default().push(line);
            continue;
        }
        with += &format!("{line}\n");
        if is_apart(user) {
            given.entry(user).or_default().push(line);
        } else {
            without += &format!("{line}\n");
        }
    }
    for (run, rows) in [("with", with), ("without", without)] {
        std::fs::write(scene.folder.join(format!("{run}.csv")), rows).unwrap();
        let (path, run) = (format!("data.path={run}.csv"), format!("name={run}"));
        let arguments = ["train", "config.toml", "--device", "cpu", "--set", "split.test=0"];
        scene.succeed(&[&arguments[..], &["--set", &path, "--set", &run], more].concat());
    }
    let open = |run: &str| {
        let path = scene.folder.join("runs").join(run);
        Recommender::open(RunDirectory::find(path.to_str()).unwrap()).unwrap()
    };
    let (trained, folding) = (open("with-1"), open("without-1"));
    let predicted = |score: f32| f64::from(1.0 + 4.0 * score);
    let (mut squares, mut rows) = ([0.0; 2], 0);
    for (&user, judged) in &judged {
        let Some(given) = given.get(user) else { continue };
        let known = given.iter().map(|line| fields(line));
        let ratings: Vec<_> = known
            .filter_map(|(_, item, rating)| Some((folding.product(item).ok()?, rating)))
            .collect();
        let own = trained.user(user).unwrap();
        let asked: Vec<_> = judged
            .iter()
            .map(|line| fields(line))
            .filter_map(|(_, item, rating)| Some((trained.product(item).ok()?, folding.product(item).ok()?, rating)))
            .collect();
        let (here, there): (Vec<_>, Vec<_>) = asked.iter().map(|&(here, there, _)| (here, there)).unzip();
        let by_row = trained.predict_user(own, &here).unwrap();
        let by_fit = folding.predict_rated(&ratings, &there).unwrap();
        for ((by_row, by_fit), (_, _, rating)) in by_row.into_iter().zip(by_fit).zip(&asked) {
            for (square, score) in squares.iter_mut().zip([by_row, by_fit]) {
                *square += (predicted(score) - f64::from(*rating)).powi(2);
            }
            rows += 1;
        }
    }
    assert!(rows > 3000, "{rows} rows to judge on");
    let [trained, folded] = squares.map(|square| (square / f64::from(rows)).sqrt());
    let figure = format!("{name}: RMSE of {rows} ratings {trained:.4} trained, {folded:.4} folded in\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figure.as_bytes());
    (trained, folded)
}

#[test]
fn folded_in_users_are_predicted_as_well_as_trained_ones() {
    let (Some(movies), Some(titles)) = (real("ml_100k.csv"), real("ml_100k_titles.csv")) else {
        return;
    };
    let titles = format!("data.titles={}", titles.display());
    let (trained, folded) = errors("movielens_100k", &movies, &["--set", &titles]);
    assert!(
        folded <= 1.02 * trained,
        "MovieLens: {trained} trained, {folded} folded in"
    );
    let Some(electronics) = real("electronics_164k.csv") else {
        return;
    };
    let (trained, folded) = errors("electronics_164k", &electronics, &[]);
    assert!(
        folded <= 1.02 * trained,
        "Electronics: {trained} trained, {folded} folded in"
    );
}
