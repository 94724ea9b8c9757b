#!/usr/bin/env python3
"""How good lists are on the very same rows: NDCG@10, Recall@20 and coverage of dotcart and of what a user would otherwise pick.

    cargo build --release
    python3 scripts/peers/ranking.py /path/to/electronics_164k.csv /path/to/ml_100k.csv

For each file and seed dotcart splits 80/20 (`split.valid = 0`, `split.test = 0.2`), and `dotcart export splits` hands the same
rows to the peers. The 20 % is looked at once, by the final fits. All are tuned inside the 80 % of the first seed, by the mean
NDCG@10 of three validation splits (a fifth of it each: one split does not tell settings apart), each by the same number of
trials, and then refitted on all of the 80 %:

dotcart        the file's own config without oversampling, tuned by `dotcart sweep` over what ratings count as choices and l2;
               --dotcart key=value sets other keys
most popular   by training ratings
EASE           H. Steck, arXiv:1905.03375, in closed form; all ratings, or liked ones alone
ALS            implicit's, over factors, regularisation and weight; all ratings, or liked ones alone
BPR            implicit's, over factors, rate and regularisation

Seconds are those of a final fit, and of one of its epochs (ALS: of one of its iterations): dotcart's by its own clock, ranking
for validation and judging left out.

Relevant: rating >= 4. Ranked: all products of the file but those that training saw of the user; judged: users with a relevant
product held out. Coverage: distinct products in all first tens. The packages live in a virtual environment outside the
repository, made on the first run.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import environment
from dotcart import Dotcart

PINNED = ["numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1", "safetensors==0.8.0", "implicit==0.7.3", "threadpoolctl==3.8.0"]
RELEVANT_FROM = 4
EPOCHS = {"ALS (implicit)": 15, "BPR (implicit)": 100}
TUNING_SEEDS = [11, 12, 13]
DOTCART_GRID = {
    "train.ranking.positives": ["half", "graded"],
    "train.ranking.l2": [0.06, 0.075, 0.1, 0.13, 0.16, 0.2],
}
EASE_GRID = [{"ridge": ridge, "liked": liked} for ridge in [50, 100, 200, 300, 500, 1000] for liked in [False, True]]
ALS_GRID = [
    {"factors": factors, "regularization": regularization, "alpha": alpha, "liked": liked}
    # Regularisation and weight only count together.
    for factors, regularization, alpha in [(64, 10, 1), (64, 20, 3), (64, 30, 3), (64, 60, 10), (64, 100, 30), (64, 200, 30)]
    for liked in [False, True]
]
BPR_GRID = [
    {"factors": factors, "learning_rate": rate, "regularization": regularization}
    for factors, rate in [(64, 0.01), (64, 0.03), (32, 0.03), (128, 0.03)]
    for regularization in [0.003, 0.01, 0.03]
]


class Rows:
    """Rows as matrices over all users and products of a file."""

    def __init__(self, train, test, users, items):
        import scipy.sparse as sparse

        place = lambda rows, column, known: rows[column].map(known).to_numpy()
        matrix = lambda rows: sparse.csr_matrix(
            (rows.rating.to_numpy().astype("f4"), (place(rows, "user", users), place(rows, "product", items))),
            shape=(len(users), len(items)),
        )
        self.train, self.test = matrix(train), matrix(test)
        self.relevant = self.test.copy()
        self.relevant.data = (self.relevant.data >= RELEVANT_FROM).astype("f4")
        self.relevant.eliminate_zeros()

    def chosen(self, liked):
        """What counts as chosen: 1 for each rating, or for each liked one."""
        chosen = self.train.copy()
        chosen.data = (chosen.data >= RELEVANT_FROM).astype("f4") if liked else chosen.data * 0 + 1
        chosen.eliminate_zeros()
        return chosen


def judge(rows, score):
    """Figures of `score(users) -> [users, items]` over the full catalogue."""
    import numpy as np

    judged = np.flatnonzero(np.diff(rows.relevant.indptr))
    ndcg, recall, shown = [], [], set()
    gains = 1 / np.log2(np.arange(2, 12))
    for start in range(0, len(judged), 1024):
        users = judged[start:start + 1024]
        scores = np.array(score(users), dtype="f8")
        seen = rows.train[users]
        scores[np.repeat(np.arange(len(users)), np.diff(seen.indptr)), seen.indices] = -np.inf
        first = np.argpartition(-scores, 20, axis=1)[:, :20]
        order = np.argsort(-np.take_along_axis(scores, first, 1), axis=1, kind="stable")
        first = np.take_along_axis(first, order, 1)
        relevant = rows.relevant[users].toarray() > 0
        hits = np.take_along_axis(relevant, first, 1)
        number = relevant.sum(1)
        ndcg.append((hits[:, :10] * gains).sum(1) / np.array([gains[:min(10, n)].sum() for n in number]))
        recall.append(hits.sum(1) / number)
        shown.update(first[:, :10].ravel().tolist())
    return {"ndcg": float(np.concatenate(ndcg).mean()), "recall": float(np.concatenate(recall).mean()), "shown": len(shown)}


def popular(rows):
    import numpy as np

    counts = np.bincount(rows.train.indices, minlength=rows.train.shape[1])
    return lambda users: np.tile(counts, (len(users), 1))


def ease(rows, ridge, liked):
    import numpy as np

    chosen = rows.chosen(liked)
    gram = (chosen.T @ chosen).toarray().astype("f8")
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    weights = weights.astype("f4")
    return lambda users: chosen[users] @ weights


def als(rows, factors, regularization, alpha, liked):
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=factors, regularization=regularization, alpha=alpha, iterations=EPOCHS["ALS (implicit)"], random_state=1, num_threads=2)
    model.fit(rows.chosen(liked), show_progress=False)
    return lambda users: model.user_factors[users] @ model.item_factors.T


def bpr(rows, factors, learning_rate, regularization):
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, learning_rate=learning_rate, regularization=regularization, iterations=EPOCHS["BPR (implicit)"], random_state=1, num_threads=2
    )
    model.fit(rows.chosen(False), show_progress=False)
    return lambda users: model.user_factors[users] @ model.item_factors.T


class TunedDotcart(Dotcart):
    def tune(self, train_csv):
        """The settings of the greatest mean NDCG after the last epoch."""
        found = {}
        for seed in TUNING_SEEDS:
            options = {"split.valid": 0.2, "split.test": 0, "seed": seed, "train.early_stopping.metric": "valid_ndcg"}
            words = self.words("sweep", f"tune-{seed}", train_csv, options)
            for key, values in DOTCART_GRID.items():
                words += ["--over", f"{key}={','.join(map(str, values))}"]
            for line in self.call(*words, "--json").splitlines():
                trial = json.loads(line)
                settings = tuple(sorted(trial["settings"].items()))
                found.setdefault(settings, []).append(trial["last"]["ranking"]["ndcg"])
        return best("dotcart", [(statistics.mean(ndcgs), dict(settings)) for settings, ndcgs in found.items()])

    def judge(self, run, rows, users, items):
        """Ranks from the run's files, as any other program could, and compares with what the run says itself."""
        from safetensors.numpy import load_file

        model = load_file(run / "model.safetensors")

        def index(name):
            # The vocabularies are safetensors too: the ids end to end, and where each begins.
            table = load_file(run / f"{name}.safetensors")
            text, starts = table["id_text"].tobytes(), table["id_starts"]
            return {text[starts[k]:starts[k + 1]].decode(): k for k in range(len(starts) - 1)}

        here = [index("users"), index("products")]
        user_rows = model["user_choice_embedding"][[here[0][id] for id in users]]
        item_rows = model["item_choice_embedding"][[here[1][id] for id in items]]
        appeal = model["item_appeal"][[here[1][id] for id in items]]
        figures = judge(rows, lambda users: user_rows[users] @ item_rows.T + appeal)
        said = json.loads((run / "evaluation.json").read_text())["rankings"]["rankers"][0]["at"][0]["ndcg"]
        assert abs(figures["ndcg"] - said) < 2e-4, f"dotcart says an NDCG of {said}, its model has {figures['ndcg']}"
        return figures


def best(name, found):
    for ndcg, options in sorted(found, key=lambda pair: -pair[0])[:3]:
        print(f"    {name} {options}: {ndcg:.4f}", file=sys.stderr, flush=True)
    return max(found, key=lambda pair: pair[0])[1]


def tune(name, fit, grid, train, users, items):
    """The options of the greatest mean NDCG on three fifths of the training rows, one after the other."""
    import numpy as np

    splits = []
    for seed in TUNING_SEEDS:
        order = np.random.default_rng(seed).permutation(len(train))
        cut = len(train) // 5
        splits.append(Rows(train.iloc[order[cut:]], train.iloc[order[:cut]], users, items))
    found = [(statistics.mean(judge(rows, fit(rows, **options))["ndcg"] for rows in splits), options) for options in grid]
    return best(name, found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="ratings, `user,product,rating[,timestamp]`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--binary", help="dotcart; default: built by cargo")
    parser.add_argument("--dotcart", action="append", default=[], help="key=value for dotcart, repeatable")
    parser.add_argument("--leave-out", nargs="*", default=[], help="peers by their names in the table")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        python = environment.python("ranking-1", PINNED)
        if python is None:
            sys.exit(1)
        binary = environment.dotcart(arguments.binary)
        os.execv(python, [str(python), __file__, *sys.argv[1:], "--binary", str(binary), "--inside"])
    import pandas as pd

    peers = {"EASE": (ease, EASE_GRID), "ALS (implicit)": (als, ALS_GRID), "BPR (implicit)": (bpr, BPR_GRID)}
    peers = {name: peer for name, peer in peers.items() if name not in arguments.leave_out}
    trials = {len(grid) for _, grid in peers.values()} | {len(list(itertools.product(*DOTCART_GRID.values())))}
    assert len(trials) == 1, f"each gets the same number of trials, not {trials}"
    (trials,) = trials
    for path in map(pathlib.Path, arguments.files):
        config = environment.REPOSITORY / "configs" / f"{path.stem.replace('ml_', 'movielens_')}.toml"
        table = {name: [] for name in ["dotcart", "most popular", *peers]}
        seconds = dict.fromkeys(table, 0.0)
        options, epochs = {"most popular": {}}, dict(EPOCHS)
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                sets = ["evaluate.ranked_users=0", "evaluate.k=[10,20]", f"seed={seed}", *arguments.dotcart]
                dotcart = TunedDotcart(arguments.binary, config, folder, sets)
                to_judge = {"split.valid": 0, "split.test": 0.2}
                dotcart.train("split", path.resolve(), **to_judge, **{"train.epochs": 1})
                dotcart.call("export", "splits", "split-1", "--out", "splits")
                read = lambda part: pd.read_csv(folder / f"splits/{part}.csv", dtype={"user": str, "product": str})
                train, test = read("train"), read("test")
                both = pd.concat([train, test])
                users, items = ({id: k for k, id in enumerate(dict.fromkeys(both[column]))} for column in ["user", "product"])
                rows = Rows(train, test, users, items)
                if "dotcart" not in options:
                    options["dotcart"] = dotcart.tune(folder / "splits/train.csv")
                run = dotcart.train("final", path.resolve(), **to_judge, **options["dotcart"])
                events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
                seconds["dotcart"] += next(event["seconds"] for event in events if event["event"] == "finished")
                epochs["dotcart"] = sum(event["event"] == "epoch_ended" for event in events)
                table["dotcart"].append(dotcart.judge(run, rows, users, items))
            for name, (fit, grid) in {"most popular": (popular, []), **peers}.items():
                if name not in options:
                    options[name] = tune(name, fit, grid, train, users, items)
                start = time.perf_counter()
                score = fit(rows, **options[name])
                seconds[name] += time.perf_counter() - start
                table[name].append(judge(rows, score))
            print(f"  seed {seed}: {len(train):,} training rows, {len(test):,} test rows", file=sys.stderr, flush=True)
        print(f"\n{path.name}, seeds {arguments.seeds}: means over the seeds, {trials} trials each")
        print(f"  {'':16} {'NDCG@10':>8} {'Recall@20':>10} {'products shown':>15} {'seconds':>8} {'an epoch':>9}   chosen inside the 80 %")
        for name, found in table.items():
            mean = {key: statistics.mean(row[key] for row in found) for key in ["ndcg", "recall", "shown"]}
            chosen = ", ".join(f"{key} {value}" for key, value in options[name].items())
            took = seconds[name] / len(found)
            epoch = f"{took / epochs[name]:9.3f}" if name in epochs else " " * 9
            print(f"  {name:16} {mean['ndcg']:8.4f} {mean['recall']:10.4f} {mean['shown']:15,.0f} {took:8.1f} {epoch}   {chosen}", flush=True)

if __name__ == "__main__":
    main()
