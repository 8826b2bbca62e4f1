"""Ticks of the time axis: at round times, as dense as their labels allow, and none inside a folded gap."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, Locator

from tokenvis.plot.artists.style import font_sizes, is_narrow
from tokenvis.plot.artists.text import text_width
from tokenvis.plot.artists.times.durations import DAY, HOUR, MINUTE, SECOND, offset_text

TICK_DISTANCES_POINTS = (64.0, 80.0, 100.0, 130.0, 180.0)  # tried until the labels fit
LABEL_GAP_EMS = 1.0
TimeDisplay: TypeAlias = Literal["elapsed", "clock", "step"]


def nice_step(min_step: float, *, decimal: bool = False) -> int:
    """The smallest round step that is at least ``min_step``: 1, 2, 5 of a unit, then 15 and 30 s, 6 and 12 h, ..."""
    min_step = max(min_step, 1.0)
    steps = [] if decimal else [n * SECOND for n in (1, 2, 5, 10, 15, 30)] + [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    steps += [] if decimal else [n * HOUR for n in (1, 2, 3, 6, 12)]
    base = 1 if decimal or min_step <= SECOND // 2 else DAY
    steps += [n * base * 10**power for power in range(19) for n in (1, 2, 5)]
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
        shift: int = 0,
    ) -> None:
        self.segments, self.to_offset, self.to_x = list(segments), to_offset, to_x
        self.decimal, self.shift = decimal, shift

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
        counts = np.arange(np.ceil((first + self.shift) / step), np.floor((last + self.shift) / step) + 1)
        positions = self.to_x(counts * step - self.shift)
        return [position for position in positions.tolist() if position - after >= 0.85 * step] if len(positions) else []


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
        """The labels of all ticks."""
        offsets = np.round(self.to_offset(np.asarray(values, dtype=float))).astype(np.int64)
        timestamps = pd.to_datetime(offsets + self.origin, unit="us", utc=True).tz_convert(self.tz)
        time_format = "%H:%M:%S" if (timestamps.second + timestamps.microsecond).any() else "%H:%M"
        labels = []
        day = None
        for timestamp in timestamps:
            text = timestamp.strftime(time_format)
            if timestamp.microsecond:
                text += f".{timestamp.microsecond:06d}".rstrip("0")
            labels.append(text if timestamp.date() == day else f"{text}\n{timestamp.day} {timestamp.strftime('%b %Y')}")
            day = timestamp.date()
        return labels


def set_time_axis(axes: Axes, mapping: Any, *, time: TimeDisplay, tz: str) -> None:
    """Set the locator, formatter and label of a time axis for a time map (`tokenvis.layout.time_map.TimeMap`)."""
    decimal = time == "step"
    shift = mapping.origin if decimal else 0
    formatter: Formatter = ElapsedFormatter(mapping.to_offset, first_step=mapping.origin if decimal else None)
    if time == "clock":
        start = pd.Timestamp(mapping.origin, unit="us", tz="UTC").tz_convert(tz)
        shift = mapping.origin + int((start.tz_localize(None) - start.tz_convert(None)).total_seconds()) * SECOND
        formatter = ClockFormatter(mapping.to_offset, origin=mapping.origin, tz=tz)
    axes.xaxis.set_major_locator(
        TimeLocator(mapping.segments, mapping.to_offset, mapping.offset_to_x, decimal=decimal, shift=shift)
    )
    axes.xaxis.set_major_formatter(formatter)
    label = {"elapsed": "elapsed time", "clock": f"time ({tz})", "step": "step"}[time]
    folded = "gaps without work folded" if mapping.folds_waits else "idle gaps folded"
    if is_narrow(axes):  # the whole label is wider than a narrow picture
        folded = "gaps folded"
    axes.set_xlabel(f"{label}, {folded}" if len(mapping.folds) else label)
