"""The progress of a training as one line, in a terminal or in a notebook, without another package."""

import sys
from typing import Any


class ProgressLine:
    """A line on stderr that is written over, or a line an epoch where it can't be."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty() or "ipykernel" in sys.modules
        self._start: dict[str, Any] = {}
        self._epoch: dict[str, str] = {}
        self._width = 0

    def talk(self, line: str) -> None:
        """A line of the binary's own: what the table holds, what was chosen."""
        self._write(line.rstrip("\n") + "\n")

    def tell(self, event: dict[str, Any]) -> None:
        """What happened; events that are not known are left out."""
        match event["event"]:
            case "started":
                self._start = event
            case "progress":
                self._epoch["loss"] = f"loss {event['loss']:.4f}"
            case "validated" if event["epoch_end"]:
                figures = event["metrics"]
                ranking = figures.get("ranking")
                self._epoch["valid"] = f"valid loss {figures['loss']:.4f}" if figures["loss"] else ""
                self._epoch["ndcg"] = f"NDCG@{ranking['k']} {ranking['ndcg']:.4f}" if ranking else ""
            case _:
                pass
        if event["event"] == "epoch_ended" or (self._moves and event["event"] in ("progress", "validated")):
            words = [f"epoch {event['epoch']}/{self._start.get('epochs', '?')}", *self._epoch.values(), f"{event['seconds']:.1f} s"]
            self._write("  ".join(word for word in words if word))

    def end(self) -> None:
        """Leaves the last line standing."""
        if self._width:
            sys.stderr.write("\n")
            self._width = 0

    def _write(self, line: str) -> None:
        if line.endswith("\n") or not self._moves:
            self.end()
            sys.stderr.write(line if line.endswith("\n") else line + "\n")
        else:
            sys.stderr.write("\r" + line.ljust(self._width))
            self._width = len(line)
        sys.stderr.flush()
