#!/usr/bin/env python3
"""Writes tests/metrics/golden_rating.json and golden_ranking.json: what the customary packages answer, for src/metrics.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 pandas==2.3.3 ranx==0.3.21 pytrec_eval-terrier==0.5.11
    /tmp/golden/bin/pip install --no-deps recommenders==1.2.1
    /tmp/golden/bin/python scripts/make_golden_metrics.py

Rating side: scikit-learn. Ranking side: ranx and pytrec_eval, which must agree with one another before a number is written
down; the 18 rows that Microsoft's recommenders tests itself with (tests/unit/recommenders/evaluation/conftest.py), judged by
that package where its definition is ours; its catalogue coverage and novelty. What is not defined is null.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import pandas as pd
import pytrec_eval
from ranx import Qrels, Run, evaluate
from recommenders.evaluation import python_evaluation as microsoft
from sklearn import metrics
from sklearn._loss.loss import HalfBinomialLoss
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

HERE = pathlib.Path(__file__).parent.parent / "tests/metrics"
RELEVANT_FROM = 4
THRESHOLD = 0.75
BINS = 15
CLASSES = [1, 2, 3, 4, 5]


def number(value):
    return None if value is None or math.isnan(value) else float(value)


def log_loss(targets, logits):
    """scikit-learn's loss of its own logistic models, which takes logits; on scores it clips what rounds to 0 or 1."""
    loss = float(HalfBinomialLoss()(targets, logits.astype(np.float64)))
    if np.abs(logits).max() < 10:
        labels = np.repeat([1, 0], len(targets))
        scores = 1 / (1 + np.exp(-np.tile(logits.astype(np.float64), 2)))
        on_scores = metrics.log_loss(labels, scores, sample_weight=np.concatenate([targets, 1 - targets]))
        assert abs(loss - on_scores) < 1e-12
    return loss


def rating_case(name, logits, ratings):
    logits = np.asarray(logits, np.float32)
    ratings = np.asarray(ratings, np.float32)
    exact = 1 / (1 + np.exp(-logits.astype(np.float64)))
    scores = exact.astype(np.float32)
    relevant = ratings >= RELEVANT_FROM
    predicted = scores >= np.float32(THRESHOLD)
    both = relevant.any() and not relevant.all()
    wide = scores.astype(np.float64)
    target = (ratings - 1) / 4
    # A fractional target is a row of each label, weighted.
    labels = np.concatenate([np.ones(len(target)), np.zeros(len(target))])
    weights = np.concatenate([target, 1 - target]).astype(np.float64)
    twice = lambda column: np.concatenate([column, column])
    fraction, mean = calibration_curve(relevant, wide, n_bins=BINS, strategy="uniform")
    # calibration_curve leaves empty bins out and keeps no counts: these are its bins.
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], wide)
    counts = np.bincount(bins, minlength=BINS)
    stars = 1 + 4 * wide
    classes = [CLASSES[i] for i in np.argmin(np.abs(stars[:, None] - np.array(CLASSES)[None]), axis=1)]
    case = {"name": name, "logits": logits.tolist(), "scores": wide.tolist(), "ratings": ratings.tolist()}
    case["stars"] = stars.astype(np.float32).tolist()
    wide_stars = stars.astype(np.float32).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case |= {
            "precision": number(metrics.precision_score(relevant, predicted, zero_division=np.nan)),
            "recall": number(metrics.recall_score(relevant, predicted, zero_division=np.nan)),
            "f1": number(metrics.f1_score(relevant, predicted, zero_division=np.nan)),
            "auc": number(metrics.roc_auc_score(relevant, logits) if both else None),
            "average_precision": number(metrics.average_precision_score(relevant, logits) if relevant.any() else None),
            "log_loss": number(log_loss(relevant.astype(np.float64), logits)),
            "log_loss_of_fractions": number(log_loss(target.astype(np.float64), logits)),
            "brier": number(metrics.brier_score_loss(relevant, wide, pos_label=True)),
            "brier_of_fractions": number(np.mean((wide - target) ** 2)),
            "calibration_error": number(np.sum(counts[counts > 0] * np.abs(fraction - mean)) / len(wide)),
            "bin_means": [number(m) for m in mean],
            "bin_fractions": [number(f) for f in fraction],
            "bin_counts": [int(c) for c in counts if c > 0],
            "rmse": number(metrics.root_mean_squared_error(ratings.astype(np.float64), wide_stars)),
            "mae": number(metrics.mean_absolute_error(ratings.astype(np.float64), wide_stars)),
            "confusion": metrics.confusion_matrix(ratings.astype(int), classes, labels=CLASSES).tolist(),
        }
        by_class = metrics.precision_recall_fscore_support(
            ratings.astype(int), classes, labels=CLASSES, zero_division=np.nan
        )
        case["class_precision"] = [number(p) for p in by_class[0]]
        case["class_recall"] = [number(r) for r in by_class[1]]
        errors = [np.abs(wide_stars - ratings)[ratings == c] for c in CLASSES]
        case["class_mae"] = [number(e.mean()) if len(e) else None for e in errors]
    if np.ptp(logits) > 0:
        platt = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=1000)
        platt.fit(twice(logits.astype(np.float64))[:, None], labels, sample_weight=weights)
        case["platt"] = [float(platt.coef_[0, 0]), float(platt.intercept_[0])]
    if both:
        false_positive_rate, true_positive_rate, _ = metrics.roc_curve(relevant, logits, drop_intermediate=False)
        precision, recall, _ = metrics.precision_recall_curve(relevant, logits)
        case["roc"] = list(zip(false_positive_rate.tolist(), true_positive_rate.tolist()))
        case["precision_recall"] = list(zip(recall.tolist(), precision.tolist()))
    return case


def rating_cases():
    random = np.random.default_rng(7)
    ratings = random.choice(CLASSES, 300, p=[0.1, 0.08, 0.12, 0.3, 0.4])
    logits = 0.5 * (ratings - 2) + random.normal(0, 1.2, 300)
    some = ratings[:40]
    yield rating_case("plain", logits, ratings)
    yield rating_case("many ties", np.round(logits), ratings)
    yield rating_case("all scores equal", np.full(40, 1.25), some)
    yield rating_case("no positives", logits[:40], np.minimum(some, 3))
    yield rating_case("only positives", logits[:40], np.maximum(some, 4))
    yield rating_case("no predicted positives", np.minimum(logits[:40], 0.5), some)
    yield rating_case("far out", 20 * logits[:60], ratings[:60])


def per_user(qrels, run, k):
    """ranx user by user, checked against pytrec_eval."""
    names = {"precision": "precision", "recall": "recall", "ndcg": "ndcg", "map": "average_precision"}
    names |= {"mrr": "reciprocal_rank", "hit_rate": "hit_rate"}
    order = list(qrels)
    answers = {user: {} for user in order}
    scores = evaluate(Qrels(qrels), Run(run), [f"{m}@{k}" for m in names], return_mean=False)
    for measure, name in names.items():
        # In the order of Qrels, which sorts its users.
        for user, value in zip(sorted(order), scores[f"{measure}@{k}"]):
            answers[user][name] = float(value)
    cut = {f"P.{k}", f"recall.{k}", f"ndcg_cut.{k}", f"map_cut.{k}"}
    second = pytrec_eval.RelevanceEvaluator(qrels, cut).evaluate(run)
    pairs = {"precision": f"P_{k}", "recall": f"recall_{k}", "ndcg": f"ndcg_cut_{k}", "average_precision": f"map_cut_{k}"}
    for user in order:
        for name, other in pairs.items():
            assert abs(answers[user][name] - second[user][other]) < 1e-9, (user, name, answers[user][name], second[user][other])
    return answers


def ranking_cases():
    random = np.random.default_rng(11)
    users = []
    for number_of_user in range(12):
        length = int(random.integers(1, 30))
        ranked = random.permutation(60)[:length].tolist()
        relevant = sorted(random.permutation(60)[: int(random.integers(1, 15))].tolist())
        users.append((f"u{number_of_user:02}", ranked, relevant))
    users.append(("u12", [3, 1, 2], [1, 2, 3]))
    users.append(("u13", [3, 1, 2], [7]))
    qrels = {user: {str(item): 1 for item in relevant} for user, _, relevant in users}
    run = {user: {str(item): float(100 - place) for place, item in enumerate(ranked)} for user, ranked, _ in users}
    for k in [1, 5, 10, 100]:
        answers = per_user(qrels, run, k)
        for user, ranked, relevant in users:
            yield {"k": k, "ranked": ranked, "relevant": relevant, **answers[user]}


# The rows of the fixture `rating_true` and `rating_pred`.
USERS = [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1]
TRUE_ITEMS = [3, 1, 4, 5, 6, 7, 2, 5, 6, 8, 9, 10, 11, 12, 13, 14, 1, 2]
PREDICTED_ITEMS = [12, 10, 3, 5, 11, 13, 4, 10, 7, 13, 1, 3, 5, 2, 11, 14, 3, 10]
PREDICTIONS = [12, 14, 13, 12, 11, 10, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 14, 13]
RATINGS = [3, 5, 5, 3, 3, 1, 5, 5, 5, 4, 4, 3, 3, 3, 2, 1, 5, 4]


def microsoft_fixture():
    names = {"col_user": "user", "col_item": "item", "col_prediction": "prediction"}
    truth = pd.DataFrame({"user": USERS, "item": TRUE_ITEMS, "rating": RATINGS})
    predicted = pd.DataFrame({"user": USERS, "item": PREDICTED_ITEMS, "prediction": PREDICTIONS})
    users = []
    for user in [1, 2, 3]:
        mine = predicted[predicted["user"] == user].sort_values("prediction", ascending=False)
        users.append({"ranked": mine["item"].tolist(), "relevant": sorted(truth[truth["user"] == user]["item"].tolist())})
    answer = lambda function: float(function(truth, predicted, k=10, col_rating="rating", **names))
    train = pd.DataFrame({"user": [1, 1, 1, 2, 2, 3, 3, 3], "item": [1, 2, 4, 3, 4, 3, 4, 5]})
    recommended = pd.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": [3, 5, 2, 5, 1, 2], "relevance": [1, 0, 1, 1, 1, 0]})
    columns = {"col_user": "user", "col_item": "item"}
    return {
        "k": 10,
        "users": users,
        "precision": answer(microsoft.precision_at_k),
        "recall": answer(microsoft.recall_at_k),
        "ndcg": answer(microsoft.ndcg_at_k),
        "average_precision": answer(microsoft.map),
        "train_items": train["item"].tolist(),
        "recommended_items": recommended["item"].tolist(),
        "catalogue": train["item"].nunique(),
        "coverage": float(microsoft.catalog_coverage(train, recommended, **columns)),
        "novelty": float(microsoft.novelty(train, recommended, **columns)),
    }


def write(name, value):
    target = HERE / name
    target.write_text(json.dumps(value, indent=None, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")
    print(f"{target}: {target.stat().st_size:,} bytes")


def main():
    write("golden_rating.json", list(rating_cases()))
    write("golden_ranking.json", {"users": list(ranking_cases()), "microsoft": microsoft_fixture()})


if __name__ == "__main__":
    main()
