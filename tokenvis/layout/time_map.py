"""The time map: from microseconds to places on a time axis, and back.

A place is counted in microseconds from the map's origin. Where most of a trace is idle, long gaps, in which nothing runs, are
folded: each becomes a break of one small width. Between breaks time stays linear, one for one.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import check_choice
from tokenvis.spans.columns import EPOCH, require, times_of
from tokenvis.spans.integers import Floats, Int64Array

Gaps: TypeAlias = Literal["fold", "keep"]

IDLE_SHARE = 0.5  # gaps are folded where idle time is more of the wall time than this
SHORTEST_GAP = 0.05  # and then those longer than this share of the active time
MOST_FOLDS = 40  # and of those no more than so many, the longest
BREAK_WIDTH = 0.025  # a break takes this share of the kept time,
BREAKS_WIDTH = 0.25  # and all of them together at most this


@dataclass(frozen=True)
class TimeMap:
    """Where times stand on the axis: piecewise linear through the knots (offset from the origin, place).

    ``folds`` is a table of the folded gaps: ``start, end`` (int64, µs), ``x0, x1`` (float64, places).
    """

    origin: int
    offsets: Floats
    places: Floats
    folds: pd.DataFrame

    def to_x(self, times: Int64Array) -> Floats:
        """Places of times, as float64."""
        return through(offsets_from(self.origin, times), self.offsets, self.places)

    def to_offset(self, places: Floats) -> Floats:
        """Microseconds since the origin, at places."""
        return through(places, self.places, self.offsets)

    def offset_to_x(self, offsets: Floats) -> Floats:
        """Places of times that are given as µs since the origin."""
        return through(offsets, self.offsets, self.places)

    @property
    def segments(self) -> list[tuple[float, float]]:
        """The stretches of time between folds, as offsets from the origin."""
        edges = self.offsets.tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))


def time_map(spans: pd.DataFrame, *, gaps: Gaps = "fold") -> TimeMap:
    """Lay out the time axis of a trace.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    gaps
        "fold": where idle time is more than half of the wall time, gaps longer than 5% of the active time become breaks, the
        40 longest at most; a trace of instants alone has no active time, and no breaks. "keep": time is linear throughout.

    Returns
    -------
    TimeMap
        Its origin is 0 where times count from 0, and the first start where they count from 1970 (from the year 2000 on).

    Raises
    ------
    BadOption
        ``gaps`` is neither.
    """
    require(spans)
    check_choice("gaps", gaps, ("fold", "keep"))
    start, end = times_of(spans)
    if not len(start):
        return linear_map(0, np.array([0.0, 1.0]))
    first, last = int(start.min()), int(end.max())
    origin = 0 if abs(first) < EPOCH else first
    ends = offsets_from(origin, np.array([first, last]))
    if gaps == "keep":
        return linear_map(origin, ends)
    idle_from, idle_to, active = idle_of(start, end)
    idle = idle_to.astype(float) - idle_from
    longest = np.sort(idle)[::-1]
    folded = idle > max(SHORTEST_GAP * active, longest[MOST_FOLDS] if len(longest) > MOST_FOLDS else 0)
    if not active or idle.sum() <= IDLE_SHARE * (idle.sum() + active) or not folded.any():
        return linear_map(origin, ends)
    return folded_map(origin, ends, idle_from[folded], idle_to[folded])


def idle_of(start: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array, float]:
    """Starts and ends of the stretches in which nothing is, and the time in which something runs.

    An instant takes a microsecond of the first, and no time of the second. What ran so far ends at the running maximum of the
    ends, so rows in order of start, as a frame has them, need no sort.
    """
    if (start[1:] < start[:-1]).any():
        order = np.argsort(start)
        start, end = start[order], end[order]
    run = np.maximum.accumulate(end)
    instant = end == start
    seen = np.maximum.accumulate(np.where(instant, start + 1, end)) if instant.any() else run
    idle = start[1:] > seen[:-1]
    pause = np.flatnonzero(start[1:] > run[:-1])
    paused = (start[1:][pause].astype(float) - run[:-1][pause]).sum()
    return seen[:-1][idle], start[1:][idle], float(run[-1]) - float(start[0]) - float(paused)


def linear_map(origin: int, ends: Floats) -> TimeMap:
    """A map without breaks."""
    return TimeMap(origin, ends, ends, fold_table(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0)))


def folded_map(origin: int, ends: Floats, fold_from: Int64Array, fold_to: Int64Array) -> TimeMap:
    """A map in which the gaps given are breaks of one width."""
    gap_from, gap_to = offsets_from(origin, fold_from), offsets_from(origin, fold_to)
    kept = (ends[1] - ends[0]) - (gap_to - gap_from).sum()
    width = kept * min(BREAK_WIDTH, BREAKS_WIDTH / len(gap_from))
    offsets = np.concatenate([ends[:1], np.column_stack([gap_from, gap_to]).ravel(), ends[1:]])
    steps = np.diff(offsets)
    steps[1::2] = width
    places = ends[0] + np.concatenate([[0.0], np.cumsum(steps)])
    return TimeMap(origin, offsets, places, fold_table(fold_from, fold_to, places[1:-1:2], places[2:-1:2]))


def fold_table(start: Int64Array, end: Int64Array, x0: Floats, x1: Floats) -> pd.DataFrame:
    """The folded gaps as a table."""
    return pd.DataFrame({"start": start, "end": end, "x0": x0, "x1": x1})


def offsets_from(origin: int, times: Int64Array) -> Floats:
    """Times as µs since the origin: exact while they lie within 2**53 µs (285 years) of it."""
    if len(times) and int(times.max()) - origin >= 2**63:
        return times.astype(np.float64) - origin
    return (times - origin).astype(np.float64)


def through(values: Floats, knots: Floats, images: Floats) -> Floats:
    """Piecewise linear interpolation, continued one for one beyond the ends."""
    if len(knots) == 2 and (knots == images).all():  # no folds
        return np.asarray(values, dtype=np.float64)
    inside = np.clip(values, knots[0], knots[-1])
    mapped: Floats = np.interp(inside, knots, images) + (values - inside)
    return mapped
