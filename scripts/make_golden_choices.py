"""Writes tests/training/golden_choices.json: where learning choices leads after a thousand steps, by PyTorch in float64.

The loss is written down as src/core/engine/choice.rs defines it, gradients are PyTorch's autograd, and the optimiser is PyTorch's
dense Adam (whose epsilon is scaled by the bias correction, which is undone step by step): every row of the tables moves at
every step, whether it was chosen, drawn or neither.

Run from anywhere, in a throwaway environment:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python scripts/make_golden_choices.py

Samples and draws come from a counter, not from a random generator, so any version writes the same file but for the last digits.
"""

import json
import math
import pathlib

import torch

from make_golden_optimizers import BATCH, BETA2, DIM, EPSILON, ITEMS, SEED, USERS, WORD, batch_of, split_mix

DRAWS, STEPS, RATE = 12, 1000, 1e-2
CASES = [
    {"name": "softmax", "loss": "softmax", "l2": 0.0},
    {"name": "softmax, l2", "loss": "softmax", "l2": 0.05},
    {"name": "bpr, l2", "loss": "bpr", "l2": 0.02},
    {"name": "bce, l2", "loss": "bce", "l2": 0.02},
]


def start_weights(side, rows):
    """`[rows, DIM]`: uniform in [-0.05, 0.05), as dotcart starts what it learns choices with."""
    def weight(row, column):
        counter = (2 | side) << 62 | row << 16 | column
        bits = split_mix((split_mix(SEED) + counter * 0x9E3779B97F4A7C15) & WORD)
        unit = torch.tensor((bits >> 40) / 2**24, dtype=torch.float32)
        return ((2 * unit - 1) * torch.tensor(0.05, dtype=torch.float32)).item()

    return torch.tensor([[weight(row, column) for column in range(DIM)] for row in range(rows)], dtype=torch.float64)


def draws_of(step, loss):
    """Distinct drawn items, ascending, and what each stands for: low ones are drawn often."""
    counts = {}
    for draw in range(DRAWS):
        number = split_mix((1 << 40) + step * DRAWS + draw)
        item = (number & 0xFFFF) % (1 + (number >> 16 & 0xFFFF) % ITEMS)
        counts[item] = counts.get(item, 0) + 1
    items = sorted(counts)
    share = [counts[item] / DRAWS for item in items]
    if loss == "softmax":
        # As if each were drawn with probability 1 / (2 + item), which need not add up to one here.
        share = [math.log(part * (2 + item)) for part, item in zip(share, items)]
    # dotcart is given them as float32.
    offsets = torch.tensor(share, dtype=torch.float32).to(torch.float64)
    return torch.tensor(items), offsets


def loss_of(loss, appeals, drawn, offsets):
    """`appeals` [B] of what was chosen, `drawn` [B, draws] of what was drawn."""
    softplus = torch.nn.functional.softplus
    if loss == "softmax":
        return torch.logsumexp(torch.cat([appeals[:, None], drawn + offsets], dim=1), dim=1) - appeals
    if loss == "bpr":
        return (offsets * softplus(drawn - appeals[:, None])).sum(dim=1)
    return softplus(-appeals) + (offsets * softplus(drawn)).sum(dim=1)


def train(case):
    """The tables after the last step, and the loss of the first."""
    parameter = torch.nn.Parameter
    users, items = parameter(start_weights(0, USERS)), parameter(start_weights(1, ITEMS))
    appeal = parameter(torch.zeros(ITEMS, dtype=torch.float64))
    everything = [users, items, appeal]
    adam = torch.optim.Adam(everything, eps=EPSILON)
    first = None
    for step in range(1, STEPS + 1):
        user, item, targets = batch_of(step)
        drawn, offsets = draws_of(step, case["loss"])
        appeals = (users[user] * items[item]).sum(dim=1) + appeal[item]
        scores = users[user] @ items[drawn].T + appeal[drawn]
        # A target counts as the weight of the choice.
        losses = loss_of(case["loss"], appeals, scores, offsets)
        lengths = (users[user] ** 2).sum(dim=1) + (items[item] ** 2).sum(dim=1)
        first = first if first is not None else ((targets * losses).sum() / BATCH).item()
        ((targets * (losses + case["l2"] * lengths)).sum() / BATCH).backward()
        for group in adam.param_groups:
            group["lr"], group["eps"] = RATE, EPSILON / math.sqrt(1 - BETA2**step)
        adam.step()
        adam.zero_grad()
    rows = torch.cat([appeal[:, None], items], dim=1)
    return {"first_loss": first, "users": users.tolist(), "items": rows.tolist()}


def main():
    torch.set_num_threads(1)
    golden = {
        "written_by": "scripts/make_golden_choices.py, torch " + torch.__version__,
        "users": USERS, "items": ITEMS, "dim": DIM, "batch": BATCH, "seed": SEED, "steps": STEPS, "rate": RATE,
        "draws": DRAWS, "cases": [{**case, **train(case)} for case in CASES],
    }
    path = pathlib.Path(__file__).parent.parent / "tests" / "training" / "golden_choices.json"
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: float(f"{float(text):.9g}"))
    path.write_text(json.dumps(rounded, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
