"""The wire format: integer columns in few bytes, which a page reads as typed arrays.

A column has 1, 2 or 4 bytes per value, for the smallest total. The maximum of that type marks a *wide* value, which does not
fit: it is stored separately as a double, with its row. Ascending columns are sent as differences. `modules/model/wire.mjs`
decodes them.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask

TYPE_BYTES = {"u8": 1, "u16": 2, "u32": 4}
WIDE_VALUE_BYTES = 12  # its row and a double


@dataclass
class Message:
    """A message to the page: a JSON header, and the buffers of its ``columns``."""

    header: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)

    def add(self, name: str, values: Int64Array, *, ascending: bool = False) -> None:
        """Add a column; an ascending one must start at 0 or more."""
        if ascending:
            values = np.diff(values, prepend=0)
        type_name = min(TYPE_BYTES, key=lambda name: len(values) * TYPE_BYTES[name] + WIDE_VALUE_BYTES * n_wide(values, name))
        wide = np.flatnonzero(is_wide(values, type_name))
        narrow = values.astype(f"<u{TYPE_BYTES[type_name]}")
        narrow[wide] = wide_marker(type_name)
        self.header.setdefault("columns", []).append(
            {"name": name, "type": type_name, "ascending": ascending, "n_wide": len(wide)}
        )
        self.buffers.append(narrow.tobytes())
        if len(wide):
            self.buffers += [wide.astype("<u4").tobytes(), values[wide].astype("<f8").tobytes()]

    def to_bytes(self) -> bytes:
        """The message in one buffer: header length (32 bits), header with the buffer ``sizes``, buffers."""
        header = json.dumps({**self.header, "sizes": list(map(len, self.buffers))}, ensure_ascii=False).encode(errors="replace")
        return b"".join([struct.pack("<I", len(header)), header, *self.buffers])


def wide_marker(type_name: str) -> int:
    """The maximum of a type, which marks a wide value."""
    return int(2 ** (8 * TYPE_BYTES[type_name]) - 1)


def is_wide(values: Int64Array, type_name: str) -> Mask:
    """Mark the values that do not fit the type."""
    marks: Mask = (values < 0) | (values >= wide_marker(type_name))
    return marks


def n_wide(values: Int64Array, type_name: str) -> int:
    """The number of values that do not fit the type."""
    return int(np.count_nonzero(is_wide(values, type_name)))


def rows_from_page(message: Mapping[str, Any], buffer: Any, count: int) -> Int64Array:
    """Decode rows of a trace of ``count`` rows from the page: row numbers in 32 bits, or one bit per row."""
    if message["as"] == "rows":
        return np.frombuffer(buffer, dtype="<u4").astype(np.int64)
    return np.flatnonzero(np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), count=count))
