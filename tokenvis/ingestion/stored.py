"""Stored spans: what the store has of the traces that are read, so that the same files give the same store in any order.

A span that another file told, or an earlier call, may get its agent, its end or its request from the spans that are read now,
and the other way round. So the rows of these traces join the assembly, as what an earlier telling said: without the marks that
the assembly gave them. A row that its own source tells again is left out: it is replaced.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.conventions.agent_names import agent_key_in, agent_named
from tokenvis.conventions.marks import split_marks, without_marks
from tokenvis.conventions.rules import MODEL_KINDS
from tokenvis.conventions.span import SpanRead
from tokenvis.conventions.tool_calls import call_made, calls_asked_for
from tokenvis.formats.files.file_places import has_id
from tokenvis.formats.files.reading import Reading
from tokenvis.ingestion.spool import Names
from tokenvis.spans.integers import INT64_MIN, Int64Array, Mask
from tokenvis.spans.payload import parse, parse_exactly
from tokenvis.spans.redaction import Redactor, payload_json
from tokenvis.store.ingested import select_rows, select_sources
from tokenvis.store.scan import Arrays
from tokenvis.store.sources import TraceSource
from tokenvis.store.store import Store

OPEN_STATUS = '"status":"open"'
STORED_COLUMNS = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data")
KEPT_MARKS = ("from_snapshot", "disputed")
NO_LOCATION = "span"

StoredRow: TypeAlias = tuple[str, str, str | None, int]  # agent, location, data, end


@dataclass
class StoredTraces:
    """The traces of an ingest, as the store has them: the files that told of each before, and those that are read.

    ``nameless`` are those that have no name yet: they are new, or an ingest that was stopped had added them.
    """

    store: Store
    trace_ids: list[str]
    readings: list[Reading]
    sources: dict[str, dict[str, TraceSource]] = field(default_factory=dict)
    nameless: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        sources, names = select_sources(self.store, self.trace_ids)
        for source in sources:
            self.sources.setdefault(source.trace_id, {})[source.origin] = source
        self.nameless = {
            trace
            for trace in self.trace_ids
            if trace not in names or (trace not in self.sources and names[trace] == trace and has_id(trace))
        }
        for reading in self.readings:
            if reading.copies:  # others took copied messages for the trace's own
                self.sources.pop(reading.trace_id, None)

    def is_replaced_by(self, trace_id: str, reading: Reading) -> bool:
        """Whether a file replaces what the store has of its spans: it told of the trace before, or it is unknown who did."""
        told_by = self.sources.get(trace_id)
        return told_by is None or origin_digest(reading) in told_by

    def is_told_by(self, trace_id: str, readings: Iterable[Reading]) -> bool:
        """Whether all files that told of a trace before are among these."""
        told_by = self.sources.get(trace_id)
        return told_by is not None and told_by.keys() <= {origin_digest(reading) for reading in readings}

    def names(self) -> dict[str, str]:
        """What files call the traces, now or before: the file whose span named it the earliest counts."""
        told = {(source.trace_id, source.origin): source for sources in self.sources.values() for source in sources.values()}
        told |= {
            (trace_id, origin_digest(reading)): source_of(trace_id, reading)
            for reading in self.readings
            for trace_id in reading.names
        }
        names: dict[str, tuple[int, str]] = {}
        for source in told.values():
            if source.name is not None:
                named = INT64_MIN if source.named_at is None else source.named_at, source.name
                names[source.trace_id] = min(named, names.get(source.trace_id, named))
        return {trace_id: name for trace_id, (_, name) in names.items()}

    def rows(self) -> Iterator[Arrays]:
        """The stored rows of the traces, as columns, in chunks of limited memory."""
        return select_rows(self.store, self.trace_ids)


def origin_digest(reading: Reading) -> str:
    """A digest of the path of a file, so that the database does not contain paths."""
    return blake2b(reading.source.origin.encode(), digest_size=12).hexdigest()


def source_of(trace_id: str, reading: Reading) -> TraceSource:
    """What a file told of a trace as a whole."""
    named_at, name = reading.names.get(trace_id, (None, None))
    place = None if reading.keeps_names else reading.source.place
    return TraceSource(trace_id, origin_digest(reading), named_at, name, place)


@dataclass(frozen=True)
class ToldSpans:
    """The spans that are read: their ids, and what of the stored spans they replace; arrays have an element for each id.

    ``has_ended`` and ``has_snapshot`` mark spans of which a file that told of their trace before tells the end, or a snapshot.
    ``is_complete`` marks those of a trace of which all files are read again. ``label`` is the position of the name that
    redaction leaves of a span in ``labels``, or -1.
    """

    ids: pd.Index
    has_ended: Mask
    has_snapshot: Mask
    is_complete: Mask
    labels: Names
    label: Int64Array

    def labels_of(self, chunk: Arrays, keep: Mask) -> dict[str, str | None]:
        """The names that redaction leaves of those spans of a chunk, by id, that are read again."""
        if not len(self.labels):  # all texts are kept
            return {}
        stored = chunk["id"].to_numpy(zero_copy_only=False)[keep]
        position = self.ids.get_indexer(stored)
        names, is_told = [*self.labels.tolist(), None], position >= 0
        codes = self.label[position[is_told]].tolist()
        return {span: names[code] for span, code in zip(stored[is_told].tolist(), codes, strict=True)}


def replaced_rows(chunk: Arrays, told: ToldSpans) -> Mask:
    """Mark the rows of a chunk that the told spans replace whatever their data are.

    A row that has ended is replaced by the end, and a snapshot by a snapshot. What other files may have added to a row is
    replaced only if all of them are read.
    """
    position = told.ids.get_indexer(chunk["id"].to_numpy(zero_copy_only=False))
    has_ended, has_snapshot, is_complete = (
        (position >= 0) & np.append(mask, False)[position] for mask in (told.has_ended, told.has_snapshot, told.is_complete)
    )
    data = chunk["data"]
    may_be_open = pc.match_substring(data, OPEN_STATUS).fill_null(False).to_numpy(zero_copy_only=False)
    pattern = rf'"({"|".join(KEPT_MARKS)})":'
    is_mixed = pc.match_substring_regex(data, pattern).fill_null(False).to_numpy(zero_copy_only=False)
    replaced: Mask = np.where(may_be_open, has_snapshot, has_ended) & ~is_mixed
    replaced |= has_snapshot & (has_ended | may_be_open) & is_complete
    return replaced


def redact_stored(span: SpanRead, redactor: Redactor, label: str | None) -> None:
    """Keep as much of a stored span's texts as of those that are read; what is short enough stays as it is."""
    payload = dict(parse_exactly(span.text))
    redacted = redactor.redacted(payload, label)
    if redacted != payload:
        span.text = without_marks(payload_json(redacted))


def stored_spans(chunk: Arrays, keep: Mask) -> Iterator[tuple[SpanRead, dict[str, Any], StoredRow]]:
    """The spans of these rows as their sources told them, each with its marks, and its columns as stored.

    What a row has from snapshots comes before it as a snapshot of its own.
    """
    columns = [chunk[name].filter(pa.array(keep)).to_pylist() for name in STORED_COLUMNS]
    for span_id, trace_id, agent, location, start, end, text in zip(*columns, strict=True):
        marks, told = split_marks(text)
        source = marks.get("agent_from")
        is_open = text is not None and OPEN_STATUS in text and parse(text).get("status") == "open"
        span = SpanRead(
            trace_id,
            span_id,
            start,
            None if marks.get("end_from") == "trace" else end,
            None if source else marks.get("agent_in_source", agent),
            location,
            "",
            {"status": "open"} if is_open else {},
            fallback_agent=agent if source in ("service", "ancestor") else None,
            restored=True,
            text=told,
        )
        row = (agent, location, text, end)
        if names := marks.get("from_snapshot"):
            snapshot = split_snapshot(span, names)
            add_relations(snapshot)
            yield snapshot, {}, row
        add_relations(span)
        yield span, marks, row


def split_snapshot(span: SpanRead, names: list[str]) -> SpanRead:
    """A snapshot with what a stored span has from snapshots, which is taken from the span."""
    payload = dict(parse_exactly(span.text))
    attributes = payload.pop("attributes", {})
    moved = {name: payload.pop(name) for name in names if name in payload}
    moved_attributes = {name: value for name, value in attributes.items() if name in names}
    attributes = {name: value for name, value in attributes.items() if name not in names}
    text = without_marks(payload_json(moved | ({"attributes": moved_attributes} if moved_attributes else {})))
    snapshot = replace(span, end=None, data={"status": "open"}, text=text, agent=None, location=NO_LOCATION)
    if "agent_id" in names:
        snapshot.agent, span.agent = span.agent, None
    if "location_id" in names:
        snapshot.location, span.location = span.location, NO_LOCATION
    span.text = without_marks(payload_json(in_order(span.text, payload, attributes)))
    return snapshot


def in_order(text: str | None, payload: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    """A payload with its attributes, keys in the order of its text."""
    whole = payload | ({"attributes": attributes} if attributes else {})
    return {name: whole[name] for name in parse_exactly(text) if name in whole}


def add_relations(span: SpanRead) -> None:
    """Add the parent of a stored span, the id of its agent and its calls, from its data."""
    if span.text is None:
        return
    data = parse(span.text)
    parent, attributes, kind, label = (data.get(key) for key in ("parent_id", "attributes", "kind", "label"))
    span.parent = parent if isinstance(parent, str) and parent else None
    span.agent_key = agent_key_in(data, span.agent)
    if not isinstance(attributes, dict):
        return
    named = agent_named(attributes, kind, label if isinstance(label, str) else "")
    if span.agent is not None and named.name == span.agent:
        span.agent_key = named.key
    if "requested_by" in data:
        return
    if kind in MODEL_KINDS:
        span.calls = calls_asked_for(attributes, data)
    elif kind == "tool" or "gen_ai.tool.name" in attributes:
        span.call = call_made(attributes, data)
