"""Files of a run, read where they lie: safetensors through a memory map.

A file is the length of its header in 8 bytes, the header, JSON of each tensor's type, shape and place, and the numbers.
"""

import json
import mmap
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ._errors import DotcartError

if TYPE_CHECKING:
    import numpy

# Types as the format names them, and as numpy does; and those of whole numbers, as `memoryview.cast` names them.
TYPES = {"F32": "<f4", "U64": "<u8", "U32": "<u4", "U8": "u1"}
WHOLE: dict[str, Literal["Q", "I", "B"]] = {"U64": "Q", "U32": "I", "U8": "B"}


class TensorFile:
    """The tensors of one file; nothing is read before it is asked for."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            length = int.from_bytes(self._bytes[:8], "little")
            self._header: dict[str, Any] = json.loads(bytes(self._bytes[8 : 8 + length]))
        except (OSError, ValueError) as error:
            raise DotcartError(f"cannot read `{path}`: {error}", "restore the file, or train again") from error
        self._start = 8 + length

    def names(self) -> list[str]:
        """The tensors that there are."""
        return [name for name in self._header if name != "__metadata__"]

    def whole_numbers(self, name: str) -> memoryview:
        """A tensor's whole numbers in their order, not copied."""
        kind, _, raw = self._find(name)
        return raw.cast(WHOLE[kind])

    def array(self, name: str) -> "numpy.ndarray[Any, Any]":
        """A tensor as a numpy array that cannot be written to, not copied."""
        import numpy

        kind, shape, raw = self._find(name)
        return numpy.frombuffer(raw, dtype=TYPES[kind]).reshape(shape)

    def _find(self, name: str) -> tuple[str, list[int], memoryview]:
        try:
            entry = self._header[name]
            first, end = entry["data_offsets"]
            raw = self._bytes[self._start + first : self._start + end]
            if len(raw) != end - first or entry["dtype"] not in TYPES:
                raise ValueError("its numbers are not there")
        except (KeyError, TypeError, ValueError) as error:
            raise DotcartError(
                f"`{self.path}` has no tensor `{name}`", f"it has {', '.join(self.names())}"
            ) from error
        return entry["dtype"], entry["shape"], raw


class Ids(Sequence[str]):
    """The ids of a run's users or products, in the order of the rows of its tables; read where they lie."""

    def __init__(self, file: TensorFile) -> None:
        self._starts = file.whole_numbers("id_starts")
        self._text = file.whole_numbers("id_text")
        self._sorted = file.whole_numbers("sorted")

    def __len__(self) -> int:
        return len(self._sorted)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(len(self)))]
        at = row + len(self) if row < 0 else row
        if not 0 <= at < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self._bytes(at).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def __contains__(self, id: object) -> bool:
        return self._place(str(id)) is not None

    def index(self, id: object, start: int = 0, stop: int | None = None) -> int:
        """The row of an id, by binary search. Raises `ValueError` if it is not there."""
        row = self._place(str(id))
        if row is None or row not in range(len(self))[start:stop]:
            raise ValueError(f"{id!r} is not there")
        return row

    def _bytes(self, row: int) -> bytes:
        return bytes(self._text[self._starts[row] : self._starts[row + 1]])

    def _place(self, id: str) -> int | None:
        wanted, first, end = id.encode(), 0, len(self)
        while first < end:
            middle = (first + end) // 2
            row: int = self._sorted[middle]
            found = self._bytes(row)
            if found == wanted:
                return row
            if found < wanted:
                first = middle + 1
            else:
                end = middle
        return None

    def __repr__(self) -> str:
        shown = [repr(id) for id in self[:3]] + ["..."] * (len(self) > 3)
        return f"<{len(self):,} ids: {', '.join(shown)}>"
