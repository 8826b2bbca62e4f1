"""The gathering: spans of one format, from any number of files, until it is known whose they are.

Whose a span is may stand in a span that comes later, or in another file. So spans go, as they are read, into a temporary Arrow
file; only their ids, parents and agents, some bytes each, are in memory together, when all are there. Then each span that names
no agent gets its nearest ancestor's, else its service's or its trace's; one that never ended gets the last time of its trace;
and of several with one id, the last is kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.arrays import Int64Array, Mask
from tokenvis.contents import encoded, storable
from tokenvis.errors import quoted
from tokenvis.reading import Problem, Reading, SpanRead
from tokenvis.relations import cyclic, nearest_marked

BATCH = 8_192  # spans that are Python objects at once
NOBODY = -1
TEXTS = ("id", "trace_id", "parent_id", "agent_id", "fallback", "location_id", "data")
NUMBERS = ("start_time", "end_time", "file", "line")
SCHEMA = pa.schema([(name, pa.large_string()) for name in TEXTS] + [(name, pa.int64()) for name in NUMBERS])


class Gathering:
    """Spans that are waiting for their agents: `add` them all, then ask for the `frames`, once.

    ``counts`` tells how many spans named their agent ("own"), "inherited" it, or took the "fallback"; how many were "open",
    had "estimated" times, or were "duplicates"; ``problems`` what was wrong with them together.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[tuple[Any, ...]] = []
        self.files: list[Reading] = []
        self.problems: list[Problem] = []
        self.counts: Counter[str] = Counter()
        self.file = pa.OSFile(str(path), "wb")
        self.writer = pa.ipc.new_file(self.file, SCHEMA)

    def begin(self, reading: Reading) -> None:
        """Say where the spans that follow come from."""
        self.files.append(reading)

    def add(self, span: SpanRead) -> None:
        """Take a span; `ValueError`, `TypeError` or `RecursionError` where the database could not hold it."""
        start, end, data = span.start, span.end, span.data
        if end is None:
            data["status"] = "open"
        elif end < start:
            raise ValueError(f"it ends {start - end:,} µs before it starts")
        if span.parent:
            data["parent_id"] = span.parent
        texts = (span.id, span.trace_id, span.parent, span.agent, span.fallback, span.location)
        self.rows.append((*map(storable, texts), encoded(data), start, end, len(self.files) - 1, span.line))
        self.counts["estimated"] += "estimated" in data
        self.counts["open"] += data.get("status") == "open"
        if len(self.rows) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the spans that are waiting to the temporary file."""
        if self.rows:
            columns = zip(*self.rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            self.writer.write(pa.record_batch(arrays, schema=SCHEMA))
            self.rows.clear()

    def frames(self, names: Mapping[str, str]) -> Iterator[pd.DataFrame]:
        """Frames of complete spans in the order of reading, with the columns ``file, line``; ``names`` are those of traces."""
        self.flush()
        self.writer.close()
        self.file.close()
        with pa.memory_map(str(self.path)) as mapped, pa.ipc.open_file(mapped) as reader:
            table = reader.read_all()  # which leaves the bytes where they are
            if not len(table):
                return
            kept, parent = self.identified(table)
            agents, ends = self.agents_of(table, parent, names), ends_of(table)
            first = 0
            for batch in table.to_batches():
                rows = slice(first, first := first + len(batch))
                yield frame_of(batch, agents[rows], ends[rows])[kept[rows]]

    def identified(self, table: pa.Table) -> tuple[Mask, Int64Array]:
        """Which rows are kept, and the row of each one's parent, or -1."""
        codes, ids = coded(table["id"])
        row_of = np.full(len(ids), NOBODY, dtype=np.int64)
        row_of[codes] = np.arange(len(codes))  # of several, the last
        kept: Mask = row_of[codes] == np.arange(len(codes))
        self.note_duplicates(table, np.flatnonzero(~kept), row_of[codes[~kept]])
        named = pc.index_in(table["parent_id"], value_set=pa.array(ids, pa.large_string()), skip_nulls=True)
        place = named.combine_chunks().fill_null(NOBODY).to_numpy(zero_copy_only=False).astype(np.int64)
        parent = np.where(place >= 0, row_of[place], NOBODY)
        self.note_cycles(table, cyclic(np.arange(len(parent)), parent))
        return kept, parent

    def note_duplicates(self, table: pa.Table, earlier: Int64Array, kept: Int64Array) -> None:
        """Count the spans that come again, and note those that come again with other content."""
        self.counts["duplicates"] += len(earlier)
        if not len(earlier):
            return
        same = np.ones(len(earlier), dtype=bool)
        for name in ("start_time", "end_time", "location_id", "data"):
            one, other = (table[name].take(pa.array(rows)).to_pandas() for rows in (earlier, kept))
            same &= ((one == other) | (one.isna() & other.isna())).to_numpy(dtype=bool)
        for row in earlier[~same].tolist():
            self.note(table, row, "is there again with other content; the last is kept")

    def note_cycles(self, table: pa.Table, circle: Mask) -> None:
        """Note the spans that are their own ancestors."""
        for row in np.flatnonzero(circle).tolist():
            self.note(table, row, "is its own ancestor, so has no parent")

    def note(self, table: pa.Table, row: int, reason: str) -> None:
        """A problem of one span."""
        reading = self.files[table["file"][row].as_py()]
        span = quoted(table["id"][row].as_py())
        reading.problem(table["line"][row].as_py(), f"span {span} {reason}")

    def agents_of(self, table: pa.Table, parent: Int64Array, names: Mapping[str, str]) -> pd.Categorical:
        """Whose each span is: its own agent, else its nearest ancestor's, else its service, else its trace."""
        own, agents = coded(table["agent_id"])
        service, services = coded(table["fallback"])
        trace, traces = coded(table["trace_id"])
        whose = nearest_marked(parent, own >= 0)
        code = np.where(service >= 0, len(agents) + service, len(agents) + len(services) + trace)
        code = np.where(whose >= 0, own[whose], code)
        self.counts["own"] += int((own >= 0).sum())
        self.counts["inherited"] += int(((whose >= 0) & (own < 0)).sum())
        self.counts["fallback"] += int((whose < 0).sum())
        distinct, labels = pd.factorize(pd.Index([*agents, *services, *(names.get(id_) or id_ for id_ in traces)], dtype="str"))
        return pd.Categorical.from_codes(distinct[code], labels)


def coded(column: pa.ChunkedArray) -> tuple[Int64Array, list[str]]:
    """A number for each text, -1 where it is missing, and the texts in the order of their numbers."""
    encoded_column = column.combine_chunks().dictionary_encode()
    codes = encoded_column.indices.fill_null(NOBODY).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded_column.dictionary.to_pylist()


def ends_of(table: pa.Table) -> Int64Array:
    """The end of each span; of one that never ended, the last time that its trace was seen."""
    start = table["start_time"].to_numpy()
    ended = table["end_time"].is_valid().to_numpy()
    end: Int64Array = table["end_time"].fill_null(0).to_numpy()
    if ended.all():
        return end
    trace, traces = coded(table["trace_id"])
    end = np.where(ended, end, start)
    last = np.full(len(traces), np.iinfo(np.int64).min)
    np.maximum.at(last, trace, end)
    return np.where(ended, end, last[trace])


def frame_of(batch: pa.RecordBatch, agents: pd.Categorical, ends: Int64Array) -> pd.DataFrame:
    """A batch as spans for the store."""
    names = ["id", "trace_id", "location_id", "start_time", "data", "file", "line"]
    frame: pd.DataFrame = batch.select(names).to_pandas()
    return frame.assign(agent_id=agents.astype("str"), end_time=ends)
