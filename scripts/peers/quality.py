#!/usr/bin/env python3
"""How good others are on the very same rows: test RMSE, AUC and precision of dotcart and of what a user would otherwise pick.

    cargo build --release
    python3 scripts/peers/quality.py /path/to/electronics_164k.csv /path/to/ml_100k.csv

For each file and seed dotcart splits 80/20 (`split.valid = 0`, `split.test = 0.2`), and `dotcart export splits` hands the same
rows to the peers. The 20 % is looked at once, by the final fits; what is tuned is tuned on a fifth of the 80 %, with the first
seed, and then refitted on all of it:

dotcart        the file's own config without oversampling, tuned by `dotcart sweep` over prior, l2, dim and epochs; then the
               share of the loss that asks for relevance, by precision at recall .825, a mean over ten more splits of the 80 %;
               --dotcart key=value sets other keys
bias           ridge on user and item, alternating least squares (Surprise's defaults: 15 and 10), and tuned
Surprise SVD   its defaults, and tuned over factors, epochs, rate and regularisation
Keras          this mission's model: embeddings, dot product, biases, a dense sigmoid unit; Adam, cross-entropy, 6 epochs of 1,024
myFM           Bayesian factorisation machine, Gibbs sampling

Relevant: rating >= 4; AUC by predicted rating; "at .825": the best precision among thresholds with at least that recall.
The packages live in a virtual environment outside the repository, made on the first run. One that does not install is named
and left out.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import environment
from dotcart import Dotcart

PINNED = ["numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1", "pandas==3.1.1", "safetensors==0.8.0"]
# Apart, since each may fail to build on its own.
OPTIONAL = [
    ["scikit-surprise==1.1.5"],
    ["tensorflow-cpu==2.21.0", "keras==3.15.0"],
    ["setuptools<80", "myfm==0.4.0"],
]
RELEVANT_FROM = 4
RECALL = 0.825


class TunedDotcart(Dotcart):
    def tune(self, train_csv):
        """The settings of least loss on a fifth of the training rows, after the last epoch: a refit on all of them has no rows to
        choose another by."""
        words = self.words("sweep", "tune", train_csv, {**SPLIT_TO_TUNE, **DOTCART_RATE})
        for over in DOTCART_GRID:
            words += ["--over", over]
        lines = self.call(*words, "--json").splitlines()
        ranking = sorted(map(json.loads, lines), key=lambda trial: trial["last"]["loss"])
        for trial in ranking:
            print(f"    dotcart {trial['settings']}: {trial['last']['loss']:.5f}", file=sys.stderr, flush=True)
        settings = {**ranking[0]["settings"], **DOTCART_RATE}
        return {**settings, "train.relevance": self.tune_relevance(train_csv, settings)}

    def tune_relevance(self, train_csv, settings):
        """The share of greatest mean precision at recall .825. By loss none would be chosen: it asks for ratings alone. One split
        does not tell such shares apart, ten do."""
        found = []
        for share in RELEVANCE_SHARES:
            rows = []
            for seed in RELEVANCE_SEEDS:
                name = f"relevance-{share}-{seed}"
                options = {**SPLIT_TO_JUDGE, **settings, "train.relevance": share, "seed": seed}
                run = self.train(name, train_csv, **options)
                self.call("export", "splits", run.name, "--out", name)
                rows.append(of_dotcart(run, read_rows(self.folder / name / "test.csv")))
            mean = mean_of(rows)
            found.append((mean["at"], share))
            print(f"    dotcart train.relevance {share}: {mean['at']:.5f} (RMSE {mean['rmse']:.4f})", file=sys.stderr, flush=True)
        return max(found)[1]


def read_rows(path):
    import pandas as pd

    return pd.read_csv(path, dtype={"user": str, "product": str})


def mean_of(rows):
    return {key: statistics.mean(row[key] for row in rows) for key in ["rmse", "auc", "at"]}


class Indices:
    """Ids as numbers; those that training does not have share one more."""

    def __init__(self, ids):
        self.known = {id: place for place, id in enumerate(dict.fromkeys(ids))}

    def __call__(self, ids):
        import numpy as np

        return np.array([self.known.get(id, len(self.known)) for id in ids])

    def __len__(self):
        return len(self.known) + 1


def bias(train, test, user_ridge=15.0, item_ridge=10.0):
    import numpy as np

    users, items = Indices(train.user), Indices(train["product"])
    u, i, ratings = users(train.user), items(train["product"]), train.rating.to_numpy()
    mean, user_bias, item_bias = ratings.mean(), np.zeros(len(users)), np.zeros(len(items))
    for _ in range(10):
        item_bias = np.bincount(i, ratings - mean - user_bias[u], len(items)) / (item_ridge + np.bincount(i, minlength=len(items)))
        user_bias = np.bincount(u, ratings - mean - item_bias[i], len(users)) / (user_ridge + np.bincount(u, minlength=len(users)))
    return mean + user_bias[users(test.user)] + item_bias[items(test["product"])]


def surprise_svd(train, test, **options):
    import numpy as np
    from surprise import SVD, Dataset, Reader

    columns = ["user", "product", "rating"]
    data = Dataset.load_from_df(train[columns], Reader(rating_scale=(1, 5))).build_full_trainset()
    model = SVD(random_state=1, **options).fit(data)
    return np.array([model.predict(user, item).est for user, item in zip(test.user, test["product"])])


def keras(train, test, dim=64, epochs=6, batch=1024):
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras as k
    import numpy as np

    k.utils.set_random_seed(1)
    users, items = Indices(train.user), Indices(train["product"])
    user, item = k.Input((1,), dtype="int32"), k.Input((1,), dtype="int32")
    flat = lambda table, size, index: k.layers.Flatten()(k.layers.Embedding(table, size)(index))
    dot = k.layers.Dot(1)([flat(len(users), dim, user), flat(len(items), dim, item)])
    affinity = k.layers.Add()([dot, flat(len(users), 1, user), flat(len(items), 1, item)])
    model = k.Model([user, item], k.layers.Dense(1, activation="sigmoid")(affinity))
    model.compile(k.optimizers.Adam(1e-3), "binary_crossentropy")
    inputs = lambda rows: [users(rows.user)[:, None], items(rows["product"])[:, None]]
    model.fit(inputs(train), (train.rating.to_numpy() - 1) / 4, batch_size=batch, epochs=epochs, verbose=0)
    return 1 + 4 * np.asarray(model.predict(inputs(test), batch_size=65536, verbose=0))[:, 0]


def myfm(train, test, rank=8, iterations=200):
    os.environ["TQDM_DISABLE"] = "1"
    import numpy as np
    import scipy.sparse as sparse
    from myfm import MyFMRegressor

    users, items = Indices(train.user), Indices(train["product"])

    def one_hot(rows):
        number = len(rows)
        columns = np.stack([users(rows.user), len(users) + items(rows["product"])], axis=1).ravel()
        places = (np.ones(2 * number), columns, np.arange(0, 2 * number + 1, 2))
        return sparse.csr_matrix(places, shape=(number, len(users) + len(items)))

    model = MyFMRegressor(rank=rank, random_seed=1)
    groups = [len(users), len(items)]
    model.fit(one_hot(train), train.rating.to_numpy(), n_iter=iterations, group_shapes=groups, grouping=None)
    return model.predict(one_hot(test))


def figures(ratings, predicted):
    import numpy as np
    from sklearn.metrics import precision_recall_curve, roc_auc_score, root_mean_squared_error

    relevant = ratings >= RELEVANT_FROM
    precision, recall, _ = precision_recall_curve(relevant, predicted)
    return {
        "rmse": root_mean_squared_error(ratings, np.clip(predicted, 1, 5)),
        "auc": roc_auc_score(relevant, predicted),
        "at": precision[recall >= RECALL].max(),
    }


def of_dotcart(run, test):
    """Scores the test rows from the run's files, as any other program could."""
    import numpy as np
    from safetensors.numpy import load_file

    model = load_file(run / "model.safetensors")

    def index(name):
        # The vocabularies are safetensors too: the ids end to end, and where each begins.
        table = load_file(run / f"{name}.safetensors")
        text, starts = table["id_text"].tobytes(), table["id_starts"]
        return {text[starts[k]:starts[k + 1]].decode(): k for k in range(len(starts) - 1)}

    users, items = index("users"), index("products")
    u = np.array([users[id] for id in test.user])
    i = np.array([items[id] for id in test["product"]])
    affinity = (model["user_embedding"][u] * model["item_embedding"][i]).sum(1) + model["user_bias"][u] + model["item_bias"][i]
    predicted = 1 + 4 / (1 + np.exp(-(model["scale"] * affinity + model["bias"])))
    found = figures(test.rating.to_numpy(), predicted)
    said = json.loads((run / "evaluation.json").read_text())["ratings"][0]
    for figure in ["rmse", "auc"]:
        assert abs(found[figure] - said[figure]) < 1e-5, f"dotcart says another {figure} of the same model"
    return found


def tune(name, fit, grid, train):
    """The options of least RMSE on a fifth of the training rows."""
    import numpy as np

    order = np.random.default_rng(1).permutation(len(train))
    cut = len(train) // 5
    held_out, rest = train.iloc[order[:cut]], train.iloc[order[cut:]]
    found = []
    for options in grid:
        rmse = figures(held_out.rating.to_numpy(), fit(rest, held_out, **options))["rmse"]
        found.append((rmse, options))
        print(f"    {name} {options}: {rmse:.4f}", file=sys.stderr, flush=True)
    return min(found, key=lambda pair: pair[0])[1]


DOTCART_GRID = [
    "train.prior.bias=0.2,0.3,0.45", "train.prior.embedding=0.7,1.0,1.5", "train.prior.centre_rank=0,32", "train.l2=0,0.003",
    "model.dim=16,64", "train.epochs=10,20",
]
# A falling rate ends near the minimum, so that epochs need no choosing after the fact.
DOTCART_RATE = {"train.learning_rate": 0.01, "train.learning_rate_curve": "cosine"}
RELEVANCE_SHARES = [0, 0.1, 0.2]
RELEVANCE_SEEDS = range(11, 21)
SPLIT_TO_TUNE = {"split.valid": 0.2, "split.test": 0}
SPLIT_TO_JUDGE = {"split.valid": 0, "split.test": 0.2}
SVD_GRID = [
    {"n_factors": factors, "n_epochs": epochs, "lr_all": 0.005, "reg_all": reg}
    for factors, epochs, reg in [(20, 20, 0.05), (20, 40, 0.08), (50, 40, 0.1), (100, 60, 0.1), (100, 60, 0.15)]
]
BIAS_GRID = [{"user_ridge": user, "item_ridge": item} for user in [2.0, 4.0, 8.0, 15.0] for item in [2.0, 4.0, 8.0, 15.0]]
MYFM_GRID = [{"rank": rank} for rank in [4, 8, 16]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="ratings, `user,product,rating[,timestamp]`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--binary", help="dotcart; default: built by cargo")
    parser.add_argument("--config", help="dotcart's config; default: the one that is named like the file")
    parser.add_argument("--dotcart", action="append", default=[], help="key=value for dotcart, repeatable")
    parser.add_argument("--leave-out", nargs="*", default=[], help="peers by their names in the table")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        python = environment.python("quality-2", PINNED, OPTIONAL) or sys.exit("the peers cannot be installed here")
        binary = environment.dotcart(arguments.binary)
        os.execv(python, [str(python), __file__, *sys.argv[1:], "--binary", str(binary), "--inside"])
    import importlib.util

    has = lambda name: importlib.util.find_spec(name) is not None
    for path in map(pathlib.Path, arguments.files):
        config = pathlib.Path(arguments.config).resolve() if arguments.config else environment.REPOSITORY / "configs" / f"{path.stem.replace('ml_', 'movielens_')}.toml"
        peers = {"bias": (bias, {}), "bias, tuned": (bias, BIAS_GRID)}
        if has("surprise"):
            peers |= {"Surprise SVD": (surprise_svd, {}), "Surprise SVD, tuned": (surprise_svd, SVD_GRID)}
        if has("tensorflow"):
            peers["Keras"] = (keras, {})
        if has("myfm"):
            peers["myFM, tuned"] = (myfm, MYFM_GRID)
        peers = {name: peer for name, peer in peers.items() if name not in arguments.leave_out}
        table = {name: [] for name in ["dotcart", *peers]}
        seconds = dict.fromkeys(table, 0.0)
        options = {}
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                sets = ["evaluate.ranked_users=1", f"seed={seed}", *arguments.dotcart]
                dotcart = TunedDotcart(arguments.binary, config, folder, sets)
                dotcart.train("split", path.resolve(), **SPLIT_TO_JUDGE, **{"train.epochs": 1})
                dotcart.call("export", "splits", "split-1", "--out", "splits")
                if "dotcart" not in options:
                    options["dotcart"] = dotcart.tune(folder / "splits/train.csv")
                start = time.perf_counter()
                run = dotcart.train("final", path.resolve(), **SPLIT_TO_JUDGE, **options["dotcart"])
                seconds["dotcart"] += time.perf_counter() - start
                train, test = (read_rows(folder / f"splits/{part}.csv") for part in ["train", "test"])
                table["dotcart"].append(of_dotcart(run, test))
            for name, (fit, grid) in peers.items():
                if isinstance(grid, list) and name not in options:
                    options[name] = tune(name, fit, grid, train)
                start = time.perf_counter()
                table[name].append(figures(test.rating.to_numpy(), fit(train, test, **options.get(name, {}))))
                seconds[name] += time.perf_counter() - start
            print(f"  seed {seed}: {len(train):,} training rows, {len(test):,} test rows", file=sys.stderr, flush=True)
        base = (test["rating"] >= RELEVANT_FROM).mean()
        print(f"\n{path.name}, seeds {arguments.seeds}: means over the seeds (base rate {base:.3f}, recall {RECALL})")
        print(f"  {'':22} {'RMSE':>7} {'AUC':>7} {'precision':>10} {'seconds':>8}   chosen inside the 80 %")
        for name, rows in table.items():
            mean = mean_of(rows)
            chosen = ", ".join(f"{key} {value}" for key, value in options.get(name, {}).items())
            time_each = seconds[name] / len(rows)
            print(f"  {name:22} {mean['rmse']:7.4f} {mean['auc']:7.4f} {mean['at']:10.4f} {time_each:8.1f}   {chosen}")


if __name__ == "__main__":
    main()
