"""Lanes: where each span stands when spans that overlap may not share a row.

The greedy sweep line for interval partitioning: spans by start, end, agent, id; each takes the lowest lane of its band that is
free. It needs as many lanes as spans run at once, the fewest there can be (Kleinberg and Tardos, "Algorithm Design", 4.1). An
instant takes its own microsecond: it is packed as [t, t + 1).
"""

from collections.abc import Iterable
from heapq import heappop, heappush

import numpy as np
import pandas as pd

from tokenvis.arrays import Int64Array
from tokenvis.columns import codes_of, order_of, require, times_of
from tokenvis.errors import BadOption, listed, several

BAND_GAP = 0.4


def pack_lanes(spans: pd.DataFrame, *, by: str = "location_id") -> pd.DataFrame:
    """Give each span a lane within its band, so that no two spans of a lane overlap.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        The column whose values make the bands.

    Returns
    -------
    DataFrame
        A row for each span, in the order trace_id, start_time, end_time, agent_id, id, with the index of ``spans``:
        ``trace_id``, ``id``, ``band`` (the value of ``by``), ``lane`` (int64, from 0). Traces are packed apart. The number of
        lanes of a band is the largest number of its spans that run at once.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or lacks the column ``by``.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Ann"], "location_id": "desk",
    ...     "start_time": [0, 5, 10], "end_time": [10, 20, 12],
    ... })
    >>> pack_lanes(spans)
      trace_id id  band  lane
    0        t  a  desk     0
    1        t  b  desk     1
    2        t  c  desk     0
    """
    require(spans, by)
    packed = spans.iloc[order_of(spans, "trace_id")]
    start, end = times_of(packed)
    trace, band = codes_of(packed["trace_id"])[0], codes_of(packed[by])[0]
    lane = lowest_free_lanes(trace * (band.max(initial=0) + 2) + band, start, np.where(end > start, end - 1, start))
    table = {"trace_id": packed["trace_id"], "id": packed["id"], "band": packed[by], "lane": lane}
    return pd.DataFrame(table, index=packed.index)


def lowest_free_lanes(band: Int64Array, start: Int64Array, last: Int64Array) -> Int64Array:
    """Lane of each span; within a band spans come in order, and ``last`` is the last microsecond that a span takes.

    The sweep is sequential, so it is a loop over events; all sorting is done before it. A start comes before a release at the
    same microsecond, since that microsecond is still taken.
    """
    count = len(start)
    both = np.arange(2 * count)
    order = np.lexsort((both, np.concatenate([start, last]), np.concatenate([band, band])))
    lanes = [0] * count
    free: list[int] = []
    used = 0
    current = None
    bands = band.tolist()
    for event in order.tolist():
        if event >= count:
            heappush(free, lanes[event - count])
            continue
        if bands[event] != current:
            current, used = bands[event], 0
            free.clear()
        if free:
            lanes[event] = heappop(free)
        else:
            lanes[event] = used
            used += 1
    return np.array(lanes, dtype=np.int64)


def place_spans(
    spans: pd.DataFrame, *, by: str = "location_id", order: Iterable[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Place the spans of one trace in rows: bands from the top down, and the packed lanes of each.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values make the bands.
    order
        Bands that come first, in this order; the others follow by first start (ties: end, agent, id).

    Returns
    -------
    rows : DataFrame
        The table of `pack_lanes` with ``y`` (float64: the middle of the span's row, in lanes from the top).
    bands : DataFrame
        A row for each band, from the top: ``band``, ``n_lanes`` (int64), ``top`` (float64, in lanes). Between two bands
        `BAND_GAP` of a lane is free.

    Raises
    ------
    BadOption
        ``order`` names a band that is not there, or one twice.
    """
    rows = pack_lanes(spans, by=by)
    codes, labels = codes_of(rows["band"])
    if (codes < 0).any():
        codes, labels = np.where(codes < 0, len(labels), codes), labels.append(pd.Index([None], dtype=object))
    stacked = np.array(stacking(codes, labels.tolist(), order), dtype=np.int64)
    depth = np.zeros(len(labels), dtype=np.int64)
    np.maximum.at(depth, codes, rows["lane"].to_numpy() + 1)
    n_lanes = depth[stacked]
    top = np.cumsum(n_lanes) - n_lanes + np.arange(len(stacked)) * BAND_GAP
    bands = pd.DataFrame({"band": labels[stacked], "n_lanes": n_lanes, "top": top})
    top_of = np.empty(len(labels))
    top_of[stacked] = top
    return rows.assign(y=top_of[codes] + rows["lane"] + 0.5), bands


def stacking(codes: Int64Array, labels: list[str], order: Iterable[str] | None) -> list[int]:
    """Codes of the bands from the top: those that ``order`` names, then the others as they appear."""
    first = [] if order is None else several("order", order)
    if len(set(first)) < len(first) or not set(first) <= set(labels):
        raise BadOption(f"order={listed(first)} does not fit: it may name each band once, of {listed(labels)}.")
    return list(dict.fromkeys([labels.index(name) for name in first] + codes.tolist()))
