//! The configs: each loads, the flagship names every key, and the real files read by config alone as their README says.

use crate::needs::real;
use crate::root;
use dotcart::config::{Assignment, Config, known_keys};
use dotcart::data::ingest::{Ingested, ingest};
use dotcart::data::progress::Silent;
use std::path::Path;

#[test]
fn every_config_loads_and_the_flagship_names_every_key() {
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        Config::load(&path, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let text = std::fs::read_to_string(root().join("configs/electronics.toml")).unwrap();
    for key in known_keys() {
        let leaf = key.rsplit('.').next().unwrap();
        let names_it = text
            .lines()
            .any(|line| line.split('#').next().unwrap().contains(&format!("{leaf} =")));
        assert!(names_it, "configs/electronics.toml does not name `{key}`");
    }
}

fn read(folder: &Path, config: &str, file: &str, titles: &str) -> Ingested {
    let mut sets = vec![format!("data.path={}", folder.join(file).display())];
    if !titles.is_empty() {
        sets.push(format!("data.titles={}", folder.join(titles).display()));
    }
    let sets: Vec<_> = sets.iter().map(|set| Assignment::parse(set).unwrap()).collect();
    let config = Config::load(&root().join("configs").join(config), &sets).unwrap();
    ingest(&config.data.path, false, &config.data, &Silent).unwrap()
}

#[test]
fn the_real_files_are_what_their_readme_says() {
    let Some(folder) = real(".") else {
        return;
    };
    let shape = |data: &Ingested| (data.report.rows_kept, data.report.users, data.report.items);
    let classes = |data: &Ingested| data.report.histogram.iter().map(|class| class.1).collect::<Vec<_>>();

    let data = read(&folder, "electronics.toml", "electronics_50k.csv", "");
    assert_eq!(shape(&data), (50_698, 47_141, 3_529));
    assert_eq!(classes(&data), [5_527, 2_814, 3_981, 10_312, 28_064]);
    assert!(data.report.has_timestamps && data.report.lost_zeros.is_empty());

    let data = read(&folder, "electronics_164k.toml", "electronics_164k.csv", "");
    assert_eq!(shape(&data), (164_007, 8_014, 6_727));
    assert_eq!(classes(&data), [6_189, 6_564, 14_835, 39_327, 97_092]);
    assert!(!data.report.has_timestamps && data.report.lost_zeros.is_empty());

    let data = read(&folder, "musical_instruments.toml", "musical_instruments_5core.csv", "");
    assert_eq!(shape(&data), (10_261, 1_429, 900));
    assert_eq!(data.report.core.unwrap().rows_removed, 0);

    let data = read(&folder, "movielens_100k.toml", "ml_100k.csv", "ml_100k_titles.csv");
    assert_eq!(shape(&data), (100_000, 943, 1_682));
    assert_eq!(classes(&data), [6_110, 11_370, 27_145, 34_174, 21_201]);
    let titles = data.report.titles.unwrap();
    assert_eq!((titles.matched, titles.untitled, titles.unrated), (1_682, 0, 0));
}
