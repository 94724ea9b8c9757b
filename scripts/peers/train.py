#!/usr/bin/env python3
"""Training against Keras and PyTorch: samples a second on the same ratings, batch and dim, in turn, in one run.

    python3 scripts/peers/train.py                        1,000,000 ratings of 100,000 users and 20,000 products
    python3 scripts/peers/train.py --like electronics     7,824,482 ratings of 4,201,696 users and 476,002 products

dotcart:  `bench train` on the cpu engine, and on the gpu engine with whatever adapter there is; planner included.
Keras:    dense Adam by `fit` (keras_model.py), as it comes, and compiled by XLA, which is faster and takes more memory.
PyTorch:  `nn.Embedding(sparse=True)` with SparseAdam, which is a lazy Adam and so does less; shuffled tensors, no loader.

dotcart writes the ratings (`bench train --write`), the peers read them. Each peer is one process that is set up, takes a few
steps to warm up, and then trains a round whenever its turn comes; medians count. At full size a dense step takes about a
second, so a peer's round is bounded in time, never below four steps; and a peer takes up to 9 GB, so it is set up anew for
each round and there is never more than one. Peers live in virtual environments outside the
repository; PyTorch's package brings 6 GB of CUDA libraries along (`--peers keras` does without).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import environment
import keras_model

TORCH = ["torch==2.15.0", "numpy==2.4.6"]
KERAS = ("keras-1", keras_model.PINNED)
PINNED = {"keras": KERAS, "keras-xla": KERAS, "torch": ("torch-1", TORCH)}
SHAPES = {"1m": (100_000, 20_000), "electronics": (4_201_696, 476_002)}
GOALS = {"1m": {"cpu": 12, "gpu": 2}, "electronics": {"cpu": 300, "gpu": 50}}
DIM = 64
LEARNING_RATE = 1e-3


class Data:
    """The ratings in an order of their own for each round."""

    def __init__(self, folder, batch):
        import numpy as np

        self.users = np.fromfile(folder / "users.u32", dtype="<u4").astype("int32")
        self.products = np.fromfile(folder / "products.u32", dtype="<u4").astype("int32")
        self.targets = (np.fromfile(folder / "ratings.f32", dtype="<f4") - 1) / 4
        self.batch = batch
        self.random = np.random.default_rng(1)

    def draw(self, steps):
        """The samples of `steps` whole batches, or of nearly an epoch if that is less."""
        rows = self.random.permutation(len(self.users))[: min(steps, len(self.users) // self.batch // 16 * 16) * self.batch]
        return self.users[rows], self.products[rows], self.targets[rows]


def seconds_of(train, samples):
    begun = time.perf_counter()
    train(*samples)
    return time.perf_counter() - begun


def serve(train, data, seconds, together):
    """Warms up, then trains a round for each line on stdin and answers samples and seconds; steps in groups of `together`."""
    train(*data.draw(together))
    pace = seconds_of(train, data.draw(4 * together)) / 4
    steps = together * max(4, int(seconds / pace))
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        samples = data.draw(steps)
        print(json.dumps({"seconds": seconds_of(train, samples), "samples": len(samples[0])}), flush=True)


def keras_peer(arguments, data):
    # Where a step takes a second, handing over one at a time costs nothing.
    together = 16 if arguments.like == "1m" else 1

    model = keras_model.compiled(*SHAPES[arguments.like], DIM, LEARNING_RATE, seed=1)
    model.steps_per_execution = together
    model.jit_compile = arguments.serve == "keras-xla"

    def train(users, products, targets):
        model.fit([users, products], targets, batch_size=data.batch, epochs=1, verbose=0)

    serve(train, data, arguments.seconds, together)


def torch_peer(arguments, data):
    import torch
    from torch import nn

    torch.manual_seed(1)
    users, products = SHAPES[arguments.like]
    tables = [nn.Embedding(rows, columns, sparse=True) for rows in (users, products) for columns in (DIM, 1)]
    for table in tables:
        start = 0.05 if table.embedding_dim == DIM else 0.0
        nn.init.uniform_(table.weight, -start, start)
    head = nn.Linear(1, 1)
    nn.init.ones_(head.weight)
    nn.init.zeros_(head.bias)
    lazy = torch.optim.SparseAdam([table.weight for table in tables], lr=LEARNING_RATE, eps=1e-8)
    dense = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE, eps=1e-8)
    loss_of = nn.BCEWithLogitsLoss()
    user, user_bias, product, product_bias = tables

    def train(*columns):
        for at in range(0, len(columns[0]), data.batch):
            u, i, target = (torch.from_numpy(column[at : at + data.batch]) for column in columns)
            affinity = (user(u) * product(i)).sum(1, keepdim=True) + user_bias(u) + product_bias(i)
            loss = loss_of(head(affinity).squeeze(1), target)
            lazy.zero_grad()
            dense.zero_grad()
            loss.backward()
            lazy.step()
            dense.step()

    serve(train, data, arguments.seconds, together=1)


class Peer:
    """A process that trains when it is asked to."""

    def __init__(self, name, interpreter, folder, arguments):
        options = ["--like", arguments.like, "--batch", str(arguments.batch), "--seconds", str(arguments.seconds)]
        command = [interpreter, __file__, "--serve", name, "--data", folder, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        sys.exit("a peer died; its message stands above")

    def round(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        result = self.answer()
        return result["samples"] / result["seconds"]

    def peak_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", choices=SHAPES, default="1m")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of a round, each")
    parser.add_argument("--peers", nargs="*", choices=PINNED, default=list(PINNED))
    parser.add_argument("--devices", nargs="*", choices=["cpu", "gpu"], default=["cpu", "gpu"])
    parser.add_argument("--binary", help="a built dotcart; cargo builds one otherwise")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        data = Data(arguments.data, arguments.batch)
        return (torch_peer if arguments.serve == "torch" else keras_peer)(arguments, data)

    binary = environment.dotcart(arguments.binary)
    interpreters = {name: environment.python(*PINNED[name]) for name in arguments.peers}
    bench = [binary, "bench", "train", "--like", arguments.like]
    results, names, memory = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*bench, "--write", folder], check=True)
        started = {}

        def peer_round(name):
            if name not in started:
                started[name] = Peer(name, interpreters[name], folder, arguments)
            rate = started[name].round()
            memory[name] = started[name].peak_bytes()
            if arguments.like == "electronics":
                started.pop(name).close()
            return rate

        for _ in range(arguments.rounds):
            for device in arguments.devices:
                options = ["--device", device, "--batch", str(arguments.batch), "--dim", str(DIM)]
                options += ["--seconds", str(arguments.seconds), "--json"]
                output = subprocess.run([*bench, *options], check=True, stdout=subprocess.PIPE, text=True).stdout
                report = json.loads(output)
                key = f"dotcart {device}"
                results.setdefault(key, []).append(report["samples_per_second"])
                names[key] = report["device"]
                memory[key] = max(memory.get(key, 0), report["peak_bytes"] or 0)
            for name, path in interpreters.items():
                if path:
                    results.setdefault(name, []).append(peer_round(name))
                    names[name] = " ".join(PINNED[name][1])
        for peer in started.values():
            peer.close()

    users, products = SHAPES[arguments.like]
    print(
        f"{arguments.like}: {users:,} users, {products:,} products; dim {DIM}, batch {arguments.batch:,}, Adam; "
        f"median of {arguments.rounds} rounds of {arguments.seconds} s"
    )
    medians = {name: statistics.median(rounds) for name, rounds in results.items()}
    print(f"{'':12} {'samples/s':>12} {'x Keras':>8} {'goal':>5} {'x XLA':>8} {'peak GB':>8}   rounds")
    for name, median in medians.items():
        keras, xla = (f"{median / medians[peer]:.1f}" if peer in medians else "-" for peer in ["keras", "keras-xla"])
        goal = GOALS[arguments.like].get(name.removeprefix("dotcart "), "") if name.startswith("dotcart") else ""
        rounds = ", ".join(f"{rate:,.0f}" for rate in results[name])
        print(f"{name:12} {median:12,.0f} {keras:>8} {goal:>5} {xla:>8} {memory[name] / 1e9:8.2f}   {rounds}   ({names[name]})")


if __name__ == "__main__":
    main()
