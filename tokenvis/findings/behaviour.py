"""Behaviour: what an agent does at a location that loses time or money, apart from doubts about the data.

An entry is one agent of one trace at one location, with the spans that show it. The cost is that of the spans and of all below
them, each counted once.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.errors import quoted
from tokenvis.findings.basis import Basis
from tokenvis.spans.columns import order_with_ids
from tokenvis.spans.integers import (
    Float64Array,
    Int64Array,
    Mask,
    counts,
    difference,
    run_starts,
    running_max,
    sort_order,
    sums,
)
from tokenvis.spans.intervals import union
from tokenvis.tree.costs import calls_with_figures, unpriced_rows
from tokenvis.tree.relations import NO_ROW, have_ancestor, have_descendant, nearest_marked


@dataclass(frozen=True)
class Behaviour:
    """One kind of behaviour, with an entry for each place (`Basis.places`) that has it; rows by place, then time.

    ``time`` and ``cost`` are what is lost: None if the kind has none, a cost NaN if it is not known.
    """

    kind: str
    places: Int64Array
    rows: Int64Array
    first: Int64Array  # where the rows of each place begin
    meanings: list[str]
    time: Int64Array | None = None
    cost: Float64Array | None = None


@dataclass(frozen=True)
class Shown:
    """The spans that show a behaviour, by place, then time; and the places, numbered from 0."""

    rows: Int64Array
    entry: Int64Array  # the number of each row's place among those in ``places``
    first: Int64Array  # where the rows of each place begin
    places: Int64Array

    @property
    def sizes(self) -> Int64Array:
        """The number of spans at each place."""
        return counts(self.entry, len(self.places))

    def names(self, basis: Basis) -> list[tuple[str, str]]:
        """The agent and the location of each place, as they are quoted in a sentence."""
        names = basis.places.names(basis.spans, self.places)
        agents, locations = (np.asarray(names[column]).tolist() for column in ("agent_id", "location_id"))
        return [(quoted(str(agent)), quoted(str(location))) for agent, location in zip(agents, locations, strict=True)]


def shown(basis: Basis, rows: Int64Array) -> Shown:
    """These rows, by place, then time."""
    place, (start, end) = basis.places.group[rows], basis.times
    order = order_with_ids(basis.spans, place, start[rows], end[rows], row=rows)
    place = place[order]
    is_first = run_starts(place)
    return Shown(rows[order], np.cumsum(is_first) - 1, np.flatnonzero(is_first), place[is_first])


def covered_time(entry: Int64Array, start: Int64Array, end: Int64Array, n_entries: int) -> Int64Array:
    """The time that intervals cover, for each entry; time that several cover counts once."""
    of_entry, union_start, union_end = union(entry, start, end)
    return sums(of_entry, difference(union_end, union_start), n_entries)


def outermost(basis: Basis, rows: Int64Array, group: Int64Array) -> Mask:
    """Whether no span above is also one of these rows, in the same group."""
    number = basis.number[rows]
    order = sort_order(group, basis.position[number])
    position, group = basis.position[number[order]], group[order]
    after = running_max(group, position + basis.forest.size[position])
    is_outermost = run_starts(group)
    is_outermost[1:] |= position[1:] >= after[:-1]
    result = np.empty(len(rows), dtype=bool)
    result[order] = is_outermost
    return result


def costs_below(basis: Basis, rows: Int64Array, entry: Int64Array, n_entries: int) -> Float64Array:
    """The cost of these spans and of all below them, for each entry.

    NaN if none of them has a cost, or a call among them is without one. What only a span above has as a sum is not known.
    """
    costs, parent, numbers = basis.costs, basis.parent, basis.number[rows]
    if not costs.known.any() or not len(rows):
        return np.full(n_entries, np.nan)
    marked = np.zeros(len(parent), dtype=bool)
    marked[numbers] = True
    known = costs.known & (nearest_marked(parent, marked) != NO_ROW)
    calls = calls_with_figures(basis.figures, parent)
    lacking = unpriced_rows(basis.figures, calls, parent) & ~known
    lacking &= ~have_ancestor(parent, known) & ~have_descendant(parent, known)
    outer = outermost(basis, rows, entry)
    at, of_entry = basis.position[numbers[outer]], entry[outer]
    node = basis.forest.node
    n_known, n_lacking = (
        sums(of_entry, basis.forest.subtree_sums(mask[node].astype(np.int64))[at], n_entries) for mask in (known, lacking)
    )
    amount = basis.forest.subtree_sums_of_floats(costs.value[node].astype(np.float64))[at]
    total = np.bincount(of_entry, weights=amount, minlength=n_entries)
    return np.where((n_known > 0) & (n_lacking == 0), total, np.nan)


def times_word(count: int) -> str:
    """How often: "once", "twice", "3 times"."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
