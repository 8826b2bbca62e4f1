"""The assembly: spans of one format, from any number of files, until it is known whose they are.

Whose a span is may stand in a span that comes later, or in another file. So spans go, as they are read, into temporary Arrow
files; only their ids and parents, some bytes each, are in memory together, when all are there. Then each span that names
no agent gets its nearest ancestor's, else its service's or its trace's; one that never ended gets the last time of its trace;
and of several with one id, the last is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.conventions.span import SpanRead
from tokenvis.errors import quoted
from tokenvis.formats.files.reading import Reading
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.redaction import encoded, storable
from tokenvis.spans.relations import cyclic, nearest_marked

BATCH = 8_192  # spans that are Python objects at once
MISSING_CODE = -1
INDEX = pa.schema(
    [(name, pa.large_string()) for name in ("id", "parent_id")]
    + [(name, pa.int64()) for name in ("start_time", "end_time", "line")]
    + [(name, pa.int32()) for name in ("trace", "agent", "service", "location", "file")]
)
DATA = pa.schema([("data", pa.large_string())])


class Spool:
    """A temporary Arrow file: columns are written batch by batch, and then read."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self.file = pa.OSFile(str(path), "wb")
        self.writer = pa.ipc.new_file(self.file, schema)

    def write(self, columns: Iterable[tuple[Any, ...]]) -> None:
        """Write a batch."""
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.writer.write(pa.record_batch(arrays, schema=self.schema))

    def close(self) -> None:
        """End the file, so that it can be read."""
        self.writer.close()
        self.file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What was written, one batch in memory at a time."""
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_file(file) as reader:
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


class Names:
    """Names by number, in the order in which they came."""

    def __init__(self) -> None:
        self.numbers: dict[str | None, int] = {None: MISSING_CODE}

    def number_of(self, name: str | None) -> int:
        """The number of a name, a new one where it is new, -1 where there is none; `TypeError` where it is no text."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers.setdefault(storable(name), len(self.numbers) - 1)
        return number

    def array(self) -> "np.ndarray[Any, np.dtype[np.object_]]":
        """The names in the order of their numbers."""
        return np.array(list(self.numbers)[1:], dtype=object)


class Gathering:
    """Spans that are waiting for their agents: `add` them all, then ask for the `frames`, once.

    ``counts`` tells how many spans named their agent ("own"), "inherited" it, or took the "fallback"; how many were "open",
    had "estimated" times, or were "duplicates"; what is wrong with them together becomes a problem of their reading.
    """

    def __init__(self, path: Path) -> None:
        self.index, self.data = Spool(path, INDEX), Spool(path.with_suffix(".data"), DATA)
        self.rows: list[tuple[Any, ...]] = []
        self.readings: list[Reading] = []
        self.traces, self.agents, self.services, self.locations = Names(), Names(), Names(), Names()
        self.counts: Counter[str] = Counter()

    def begin(self, reading: Reading) -> None:
        """Say where the spans that follow come from."""
        self.readings.append(reading)

    def add(self, span: SpanRead) -> None:
        """Take a span; `ValueError`, `TypeError` or `RecursionError` where the database could not hold it."""
        start, end, data = span.start, span.end, span.data
        if end is None:
            data["status"] = "open"
        elif end < start:
            raise ValueError(f"it ends {start - end:,} µs before it starts")
        if span.parent:
            data["parent_id"] = span.parent
        row = (encoded(data), storable(span.id), storable(span.parent), start, end, span.line)
        whose = (
            self.traces.number_of(span.trace_id),
            self.agents.number_of(span.agent),
            self.services.number_of(span.fallback),
        )
        self.rows.append((*row, *whose, self.locations.number_of(span.location), len(self.readings) - 1))
        self.counts["estimated"] += "estimated" in data
        self.counts["open"] += data.get("status") == "open"
        if len(self.rows) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the spans that are waiting to the temporary files."""
        if self.rows:
            data, *columns = zip(*self.rows, strict=True)
            self.data.write([data])
            self.index.write(columns)
            self.rows.clear()

    def frames(self, names: Mapping[str, str]) -> Iterator[pd.DataFrame]:
        """Frames of complete spans in the order of reading, each with the number of its ``file``; ``names`` are of traces."""
        self.flush()
        self.index.close()
        self.data.close()
        table = pa.Table.from_batches(self.index.batches(), INDEX)
        kept, parent = self.identified(table)
        agents, ends = self.agents_of(table, parent, names), ends_of(table)
        traces, locations, first = self.traces.array(), self.locations.array(), 0
        for batch, data in zip(table.to_batches(), self.data.batches(), strict=True):
            rows = slice(first, first := first + len(batch))
            columns = {
                "id": values_of(batch["id"]),
                "trace_id": traces[values_of(batch["trace"])],
                "agent_id": agents[rows],
                "location_id": locations[values_of(batch["location"])],
                "start_time": values_of(batch["start_time"]),
                "end_time": ends[rows],
                "data": values_of(data["data"]),
                "file": values_of(batch["file"]),
            }
            yield pd.DataFrame(columns)[kept[rows]]

    def identified(self, table: pa.Table) -> tuple[Mask, Int64Array]:
        """Which rows are kept, and the row of each one's parent, or -1."""
        row, ids = np.arange(len(table)), table["id"].combine_chunks()
        first = rows_in(table["id"], ids)
        last = row.copy()
        last[first] = row
        kept: Mask = last[first] == row
        parent = rows_in(table["parent_id"], ids)
        parent[parent >= 0] = last[parent[parent >= 0]]
        earlier = np.flatnonzero(~kept)
        self.counts["duplicates"] += len(earlier)
        self.note(
            table, "is there again with other content; the last is kept", self.differing(table, earlier, last[first[earlier]])
        )
        self.note(table, "is its own ancestor, so has no parent", np.flatnonzero(cyclic(row, parent)))
        return kept, parent

    def differing(self, table: pa.Table, earlier: Int64Array, later: Int64Array) -> Int64Array:
        """Those of the earlier rows that are not as the later ones with their ids."""
        if not len(earlier):
            return earlier
        texts = pa.Table.from_batches(self.data.batches(), DATA)["data"]
        whole = {name: table[name].fill_null(MISSING_CODE) for name in ("start_time", "end_time", "location")}
        different = np.zeros(len(earlier), dtype=bool)
        for column in (*whole.values(), texts.fill_null("")):
            one, other = (column.take(pa.array(rows)) for rows in (earlier, later))
            different |= values_of(pc.not_equal(one, other))
        return np.compress(different, earlier)

    def note(self, table: pa.Table, reason: str, rows: Int64Array) -> None:
        """A problem of each of these spans."""
        for span in table.select(["id", "file", "line"]).take(pa.array(rows, pa.int64())).to_pylist():
            self.readings[span["file"]].problem(span["line"], f"span {quoted(span['id'])} {reason}")

    def agents_of(self, table: pa.Table, parent: Int64Array, names: Mapping[str, str]) -> "np.ndarray[Any, Any]":
        """Whose each span is: its own agent, else its nearest ancestor's, else its service, else its trace."""
        own, service, trace = (table[name].to_numpy() for name in ("agent", "service", "trace"))
        agents, services = self.agents.array(), self.services.array()
        traces = np.array([names.get(trace_id) or trace_id for trace_id in self.traces.array()], dtype=object)
        whose = nearest_marked(parent, own >= 0)
        code = np.where(service >= 0, len(agents) + service, len(agents) + len(services) + trace)
        code = np.where(whose >= 0, own[whose] if len(own) else whose, code)
        self.counts["own"] += int((own >= 0).sum())
        self.counts["inherited"] += int(((whose >= 0) & (own < 0)).sum())
        self.counts["fallback"] += int((whose < 0).sum())
        return np.concatenate([agents, services, traces])[code]


def values_of(column: pa.Array | pa.ChunkedArray) -> Any:
    """A column as an array of numpy, of objects where it holds texts."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.to_numpy(zero_copy_only=False)


def rows_in(texts: pa.ChunkedArray, among: pa.Array) -> Int64Array:
    """The first row in which each text stands, -1 where it is missing or stands in none."""
    rows = pc.index_in(texts, value_set=among, skip_nulls=True).fill_null(MISSING_CODE)
    found: Int64Array = rows.to_numpy().astype(np.int64)
    return found


def ends_of(table: pa.Table) -> Int64Array:
    """The end of each span; of one that never ended, the last time that its trace was seen."""
    start, trace = table["start_time"].to_numpy(), table["trace"].to_numpy()
    ended = table["end_time"].is_valid().to_numpy()
    end: Int64Array = np.where(ended, table["end_time"].fill_null(0).to_numpy(), start)
    last = np.full(int(trace.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, trace, end)
    return np.where(ended, end, last[trace])
