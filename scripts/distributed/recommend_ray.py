#!/usr/bin/env python3
"""Recommends for many users on a Ray cluster: `dotcart recommend`, divided into shards that Ray places and starts again.

    python3 scripts/distributed/recommend_ray.py --shards 64 --cpus 16 -- --run electronics-1 --all --top 20 --out /shared/lists

The run, the binary and the folder must lie under the same paths on every machine. A shard takes all cores of its machine, so
`--cpus` is best a machine's number. A task that fails or is killed is started again, up to `--retries` times, and goes on with
the parts that are missing. At the end the whole request is asked once more here: it checks every part, writes what is missing,
and the summary.
"""

import argparse
import os

import ray
import shards


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of the cluster [default: RAY_ADDRESS, else one on this machine]")
    parser.add_argument("--cpus", type=float, default=1, help="cores that Ray sets aside for a shard [default: 1]")
    parser.add_argument("--retries", type=int, default=3, help="of each shard [default: 3]")
    arguments, command = shards.arguments_of(parser)
    folder = os.getcwd()
    ray.init(address=arguments.address, include_dashboard=False, log_to_driver=False)
    # The workers get the module's code, not its name: they may have no copy of this folder.
    ray.cloudpickle.register_pickle_by_value(shards)
    run = ray.remote(shards.run_shard).options(
        num_cpus=arguments.cpus, max_retries=arguments.retries, retry_exceptions=True
    )
    waiting = {run.remote(command, folder, shard, arguments.shards): shard for shard in range(arguments.shards)}
    while waiting:
        for done in ray.wait(list(waiting))[0]:
            print(f"shard {waiting.pop(done)} of {arguments.shards}: {ray.get(done)}", flush=True)
    ray.shutdown()
    shards.finish(command, folder)


if __name__ == "__main__":
    main()
