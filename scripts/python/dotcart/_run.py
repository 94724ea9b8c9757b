"""A complete run: what it answers, and what it holds."""

import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ._errors import DotcartError
from ._process import call
from ._tensors import Ids, TensorFile

if TYPE_CHECKING:
    import numpy
    import pandas

# Users that are named on the command line, where any id can stand; a list is a file of lines.
NAMED = 64
RECOMMENDED = ["user", "rank", "product", "title", "score", "predicted_rating", "appeal", "train_ratings", "basis"]
ALIKE = ["rank", "id", "title", "likeness", "cosine", "train_ratings"]


class Run:
    """A complete run, by the path of its folder. Raises `DotcartError` if it is not there or unfinished."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path).absolute()
        if not (self.path / "config.toml").is_file():
            raise DotcartError(f"there is no run `{self.path}`", "name its folder, such as `runs/ratings-1`")
        if not (self.path / "manifest.json").is_file():
            raise DotcartError(f"run `{self.path}` is unfinished", f"dotcart.resume({str(self.path)!r}) finishes it")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def users(self) -> Ids:
        """The ids of all users, in the order of the rows of their tables."""
        return Ids(TensorFile(self.path / "users.safetensors"))

    @cached_property
    def products(self) -> Ids:
        """The ids of all products, in the order of the rows of their tables."""
        return Ids(TensorFile(self.path / "products.safetensors"))

    @property
    def evaluation(self) -> dict[str, Any]:
        """The run judged on its held-out rows, as `dotcart evaluate --json` has it."""
        return self._json("evaluation.json")

    @property
    def generated(self) -> bool:
        """Whether it learned from generated ratings, of which nothing says anything about real people."""
        return bool(self._json("data.json")["generated"])

    def recommend(
        self,
        users: object | Iterable[object] | None = None,
        *,
        top: int = 5,
        rated: Mapping[object, float] | None = None,
        include_seen: bool = False,
        min_ratings: int = 0,
    ) -> "pandas.DataFrame | list[dict[str, Any]]":
        """The `top` products for a user, for each of many, or for somebody new, best first: a row a product.

        `users` is an id or several; `rated` are the ratings of somebody new, by product; without either the products for
        somebody of whom nothing is known. `include_seen` ranks what they have rated, too; `min_ratings` leaves out products with
        fewer. A DataFrame if pandas is there, else a list of dicts.
        """
        asked = ["--top", str(top), "--min-ratings", str(min_ratings), *["--include-seen"] * include_seen]
        if rated is not None:
            if users is not None:
                raise ValueError("either `users` or `rated`: somebody new is no user of the run")
            # A number of numpy prints its type, too.
            asked += [f"--rated={product}={float(rating)!r}" for product, rating in rated.items()]
        if users is None:
            return self._rank(asked)
        several = not isinstance(users, (str, int)) and isinstance(users, Iterable)
        ids = [str(user) for user in users] if several else [str(users)]  # type: ignore[attr-defined]
        if not ids:
            return _table({column: [] for column in RECOMMENDED})
        if len(ids) <= NAMED:
            return self._rank([*asked, *(f"--user={id}" for id in ids)])
        odd = next((id for id in ids if id != id.strip() or len(id.splitlines()) != 1), None)
        if odd is not None:
            raise ValueError(f"{odd!r} can't stand in a list of more than {NAMED} users")
        with tempfile.TemporaryDirectory(prefix="dotcart-") as folder:
            path = pathlib.Path(folder) / "users.txt"
            path.write_text("\n".join(ids) + "\n", encoding="utf-8")
            return self._rank([*asked, "--users", str(path)])

    def similar(
        self, product: object | None = None, *, user: object | None = None, top: int = 5, min_ratings: int = 0
    ) -> "pandas.DataFrame | list[dict[str, Any]]":
        """The `top` products most like one, or users most like one. A DataFrame if pandas is there, else a list of dicts."""
        if (product is None) == (user is None):
            raise ValueError("name a product or a user")
        whom = f"--product={product}" if user is None else f"--user={user}"
        similar: list[dict[str, Any]] = []
        words = ["similar", whom, "--top", str(top), "--min-ratings", str(min_ratings)]
        self._ask(words, lambda answer: similar.extend(answer["similar"]))
        return _table({column: [other.get(column) for other in similar] for column in ALIKE})

    def user_embedding(self, id: object) -> "numpy.ndarray[Any, Any]":
        """The embedding of a user, of choices where those were learned, else of ratings; f32, read where it lies."""
        return self._row("user", self.users, id)

    def item_embedding(self, id: object) -> "numpy.ndarray[Any, Any]":
        """The embedding of a product, of choices where those were learned, else of ratings; f32, read where it lies."""
        return self._row("item", self.products, id)

    def tensor(self, name: str) -> "numpy.ndarray[Any, Any]":
        """A whole table of the model, such as `item_embedding`, `item_choice_embedding` or `item_appeal`, read where it lies."""
        return self._model.array(name)

    @cached_property
    def _model(self) -> TensorFile:
        return TensorFile(self.path / "model.safetensors")

    def _row(self, side: str, ids: Ids, id: object) -> "numpy.ndarray[Any, Any]":
        if id not in ids:
            raise DotcartError(f"`{id}` is not in run `{self.path}`", "ids are compared as text, leading zeros count")
        has_choices = f"{side}_choice_embedding" in self._model.names()
        row: numpy.ndarray[Any, Any] = self.tensor(f"{side}_choice_embedding" if has_choices else f"{side}_embedding")[ids.index(id)]
        return row

    def _json(self, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return read

    def _rank(self, words: list[str]) -> "pandas.DataFrame | list[dict[str, Any]]":
        """Columns are filled as rankings come: a dict a row would take several times the memory."""
        columns: dict[str, list[Any]] = {column: [] for column in RECOMMENDED}

        def on_ranking(ranking: dict[str, Any]) -> None:
            about = {"user": ranking.get("user"), "basis": ranking["basis"]}
            for column, values in columns.items():
                if column in about:
                    values += [about[column]] * len(ranking["products"])
                else:
                    values += [product.get(column) for product in ranking["products"]]

        self._ask(["recommend", *words], on_ranking)
        return _table(columns)

    def _ask(self, words: list[str], on_answer: Callable[[dict[str, Any]], None]) -> None:
        call([*words, "--run", str(self.path), "--json"], None, lambda line: on_answer(json.loads(line)))


def _table(columns: dict[str, list[Any]]) -> "pandas.DataFrame | list[dict[str, Any]]":
    """Columns as what tables are here."""
    try:
        import pandas
    except ImportError:
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    return pandas.DataFrame(columns)
