"""Plain tables of spans: a DataFrame, CSV, Parquet, or JSON lines. The door for everything that has no reader of its own.

A row is a span. Its columns are those of a spans frame: ``id, trace_id, agent_id, location_id, start_time, end_time, data,
parent_id``, or what the caller calls them; ``duration`` may stand for ``end_time``. Only ``start_time`` must be there. Every
other column is a key of the span's data. Times are numbers of the caller's unit, or ISO 8601.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

import orjson
import pandas as pd

from tokenvis.conventions.opentelemetry import opened_json
from tokenvis.conventions.rules import as_name
from tokenvis.conventions.span import SpanRead
from tokenvis.conventions.timestamps import in_unit, is_digits
from tokenvis.errors import IngestError, listed
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.reading import Reading, convert
from tokenvis.formats.files.rows import rows
from tokenvis.formats.files.sources import Source
from tokenvis.output import unescape_cell
from tokenvis.spans.columns import COLUMNS

NAME = "tables of spans"
PLACES = (*COLUMNS, "parent_id", "duration")


def recognises(head: Head) -> bool:
    """Whether rows have a start, and an agent or a location."""
    names = set(names_in(head))
    return "start_time" in names and bool(names & {"agent_id", "location_id"})


def names_in(head: Head) -> list[str]:
    """The columns of a table, or the keys of its first objects."""
    return head.names or list(dict.fromkeys(key for item in head.objects for key in item))


def read(reading: Reading) -> Iterator[SpanRead]:
    """A span for each row."""
    head = head_of(reading.source)
    there = names_in(head)
    table = Table(
        columns=columns_of(reading, there),
        unit=reading.wishes.unit,
        trace_id=trace_of(reading.source),
        texts=head.kind == "table" and reading.source.frame is None and not head.start.startswith(b"PAR1"),
        ours=there[: len(COLUMNS)] == list(COLUMNS),
    )
    yield from convert(((number, (number, row)) for number, row in rows(reading)), reading, table.spans)


def columns_of(reading: Reading, there: list[str]) -> dict[str, str]:
    """The column of each place that has one; `IngestError` where one that was named is not there, or there is no start."""
    named = reading.wishes.columns
    strange = [place for place in named if place not in PLACES]
    absent = [name for name in (*named.values(), named.get("start_time", "start_time")) if name not in there]
    if strange:
        raise IngestError(f"columns= names {listed(strange)}, which no span has. It may name: {listed(PLACES)}.")
    if absent:
        raise IngestError(f"{reading.source.name} has no column {listed(dict.fromkeys(absent))}. It has: {listed(there)}.")
    columns = {place: named.get(place, place) for place in PLACES}
    return {place: name for place, name in columns.items() if name in there}


def trace_of(source: Source) -> str:
    """The trace of rows that name none: one a file, or one a content where there is no file."""
    name, origin = PurePosixPath(source.name).stem, source.origin.encode()
    if source.frame is not None:
        name, origin = "table", pd.util.hash_pandas_object(source.frame.astype("str")).to_numpy().tobytes()
    return f"{name}-{blake2b(origin, digest_size=4).hexdigest()}"


@dataclass(frozen=True)
class Table:
    """How the rows of a table become spans.

    ``columns`` tells the column of each place; ``texts`` that all cells are texts; ``ours`` that tokenvis wrote them, with
    what a spreadsheet would run defused.
    """

    columns: dict[str, str]
    unit: str
    trace_id: str
    texts: bool
    ours: bool

    def spans(self, numbered: tuple[int, Any]) -> Iterator[SpanRead]:
        """The span of a row, with the row's number, which is its id where there is no other."""
        number, row = numbered
        if not isinstance(row, dict):
            raise TypeError(f"a row is {type(row).__name__}")
        if self.texts and self.ours:
            row = {name: unescape_cell(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        cells = {place: row.get(name) for place, name in self.columns.items()}
        trace_id = name_in(cells, "trace_id") or self.trace_id
        start = in_unit(self.needed(cells, "start_time"), self.unit)
        data = self.data_of(row, cells)
        parent = name_in(cells, "parent_id") or data.get("parent_id")
        location = name_in(cells, "location_id") or as_name(data.get("kind")) or "span"
        yield SpanRead(
            trace_id,
            name_in(cells, "id") or f"{trace_id}/{number}",
            start,
            self.end_of(cells, start),
            name_in(cells, "agent_id"),
            location,
            location,
            data,
            parent if isinstance(parent, str) else None,
        )

    def needed(self, cells: dict[str, Any], place: str) -> Any:
        """A cell that must be filled."""
        if cells.get(place) is None:
            raise KeyError(self.columns[place])
        return cells[place]

    def end_of(self, cells: dict[str, Any], start: int) -> int | None:
        """When a span ended, None where it did not."""
        if cells.get("end_time") is not None:
            return in_unit(cells["end_time"], self.unit)
        return None if cells.get("duration") is None else start + in_unit(cells["duration"], self.unit)

    def data_of(self, row: dict[str, Any], cells: dict[str, Any]) -> dict[str, Any]:
        """What stands in ``data``, and every column that has no place of its own."""
        data = opened_json(cells.get("data"))
        if data is not None and not isinstance(data, dict):
            raise TypeError(f"'data' is {type(data).__name__}, not an object")
        placed = set(self.columns.values())
        more = {name: value for name, value in row.items() if name not in placed and value is not None}
        return {**{name: number_in(cell) if self.texts else cell for name, cell in more.items()}, **(data or {})}


def name_in(cells: dict[str, Any], place: str) -> str | None:
    """A name as it is, blanks and all; None where there is none."""
    value = cells.get(place)
    return value or None if isinstance(value, str) else as_name(value)


def number_in(cell: str) -> Any:
    """A cell as the number that it shows, else as its text."""
    if not is_digits(cell):
        return cell
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
