"""A run that learned a small shop: a second of training."""

import pathlib

import pytest

import dotcart
from shop import QUICK, ratings


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> pathlib.Path:
    """The shop as a file."""
    path = tmp_path_factory.mktemp("shop") / "table.csv"
    rows = [f"{user},{product},{rating},{time}\n" for user, product, rating, time in ratings()]
    path.write_text("user,product,rating,timestamp\n" + "".join(rows))
    return path


@pytest.fixture(scope="session")
def run(table) -> dotcart.Run:
    """A run of the shop."""
    return dotcart.train(table, QUICK, folder=table.parent, progress=False)
