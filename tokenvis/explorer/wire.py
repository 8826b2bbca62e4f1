"""The wire: columns of whole numbers in as few bytes as hold them, for a page that reads them as arrays.

A column has 1, 2 or 4 bytes a value, whichever is the least in all. The highest number of that width says that the value is
*wide*, one that does not fit: it stands apart, with its row, as a double. Numbers that ascend cross as the steps between them.
`modules/model/wire.mjs` reads them.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask

WIDTHS = {"u8": 1, "u16": 2, "u32": 4}  # bytes
WIDE_BYTES = 12  # of a wide value: its row and a double


@dataclass
class Message:
    """What crosses: a header, which is JSON, and the buffers of its ``columns``."""

    header: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)

    def add(self, name: str, values: Int64Array, *, ascending: bool = False) -> None:
        """Add a column; of numbers that ascend, the first is 0 or more."""
        if ascending:
            values = np.diff(values, prepend=0)
        kind = min(WIDTHS, key=lambda width: len(values) * WIDTHS[width] + WIDE_BYTES * n_wide(values, width))
        wide = np.flatnonzero(is_wide(values, kind))
        narrow = values.astype(f"<u{WIDTHS[kind]}")
        narrow[wide] = highest(kind)
        self.header.setdefault("columns", []).append({"name": name, "type": kind, "ascending": ascending, "n_wide": len(wide)})
        self.buffers.append(narrow.tobytes())
        if len(wide):
            self.buffers += [wide.astype("<u4").tobytes(), values[wide].astype("<f8").tobytes()]

    def whole(self) -> bytes:
        """The message as one piece: the length of the header (32 bits), the header with the ``sizes`` of buffers, these."""
        header = json.dumps({**self.header, "sizes": list(map(len, self.buffers))}, ensure_ascii=False).encode(errors="replace")
        return b"".join([struct.pack("<I", len(header)), header, *self.buffers])


def highest(width: str) -> int:
    """The highest number of a width, which says that a value is wide."""
    return int(2 ** (8 * WIDTHS[width]) - 1)


def is_wide(values: Int64Array, width: str) -> Mask:
    """Mark the values that do not fit."""
    marks: Mask = (values < 0) | (values >= highest(width))
    return marks


def n_wide(values: Int64Array, width: str) -> int:
    """How many do not fit."""
    return int(np.count_nonzero(is_wide(values, width)))


def rows_in(said: Mapping[str, Any], buffer: Any, count: int) -> Int64Array:
    """Rows of a trace of so many as the page sends them: as numbers of 32 bits, or a bit for each row."""
    if said["as"] == "rows":
        return np.frombuffer(buffer, dtype="<u4").astype(np.int64)
    return np.flatnonzero(np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), count=count))
