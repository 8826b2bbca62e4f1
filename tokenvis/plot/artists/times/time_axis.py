"""The time axis of a picture of one trace: positions and labels of times."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import BadOption, BadSpan, check_choice, listed, quoted
from tokenvis.layout.time_map import GapMode, TimeMap, time_map
from tokenvis.plot.artists.style import ThemeColors, font_sizes
from tokenvis.plot.artists.text import FoldLabels
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.times.ticks import TimeDisplay, set_time_axis
from tokenvis.plot.artists.title import trace_title
from tokenvis.spans.columns import YEAR_2000, YEAR_10000, codes_of, times_of
from tokenvis.tree.states import States, states_of

LABELS_BEHIND_BARS, LABELS_ON_BARS = 1.6, 4.1  # zorder of the durations of breaks


@dataclass(frozen=True)
class TimeAxis:
    """The time axis of a picture of one trace: positions and labels of times."""

    mapping: TimeMap
    kind: TimeDisplay
    tz: str
    name: str

    def duration(self, microseconds: int) -> str:
        """A duration as text."""
        return duration_formatter("step" if self.kind == "step" else "auto")(microseconds)

    def draw(self, ax: Axes, theme: ThemeColors) -> None:
        """Draw the axis with its limits, and each folded gap as a break with its duration."""
        low, high = self.mapping.positions[[0, -1]].tolist()
        margin = (high - low) * 0.01 or 0.5
        ax.set_xlim(low - margin, high + margin)
        ax.grid(visible=True, axis="x")
        ax.grid(visible=False, axis="y")
        folds = self.mapping.folds
        for x0, x1 in zip(folds["x0"], folds["x1"], strict=True):
            ax.axvspan(x0, x1, facecolor=theme.background, edgecolor=theme.grid, hatch="////", linewidth=0, zorder=1.5)
        texts = [self.duration(end - start) for start, end in zip(folds["start"].tolist(), folds["end"].tolist(), strict=True)]
        if texts:
            size = font_sizes(ax).bar
            zorder = LABELS_ON_BARS if self.mapping.folds_waits else LABELS_BEHIND_BARS
            style: dict[str, Any] = {"size": size, "color": theme.muted, "background": theme.background}
            ax.add_artist(FoldLabels(folds, texts, zorder=zorder, **style))
        set_time_axis(ax, self.mapping, time=self.kind, tz=self.tz)
        ax.xaxis.label.set_horizontalalignment("left")
        ax.xaxis.label.set_x(0.0)


def time_axis(
    spans: pd.DataFrame,
    *,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    states: States | None = None,
) -> TimeAxis:
    """The time axis of these spans; `BadSpan` for several traces, `BadOption` for an invalid option.

    ``states`` are the states of the spans, if they are known already.
    """
    check_choice("time", time, ("elapsed", "clock"))
    duration_formatter(time_unit)
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(
            f"A picture over time shows one trace, but these spans belong to {len(traces):,}: {listed(traces)}. "
            "Select one: spans[spans['trace_id'] == ...]."
        )
    if states is None and gaps == "fold":
        states = states_of(spans)
    mapping = time_map(spans, gaps=gaps, states=states)
    if time == "clock" and len(spans):
        check_clock(mapping, times_of(spans)[1].max(), tz)
    return TimeAxis(mapping, "step" if time_unit == "step" else time, tz, trace_title(spans) if len(traces) else "")


def check_clock(mapping: TimeMap, last: int, tz: str) -> None:
    """Raise `BadOption` if the times are not times of day, or the time zone is unknown."""
    if not YEAR_2000 <= mapping.origin <= last < YEAR_10000:
        raise BadOption(
            "time='clock' needs times in µs since 1970, in the year 2000 or later. The times of these spans are not."
        )
    try:
        pd.Timestamp(0, tz=tz)
    except (KeyError, ValueError, TypeError):
        raise BadOption(f"tz={quoted(tz)} is not a time zone. Use for example 'UTC' or 'Europe/Berlin'.") from None
