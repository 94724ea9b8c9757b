//! What every figure of an evaluation means, in one line each: printed beside the figures and written into the file.

/// A figure of a table: its key in [`DEFINITIONS`], and where it stands.
pub type Figure<T> = (&'static str, fn(&T) -> Option<f64>);

/// Key in `evaluation.json`, name in tables, meaning.
pub const DEFINITIONS: [(&str, &str, &str); 24] = [
    (
        "precision",
        "precision",
        "of the rows predicted relevant, the share that is",
    ),
    (
        "base_rate",
        "base rate",
        "share of relevant rows: the precision of predicting all",
    ),
    (
        "lift",
        "lift",
        "precision / base rate: 1 is no better than predicting all",
    ),
    ("recall", "recall", "of the relevant rows, the share predicted"),
    ("f1", "F1", "harmonic mean of precision and recall"),
    (
        "interval",
        "95 %",
        "where 95 % of 1,000 draws of users with replacement fall",
    ),
    (
        "auc",
        "AUC",
        "chance that a relevant row outranks another; 0.5 is chance",
    ),
    (
        "average_precision",
        "AP",
        "precision averaged over recall; the base rate is chance",
    ),
    ("rmse", "RMSE", "root of the mean squared error of the predicted rating"),
    ("mae", "MAE", "mean distance of the predicted rating from the true one"),
    (
        "loss",
        "log loss",
        "mean binary cross-entropy against the target in [0, 1]",
    ),
    ("brier", "Brier", "mean squared error of the score against the target"),
    (
        "calibration_error",
        "ECE",
        "mean |score - target| over 15 bins of the score",
    ),
    ("precision_at_k", "precision", "relevant products among the first k / k"),
    (
        "recall_at_k",
        "recall",
        "relevant products among the first k / relevant products",
    ),
    (
        "ndcg",
        "NDCG",
        "hits weighted 1 / log2(1 + rank), as a share of the best order",
    ),
    (
        "average_precision_at_k",
        "MAP",
        "mean over relevant products of the precision at their rank",
    ),
    (
        "reciprocal_rank",
        "MRR",
        "1 / rank of the first relevant product, 0 without one",
    ),
    (
        "hit_rate",
        "hit rate",
        "share of users with a relevant product among the first k",
    ),
    (
        "coverage",
        "coverage",
        "share of the catalogue that is shown to somebody",
    ),
    (
        "novelty",
        "novelty",
        "mean -log2(share of training ratings) of what is shown",
    ),
    (
        "class_mae",
        "MAE",
        "of the rows of a rating: mean distance of the prediction",
    ),
    (
        "class_precision",
        "precision",
        "of the rows whose nearest class is this one, the share of it",
    ),
    (
        "class_recall",
        "recall",
        "of the rows of this class, the share whose nearest class it is",
    ),
];

/// Name and meaning of a key. Panics if it has none.
pub fn definition(key: &str) -> (&'static str, &'static str) {
    let found = DEFINITIONS.iter().find(|definition| definition.0 == key);
    let (_, name, meaning) = found.unwrap_or_else(|| panic!("`{key}` has no definition"));
    (name, meaning)
}
