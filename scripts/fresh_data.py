#!/usr/bin/env python3
"""`train --from` against training anew, on a cut by time: as good, in a quarter of the time at most?

    python3 scripts/fresh_data.py ml_100k.csv electronics_50k.csv musical_instruments_5core.csv [--seeds 3]
    python3 scripts/fresh_data.py --generated 7824482

Rows (user, product, rating, timestamp; no header) are ordered by time. A run learns the first 80 %, which is what was known then
(`before`). Then a tenth more is known: one run learns all 90 % from nothing (`anew`), one goes on from the first
(`--from`). The last 10 % judge all three; no run sees them, and nothing is tuned. Settings are those that `train TABLE` chooses for
the first 80 %, early stopping off. Seconds are those of training alone; `all` those of the whole command.
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import environment


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=pathlib.Path)
    parser.add_argument("--generated", type=int, default=0, metavar="RATINGS")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--binary", help="dotcart [default: built by cargo]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all three, after the other settings")
    return parser.parse_args()


def cut(table, folder):
    """The first 80 %, the first 90 % and the last 10 % of a table by time."""
    with table.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[3].isdecimal()]
    rows.sort(key=lambda row: int(row[3]))
    first, second = len(rows) * 8 // 10, len(rows) * 9 // 10
    for name, part in (("before", rows[:first]), ("now", rows[:second]), ("test", rows[second:])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["user", "product", "rating", "timestamp"], *part])


def train(binary, folder, name, words, sets):
    """One run; its figures."""
    settings = ["data.test_path=test.csv", "train.early_stopping.patience=0", f"name={name}", "evaluate.k=[10]", *sets]
    command = [binary, "train", *words, "--device", "cpu", "--quiet"]
    command += [word for assignment in settings for word in ("--set", assignment)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    run = folder / f"runs/{name}-1"
    evaluation = json.loads((run / "evaluation.json").read_text())
    rating = next(ratings for ratings in evaluation["ratings"] if ratings["predictor"] == "model")
    rankers = {ranker["predictor"]: ranker for ranker in evaluation["rankings"]["rankers"]}
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "RMSE": rating["rmse"],
        "RMSE low": rating["rmse_interval"]["low"],
        "RMSE high": rating["rmse_interval"]["high"],
        "AUC": rating["auc"],
        "NDCG@10": rankers["model"]["at"][0]["ndcg"],
        "NDCG low": rankers["model"]["at"][0]["ndcg_interval"]["low"],
        "NDCG high": rankers["model"]["at"][0]["ndcg_interval"]["high"],
        "popular": rankers["most_popular"]["at"][0]["ndcg"],
        "seconds": next(event["seconds"] for event in events if event["event"] == "finished"),
        "all": seconds,
    }


def compare(binary, table, seeds, sets):
    found = {"before": [], "anew": [], "--from": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cut(table, folder)
        for seed in range(1, seeds + 1):
            sets_now = [f"seed={seed}", *sets]
            found["before"].append(train(binary, folder, f"before{seed}", ["before.csv"], sets_now))
            found["--from"].append(train(binary, folder, f"from{seed}", ["--from", f"before{seed}-1", "now.csv"], sets_now))
            found["anew"].append(train(binary, folder, f"anew{seed}", [f"runs/before{seed}-1/config.toml"], ["data.path=now.csv", *sets_now]))
    print(f"{table.name}, means of {seeds} seeds")
    print(f"{'':8} {'RMSE':>8} {'AUC':>8} {'NDCG@10':>8} {'popular':>8} {'seconds':>8} {'all':>8}")
    mean = {name: {key: statistics.mean(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}
    for name, figures in mean.items():
        cells = [f"{figures[key]:8.4f}" for key in ("RMSE", "AUC", "NDCG@10", "popular")]
        print(f"{name:8} {' '.join(cells)} {figures['seconds']:8.2f} {figures['all']:8.2f}")
    anew, fresh = mean["anew"], mean["--from"]
    is_within = fresh["RMSE"] <= anew["RMSE high"] and fresh["NDCG@10"] >= anew["NDCG low"]
    intervals = f"RMSE {anew['RMSE low']:.4f} to {anew['RMSE high']:.4f}, NDCG@10 {anew['NDCG low']:.4f} to {anew['NDCG high']:.4f}"
    print(f"anew, 95 % by users: {intervals}: --from is {'within' if is_within else 'OUTSIDE'}, in {fresh['seconds'] / anew['seconds']:.2f} of the time")


def main():
    arguments = parse()
    binary = environment.dotcart(arguments.binary)
    for table in arguments.tables:
        compare(binary, table, arguments.seeds, arguments.set)
    if arguments.generated:
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder) / "GENERATED.csv"
            subprocess.run([binary, "generate", "--ratings", str(arguments.generated), "--out", table], check=True, capture_output=True)
            compare(binary, table, 1, arguments.set)


if __name__ == "__main__":
    main()
