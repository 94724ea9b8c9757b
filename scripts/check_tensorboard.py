#!/usr/bin/env python3
"""Reads what `dotcart train --tensorboard FOLDER` wrote as TensorBoard reads it, and prints every scalar's course.

    python3 scripts/check_tensorboard.py FOLDER

The tensorboard package is installed in an environment of its own on the first run. Ends with 1 if there is nothing to read.
"""

import math
import os
import sys

from peers.environment import python

PINNED = ["tensorboard==2.20.0", "setuptools<80"]


def show(folder):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    # 0 = all points, none left out by sampling.
    runs = EventMultiplexer(size_guidance={"scalars": 0, "tensors": 0}).AddRunsFromDirectory(folder)
    runs.Reload()
    count = 0
    for run in sorted(runs.Runs()):
        accumulator = runs.GetAccumulator(run)
        for tag in accumulator.Tags()["scalars"]:
            points = accumulator.Scalars(tag)
            values = [point.value for point in points]
            steps = [point.step for point in points]
            assert steps == sorted(steps), f"{run} {tag}: steps go back"
            assert all(map(math.isfinite, values)), f"{run} {tag}: not all are finite"
            print(f"{run}  {tag:<16} {len(points):>6} points, steps {steps[0]} to {steps[-1]}: {values[0]:.6g} to {values[-1]:.6g}")
            count += 1
    sys.exit(0 if count else f"no scalars in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.environ.get("DOTCART_IN_VENV"):
        show(sys.argv[1])
    interpreter = python("tensorboard", PINNED) or sys.exit(1)
    os.execve(interpreter, [interpreter, *sys.argv], {**os.environ, "DOTCART_IN_VENV": "1"})
