"""The chart: what every picture has beside its data: a figure that fits, title, time axis, legend, and a description."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import ScaledTranslation

from tokenvis.arrays import Floats, Int64Array
from tokenvis.columns import EPOCH, YEAR_10000, codes_of, times_of
from tokenvis.errors import BadOption, BadSpan, check_choice, listed, plural, quoted
from tokenvis.layout.lanes import Placement
from tokenvis.layout.time_map import Gaps, TimeMap, time_map
from tokenvis.lettering import NOTHING, FoldLabels, Heading, Note, drawable, fitted, shortened, width_of
from tokenvis.losses import Losses
from tokenvis.payload import expand_data
from tokenvis.style import SMALL_FIGURE, Clock, Look, dress, duration_of, look_of, set_time_axis, sizes_of

LOST_HATCH, LOST_OPACITIES = "\\\\", (0.07, 0.3)  # of time in which spans were lost, its colour and its lines
BOLD = 1.15  # how much wider bold letters are
WIDTH_INCHES = 11.0
PAGE_INCHES = 14.0  # the bands of a new figure are at most so high
LANE_POINTS = 3.0  # and a lane at least
LEGEND_INCHES = 0.2  # a line of the legend
NAME_SHARE = 0.22  # of the figure's width, for the names at its left
UPRIGHT_SHARE, UPRIGHT_INCHES = 0.35, 1.6  # of the figure's height, and at most, for upright names below it
LONGEST_TITLE = 80  # characters
DESCRIBED = 200  # characters of a name in a description


@dataclass(frozen=True)
class TimeAxis:
    """The time axis of a picture of one trace: where times stand, and how they read."""

    mapping: TimeMap
    kind: Clock
    tz: str
    name: str

    def duration(self, microseconds: int) -> str:
        """A duration as text."""
        return duration_of("step" if self.kind == "step" else "auto")(microseconds)

    def draw(self, ax: Axes, look: Look) -> None:
        """The axis, its limits, and each folded gap as a break with its duration."""
        low, high = self.mapping.places[[0, -1]].tolist()
        room = (high - low) * 0.01 or 0.5
        ax.set_xlim(low - room, high + room)
        ax.grid(visible=True, axis="x")
        ax.grid(visible=False, axis="y")
        folds = self.mapping.folds
        for x0, x1 in zip(folds["x0"], folds["x1"], strict=True):
            ax.axvspan(x0, x1, facecolor=look.paper, edgecolor=look.rule, hatch="////", linewidth=0, zorder=1.5)
        texts = [self.duration(end - start) for start, end in zip(folds["start"].tolist(), folds["end"].tolist(), strict=True)]
        if texts:
            size = sizes_of(ax).bar
            ax.add_artist(FoldLabels(folds, texts, size=size, color=look.quiet, paper=look.paper))
        set_time_axis(ax, self.mapping, time=self.kind, tz=self.tz)
        ax.xaxis.label.set_horizontalalignment("left")
        ax.xaxis.label.set_x(0.0)


def time_axis(
    spans: pd.DataFrame,
    *,
    gaps: Gaps = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
) -> TimeAxis:
    """The time axis of these spans; `BadSpan` for several traces, `BadOption` where an option does not fit."""
    check_choice("time", time, ("elapsed", "clock"))
    duration_of(time_unit)
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(
            f"A picture over time shows one trace, and these spans are of {len(traces):,}: {listed(traces)}. "
            "Choose one: spans[spans['trace_id'] == ...]."
        )
    mapping = time_map(spans, gaps=gaps)
    if time == "clock" and len(spans):
        check_clock(mapping, times_of(spans)[1].max(), tz)
    return TimeAxis(mapping, "step" if time_unit == "step" else time, tz, str(traces[0]) if len(traces) else "")


def check_clock(mapping: TimeMap, last: int, tz: str) -> None:
    """Raise `BadOption` where there is no time of day to show, or no such time zone."""
    if not EPOCH <= mapping.origin <= last < YEAR_10000:
        raise BadOption("time='clock' needs times that count from 1970 (from the year 2000 on); these do not.")
    try:
        pd.Timestamp(0, tz=tz)
    except (KeyError, ValueError, TypeError):
        raise BadOption(f"tz={quoted(tz)} is no time zone. One is 'UTC', another 'Europe/Berlin'.") from None


def labels_of(spans: pd.DataFrame, other: str, axis: TimeAxis) -> pd.DataFrame:
    """What stands in the bars of these spans: ``label`` from ``data``, else of another column, and ``more``, their duration."""
    label = spans[other].astype("str")
    if "data" in spans and len(spans):
        known = expand_data(spans, "label")["label"]
        label = known.astype(object).where(known.notna(), label)
    start, end = times_of(spans)
    durations = [axis.duration(b - a) for a, b in zip(start.tolist(), end.tolist(), strict=True)]  # int64 could overflow
    return pd.DataFrame({"label": label.astype(object).to_numpy(), "more": [f" · {text}" for text in durations]})


def rows_named(spans: pd.DataFrame, ids: pd.Series) -> Int64Array:
    """The row of the span that each id names, the first where there are several; -1 where there is none."""
    row_of = pd.Series(np.arange(len(spans)), index=spans["id"].array)
    rows = row_of[~row_of.index.duplicated()].reindex(ids.array)
    return rows.fillna(-1).to_numpy(dtype=np.int64)


class Followable:
    """What makes a collection of lines be drawn only while those in view are so few that they can be followed.

    ``low`` and ``high`` are the ends of each line on the time axis, ``most`` how many there may be for each inch.
    """

    axes: Any
    low: Floats
    high: Floats
    most: float

    def n_in_view(self) -> int:
        """How many are in view."""
        low, high = sorted(self.axes.get_xlim())
        return int(((self.high >= low) & (self.low <= high)).sum())

    def too_many(self) -> bool:
        """Whether nobody could follow them."""
        return bool(self.n_in_view() > self.most * self.axes.bbox.width / self.axes.figure.dpi)

    def draw(self, renderer: Any) -> None:
        """Draw them, unless they are too many."""
        if not self.too_many():
            super().draw(renderer)  # type: ignore[misc]


def new_axes(inches: float, *, width: float = WIDTH_INCHES) -> Axes:
    """Axes of a new figure whose content is so high."""
    return plt.subplots(figsize=(width, inches + 0.95), layout="constrained")[1]


def check_axes(ax: object) -> None:
    """Raise `BadOption` unless this is an Axes, or nothing."""
    if ax is not None and not isinstance(ax, Axes):
        raise BadOption(f"ax={quoted(type(ax).__name__)} is no matplotlib Axes. plt.subplots() gives one, or an array of them.")


def room_on(ax: Axes | None) -> tuple[float, float]:
    """How many lanes fit onto the Axes, or the largest new figure, and how many pixels wide it is."""
    if ax is None:
        return PAGE_INCHES * 72 / LANE_POINTS, WIDTH_INCHES * 0.8 * plt.rcParams["figure.dpi"]
    return ax.bbox.height / ax.figure.dpi * 72 / LANE_POINTS, ax.bbox.width


def draw_empty(ax: Axes, look: Look, what: str = "This trace is empty.") -> Axes:
    """Say that there is nothing."""
    dress(ax)
    ax.text(0.5, 0.5, what, transform=ax.transAxes, ha="center", va="center", color=look.quiet, fontsize=sizes_of(ax).text + 2)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_label(what)
    return ax


def draw_losses(ax: Axes, lost: Losses, axis: TimeAxis, look: Look) -> None:
    """Hatch the time in which spans were lost, over the whole height, behind all that is drawn there."""
    if len(lost.rows):
        x0, x1 = (axis.mapping.to_x(times) for times in lost.stretches())
        stretches = list(zip(x0, x1 - x0, strict=True))
        ax.broken_barh(stretches, (0, 1), transform=ax.get_xaxis_transform(), zorder=0.6, label="lost", **hatching(look))


def lost_patch(lost: Losses, look: Look) -> list[Patch]:
    """The hatch of lost spans in a legend, where any were."""
    return [Patch(label="spans lost", **hatching(look))] if len(lost.rows) else []


def hatching(look: Look) -> dict[str, Any]:
    """How time looks in which spans were lost."""
    tint, lines = ((*to_rgb(look.error), opacity) for opacity in LOST_OPACITIES)
    return {"facecolor": tint, "edgecolor": lines, "hatch": LOST_HATCH, "linewidth": 0.8}


def describe(ax: Axes, *sentences: str) -> None:
    """Put a sentence or two, for those who cannot see the picture, where ``ax.get_label()`` finds them."""
    ax.set_label(" ".join(drawable(" ".join(sentences), 1_000).split()))


def trace_name(spans: pd.DataFrame) -> str:
    """The trace that spans are of, or how many."""
    traces = codes_of(spans["trace_id"])[1]
    return str(traces[0]) if len(traces) == 1 else plural(len(traces), "trace")


def named(text: object) -> str:
    """A name in a description."""
    return drawable(str(text), DESCRIBED)


def draw_title(ax: Axes, name: str, figures: str, look: Look) -> None:
    """A name, cut where there is no room, and figures where there is room for both."""
    sizes = sizes_of(ax)
    name = drawable(name, LONGEST_TITLE)
    points = ax.bbox.width / ax.figure.dpi * 72
    cut = fitted(name, points, lambda text: width_of(text, sizes.title) * BOLD)
    style: dict[str, Any] = {"pad": 10, "parse_math": False}
    left = ax.set_title(cut, loc="left", color=look.ink, fontsize=sizes.title, fontweight="bold", **style)
    right = ax.set_title(figures, loc="right", color=look.quiet, fontsize=sizes.text, fontweight="normal", **style)
    Heading(ax, left, right, name, figures)


class NameLocator(FixedLocator):
    """Ticks for names: all of them where there is room, else as many as there is room for."""

    def __init__(self, places: list[float]) -> None:
        super().__init__(places)
        self.places = places

    def __call__(self) -> Any:
        """Places whose names do not touch, for the axis as it is now."""
        axes = self.axis.axes  # type: ignore[union-attr]
        vertical = self.axis is axes.yaxis
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        points = (axes.bbox.height if vertical else axes.bbox.width) / axes.figure.dpi * 72
        line = 1.25 * sizes_of(axes).text * abs(high - low) / max(points, 1.0)
        shown: list[float] = []
        for place in self.places:
            if not shown or place - shown[-1] >= line:
                shown.append(place)
        return np.array(shown)


def draw_names(axis: Any, places: Any, names: list[str], *, points: float | None = None) -> None:
    """Names along an axis, cut in the middle where they are long; some are left out where there is no room for all."""
    ax = axis.axes
    size = sizes_of(ax).text
    points = points or NAME_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    texts = {float(place): shortened(drawable(name), points, size) for place, name in zip(places, names, strict=True)}
    axis.set_major_locator(NameLocator(sorted(texts)))
    axis.set_major_formatter(lambda place, _: texts.get(float(place), ""))
    axis.set_tick_params(length=0, pad=8)
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def draw_bands(ax: Axes, placement: Placement, look: Look) -> None:
    """Shade every second band, and name them all on the left."""
    bands = placement.bands
    for top, height in zip(bands["top"][::2], bands["height"][::2], strict=True):
        ax.axhspan(top - 0.2, top + height + 0.2, color=look.shade, linewidth=0, zorder=0)
    names = [NOTHING if pd.isna(name) else str(name) for name in bands["band"]]
    draw_names(ax.yaxis, bands["top"] + bands["height"] / 2, names)
    ax.set_ylim(placement.height + 0.2, -0.2)


def draw_names_below(ax: Axes, names: list[str]) -> None:
    """Names of the columns of a matrix, upright where they are wider than these."""
    upright = are_upright(names, ax.bbox.width / ax.figure.dpi * 72, sizes_of(ax).text)
    points = min(UPRIGHT_SHARE * ax.figure.bbox.height / ax.figure.dpi, UPRIGHT_INCHES) * 72
    draw_names(ax.xaxis, np.arange(len(names)) + 0.5, names, points=points if upright else None)
    ax.tick_params(axis="x", labelrotation=90 if upright else 0, labelcolor=look_of(ax).ink)


def are_upright(names: list[str], points: float, size: float) -> bool:
    """Whether names are too wide to stand beside each other on so many points."""
    return max((width_of(drawable(name), size) for name in names), default=0.0) > 0.95 * points / max(len(names), 1)


def draw_note(ax: Axes, says: Callable[[], list[str]], look: Look) -> None:
    """A line under the picture that says what it leaves out."""
    Note(ax, says, size=sizes_of(ax).text, color=look.quiet)


def patch(color: str, name: str) -> Patch:
    """A colour in a legend."""
    return Patch(color=color, label=name)


def draw_legend(ax: Axes, handles: list[Any], *, beside: bool = False, away: float = 0.0) -> None:
    """The legend: to the right, so many points away, or below where the figure is narrow, unless it must stand beside.

    Texts are set apart, since matplotlib hides a label that starts with "_".
    """
    if not handles:
        return
    figure = ax.figure
    width = figure.bbox.width / figure.dpi
    size = sizes_of(ax).text
    longest = NAME_SHARE * width * 72
    names = [shortened(drawable(str(handle.get_label())), longest, size) for handle in handles]
    look: dict[str, Any] = {"handlelength": 1.1, "handleheight": 1.0, "fontsize": size, "borderaxespad": 0.3}
    if width <= SMALL_FIGURE and not beside:
        entry = max(width_of(name, size) for name in names) + 4 * size
        look["ncols"] = min(max(int(ax.bbox.width / figure.dpi * 72 / entry), 1), len(names))
        below = ax.transAxes + ScaledTranslation(0, -(5.2 * size) / 72, figure.dpi_scale_trans)
        look |= {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "bbox_transform": below, "columnspacing": 1.2}
    else:
        right = ax.transAxes + ScaledTranslation(away / 72, 0, figure.dpi_scale_trans)
        look |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "bbox_transform": right}
    legend = ax.legend(handles, ["name"] * len(handles), **look)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def height_of(lanes: float, n_handles: int) -> float:
    """Inches that so many lanes, and a legend, take in a new figure: lanes shrink from 7 inches on."""
    wanted = min(lanes * 0.28, max(7.0, lanes * 0.1))
    return min(max(wanted, n_handles * LEGEND_INCHES, 1.2), PAGE_INCHES)


def large(count: float, *, beside: float = 0) -> str:
    """A large number, short: "1,234", "12.9k", "12.9M"; in the unit of the number that it stands beside."""
    for unit, least, size in (("G", 10**9, 10**9), ("M", 10**6, 10**6), ("k", 10**4, 10**3)):
        if max(abs(count), abs(beside)) >= least:
            return f"{count / size:.3g}{unit}" if count else "0"
    return f"{round(count):,}"


def plain(column: str) -> str:
    """The name of a column in a title: "agent_id" is "agent"."""
    return column.removesuffix("_id")
