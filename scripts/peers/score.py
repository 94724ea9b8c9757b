"""Top-k of an inner product, every user against every product: dotcart beside faiss, implicit and numpy, in one run.

    python3 scripts/peers/score.py [--dotcart target/release/dotcart] [--items 476002] [--users 256] [--folder DIR]

Makes its own virtual environment in the folder (pinned below), lets `dotcart bench score --write` write the matrices, and gives
every program the same. Each is measured in turn, the whole several times over, and the fastest round of each counts: others
may be at work on the machine. The peers' answers are checked: the scores of the products found, summed anew in f64, must be
those of a full sort. (dotcart's are, by its own tests.)
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PINNED = ["numpy==2.4.6", "scipy==1.17.1", "faiss-cpu==1.15.1", "implicit==0.7.3", "threadpoolctl==3.8.0"]


def in_environment(folder):
    """Runs this very script again, in a virtual environment that has the peers."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PINNED], check=True)
    os.execv(python, [str(python), *sys.argv, "--inside"])


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dotcart", default="target/release/dotcart")
    parser.add_argument("--items", type=int, default=476_002)
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("target/peers/score"))
    parser.add_argument("--gpu", action="store_true", help="measure dotcart's gpu engine as well")
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
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if not arguments.inside:
        in_environment(arguments.folder)
    import faiss
    import implicit.cpu.topk
    import numpy
    from threadpoolctl import threadpool_limits

    shape = ["--items", str(arguments.items), "--dim", str(arguments.dim)]
    bench = [arguments.dotcart, "bench", "score", *shape]
    matrices = arguments.folder / "matrices"
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
    print("users     k   dotcart     faiss  implicit     numpy   faster than: faiss  implicit  numpy   users/s")
    for count, k in [(1, 10), (1, 100), (arguments.users, 10), (arguments.users, 100)]:
        seconds = {}
        for _ in range(arguments.rounds):
            seconds["dotcart"] = min(seconds.get("dotcart", float("inf")), with_dotcart("cpu", count, k))
            for name, peer in peers.items():
                if name == "numpy" and seconds.get("numpy"):
                    continue
                taken, found = peer(count, k)
                seconds[name] = min(seconds.get(name, float("inf")), taken)
                few = slice(0, min(count, 4))
                exact = users[few].astype(numpy.float64) @ items.T.astype(numpy.float64)
                wanted = -numpy.sort(-exact, axis=1)[:, :k]
                received = numpy.take_along_axis(exact, numpy.asarray(found[few], dtype=numpy.int64), axis=1)
                assert numpy.allclose(received, wanted, atol=1e-6), f"{name} ranks wrongly"
        ratios = [seconds[name] / seconds["dotcart"] for name in peers]
        cells = "".join(f"{1e3 * seconds[name]:10.1f}" for name in ("dotcart", *peers))
        print(f"{count:5} {k:5}{cells}   {ratios[0]:17.2f} {ratios[1]:9.2f} {ratios[2]:6.1f} {count / seconds['dotcart']:9,.0f}", flush=True)
        if arguments.gpu and count > 1:
            taken = with_dotcart("gpu", count, k)
            print(f"      gpu engine {1e3 * taken:10.1f} ms, {seconds['faiss'] / taken:.2f} of faiss", flush=True)


if __name__ == "__main__":
    main()
