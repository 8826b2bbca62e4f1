"""The assembly: spans of one format, from any number of files, completed once all of them are read.

The agent of a span may be named by a span that is read later, or in another file. So spans are spooled to temporary Arrow files
as they are read; only their ids and parents, some bytes each, are in memory together at the end. Then a span without an agent
gets that of its nearest ancestor, else the name of its service, task or trace; agents with one name that run at the same time
are told apart by their ids; a span without an end gets the last time of its trace; a tool call gets the model call that asked
for it (`requests`); and of several spans with one id, the last is kept.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.conventions.namesakes import namesake_numbers
from tokenvis.conventions.rules import distinct_names
from tokenvis.conventions.span import SpanRead
from tokenvis.errors import quoted
from tokenvis.formats.files.reading import Reading
from tokenvis.ingestion.requests import requesting_spans, with_requests
from tokenvis.private import touch_private
from tokenvis.spans.integers import INT64_MAX, INT64_MIN, Int64Array, Mask, inverse_permutation, packed
from tokenvis.spans.redaction import check_size, payload_json, storable_name
from tokenvis.tree.relations import cyclic, nearest_marked

SPANS_PER_BATCH = 8_192  # spans buffered as Python objects before they are written
CHARACTERS_PER_BATCH = 16 << 20  # of their data and names: a long name is in memory once for each span of a frame
MAX_DATA_BYTES = 32 << 20  # of one span: on its way into the store, it is in memory several times
MISSING_CODE = -1
INDEX_SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("id", "parent_id", "call")]
    + [(name, pa.int64()) for name in ("start_time", "end_time", "line")]
    + [(name, pa.int32()) for name in ("trace", "agent", "agent_key", "service", "location", "file")]
)
DATA_SCHEMA = pa.schema([("data", pa.large_string())])
ANSWER_SCHEMA = pa.schema([("row", pa.int64()), ("call", pa.large_string())])
Pairs: TypeAlias = tuple[Int64Array, Int64Array]


class Spool:
    """A temporary Arrow file: batches are written, then read back."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        touch_private(path)
        self.file = pa.OSFile(os.fsencode(path), "wb")
        self.writer = pa.ipc.new_file(self.file, schema)

    def write(self, columns: Iterable[tuple[Any, ...]]) -> None:
        """Write a batch."""
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.writer.write(pa.record_batch(arrays, schema=self.schema))

    def close(self) -> None:
        """Finish the file, so that it can be read."""
        self.writer.close()
        self.file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The written batches, one in memory at a time."""
        with pa.OSFile(os.fsencode(self.path)) as file, pa.ipc.open_file(file) as reader:
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


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

    def array(self) -> "np.ndarray[Any, np.dtype[np.object_]]":
        """The names in the order of their codes."""
        return np.array(list(self.codes)[1:], dtype=object)


class Assembly:
    """Spans whose agents are not resolved yet: `add` them all, then read the `frames` once.

    ``counts`` has the number of spans that named their agent ("own"), "inherited" it or took the "fallback", and of spans that
    were "open", had "estimated" values or were "duplicates". Conflicts between spans become problems of their readings.
    """

    def __init__(self, path: Path) -> None:
        self.index, self.data = Spool(path, INDEX_SCHEMA), Spool(path.with_suffix(".data"), DATA_SCHEMA)
        self.answers = Spool(path.with_suffix(".answers"), ANSWER_SCHEMA)
        self.rows: list[tuple[Any, ...]] = []
        self.asked_for: list[tuple[int, str]] = []  # the row of a model call, and a call that its answer asks for
        self.n_flushed, self.n_characters = 0, 0
        self.readings: list[Reading] = []
        self.traces, self.agents, self.services, self.locations = NameCodes(), NameCodes(), NameCodes(), NameCodes()
        self.agent_keys = NameCodes()
        self.counts: Counter[str] = Counter()

    def begin(self, reading: Reading) -> None:
        """Set the reading that the next spans come from."""
        self.readings.append(reading)

    def add(self, span: SpanRead) -> None:
        """Add a span; `ValueError`, `TypeError` or `RecursionError` if the database cannot store it."""
        start, end, data = span.start, span.end, span.data
        for time in (start, end):
            if time is not None and (type(time) is not int or not INT64_MIN <= time <= INT64_MAX):
                raise ValueError(f"{quoted(time)} is not a 64-bit integer of microseconds")
        if end is None:
            data["status"] = "open"
        elif end < start:
            raise ValueError(f"it ends {start - end:,} µs before it starts")
        if span.parent:
            data["parent_id"] = span.parent
        text = payload_json(data, max_bytes=MAX_DATA_BYTES) if span.text is None else span.text
        check_size(len(text or ""), MAX_DATA_BYTES)
        call = None if span.call is None or "requested_by" in data else storable_name(span.call)
        row = (text, storable_name(span.id), storable_name(span.parent), call, start, end, span.line)
        codes = (
            self.traces.code_of(span.trace_id),
            self.agents.code_of(span.agent),
            self.agent_keys.code_of(span.agent_key),
            self.services.code_of(span.fallback_agent),
        )
        if span.calls:
            number = self.n_flushed + len(self.rows)
            self.asked_for += [(number, storable_name(call) or "") for call in span.calls]
        self.rows.append((*row, *codes, self.locations.code_of(span.location), len(self.readings) - 1))
        self.counts["estimated"] += "estimated" in data
        self.counts["open"] += data.get("status") == "open"
        names = (span.id, span.trace_id, span.agent, span.location, span.fallback_agent)
        self.n_characters += sum(map(len, filter(None, (text, *names))))
        if len(self.rows) == SPANS_PER_BATCH or self.n_characters > CHARACTERS_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the buffered spans to the temporary files."""
        if self.rows:
            data, *columns = zip(*self.rows, strict=True)
            self.data.write([data])
            self.index.write(columns)
            self.n_flushed += len(self.rows)
            self.rows.clear()
            self.n_characters = 0
        if self.asked_for:
            self.answers.write(zip(*self.asked_for, strict=True))
            self.asked_for.clear()

    def frames(self, names: Mapping[str, str]) -> Iterator[pd.DataFrame]:
        """Frames of complete spans in reading order, with the index of each span's ``file``; ``names`` are those of traces."""
        self.flush()
        for spool in (self.index, self.data, self.answers):
            spool.close()
        table, answers = (pa.Table.from_batches(spool.batches(), spool.schema) for spool in (self.index, self.answers))
        kept, parent = self.resolve_ids(table)
        ends = closed_ends(table)
        agents = self.resolve_agents(table, self.own_agents(table, kept, parent, ends), parent, names)
        requested, asked_by = requesting_spans(table, answers, parent, agents)
        traces, locations, first = self.traces.array(), self.locations.array(), 0
        for batch, data in zip(table.to_batches(), self.data.batches(), strict=True):
            rows = slice(first, first := first + len(batch))
            columns = {
                "id": numpy_values(batch["id"]),
                "trace_id": traces[numpy_values(batch["trace"])],
                "agent_id": agents[rows],
                "location_id": locations[numpy_values(batch["location"])],
                "start_time": numpy_values(batch["start_time"]),
                "end_time": ends[rows],
                "data": with_requests(numpy_values(data["data"]), first - len(batch), requested, asked_by),
                "file": numpy_values(batch["file"]),
            }
            yield pd.DataFrame(columns)[kept[rows]]

    def resolve_ids(self, table: pa.Table) -> tuple[Mask, Int64Array]:
        """Which rows are kept, and the row of each row's parent, or -1."""
        row, ids = np.arange(len(table)), table["id"].combine_chunks()
        first = first_rows_of(table["id"], ids)
        last = row.copy()
        last[first] = row
        kept: Mask = last[first] == row
        parent = first_rows_of(table["parent_id"], ids)
        parent[parent >= 0] = last[parent[parent >= 0]]
        earlier = np.flatnonzero(~kept)
        self.counts["duplicates"] += len(earlier)
        self.report_problem(
            table,
            "occurs again with other content; the last is kept",
            self.changed_rows(table, earlier, last[first[earlier]]),
        )
        self.report_problem(table, "is its own ancestor; its parent is dropped", np.flatnonzero(cyclic(row, parent)))
        return kept, parent

    def changed_rows(self, table: pa.Table, earlier: Int64Array, later: Int64Array) -> Int64Array:
        """The earlier rows whose content differs from the later row of the same id."""
        if not len(earlier):
            return earlier
        rows, positions = np.unique(np.concatenate([earlier, later]), return_inverse=True)
        differs = np.zeros(len(earlier), dtype=bool)
        for name in ("start_time", "end_time", "trace", "agent", "location"):
            values = numpy_values(table[name].fill_null(MISSING_CODE).take(pa.array(rows)))
            differs |= np.not_equal(*values[positions].reshape(2, -1))
        differs |= np.not_equal(*self.text_codes(rows)[positions].reshape(2, -1))
        return np.compress(differs, earlier)

    def text_codes(self, rows: Int64Array) -> Int64Array:
        """A code of the data of each of these rows, in increasing order; equal data have equal codes."""
        codes: dict[bytes, int] = {}
        found, first = [], 0
        for batch in self.data.batches():
            in_batch, texts = rows[slice(*np.searchsorted(rows, [first, first + len(batch)]))] - first, batch["data"]
            first += len(batch)
            for row in in_batch.tolist():  # one text in memory at a time
                digest = blake2b((texts[row].as_py() or "").encode(), digest_size=16).digest()
                found.append(codes.setdefault(digest, len(codes)))
        return np.array(found, dtype=np.int64)

    def report_problem(self, table: pa.Table, reason: str, rows: Int64Array) -> None:
        """Report a problem for each of these rows."""
        for span in table.select(["id", "file", "line"]).take(pa.array(rows, pa.int64())).to_pylist():
            self.readings[span["file"]].add_problem(span["line"], f"span {quoted(span['id'])} {reason}")

    def own_agents(self, table: pa.Table, kept: Mask, parent: Int64Array, ends: Int64Array) -> Int64Array:
        """The code of the agent that each span names, -1 if none; agents with one name that run at once get a code each."""
        named: Int64Array = table["agent"].to_numpy().astype(np.int64)
        keyed: Mask = kept & (named >= 0) & (table["agent_key"].to_numpy() >= 0)
        rows = np.flatnonzero(keyed)
        if not len(rows):
            return named
        trace = table["trace"].to_numpy().astype(np.int64)
        key_rank = inverse_permutation(np.argsort(self.agent_keys.array()))[table["agent_key"].to_numpy()[rows]]
        agents, agent = distinct_pairs(trace[rows], named[rows])
        identities, identity = distinct_pairs(agent, key_rank)
        numbers = namesake_numbers(agent, identity, table["start_time"].to_numpy()[rows], ends[rows])
        if not numbers.any():
            return named
        own = named.copy()
        own[rows] = self.namesake_codes(agents, identities[0], numbers, (trace, named))[identity]
        source = nearest_marked(parent, keyed)
        heirs = np.flatnonzero((named >= 0) & ~keyed & (source >= 0))
        heirs = heirs[named[heirs] == named[source[heirs]]]
        own[heirs] = own[source[heirs]]
        return own

    def namesake_codes(self, agents: Pairs, agent: Int64Array, numbers: Int64Array, named: Pairs) -> Int64Array:
        """The code of each identity's name: of its agent's, or of a new one that its trace does not have yet.

        ``agents`` are the trace and the code of each agent, ``agent`` is the agent of each identity, sorted, ``numbers`` are
        those of `namesake_numbers`, and ``named`` are the trace and the code of every span's agent.
        """
        codes = agents[1][agent]
        (traces, in_trace), _ = distinct_pairs(*(column[np.isin(named[0], agents[0]) & (named[1] >= 0)] for column in named))
        labels = self.agents.array()
        added: dict[int, list[str]] = {}
        for number in np.unique(agent[numbers > 0]).tolist():
            trace, code = int(agents[0][number]), int(agents[1][number])
            names = labels[in_trace[slice(*np.searchsorted(traces, [trace, trace + 1]))]].tolist()
            names += added.setdefault(trace, [])
            identities = slice(*np.searchsorted(agent, [number, number + 1]))
            new = distinct_names([*names, *[labels[code]] * int(numbers[identities].max())])[len(names) :]
            added[trace] += new
            codes[identities] = np.array([code, *map(self.agents.code_of, new)])[numbers[identities]]
        return codes

    def resolve_agents(
        self, table: pa.Table, own: Int64Array, parent: Int64Array, names: Mapping[str, str]
    ) -> "np.ndarray[Any, Any]":
        """The agent of each span: its own, else its nearest ancestor's, else its service, else its trace."""
        service, trace = (table[name].to_numpy() for name in ("service", "trace"))
        agents, services = self.agents.array(), self.services.array()
        traces = np.array([names.get(trace_id) or trace_id for trace_id in self.traces.array()], dtype=object)
        source = nearest_marked(parent, own >= 0)
        code = np.where(service >= 0, len(agents) + service, len(agents) + len(services) + trace)
        code = np.where(source >= 0, own[source] if len(own) else source, code)
        self.counts["own"] += int((own >= 0).sum())
        self.counts["inherited"] += int(((source >= 0) & (own < 0)).sum())
        self.counts["fallback"] += int((source < 0).sum())
        return np.concatenate([agents, services, traces])[code]


def distinct_pairs(first: Int64Array, second: Int64Array) -> tuple[Pairs, Int64Array]:
    """The distinct pairs of two columns, sorted, and the number of each row's pair."""
    pair = packed(first, second)
    assert pair is not None, "two codes fit into 63 bits"
    _, rows, number = np.unique(pair, return_index=True, return_inverse=True)
    return (first[rows], second[rows]), number.reshape(-1)


def numpy_values(column: pa.Array | pa.ChunkedArray) -> Any:
    """A column as a NumPy array, of objects if it contains texts."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.to_numpy(zero_copy_only=False)


def first_rows_of(texts: pa.ChunkedArray, candidates: pa.Array) -> Int64Array:
    """The first row with each text, -1 if the text is missing or in no row."""
    rows = pc.index_in(texts, value_set=candidates, skip_nulls=True).fill_null(MISSING_CODE)
    first_rows: Int64Array = rows.to_numpy().astype(np.int64)
    return first_rows


def closed_ends(table: pa.Table) -> Int64Array:
    """The end of each span; for a span without an end, the last time in its trace."""
    start, trace = table["start_time"].to_numpy(), table["trace"].to_numpy()
    ended = table["end_time"].is_valid().to_numpy()
    end: Int64Array = np.where(ended, table["end_time"].fill_null(0).to_numpy(), start)
    last = np.full(int(trace.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, trace, end)
    return np.where(ended, end, last[trace])
