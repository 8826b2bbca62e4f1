"""Many runs: a strip for each run on one axis of elapsed time, with signs of those that are slow or failed.

Drawing only: strips and runs come from `tokenvis.runs.strips`, their order and rows from `tokenvis.layout.run_rows`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tokenvis.analysis.critical_path import PATH_STATES
from tokenvis.errors import check_choice, plural
from tokenvis.layout.lanes import Placement
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.run_rows import ORDER_COLUMNS, RUN_ORDERS, RunOrder, ordered_runs, runs_with_rows
from tokenvis.layout.segments import Segments
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import BAR_HEIGHT_SHARE, MAX_BARS, Bars, BarWaits, Raster, draw_bars, rectangle_corners
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.figure import LEGEND_LINE_INCHES, check_axes, draw_empty, new_axes
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.markers import Markers, draw_markers
from tokenvis.plot.artists.run_labels import RunLabels, RunTexts, sign_handle
from tokenvis.plot.artists.states import draw_in_state, state_handles, state_patch
from tokenvis.plot.artists.style import ThemeColors, apply_theme, blend_colors, font_sizes, is_narrow, themed
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import cost_text, describe, described_name, draw_note, draw_title, short_number
from tokenvis.plot.comparisons.run_notes import UNKNOWN_CALLS, role_notes, unknown_notes
from tokenvis.runs.matching import Match, check_match, matched
from tokenvis.runs.run_paths import IDLE
from tokenvis.runs.strips import Strips, strips_of
from tokenvis.spans.columns import as_categorical, require
from tokenvis.spans.integers import Float64Array, Int64Array
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.prices import Prices, price_lists_of
from tokenvis.tree.states import STATES, WORK

MAX_STRIPS = 500  # with a row, of more runs
MIN_RUN_ROWS, MIN_RUN_POINTS = 10, 1.0  # with a row on given Axes; of a row, about a pixel
RUN_INCHES, MIN_RUN_INCHES, RUNS_INCHES = 0.27, 0.02, 6.5  # of a row; of one of very many; of all rows, from which they shrink
MAX_RUN_INCHES = 0.45  # on given Axes: few rows do not fill them
SOLID_POINTS = 4.0  # from this height, rows are apart, with borders
MEDIAN_WIDTH = 1.0
LINES_BELOW_RUNS = 6  # the space that a layout takes from given Axes, for labels, notes and a legend
GAP_COLOR_SHARE = 0.18  # of idle time in low rows
MAX_DESCRIBED_RUNS = 5
ORDER_TEXTS = {
    "time": "longest first",
    "cost": "highest cost first",
    "tokens": "most tokens first",
    "errors": "most errors first",
    "start": "earliest first",
    "name": "by name",
}
NUMBER_FORMATS: dict[str, Callable[[Any], str]] = {"cost": cost_text, "tokens": short_number, "errors": short_number}


def plot_runs(
    runs: pd.DataFrame,
    *,
    hue: str = "agent_id",
    order: RunOrder = "time",
    match: Match = "role",
    palette: Palette = None,
    prices: Prices | None = None,
    gaps: GapMode = "fold",
    time_unit: Literal["auto", "step"] = "auto",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a strip for each run, one above the other on one axis of elapsed time: where the time of each run went.

    A strip is the critical path of a run: at each moment its colour is the agent whose work determined how long the run took,
    or, where links and parents do not show it, one that works at the moment. It is as long as the run. Waits are paler, with
    the looks of `plot_timeline`; time in which nothing runs is empty. A dashed line is the median of the wall times.

    A triangle beside a strip marks a slow run: its wall time is more than three spreads above the median (a spread is 1.4826
    times the median absolute deviation), and more than 5%. Of fewer than three runs, none is slow. A red cross marks a failed
    run: a span has ``status`` "error". A red cross on a strip is a span on the path that failed, and not only because one
    below it did.

    Parameters
    ----------
    runs
        A frame of spans; each trace is a run.
    hue
        The column whose values define the colours.
    order
        The order of the strips from the top: "time" (wall time, the longest first), "cost", "tokens", "errors" (the most
        first, runs without a figure last), "start" (the first start, the earliest first), or "name". Ties are by name. Beside
        each name is its figure, by default the wall time; "≥" marks a sum that lacks calls without a cost or tokens, by which
        the run has its place.
    match
        With ``hue="agent_id"``: which agents of the runs are the same, and have one colour, as in `compare`. By default those
        with the same name, and agents without a namesake by what they do; a note counts these, and their runs.
    palette
        Colours of the values, as in `plot_timeline`. Of more than twelve, those with the most time in the strips have colours.
    prices
        Prices of calls without a cost, as in `usage`.
    gaps
        "fold": if nothing works for more than half of the longest strip, long gaps of all strips together become marked
        breaks. "keep": time is linear.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether a legend is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the rows.

    Returns
    -------
    Axes
        x is µs since the start of each run, without folded time. y counts rows from the top: the first is from 0 to 1. Of more
        than 500 runs, or more than rows of a point fit, the slow and failed ones are drawn first, then as many of the others as
        fit, each at even distances in the order; a note says how many. If rows are lower than a name, slow and failed runs have
        names first, then some in between.

    Raises
    ------
    MissingColumn, BadSpan
        ``runs`` is not a frame of spans, or has no column ``hue``.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({
    ...     "id": ["a", "b", "a", "b", "a"], "trace_id": ["mon", "mon", "tue", "tue", "wed"],
    ...     "agent_id": ["Ann", "Bob", "Ann", "Bob", "Ann"], "location_id": "desk",
    ...     "start_time": [0, 4_000_000, 0, 5_000_000, 0], "end_time": [4_000_000, 9_000_000, 5_000_000, 9_000_000, 40_000_000],
    ... })
    >>> plot_runs(runs).get_label()
    '3 runs, longest first: from 9 s to 40 s, median 9 s; 1 slow: wed; none failed.'
    """
    require(runs, hue)
    check_choice("order", order, RUN_ORDERS)
    check_match(match)
    price_lists_of(prices)
    check_axes(ax)
    losses, spans = losses_of(runs), recorded_spans(runs)
    roles = matched(spans, match) if hue == "agent_id" else None
    values = spans[hue] if roles is None else roles.spans["agent_id"]
    all_strips = strips_of(spans, values, usage=order in ("cost", "tokens"), prices=prices)
    table = all_strips.runs
    marked = (table["is_slow"] | table["is_failed"]).to_numpy()
    strips = all_strips.of_runs(runs_with_rows(ordered_runs(table, order), marked, max_runs(ax)))
    axis = axis_of_strips(strips, gaps, time_unit)
    with themed(ax) as theme:
        scale = scale_of_strips(strips, values, palette, theme)
        handles = run_handles(strips, table, scale, axis, theme) if legend else []
        ax = new_axes(inches_of_runs(len(strips.runs), len(handles))) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, theme, spans, losses)
        apply_theme(ax)
        row_points = set_rows(ax, len(strips.runs))
        axis.draw(ax, theme)
        raster = draw_strips(ax, strips, scale, axis, theme, row_points)
        draw_median(ax, table, axis, theme)
        crosses = draw_failures(ax, strips, axis, theme)
        labels = RunLabels(ax, texts_of_runs(ax, strips.runs, order, axis), theme)
        ax.add_artist(labels)
        notes = [*notes_on_runs(len(strips.runs), len(table)), *notes_on_order(table, order)]
        notes += [] if roles is None else role_notes(roles.names)
        draw_note(ax, [losses, *notes, labels, *crosses, *(["strips drawn as time per pixel"] if raster else [])], theme)
        draw_title(ax, title_of_runs(table), details_of_runs(table, order, axis), theme)
        draw_legend(ax, handles)
        describe(ax, description_of_runs(table, order, axis), *losses.sentences(), *(f"{note}." for note in notes))
    return ax


def max_runs(ax: Axes | None) -> int:
    """How many runs have a row, on these Axes or in a new figure."""
    return MAX_STRIPS if ax is None else min(max(int(points_for_rows(ax) / MIN_RUN_POINTS), MIN_RUN_ROWS), MAX_STRIPS)


def points_for_rows(ax: Axes) -> float:
    """The height that a layout leaves to the rows, in points."""
    return float(ax.bbox.height / ax.figure.dpi * 72 - LINES_BELOW_RUNS * font_sizes(ax).text)


def inches_of_runs(n_runs: int, n_handles: int) -> float:
    """The height of the rows in a new figure."""
    rows = min(n_runs * RUN_INCHES, max(RUNS_INCHES, n_runs * MIN_RUN_INCHES))
    return max(rows, n_handles * LEGEND_LINE_INCHES, 1.2)


def set_rows(ax: Axes, n_runs: int) -> float:
    """Set the limits of the rows; returns the height of a row, in points."""
    inches = ax.bbox.height / ax.figure.dpi
    n_rows = max(float(n_runs), inches / MAX_RUN_INCHES)
    ax.set_ylim(n_rows, 0)
    ax.set_yticks([])
    return points_for_rows(ax) / n_rows


def axis_of_strips(strips: Strips, gaps: GapMode, time_unit: Literal["auto", "step"]) -> TimeAxis:
    """The axis of elapsed time of all strips; a gap is folded if nothing works on any of their paths."""
    names = dict.fromkeys(("id", "trace_id", "agent_id", "location_id"), "runs")
    start = np.where(strips.state == IDLE, strips.end, strips.start)  # of a gap, only the end counts
    times = {"start_time": np.append(start, 0), "end_time": np.append(strips.end, 0)}  # all begin at 0
    stretches = pd.DataFrame({**names, **times})
    return time_axis(stretches, gaps=gaps, time_unit=time_unit, states=strips.states())


def scale_of_strips(strips: Strips, values: pd.Series, palette: Palette, theme: ThemeColors) -> ColorScale:
    """The colours of the stretches. Those of names depend on all names of the spans, as in other pictures."""
    is_number = pd.api.types.is_numeric_dtype(values.dtype)
    named = values if is_number or isinstance(values.dtype, pd.CategoricalDtype) else pd.Series(as_categorical(values))
    shown = named.iloc[strips.span]
    busiest = busiest_names(shown.to_frame(), shown, MAX_COLORED_NAMES, states=strips.states())
    return color_scale(shown, palette, theme, busiest=busiest)


def draw_strips(
    ax: Axes, strips: Strips, scale: ColorScale, axis: TimeAxis, theme: ThemeColors, row_points: float
) -> Raster | None:
    """Draw the stretches; returns their raster, if there is one: low rows touch each other, and have no borders."""
    is_solid = row_points < SOLID_POINTS
    height = 1 / BAR_HEIGHT_SHARE if is_solid else 1.0
    top = np.arange(len(strips.runs)) - (height - 1) / 2
    lanes = pd.DataFrame({"top": top, "height": height, "is_lane": True})
    placement = Placement(strips.run, lanes, pd.DataFrame({"top": [], "height": []}))
    color = np.where(strips.state == IDLE, len(scale.colors), scale.code)
    colors = [*scale.colors, blend_colors(theme.muted, theme.background, GAP_COLOR_SHARE)]
    bars = Bars(strips.start, strips.end, placement, color, colors, axis.mapping)
    if is_solid or len(strips.run) > MAX_BARS:
        rows = np.arange(len(strips.run))
        raster = Raster(ax, bars_in_states(bars, strips.state, rows, theme), rows, min_alpha=1.0)
        ax.add_artist(raster)
        return raster
    gaps = np.flatnonzero((strips.state == IDLE) & (strips.end > strips.start))
    draw_in_state(ax, rectangle_corners(bars, gaps), [theme.muted] * len(gaps), PATH_STATES[IDLE], theme, zorder=2.9)
    draw_bars(ax, bars_in_states(bars, strips.state, strips.explained(), theme))
    return None


def bars_in_states(bars: Bars, state: Int64Array, rows: Int64Array, theme: ThemeColors) -> Bars:
    """Some of the bars, in the looks of their states; each is in one state."""
    start, end, state = bars.start[rows], bars.end[rows], state[rows]
    waits = np.flatnonzero((state != WORK) & (state != IDLE) & (end > start))
    segments = Segments(waits, start[waits], end[waits], state[waits].astype(np.int8))
    placement = replace(bars.placement, row=bars.placement.row[rows])
    return replace(
        bars,
        start=start,
        end=end,
        placement=placement,
        color=bars.color[rows],
        waits=BarWaits(segments, theme) if len(waits) else None,
    )


def draw_median(ax: Axes, table: pd.DataFrame, axis: TimeAxis, theme: ThemeColors) -> None:
    """Draw a line at the median wall time of all runs, if there are several."""
    if len(table) > 1:
        x = axis.mapping.to_x(np.array([median_of(table)]))[0]
        style: dict[str, Any] = {"linewidth": MEDIAN_WIDTH, "linestyle": "--", "gapcolor": theme.background}
        ax.axvline(x, color=theme.text, zorder=3.3, label="median", **style)


def median_of(table: pd.DataFrame) -> int:
    """The median wall time, in µs."""
    return round(float(table["wall_us"].median()))


def draw_failures(ax: Axes, strips: Strips, axis: TimeAxis, theme: ThemeColors) -> list[Markers]:
    """Draw a cross at the end of each span on a path that failed."""
    middle: Float64Array = np.asarray(strips.failed_run + 0.5, dtype=np.float64)
    return draw_markers(ax, axis.mapping.to_x(strips.failed_at), middle, "error", theme.error, theme.background)


def run_handles(strips: Strips, table: pd.DataFrame, scale: ColorScale, axis: TimeAxis, theme: ThemeColors) -> list[Any]:
    """The handles of the legend: names, looks of states, the signs that occur, and the median."""
    occurring = [PATH_STATES[state] for state in np.unique(strips.state[strips.end > strips.start]).tolist()]
    handles: list[Any] = [legend_patch(*entry) for entry in scale.legend]
    handles += state_handles([state for state in occurring if state in STATES], theme)
    if PATH_STATES[IDLE] in occurring:
        handles.append(state_patch(PATH_STATES[IDLE], theme, label="idle"))
    if strips.runs["is_slow"].any():
        handles.append(sign_handle("slow", "slow", theme))
    if strips.runs["is_failed"].any():
        handles.append(sign_handle("failed", "failed, and where" if len(strips.failed_run) else "failed", theme))
    if len(table) > 1:
        style: dict[str, Any] = {"color": theme.text, "linewidth": MEDIAN_WIDTH, "linestyle": "--"}
        handles.append(Line2D([], [], label=f"median {axis.duration(median_of(table))}", **style))
    return handles


def texts_of_runs(ax: Axes, runs: pd.DataFrame, order: RunOrder, axis: TimeAxis) -> RunTexts:
    """The names of the runs, the figures of the order, by default the wall times, and signs."""
    signs = {"slow": runs["is_slow"].to_numpy(), "failed": runs["is_failed"].to_numpy()}
    if order in NUMBER_FORMATS:
        numbers = figure_texts(runs, order)
    elif is_narrow(ax):  # the axis has the time, and names need the room
        numbers = [""] * len(runs)
    else:
        numbers = [axis.duration(wall_us) for wall_us in runs["wall_us"].tolist()]
    return RunTexts(runs["name"].tolist(), numbers, signs)


def figure_texts(runs: pd.DataFrame, order: RunOrder) -> list[str]:
    """The figure of each run by which they are ordered: a dash if it is not known, with "≥" if it is a lower bound."""
    as_text, figures = NUMBER_FORMATS[order], runs[ORDER_COLUMNS[order]]
    n_unknown = runs[UNKNOWN_CALLS[order][0]].tolist() if order in UNKNOWN_CALLS else [0] * len(runs)
    return [
        "–" if pd.isna(figure) else f"{'≥ ' if unknown else ''}{as_text(figure)}"
        for figure, unknown in zip(figures, n_unknown, strict=True)
    ]


def notes_on_runs(n_shown: int, n_runs: int) -> list[str]:
    """The note on runs that have no row."""
    if n_shown == n_runs:
        return []
    return [f"{n_shown:,} of {n_runs:,} runs drawn, those that are slow or failed before others"]


def notes_on_order(table: pd.DataFrame, order: RunOrder) -> list[str]:
    """The notes on runs whose figure is not known, and on calls that the figures of others lack."""
    if order not in UNKNOWN_CALLS:
        return []
    is_unknown = table[ORDER_COLUMNS[order]].isna()
    n_unknown = int(is_unknown.sum())
    last = [f"{plural(n_unknown, 'run')} without {'a cost' if order == 'cost' else 'tokens'}, last"] if n_unknown else []
    return [*last, *unknown_notes(table[~is_unknown], order)]


def title_of_runs(table: pd.DataFrame) -> str:
    """The number of the runs, or the name of a single one."""
    return str(table["name"].iloc[0]) if len(table) == 1 else plural(len(table), "run")


def details_of_runs(table: pd.DataFrame, order: RunOrder, axis: TimeAxis) -> str:
    """The median, the numbers of slow and failed runs, and the order, as one line."""
    n_failed = int(table["is_failed"].sum())
    if len(table) == 1:
        return " · ".join([axis.duration(int(table["wall_us"].iloc[0])), *(["failed"] if n_failed else [])])
    counts = [f"{count:,} {word}" for count, word in ((int(table["is_slow"].sum()), "slow"), (n_failed, "failed")) if count]
    return " · ".join([f"median {axis.duration(median_of(table))}", *counts, ORDER_TEXTS[order]])


def description_of_runs(table: pd.DataFrame, order: RunOrder, axis: TimeAxis) -> str:
    """A description of the picture: how long the runs took, and which are slow or failed."""
    if len(table) == 1:
        name, n_errors = described_name(table["name"].iloc[0]), int(table["n_errors"].iloc[0])
        failed = f"; {plural(n_errors, 'error')}" if n_errors else ""
        return f"Where the time of {name} went: {axis.duration(int(table['wall_us'].iloc[0]))}{failed}."
    shortest, longest = (axis.duration(int(us)) for us in (table["wall_us"].min(), table["wall_us"].max()))
    times = f"{len(table):,} runs, {ORDER_TEXTS[order]}: from {shortest} to {longest}, median {axis.duration(median_of(table))}"
    marked = [f"{named_runs(table[table[f'is_{word}']], word)}" for word in ("slow", "failed")]
    return f"{times}; {'; '.join(marked)}."


def named_runs(runs: pd.DataFrame, word: str) -> str:
    """How many runs are slow or failed, and which."""
    if not len(runs):
        return f"none {word}"
    measure = "wall_us" if word == "slow" else "n_errors"
    first = runs.sort_values(measure, ascending=False, kind="stable")["name"].iloc[:MAX_DESCRIBED_RUNS]
    names = ", ".join(map(described_name, first))
    rest = len(runs) - len(first)
    return f"{len(runs):,} {word}: {names}{f' and {rest:,} more' if rest else ''}"
