#!/usr/bin/env python3
"""Indexes of others over `dotcart export embeddings`, held against the lists of `dotcart recommend --include-seen`.

    cargo build --release
    python3 scripts/check_embeddings.py /path/to/ml_100k.csv

Trains twice on the file, ranked by appeal and, with `train.ranking.weight = 0`, by the logit, exports, and asks for the first
tens of 200 users: faiss's flat index by inner product, and hnswlib's graph of the space `ip`. The flat index is exact, so each
of its lists must be the run's, ties aside: at each rank the two values differ by less than 1e-5. The graph is approximate: of
its lists the share that is found is shown, and must be above 95 %.

The packages live in a virtual environment outside the repository, made on the first run; hnswlib is compiled there and left
out, loudly, where that fails.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from peers import environment

PINNED = ["numpy==2.4.6", "faiss-cpu==1.15.1"]
GRAPH = ["hnswlib==0.8.0"]
CONFIG = environment.REPOSITORY / "configs" / "movielens_100k.toml"
USERS, TOP, TIE = 200, 10, 1e-5
RUNS = {"appeal": [], "logit": ["train.ranking.weight=0", "train.early_stopping.metric=valid_loss"]}


def ids(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def call(binary, folder, *words):
    done = subprocess.run([binary, *map(str, words)], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr[-2000:]}")
    return done.stdout


def graph(products):
    """A search in hnswlib's graph; None where the package is missing."""
    try:
        import hnswlib
    except ImportError:
        return None
    index = hnswlib.Index(space="ip", dim=products.shape[1])
    index.init_index(max_elements=len(products), ef_construction=200, M=32)
    index.add_items(products)
    index.set_ef(200)
    return lambda users: index.knn_query(users, k=TOP)[0]


def check(binary, data, name, sets):
    import faiss
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sets = ["data.titles=", f"data.path={data}", f"name={name}", *sets]
        call(binary, folder, "train", CONFIG, "--device", "cpu", "--quiet", *(word for pair in sets for word in ("--set", pair)))
        call(binary, folder, "export", "embeddings", f"{name}-1", "--for", "faiss", "--out", "vectors")
        products = np.load(folder / "vectors/products.npy", mmap_mode="r")
        users = np.load(folder / "vectors/users.npy", mmap_mode="r")
        product_ids, user_ids = ids(folder / "vectors/products.ids.jsonl"), ids(folder / "vectors/users.ids.jsonl")
        assert (len(products), len(users)) == (len(product_ids), len(user_ids))
        step = max(1, len(users) // USERS)
        asked = np.arange(0, step * USERS, step)[:USERS]
        (folder / "users.txt").write_text("\n".join(user_ids[user] for user in asked))
        text = call(binary, folder, "recommend", "--run", f"{name}-1", "--users", "users.txt", "--include-seen", "--top", TOP, "--json")
    place = {product: row for row, product in enumerate(product_ids)}
    rankings = [json.loads(line) for line in text.splitlines()]
    assert [ranking["user"] for ranking in rankings] == [user_ids[user] for user in asked]
    listed = np.array([[place[product["product"]] for product in ranking["products"]] for ranking in rankings])

    index = faiss.IndexFlatIP(products.shape[1])
    index.add(np.ascontiguousarray(products))
    _, found = index.search(np.ascontiguousarray(users[asked]), TOP)
    exact = users[asked].astype("f8") @ products.astype("f8").T
    gaps = np.abs(np.take_along_axis(exact, listed, 1) - np.take_along_axis(exact, found, 1))
    same = (listed == found).all(1).sum()
    print(
        f"by {name}: {len(product_ids):,} products, {products.shape[1]} dimensions; faiss: {same} of {len(asked)} lists are the very "
        f"same, and at no rank do values differ by more than {gaps.max():.1e}"
    )
    assert gaps.max() < TIE, "the flat index ranks otherwise"
    search = graph(np.ascontiguousarray(products))
    if search is None:
        print(f"by {name}: hnswlib is left out")
        return
    found = search(np.ascontiguousarray(users[asked]))
    share = np.mean([len(set(a) & set(b)) / TOP for a, b in zip(listed.tolist(), found.tolist())])
    print(f"by {name}: hnswlib finds {100 * share:.1f} % of the lists")
    assert share > 0.95, "the graph finds too little"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="user,product,rating without a header, such as ml_100k.csv")
    parser.add_argument("--binary", help="the dotcart to ask [default: built by cargo]")
    arguments = parser.parse_args()
    if not os.environ.get("DOTCART_IN_VENV"):
        python = environment.python("embeddings", PINNED, [GRAPH]) or sys.exit("the peers cannot be installed here")
        binary = environment.dotcart(arguments.binary)
        words = [str(python), __file__, str(pathlib.Path(arguments.data).resolve()), "--binary", str(binary)]
        os.execve(python, words, {**os.environ, "DOTCART_IN_VENV": "1"})
    for name, sets in RUNS.items():
        check(arguments.binary, arguments.data, name, sets)


if __name__ == "__main__":
    main()
