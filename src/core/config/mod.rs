//! The experiment: every key of a config file, its default, its range, and the place it was set.
//!
//! Order: built-in < file < `--set key=value`. Layers are merged as TOML tables and read into [`Config`] once, so no key is
//! optional after this module. An error names the key, what was found and wanted, and the layer (file and line, or `--set`).
//!
//! `schema` has the keys, each with its default and its range in one place (`section`, `values`), `layers` reads and merges them,
//! `check` knows what one key leaves to another, `column_names` what tables call their columns.

mod check;
pub mod column_names;
pub mod defaults_for;
mod error;
mod layers;
mod schema;
mod section;
mod values;

pub use error::ConfigError;
pub use layers::{Assignment, known_keys, parse_value};
pub use schema::*;
pub use values::*;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::hint::Hint;

    fn load(text: &str, sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|set| Assignment::parse(set).unwrap()).collect();
        Config::from_text(text, "x.toml", &sets).map_err(|error| format!("{error} | {}", error.hint()))
    }

    #[test]
    fn layers_override_in_order() {
        let config = load(
            "[train]\nepochs = 4\nbatch_size = 16\n",
            &["train.epochs=3", "data.path=a b.csv"],
        )
        .unwrap();
        assert_eq!((config.train.epochs, config.train.batch_size), (3, 16));
        assert_eq!(config.data.path, std::path::PathBuf::from("a b.csv"));
        assert_eq!(config.model, Config::default().model);
    }

    #[test]
    fn a_free_table_is_replaced_as_a_whole_and_extended_by_a_path_into_it() {
        let factors = |sets: &[&str]| {
            let file = "[oversample]\nfactors = { \"1\" = 2.0, \"2\" = 3.0 }";
            let factors = load(file, sets).unwrap().oversample.factors;
            factors
                .into_iter()
                .map(|(class, factor)| format!("{class}:{factor}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(factors(&[]), ["1:2", "2:3"]);
        assert!(factors(&["oversample.factors={}"]).is_empty());
        assert_eq!(factors(&["oversample.factors={\"3\"=4.0}"]), ["3:4"]);
        assert_eq!(factors(&["oversample={factors={\"3\"=4.0}}"]), ["3:4"]);
        assert_eq!(factors(&["oversample.factors.3=4.0"]), ["1:2", "2:3", "3:4"]);
        assert_eq!(
            factors(&["oversample.factors={}", "oversample.factors.1=1.5"]),
            ["1:1.5"]
        );
    }

    #[test]
    fn the_effective_config_reads_back_the_same() {
        let config = load(
            "[oversample]\nfactors = { \"1\" = 2.0 }\n[evaluate]\nthreshold = 0.5",
            &[],
        )
        .unwrap();
        assert_eq!(load(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn a_centre_without_a_prior_is_none() {
        let prior = |text: &str| {
            load(&format!("[train]\nprior = {{ {text} }}"), &[])
                .unwrap()
                .train
                .prior
        };
        let centre_alone = prior("centre_rank = 32");
        assert!(!centre_alone.is_set() && centre_alone.directions() == 0);
        let of_embeddings = prior("embedding = 1.0, centre_rank = 32");
        assert!(of_embeddings.is_set() && of_embeddings.directions() == 0);
        let of_biases = prior("bias = 0.3, centre_rank = 32");
        assert!(of_biases.is_set() && of_biases.directions() == 32);
    }

    #[test]
    fn epochs_are_chosen_by_rankings_where_they_are_learned() {
        let metric = |text: &str| load(text, &[]).map(|config| config.train.early_stopping.metric);
        assert_eq!(metric("").unwrap(), StoppingMetric::ValidNdcg);
        assert_eq!(
            metric("[train]\nranking = { weight = 0 }").unwrap(),
            StoppingMetric::ValidLoss
        );
        let asked = "[train]\nearly_stopping = { metric = \"METRIC\" }\nranking = { weight = 0 }";
        assert_eq!(
            metric(&asked.replace("METRIC", "valid_auc")).unwrap(),
            StoppingMetric::ValidAuc
        );
        let refused = metric(&asked.replace("METRIC", "valid_ndcg")).unwrap_err();
        assert!(
            refused.starts_with("`train.early_stopping.metric`: found `valid_ndcg`, wanted another")
                && refused.contains("(x.toml:2)"),
            "{refused}"
        );
        for (key, value) in [
            ("weight", "1.5"),
            ("dim", "6"),
            ("negatives", "0"),
            ("popularity", "2"),
            ("l2", "-1"),
            ("like_weight", "-1"),
        ] {
            let refused = load(&format!("[train]\nranking = {{ {key} = {value} }}"), &[]).unwrap_err();
            assert!(
                refused.starts_with(&format!("`train.ranking.{key}`: found `{value}`, wanted ")),
                "{refused}"
            );
        }
    }

    #[test]
    fn held_out_rows_are_shares_or_counts() {
        let split = |text: &str| load(&format!("[split]\n{text}"), &[]).unwrap().split;
        assert_eq!(
            (split("valid = 500").valid, split("valid = 0.25\ntest = 1").test),
            (500.0, 1.0)
        );
        let last = split("strategy = \"leave-last-out\"\nvalid = 0\ntest = 2");
        assert_eq!(
            (last.strategy, last.valid, last.test),
            (SplitStrategy::LeaveLastOut, 0.0, 2.0)
        );
    }

    #[test]
    fn errors_name_key_place_and_remedy() {
        let message = |text: &str, sets: &[&str]| load(text, sets).unwrap_err();
        assert_eq!(
            message("name = \"a\"\n[train]\nepoch = 3\n", &[]),
            "unknown key `train.epoch` (x.toml:3) | did you mean `train.epochs`?"
        );
        assert!(
            message("\n[train]\nepochs = 0\n", &[])
                .starts_with("`train.epochs`: found `0`, wanted at least 1 (x.toml:3)")
        );
        assert!(message("", &["train.epochs=0"]).contains("(--set train.epochs=0)"));
        assert!(message("[train]\nepochs = \"ten\"\n", &[]).starts_with("`train.epochs`: invalid type: string"));
        assert!(message("[train\n", &[]).contains("(x.toml:1)"));
        assert!(message("[data]\nvalid_path = \"v.csv\"", &[]).contains("wanted `data.test_path` beside it"));
        assert!(message("[data]\ntest_path = \"t.csv\"\nmin_ratings_per_user = 5", &[]).contains("(x.toml:3)"));
        assert!(message("[data]\nquote = \",\"\ndelimiter = \",\"", &[]).starts_with("`data.quote`: found `,`"));
        assert!(message("[data]\ncolumns.product = \"\"", &[]).contains("`data.columns.product`: found ``"));
        assert!(message("[data]\ncolumns = { rating = 2, count = 3 }", &[]).contains("beside a rating column"));
        assert!(message("[data]\ncolumns.stars = 2", &[]).ends_with("did you mean `data.columns.rating`?"));
        assert!(message("[data]\ncolumns.timestmp = 2", &[]).ends_with("did you mean `data.columns.timestamp`?"));
        assert!(message("[oversample]\nfactors = { \"1\" = 0.5 }", &[]).contains("raise the others"));
        assert!(message("[oversample]\nfactors = { \"one\" = 2 }", &[]).contains("found class `one`"));
        assert!(message("[oversample]\nfactors = { \"1\" = 2, \"1.0\" = 2 }", &[]).contains("are the same class"));
        assert!(message("[oversample]\ncounts = { \"1\" = -5 }", &[]).contains("`-5`"));
        assert!(message("[oversample]\ncounts = { \"1\" = 5 }", &[]).contains("set both or neither (x.toml:1)"));
        assert!(message("\n[oversample]\nstrategy = \"counts\"", &[]).contains("set both or neither (x.toml:3)"));
        assert!(message("[split]\nvalid = 1.5", &[]).contains("or a whole number of rows (x.toml:2)"));
        assert!(message("[split]\nvalid = -1", &[]).contains("or a whole number of rows"));
        assert!(message("[split]\nvalid = 0.5\ntest = 0.5", &[]).contains("something trains"));
        assert!(message("[split]\nstrategy = \"leave-last-out\"", &[]).contains("rows per user"));
        assert!(message("[split]\nstrategy = \"by-time\"", &[]).contains("expected one of `random`, `temporal`"));
        assert!(message("[model]\ndim = 10", &[]).contains("multiple of 4"));
        assert!(
            message("train = 5", &["train.epochs=3"])
                .starts_with("`train`: found a value, wanted a table of keys (--set")
        );
        assert!(message("seed = { a = 1 }", &[]).starts_with("`seed`: found a table, wanted a value (x.toml:1)"));
        assert!(message("threads = 20000", &[]).contains("wanted 0 to 1,024"));
        assert!(
            message("\n[train]\nrelevance = 1.0", &[])
                .starts_with("`train.relevance`: found `1`, wanted at least 0 and below 1; `train.target")
        );
        assert!(
            message("[train]\nprior = { bias = 0.3, centre_rank = 257 }", &[])
                .starts_with("`train.prior.centre_rank`: found `257`, wanted 0 to 256 (x.toml:2)")
        );
        assert!(
            message("[train]\ntarget = \"binary\"\nrelevance = 0.5", &[])
                .starts_with("`train.relevance`: found `0.5`, wanted 0 where `train.target")
        );
    }
}
