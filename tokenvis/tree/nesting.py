"""Nesting: an agent is where its innermost span is.

Most sources nest: a span encloses the spans that it started. A parent counts as its agent's time and location only while
none of its children of the same agent runs. Children of another agent (delegation) do not reduce it. Nesting is defined
only by the column ``parent_id``; without that column, spans are used uncut.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, counts, run_starts
from tokenvis.spans.intervals import Intervals, number_in_run, overlapping, selected_ends, subtract, union
from tokenvis.tree.relations import NO_ROW, Relations, relations_of


def pieces_of(spans: pd.DataFrame, relations: Relations | None = None, rows: Int64Array | None = None) -> Intervals:
    """The spans without the time of their children of the same agent: (row of the span, start, end), by row, then time.

    All spans, or those in ``rows`` (sorted).
    """
    start, end = times_of(spans)
    rows = np.arange(len(spans)) if rows is None else rows
    relations = relations_of(spans, links=False) if relations is None else relations
    if not (relations.parent != NO_ROW).any():
        return rows, start[rows], end[rows]
    agent = ranks_of(spans["agent_id"])
    child = relations.by_identity(agent)[relations.parent] == agent
    if len(rows) < len(spans):
        child &= np.isin(relations.parent, relations.identity[rows])
    holes = union(relations.parent[child], start[child], end[child])
    number, start, end = subtract((relations.identity[rows], start[rows], end[rows]), holes)
    return rows[number], start, end


def piece_numbers(row: Int64Array) -> Int64Array:
    """Number of each piece within its span, from 0, for pieces sorted by row."""
    return number_in_run(counts(np.cumsum(run_starts(row)) - 1, len(np.unique(row))))


@dataclass(frozen=True)
class Paths:
    """The pieces of each agent in order: the sequence of its locations.

    ``row`` is the position of the span in the frame; ``path`` is a rank for each agent of each trace; ``location`` is the code
    from `codes_of`. Ordered by trace_id, agent_id, start, end, id.
    """

    row: Int64Array
    start: Int64Array
    end: Int64Array
    path: Int64Array
    location: Int64Array

    def moves(self) -> Mask:
        """Mark each piece, except the last, that is followed by a piece of the same agent at another location."""
        moved: Mask = (self.path[1:] == self.path[:-1]) & (self.location[1:] != self.location[:-1])
        return moved


def paths_of(spans: pd.DataFrame, relations: Relations | None = None) -> Paths:
    """The paths of all agents of a frame."""
    row, start, end = pieces_of(spans, relations)
    path = groups_of(spans, "trace_id", "agent_id").group[row]
    order = order_with_ids(spans, path, start, end, row=row)
    row = row[order]
    return Paths(row, start[order], end[order], path[order], ranks_of(spans["location_id"])[row])


@dataclass(frozen=True)
class NestedParts:
    """Parts of spans, cut into the time of each descendant of the same agent.

    Level 0 is the part itself; a segment of the next level is the time of a child within a segment of its parent.
    """

    part: Int64Array  # the number of the part
    row: Int64Array
    start: Int64Array
    end: Int64Array
    level: Int64Array

    def contains(self, outer: Int64Array, inner: Int64Array) -> Mask:
        """Whether these segments contain those of a deeper level, element by element, for segments of the same part."""
        within = (self.start[outer] <= self.start[inner]) & (self.end[inner] <= self.end[outer])
        result: Mask = within & (self.level[outer] < self.level[inner])
        return result


def nested_parts(spans: pd.DataFrame, parent: Int64Array, parts: Intervals) -> NestedParts:
    """Who is the innermost span at each moment of parts of spans (row of the span, start, end).

    At each moment, a segment gives way to the segment of the next level that it contains. If several children run, the one
    that ends last counts (ties: the earlier start, then id). ``parent`` is the row of each span's parent, or -1.
    """
    child, child_start, child_end = selected_children(spans, parent)
    child_parent = parent[child]
    part, (row, start, end) = np.arange(len(parts[0])), parts
    levels = [(part, row, start, end)]
    while len(row) and len(child):
        occurs = np.zeros(len(spans) + 1, dtype=bool)  # the last is that of no span
        occurs[row] = True
        below = positions_of(child_parent, np.flatnonzero(occurs[:-1]))
        above, found = overlapping((row, start, end), (child_parent[below], child_start[below], child_end[below]))
        found = below[found]
        part, row = part[above], child[found]
        start, end = np.maximum(start[above], child_start[found]), np.minimum(end[above], child_end[found])
        levels.append((part, row, start, end))
    part, row, start, end = (np.concatenate(column) for column in zip(*levels, strict=True))
    return NestedParts(part, row, start, end, np.repeat(np.arange(len(levels)), [len(level[0]) for level in levels]))


def selected_children(spans: pd.DataFrame, parent: Int64Array) -> Intervals:
    """Which child of the same agent is innermost, (row, start, end of that time), by parent, then time."""
    start, end = times_of(spans)
    agent = ranks_of(spans["agent_id"])
    child = np.flatnonzero((parent != NO_ROW) & (agent[parent] == agent) & (end > start))
    child = child[order_with_ids(spans, parent[child], start[child], end[child], row=child)]
    selected_end = selected_ends(parent[child], start[child], end[child])
    selected = selected_end > start[child]
    return child[selected], start[child[selected]], selected_end[selected]


def positions_of(sorted_values: Int64Array, values: Int64Array) -> Int64Array:
    """All positions of these distinct values, in order."""
    first, after = (np.searchsorted(sorted_values, values, side=side) for side in ("left", "right"))
    return np.repeat(first, after - first) + number_in_run(after - first)
