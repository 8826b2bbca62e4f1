"""Nesting: an agent is where its innermost span is.

Most sources nest: a span encloses the spans that it started. A parent counts as its agent's time and location only while
none of its children of the same agent runs. Children of another agent (delegation) do not reduce it. Nesting is defined
only by the column ``parent_id``; without that column, spans are used uncut.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, order_with_ids, times_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, counts, run_starts
from tokenvis.spans.intervals import Intervals, number_in_run, subtract, union
from tokenvis.spans.relations import NO_ROW, Relations, relations_of


def pieces_of(spans: pd.DataFrame, relations: Relations | None = None) -> Intervals:
    """The spans without the time of their children of the same agent: (row of the span, start, end), by row, then time."""
    start, end = times_of(spans)
    relations = relations_of(spans, links=False) if relations is None else relations
    if not (relations.parent != NO_ROW).any():
        return np.arange(len(spans)), start, end
    agent = codes_of(spans["agent_id"])[0]
    child = relations.by_identity(agent)[relations.parent] == agent
    return subtract((relations.identity, start, end), union(relations.parent[child], start[child], end[child]))


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
    return Paths(row, start[order], end[order], path[order], codes_of(spans["location_id"])[0][row])
