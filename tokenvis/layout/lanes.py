"""Lanes: where each span stands when spans that overlap may not share a row.

The greedy sweep line for interval partitioning: spans by start, end, agent, id; each takes the lowest lane of its band that is
free. It needs as many lanes as spans run at once, the fewest there can be (Kleinberg and Tardos, "Algorithm Design", 4.1). An
instant takes its own microsecond: it is packed as [t, t + 1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, name_list
from tokenvis.spans.columns import codes_of, order_of, require, rows_by, times_of
from tokenvis.spans.integers import Floats, Int64Array, Mask, counts, highest_of, lowest_of
from tokenvis.spans.intervals import number_in_run, steps

BAND_GAP = 0.4  # between two bands, in lanes
STRIP = 3.0  # height of a folded band, in lanes, at most
DEEP = 16.0  # lanes that a band may always have before they are counted


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
    lane = lowest_free_lanes(trace * (band.max(initial=0) + 2) + band, start, last_of(start, end))
    table = {"trace_id": packed["trace_id"], "id": packed["id"], "band": packed[by], "lane": lane}
    return pd.DataFrame(table, index=packed.index)


def last_of(start: Int64Array, end: Int64Array) -> Int64Array:
    """The last microsecond that each span takes."""
    return np.where(end > start, end - 1, start)


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


@dataclass(frozen=True)
class Placement:
    """Where the spans of a trace stand: bands from the top down, and in each band rows.

    ``row`` (int64) is the row of each span, in the order of the frame. ``rows`` has ``top, height`` (float64, in lanes from the
    top) and ``is_lane`` (bool): whether no two of its spans overlap. ``bands`` has ``band`` (the value), ``top, height``,
    ``n_spans`` (int64) and ``is_folded`` (bool): whether all its spans stand in one row.
    """

    row: Int64Array
    rows: pd.DataFrame
    bands: pd.DataFrame

    @property
    def height(self) -> float:
        """Height of all bands, in lanes."""
        return float((self.bands["top"] + self.bands["height"]).max()) if len(self.bands) else 1.0

    @property
    def middle(self) -> Floats:
        """Middle of each span's row, in lanes from the top."""
        middle: Floats = (self.rows["top"] + self.rows["height"] / 2).to_numpy()[self.row]
        return middle


def place_spans(
    spans: pd.DataFrame,
    *,
    by: str = "location_id",
    order: Iterable[str] | None = None,
    room: float = np.inf,
    columns: float = np.inf,
) -> Placement:
    """Place the spans of one trace: bands from the top down, in each the packed lanes, as many as there is room for.

    A band is folded into one row where its lanes would be finer than the picture: where its spans get less than a column each,
    and where all lanes need more room than there is, the deepest bands first. Bands beyond what fits are one.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values make the bands.
    order
        Bands that come first, in this order; the others follow by first start (ties: end, agent, id).
    room
        How many lanes fit into the picture.
    columns
        How many pixels it is wide.

    Raises
    ------
    BadOption
        ``order`` names a band that is not there, or one twice.
    """
    codes, labels = codes_of(spans[by])
    if (codes < 0).any():
        codes, labels = np.where(codes < 0, len(labels), codes), labels.append(pd.Index([None], dtype=object))
    start, end = times_of(spans)
    rank = ranks_of(stacking(spans, codes, labels.tolist(), order))
    names = labels[np.argsort(rank)].astype(object).tolist()
    band = rank[codes]
    most = max(int(room // (1 + BAND_GAP)), 1) if np.isfinite(room) else len(names)
    if len(names) > most:
        band = np.minimum(band, most - 1)
        names[most - 1 :] = [f"{len(names) - most + 1:,} others"]
    n_spans = counts(band, len(names))
    depth, folded = depths(band, n_spans, start, end, room, columns)
    if len(names) < len(labels):
        depth[-1], folded[-1] = STRIP, True
    top = np.cumsum(depth) - depth + np.arange(len(depth)) * BAND_GAP
    folding = {"height": depth, "n_spans": n_spans, "is_folded": folded}
    bands = pd.DataFrame({"band": pd.Series(names, dtype=object), "top": top, **folding})
    rows, first = rows_of(bands)
    row = first[band]
    kept = np.flatnonzero((~folded & (depth > 1))[band])
    if len(kept):
        agent = codes_of(spans["agent_id"].iloc[kept])[0]
        kept = kept[rows_by(spans, band[kept], start[kept], end[kept], agent, row=kept)]
        row[kept] += lowest_free_lanes(band[kept], start[kept], last_of(start[kept], end[kept]))
    return Placement(row, rows, bands)


def depths(
    band: Int64Array, n_spans: Int64Array, start: Int64Array, end: Int64Array, room: float, columns: float
) -> tuple[Floats, Mask]:
    """Height of each band in lanes, and whether it is folded."""
    n_bands = len(n_spans)
    folded = n_spans > columns * max(room / max(n_bands, 1), DEEP)
    rows = np.flatnonzero(~folded[band])
    of_band, _, running = steps(band[rows], start[rows], last_of(start[rows], end[rows]) + 1)
    n_lanes = np.maximum(highest_of(of_band, running, n_bands), 0).astype(float)
    folded |= (n_spans > columns * n_lanes) & (n_lanes > 1)
    depth = np.where(folded, np.where(n_lanes > 0, np.minimum(n_lanes, STRIP), STRIP), n_lanes)
    for deepest in sorted(set(depth[~folded].tolist()), reverse=True):
        if depth.sum() + BAND_GAP * (n_bands - 1) <= room or deepest <= 1:
            break
        folded |= n_lanes >= deepest
        depth = np.where(folded, np.minimum(depth, STRIP), depth)
    return depth, folded


def rows_of(bands: pd.DataFrame) -> tuple[pd.DataFrame, Int64Array]:
    """The rows of all bands, one below the other, and the first of each band."""
    n_rows = np.where(bands["is_folded"], 1, bands["height"]).astype(np.int64)
    of_band = bands.loc[np.repeat(np.arange(len(bands)), n_rows)]
    is_lane = ~of_band["is_folded"].to_numpy()
    height = np.where(is_lane, 1.0, of_band["height"])
    rows = {"top": of_band["top"].to_numpy() + number_in_run(n_rows), "height": height, "is_lane": is_lane}
    return pd.DataFrame(rows), np.cumsum(n_rows) - n_rows


def stacking(spans: pd.DataFrame, codes: Int64Array, labels: list[str], order: Iterable[str] | None) -> list[int]:
    """Codes of the bands from the top: those that ``order`` names, then the others as they appear."""
    first = [] if order is None else name_list("order", order)
    if len(set(first)) < len(first) or not set(first) <= set(labels):
        raise BadOption(f"order={listed(first)} does not fit: it may name each band once, of {listed(labels)}.")
    start, end = times_of(spans)
    earliest = np.flatnonzero(start == first_starts(codes, start, len(labels))[codes])
    agent = codes_of(spans["agent_id"].iloc[earliest])[0]
    appear = rows_by(spans, start[earliest], end[earliest], agent, row=earliest)
    return list(dict.fromkeys([labels.index(name) for name in first] + codes[earliest][appear].tolist()))


def first_starts(codes: Int64Array, start: Int64Array, n_codes: int) -> Int64Array:
    """The first start of each code; rows in order of start, as a frame has them, need no search."""
    if (start[1:] < start[:-1]).any():
        return lowest_of(codes, start, n_codes)
    first = np.zeros(n_codes, dtype=np.int64)
    first[codes[::-1]] = start[::-1]
    return first


def ranks_of(order: list[int]) -> Int64Array:
    """The position of each number in an order."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
