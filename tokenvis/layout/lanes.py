"""Lanes: the row of each span within its band, so that spans that overlap never share a row.

This is the greedy sweep line for interval partitioning: in the order start, end, agent, id, each span takes the lowest free
lane of its band. A band needs as many lanes as its spans run at once, which is the minimum (Kleinberg and Tardos, "Algorithm
Design", 4.1). An instant occupies its own microsecond: it is packed as [t, t + 1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, name_list
from tokenvis.spans.columns import codes_of, order_of, order_with_ids, ranks_of, require, times_of
from tokenvis.spans.integers import Float64Array, Int64Array, Mask, counts, highest_of, inverse_permutation, lowest_of
from tokenvis.spans.intervals import number_in_run, running_counts

PACKED_AT_ONCE = 65_536  # whose times are Python numbers at once
BAND_GAP = 0.4  # between two bands, in lanes
MAX_FOLDED_LANES = 3.0  # maximum height of a folded band, in lanes
MIN_LANES_PER_BAND = (
    16.0  # a band whose spans fit into this many lanes, one per pixel, is not folded before its lanes are counted
)


def pack_lanes(spans: pd.DataFrame, *, by: str = "location_id") -> pd.DataFrame:
    """Give each span a lane within its band, so that the spans of a lane never overlap.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        The column whose values define the bands.

    Returns
    -------
    DataFrame
        A row for each span, in the order trace_id, start_time, end_time, agent_id, id, with the index of ``spans``:
        ``trace_id``, ``id``, ``band`` (the value of ``by``), ``lane`` (int64, from 0). Each trace is packed separately. The
        number of lanes of a band is the largest number of its spans that run at once.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, or has no column ``by``.

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
    trace, band = ranks_of(packed["trace_id"]), ranks_of(packed[by])
    lane = lowest_free_lanes(trace * (band.max(initial=0) + 2) + band, start, last_microseconds(start, end))
    table = {"trace_id": packed["trace_id"], "id": packed["id"], "band": packed[by], "lane": lane}
    return pd.DataFrame(table, index=packed.index)


def last_microseconds(start: Int64Array, end: Int64Array) -> Int64Array:
    """The last microsecond that each span occupies."""
    return np.where(end > start, end - 1, start)


def lowest_free_lanes(band: Int64Array, start: Int64Array, last: Int64Array) -> Int64Array:
    """The lowest free lane of each span.

    ``last`` is the last microsecond that a span occupies: its lane is free again after it. The sweep over the starts of a band
    is sequential, so it is a loop, over blocks of Python numbers; all sorting happens before it.
    """
    lanes = np.zeros(len(start), dtype=np.int64)
    busy: list[tuple[int, int]] = []  # the last microsecond and the lane of each span that may still run
    free: list[int] = []
    current_band, n_used = None, 0
    order = np.lexsort((start, band))
    for first in range(0, len(order), PACKED_AT_ONCE):
        rows = order[first : first + PACKED_AT_ONCE]
        lanes_of_rows = []
        for row_band, row_start, row_last in zip(*(values[rows].tolist() for values in (band, start, last)), strict=True):
            if row_band != current_band:
                current_band, n_used = row_band, 0
                busy.clear()
                free.clear()
            while busy and busy[0][0] < row_start:
                heappush(free, heappop(busy)[1])
            lane = heappop(free) if free else n_used
            n_used += lane == n_used
            heappush(busy, (row_last, lane))
            lanes_of_rows.append(lane)
        lanes[rows] = lanes_of_rows
    return lanes


@dataclass(frozen=True)
class Placement:
    """The positions of the spans of a trace: bands from the top down, and rows in each band.

    ``row`` (int64) is the row of each span, in the order of the frame. ``rows`` has ``top, height`` (float64, in lanes from the
    top) and ``is_lane`` (bool): whether its spans never overlap. ``bands`` has ``band`` (the value), ``top, height``,
    ``n_spans`` (int64) and ``is_folded`` (bool): whether all its spans share one row.
    """

    row: Int64Array
    rows: pd.DataFrame
    bands: pd.DataFrame

    @property
    def height(self) -> float:
        """The height of all bands, in lanes."""
        return float((self.bands["top"] + self.bands["height"]).max()) if len(self.bands) else 1.0

    @property
    def middle(self) -> Float64Array:
        """The middle of each span's row, in lanes from the top."""
        middle: Float64Array = (self.rows["top"] + self.rows["height"] / 2).to_numpy()[self.row]
        return middle


def place_spans(
    spans: pd.DataFrame,
    *,
    by: str = "location_id",
    order: Iterable[str] | None = None,
    max_lanes: float = np.inf,
    width_px: float = np.inf,
    wrappers: Mask | None = None,
) -> Placement:
    """Place the spans of one trace: bands from the top down, each with its packed lanes as far as they fit.

    A band is folded into one row if its lanes would be too fine to see: if its spans get less than a pixel each, or if not all
    lanes fit, the deepest bands first. Bands that still do not fit are merged into one.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values define the bands.
    order
        Bands that come first, in this order; the others follow by first start (ties: end, agent, id).
    max_lanes
        The number of lanes that fit into the picture.
    width_px
        The width of the picture, in pixels.
    wrappers
        The rows whose agents only wait (`wrapper_rows`): bands with only such spans follow all others that ``order`` does not
        name.

    Raises
    ------
    BadOption
        ``order`` contains an unknown band, or a band twice.
    """
    codes, labels = codes_of(spans[by])
    if (codes < 0).any():
        codes, labels = np.where(codes < 0, len(labels), codes), labels.append(pd.Index([None], dtype=object))
    start, end = times_of(spans)
    works = np.ones(len(labels), dtype=bool) if wrappers is None else counts(codes[~wrappers], len(labels)) > 0
    rank = inverse_permutation(np.array(band_order(spans, codes, labels.tolist(), order, works), dtype=np.int64))
    names = labels[np.argsort(rank)].astype(object).tolist()
    band_code = rank[codes]
    max_bands = max(int(max_lanes // (1 + BAND_GAP)), 1) if np.isfinite(max_lanes) else len(names)
    if len(names) > max_bands:
        band_code = np.minimum(band_code, max_bands - 1)
        names[max_bands - 1 :] = [f"{len(names) - max_bands + 1:,} others"]
    n_spans = counts(band_code, len(names))
    height, folded = fold_bands(band_code, n_spans, start, end, max_lanes, width_px)
    if len(names) < len(labels):
        height[-1], folded[-1] = MAX_FOLDED_LANES, True
    top = np.cumsum(height) - height + np.arange(len(height)) * BAND_GAP
    folding = {"height": height, "n_spans": n_spans, "is_folded": folded}
    bands = pd.DataFrame({"band": pd.Series(names, dtype=object), "top": top, **folding})
    rows, first = rows_in_bands(bands)
    row = first[band_code]
    unfolded = np.flatnonzero((~folded & (height > 1))[band_code])
    if len(unfolded):
        agent = ranks_of(spans["agent_id"].iloc[unfolded])
        unfolded = unfolded[order_with_ids(spans, band_code[unfolded], start[unfolded], end[unfolded], agent, row=unfolded)]
        row[unfolded] += lowest_free_lanes(
            band_code[unfolded], start[unfolded], last_microseconds(start[unfolded], end[unfolded])
        )
    return Placement(row, rows, bands)


def fold_bands(
    band: Int64Array, n_spans: Int64Array, start: Int64Array, end: Int64Array, max_lanes: float, width_px: float
) -> tuple[Float64Array, Mask]:
    """The height of each band in lanes, and whether it is folded."""
    n_bands = len(n_spans)
    folded = n_spans > width_px * max(max_lanes / max(n_bands, 1), MIN_LANES_PER_BAND)
    unfolded = np.flatnonzero(~folded[band])
    of_band, _, running = running_counts(band[unfolded], start[unfolded], last_microseconds(start[unfolded], end[unfolded]) + 1)
    n_lanes = np.maximum(highest_of(of_band, running, n_bands), 0).astype(float)
    folded |= (n_spans > width_px * n_lanes) & (n_lanes > 1)
    height = np.where(folded, np.where(n_lanes > 0, np.minimum(n_lanes, MAX_FOLDED_LANES), MAX_FOLDED_LANES), n_lanes)
    for max_height in sorted(set(height[~folded].tolist()), reverse=True):
        if height.sum() + BAND_GAP * (n_bands - 1) <= max_lanes or max_height <= 1:
            break
        folded |= n_lanes >= max_height
        height = np.where(folded, np.minimum(height, MAX_FOLDED_LANES), height)
    return height, folded


def rows_in_bands(bands: pd.DataFrame) -> tuple[pd.DataFrame, Int64Array]:
    """The rows of all bands from the top down, and the number of each band's first row."""
    n_rows = np.where(bands["is_folded"], 1, bands["height"]).astype(np.int64)
    of_band = bands.loc[np.repeat(np.arange(len(bands)), n_rows)]
    is_lane = ~of_band["is_folded"].to_numpy()
    height = np.where(is_lane, 1.0, of_band["height"])
    rows = {"top": of_band["top"].to_numpy() + number_in_run(n_rows), "height": height, "is_lane": is_lane}
    return pd.DataFrame(rows), np.cumsum(n_rows) - n_rows


def band_order(
    spans: pd.DataFrame, codes: Int64Array, labels: list[str], order: Iterable[str] | None, works: Mask
) -> list[int]:
    """Codes of the bands from the top: those in ``order``, then by first appearance those that work, then the others."""
    named = [] if order is None else name_list("order", order)
    if len(set(named)) < len(named) or not set(named) <= set(labels):
        raise BadOption(f"order={listed(named)} does not fit: name each band at most once, from {listed(labels)}.")
    start, end = times_of(spans)
    earliest = np.flatnonzero(start == first_starts(codes, start, len(labels))[codes])
    agent = ranks_of(spans["agent_id"].iloc[earliest])
    appearance = order_with_ids(spans, start[earliest], end[earliest], agent, row=earliest)
    appeared = codes[earliest][appearance]
    by_appearance = np.concatenate([appeared[works[appeared]], appeared[~works[appeared]]])
    return list(dict.fromkeys([labels.index(name) for name in named] + by_appearance.tolist()))


def first_starts(codes: Int64Array, start: Int64Array, n_codes: int) -> Int64Array:
    """The first start of each code. Rows in order of start, as in a loaded frame, need no search."""
    if (start[1:] < start[:-1]).any():
        return lowest_of(codes, start, n_codes)
    first = np.zeros(n_codes, dtype=np.int64)
    first[codes[::-1]] = start[::-1]
    return first
