"""The binary as a child process: its lines, its errors, and how it is stopped."""

import os
import pathlib
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

from ._errors import DotcartInternalError, of_exit

INTERRUPTED = 130
# Lines of stderr that are kept for an error; a panic is longer than an error.
KEPT = 200


def binary() -> pathlib.Path:
    """The binary that the package carries."""
    path = pathlib.Path(__file__).parent / "bin" / ("dotcart.exe" if os.name == "nt" else "dotcart")
    if not path.is_file():
        raise DotcartInternalError(f"the package has no binary at `{path}`", "install the wheel that `scripts/wheel` builds")
    return path


def call(
    words: Sequence[str],
    folder: pathlib.Path | None,
    on_line: Callable[[str], None],
    *,
    on_talk: Callable[[str], None] | None = None,
    saves: bool = False,
) -> None:
    """Runs the binary in `folder`, and hands on each line of its output, and of its talk, as it comes.

    Whatever is raised meanwhile, by Ctrl-C or by `on_line`, stops it: in order where it `saves`, else at once; a second Ctrl-C
    does not wait. Raises `DotcartError` as it failed, and `KeyboardInterrupt` if somebody else stopped it.
    """
    child = subprocess.Popen(
        [str(binary()), *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert child.stdout is not None and child.stderr is not None
    talk: deque[str] = deque(maxlen=KEPT)
    listener = threading.Thread(target=_listen, args=(child.stderr, talk, on_talk), daemon=True)
    listener.start()
    try:
        for line in child.stdout:
            on_line(line)
        code = child.wait()
    except BaseException:
        _stop(child, saves)
        raise
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        listener.join()
        child.stdout.close()
        child.stderr.close()
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code != 0:
        raise of_exit(code, "".join(talk))


def _listen(stderr: IO[str], talk: deque[str], on_talk: Callable[[str], None] | None) -> None:
    for line in stderr:
        talk.append(line)
        if on_talk is not None:
            on_talk(line)


def _stop(child: "subprocess.Popen[str]", saves: bool) -> None:
    """Ends the child, after it has saved if it does; what it says on its way is read, so that it never waits for a reader."""
    if not saves or os.name == "nt":
        # Windows sends no signal to one process. The last checkpoint stands.
        child.kill()
        return
    # A terminal has told the child already: two signals at once are one wish to it.
    child.send_signal(signal.SIGINT)
    assert child.stdout is not None
    for _ in child.stdout:
        pass
    child.wait()
