"""Nesting: an agent is where its innermost span is.

Most sources nest: a span encloses the spans that it started. A parent counts, as time and place of its agent, only while
none of its children of the same agent runs. Children of another agent (delegation) take nothing from it. Nesting is what
the column ``parent_id`` says, and nothing else; without that column, spans are taken literally.
"""

import numpy as np
import pandas as pd

from tokenvis.columns import Int64Array, codes_of, order_of, require, times_of
from tokenvis.sweep import subtract, union


def self_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """Spans cut down to the time in which each is the innermost one of its agent.

    A parent is cut where its children of the same agent run, into pieces that keep its id. A parent that its children cover
    wholly leaves no piece. An instant stays as it is, and cuts nothing. A parent that is not in the frame, and a parent
    that is its own descendant, cut nothing.

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
        Where ``spans`` is not a frame of spans.

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
    start, end = times_of(spans)
    if "parent_id" in spans.columns:
        own, parent = family_of(spans)
        child = parent >= 0
        row, start, end = subtract((own, start, end), union(parent[child], start[child], end[child]))
    else:
        row = np.arange(len(spans))
    pieces = spans.iloc[row].assign(start_time=start, end_time=end, piece=pieces_of(row))
    return pieces.iloc[order_of(pieces)].reset_index(drop=True)


def family_of(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """A rank for each span's (trace, agent, id), and the rank of the parent that it takes time from, or -1."""
    count = len(spans)
    trace, agent = (np.tile(codes_of(spans[column])[0], 2) for column in ("trace_id", "agent_id"))
    name, _ = codes_of(pd.concat([spans["id"].astype("str"), spans["parent_id"].astype("str")], ignore_index=True))
    ranks = dense_ranks(trace, agent, name)
    own, parent = ranks[:count], ranks[count:]
    known = (name[count:] >= 0) & np.isin(parent, own)
    parent = np.where(known, parent, -1)
    return own, np.where(in_cycle(own, parent), -1, parent)


def in_cycle(own: Int64Array, parent: Int64Array) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the spans that are their own ancestors: after enough doublings, every step stands on a cycle or on nothing."""
    nowhere = int(own.max(initial=-1)) + 1
    step = np.full(nowhere + 1, nowhere, dtype=np.int64)
    step[own[parent >= 0]] = parent[parent >= 0]
    for _ in range(nowhere.bit_length()):
        step = step[step]
    cyclic = np.zeros(nowhere + 1, dtype=bool)
    cyclic[step] = True
    cyclic[nowhere] = False
    return cyclic[own]


def dense_ranks(*keys: Int64Array) -> Int64Array:
    """One rank for each distinct tuple of keys."""
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), dtype=np.int64)
    new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    ranks: Int64Array = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(new)
    return ranks


def pieces_of(row: Int64Array) -> Int64Array:
    """Running number of each entry among those of the same row, for rows in order."""
    if not len(row):
        return row
    first = np.append(True, row[1:] != row[:-1])
    count = np.arange(len(row))
    number: Int64Array = count - count[first][np.cumsum(first) - 1]
    return number
