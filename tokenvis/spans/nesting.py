"""Nesting: an agent is where its innermost span is.

Most sources nest: a span encloses the spans that it started. A parent counts as its agent's time and location only while
none of its children of the same agent runs. Children of another agent (delegation) do not reduce it. Nesting is defined
only by the column ``parent_id``; without that column, spans are used uncut.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, order_with_ids, require, times_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, counts, run_starts
from tokenvis.spans.intervals import Intervals, number_in_run, subtract, union
from tokenvis.spans.relations import relations_of


def self_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """Spans cut down to the time in which each is its agent's innermost span.

    A parent is cut where its children of the same agent run, into pieces that keep its id. A parent that its children cover
    completely has no piece. An instant stays unchanged and does not cut its parent. References to a parent that is not in the
    frame, or that is its own descendant, are ignored.

    Parameters
    ----------
    spans
        A frame of spans; ``parent_id`` (str, may be missing) is optional.

    Returns
    -------
    DataFrame
        The columns of ``spans``, with ``start_time`` and ``end_time`` (int64, µs) of the piece, and ``piece`` (int64): 0 for
        the first piece of a span, 1 for the next. In the order of a frame: start_time, end_time, agent_id, id.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "library"],
    ...     "start_time": [0, 3], "end_time": [10, 6], "parent_id": [None, "plan"],
    ... })
    >>> self_spans(spans)[["id", "piece", "start_time", "end_time"]]
           id  piece  start_time  end_time
    0    plan      0           0         3
    1  search      0           3         6
    2    plan      1           6        10
    """
    require(spans)
    row, start, end = pieces_of(spans)
    order = order_with_ids(spans, start, end, codes_of(spans["agent_id"])[0][row], row=row)
    pieces = spans.iloc[row[order]].assign(start_time=start[order], end_time=end[order], piece=piece_numbers(row)[order])
    return pieces.reset_index(drop=True)


def pieces_of(spans: pd.DataFrame) -> Intervals:
    """The pieces of `self_spans` as arrays: (row of the span, start, end), by row, then time."""
    start, end = times_of(spans)
    if "parent_id" not in spans.columns:
        return np.arange(len(spans)), start, end
    relations = relations_of(spans, links=False)
    agent = codes_of(spans["agent_id"])[0]
    agent_of = np.full(int(relations.identity.max(initial=-1)) + 2, -1, dtype=np.int64)
    agent_of[relations.identity] = agent
    child = agent_of[relations.parent] == agent
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


def paths_of(spans: pd.DataFrame) -> Paths:
    """The paths of all agents of a frame."""
    row, start, end = pieces_of(spans)
    path = groups_of(spans, "trace_id", "agent_id").group[row]
    order = order_with_ids(spans, path, start, end, row=row)
    row = row[order]
    return Paths(row, start[order], end[order], path[order], codes_of(spans["location_id"])[0][row])
