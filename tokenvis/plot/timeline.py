"""The timeline: a band for each location, time to the right, a bar for each span.

Ink only: lanes and bands come from `tokenvis.layout.lanes`, places on the time axis from `tokenvis.layout.time_map`, moves from
`tokenvis.analysis.moves`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import is_color_like, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path

from tokenvis.analysis.moves import moves
from tokenvis.colors import palette as colors_of
from tokenvis.columns import EPOCH, YEAR_10000, codes_of, ordered, require, times_of
from tokenvis.errors import BadOption, BadSpan, check_choice, listed, plural, quoted
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.time_map import Gaps, TimeMap, time_map
from tokenvis.lettering import BarLabels, drawable, fitted, ink_on, width_of
from tokenvis.payload import expand_data
from tokenvis.style import ERROR, INK, PAPER, QUIET, RULE, SHADE, dress, duration_text, set_time_axis, steps_text, themed

BAR = 0.78  # height of a bar, in lanes
LABEL_SIZE = 7.5  # points
TITLE_SIZE, FIGURES_SIZE = 12, 9
BOLD = 1.15  # how much wider bold letters are
WIDTH_INCHES = 11.0
LANE_INCHES = 0.28
HEIGHTS = (1.2, 14.0)  # inches that the bands of a new figure take, at least and at most
MOST_MOVES = 25  # moves drawn, for each inch of width
MOST_NAMES = 30  # names in the legend
LONGEST_NAME = 36  # characters
LEGEND_INCHES = 0.2  # a line of the legend
NOTHING = "none"  # what stands for a missing value


def plot_timeline(
    spans: pd.DataFrame,
    *,
    by: str = "location_id",
    hue: str = "agent_id",
    palette: Mapping[str, str] | Sequence[str] | None = None,
    order: Iterable[str] | None = None,
    gaps: Gaps = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw who was where, and when: a band for each location, and in it a bar for each span.

    Spans that overlap stand in lanes of their own. A span without duration is a diamond, one with ``status`` "error" has a red
    border and a cross, an open one ends in an arrow. Where an agent goes from one location to the next, a line follows it, in
    its colour (grey where colours are not agents). A bar is labelled with ``label`` from ``data`` (else its agent) and its
    duration, as far as there is room.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values make the bands. Moves are drawn for "location_id".
    hue
        The column whose values give the colours.
    palette
        Colours of those values: a mapping, or a list for the values in lexical order. By default `tokenvis.palette`.
    order
        Bands that come first, from the top; the others follow by first start.
    gaps
        "fold": where idle time is more than half of the wall time, long gaps become marked breaks. "keep": time is linear.
    time
        "elapsed": time since the start; times that do not count from 1970 are shown as they are. "clock": time of day.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    tz
        The time zone of ``time="clock"``.
    legend
        Whether a legend is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x is the place on the time map: µs since the start, less what is folded. y counts lanes from the top. Where there are
        more than 25 moves for each inch of width, they are left out, and a note says so.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or holds several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> ax = plot_timeline(spans)
    >>> ax.get_title(loc="left"), ax.get_xlabel()
    ('t', 'elapsed time')
    """
    require(spans, by, hue)
    check_choice("time", time, ("elapsed", "clock"))
    check_choice("time_unit", time_unit, ("auto", "step"))
    check_one_trace(spans)
    spans = ordered(spans, "trace_id").reset_index(drop=True)
    mapping = time_map(spans, gaps=gaps)
    if time == "clock" and len(spans):
        check_clock(mapping, tz)
    rows, bands = place_spans(spans, by=by, order=order)
    colors = colors_for(palette, spans[hue])
    duration = steps_text if time_unit == "step" else duration_text
    bars = bars_of(spans, rows, mapping, by, hue, duration).assign(color=lambda bars: bars["hue"].map(colors))
    handles = legend_of(bars, colors) if legend else []
    height = float((bands["top"] + bands["n_lanes"]).max()) if len(bands) else 1.0
    with themed():
        ax = new_axes(height, len(handles)) if ax is None else ax
        if not len(spans):
            return draw_empty(ax)
        dress(ax)
        draw_bands(ax, bands, height)
        draw_folds(ax, mapping, height, duration)
        set_limits(ax, bars)
        set_time_axis(ax, mapping, time="step" if time_unit == "step" else time, tz=tz)
        if by == "location_id":
            draw_moves(ax, moves(spans), bars, mapping, colors if hue == "agent_id" else {})
        draw_bars(ax, bars)
        draw_title(ax, drawable(str(spans["trace_id"].iloc[0]), 80), figures_of(spans, duration))
        if legend:
            draw_legend(ax, handles)
    return ax


def check_one_trace(spans: pd.DataFrame) -> None:
    """Raise `BadSpan` where a picture over time is asked for several traces."""
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(
            f"A timeline shows one trace, and these spans are of {len(traces):,}: {listed(traces)}. "
            "Choose one: spans[spans['trace_id'] == ...]."
        )


def check_clock(mapping: TimeMap, tz: str) -> None:
    """Raise `BadOption` where there is no time of day to show, or no such time zone."""
    if not EPOCH <= mapping.origin < YEAR_10000:
        raise BadOption("time='clock' needs times that count from 1970 (from the year 2000 on); these do not.")
    try:
        pd.Timestamp(0, tz=tz)
    except (KeyError, ValueError, TypeError):
        raise BadOption(f"tz={quoted(tz)} is no time zone. One is 'UTC', another 'Europe/Berlin'.") from None


def colors_for(palette: Mapping[str, str] | Sequence[str] | None, values: pd.Series) -> dict[str, str]:
    """A colour for each value as text; `BadOption` where the palette given has too few."""
    used = [str(name) for name in codes_of(values)[1]]
    named = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else used
    labels = sorted(str(name) for name in named)
    if palette is None:
        return {**colors_of(labels), NOTHING: QUIET}
    given = palette.items() if isinstance(palette, Mapping) else zip(labels, palette, strict=False)
    colors = {str(name): color for name, color in given}
    missing = [name for name in used if name not in colors]
    if missing:
        raise BadOption(f"palette has no colour for {listed(missing)}.")
    strange = [color for color in colors.values() if not is_color_like(color)]
    if strange:
        raise BadOption(f"palette has {listed(strange)}, which is no colour. One is '#3b6fb6'.")
    return {NOTHING: QUIET, **colors}


def bars_of(
    spans: pd.DataFrame, rows: pd.DataFrame, mapping: TimeMap, by: str, hue: str, duration: Callable[[int], str]
) -> pd.DataFrame:
    """What is drawn of each span: id, x0, x1, y, hue, instant, status, label, duration (a text)."""
    known = expand_data(spans, ["label", "status"]) if "data" in spans else spans.assign(label=None, status=None)
    start, end = times_of(spans)
    other = spans["location_id" if by == "agent_id" else "agent_id"].astype("str")
    label = known["label"].astype(object).where(known["label"].notna(), other)
    return pd.DataFrame(
        {
            "id": spans["id"].array,
            "x0": mapping.to_x(start),
            "x1": mapping.to_x(end),
            "y": rows["y"].array,
            "hue": spans[hue].astype(object).map(str, na_action="ignore").fillna(NOTHING).array,
            "instant": start == end,
            "status": known["status"].astype(object).array,
            "label": [drawable(str(text)) for text in label],
            "duration": [duration(b - a) for a, b in zip(start.tolist(), end.tolist(), strict=True)],  # int64 could overflow
        }
    )


def figures_of(spans: pd.DataFrame, duration: Callable[[int], str]) -> str:
    """The trace in figures: spans, agents, locations, wall time."""
    counts = {"span": len(spans)} | {name: spans[f"{name}_id"].nunique() for name in ("agent", "location")}
    start, end = times_of(spans)
    wall = int(end.max()) - int(start.min())
    figures = [plural(count, name) for name, count in counts.items()]
    return " · ".join([*figures, duration(wall)])


def new_axes(height: float, n_handles: int) -> Axes:
    """Axes of a new figure whose height fits that many lanes, and the legend."""
    low, high = HEIGHTS
    inches = min(max(height * LANE_INCHES, n_handles * LEGEND_INCHES, low), high)
    return plt.subplots(figsize=(WIDTH_INCHES, inches + 0.95), layout="constrained")[1]


def draw_empty(ax: Axes) -> Axes:
    """Say that there is nothing."""
    ax.text(0.5, 0.5, "This trace is empty.", transform=ax.transAxes, ha="center", va="center", color=QUIET, fontsize=11)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def draw_title(ax: Axes, name: str, figures: str) -> None:
    """The trace's name, cut where there is no room, and its figures where there is room for both."""
    points = ax.bbox.width / ax.figure.dpi * 72
    title = fitted(name, points, lambda text: width_of(text, TITLE_SIZE) * BOLD)
    ax.set_title(title, loc="left", pad=10, parse_math=False)
    if width_of(name, TITLE_SIZE) * BOLD + width_of(figures, FIGURES_SIZE) + 2 * TITLE_SIZE <= points:
        ax.set_title(figures, loc="right", pad=10, fontsize=FIGURES_SIZE, color=QUIET, fontweight="normal")


def draw_bands(ax: Axes, bands: pd.DataFrame, height: float) -> None:
    """Shade every second band, and name them all on the left."""
    for position, (top, lanes) in enumerate(zip(bands["top"], bands["n_lanes"], strict=True)):
        if position % 2 == 0:
            ax.axhspan(top - 0.2, top + lanes + 0.2, color=SHADE, linewidth=0, zorder=0)
    names = [drawable(NOTHING if pd.isna(name) else str(name), LONGEST_NAME) for name in bands["band"]]
    ax.set_yticks(bands["top"] + bands["n_lanes"] / 2, names, parse_math=False)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.set_ylim(height + 0.2, -0.2)


def draw_folds(ax: Axes, mapping: TimeMap, height: float, duration: Callable[[int], str]) -> None:
    """Mark each folded gap, with its duration."""
    folds = mapping.folds
    for x0, x1, length in zip(folds["x0"], folds["x1"], folds["end"] - folds["start"], strict=True):
        ax.axvspan(x0, x1, facecolor=PAPER, edgecolor=RULE, hatch="////", linewidth=0, zorder=1.5)
        ax.text(
            (x0 + x1) / 2,
            height / 2,
            duration(length),
            rotation=90,
            ha="center",
            va="center",
            fontsize=7.5,
            color=QUIET,
            zorder=1.6,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
        )


def set_limits(ax: Axes, bars: pd.DataFrame) -> None:
    """Show the whole trace, with a little room on both sides."""
    low, high = float(bars["x0"].min()), float(bars["x1"].max())
    room = (high - low) * 0.01 or 0.5
    ax.set_xlim(low - room, high + room)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")


def draw_moves(ax: Axes, table: pd.DataFrame, bars: pd.DataFrame, mapping: TimeMap, colors: Mapping[str, str]) -> None:
    """A curve from where an agent leaves one band to where it arrives in the next; too many are left out, and said so."""
    inches = ax.bbox.width / ax.figure.dpi
    if len(table) > MOST_MOVES * inches:
        ax.annotate(
            f"{len(table):,} moves not drawn",
            (1, 0),
            (0, -30),
            "axes fraction",
            "offset points",
            ha="right",
            color=QUIET,
        )
        return
    y_of = bars.drop_duplicates("id").set_index("id")["y"]
    x0, x1 = mapping.to_x(table["left"].to_numpy()), mapping.to_x(table["arrived"].to_numpy())
    y0, y1 = (table[column].map(y_of).to_numpy() for column in ("from_span", "to_span"))
    middle = (x0 + x1) / 2
    points = np.stack([np.column_stack(pair) for pair in ((x0, y0), (middle, y0), (middle, y1), (x1, y1))], axis=1)
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    ax.add_collection(
        PathCollection(
            [Path(curve, codes) for curve in points],
            facecolors="none",
            edgecolors=[colors.get(agent, QUIET) for agent in table["agent_id"].astype("str")],
            linewidths=1.3,
            alpha=0.55,
            zorder=2,
            label="moves",
        ),
        autolim=False,
    )


def draw_bars(ax: Axes, bars: pd.DataFrame) -> None:
    """The bars, then what marks some of them, then their labels."""
    solid, instants = bars[~bars["instant"]], bars[bars["instant"]]
    failed, still_open = bars[bars["status"] == "error"], bars[bars["status"] == "open"]
    ax.add_collection(rectangles(solid, facecolors=solid["color"], edgecolors=darker(solid["color"]), linewidths=0.5, zorder=3))
    ax.add_collection(rectangles(failed, facecolors="none", edgecolors=ERROR, linewidths=1.6, zorder=3.2, label="error"))
    edge: dict[str, Any] = {"edgecolors": PAPER, "linewidths": 0.8}
    ax.scatter(instants["x0"], instants["y"], s=52, marker="D", c=instants["color"], zorder=3.5, label="instant", **edge)
    ax.scatter(still_open["x1"], still_open["y"], s=34, marker=">", c=still_open["color"], zorder=3.5, label="open", **edge)
    ax.scatter(failed["x1"], failed["y"] - BAR / 2, s=46, marker="X", c=ERROR, zorder=3.6, **edge)
    labels = pd.DataFrame(
        {
            **{column: solid[column] for column in ("x0", "x1", "y", "label")},
            "more": " · " + solid["duration"],
            "ink": solid["color"].map(ink_on),
        }
    )
    ax.add_artist(BarLabels(labels, size=LABEL_SIZE, height=BAR))


def rectangles(bars: pd.DataFrame, **look: Any) -> PolyCollection:
    """One collection of the bars' rectangles."""
    x0, x1, y = (bars[column].to_numpy() for column in ("x0", "x1", "y"))
    low, high = y - BAR / 2, y + BAR / 2
    corners = np.stack([np.column_stack(corner) for corner in ((x0, low), (x1, low), (x1, high), (x0, high))], axis=1)
    return PolyCollection(list(corners), **look)


def darker(colors: pd.Series) -> list[tuple[float, ...]]:
    """A shade of each colour for its border."""
    return [tuple(0.75 * channel for channel in to_rgb(color)) for color in colors]


def legend_of(bars: pd.DataFrame, colors: Mapping[str, str]) -> list[Patch | Line2D]:
    """Colours by name, and the marks that occur."""
    used = set(bars["hue"])
    names = [name for name in colors if name in used]
    handles: list[Patch | Line2D] = [
        Patch(color=colors[name], label=drawable(name, LONGEST_NAME)) for name in names[:MOST_NAMES]
    ]
    if len(names) > MOST_NAMES:
        handles.append(Patch(color="none", label=f"and {len(names) - MOST_NAMES:,} more"))
    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": PAPER}
    if bars["instant"].any():
        handles.append(Line2D([], [], marker="D", color=INK, markersize=7, label="instant", **look))
    if (bars["status"] == "error").any():
        handles.append(Line2D([], [], marker="X", color=ERROR, markersize=8, label="error", **look))
    if (bars["status"] == "open").any():
        handles.append(Line2D([], [], marker=">", color=INK, markersize=7, label="still open", **look))
    return handles


def draw_legend(ax: Axes, handles: list[Patch | Line2D]) -> None:
    """The legend, to the right of the bands; texts are set apart, since matplotlib hides a label that starts with "_"."""
    look: dict[str, Any] = {"borderaxespad": 0.3, "handlelength": 1.1, "handleheight": 1.0}
    legend = ax.legend(handles, ["name"] * len(handles), loc="upper left", bbox_to_anchor=(1.0, 1.0), **look)
    for text, handle in zip(legend.get_texts(), handles, strict=True):
        text.set_parse_math(False)
        text.set_text(str(handle.get_label()))
