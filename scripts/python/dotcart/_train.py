"""A training: what is set, how it is shown, and how it is stopped."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._process import call
from ._progress import ProgressLine
from ._run import Run
from ._table import Table, as_path

Event: TypeAlias = dict[str, Any]
"""What a training tells, as `dotcart train --json` does: `event` names it, the other keys are its own."""

Progress: TypeAlias = bool | Callable[[Event], None]


def train(
    table: Table,
    config: Mapping[str, object] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress = True,
) -> Run:
    """Trains on a table of ratings or purchases and returns the run, judged on held-out rows.

    `table` is a path to whatever `dotcart train` reads, an experiment's `.toml` too; a DataFrame of pandas or polars with columns
    of known names (`user`, `product`, `rating` and `timestamp`, or many others); or a sparse matrix of scipy, users by products,
    whose stored entries are ratings and whose ids are the numbers of its rows and columns. `config` sets keys:
    `{"train.epochs": 3, "device": "cpu"}`; the others are chosen for the table.

    The run is made in `runs` below `folder`, which is made if need be, the working folder by default. `progress` shows the table, what was chosen and a
    line that moves; a function is given each event instead; `False` is silent.

    Ctrl-C stops and saves, then raises `KeyboardInterrupt`: `dotcart.resume` goes on. Raises `DotcartError` with a hint.
    """
    with as_path(table) as path:
        words = ["train", str(path)]
        for key, value in (config or {}).items():
            words += ["--set", f"{key}={_toml(value)}"]
        root = pathlib.Path(folder or ".").absolute()
        root.mkdir(parents=True, exist_ok=True)
        return Run(root / _follow(words, root, progress)["evaluated"])


def resume(run: str | os.PathLike[str], *, progress: Progress = True) -> Run:
    """Finishes a run that was stopped, from its last checkpoint and to the same bytes."""
    path = pathlib.Path(run).absolute()
    _follow(["train", "--resume", str(path)], pathlib.Path().absolute(), progress)
    return Run(path)


def _follow(words: list[str], root: pathlib.Path, progress: Progress) -> dict[str, str]:
    """Trains, and returns the run's name as `started`, and its path below `root`, or its whole path, as `evaluated`."""
    line = ProgressLine() if progress is True else None
    told = line.tell if line else progress if callable(progress) else None
    names: dict[str, str] = {}

    def on_line(text: str) -> None:
        event = json.loads(text)
        if event["event"] in ("started", "evaluated"):
            names[event["event"]] = event["run"]
        if told:
            told(event)

    try:
        call([*words, "--json"], root, on_line, on_talk=line.talk if line else None, saves=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(root, words, names.get("started"))) from None
    finally:
        if line:
            line.end()
    return names


def _stopped(root: pathlib.Path, words: list[str], name: str | None) -> str:
    if words[1] == "--resume":
        path = pathlib.Path(words[2])
    elif name:
        path = root / "runs" / name
    else:
        return "stopped before the training began"
    return f"stopped and saved; dotcart.resume({str(path)!r}) goes on"


def _toml(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key), ensure_ascii=False)} = {_toml(value[key])}" for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if hasattr(value, "item"):
        # A number of numpy.
        return _toml(value.item())
    raise TypeError(f"a setting is text, a number, a list or a dict, not {type(value).__name__}")
