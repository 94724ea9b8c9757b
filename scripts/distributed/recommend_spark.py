#!/usr/bin/env python3
"""Recommends for many users on a Spark cluster: `dotcart recommend`, divided into shards that are tasks of one stage.

    spark-submit scripts/distributed/recommend_spark.py --shards 64 -- --run electronics-1 --all --top 20 --out /shared/lists

The run, the binary and the folder must lie under the same paths on every machine. A shard takes all cores of its machine, so
`--conf spark.task.cpus` is best a machine's number. Spark starts a task that fails or is killed again (`spark.task.maxFailures`;
in one process only if asked, as in `--master 'local[2,4]'`), and it goes on with the parts that are missing. At the end the
whole request is asked once more here: it checks every part, writes what is missing, and the summary.
"""

import argparse
import os

import pandas
import pyspark.cloudpickle
import shards
from pyspark.sql import SparkSession


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments, command = shards.arguments_of(parser)
    folder, of = os.getcwd(), arguments.shards
    # The workers get the module's code, not its name: they may have no copy of this folder.
    pyspark.cloudpickle.register_pickle_by_value(shards)
    spark = SparkSession.builder.appName("dotcart recommend").getOrCreate()

    def run(frames):
        for frame in frames:
            for shard in frame["id"]:
                words = shards.run_shard(command, folder, shard, of)
                yield pandas.DataFrame({"shard": [shard], "words": [words]})

    # A partition is a task, and each holds one shard.
    done = spark.range(0, of, numPartitions=of).mapInPandas(run, "shard long, words string")
    for row in done.collect():
        print(f"shard {row.shard} of {of}: {row.words}", flush=True)
    spark.stop()
    shards.finish(command, folder)


if __name__ == "__main__":
    main()
