#!/usr/bin/env python3
"""What the dashboard costs: its thread's share of the processor time of a whole training, in a real terminal.

    cargo build --release
    python3 scripts/dashboard_cost.py [--binary target/release/dotcart] [--size 200x60] [--seconds 15]

Trains `configs/electronics.toml` (generated ratings unless the file is there) in tmux, and reads from /proc what each thread has
used by then. `dashboard` draws and takes keys; `train-worker` is burn's, computes its metrics and hands over events, with or
without a dashboard. Linux only.
"""

import argparse
import collections
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def seconds_by_thread(process):
    """Processor time of each name of a thread, nanoseconds in the first column of schedstat."""
    used = collections.Counter()
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        name = (task / "comm").read_text().strip()
        used[name.rstrip("-0123456789")] += int((task / "schedstat").read_text().split()[0]) / 1e9
    return used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/dotcart")
    parser.add_argument("--size", default="200x60", help="columns x lines")
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    with tempfile.TemporaryDirectory() as folder:
        tmux = ["tmux", "-L", f"dotcart-cost-{time.time_ns()}", "-f", "/dev/null"]
        endless = "--set train.epochs=10000 --set train.early_stopping.patience=0 --device cpu"
        train = f"exec {arguments.binary.resolve()} train {ROOT}/configs/electronics.toml {endless}"
        subprocess.run([*tmux, "new-session", "-d", "-x", width, "-y", height, "-c", folder, train], check=True)
        try:
            panes = subprocess.run([*tmux, "list-panes", "-F", "#{pane_pid}"], check=True, stdout=subprocess.PIPE, text=True)
            time.sleep(arguments.seconds)
            used = seconds_by_thread(int(panes.stdout))
            # It saves and ends in order.
            subprocess.run([*tmux, "send-keys", "q"], check=True)
            while pathlib.Path(f"/proc/{int(panes.stdout)}").exists():
                time.sleep(0.1)
        finally:
            subprocess.run([*tmux, "kill-server"], stderr=subprocess.DEVNULL, check=False)
    total = sum(used.values())
    for name, seconds in used.most_common():
        print(f"{name:14} {seconds:8.3f} s {100 * seconds / total:6.2f} %")


if __name__ == "__main__":
    main()
