#!/usr/bin/env python3
"""Prepares ratings with Spark, for tables that no one machine should read: raw tables of any width become a folder of Parquet
parts that `dotcart train` reads.

    spark-submit scripts/distributed/prepare.py RAW... --out FOLDER --format csv --user reviewerID --product asin \\
        --rating overall --timestamp unixReviewTime --min-ratings-per-user 5 --min-ratings-per-product 5

What is done is what `dotcart train` does to a table it reads itself, in the same order: bad rows, values that mean "not rated"
and rows outside the days wanted are left out; of several ratings of a pair of user and product the latest stays, and of equally
late ones the one that stands last (files by name); then users and products with too few ratings are left out until all that
are left have enough.

Columns: `user` and `product` as text, `rating` as a 32-bit float, `timestamp` in whole seconds since 1970 if there is one. Rows
are sorted by `user`, then `product`, by the bytes of their UTF-8, through all parts in the order of their names; so training on
the folder gives the bytes that training on the raw table gives, if that is sorted likewise (equal pairs in their old order).

Beside the parts lies `_report.json`: what was left out, by kind, under the names of `dotcart inspect --json`.

Not told apart from what dotcart reads: ratings in words (`4 out of 5 stars`) are no numbers here; of timestamps in several
units the most frequent one is right, not the first; `U+FFFD` in an id counts as text that is not UTF-8.
"""

import argparse
import json
import math
import sys

from pyspark.sql import SparkSession, functions as F, types as T

# As `data.missing_ids` has them.
MISSING_IDS = ["nan", "NaN", "NULL", "null", "None", "NA", "N/A", "#N/A", "\\N", "<NA>", "NaT"]
MAX_ID_BYTES = 1024
# What a number since 1970 counts, by its magnitude: the first above it, and how many make a second.
UNITS = {
    "seconds": (10**11, 1),
    "milliseconds": (10**14, 10**3),
    "microseconds": (10**17, 10**6),
    "nanoseconds": (2**63 - 1, 10**9),
}
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NO_NUMBER = r"^[+-]?(?i:nan|inf|infinity)$"
DAY_AND_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
DAY = 86_400
# A part that a reader goes through in seconds.
ROWS_PER_PART = 4_000_000
# Of a record that Spark cannot cut into columns.
RECORD = "_record"
INTEGERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
FRACTIONS = (T.FloatType, T.DoubleType, T.DecimalType)


def read(spark, arguments):
    """The raw table, and the fault of a record that cannot be cut."""
    if arguments.format == "parquet":
        return spark.read.parquet(*arguments.raw), None
    if arguments.format == "json":
        names = [name for _, name in columns_wanted(arguments, None) if name]
        schema = T.StructType([T.StructField(name, T.StringType()) for name in [*names, RECORD]])
        return spark.read.option("columnNameOfCorruptRecord", RECORD).schema(schema).json(arguments.raw), "not_json"
    # With pruning Spark would not count the columns of a record.
    spark.conf.set("spark.sql.csv.parser.columnPruning.enabled", "false")
    reader = spark.read.options(
        sep=arguments.delimiter, header=arguments.header, escape='"', ignoreLeadingWhiteSpace=True, ignoreTrailingWhiteSpace=True
    )
    names = reader.csv(arguments.raw).columns
    schema = T.StructType([T.StructField(name, T.StringType()) for name in [*names, RECORD]])
    return reader.option("columnNameOfCorruptRecord", RECORD).schema(schema).csv(arguments.raw), "column_count"


def columns_wanted(arguments, present):
    """Role and column of each: as given, else by its name, else by its place. A timestamp may be absent."""
    found = []
    for place, role in enumerate(["user", "product", "rating", "timestamp"]):
        given = getattr(arguments, role)
        if present is None:
            found.append((role, role if given is None else given))
            continue
        if given == "":
            found.append((role, None))
            continue
        if given is None:
            name = role if role in present else dict(enumerate(present)).get(place)
        else:
            name = present[int(given)] if given.isdigit() and int(given) < len(present) else given
        if name not in present and not (role == "timestamp" and given is None):
            sys.exit(f"there is no column `{name}` for `--{role}`; there are {', '.join(present)}")
        found.append((role, name))
    return found


def check_id(column, kind, role):
    """An id as text, and what is wrong with it."""
    if not isinstance(kind, (T.StringType, *INTEGERS)):
        sys.exit(f"`--{role}`: ids are text or whole numbers, not {kind.simpleString()}")
    text = column.cast("string")
    fault = (
        F.when(text.contains("\ufffd"), "not_utf8")
        .when(text.isNull() | (text == ""), "empty_id")
        .when(text.isin(MISSING_IDS), "missing_id")
        .when(F.octet_length(text) > MAX_ID_BYTES, "long_id")
        .when(text.contains("\0"), "nul_byte")
    )
    return text, fault


def check_rating(column, kind, arguments):
    """A rating, and why it counts for nothing."""
    if isinstance(kind, T.StringType):
        text = F.trim(column)
        value = F.when(text.rlike(NUMBER), text).when(text.rlike(NO_NUMBER), "NaN").try_cast("float")
    elif isinstance(kind, (*INTEGERS, *FRACTIONS, T.BooleanType)):
        value = column.cast("float")
    else:
        sys.exit(f"`--rating`: ratings are numbers, not {kind.simpleString()}")
    low, high = arguments.rating_scale
    # Minus zero would be a class of its own.
    value = value + F.lit(0.0).cast("float")
    reason = (
        F.when(value.isNull(), "not_a_number")
        .when(value.isin([F.lit(each).cast("float") for each in arguments.unrated]), "unrated")
        .when(~value.between(F.lit(low).cast("float"), F.lit(high).cast("float")), "off_the_scale")
    )
    return value, reason


def check_time(column, kind):
    """Seconds since 1970, the unit they were counted in if that is to be told, and what is wrong with them."""
    seconds = F.lit(None).cast("bigint")
    if isinstance(kind, (T.TimestampType, T.TimestampNTZType, T.DateType)):
        seconds, number = F.floor(column.cast("timestamp").cast("double")), F.lit(None).cast("bigint")
    elif isinstance(kind, INTEGERS):
        number = column.cast("bigint")
    elif isinstance(kind, FRACTIONS):
        number = F.floor(column.try_cast("double")).try_cast("bigint")
    elif isinstance(kind, T.StringType):
        text = F.trim(column)
        whole = F.when(text.rlike("^[+-]?[0-9]+$"), text).try_cast("bigint")
        number = F.coalesce(whole, F.floor(F.when(text.rlike(NUMBER), text).try_cast("double")).try_cast("bigint"))
        seconds = F.floor(F.when(text.rlike(DAY_AND_TIME), text).try_cast("timestamp").cast("double"))
    else:
        sys.exit(f"`--timestamp`: these are no times: {kind.simpleString()}")
    unit, ticks = F.lit(None).cast("string"), F.lit(1)
    for name, (end, many) in reversed(UNITS.items()):
        unit = F.when(number < end, name).otherwise(unit)
        ticks = F.when(number < end, many).otherwise(ticks)
    # A 0 says nothing of the unit.
    unit = F.when(number > 0, unit)
    seconds = F.coalesce(seconds, F.floor(number / ticks)).cast("bigint")
    return seconds, unit, F.when(seconds.isNull() | (seconds < 0), "bad_timestamp")


def checked(spark, arguments):
    """Each raw row as dotcart would read it: `kind` says why it is left out, and is null if it is not."""
    table, record_fault = read(spark, arguments)
    columns = dict(columns_wanted(arguments, [name for name in table.columns if name != RECORD]))
    kinds = {field.name: field.dataType for field in table.schema.fields}
    of = {role: (F.col(f"`{name}`"), kinds[name]) for role, name in columns.items() if name}
    user, user_fault = check_id(*of["user"], "user")
    product, product_fault = check_id(*of["product"], "product")
    rating, rating_reason = check_rating(*of["rating"], arguments)
    none = F.lit(None).cast("string")
    time, unit, time_fault, outside = F.lit(0).cast("bigint"), none, none, none
    if "timestamp" in of:
        time, unit, time_fault = check_time(*of["timestamp"])
        for day, is_outside in [(arguments.since, lambda at: time < at), (arguments.until, lambda at: time >= at + DAY)]:
            if day:
                at = spark.sql(f"select unix_timestamp(timestamp '{day} 00:00:00 UTC')").first()[0]
                outside = F.coalesce(outside, F.when(is_outside(at), "outside_window"))
    elif arguments.since or arguments.until:
        sys.exit("`--since` and `--until` need timestamps")
    record = F.when(F.col(RECORD).isNotNull(), record_fault) if record_fault else none
    rows = table.select(
        user.alias("user"),
        product.alias("product"),
        rating.alias("rating"),
        time.alias("timestamp"),
        unit.alias("unit"),
        F.coalesce(record, user_fault, product_fault, rating_reason, time_fault, outside).alias("kind"),
        # Where a row stands: Spark gives numbers in the order of a file's rows within each of its pieces.
        F.struct("_metadata.file_path", "_metadata.file_block_start", F.monotonically_increasing_id().alias("row")).alias("place"),
    )
    return rows, "timestamp" in of


def count_kinds(rows, arguments):
    """Rows read, rows left out by kind, and the unit of timestamps. Ends the program if more are bad than may be."""
    counts = rows.groupBy("kind", "unit").count().collect()
    read = sum(row["count"] for row in counts)
    in_time = [row for row in counts if row["kind"] in (None, "outside_window") and row["unit"]]
    units = {}
    for row in in_time:
        units[row["unit"]] = units.get(row["unit"], 0) + row["count"]
    unit = max(units, key=lambda name: (units[name], name), default=None)
    kinds = {}
    for row in counts:
        is_other = row in in_time and row["unit"] != unit
        kind = "bad_timestamp" if is_other else row["kind"]
        kinds[kind] = kinds.get(kind, 0) + row["count"]
    kinds.pop(None, None)
    outside, unrated = kinds.pop("outside_window", 0), kinds.pop("unrated", 0)
    bad = sum(kinds.values())
    if bad and (bad > math.floor(read * arguments.max_bad_rows) or bad == read):
        words = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        sys.exit(f"{bad} of {read} rows are bad ({words}); `--max-bad-rows` allows {arguments.max_bad_rows}")
    report = {
        "rows_read": read,
        "bad_rows": [{"fault": kind, "count": count} for kind, count in sorted(kinds.items())],
        "outside_window": outside,
        "unrated": unrated,
        "time_unit": unit,
    }
    return report, unit


def latest(rows):
    """One row a pair, with how many it had."""
    # Both aggregates group within this partitioning, so rows travel once.
    moments = rows.repartition("user", "product").groupBy("user", "product", "timestamp")
    moments = moments.agg(
        F.max(F.struct("place", "rating")).alias("last"),
        F.count("*").alias("same"),
        F.min("rating").alias("low"),
        F.max("rating").alias("high"),
    )
    pairs = moments.groupBy("user", "product").agg(
        F.max(F.struct("timestamp", "same", "last.rating")).alias("last"),
        F.sum("same").alias("rows"),
        (F.min("low") != F.max("high")).alias("differ"),
    )
    return pairs.select("user", "product", "last.rating", "last.timestamp", "last.same", "rows", "differ")


def count_duplicates(pairs):
    several = F.col("rows") > 1
    number = lambda condition: F.coalesce(F.sum(condition.cast("bigint")), F.lit(0))
    row = pairs.agg(
        number(several).alias("pairs"),
        number(several & F.col("differ")).alias("conflicts"),
        F.coalesce(F.sum(F.col("rows") - 1), F.lit(0)).alias("rows_removed"),
        number(several & (F.col("same") > 1)).alias("by_file_order"),
    ).first()
    return {"policy": "last", **row.asDict()}


def k_core(rows, least):
    """Leaves out users and products with too few rows until all that are left have enough; `least` by column."""
    before, passes = rows.count(), 0
    while True:
        passes += 1
        left = rows
        for column, wanted in least.items():
            few = left.groupBy(column).count().where(F.col("count") < wanted).select(column)
            left = left.join(few, column, "left_anti")
        # Cuts the plan, which would grow with every pass, and outlives the loss of a machine.
        left = left.checkpoint()
        after = left.count()
        if after == before:
            return left, passes
        before, rows = after, left


def size(rows):
    return {"users": rows.select("user").distinct().count(), "items": rows.select("product").distinct().count()}


def prepare(spark, arguments, out):
    """Writes the parts and returns the report."""
    rows, has_timestamps = checked(spark, arguments)
    report, unit = count_kinds(rows, arguments)
    good = rows.where(F.col("kind").isNull() & (F.col("unit").isNull() | (F.col("unit") == unit)) if unit else F.col("kind").isNull())
    pairs = latest(good.select("user", "product", "rating", "timestamp", "place")).checkpoint()
    report["duplicates"] = count_duplicates(pairs)
    kept, before = pairs, size(pairs)
    report["core"], after = None, before
    rows_before = pairs.count()
    least = {"user": arguments.min_ratings_per_user, "product": arguments.min_ratings_per_product}
    if max(least.values()) > 1:
        kept, passes = k_core(pairs, least)
        after = size(kept)
        report["core"] = {
            "passes": passes,
            **{f"{what}_removed": before[what] - after[what] for what in before},
            "rows_removed": rows_before - kept.count(),
        }
    report["rows_kept"] = kept.count()
    if not report["rows_kept"]:
        sys.exit(f"of {report['rows_read']} rows none is left")
    classes = kept.groupBy("rating").count().orderBy("rating").collect()
    report |= {**after, "has_timestamps": has_timestamps, "histogram": [list(each) for each in classes]}
    report["sort_key"] = ["user", "product"]
    names = ["user", "product", "rating"] + ["timestamp"] * has_timestamps
    parts = arguments.parts or math.ceil(report["rows_kept"] / ROWS_PER_PART)
    sorted_rows = kept.select(names).repartitionByRange(parts, "user", "product").sortWithinPartitions("user", "product")
    sorted_rows.write.option("compression", "zstd").parquet(out)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", nargs="+", help="files, folders or globs, wherever Spark can read them")
    parser.add_argument("--out", required=True, help="folder to write, which must not be there")
    parser.add_argument("--format", choices=["csv", "json", "parquet"], default="csv", help="json: an object a line")
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--header", action="store_true", help="the first line of each file names the columns")
    for role in ["user", "product", "rating", "timestamp"]:
        parser.add_argument(f"--{role}", metavar="COLUMN", help=f"name or number from 0 [default: `{role}`, else by its place]")
    parser.add_argument("--rating-scale", type=float, nargs=2, default=[1.0, 5.0], metavar=("MIN", "MAX"))
    parser.add_argument("--unrated", type=float, nargs="*", default=[], metavar="VALUE", help='ratings that mean "not rated"')
    parser.add_argument("--since", default="", metavar="YYYY-MM-DD", help="first day that counts, in UTC")
    parser.add_argument("--until", default="", metavar="YYYY-MM-DD", help="last day that counts, in UTC")
    parser.add_argument("--min-ratings-per-user", type=int, default=1, metavar="N")
    parser.add_argument("--min-ratings-per-product", type=int, default=1, metavar="N")
    parser.add_argument("--max-bad-rows", type=float, default=0.001, metavar="SHARE", help="more are an error")
    parser.add_argument("--parts", type=int, help=f"how many to write [default: one for {ROWS_PER_PART:,} rows]")
    arguments = parser.parse_args()

    spark = SparkSession.builder.appName("dotcart prepare").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    out = arguments.out.rstrip("/")

    def at(path):
        path = spark._jvm.org.apache.hadoop.fs.Path(path)
        return path.getFileSystem(spark._jsc.hadoopConfiguration()), path

    system, folder = at(out)
    if system.exists(folder):
        sys.exit(f"`{out}` is there already")
    scratch = f"{out}.scratch"
    spark.sparkContext.setCheckpointDir(scratch)
    try:
        report = prepare(spark, arguments, out)
    finally:
        system.delete(at(scratch)[1], True)
    text = json.dumps(report, indent=2) + "\n"
    # Last: where it lies, all parts do.
    stream = system.create(at(f"{out}/_report.json")[1])
    stream.write(bytearray(text, "utf-8"))
    stream.close()
    print(text, end="")
    spark.stop()


if __name__ == "__main__":
    main()
