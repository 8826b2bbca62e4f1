"""The resolution of an assembly: for each row, whether it counts, and the agent, end, location and marks of its span."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.conventions.marks import split_marks, with_marks, with_same_marks
from tokenvis.ingestion.agents import AGENT_SOURCES, OWN, AgentNames
from tokenvis.ingestion.requests import requesting_spans
from tokenvis.ingestion.snapshots import LackingKeys, lacking_keys
from tokenvis.ingestion.spool import MISSING_CODE, STORED, NameCodes, Names, Spool
from tokenvis.ingestion.stored import NO_LOCATION
from tokenvis.ingestion.tellings import Tellings, Winners, winners_of
from tokenvis.spans.integers import Int64Array, Mask, packed
from tokenvis.spans.redaction import Redactor
from tokenvis.tree.relations import NO_ROW, cyclic


@dataclass(frozen=True)
class Spooled:
    """The rows of an assembly: their index, their data, the calls that models asked for.

    ``disputed`` and ``mixed`` are the stored rows, and those of snapshots, about which files said different things.
    """

    index: pa.Table
    data: Spool
    answers: pa.Table
    disputed: Int64Array
    mixed: Int64Array

    def column(self, name: str) -> Int64Array:
        """A column of numbers as int64."""
        values: Int64Array = self.index[name].to_numpy().astype(np.int64)
        return values


@dataclass(frozen=True)
class ResolvedRows:
    """The spans of an assembly; arrays have an element for each row, and only rows that are ``kept`` count.

    ``agent_source`` is a position in `AGENT_SOURCES`; ``told_agent`` is the code of the agent that the source names, or -1, and
    ``is_renamed`` marks those that were told apart from others of the name; ``requested_by`` has the ids of model calls.
    """

    winners: Winners
    kept: Mask
    is_own_ancestor: Mask
    agent: Names
    agent_source: Int64Array
    told_agent: Int64Array
    is_renamed: Mask
    location: Int64Array
    end: Int64Array
    has_no_end: Mask
    requested_by: Mapping[int, str]
    lacking: LackingKeys
    told_names: Names
    disputed: frozenset[int]
    is_special: Mask  # has a request, keys from snapshots, or is disputed

    def marked(self, data: Any, first: int, redactor: Redactor) -> Any:
        """The data of consecutive rows from ``first``, with the keys that they lacked, and with marks."""
        rows = slice(first, first + len(data))
        has_marks = self.is_renamed[rows] | self.has_no_end[rows] | self.is_special[rows]
        source, kept, data = self.agent_source[rows], self.kept[rows], data.copy()
        for number in np.unique(source[source != OWN]).tolist():
            marks = {"agent_from": AGENT_SOURCES[number]}
            only = np.flatnonzero(kept & ~has_marks & (source == number))
            data[only] = with_same_marks(data[only].tolist(), marks)
        for position in np.flatnonzero(kept & has_marks).tolist():
            text, row = data[position], first + position
            if row in self.lacking:
                text = self.lacking.added_to(text, row, redactor)
            data[position] = with_marks(text, self.marks_of(row))
        return data

    def marks_of(self, row: int) -> dict[str, Any]:
        """The marks of a row's span."""
        marks: dict[str, Any] = {}
        if self.agent_source[row] != OWN:
            marks["agent_from"] = AGENT_SOURCES[self.agent_source[row]]
        elif self.is_renamed[row]:
            marks["agent_in_source"] = self.told_names[self.told_agent[row]]
        if row in self.requested_by:
            marks["requested_by"] = self.requested_by[row]
        if self.has_no_end[row]:
            marks["end_from"] = "trace"
        if row in self.lacking:
            marks["from_snapshot"] = self.lacking.names(row)
        if row in self.disputed:
            marks["disputed"] = True
        return marks


def resolved(spooled: Spooled, agents: AgentNames, locations: NameCodes, replaces: Mask, trace_names: Names) -> ResolvedRows:
    """The resolution of all rows; ``replaces`` marks the rows whose file replaces what the store has."""
    index = spooled.index
    span, parent = first_tellings(index)
    is_replaced = (np.bincount(span, replaces, len(span)) > 0)[span] & (spooled.column("file") == STORED)
    winners = winning_rows(spooled, span, is_replaced, (agents.agents, locations))
    rows = np.arange(len(index))
    kept: Mask = winners.winner == rows
    columns = {name: spooled.column(name) for name in ("agent", "agent_key", "location")}
    parent = np.append(winners.winner, NO_ROW)[parent]
    unknown_location = locations.codes.get(NO_LOCATION, MISSING_CODE)
    lacking = add_from_snapshots(spooled, winners, columns, parent, unknown_location)
    own_parent = cyclic(rows, parent)
    end = closed_ends(index, kept)
    own = agents.own_agents(index, columns, kept, parent, end)
    names, source = agents.resolve(index, own, parent, trace_names)
    requested, asked_by = requesting_spans(index, spooled.answers, winners.winner, parent, names)
    return ResolvedRows(
        winners,
        kept,
        own_parent,
        names,
        source,
        columns["agent"],
        own != columns["agent"],
        columns["location"],
        end,
        ~index["end_time"].is_valid().to_numpy(),
        dict(zip(requested.tolist(), asked_by, strict=True)),
        lacking,
        agents.agents.array(),
        disputed := frozenset(winners.disputed.tolist()),
        numbered_rows(len(index), requested.tolist(), lacking, disputed),
    )


def numbered_rows(n_rows: int, *numbers: Iterable[int]) -> Mask:
    """Mark the rows with these numbers."""
    marked = np.zeros(n_rows, dtype=bool)
    for rows in numbers:
        marked[np.fromiter(rows, dtype=np.int64)] = True
    return marked


def first_tellings(index: pa.Table) -> tuple[Int64Array, Int64Array]:
    """The first row of each row's span, by trace and id, and the first row of its parent's, or -1."""
    ids, trace = index["id"].combine_chunks(), index["trace"].to_numpy().astype(np.int64)
    span, parent = first_rows_of(index["id"], ids), first_rows_of(index["parent_id"], ids)
    is_elsewhere = (parent >= 0) & (trace[parent] != trace) if len(parent) else np.zeros(0, dtype=bool)
    if (trace[span] == trace).all() and not is_elsewhere.any():
        return span, parent
    pairs = packed(trace, span)
    assert pairs is not None, "two codes fit into 63 bits"
    _, first, number = np.unique(pairs, return_index=True, return_inverse=True)
    wanted = np.where(parent >= 0, trace * (int(span.max()) + 1) + span[parent], NO_ROW)
    keys = trace[first] * (int(span.max()) + 1) + span[first]
    order = np.argsort(keys)
    position = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = keys[order[position]] == wanted
    return first[number.reshape(-1)], np.where(found, first[order[position]], NO_ROW)


def first_rows_of(texts: pa.ChunkedArray, candidates: pa.Array) -> Int64Array:
    """The first row with each text, -1 if the text is missing or in no row."""
    rows = pc.index_in(texts, value_set=candidates, skip_nulls=True).fill_null(MISSING_CODE)
    first_rows: Int64Array = rows.to_numpy().astype(np.int64)
    return first_rows


def winning_rows(spooled: Spooled, span: Int64Array, is_replaced: Mask, names: tuple[NameCodes, NameCodes]) -> Winners:
    """The rows that count; the data of rows that are the only ones of their span are not read."""
    n_rows = np.bincount(span, minlength=len(span))
    several = np.flatnonzero(n_rows[span] > 1)
    index = spooled.index.take(pa.array(several, pa.int64()))
    is_open = index["is_open"].to_numpy()
    end = np.where(is_open, 0, index["end_time"].fill_null(0).to_numpy())  # of a snapshot: where it was last seen
    codes = (ranks.ranks()[index[name].to_numpy()] for name, ranks in zip(("told_agent", "location"), names, strict=True))
    told = Tellings(
        several,
        span[several],
        index["file"].to_numpy().astype(np.int64),
        is_open,
        is_replaced[several],
        np.isin(several, spooled.disputed),
        np.isin(several, spooled.mixed),
        (index["size"].to_numpy(), digests(spooled.data, several), index["start_time"].to_numpy(), end, *codes),
    )
    found = winners_of(told)
    winner = np.arange(len(span))
    winner[several] = found.winner
    disputed, mixed = (
        np.union1d(now, before[winner[before] == before])
        for now, before in ((found.disputed, spooled.disputed), (found.mixed, spooled.mixed))
    )
    return Winners(winner, found.snapshots, found.identical, found.corrected, disputed, mixed, found.overruled)


def digests(data: Spool, rows: Int64Array) -> Int64Array:
    """A number for the data of each of these rows, without marks; equal data have equal numbers."""
    found = np.empty(len(rows), dtype=np.int64)
    for position, (_, text) in enumerate(data.texts_of(rows)):
        digest = blake2b((split_marks(text)[1] or "").encode(), digest_size=8).digest()
        found[position] = int.from_bytes(digest, signed=True)
    return found


def add_from_snapshots(
    spooled: Spooled, winners: Winners, columns: dict[str, Int64Array], parent: Int64Array, unknown_location: int
) -> LackingKeys:
    """Give rows the agent, location, parent and keys that they lack and the snapshots had that they replaced."""
    winner, snapshot = winners.snapshots
    lacking = lacking_keys(spooled.data, winner, snapshot)
    lacking.columns |= {row: set() for row in winners.mixed.tolist()}
    lacks = {
        "agent": (columns["agent"][winner] < 0) & (columns["agent"][snapshot] >= 0),
        "location": (columns["location"][winner] == unknown_location) & (columns["location"][snapshot] != unknown_location),
    }
    for name in ("agent_key", *lacks):  # the mask of the agents is taken before
        takes = lacks.get(name, lacks["agent"])
        columns[name][winner[takes]] = columns[name][snapshot[takes]]
    for name, takes in lacks.items():
        for row in winner[takes].tolist():
            lacking.columns.setdefault(row, set()).add(f"{name}_id")
    lacks_parent = (parent[winner] < 0) & (parent[snapshot] >= 0)
    parent[winner[lacks_parent]] = parent[snapshot[lacks_parent]]
    return lacking


def closed_ends(index: pa.Table, kept: Mask) -> Int64Array:
    """The end of each span; for a span without an end, the last time in its trace."""
    start, trace = index["start_time"].to_numpy(), index["trace"].to_numpy()
    ended = index["end_time"].is_valid().to_numpy()
    end: Int64Array = np.where(ended, index["end_time"].fill_null(0).to_numpy(), start)
    last = np.full(int(trace.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, trace[kept], end[kept])
    return np.where(ended, end, last[trace]) if len(trace) else end
