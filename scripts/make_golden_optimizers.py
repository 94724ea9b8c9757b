"""Writes tests/training/golden_optimizers.json: where each optimiser leads after thousands of steps, by PyTorch in float64.

The gradients are PyTorch's autograd. SGD, Adam and SparseAdam are PyTorch's own; its Adam scales epsilon by the bias
correction, which is undone step by step. Row-wise Adagrad is not in PyTorch: its three lines stand below. Adam and SGD are
dense here: every row of the tables moves at every step.

Run from anywhere, in a throwaway environment:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python scripts/make_golden_optimizers.py

The samples come from a counter, not from a random generator, so any version writes the same file but for the last digits.
"""

import json
import math
import pathlib

import torch

USERS, ITEMS, DIM, BATCH, SEED = 60, 40, 8, 16, 11
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
WORD = 0xFFFF_FFFF_FFFF_FFFF

CASES = [
    {"name": "adam", "optimizer": "adam", "rate": 1e-2, "steps": 5000, "at": [5000]},
    {"name": "adam, warm-up and cosine, stopped early and not", "optimizer": "adam", "rate": 1e-2, "steps": 5000,
     "at": [3000, 5000], "curve": "cosine", "warmup": 200},
    {"name": "adam, reduced twice", "optimizer": "adam", "rate": 1e-2, "steps": 5000, "at": [5000],
     "reductions": [[2000, 0.5], [3500, 0.2]]},
    # A clipped gradient is a sign: at a constant rate float32 and float64 part after some thousand steps, so these are short.
    {"name": "adam, clipped, l2", "optimizer": "adam", "rate": 1e-2, "steps": 500, "at": [500], "clip": 0.01, "l2": 0.01},
    {"name": "lazy adam", "optimizer": "lazy_adam", "rate": 1e-2, "steps": 1000, "at": [1000], "l2": 0.01},
    {"name": "sgd, warm-up and cosine", "optimizer": "sgd", "rate": 2.0, "steps": 1000, "at": [1000], "curve": "cosine",
     "warmup": 50, "l2": 0.001},
    {"name": "sgd, clipped", "optimizer": "sgd", "rate": 2.0, "steps": 300, "at": [300], "clip": 0.01},
    {"name": "adagrad", "optimizer": "adagrad", "rate": 5e-2, "steps": 1000, "at": [1000], "l2": 0.01},
    {"name": "adagrad, clipped, reduced", "optimizer": "adagrad", "rate": 5e-2, "steps": 1000, "at": [1000], "clip": 0.01,
     "reductions": [[500, 0.5]]},
]


def split_mix(state):
    """SplitMix64: one step of the generator."""
    state = (state + 0x9E3779B97F4A7C15) & WORD
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def start_weights(table, rows):
    """`[rows, DIM]`: uniform in [-0.05, 0.05), as dotcart starts."""
    def weight(row, column):
        counter = table << 62 | row << 16 | column
        bits = split_mix((split_mix(SEED) + counter * 0x9E3779B97F4A7C15) & WORD)
        unit = torch.tensor((bits >> 40) / 2**24, dtype=torch.float32)
        return ((2 * unit - 1) * torch.tensor(0.05, dtype=torch.float32)).item()

    return torch.tensor([[weight(row, column) for column in range(DIM)] for row in range(rows)], dtype=torch.float64)


def batch_of(step):
    """Users, items and targets of a step; low rows are frequent, high ones rare. No target is a fresh pair's score."""
    samples = []
    for sample in range(BATCH):
        number = split_mix(step * BATCH + sample)
        user = (number & 0xFFFF) % (1 + (number >> 16 & 0xFFFF) % USERS)
        item = (number >> 32 & 0xFFFF) % (1 + (number >> 48) % ITEMS)
        samples.append((user, item, (0.0, 0.25, 0.75, 1.0)[(31 * user + 17 * item) % 4]))
    users, items, targets = zip(*samples)
    return torch.tensor(users), torch.tensor(items), torch.tensor(targets, dtype=torch.float64)


def rate_at(case, step):
    """The learning rate of a step, from 1."""
    rate, warmup = case["rate"], case.get("warmup", 0)
    for after_step, factor in case.get("reductions", []):
        if step > after_step:
            rate *= factor
    if step <= warmup:
        return rate * step / warmup
    if case.get("curve") == "cosine":
        return rate * (1 + math.cos(math.pi * (step - 1 - warmup) / (case["steps"] - warmup))) / 2
    return rate


class RowWiseAdagrad:
    """One sum of squares a row: the mean over the row's columns. Duchi et al. 2011; rows as in FBGEMM."""

    def __init__(self, parameters):
        self.state = [(value, torch.zeros(value.shape[:1], dtype=torch.float64)) for value in parameters]

    def step(self, rate):
        with torch.no_grad():
            for value, sums in self.state:
                squares = value.grad**2
                sums += squares.mean(dim=1) if squares.dim() == 2 else squares
                root = sums.sqrt() + EPSILON
                value -= rate * value.grad / (root[:, None] if squares.dim() == 2 else root)


def train(case):
    """The parameters after each of the steps in `at`."""
    is_sparse = case["optimizer"] == "lazy_adam"
    parameter = lambda value: torch.nn.Parameter(value)
    tables = [torch.nn.Embedding.from_pretrained(start_weights(table, rows), freeze=False, sparse=is_sparse)
              for table, rows in ((0, USERS), (1, ITEMS))]
    biases = [torch.nn.Embedding.from_pretrained(torch.zeros(rows, 1, dtype=torch.float64), freeze=False, sparse=is_sparse)
              for rows in (USERS, ITEMS)]
    scale, bias = parameter(torch.ones(1, dtype=torch.float64)), parameter(torch.zeros(1, dtype=torch.float64))
    sparse = [module.weight for module in tables + biases]
    everything = sparse + [scale, bias]
    adam = {"betas": (BETA1, BETA2), "eps": EPSILON}
    if case["optimizer"] == "sgd":
        optimizers = [torch.optim.SGD(everything)]
    elif case["optimizer"] == "adam":
        optimizers = [torch.optim.Adam(everything, **adam)]
    elif case["optimizer"] == "lazy_adam":
        optimizers = [torch.optim.SparseAdam(sparse, **adam), torch.optim.Adam([scale, bias], **adam)]
    else:
        optimizers = [RowWiseAdagrad(everything)]

    snapshots = []
    for step in range(1, case["steps"] + 1):
        users, items, targets = batch_of(step)
        user_rows, item_rows = tables[0](users), tables[1](items)
        user_bias, item_bias = biases[0](users)[:, 0], biases[1](items)[:, 0]
        affinity = (user_rows * item_rows).sum(dim=1) + user_bias + item_bias
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scale * affinity + bias, targets)
        lengths = (user_rows**2).sum(dim=1) + (item_rows**2).sum(dim=1) + user_bias**2 + item_bias**2
        (loss + case.get("l2", 0.0) * lengths.mean()).backward()
        if case.get("clip"):
            for value in everything:
                value.grad.clamp_(-case["clip"], case["clip"])
        rate = rate_at(case, step)
        for optimizer in optimizers:
            if isinstance(optimizer, RowWiseAdagrad):
                optimizer.step(rate)
                continue
            for group in optimizer.param_groups:
                group["lr"] = rate
                if isinstance(optimizer, torch.optim.Adam):
                    group["eps"] = EPSILON / math.sqrt(1 - BETA2**step)
            optimizer.step()
        for value in everything:
            value.grad = None
        if step in case["at"]:
            rows = [torch.cat([bias.weight, table.weight], dim=1).tolist() for table, bias in zip(tables, biases)]
            snapshots.append({"step": step, "users": rows[0], "items": rows[1], "head": [scale.item(), bias.item()]})
    return snapshots


def main():
    torch.set_num_threads(1)
    cases = []
    for case in CASES:
        full = {"curve": "constant", "warmup": 0, "reductions": [], "clip": 0.0, "l2": 0.0, **case}
        del full["at"]
        cases.append({**full, "snapshots": train(case)})
    golden = {
        "written_by": "scripts/make_golden_optimizers.py, torch " + torch.__version__,
        "users": USERS, "items": ITEMS, "dim": DIM, "batch": BATCH, "seed": SEED, "cases": cases,
    }
    path = pathlib.Path(__file__).parent.parent / "tests" / "training" / "golden_optimizers.json"
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: float(f"{float(text):.9g}"))
    path.write_text(json.dumps(rounded, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
