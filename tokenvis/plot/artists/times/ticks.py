"""Ticks of the time axis: at round times, as dense as their labels allow, and none inside a folded gap."""

from collections.abc import Callable, Sequence
from math import ceil, log10
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, Locator

from tokenvis.plot.artists.style import font_sizes, is_narrow
from tokenvis.plot.artists.text import text_width
from tokenvis.plot.artists.times.durations import DAY, HOUR, MINUS, MINUTE, SECOND, offset_text
from tokenvis.spans.columns import YEAR_10000
from tokenvis.spans.integers import Float64Array, Int64Array

TICK_DISTANCES_POINTS = (64.0, 80.0, 100.0, 130.0, 180.0)  # tried until the labels fit
LABEL_GAP_EMS = 1.0
MIN_TICK_SHARE = 0.85  # of a step: ticks after a fold, or a change of the clock, may be closer than a step
CALENDAR = -30_000_000_000 * SECOND, YEAR_10000 - DAY  # µs since 1970 that have a date, in any time zone
TimeDisplay: TypeAlias = Literal["elapsed", "clock", "step"]


def nice_step(min_step: float, *, decimal: bool = False) -> int:
    """The smallest round step that is at least ``min_step``: 1, 2, 5 of a unit, then 15 and 30 s, 6 and 12 h, ..."""
    min_step = max(min_step, 1.0)
    steps = [] if decimal else [n * SECOND for n in (1, 2, 5, 10, 15, 30)] + [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    steps += [] if decimal else [n * HOUR for n in (1, 2, 3, 6, 12)]
    base = 1 if decimal or min_step <= SECOND // 2 else DAY
    n_powers = max(ceil(log10(min_step / base)), 0) + 1
    steps += [n * base * 10**power for power in range(n_powers) for n in (1, 2, 5)]
    return min(step for step in steps if step >= min_step)


class TimeLocator(Locator):
    """Ticks at round times in each visible stretch of time, none inside a fold."""

    axis: Any

    def __init__(
        self,
        segments: Sequence[tuple[float, float]],
        to_offset: Callable[[Any], Any],
        to_x: Callable[[Any], Any],
        *,
        decimal: bool = False,
        origin: int = 0,
        tz: str = "",
    ) -> None:
        """Times are round if they are so from ``origin``: µs from 0 to the time map's origin; with ``tz``, in local time."""
        self.segments, self.to_offset, self.to_x = list(segments), to_offset, to_x
        self.decimal, self.origin, self.tz = decimal, origin, tz

    def __call__(self) -> list[float]:
        """Tick positions for the current view."""
        low, high = sorted(self.axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Tick positions between two positions."""
        if vmax <= vmin:
            return [vmin]
        points = 640.0 if self.axis is None else self.axis.axes.bbox.width * 72 / self.axis.axes.figure.dpi
        positions: list[float] = []
        for distance in TICK_DISTANCES_POINTS:
            step = nice_step((vmax - vmin) * distance / max(points, distance), decimal=self.decimal)
            positions = self.positions_between(vmin, vmax, step)
            if self.label_points(positions) <= step * points / (vmax - vmin):
                break
        return positions

    def label_points(self, positions: list[float]) -> float:
        """The width of the widest label at these positions, and of the gap after it, in points."""
        if self.axis is None or not positions:
            return 0.0
        labels = self.axis.get_major_formatter().format_ticks(positions)
        size = font_sizes(self.axis.axes).tick
        return max(text_width(line, size) for label in labels for line in label.split("\n")) + LABEL_GAP_EMS * size

    def positions_between(self, vmin: float, vmax: float, step: int) -> list[float]:
        """The positions of all multiples of a step, those close after a fold left out."""
        low, high = self.to_offset(np.array([vmin, vmax], dtype=float)).tolist()
        starts = [low, *(start for start, _ in self.segments[1:])]
        ends = [*(end for _, end in self.segments[:-1]), high]
        positions: list[float] = []
        for start, end in zip(starts, ends, strict=True):
            first, last = max(start, low), min(end, high)
            if first <= last:
                positions += self.round_times(first, last, step, positions[-1] if positions else -np.inf)
        return positions

    def round_times(self, first: float, last: float, step: int, after: float) -> list[float]:
        """Positions of the round times of a stretch that are far enough from the previous tick."""
        shift = (self.origin + utc_offset(self.origin, self.tz)) % step if self.tz else self.origin % step
        counts = np.arange(np.ceil((first + shift) / step), np.floor((last + shift) / step) + 1)
        offsets = counts * step - shift
        if self.tz:
            offsets = round_local_times(offsets, self.origin, self.tz, step)
            offsets = offsets[(offsets >= first) & (offsets <= last)]
        distant = []
        for position in self.to_x(offsets).tolist() if len(offsets) else []:
            if position - after >= MIN_TICK_SHARE * step:
                distant.append(position)
                after = position
        return distant


def utc_offset(time: int, tz: str) -> int:
    """The µs by which local time is ahead of UTC."""
    return int(local_times(np.array([time], dtype=float), tz)[1][0])


def local_times(times: Float64Array, tz: str) -> tuple[pd.DatetimeIndex, Int64Array]:
    """Times in µs since 1970 in a time zone, as far as the calendar reaches, and the µs by which each is ahead of UTC."""
    known = np.clip(np.round(times), *CALENDAR).astype(np.int64)
    local = pd.to_datetime(known, unit="us", utc=True).tz_convert(tz)
    wall = local.tz_localize(None).as_unit("us").asi8
    return local, wall - known


def round_local_times(offsets: Float64Array, origin: int, tz: str, step: int) -> Float64Array:
    """Times that are round in local time at the origin, moved so that they are so where the clock has been changed since.

    A change of an hour moves no tick of half an hour. A time that the clock skips is left out.
    """
    at_origin = utc_offset(origin, tz)
    changes = local_times(offsets + origin, tz)[1] - at_origin
    moved = offsets - np.where(changes % step, changes, 0)
    return np.unique(moved[(moved == offsets) | (local_times(moved + origin, tz)[1] - at_origin == changes)])


class ElapsedFormatter(Formatter):
    """Labels of round times as time since the origin; or as step numbers, if given that of the origin."""

    def __init__(self, to_offset: Callable[[Any], Any], *, first_step: int | None = None) -> None:
        self.to_offset, self.first_step = to_offset, first_step

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label at a position."""
        offset = round(float(self.to_offset(np.array([x]))[0]))
        return offset_text(offset) if self.first_step is None else f"{self.first_step + offset:,}"


class ClockFormatter(Formatter):
    """Labels as clock time in a time zone, with the date under the first tick and at each change of day."""

    def __init__(self, to_offset: Callable[[Any], Any], *, origin: int, tz: str) -> None:
        self.to_offset, self.origin, self.tz = to_offset, origin, tz

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label at a position."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of all ticks; where the clock is changed within a day, with the new offset from UTC."""
        times = self.to_offset(np.asarray(values, dtype=float)) + self.origin
        timestamps, ahead = local_times(times, self.tz)
        is_known = (times >= CALENDAR[0]) & (times <= CALENDAR[1])
        time_format = "%H:%M:%S" if (timestamps.second + timestamps.microsecond).any() else "%H:%M"
        labels = []
        day, before = None, 0
        for timestamp, offset, known in zip(timestamps, ahead.tolist(), is_known.tolist(), strict=True):
            text = timestamp.strftime(time_format)
            if timestamp.microsecond:
                text += f".{timestamp.microsecond:06d}".rstrip("0")
            if timestamp.date() != day:
                text += f"\n{timestamp.day} {timestamp.strftime('%b %Y')}"
            elif offset != before:
                text += f"\n{offset_name(offset)}"
            labels.append(text if known else "")
            day, before = timestamp.date(), offset
        return labels


def offset_name(offset: int) -> str:
    """The offset of a time zone as text: "UTC+1", "UTC−3:30"."""
    hours, minutes = divmod(abs(offset) // MINUTE, 60)
    return f"UTC{MINUS if offset < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}"


def set_time_axis(axes: Axes, mapping: Any, *, time: TimeDisplay, tz: str) -> None:
    """Set the locator, formatter and label of a time axis for a time map (`tokenvis.layout.time_map.TimeMap`)."""
    decimal = time == "step"
    round_from: dict[str, Any] = {"origin": mapping.origin} if decimal else {}
    formatter: Formatter = ElapsedFormatter(mapping.to_offset, first_step=mapping.origin if decimal else None)
    if time == "clock":
        round_from = {"origin": mapping.origin, "tz": tz}
        formatter = ClockFormatter(mapping.to_offset, origin=mapping.origin, tz=tz)
    axes.xaxis.set_major_locator(
        TimeLocator(mapping.segments, mapping.to_offset, mapping.offset_to_x, decimal=decimal, **round_from)
    )
    axes.xaxis.set_major_formatter(formatter)
    label = {"elapsed": "elapsed time", "clock": f"time ({tz})", "step": "step"}[time]
    folded = "gaps without work folded" if mapping.folds_waits else "idle gaps folded"
    if is_narrow(axes):  # the whole label is wider than a narrow picture
        folded = "gaps folded"
    axes.set_xlabel(f"{label}, {folded}" if len(mapping.folds) else label)
