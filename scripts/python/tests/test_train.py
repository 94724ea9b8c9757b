"""Trainings: what goes in, what is shown, how they fail and how they are stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy
import pandas
import polars
import pytest
import scipy.sparse

import dotcart
from shop import QUICK, ratings

COLUMNS = ["user", "product", "rating", "timestamp"]


def model(run):
    return (run.path / "model.safetensors").read_bytes()


def test_every_table_gives_the_same_model(table, run, tmp_path):
    rows = list(ratings())
    frames = {
        "pandas": pandas.DataFrame(rows, columns=COLUMNS),
        "polars": polars.DataFrame(rows, schema=COLUMNS, orient="row"),
        "lazy": polars.LazyFrame(rows, schema=COLUMNS, orient="row"),
    }
    for name, frame in frames.items():
        trained = dotcart.train(frame, QUICK, folder=tmp_path, progress=False)
        assert model(trained) == model(run), name
        assert trained.evaluation["ratings"] == run.evaluation["ratings"]


def test_times_of_pandas_and_polars_are_read_as_times(tmp_path):
    rows = list(ratings())
    frame = pandas.DataFrame(rows, columns=COLUMNS)
    frame["timestamp"] = pandas.to_datetime(frame["timestamp"], unit="s")
    config = {**QUICK, "split.strategy": "temporal"}
    by_date = dotcart.train(frame, config, folder=tmp_path, progress=False)
    by_polars = dotcart.train(polars.DataFrame(frame.to_dict("list")), config, folder=tmp_path, progress=False)
    by_second = dotcart.train(pandas.DataFrame(rows, columns=COLUMNS), config, folder=tmp_path, progress=False)
    assert model(by_date) == model(by_second) == model(by_polars)


def test_a_sparse_matrix_is_users_by_products(tmp_path):
    rows = list(ratings())
    places = [{name: place for place, name in enumerate(sorted({row[side] for row in rows}))} for side in range(2)]
    rows = sorted((places[0][user], places[1][product], float(rating)) for user, product, rating, _ in rows)
    users, products, values = zip(*rows)
    matrix = scipy.sparse.csr_array((numpy.array(values, "f4"), (users, products)))
    run = dotcart.train(matrix, QUICK, folder=tmp_path, progress=False)
    assert (len(run.users), len(run.products)) == matrix.shape
    frame = pandas.DataFrame(rows, columns=COLUMNS[:3])
    assert model(run) == model(dotcart.train(frame, QUICK, folder=tmp_path, progress=False))
    assert run.recommend(7).equals(run.recommend("7")) and run.recommend(numpy.int64(7)).equals(run.recommend([7]))
    counts = {**QUICK, "data.columns.rating": "", "data.columns.count": "rating"}
    chosen = dotcart.train(matrix, counts, folder=tmp_path, progress=False)
    assert chosen.evaluation["ratings"] == []


def test_settings_are_those_of_the_config(run, table, tmp_path):
    config = {**QUICK, "train": {"epochs": 2}, "split.test": numpy.float32(0.25), "name": "a", "oversample.factors": {"1": 2.0}}
    trained = dotcart.train(table, config, folder=tmp_path, progress=False)
    text = (trained.path / "config.toml").read_text()
    for line in ("epochs = 2\n", "test = 0.25\n", "1 = 2.0\n"):
        assert line in text.replace('"', ""), text
    assert trained.path.name == "a-1"
    with pytest.raises(TypeError, match="not NoneType"):
        dotcart.train(table, {"train.epochs": None}, folder=tmp_path)
    with pytest.raises(TypeError, match="got list"):
        dotcart.train([1, 2], folder=tmp_path)


def test_what_fails_is_an_exception_with_its_hint(table, tmp_path, monkeypatch):
    with pytest.raises(dotcart.DotcartError, match="epohs") as caught:
        dotcart.train(table, {"train.epohs": 3}, folder=tmp_path, progress=False)
    assert not isinstance(caught.value, dotcart.DotcartInternalError)
    assert "epochs" in caught.value.hint and str(caught.value).endswith(caught.value.hint)
    with pytest.raises(dotcart.DotcartError, match="neither a config nor a table"):
        dotcart.train("absent.csv", folder=tmp_path, progress=False)
    # A fault of ours can't be asked for, so another binary stands in for it.
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'thread main panicked at x' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("dotcart._process.binary", lambda: broken)
    with pytest.raises(dotcart.DotcartInternalError, match="panicked at x"):
        dotcart.train(table, folder=tmp_path, progress=False)


def test_progress_is_told_or_shown_or_silent(table, tmp_path, capsys):
    events = []
    dotcart.train(table, QUICK, folder=tmp_path, progress=events.append)
    names = [event["event"] for event in events]
    assert (names[0], names[-2:]) == ("started", ["finished", "evaluated"])
    assert names.count("epoch_ended") == 4
    assert capsys.readouterr() == ("", "")
    dotcart.train(table, QUICK, folder=tmp_path)
    shown = capsys.readouterr().err
    assert "240 rows read, 240 kept" in shown and "chosen for this table" in shown
    assert shown.count("epoch ") >= 4 and "epoch 4/4  loss 0." in shown, shown
    assert "NDCG@" in shown


def test_a_line_moves_in_a_notebook(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", json)
    dotcart.train(table, QUICK, folder=tmp_path)
    shown = capsys.readouterr().err
    first, *moved = shown.split("\repoch ")
    assert "chosen for this table" in first and len(moved) >= 4
    assert moved[-1].startswith("4/4  loss 0.") and shown.count("\n", shown.rindex("\r")) == 1 and shown.endswith(" s\n")


STOPPED = """
import dotcart, pathlib, sys
def told(event):
    if event["event"] == "checkpoint_saved":
        pathlib.Path("begun").touch()
try:
    dotcart.train(sys.argv[1], {"device": "cpu", "train.epochs": 100_000}, progress=told)
except KeyboardInterrupt as stopped:
    print(stopped)
    sys.exit(7)
"""


def test_ctrl_c_stops_and_saves_and_a_run_is_finished_later(table, tmp_path):
    words = [sys.executable, "-c", STOPPED, str(table)]
    training = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    wait_for(tmp_path / "begun")
    # To this process alone, as a notebook does; a terminal tells the child as well.
    training.send_signal(signal.SIGINT)
    said, _ = training.communicate(timeout=60)
    assert training.returncode == 7
    path = tmp_path / "runs/table-1"
    assert said.strip() == f"stopped and saved; dotcart.resume({str(path)!r}) goes on"
    assert not (path / "manifest.json").exists()
    events = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "finished" and events[-1]["reason"] == "stopped"
    with pytest.raises(dotcart.DotcartError, match="unfinished") as caught:
        dotcart.Run(path)
    assert "dotcart.resume" in caught.value.hint


def test_who_raises_in_a_callback_stops_the_training_and_resumes_to_the_same_model(table, run, tmp_path):
    class Enough(Exception):
        pass

    def told(event):
        if event["event"] == "epoch_ended" and event["epoch"] == 2:
            raise Enough

    slow = {**QUICK, "train.epochs": 200}
    with pytest.raises(Enough):
        dotcart.train(table, slow, folder=tmp_path, progress=told)
    path = tmp_path / "runs/table-1"
    assert not (path / "manifest.json").exists()
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).returncode != 0 or os.name == "nt"
    resumed = dotcart.resume(path, progress=False)
    whole = dotcart.train(table, slow, folder=tmp_path, progress=False)
    assert whole.path.name == "table-2" and model(resumed) == model(whole)


def wait_for(path: pathlib.Path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"there is no {path}")
