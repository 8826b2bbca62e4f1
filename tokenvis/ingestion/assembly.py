"""The assembly: spans of one format, from any number of files, completed once all of them are read.

The agent of a span may be named by a span that is read later, in another file, or in an earlier call. So spans are spooled to
temporary Arrow files as they are read, and the stored spans of their traces join them (`stored`); only their ids and parents,
some bytes each, are in memory together at the end. Then of several rows with one id, one counts (`tellings`, `snapshots`); a
span without an agent gets one, and agents with one name that run at the same time are told apart by their ids (`agents`); a
span without an end gets the last time of its trace; a tool call gets the model call that asked for it (`requests`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.conventions.marks import split_marks, without_marks
from tokenvis.conventions.span import SpanRead, former_id_of
from tokenvis.errors import quoted
from tokenvis.formats.files.reading import Reading
from tokenvis.ingestion.agents import AGENT_SOURCES, OWN, AgentNames, distinct_pairs
from tokenvis.ingestion.resolution import ResolvedRows, Spooled, resolved
from tokenvis.ingestion.spool import (
    ANSWER_SCHEMA,
    DATA_SCHEMA,
    INDEX_SCHEMA,
    MISSING_CODE,
    STORED,
    STORED_SCHEMA,
    NameCodes,
    Spool,
)
from tokenvis.ingestion.stored import StoredRow, StoredTraces, ToldSpans, redact_stored, replaced_rows, stored_spans
from tokenvis.spans.integers import INT64_MAX, INT64_MIN, Int64Array, Mask
from tokenvis.spans.redaction import Redactor, check_size, payload_json, storable_name
from tokenvis.store.scan import Arrays

SPANS_PER_BATCH = 8_192  # spans buffered as Python objects before they are written
CHARACTERS_PER_BATCH = 16 << 20  # of their data and names: a long name is in memory once for each span of a frame
MAX_DATA_BYTES = 32 << 20  # of one span: on its way into the store, it is in memory several times


class Assembly:
    """Spans whose agents are not resolved yet: `add` them all, then read the `frames` once.

    ``counts`` has the number of spans whose agent is their "own" (of these, by the "source", an "attribute", a "name", ...),
    that of their "ancestor", their "service" or their "trace"; of spans that are "open" or have "estimated" values; of rows
    that were "identical" to another or earlier "snapshots" of a span. Conflicts between spans become problems of their
    readings. After the frames, ``changes`` are the stored spans that changed because of them, and how they were; ``kept``
    counts, by trace, the spans of which the store keeps what another file told; and ``told_by`` are the traces with the
    numbers of the readings that told of them.
    """

    def __init__(self, path: Path, redactor: Redactor | None = None) -> None:
        self.index, self.data = Spool(path, INDEX_SCHEMA), Spool(path.with_suffix(".data"), DATA_SCHEMA)
        self.answers = Spool(path.with_suffix(".answers"), ANSWER_SCHEMA)
        self.stored = Spool(path.with_suffix(".stored"), STORED_SCHEMA)
        self.redactor = redactor or Redactor("full")
        self.rows: list[tuple[Any, ...]] = []
        self.stored_rows: list[StoredRow] = []
        self.asked_for: list[tuple[int, str]] = []  # the row of a model call, and a call that its answer asks for
        self.n_flushed, self.n_characters, self.file = 0, 0, STORED
        self.readings: list[Reading] = []
        self.traces, self.locations, self.namings, self.labels = NameCodes(), NameCodes(), NameCodes(), NameCodes()
        self.agents = AgentNames(NameCodes(), NameCodes(), NameCodes())
        self.disputed: list[int] = []  # stored rows about which files said different things
        self.mixed: list[int] = []  # such rows of snapshots
        self.former: list[tuple[str, str]] = []
        self.counts: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.changes: list[tuple[pd.DataFrame, pd.DataFrame]] = []
        self.told_by: list[tuple[str, int]] = []

    def begin(self, reading: Reading) -> None:
        """Set the reading that the next spans come from."""
        self.file = len(self.readings)
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
        if not span.restored:
            text = without_marks(text)
        size = len(text or "")
        check_size(size, MAX_DATA_BYTES)
        told_agent = span.agent
        if span.restored:
            marks, told = split_marks(text)
            size, told_agent = len(told or ""), None if "agent_from" in marks else marks.get("agent_in_source", span.agent)
        call = None if span.call is None or "requested_by" in data else storable_name(span.call)
        row = (text, storable_name(span.id), storable_name(span.parent), call, storable_name(former_id_of(span)))
        codes = (
            self.traces.code_of(span.trace_id),
            self.agents.agents.code_of(span.agent),
            self.agents.agent_keys.code_of(span.agent_key),
            self.agents.services.code_of(span.fallback_agent),
            self.locations.code_of(span.location),
            self.agents.agents.code_of(told_agent),
        )
        if span.calls:
            number = self.n_flushed + len(self.rows)
            self.asked_for += [(number, storable_name(call) or "") for call in span.calls]
        is_open = data.get("status") == "open"
        self.rows.append(
            (
                *row,
                start,
                end,
                span.line,
                size,
                *codes,
                self.file,
                self.namings.code_of(span.agent_from),
                MISSING_CODE if self.redactor.content == "full" else self.labels.code_of(span.name),
                is_open,
                "estimated" in data,
            )
        )
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
        if self.stored_rows:
            self.stored.write(zip(*self.stored_rows, strict=True))
            self.stored_rows.clear()
        if self.asked_for:
            self.answers.write(zip(*self.asked_for, strict=True))
            self.asked_for.clear()

    def close(self) -> None:
        """Finish the temporary files, so that they can be read."""
        self.flush()
        for spool in self.spools():
            spool.close()

    def spools(self) -> tuple[Spool, ...]:
        """The temporary files."""
        return self.index, self.data, self.answers, self.stored

    def add_stored(self, stored: StoredTraces) -> None:
        """Add what the store has of the traces, except the rows that the read spans replace."""
        chunks = stored.rows()
        chunk = next(chunks, None)
        if chunk is None:
            return
        index = self.index.table()
        told, former = self.told_spans(index, stored), set(index["former_id"].drop_null().to_pylist())
        for spool in self.spools():
            spool.reopen()
        self.file = STORED
        while chunk is not None:
            keep = ~replaced_rows(chunk, told)
            if former:
                keep &= ~self.note_former(chunk, former, told.ids)
            labels = told.labels_of(chunk, keep)
            for span_read, marks, row in stored_spans(chunk, keep):
                if span_read.id in labels:
                    redact_stored(span_read, self.redactor, labels[span_read.id])
                self.add_stored_span(span_read, marks, row)
            chunk = next(chunks, None)
        self.close()

    def told_spans(self, index: pa.Table, stored: StoredTraces) -> ToldSpans:
        """The ids of the read spans, and what of the stored spans they replace."""
        encoded = index["id"].combine_chunks().dictionary_encode()
        ids, span = numpy_values(encoded.dictionary), numpy_values(encoded.indices)
        first = np.empty(len(ids), dtype=np.int64)
        first[span[::-1]] = np.arange(len(span))[::-1]
        is_open, replaces = index["is_open"].to_numpy(), self.replaces(index, stored)
        file, trace = (index[name].to_numpy().astype(np.int64) for name in ("file", "trace"))
        (traces, files), _ = distinct_pairs(trace, file)
        readers: dict[str, list[Reading]] = {}
        for name, number in zip(self.traces.array()[traces].tolist(), files.tolist(), strict=True):
            readers.setdefault(name, []).append(self.readings[number])
        complete = np.array([stored.is_told_by(name, readers.get(name, [])) for name in self.traces.array()], dtype=bool)
        has_ended, has_snapshot = (np.bincount(span, replaces & mask, len(ids)) > 0 for mask in (~is_open, is_open))
        labels = self.labels.array(), index["label"].to_numpy()[first]
        return ToldSpans(pd.Index(ids, dtype="object"), has_ended, has_snapshot, complete[trace[first]], *labels)

    def add_stored_span(self, span: SpanRead, marks: dict[str, Any], row: StoredRow) -> None:
        """Add a stored span, and its row; one that is larger than what an ingest writes stays as it is."""
        number = self.n_flushed + len(self.rows)
        self.stored_rows.append(row)
        try:
            self.add(span)
        except ValueError:
            self.stored_rows.pop()
            return
        if marks.get("disputed"):
            self.disputed.append(number)
        if "from_snapshot" in marks and span.data:  # it is a snapshot itself
            self.mixed.append(number)

    def replaces(self, index: pa.Table, stored: StoredTraces | None) -> Mask:
        """Mark the rows whose file replaces what the store has of the trace: it told of it before."""
        file, trace = (index[name].to_numpy().astype(np.int64) for name in ("file", "trace"))
        if stored is None or not len(index):
            return np.zeros(len(index), dtype=bool)
        (traces, files), pair = distinct_pairs(trace, file)
        names = self.traces.array()
        replaced = [
            number != STORED and stored.is_replaced_by(names[trace_code], self.readings[number])
            for trace_code, number in zip(traces.tolist(), files.tolist(), strict=True)
        ]
        marked: Mask = np.array(replaced, dtype=bool)[pair]
        return marked

    def note_former(self, chunk: Arrays, former: set[str], told: pd.Index) -> Mask:
        """Mark the stored rows under ids that their spans no longer have, and note them."""
        ids, traces = chunk["id"].to_pylist(), chunk["trace_id"].to_pylist()
        is_former = np.array([span in former and span not in told for span in ids], dtype=bool)
        self.former += [(traces[row], ids[row]) for row in np.flatnonzero(is_former).tolist()]
        return is_former

    def frames(self, names: Mapping[str, str], stored: StoredTraces | None = None) -> Iterator[pd.DataFrame]:
        """Frames of complete spans in reading order, with the index of each span's ``file``.

        ``names`` are those of traces; ``stored`` are the traces as the store has them, which complete what was read.
        """
        self.close()
        if stored is not None:
            self.add_stored(stored)
        spooled = Spooled(
            self.index.table(),
            self.data,
            self.answers.table(),
            *(np.array(rows, dtype=np.int64) for rows in (self.disputed, self.mixed)),
        )
        traces, locations = self.traces.array(), self.locations.array()
        trace_names = np.array([names.get(trace) or trace for trace in traces], dtype="object")
        replaces = self.replaces(spooled.index, stored)
        found = resolved(spooled, self.agents, self.locations, replaces, trace_names)
        self.count(spooled, found)
        self.report_conflicts(spooled, found)
        before, first = self.stored.batches(), 0
        for batch, data in zip(spooled.index.to_batches(), self.data.batches(), strict=True):
            rows = slice(first, first := first + len(batch))
            columns = {
                "id": numpy_values(batch["id"]),
                "trace_id": traces[numpy_values(batch["trace"])],
                "agent_id": found.agent[rows],
                "location_id": locations[found.location[rows]],
                "start_time": numpy_values(batch["start_time"]),
                "end_time": found.end[rows],
                "data": found.marked(numpy_values(data["data"]), rows.start, self.redactor),
                "file": numpy_values(batch["file"]),
            }
            frame = pd.DataFrame(columns)
            if len(frame) and frame["file"].iloc[0] == STORED:
                self.note_changes(frame, next(before).to_pandas(), found.kept[rows])
            else:
                yield frame[found.kept[rows]]

    def count(self, spooled: Spooled, found: ResolvedRows) -> None:
        """Count the spans that were read: where their agents come from, which are open or estimated, and repeated rows."""
        is_told = spooled.column("file") != STORED
        rows = np.flatnonzero(found.kept & is_told)
        for number, source in enumerate(AGENT_SOURCES):
            self.counts[source] += int((found.agent_source[rows] == number).sum())
        own = rows[found.agent_source[rows] == OWN]
        for name, number in self.namings.codes.items():
            self.counts[name or "source"] += int((spooled.column("named_by")[own] == number).sum())
        for name in ("is_open", "is_estimated"):
            self.counts[name.removeprefix("is_")] += int(spooled.index[name].to_numpy()[rows].sum())
        self.counts["identical"] += len(found.winners.identical)
        earlier = np.setdiff1d(found.winners.snapshots[1], found.winners.identical)
        self.counts["snapshots"] += int(is_told[earlier].sum())
        traces = self.traces.array()
        (told_traces, files), _ = distinct_pairs(*(spooled.column(name)[is_told] for name in ("trace", "file")))
        self.told_by = list(zip(traces[told_traces].tolist(), files.tolist(), strict=True))
        kept_stored = np.unique(found.winners.winner[is_told & ~is_told[found.winners.winner]])
        self.kept.update(traces[spooled.column("trace")[kept_stored]].tolist())

    def report_conflicts(self, spooled: Spooled, found: ResolvedRows) -> None:
        """Report rows that another row of their file, or another file, contradicts, and spans above themselves."""
        self.report_problem(spooled, "occurs again with other content; the last is kept", found.winners.corrected)
        above = np.flatnonzero(found.is_own_ancestor & (spooled.column("file") != STORED))
        self.report_problem(spooled, "is its own ancestor; its parent is dropped", above)
        file = spooled.column("file")[found.winners.overruled]
        for number in np.unique(file).tolist():
            rows = found.winners.overruled[file == number]
            span = quoted(spooled.index["id"][int(rows[0])].as_py())
            spans = f"span {span} and {len(rows) - 1:,} more" if len(rows) > 1 else f"span {span}"
            reason = f"{spans}: another file says something else; what has more data is kept, and marked as `disputed`"
            self.readings[number].add_problem(None, reason)

    def report_problem(self, spooled: Spooled, reason: str, rows: Int64Array) -> None:
        """Report a problem for each of these rows."""
        for span in spooled.index.select(["id", "file", "line"]).take(pa.array(rows, pa.int64())).to_pylist():
            self.readings[span["file"]].add_problem(span["line"], f"span {quoted(span['id'])} {reason}")

    def note_changes(self, rows: pd.DataFrame, before: pd.DataFrame, kept: Mask) -> None:
        """Note the stored rows of a frame that are no longer as they were."""
        old = rows.drop(columns="file").assign(**{str(name): before[name] for name in before})
        differs = [(rows[name] != old[name]) & (rows[name].notna() | old[name].notna()) for name in before]
        changed = kept & np.logical_or.reduce(differs)
        if changed.any():
            self.changes.append((rows[changed].drop(columns="file"), old[changed]))


def numpy_values(column: pa.Array | pa.ChunkedArray) -> Any:
    """A column as a NumPy array, of objects if it contains texts."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.to_numpy(zero_copy_only=False)
