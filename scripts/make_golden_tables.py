#!/usr/bin/env python3
"""Makes tests/data/golden_tables.json: tables as pandas and pyarrow write them, and their rows as pandas reads them.

    pip install pandas==3.1.1 pyarrow==26.0.1 && python3 scripts/make_golden_tables.py

Each table: its bytes in hex, and its rows as `user product rating seconds` in the order of the file.
"""

import bz2
import csv
import decimal
import io
import json
import lzma
import pathlib
import uuid
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).resolve().parents[1] / "tests" / "data" / "golden_tables.json"
HASHES = np.array([2**64 - 1, 2**63, 12345678901234567890, 7, 2**64 - 1], dtype="uint64")
TIMES = pd.to_datetime(["2014-05-13 16:53:20", "2001-02-03 04:05:06", "1999-12-31 23:59:59", "2020-02-29 00:00:00",
                        "1970-01-02 00:00:00"])
STARS = [5.0, 3.5, 1.0, 4.5, 2.0]
ITEMS = ["x", "y", "x", "z", "z"]


def seconds(times):
    return [int(time.timestamp()) for time in pd.to_datetime(times)]


def rows(users, items, ratings, times):
    return [f"{u} {i} {float(r):g} {t}" for u, i, r, t in zip(users, items, ratings, times)]


def parquet(columns, **options):
    bytes_ = io.BytesIO()
    pq.write_table(pa.table(columns), bytes_, **options)
    return bytes_.getvalue()


def tables():
    frame = pd.DataFrame({"user": HASHES, "item": ITEMS, "rating": STARS, "time": TIMES})
    expected = rows(HASHES, ITEMS, STARS, seconds(TIMES))

    def of_parquet(bytes_):
        read = pd.read_parquet(io.BytesIO(bytes_))
        return bytes_, rows(read["user"], read["item"], read["rating"], seconds(read["time"]))

    yield "uint64 and INT96", *of_parquet(parquet(frame, use_deprecated_int96_timestamps=True))
    yield "uint32 and date32", *of_parquet(parquet({
        "user": pa.array([2**32 - 1, 2**31, 7, 8, 9], pa.uint32()), "item": ITEMS, "rating": STARS,
        "time": pa.array([time.date() for time in TIMES], pa.date32())}))
    yield "decimals and milliseconds", *of_parquet(parquet({
        "user": pa.array([decimal.Decimal(n) for n in (10**20, 5, 6, 7, 8)], pa.decimal128(30, 0)), "item": ITEMS,
        "rating": pa.array([decimal.Decimal(str(s)) for s in STARS], pa.decimal128(4, 2)),
        "time": pa.array(TIMES.astype("datetime64[ms]"))}))
    yield "float16", *of_parquet(parquet({
        "user": ["a", "b", "c", "d", "e"], "item": pa.array(ITEMS).dictionary_encode(),
        "rating": pa.array(np.array(STARS, dtype="float16")), "time": pa.array(TIMES.astype("datetime64[ns]"))},
        compression="zstd"))

    def of_text(text, encoding="utf-8", **options):
        bytes_ = text.encode(encoding)
        read = pd.read_csv(io.BytesIO(bytes_), encoding=encoding, dtype={"user": str, "item": str}, **options)
        times = read["time"] if pd.api.types.is_integer_dtype(read["time"]) else seconds(read["time"])
        return bytes_, rows(read["user"], read["item"], read["rating"], times)

    yield "index column", *of_text(frame.assign(time=seconds(TIMES)).to_csv())
    yield "semicolons, decimal commas, UTF-16", *of_text(
        frame.to_csv(sep=";", decimal=",", index=False), encoding="utf-16", sep=";", decimal=",")
    reviews = frame.assign(review=["a\nb", 'he said "no",\r\nand left', "", "5\" disk", ",;"])
    yield "line breaks in quotes", *of_text(
        reviews[["user", "review", "item", "rating", "time"]].to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))
    for orient in [{"orient": "records"}, {"orient": "records", "lines": True}, {"orient": "records", "indent": 2}]:
        text = frame.assign(user=frame["user"].astype(str)).to_json(date_format="iso", **orient)
        yield f"JSON {orient}", text.encode(), expected
    yield "UUIDs", parquet({
        "user": pa.array([uuid.UUID(int=n).bytes for n in range(5)], pa.uuid()), "item": ITEMS, "rating": STARS,
        "time": pa.array(TIMES)}), rows([uuid.UUID(int=n) for n in range(5)], ITEMS, STARS, seconds(TIMES))

    text = frame.assign(time=seconds(TIMES)).to_csv(index=False).encode()

    def of_packed(bytes_, method):
        read = pd.read_csv(io.BytesIO(bytes_), compression=method, dtype={"user": str})
        return bytes_, rows(read["user"], read["item"], read["rating"], read["time"])

    yield "bzip2", *of_packed(bz2.compress(text[:50]) + bz2.compress(text[50:]), "bz2")
    yield "xz", *of_packed(lzma.compress(text[:50]) + lzma.compress(text[50:], check=lzma.CHECK_SHA256), "xz")
    for name, method in [("zip", zipfile.ZIP_DEFLATED), ("zip, stored", zipfile.ZIP_STORED)]:
        yield name, *of_packed(archive({"ratings.csv": text}, method), "zip")


def archive(files, method):
    bytes_ = io.BytesIO()
    with zipfile.ZipFile(bytes_, "w", method) as packed:
        for name, text in files.items():
            # With a date of its own, so that the same bytes come every time.
            packed.writestr(zipfile.ZipInfo(name), text, method)
    return bytes_.getvalue()


def main():
    golden = [{"name": name, "bytes": bytes_.hex(), "rows": rows_} for name, bytes_, rows_ in tables()]
    OUT.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{OUT}: {len(golden)} tables")


if __name__ == "__main__":
    main()
