"""A shard of `dotcart recommend --out FOLDER`, run as a process wherever an engine puts it."""

import subprocess
import sys
import time

# What dotcart says of a folder, or a shard of it, that another process holds.
BUSY = "another process writes recommendations into folder"
SECONDS_BETWEEN_LOOKS = 2


def run_shard(command, folder, shard, of):
    """Runs `command` for shard `shard` of `of` in `folder`; returns its last words.

    An engine that loses a task may start it again while its process lives on, on another machine perhaps; then this waits until
    that one has ended, and finds its parts there. Raises if the process was killed or failed, for the engine to try again: parts
    that stand are kept.
    """
    while True:
        done = subprocess.run([*command, "--shard", f"{shard}/{of}"], cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            return (done.stderr.strip().splitlines() or [""])[-1]
        if BUSY not in done.stderr:
            raise RuntimeError(f"shard {shard}/{of} ended with {done.returncode}: {done.stderr[-2000:]}")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def finish(command, folder):
    """Checks that all parts are there and are of this request, writes what is missing, and the summary; ends the program with
    dotcart's exit code."""
    sys.exit(subprocess.run(command, cwd=folder).returncode)


def arguments_of(parser):
    """What the engine's script was told, and the command of a shard: all behind `--` is for `dotcart recommend`."""
    parser.add_argument("--shards", type=int, required=True, metavar="N", help="into how many to divide the request")
    parser.add_argument("--binary", default="dotcart", help="where every machine has it [default: dotcart, by PATH]")
    parser.add_argument("recommend", nargs="+", metavar="-- ARGUMENTS", help="of `dotcart recommend`, `--out FOLDER` among them")
    arguments = parser.parse_args()
    if not any(word == "--out" or word.startswith("--out=") for word in arguments.recommend):
        parser.error("`--out FOLDER` is missing behind `--`: a folder that every machine sees under the same path")
    return arguments, [arguments.binary, "recommend", *arguments.recommend]
