"""Many runs as dots: a row for each agent, or other value, and in it a dot for each run at its busy time, or another measure.

Drawing only: the rows come from `tokenvis.runs.distributions`, the places of the dots from `tokenvis.layout.swarm`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tokenvis.errors import plural
from tokenvis.layout.time_map import linear_map
from tokenvis.plot.artists.color_scales import Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.figure import LEGEND_LINE_INCHES, draw_message, new_axes
from tokenvis.plot.artists.legend import draw_legend, max_name_points
from tokenvis.plot.artists.names import draw_names, shortened_names
from tokenvis.plot.artists.row_texts import RowTexts
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, is_narrow, themed
from tokenvis.plot.artists.text import drawable, text_width
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.plot.artists.title import (
    column_title,
    cost_text,
    describe,
    described_name,
    draw_note,
    draw_title,
    share_text,
    short_number,
    tick_number,
)
from tokenvis.plot.comparisons.changes import change_color, signed_text
from tokenvis.plot.comparisons.swarms import BASELINE, NOT_IN_RUN, OUTLYING, SHAPES, USUAL, DotNames, Dots, Swarms, look_style
from tokenvis.runs.distributions import Distributions

MEASURE_TITLES = {
    "n_spans": "spans",
    "wall_us": "wall time",
    "busy_us": "busy time",
    "waiting_us": "waiting time",
    "n_visits": "visits",
    "tokens": "tokens",
    "cost": "cost",
    "n_errors": "errors",
    "path_us": "time on the critical path",
    "share_path": "share of the critical path",
}
MAX_DOT_ROWS, MIN_DOT_ROWS, MIN_DOT_ROW_POINTS = 40, 3, 13.0  # rows; of rows on given Axes
DOT_POINTS = (20, 7.0), (60, 6.0), (200, 4.5), (10**9, 3.5)  # up to this number of runs: the diameter of a dot
DOT_ROW_INCHES = (20, 0.34), (60, 0.42), (10**9, 0.6)  # up to this number of runs: the height of a row
SMALL_DOTS = 0.75  # of the diameter, in narrow figures
MAX_DOT_ROW_INCHES, MAX_DOT_ROWS_INCHES = 0.8, 12.0  # on given Axes; of all rows in a new figure
MEDIAN_HEIGHT, MEDIAN_LINE_WIDTH = 0.8, 1.5
MAX_NAMED_RUNS = 8  # of so few runs, all dots may have names
CHANGE_PAD_POINTS = 6.0
LINES_BELOW_DOTS = 6  # the space that a layout takes from given Axes, for labels, notes and a legend
AXIS_MARGIN = 0.015  # of the highest amount, at both ends
MAX_BASELINE_CHARACTERS = 40
MAX_TOLD = 5  # outlying runs in the description


def draw_dots(
    values: Distributions,
    *,
    measure: str,
    columns: list[str],
    palette: Palette,
    time_unit: Literal["auto", "step"],
    notes: list[str],
    empty: str,
    legend: bool,
    ax: Axes | None,
) -> Axes:
    """The picture of `plot_compare` for many runs; ``empty`` is what to say if there are none."""
    as_text, n_runs = formatter_of(measure, time_unit), len(values.runs)
    known = values.known_rows()
    shown = known[: max_dot_rows(ax)]
    notes = [*notes, *notes_on_rows(values, len(known), len(shown), MEASURE_TITLES[measure])]
    values = values.of_rows(shown)
    with themed(ax) as theme:
        dots = dots_of(values, palette, theme, diameter_of(n_runs, ax))
        handles = dot_handles(values, dots, theme) if legend else []
        ax = new_axes(inches_of_rows(len(values.rows), n_runs, len(handles))) if ax is None else ax
        if not len(known):
            return draw_message(ax, theme, f"The {MEASURE_TITLES[measure]} of no run is known." if n_runs else empty)
        apply_theme(ax)
        draw_value_rows(ax, values, as_text, theme)
        draw_measure_axis(ax, values, measure, time_unit, theme)
        ax.add_collection(swarms := Swarms(ax, dots, theme), autolim=False)
        draw_medians(ax, values, theme)
        ax.add_artist(names_of_dots(ax, values, swarms, theme))
        draw_note(ax, notes, theme)
        title = f"{MEASURE_TITLES[measure]}{by_phrase(columns)}"
        against = f" · against {baseline_name(values)}" if n_runs > 1 else ""
        draw_title(ax, plural(n_runs, "run") if n_runs > 1 else values.runs[0], f"{title}{against}", theme)
        draw_legend(ax, handles)
        describe(ax, description_of_dots(values, title, as_text), *(f"{note}." for note in notes))
    return ax


def notes_on_rows(values: Distributions, n_known: int, n_shown: int, measure: str) -> list[str]:
    """The notes on values that have no row."""
    n_unknown = len(values.rows) - n_known
    notes = [f"{plural(n_unknown, 'row')} of unknown {measure} not drawn"] if n_known and n_unknown else []
    if n_shown < n_known:
        first = "most distant runs" if values.baseline is None else "largest changes"
        first = first if len(values.runs) > 1 else "largest amounts"
        notes.append(f"{n_shown:,} of {n_known:,} rows drawn, those with the {first}")
    return notes


def formatter_of(measure: str, time_unit: Literal["auto", "step"]) -> Callable[[Any], str]:
    """The function that writes an amount of a measure."""
    duration = duration_formatter(time_unit)
    if measure.endswith("_us"):
        return lambda amount: duration(round(amount))
    return {"cost": cost_text, "share_path": share_text}.get(measure, short_number)


def max_dot_rows(ax: Axes | None) -> int:
    """How many rows fit, on these Axes or into a new figure."""
    if ax is None:
        return MAX_DOT_ROWS
    points = ax.bbox.height / ax.figure.dpi * 72 - LINES_BELOW_DOTS * font_sizes(ax).text
    return min(max(int(points / MIN_DOT_ROW_POINTS), MIN_DOT_ROWS), MAX_DOT_ROWS)


def diameter_of(n_runs: int, ax: Axes | None) -> float:
    """The diameter of the dots of so many runs, in points."""
    diameter = next(points for most, points in DOT_POINTS if n_runs <= most)
    return diameter if ax is None or not is_narrow(ax) else diameter * SMALL_DOTS


def inches_of_rows(n_rows: int, n_runs: int, n_handles: int) -> float:
    """The height of the rows in a new figure."""
    inches = n_rows * next(height for most, height in DOT_ROW_INCHES if n_runs <= most)
    return max(min(inches, MAX_DOT_ROWS_INCHES), n_handles * LEGEND_LINE_INCHES, 1.2)


def dots_of(values: Distributions, palette: Palette, theme: ThemeColors, diameter: float) -> Dots:
    """A dot for each known amount, in the order in which they are drawn."""
    row, run = np.nonzero(~np.isnan(values.measure))
    look = np.where(values.is_outlying, OUTLYING, USUAL)
    look = np.where(values.occurs, look, NOT_IN_RUN)
    if values.baseline is not None:
        look[:, values.baseline] = BASELINE
    order = np.argsort(look[row, run], kind="stable")
    row, run = row[order], run[order]
    total = pd.Series(np.nansum(values.measure, axis=1)).groupby(values.rows["first"]).sum()
    busiest = sorted(total.nlargest(MAX_COLORED_NAMES).index)
    scale = color_scale(values.rows["first"], palette, theme, busiest=busiest)
    return Dots(row, run, values.measure[row, run], scale.colors_of(row), look[row, run], diameter)


def draw_value_rows(ax: Axes, values: Distributions, as_text: Callable[[Any], str], theme: ThemeColors) -> None:
    """Set the limits of the rows, shade every second one, and write their names, and the changes of the medians."""
    n_rows, inches = len(values.rows), ax.bbox.height / ax.figure.dpi
    ax.set_ylim(max(n_rows, inches / MAX_DOT_ROW_INCHES), 0)
    for row in range(0, n_rows, 2):
        ax.axhspan(row, row + 1, color=theme.shading, linewidth=0, zorder=0)
    draw_names(ax.yaxis, np.arange(n_rows) + 0.5, values.rows["name"].tolist())
    changes = values.rows["change"].tolist() if values.baseline is not None and len(values.runs) > 1 else []
    texts = ["" if np.isnan(change) else signed_text(change, as_text) for change in changes]
    if any(texts):
        size = font_sizes(ax).bar
        width = max(text_width(text, size) for text in texts)
        colors = [change_color(change, theme) for change in changes]
        offsets = np.full(n_rows, -CHANGE_PAD_POINTS)
        style: dict[str, Any] = {"width": width + CHANGE_PAD_POINTS, "size": size, "beside": "left", "align": "right"}
        ax.add_artist(RowTexts(texts, offsets, colors=colors, **style))
        ax.tick_params(axis="y", pad=width + 2 * CHANGE_PAD_POINTS)


def draw_measure_axis(
    ax: Axes, values: Distributions, measure: str, time_unit: Literal["auto", "step"], theme: ThemeColors
) -> None:
    """Draw the axis of the measure, which begins at 0."""
    highest = float(np.nanmax(values.measure, initial=0.0)) or 1.0
    if measure.endswith("_us"):
        mapping = linear_map(0, np.array([0.0, highest]))
        TimeAxis(mapping, "step" if time_unit == "step" else "elapsed", "UTC", "").draw(ax, theme)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=measure not in ("cost", "share_path")))
        reference = partial(tick_number, reference=highest)
        written = {"cost": lambda cost, _: cost_text(cost), "share_path": lambda share, _: share_text(share)}
        ax.xaxis.set_major_formatter(written.get(measure, reference))
        ax.grid(visible=True, axis="x")
        ax.grid(visible=False, axis="y")
    margin = max(AXIS_MARGIN, diameter_of(len(values.runs), ax) / (ax.bbox.width / ax.figure.dpi * 72)) * highest
    ax.set_xlim(-margin, highest + margin)
    ax.set_xlabel(MEASURE_TITLES[measure])
    ax.xaxis.label.set(horizontalalignment="left", x=0.0)


def draw_medians(ax: Axes, values: Distributions, theme: ThemeColors) -> None:
    """Draw a line across each row at its median, if there are several runs."""
    median = values.rows["median"].to_numpy()
    rows = np.flatnonzero(~np.isnan(median)) if len(values.runs) > 1 else np.empty(0, dtype=np.int64)
    ends = (rows + 0.5 - MEDIAN_HEIGHT / 2, rows + 0.5 + MEDIAN_HEIGHT / 2)
    lines = np.stack([np.column_stack([median[rows], end]) for end in ends], axis=1)
    zorder = 2.8 if len(values.runs) <= MAX_NAMED_RUNS else 3.2  # no line hides one of few dots
    for color, width, label in ((theme.background, 2 * MEDIAN_LINE_WIDTH, "edges"), (theme.text, MEDIAN_LINE_WIDTH, "medians")):
        style: dict[str, Any] = {"colors": color, "linewidths": width, "zorder": zorder, "label": label}
        ax.add_collection(LineCollection(list(lines), **style), autolim=False)


def names_of_dots(ax: Axes, values: Distributions, swarms: Swarms, theme: ThemeColors) -> DotNames:
    """The names of outlying runs, the most distant first; of few runs, of all in which the value occurs."""
    dots, n_runs = swarms.dots, len(values.runs)
    row = dots.row
    distance = np.abs(dots.x - values.rows["median"].to_numpy()[row])
    outlying = values.is_outlying[row, dots.run] & (dots.look != BASELINE)
    first = np.lexsort((row, -distance, ~outlying))
    first = first[(outlying | ((dots.look == USUAL) & (n_runs <= MAX_NAMED_RUNS)))[first]]
    run = dots.run[first]
    texts = shortened_names(values.runs, max_name_points(ax), font_sizes(ax).bar)
    lines = values.rows["median"].to_numpy() if n_runs > 1 else np.full(len(values.rows), np.nan)
    return DotNames(ax, swarms, first, [texts[each] for each in run.tolist()], lines=lines, color=theme.text)


def dot_handles(values: Distributions, dots: Dots, theme: ThemeColors) -> list[Line2D]:
    """The legend handles of the looks that occur, and of the median."""
    labels = {
        USUAL: "run",
        OUTLYING: "outlying run",
        NOT_IN_RUN: "not in the run",
        BASELINE: f"baseline: {baseline_name(values)}",
    }
    handles = []
    for look in np.unique(dots.look).tolist():
        face, edge, width = look_style(theme.muted, look, theme)
        style: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": width, "markersize": 6.5}
        handles.append(Line2D([], [], marker=SHAPES[look], linestyle="none", label=labels[look], **style))
    if len(values.runs) > 1:
        style = {"markersize": 10, "markeredgewidth": MEDIAN_LINE_WIDTH}
        label = "median" if values.baseline is None else "median of the others"
        handles.append(Line2D([], [], marker="|", linestyle="none", color=theme.text, label=label, **style))
    return handles


def baseline_name(values: Distributions) -> str:
    """The name of the run with which others are compared."""
    return "the median" if values.baseline is None else drawable(values.runs[values.baseline], MAX_BASELINE_CHARACTERS)


def by_phrase(columns: list[str]) -> str:
    """By what runs are compared, for a title."""
    return f" by {' and '.join(map(column_title, columns))}" if columns else ""


def description_of_dots(values: Distributions, title: str, as_text: Callable[[Any], str]) -> str:
    """A description of the picture: the largest change of a median, and the outlying runs."""
    n_runs, title = len(values.runs), f"{title[0].upper()}{title[1:]}"
    if n_runs == 1:
        return f"{title} in {described_name(values.runs[0])}."
    parts = [f"{title} in {n_runs:,} runs, against {described_name(baseline_name(values))}"]
    change = values.rows["change"].iloc[0]
    if values.baseline is not None and change and not np.isnan(change):
        name = described_name(values.rows["name"].iloc[0])
        parts.append(f": the median changed most for {name}, {signed_text(change, as_text)}")
    rows, runs = np.nonzero(values.is_outlying)
    distance = np.abs(values.measure - values.rows["median"].to_numpy()[:, None])[rows, runs]
    order = np.lexsort((runs, rows, -distance))
    told = [
        f"{described_name(values.runs[runs[each]])} ({described_name(values.rows['name'].iloc[rows[each]])})"
        for each in order[:MAX_TOLD].tolist()
    ]
    more = f" and {len(order) - len(told):,} more" if len(order) > len(told) else ""
    parts.append(f"; outlying: {', '.join(told)}{more}" if told else "; no run is outlying")
    return f"{''.join(parts)}."
