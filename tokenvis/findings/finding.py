"""A finding: something to know about spans of each trace, of one kind."""

from typing import NamedTuple

import numpy as np

from tokenvis.spans.integers import Int64Array, sums


class Finding(NamedTuple):
    """Rows with one kind of finding; the duration for each, or None; the number of spans for each, or None for one each.

    ``detail`` follows the meaning of the kind.
    """

    kind: str
    rows: Int64Array
    time: Int64Array | None = None
    n_spans: Int64Array | None = None
    detail: str = ""


def time_by_row(kind: str, rows: Int64Array, time: Int64Array) -> Finding:
    """A finding with one entry for each row, and the sum of its times."""
    distinct, position = np.unique(rows, return_inverse=True)
    return Finding(kind, distinct, sums(position.reshape(-1), time, len(distinct)))


def at_first_row(trace: Int64Array, values: Int64Array) -> Int64Array:
    """The value of each trace at its first row, 0 at the others, so that the rows of a trace add up to its value."""
    at_first = np.zeros(len(trace), dtype=np.int64)
    first = np.unique(trace, return_index=True)[1]
    at_first[first] = values[trace[first]]
    return at_first
