#!/usr/bin/env python3
"""The whole data stage against pandas: wall time and peak memory on the same file, one after the other, in one run.

    cargo run --release -- generate --ratings 7824482 --out /tmp/electronics.csv
    python3 scripts/peers/data.py /tmp/electronics.csv

dotcart: ingest (ids to indices, cleaning, checks), split, oversampling table (`cargo bench --bench data_stage`).
pandas:  `read_csv` with the given types, then `factorize` of users and products; no split, no checks.
Each runs in a process of its own, in turn, `--rounds` times; medians count. The times leave out process start and imports.
pandas lives in a virtual environment outside the repository, made on the first run.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import venv

PINNED = ["pandas==3.1.1", "numpy==2.4.6"]
HERE = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "dotcart" / "venv-peers-data-1"

PANDAS = """
import json, resource, sys, time
import pandas as pd
start = time.perf_counter()
table = pd.read_csv(sys.argv[1], header=None, names=["user", "product", "rating", "timestamp"],
                    dtype={"user": str, "product": str, "rating": "float32", "timestamp": "int64"})
user, users = pd.factorize(table["user"])
product, products = pd.factorize(table["product"])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"rows": len(table), "users": len(users), "products": len(products), "seconds": seconds, "peak_bytes": peak}))
"""


def python():
    binary = CACHE / "bin" / "python"
    if not binary.exists():
        print(f"making {CACHE} with {', '.join(PINNED)}", file=sys.stderr)
        venv.create(CACHE, with_pip=True)
        subprocess.run([CACHE / "bin" / "pip", "install", "--quiet", *PINNED], check=True)
    return binary


def bench_binary():
    """The data_stage bench, built by cargo unless it is given."""
    build = ["cargo", "bench", "--bench", "data_stage", "--no-run", "--message-format=json"]
    lines = subprocess.run(build, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return next(m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "data_stage")


def run(command):
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", help="a built data_stage bench; cargo builds one otherwise")
    arguments = parser.parse_args()
    file = str(pathlib.Path(arguments.file).resolve())
    commands = {"dotcart": [arguments.binary or bench_binary(), file], "pandas": [python(), "-c", PANDAS, file]}
    pathlib.Path(file).read_bytes()  # both find the file in memory
    results = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            results[name].append(run(command))
    for key in ["rows", "users", "products"]:
        found = {name: runs[0][key] for name, runs in results.items()}
        assert len(set(found.values())) == 1, f"{key} differ: {found}"
    seconds = {name: statistics.median(r["seconds"] for r in runs) for name, runs in results.items()}
    peaks = {name: max(r["peak_bytes"] for r in runs) for name, runs in results.items()}
    first = results["dotcart"][0]
    print(f"{file}: {first['rows']:,} rows, {first['users']:,} users, {first['products']:,} products")
    for name, runs in results.items():
        each = ", ".join(f"{r['seconds']:.2f}" for r in runs)
        print(f"{name:8} {seconds[name]:6.2f} s   peak {peaks[name] / 1e9:.2f} GB   (rounds: {each})")
    share = seconds["dotcart"] / seconds["pandas"]
    print(f"dotcart takes {share:.2f} of pandas' time (goal: 0.45), peak {peaks['dotcart'] / 1e9:.2f} GB (goal: 1.20)")


if __name__ == "__main__":
    main()
