"""The spool: temporary Arrow files of spans that are not complete yet, and codes of their names.

The index has what resolves a span (ids, times, codes of names), some bytes each, and is read at once; the data have its text,
and are read batch by batch.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tokenvis.private import touch_private
from tokenvis.spans.redaction import storable_name

MISSING_CODE = -1
STORED = -1  # the "file" of a row that is in the store
INDEX_SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("id", "parent_id", "call", "former_id")]
    + [(name, pa.int64()) for name in ("start_time", "end_time", "line", "size")]
    + [(name, pa.int32()) for name in ("trace", "agent", "agent_key", "service", "location", "told_agent")]
    + [(name, pa.int32()) for name in ("file", "named_by", "label")]
    + [(name, pa.bool_()) for name in ("is_open", "is_estimated")]
)
DATA_SCHEMA = pa.schema([("data", pa.large_string())])
STORED_SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("agent_id", "location_id", "data")] + [("end_time", pa.int64())]
)
ANSWER_SCHEMA = pa.schema([("row", pa.int64()), ("call", pa.large_string())])
Names: TypeAlias = "np.ndarray[Any, np.dtype[np.object_]]"


class Spool:
    """A temporary file of Arrow batches, which are written, then read back; `reopen` continues it after a read."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self.parts: list[Path] = []
        self.reopen()

    def reopen(self) -> None:
        """Begin another part of the file."""
        part = self.path.with_name(f"{self.path.name}.{len(self.parts)}")
        touch_private(part)
        self.file = pa.OSFile(os.fsencode(part), "wb")
        self.writer = pa.ipc.new_file(self.file, self.schema)
        self.parts.append(part)

    def write(self, columns: Iterable[tuple[Any, ...]]) -> None:
        """Write a batch."""
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.writer.write(pa.record_batch(arrays, schema=self.schema))

    def close(self) -> None:
        """Finish the part that is written, so that it can be read."""
        self.writer.close()
        self.file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The written batches of all parts, one in memory at a time."""
        for part in self.parts:
            with pa.OSFile(os.fsencode(part)) as file, pa.ipc.open_file(file) as reader:
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number)

    def table(self) -> pa.Table:
        """All batches."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def texts_of(self, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> Iterator[tuple[int, str | None]]:
        """Each of these rows, in increasing order, with its data, one text in memory at a time."""
        first = 0
        for batch in self.batches():
            in_batch = rows[slice(*np.searchsorted(rows, [first, first + len(batch)]))]
            texts = batch["data"]
            for row in in_batch.tolist():
                yield row, texts[row - first].as_py()
            first += len(batch)


class NameCodes:
    """Codes of names, numbered by first occurrence."""

    def __init__(self) -> None:
        self.codes: dict[str | None, int] = {None: MISSING_CODE}

    def code_of(self, name: str | None) -> int:
        """The code of a name, a new one for a new name, -1 for None; `TypeError` if it is not text."""
        code = self.codes.get(name)
        if code is None:
            code = self.codes.setdefault(storable_name(name), len(self.codes) - 1)
        return code

    def array(self) -> Names:
        """The names in the order of their codes."""
        return np.array(list(self.codes)[1:], dtype=object)

    def ranks(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """The rank of each name among all in alphabetical order; of the missing name, which is the last element, -1."""
        names = self.array()
        ranks = np.empty(len(names) + 1, dtype=np.int64)
        ranks[np.argsort(names)], ranks[-1] = np.arange(len(names)), MISSING_CODE
        return ranks
