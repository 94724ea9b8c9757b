#!/usr/bin/env python3
"""What it costs to check what is read: first answers with and without the digests of pages, in turn.

    cargo build --release
    python3 scripts/cold_start.py [--binary target/release/dotcart] [--products 476002] [--rounds 15]

Trains a model of GENERATED ratings (dim 64, one epoch), and asks `recommend --user` for a list: from a disk, the run's files
dropped from the system's cache, and from memory. Without digests the very same files are read as those of an older dotcart: no
`pages.safetensors`, and a manifest that does not know of it. Medians, and the quartiles beside them. Linux only.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = "pages.safetensors"


def train(binary, folder, arguments):
    sizes = ["--ratings", arguments.ratings, "--users", arguments.users, "--products", arguments.products]
    sets = ["model.dim=64", "train.epochs=1", "name=load", "evaluate.k=[10]", "split.valid=0.01", "split.test=0.01"]
    for words in (
        ["generate", *sizes, "--out", "ratings.csv"],
        ["train", "ratings.csv", "--device", "cpu", "--quiet", *(word for assignment in sets for word in ("--set", assignment))],
    ):
        subprocess.run([binary, *map(str, words)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "runs/load-1"


def drop(run):
    """Takes the run's files out of the system's cache, as they are after a start of the machine."""
    for path in run.iterdir():
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def ask(words, folder):
    began = time.monotonic()
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/dotcart")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--products", type=int, default=476_002)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    binary = arguments.binary.resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run = train(binary, folder, arguments)
        os.sync()
        checked = json.loads((run / "manifest.json").read_text())
        digests = (run / PAGES).read_bytes()
        older = {**checked, "files": {name: entry for name, entry in checked["files"].items() if name != PAGES}}

        def has_digests(wanted):
            (run / "manifest.json").write_text(json.dumps(checked if wanted else older))
            (run / PAGES).write_bytes(digests) if wanted else (run / PAGES).unlink(missing_ok=True)
            # What is not on the disk yet cannot be dropped.
            os.sync()

        user = next(line for line in (folder / "ratings.csv").read_text().splitlines()[1:]).split(",")[0]
        words = [str(binary), "recommend", "--run", "load-1", f"--user={user}"]
        taken = {(start, wanted): [] for start in ("from a disk", "from memory") for wanted in (True, False)}
        for number in range(arguments.rounds):
            for wanted in (number % 2 == 0, number % 2 == 1):
                has_digests(wanted)
                drop(run)
                taken["from a disk", wanted].append(ask(words, folder))
                taken["from memory", wanted].extend(ask(words, folder) for _ in range(3))
        size = sum(path.stat().st_size for path in run.iterdir() if path.is_file())
        print(f"{arguments.products:,} products, dim 64, a run of {size / 1e6:.0f} MB, {len(digests) / 1e3:.1f} kB of digests; {os.cpu_count()} cores")
        for start in ("from a disk", "from memory"):
            medians = []
            for wanted in (True, False):
                quartiles = statistics.quantiles(taken[start, wanted], n=4)
                medians.append(quartiles[1])
                name = "checked" if wanted else "not checked"
                print(f"{start}, {name:<12} {quartiles[1]:>8.1f} ms  ({quartiles[0]:.1f} to {quartiles[2]:.1f})")
            print(f"{start}: {medians[0] - medians[1]:+.1f} ms, {100 * (medians[0] / medians[1] - 1):+.1f} %")


if __name__ == "__main__":
    main()
