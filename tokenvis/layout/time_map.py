"""The time map: from microseconds to positions on a time axis, and back.

Positions are in microseconds from the map's origin. If most of a trace is idle, its long idle gaps are folded: each becomes a
break of one small width. Between breaks the axis is linear, one to one. A trace is idle while no span works, so a long wait
for a person is folded too.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import check_choice
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.integers import Float64Array, Int64Array
from tokenvis.tree.states import AGENT, PERSON, States

GapMode: TypeAlias = Literal["fold", "keep"]

FOLDING_IDLE_SHARE = 0.5  # gaps are folded if more than this share of the wall time is idle
MIN_FOLDED_GAP_SHARE = 0.05  # of the active time: only longer gaps are folded
MAX_FOLDS = 40  # only the longest gaps are folded
BREAK_WIDTH_SHARE = 0.025  # width of a break, as a share of the unfolded time
MAX_BREAKS_WIDTH_SHARE = 0.25  # of all breaks together

NO_STRETCHES = np.empty(0, np.int64), np.empty(0, np.int64)


@dataclass(frozen=True)
class TimeMap:
    """The position of each time on the axis: piecewise linear through the knots (offset from the origin, position).

    ``folds`` is a table of the folded gaps: ``start, end`` (int64, µs), ``x0, x1`` (float64, positions). ``folds_waits``:
    whether spans wait in them; else nothing runs.
    """

    origin: int
    offsets: Float64Array
    positions: Float64Array
    folds: pd.DataFrame
    folds_waits: bool = False

    def to_x(self, times: Int64Array) -> Float64Array:
        """The positions of times, as float64."""
        return interpolate(offsets_from(self.origin, times), self.offsets, self.positions)

    def to_offset(self, positions: Float64Array) -> Float64Array:
        """Microseconds since the origin at these positions."""
        return interpolate(positions, self.positions, self.offsets)

    def offset_to_x(self, offsets: Float64Array) -> Float64Array:
        """The positions of times that are given as µs since the origin."""
        return interpolate(offsets, self.offsets, self.positions)

    @property
    def segments(self) -> list[tuple[float, float]]:
        """The intervals of time between folds, as offsets from the origin."""
        edges = self.offsets.tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))


def time_map(spans: pd.DataFrame, *, gaps: GapMode = "fold", states: States | None = None) -> TimeMap:
    """Compute the time axis of a trace.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    gaps
        "fold": if more than half of the wall time is idle, gaps longer than 5% of the active time become breaks, at most the
        40 longest; a trace with only instants has no active time and no breaks. "keep": time is linear throughout.
    states
        The states of the spans (`states_of`): time in which spans only wait is a gap. By default all spans work.

    Returns
    -------
    TimeMap
        Its origin is the first start, whatever the times count from.

    Raises
    ------
    BadOption
        ``gaps`` is neither "fold" nor "keep".
    """
    require(spans)
    check_choice("gaps", gaps, ("fold", "keep"))
    start, end = times_of(spans)
    if not len(start):
        return linear_map(0, np.array([0.0, 1.0]))
    first, last = int(start.min()), int(end.max())
    origin, ends = first, offsets_from(first, np.array([first, last]))
    if gaps == "keep":
        return linear_map(origin, ends)
    wait_start, wait_end = NO_STRETCHES
    if states is not None and states.state.any():
        _, wait_start, wait_end = states.pieces(AGENT, PERSON)
        _, work_start, work_end = states.work()
        start, end = np.concatenate([[first], work_start, [last]]), np.concatenate([[first], work_end, [last]])
    idle_start, idle_end, active = idle_stretches(start, end)
    idle = idle_end.astype(float) - idle_start
    by_length = np.sort(idle)[::-1]
    folded = idle > max(MIN_FOLDED_GAP_SHARE * active, by_length[MAX_FOLDS] if len(by_length) > MAX_FOLDS else 0)
    if not active or idle.sum() <= FOLDING_IDLE_SHARE * (idle.sum() + active) or not folded.any():
        return linear_map(origin, ends)
    fold_from, fold_to = idle_start[folded], idle_end[folded]
    return replace(
        folded_map(origin, ends, fold_from, fold_to), folds_waits=any_overlap(wait_start, wait_end, fold_from, fold_to)
    )


def any_overlap(start: Int64Array, end: Int64Array, other_start: Int64Array, other_end: Int64Array) -> bool:
    """Whether any of these intervals overlaps one of the others, which are disjoint and sorted."""
    first = np.searchsorted(other_end, start, side="right")
    reached = first < len(other_start)
    return bool((other_start[first[reached]] < end[reached]).any())


def idle_stretches(start: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array, float]:
    """Starts and ends of the empty stretches, and the total time in which spans run.

    An instant occupies a microsecond in the stretches, and counts no time in the total. The spans so far end at the running
    maximum of the ends, so rows in order of start, as in a loaded frame, need no sort.
    """
    if (start[1:] < start[:-1]).any():
        order = np.argsort(start)
        start, end = start[order], end[order]
    running_end = np.maximum.accumulate(end)
    instant = end == start
    occupied_until = np.maximum.accumulate(np.where(instant, start + 1, end)) if instant.any() else running_end
    idle = start[1:] > occupied_until[:-1]
    paused_rows = np.flatnonzero(start[1:] > running_end[:-1])
    paused_us = (start[1:][paused_rows].astype(float) - running_end[:-1][paused_rows]).sum()
    return occupied_until[:-1][idle], start[1:][idle], float(running_end[-1]) - float(start[0]) - float(paused_us)


def linear_map(origin: int, ends: Float64Array) -> TimeMap:
    """A time map without breaks."""
    return TimeMap(origin, ends, ends, fold_table(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0)))


def folded_map(origin: int, ends: Float64Array, fold_from: Int64Array, fold_to: Int64Array) -> TimeMap:
    """A time map in which the given gaps are breaks of one width."""
    gap_from, gap_to = offsets_from(origin, fold_from), offsets_from(origin, fold_to)
    kept = (ends[1] - ends[0]) - (gap_to - gap_from).sum()
    break_width = kept * min(BREAK_WIDTH_SHARE, MAX_BREAKS_WIDTH_SHARE / len(gap_from))
    offsets = np.concatenate([ends[:1], np.column_stack([gap_from, gap_to]).ravel(), ends[1:]])
    widths = np.diff(offsets)
    widths[1::2] = break_width
    positions = ends[0] + np.concatenate([[0.0], np.cumsum(widths)])
    return TimeMap(origin, offsets, positions, fold_table(fold_from, fold_to, positions[1:-1:2], positions[2:-1:2]))


def fold_table(start: Int64Array, end: Int64Array, x0: Float64Array, x1: Float64Array) -> pd.DataFrame:
    """The folded gaps as a table."""
    return pd.DataFrame({"start": start, "end": end, "x0": x0, "x1": x1})


def offsets_from(origin: int, times: Int64Array) -> Float64Array:
    """Times as µs since the origin: exact within 2**53 µs (285 years) of it."""
    if len(times) and int(times.max()) - origin >= 2**63:
        return times.astype(np.float64) - origin
    return (times - origin).astype(np.float64)


def interpolate(values: Float64Array, knots: Float64Array, images: Float64Array) -> Float64Array:
    """Piecewise linear interpolation, continued one to one beyond the ends."""
    if len(knots) == 2 and (knots == images).all():  # no folds
        return np.asarray(values, dtype=np.float64)
    inside = np.clip(values, knots[0], knots[-1])
    mapped: Float64Array = np.interp(inside, knots, images) + (values - inside)
    return mapped
