"""Top-k of an inner product, every user against every product: dotcart beside faiss, implicit and numpy, in one run.

    python3 scripts/peers/score.py [--binary target/release/dotcart] [--items 476002] [--users 256] [--devices cpu gpu]

Peers live in a virtual environment outside the repository, made on the first run (pinned below). `dotcart bench score --write`
writes the matrices, and every program gets the same. Each is measured in turn, the whole several times over, and the fastest
round of each counts: others may be at work on the machine. The peers' answers are checked: the scores of the products found,
summed anew in f64, must be those of a full sort. (dotcart's are, by its own tests.)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import environment

PINNED = ["numpy==2.4.6", "scipy==1.17.1", "faiss-cpu==1.15.1", "implicit==0.7.3", "threadpoolctl==3.8.0"]
# What we want of each engine for many users at once: times as many users a second as faiss and as implicit.
GOALS = {"cpu": "3, 1.3", "gpu": "0.25"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="dotcart [default: built by cargo]")
    parser.add_argument("--items", type=int, default=476_002)
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--devices", nargs="+", choices=["cpu", "gpu"], default=["cpu", "gpu"])
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def fastest(work, rounds=2):
    """Seconds of the fastest of some rounds, after one that is not counted, and what the last one returned."""
    work()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def main():
    arguments = parse()
    if not arguments.inside:
        python = environment.python("score-1", PINNED) or sys.exit("the peers cannot be installed here")
        binary = str(environment.dotcart(arguments.binary))
        os.execv(python, [str(python), *sys.argv, "--binary", binary, "--inside"])
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


def measure(arguments, matrices):
    import faiss
    import implicit.cpu.topk
    import numpy
    from threadpoolctl import threadpool_limits

    shape = ["--items", str(arguments.items), "--dim", str(arguments.dim)]
    bench = [arguments.binary, "bench", "score", *shape]
    subprocess.run([*bench, "--users", str(arguments.users), "--write", str(matrices)], check=True)
    users = numpy.fromfile(matrices / "users.f32", dtype=numpy.float32).reshape(-1, arguments.dim)
    items = numpy.fromfile(matrices / "items.f32", dtype=numpy.float32).reshape(-1, arguments.dim)
    index = faiss.IndexFlatIP(arguments.dim)
    index.add(items)
    threads = os.cpu_count()

    def with_dotcart(device, count, k):
        command = [*bench, "--users", str(count), "--k", str(k), "--device", device, "--seconds", "1", "--json"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return report["milliseconds"] / 1e3

    def with_faiss(count, k):
        seconds, (_, found) = fastest(lambda: index.search(users[:count], k))
        return seconds, found

    def with_implicit(count, k):
        # Its own batches share one product; BLAS on one thread, as the library asks for.
        with threadpool_limits(limits=1, user_api="blas"):
            seconds, (found, _) = fastest(
                lambda: implicit.cpu.topk.topk(items, users[:count], k, None, None, None, threads)
            )
        return seconds, found

    def with_numpy(count, k):
        def work():
            found = numpy.empty((count, k), dtype=numpy.int64)
            for first in range(0, count, 32):
                scores = users[first : min(first + 32, count)] @ items.T
                best = numpy.argpartition(-scores, k, axis=1)[:, :k]
                order = numpy.argsort(-numpy.take_along_axis(scores, best, axis=1), axis=1)
                found[first : first + len(scores)] = numpy.take_along_axis(best, order, axis=1)
            return found

        return fastest(work, 1)

    peers = {"faiss": with_faiss, "implicit": with_implicit, "numpy": with_numpy}
    print(f"{arguments.items:,} products, dim {arguments.dim}, {threads} threads; milliseconds of the fastest round")
    print("users     k  engine   dotcart     faiss  implicit     numpy   times as fast: faiss  implicit  numpy   users/s  goal")
    for count, k in [(1, 10), (1, 100), (arguments.users, 10), (arguments.users, 100)]:
        # One user is always ranked for on the cpu.
        devices = [device for device in arguments.devices if device == "cpu" or count > 1]
        seconds = {}

        def note(name, taken):
            seconds[name] = min(seconds.get(name, float("inf")), taken)

        for _ in range(arguments.rounds):
            for device in devices:
                note(device, with_dotcart(device, count, k))
            for name, peer in peers.items():
                if name == "numpy" and name in seconds:
                    continue
                taken, found = peer(count, k)
                note(name, taken)
                few = slice(0, min(count, 4))
                exact = users[few].astype(numpy.float64) @ items.T.astype(numpy.float64)
                wanted = -numpy.sort(-exact, axis=1)[:, :k]
                received = numpy.take_along_axis(exact, numpy.asarray(found[few], dtype=numpy.int64), axis=1)
                assert numpy.allclose(received, wanted, atol=1e-6), f"{name} ranks wrongly"
        for device in devices:
            cells = "".join(f"{1e3 * seconds[name]:10.1f}" for name in (device, *peers))
            ratios = [seconds[name] / seconds[device] for name in peers]
            goal = GOALS[device] if count > 1 else ""
            print(
                f"{count:5} {k:5}  {device:6}{cells}   {ratios[0]:20.2f} {ratios[1]:9.2f} {ratios[2]:6.1f} "
                f"{count / seconds[device]:9,.0f}  {goal}",
                flush=True,
            )


if __name__ == "__main__":
    main()
