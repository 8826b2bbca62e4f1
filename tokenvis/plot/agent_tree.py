"""The agent tree: an indented tree of names beside bars over time: who started whom, when each worked and waited, at what cost.

Drawing only: rows and measures come from `tokenvis.analysis.agent_tree`, the choice of rows and the stretches of time from
`tokenvis.layout.agent_rows`.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from tokenvis.analysis.agent_tree import agent_tree
from tokenvis.errors import plural
from tokenvis.layout.agent_rows import AgentRows, agent_rows
from tokenvis.layout.lanes import Placement
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import Segments, states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, BarWaits, draw_bar_markers, draw_bars
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.connectors import rows_by_id
from tokenvis.plot.artists.figure import check_axes, draw_empty, new_axes
from tokenvis.plot.artists.legend import draw_legend
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.markers import marker_handles
from tokenvis.plot.artists.names import shortened_names
from tokenvis.plot.artists.row_texts import ROW_HEIGHT_EMS, RowTexts, draw_tree_lines
from tokenvis.plot.artists.states import state_handles
from tokenvis.plot.artists.style import ThemeColors, apply_theme, blend_colors, font_sizes, themed
from tokenvis.plot.artists.text import MIN_FONT_POINTS, drawable, text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import cost_text, describe, described_name, draw_note, draw_title, short_number
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.prices import Prices
from tokenvis.tree.relations import relations_of
from tokenvis.tree.states import WORK, states_of

MAX_ROWS, MIN_ROWS = 200, 5
LINES_BELOW = 7  # the space that a layout takes from given Axes, for labels, notes and a legend
TREE_ROW_INCHES, MAX_TREE_INCHES = 0.27, 18.0  # of a row, and of all rows in a new figure
MAX_ROW_INCHES = 0.45  # on given Axes: few rows do not fill them
MAX_NAMES_SHARE, MAX_NUMBERS_SHARE = 0.26, 0.3  # of the figure's width
INDENT_POINTS, MAX_INDENT_SHARE = 11.0, 0.5  # of a level; of all levels, as a share of the column of names
NAME_GAP_POINTS, COLUMN_GAP_POINTS, TOTAL_GAP_POINTS = 6.0, 12.0, 4.0  # beside names, before columns, within columns
LEGEND_GAP_POINTS = 10.0
FORK_COLOR_SHARE, MAX_STRONG_FORKS = 0.75, 40  # of the lines from a caller to the start; more lines are thinner and paler
MarkerKind: TypeAlias = Literal["instant", "error", "cancelled", "open"]
MARKER_KINDS: tuple[MarkerKind, ...] = ("instant", "error", "cancelled", "open")


def plot_agent_tree(
    spans: pd.DataFrame,
    *,
    prices: Prices | None = None,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw who started whom: an indented tree of names, and beside each when it worked and waited, its tokens and its cost.

    A row is an instance of `agent_tree`. Its bars are the times in which at least one of its spans works, and else those in
    which one waits, in the looks of their states; a thin line leads from its first start to its last end. A line from the row
    of the agent that started it, dashed for a link, leads to its start. A red cross at the end is an error, a grey one a
    cancelled agent, an arrow an open one; a diamond is an instance without duration.

    The columns at the right are input and output tokens, and the cost, of the instance itself; "of" is followed by the total
    with all rows below it. They are left out if no span has them, and the totals, then the columns, if they would take more
    than 30% of the width.

    Of more than 200 rows, or more than have names that can be read on ``ax``, those with the most work in their subtrees are
    drawn. A note shows how many there are, and the name of a row how many below it are not drawn: "lead (+12)".

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    prices
        Prices of calls without a cost, as in `usage`.
    palette
        Colours of the agents, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether a legend of states and markers is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the rows.

    Returns
    -------
    Axes
        x is as in `plot_timeline`. y counts rows from the top: the first is from 0 to 1.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, a parent or linked id is in two rows, or there are several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "code"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000, 4_000_000], "end_time": [10_000_000, 8_000_000, 9_000_000],
    ...     "parent_id": [None, "plan", "plan"],
    ... })
    >>> plot_agent_tree(spans).get_label()
    'Agent tree of t: 3 agents, 2 levels, 10 s.'
    """
    require(spans)
    check_axes(ax)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    losses, spans = losses_of(spans), recorded_spans(spans)
    table, relations, states = agent_tree(spans, prices=prices), relations_of(spans, requests=False), states_of(spans)
    rows = agent_rows(spans, relations, states, table["subtree_busy_us"].to_numpy(), max_rows(ax))
    shown = table.iloc[rows.shown].reset_index(drop=True)
    with themed(ax) as theme:
        busiest = busiest_names(spans, spans["agent_id"], MAX_COLORED_NAMES, states=states)
        scale = color_scale(table["agent_id"], palette, theme, busiest=busiest)
        marked = marked_instances(shown)
        handles = [
            *state_handles(states_that_occur(states), theme),
            *marker_handles(marked, theme),
            *link_handles(shown, theme),
        ]
        ax = new_axes(tree_inches(len(shown))) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, losses)
        apply_theme(ax)
        draw_rows(ax, len(shown), theme)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        bars = instance_bars(shown, scale, rows.shown, axis)
        draw_lifetimes(ax, bars, theme)
        draw_forks(ax, spans, shown, rows.parent, axis, theme)
        raster = draw_bars(ax, stretch_bars(bars, rows.stretches, theme))
        markers = [artist for kind in MARKER_KINDS for artist in draw_bar_markers(ax, bars, marked[kind], kind, theme)]
        draw_tree_names(ax, table, rows, theme)
        right_points = draw_numbers(ax, shown, theme)
        notes = [*row_notes(len(shown), len(table)), *(["bars drawn as time per pixel"] if raster else [])]
        draw_note(ax, [losses, *notes, *markers], theme)
        draw_title(ax, axis.name, tree_counts(table, axis), theme)
        draw_legend(
            ax, [*handles, *lost_handles(losses, theme)] if legend else [], offset_points=right_points + LEGEND_GAP_POINTS
        )
        sentences = [*losses.sentences(), *(f"{note}." for note in row_notes(len(shown), len(table)))]
        describe(ax, f"Agent tree of {described_name(axis.name)}: {tree_counts(table, axis).replace(' · ', ', ')}.", *sentences)
    return ax


def max_rows(ax: Axes | None) -> int:
    """How many rows have names that can be read, on these Axes or in a new figure."""
    if ax is None:
        return MAX_ROWS
    points = ax.bbox.height / ax.figure.dpi * 72 - LINES_BELOW * font_sizes(ax).text
    return min(max(int(points / (ROW_HEIGHT_EMS * MIN_FONT_POINTS)) - 1, MIN_ROWS), MAX_ROWS)


def tree_inches(n_rows: int) -> float:
    """The height of the rows in a new figure."""
    return max(min((n_rows + 1) * TREE_ROW_INCHES, MAX_TREE_INCHES), 1.2)


def tree_counts(table: pd.DataFrame, axis: TimeAxis) -> str:
    """The counts of the tree, as one line."""
    n_agents = table["agent_id"].nunique()
    agents = plural(n_agents, "agent")
    parts = [agents if len(table) == n_agents else f"{plural(len(table), 'instance')} of {agents}"]
    parts.append(plural(int(table["depth"].max()) + 1, "level"))
    if n_errors := int((table["outcome"] == "error").sum()):
        parts.append(f"{n_errors:,} failed")
    parts.append(axis.duration(int(table["end"].max()) - int(table["start"].min())))
    return " · ".join(parts)


def row_notes(n_shown: int, n_rows: int) -> list[str]:
    """The note on rows that are not drawn."""
    return [f"{n_shown:,} of {n_rows:,} rows drawn, the busiest"] if n_shown < n_rows else []


def marked_instances(shown: pd.DataFrame) -> dict[str, Int64Array]:
    """The rows that have a marker, by its kind."""
    has_marker = {kind: shown["outcome"] == kind for kind in MARKER_KINDS} | {"instant": shown["start"] == shown["end"]}
    return {kind: np.flatnonzero(mask) for kind, mask in has_marker.items()}


def link_handles(shown: pd.DataFrame, theme: ThemeColors) -> list[Line2D]:
    """The legend handle of starts by a link, if there are any."""
    if not (shown["evidence"] == "link").any():
        return []
    return [Line2D([], [], color=theme.muted, linewidth=1.0, linestyle="--", label="started by a link")]


def draw_rows(ax: Axes, n_rows: int, theme: ThemeColors) -> None:
    """Set the limits of the rows, with space for a header above them, and shade every second row."""
    inches = ax.bbox.height / ax.figure.dpi
    ax.set_ylim(max(n_rows + 0.2, inches / MAX_ROW_INCHES - 1), -1)
    ax.set_yticks([])
    for row in range(0, n_rows, 2):
        ax.axhspan(row, row + 1, color=theme.shading, linewidth=0, zorder=0)


def instance_bars(shown: pd.DataFrame, scale: ColorScale, positions: Int64Array, axis: TimeAxis) -> Bars:
    """Each instance as a bar from its first start to its last end."""
    number = np.arange(len(shown))
    lanes = pd.DataFrame({"top": number.astype(float), "height": 1.0, "is_lane": True})
    placement = Placement(number, lanes, pd.DataFrame({"top": [], "height": []}))
    start, end = (shown[name].to_numpy() for name in ("start", "end"))
    return Bars(start, end, placement, scale.code[positions], scale.colors, axis.mapping)


def stretch_bars(bars: Bars, stretches: Segments, theme: ThemeColors) -> Bars:
    """The stretches of work and waiting as bars, in the rows and colours of their instances."""
    waits = np.flatnonzero((stretches.state != WORK) & (stretches.end > stretches.start))
    segments = Segments(waits, stretches.start[waits], stretches.end[waits], stretches.state[waits])
    return Bars(
        stretches.start,
        stretches.end,
        Placement(stretches.row, bars.placement.rows, bars.placement.bands),
        bars.color[stretches.row],
        bars.colors,
        bars.mapping,
        BarWaits(segments, theme) if len(waits) else None,
    )


def draw_lifetimes(ax: Axes, bars: Bars, theme: ThemeColors) -> None:
    """Draw a thin line from the first start to the last end of each instance."""
    x0, x1 = bars.x_ends()
    y = bars.placement.middle
    lines = list(np.stack([np.column_stack([x0, y]), np.column_stack([x1, y])], axis=1))
    style: dict[str, Any] = {"colors": theme.muted, "linewidths": 0.8, "zorder": 2.2}
    ax.add_collection(LineCollection(lines, label="lifetimes", **style), autolim=False)


def draw_forks(
    ax: Axes, spans: pd.DataFrame, shown: pd.DataFrame, parent: Int64Array, axis: TimeAxis, theme: ThemeColors
) -> None:
    """Draw a line from the caller, in the row of the parent, down to the start of each instance."""
    child = np.flatnonzero(parent >= 0)
    caller = rows_by_id(spans, shown["caller"].iloc[child])
    caller_start, caller_end = (times[caller] for times in times_of(spans))
    start = shown["start"].to_numpy()[child]
    x0, x1 = (axis.mapping.to_x(times) for times in (np.clip(start, caller_start, caller_end), start))
    y0, y1 = parent[child] + 0.5, child + 0.5
    lines = np.stack([np.column_stack(corner) for corner in ((x0, y0), (x1, y0), (x1, y1))], axis=1)
    is_link = (shown["evidence"].iloc[child] == "link").to_numpy()
    strength = min(1.0, MAX_STRONG_FORKS / max(len(child), 1)) ** 0.5
    color = blend_colors(theme.muted, theme.background, FORK_COLOR_SHARE * strength)
    for linked, line_style in ((False, "-"), (True, "--")):
        style: dict[str, Any] = {"colors": color, "linewidths": 0.9 * strength, "linestyles": line_style, "zorder": 2.1}
        selected = list(lines[is_link == linked])
        if selected:
            ax.add_collection(LineCollection(selected, label="links" if linked else "starts", **style), autolim=False)


def draw_tree_names(ax: Axes, table: pd.DataFrame, rows: AgentRows, theme: ThemeColors) -> None:
    """Draw the names, indented by their depth, and the lines of the tree."""
    size = font_sizes(ax).text
    names = row_names(table, rows)
    depth = table["depth"].to_numpy()[rows.shown]
    limit = MAX_NAMES_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    indent = min(INDENT_POINTS, MAX_INDENT_SHARE * limit / max(int(depth.max()), 1)) * depth
    full_widths = [text_width(drawable(name), size) + space for name, space in zip(names, indent.tolist(), strict=True)]
    width = min(limit, max(full_widths))
    offsets = indent - width - NAME_GAP_POINTS
    texts = np.empty(len(names), dtype=object)
    for level in np.unique(depth).tolist():  # names of a level have the same width
        at_level = np.flatnonzero(depth == level)
        texts[at_level] = shortened_names([names[row] for row in at_level], width - indent[at_level[0]], size)
    color = [theme.error if outcome == "error" else theme.text for outcome in table["outcome"].iloc[rows.shown]]
    draw_tree_lines(ax, offsets, rows.parent, theme)
    ax.add_artist(RowTexts(texts.tolist(), offsets, width=width + NAME_GAP_POINTS, size=size, colors=color, beside="left"))


def row_names(table: pd.DataFrame, rows: AgentRows) -> list[str]:
    """The last name in the path of each row, and how many rows below it are not shown."""
    paths = table["path"].to_numpy(dtype=object)
    above = np.append(paths[rows.shown], "")[rows.parent]
    agents = table["agent_id"].iloc[rows.shown].astype(object)
    names = []
    for path, root, agent, n_hidden in zip(paths[rows.shown], above, agents, rows.n_hidden.tolist(), strict=True):
        prefix = f"{root} / " if root else ""
        name = path[len(prefix) :] if path.startswith(prefix) else str(agent)
        names.append(f"{name} (+{n_hidden:,})" if n_hidden else name)
    return names


def draw_numbers(ax: Axes, shown: pd.DataFrame, theme: ThemeColors) -> float:
    """Draw the columns of numbers at the right, as far as they fit; returns their width in points."""
    size = font_sizes(ax).text
    limit = MAX_NUMBERS_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    columns = number_columns(shown)
    with_totals = sum(width_of_columns(column, size, with_totals=True) for column in columns) <= limit
    left = 0.0
    for column in columns:
        width = width_of_columns(column, size, with_totals=with_totals)
        if left + width > limit:
            break
        style: dict[str, Any] = {"width": left + width, "size": size, "beside": "right"}
        right = np.full(len(shown), left + width_of_columns(column, size, with_totals=False))
        heading: dict[str, Any] = {"header": column.header, "header_color": theme.muted, "align": "right"}
        ax.add_artist(RowTexts(column.own, right, colors=[theme.text] * len(shown), **heading, **style))
        if with_totals:
            ax.add_artist(RowTexts(column.totals, right + TOTAL_GAP_POINTS, colors=[theme.muted] * len(shown), **style))
        left += width
    return left


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers as texts: those of the instances themselves, and those with all below: "of 3.4k"."""

    header: str
    own: list[str]
    totals: list[str]


def width_of_columns(column: NumberColumn, size: float, *, with_totals: bool) -> float:
    """The width of a column and the gap before it, in points."""
    own, totals = (max(text_width(text, size) for text in texts) for texts in ((column.header, *column.own), column.totals))
    return COLUMN_GAP_POINTS + own + (TOTAL_GAP_POINTS + totals if with_totals and totals else 0.0)


def number_columns(shown: pd.DataFrame) -> list[NumberColumn]:
    """The columns that have numbers. Totals are those that differ from the numbers of the instance itself."""
    tokens, all_tokens = (tokens_of_rows(shown, prefix) for prefix in ("", "subtree_"))
    given = ("tokens", tokens, all_tokens, short_number), ("cost", shown["cost"], shown["subtree_cost"], cost_text)
    columns = []
    for header, own, total, as_text in given:
        own_texts = ["" if pd.isna(number) else as_text(number) for number in own]
        differs = (shown["subtree_n_spans"] > shown["n_spans"]) & total.notna() & ~(own == total).fillna(value=False)
        totals = [f"of {as_text(number)}" if shows else "" for number, shows in zip(total, differs, strict=True)]
        if total.notna().any():
            columns.append(NumberColumn(header, own_texts, totals))
    return columns


def tokens_of_rows(shown: pd.DataFrame, prefix: str) -> pd.Series:
    """Input and output tokens of each row."""
    return shown[[f"{prefix}input_tokens", f"{prefix}output_tokens"]].sum(axis=1, min_count=1)
