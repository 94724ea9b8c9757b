"""A run's answers: the command line's own, in tables; and what it holds, read where it lies."""

import csv
import importlib.metadata
import io
import json
import os
import pathlib
import subprocess
import sys
import sysconfig

import numpy
import pandas
import pytest

import dotcart
from shop import QUICK

BINARY = pathlib.Path(dotcart.__file__).parent / "bin" / "dotcart"


def asked(run, *words):
    """What the command line answers."""
    return subprocess.run([BINARY, *words, "--run", run.path], check=True, capture_output=True, text=True).stdout


def test_recommendations_are_those_of_the_command_line(run):
    frame = run.recommend("c003", top=7)
    assert list(frame.columns) == ["user", "rank", "product", "title", "score", "predicted_rating", "appeal", "train_ratings", "basis"]
    ranking = json.loads(asked(run, "recommend", "--user", "c003", "--top", "7", "--json"))
    for column in ("rank", "product", "score", "predicted_rating", "appeal", "train_ratings"):
        assert frame[column].tolist() == [product[column] for product in ranking["products"]]
    assert set(frame["user"]) == {"c003"} and set(frame["basis"]) == {"trained"}
    seen = run.recommend("c003", top=100, include_seen=True)
    assert len(seen) == len(run.products) and not set(frame["product"]) - set(seen["product"])
    often = run.recommend("c003", top=100, min_ratings=6)
    assert 0 < len(often) < 30 and often["train_ratings"].min() >= 6
    anybody = run.recommend(top=3)
    assert anybody["user"].isna().all() and len(anybody) == 3


def test_many_users_are_one_by_one(run, monkeypatch):
    every = run.recommend(run.users, top=2)
    assert every["user"].tolist() == [user for user in run.users for _ in range(2)]
    # Above some number they travel in a file.
    monkeypatch.setattr("dotcart._run.NAMED", 3)
    assert run.recommend(pandas.Series(list(run.users)), top=2).equals(every)
    one = run.recommend(run.users[5], top=2).reset_index(drop=True)
    assert every[every["user"] == run.users[5]].reset_index(drop=True).equals(one)
    assert len(run.recommend([], top=2)) == 0
    with pytest.raises(ValueError, match="can't stand in a list"):
        run.recommend([*run.users, "a\nb"])
    with pytest.raises(dotcart.DotcartError, match="1 of 25 users"):
        run.recommend([*run.users, "nobody"])


def test_somebody_new_is_folded_in(run):
    frame = run.recommend(rated={"p100": 5, "p102": 4.0}, top=4)
    ranking = json.loads(asked(run, "recommend", "--rated=p100=5", "--rated=p102=4", "--top", "4", "--json"))
    assert frame["product"].tolist() == [product["product"] for product in ranking["products"]]
    assert set(frame["basis"]) == {"folded_in"}
    with pytest.raises(ValueError, match="either"):
        run.recommend("c003", rated={"p100": 5})
    with pytest.raises(dotcart.DotcartError, match="off the scale"):
        run.recommend(rated={"p100": 9})


def test_what_is_alike(run):
    frame = run.similar("p004", top=3)
    similar = json.loads(asked(run, "similar", "--product", "p004", "--top", "3", "--json"))["similar"]
    assert frame["id"].tolist() == [other["id"] for other in similar]
    assert frame["cosine"].tolist() == [other["cosine"] for other in similar]
    assert all(user.startswith("c") for user in run.similar(user="c003")["id"])
    with pytest.raises(ValueError, match="name a product or a user"):
        run.similar()


def test_who_is_not_there_is_named_with_who_might_be_meant(run):
    with pytest.raises(dotcart.DotcartError, match="`c0033` is not in run") as caught:
        run.recommend("c0033")
    assert "did you mean `c003`" in caught.value.hint
    with pytest.raises(dotcart.DotcartError, match="`c003` is not in run"):
        run.item_embedding("c003")
    with pytest.raises(dotcart.DotcartError, match="there is no run"):
        dotcart.Run("runs/absent-1")


def test_without_pandas_a_table_is_a_list(run, monkeypatch):
    frame = run.recommend("c003", top=3)
    monkeypatch.setitem(sys.modules, "pandas", None)
    rows = run.recommend("c003", top=3)
    assert rows == [{**row, "title": None} for row in frame.to_dict("records")]


def test_ids_are_read_where_they_lie(run):
    users = run.users
    assert len(users) == 24 and users[0] == "c000" and users[-1] == users[23] and users[:2] == list(users)[:2]
    assert "c111" in users and "c11" not in users and 7 not in users
    assert [users.index(user) for user in users] == list(range(24))
    with pytest.raises(IndexError):
        users[24]
    with pytest.raises(ValueError):
        users.index("nobody")
    assert repr(users) == "<24 ids: 'c000', 'c001', 'c002', ...>"


def test_embeddings_rank_as_the_run_does_and_are_not_copied(run):
    frame = run.recommend("c105", top=40, include_seen=True)
    user = run.user_embedding("c105")
    table, appeal = run.tensor("item_choice_embedding"), run.tensor("item_appeal")
    assert user.dtype == numpy.float32 and user.shape == (8,) and table.shape == (len(run.products), 8)
    places = [run.products.index(product) for product in frame["product"]]
    assert numpy.allclose(table[places] @ user + appeal[places], frame["appeal"], atol=1e-5)
    row = run.item_embedding("p100")
    assert numpy.shares_memory(row, table) and not row.flags.writeable
    assert run.tensor("scale")[0] > 0
    with pytest.raises(dotcart.DotcartError, match="no tensor `absent`"):
        run.tensor("absent")


def test_ratings_alone_have_embeddings_of_ratings(table, tmp_path):
    config = {**QUICK, "train.ranking.weight": 0, "train.early_stopping.metric": "valid_loss"}
    run = dotcart.train(table, config, folder=tmp_path, progress=False)
    assert numpy.shares_memory(run.user_embedding("c003"), run.tensor("user_embedding"))
    frame = run.recommend("c003", top=2)
    assert frame["appeal"].isna().all() and frame["predicted_rating"].notna().all()


def test_a_damaged_file_is_named(run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-8])
    (copy / "users.safetensors").write_bytes(b"\x08")
    damaged = dotcart.Run(copy)
    with pytest.raises(dotcart.DotcartError, match="has no tensor `item_appeal`"):
        damaged.tensor("item_appeal")
    with pytest.raises(dotcart.DotcartError, match="cannot read"):
        damaged.users
    with pytest.raises(dotcart.DotcartError, match="is damaged"):
        damaged.recommend("c003")


def test_it_is_judged_and_says_what_it_learned_from(run):
    assert run.evaluation == json.loads((run.path / "evaluation.json").read_text())
    assert not run.generated
    assert eval(repr(run), {"Run": dotcart.Run}).path == run.path


def test_the_command_is_the_binary():
    version = importlib.metadata.version("dotcart")
    assert dotcart.__version__ == version
    script = pathlib.Path(sysconfig.get_path("scripts")) / "dotcart"
    for words in ([sys.executable, "-m", "dotcart"], [script], [BINARY]):
        assert subprocess.run([*words, "--version"], capture_output=True, text=True).stdout == f"dotcart {version}\n"
    assert subprocess.run([script, "nonsense"], capture_output=True).returncode == 2


@pytest.mark.skipif("DOTCART_REAL_DATA" not in os.environ, reason="DOTCART_REAL_DATA names the folder of real files")
def test_real_ratings_train_and_rank_better_than_the_most_popular(tmp_path):
    path = pathlib.Path(os.environ["DOTCART_REAL_DATA"]) / "ml_100k.csv"
    rows = list(csv.reader(io.StringIO(path.read_text())))
    frame = pandas.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    run = dotcart.train(frame, {"device": "cpu", "train.epochs": 4}, folder=tmp_path, progress=False)
    ndcg = {ranker["predictor"]: ranker["at"][0]["ndcg"] for ranker in run.evaluation["rankings"]["rankers"]}
    assert ndcg["model"] > 1.2 * ndcg["most_popular"], ndcg
    lists = run.recommend(run.users, top=10)
    assert len(lists) == 10 * 943 and lists["user"].nunique() == 943
    rated = frame.groupby("user")["item"].agg(set)
    assert not any(product in rated[user] for user, product in zip(lists["user"], lists["product"]))
