#!/usr/bin/env python3
"""The same training in dotcart and in Keras, judged by the AUC of the same test rows: the optimiser is the dense one.

    python3 scripts/peers/auc.py data/electronics_164k.csv

Both train 10 epochs of binary cross-entropy with Adam (learning rate 1e-3, epsilon 1e-8), dim 64, batch 1024, no L2, no
oversampling, no early stopping. Keras reads the rows and the split from dotcart's run directory and begins with dotcart's
start weights; only the order of the samples is each one's own, so averages over seeds count. dotcart scores a user or
product without a training rating as zero; Keras' tables are zeroed there before they are judged.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import environment
import keras_model

PINNED = [*keras_model.PINNED, "safetensors==0.8.0"]
BOUND = 0.003
SETTINGS = {
    "split.valid": 0,
    "split.test": 0.2,
    "oversample.strategy": '"none"',
    "model.dim": 64,
    "train.epochs": 10,
    "train.batch_size": 1024,
    "train.learning_rate": 1e-3,
    "train.learning_rate_curve": '"constant"',
    "train.optimizer": '"adam"',
    "train.l2": 0,
    "train.prior": "{ bias = 0.0, embedding = 0.0 }",
}


def auc(scores, relevant):
    """Area under the ROC curve; ties count half."""
    import numpy as np

    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = relevant.sum()
    return (ranks[relevant].sum() - positives * (positives + 1) / 2) / (positives * (len(scores) - positives))


def split_mix(state):
    """SplitMix64 of an array of u64."""
    import numpy as np

    u64 = np.uint64
    state = state + u64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> u64(27))) * u64(0x94D049BB133111EB)
    return state ^ (state >> u64(31))


def start_weights(seed, side, rows, dim):
    """`start_weight` of src/core/engine/model.rs: uniform in [-0.05, 0.05), from a counter."""
    import numpy as np

    counter = (np.uint64(side) << np.uint64(62)) + (np.arange(rows, dtype="u8")[:, None] << np.uint64(16)) + np.arange(dim, dtype="u8")
    bits = split_mix(split_mix(np.array([seed], dtype="u8")) + counter * np.uint64(0x9E3779B97F4A7C15))
    unit = (bits >> np.uint64(40)).astype("f4") / np.float32(1 << 24)
    return (2 * unit - 1) * np.float32(0.05)


def keras_auc(run, seed):
    """Trains on the rows of a run directory; AUC of its test rows."""
    import numpy as np
    from safetensors.numpy import load_file

    rows = load_file(run / "interactions.safetensors")
    user = np.repeat(np.arange(len(rows["user_starts"]) - 1), np.diff(rows["user_starts"].astype("int64"))).astype("int32")
    product = rows["item"].astype("int32")
    target = (rows["rating"] - 1) / 4
    train, test = rows["part"] == 0, rows["part"] == 2
    sizes = [len(rows["user_starts"]) - 1, int(product.max()) + 1]
    dim = SETTINGS["model.dim"]
    model = keras_model.compiled(*sizes, dim, SETTINGS["train.learning_rate"], seed)
    embeddings = [layer for layer in model.layers if hasattr(layer, "input_dim")]
    tables = {size: [layer for layer in embeddings if layer.input_dim == size] for size in sizes}
    for side, size in enumerate(sizes):
        embedding = next(layer for layer in tables[size] if layer.output_dim == dim)
        embedding.set_weights([start_weights(seed, side, size, dim)])
    model.fit(
        [user[train], product[train]],
        target[train],
        batch_size=SETTINGS["train.batch_size"],
        epochs=SETTINGS["train.epochs"],
        verbose=0,
    )

    for size, column in zip(sizes, [user, product]):
        trained = np.isin(np.arange(size), column[train])
        for layer in tables[size]:
            layer.set_weights([np.where(trained[:, None], layer.get_weights()[0], 0)])
    logits = model.predict([user[test], product[test]], batch_size=1 << 16, verbose=0)[:, 0]
    return auc(logits, rows["rating"][test] >= 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="electronics_164k.csv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--binary", help="a built dotcart; cargo builds one otherwise")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        interpreter = environment.python("auc-1", PINNED) or sys.exit("Keras cannot be installed here")
        binary = str(environment.dotcart(arguments.binary))
        os.execv(interpreter, [interpreter, __file__, *sys.argv[1:], "--binary", binary, "--inside"])

    config = environment.REPOSITORY / "configs" / "electronics_164k.toml"
    file = pathlib.Path(arguments.file).resolve()
    results = []
    print(f"{'seed':>4} {'dotcart':>9} {'Keras':>9}")
    for seed in range(1, arguments.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            settings = {**SETTINGS, "seed": seed, "data.path": json.dumps(str(file))}
            settings["train.early_stopping"] = '{ metric = "valid_loss", patience = 0 }'
            options = [option for key, value in settings.items() for option in ("--set", f"{key}={value}")]
            command = [arguments.binary, "train", config, "--plain", "--device", arguments.device, *options]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            run = pathlib.Path(folder) / "runs" / "electronics_164k-1"
            ours = json.loads((run / "evaluation.json").read_text())["ratings"][0]["auc"]
            keras = keras_auc(run, seed)
        results.append((ours, keras))
        print(f"{seed:>4} {ours:9.4f} {keras:9.4f}", flush=True)
    ours, keras = (statistics.mean(column) for column in zip(*results))
    print(f"mean {ours:9.4f} {keras:9.4f}")
    print(f"difference of the means {abs(ours - keras):.4f} (goal: at most {BOUND})")
    sys.exit(abs(ours - keras) > BOUND)


if __name__ == "__main__":
    main()
