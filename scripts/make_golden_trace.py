"""Writes tests/training/golden_trace.json: ten training steps of a small model, in numpy and float64.

The model, the loss and its l2 term, dense Adam in the form of Keras (epsilon not scaled by the bias correction) and the
start weights are written down here once more; nothing is taken from the Rust code. Every row moves at every step.

Run from anywhere, in a throwaway environment:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install numpy==2.4.6
    /tmp/golden/bin/python scripts/make_golden_trace.py

The scene comes from a counter, not from a random generator, so any numpy writes the same file.
"""

import json
import pathlib

import numpy as np

USERS, ITEMS, DIM, STEPS, BATCH, SEED = 12, 9, 8, 10, 8, 11
# Large, so that ten steps change the loss in its second digit and a wrong sign or factor cannot hide.
LEARNING_RATE, L2 = 0.05, 0.01
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
WORD = 0xFFFF_FFFF_FFFF_FFFF


def split_mix(state):
    """SplitMix64: one step of the generator."""
    state = (state + 0x9E3779B97F4A7C15) & WORD
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def start_table(table, rows):
    """`[rows, 1 + DIM]`: a bias of 0, then weights uniform in [-0.05, 0.05), rounded as f32 rounds them."""
    start = np.zeros((rows, 1 + DIM))
    for row in range(rows):
        for column in range(DIM):
            counter = table << 62 | row << 16 | column
            bits = split_mix((split_mix(SEED) + counter * 0x9E3779B97F4A7C15) & WORD)
            unit = np.float32((bits >> 40) / 2**24)
            start[row, 1 + column] = (np.float32(2) * unit - np.float32(1)) * np.float32(0.05)
    return start


def batch_of(step):
    """(user, item, target, weight) of each sample; two users and two items in three are absent from a step."""
    numbers = [split_mix(step * BATCH + sample) for sample in range(BATCH)]
    return [
        (
            (number % 5 + 3 * step) % USERS,
            ((number >> 8) % 4 + 2 * step) % ITEMS,
            (number >> 16) % 5 / 4,
            (1.0, 0.5, 2.0)[(number >> 24) % 3],
        )
        for number in numbers
    ]


def loss_and_gradients(model, batch):
    """Mean cross-entropy of a batch, and the gradients of that plus the l2 term."""
    user, item = (np.array([sample[place] for sample in batch]) for place in (0, 1))
    target, weight = (np.array([sample[place] for sample in batch]) for place in (2, 3))
    user_rows, item_rows = model["users"][user], model["items"][item]
    affinity = (user_rows[:, 1:] * item_rows[:, 1:]).sum(axis=1) + user_rows[:, 0] + item_rows[:, 0]
    score = 1 / (1 + np.exp(-(model["scale"] * affinity + model["bias"])))
    losses = -(target * np.log(score) + (1 - target) * np.log(1 - score))
    slope = (score - target) * weight / len(batch)

    gradients = {name: np.zeros_like(value) for name, value in model.items()}
    gradients["scale"] += (slope * affinity).sum()
    gradients["bias"] += slope.sum()
    for name, index, rows, others in (("users", user, user_rows, item_rows), ("items", item, item_rows, user_rows)):
        factors = others.copy()
        factors[:, 0] = 1
        per_sample = model["scale"] * slope[:, None] * factors + 2 * L2 / len(batch) * rows
        np.add.at(gradients[name], index, per_sample)
    return (losses * weight).mean(), gradients


def main():
    model = {
        "users": start_table(0, USERS),
        "items": start_table(1, ITEMS),
        "scale": np.ones(1),
        "bias": np.zeros(1),
    }
    m = {name: np.zeros_like(value) for name, value in model.items()}
    v = {name: np.zeros_like(value) for name, value in model.items()}
    batches, losses = [], []
    for step in range(1, STEPS + 1):
        batches.append(batch_of(step))
        loss, gradients = loss_and_gradients(model, batches[-1])
        losses.append(float(loss))
        step_size = LEARNING_RATE * np.sqrt(1 - BETA2**step) / (1 - BETA1**step)
        for name, gradient in gradients.items():
            m[name] = BETA1 * m[name] + (1 - BETA1) * gradient
            v[name] = BETA2 * v[name] + (1 - BETA2) * gradient**2
            model[name] = model[name] - step_size * m[name] / (np.sqrt(v[name]) + EPSILON)

    trace = {
        "written_by": "scripts/make_golden_trace.py",
        "users": USERS,
        "items": ITEMS,
        "dim": DIM,
        "seed": SEED,
        "learning_rate": LEARNING_RATE,
        "l2": L2,
        "batches": batches,
        "losses": losses,
        "head": [model["scale"].item(), model["bias"].item()],
    }
    path = pathlib.Path(__file__).parent.parent / "tests" / "training" / "golden_trace.json"
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in trace.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
