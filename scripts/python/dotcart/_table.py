"""A table of ratings in memory, handed over as a CSV file."""

import contextlib
import itertools
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, TypeAlias

# A path; a DataFrame of pandas or polars; a sparse matrix or array of scipy, users by products. The packages need not be there,
# so their types can't be named.
Table: TypeAlias = Any
"""What a training learns from."""

ROWS_AT_A_TIME = 1 << 16


@contextlib.contextmanager
def as_path(table: Table) -> Iterator[pathlib.Path]:
    """A path to the table: its own, or that of a copy that is gone afterwards."""
    if isinstance(table, (str, os.PathLike)):
        yield pathlib.Path(table).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="dotcart-") as folder:
        path = pathlib.Path(folder) / "table.csv"
        _write(table, path)
        yield path


def _write(table: Table, path: pathlib.Path) -> None:
    # A table of a package that was never imported can't have been made.
    pandas, polars, sparse = (sys.modules.get(name) for name in ("pandas", "polars", "scipy.sparse"))
    if pandas is not None and isinstance(table, pandas.DataFrame):
        table.to_csv(path, index=False)
    elif polars is not None and isinstance(table, (polars.DataFrame, polars.LazyFrame)):
        table.lazy().collect().write_csv(path)
    elif sparse is not None and sparse.issparse(table):
        _write_matrix(table.tocoo(), path)
    else:
        raise TypeError(f"wanted a path, a DataFrame or a sparse matrix, got {type(table).__name__}")


def _write_matrix(matrix: Any, path: pathlib.Path) -> None:
    """The stored entries of a matrix: ids are the numbers of rows and columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("user,product,rating\n")
        for first in itertools.count(0, ROWS_AT_A_TIME):
            rows = slice(first, first + ROWS_AT_A_TIME)
            columns = [column[rows].tolist() for column in (matrix.row, matrix.col, matrix.data)]
            if not columns[0]:
                return
            file.writelines(f"{user},{product},{rating}\n" for user, product, rating in zip(*columns))
