"""The storyline: a line for each agent, time to the right; lines run side by side while their agents share a location.

Drawing only: lines come from `tokenvis.layout.storylines.storyline`, their curves and boxes from
`tokenvis.layout.storylines.geometry`, positions on the time axis from `tokenvis.layout.time_map`, the agents with the
most work from `tokenvis.layout.name_order`.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import BadOption, plural, quoted
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.storylines.geometry import (
    MAX_BRANCHES,
    StorylineGeometry,
    branch_curves,
    storyline_geometry,
)
from tokenvis.layout.storylines.storyline import AbsentMode, LocationMode, storyline
from tokenvis.layout.storylines.turns import turns_of
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette, check_palette, color_names, colors_for
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES, OTHERS_COLOR, QUALITATIVE_COLORS
from tokenvis.plot.artists.figure import check_axes, draw_empty, height_inches, new_axes
from tokenvis.plot.artists.legend import draw_legend
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.markers import Markers, draw_markers, marked_rows, marker_handles
from tokenvis.plot.artists.storylines.density import DensityReport
from tokenvis.plot.artists.storylines.lines import draw_branches, draw_lines, line_width, shaded_color
from tokenvis.plot.artists.storylines.names import LineLabels
from tokenvis.plot.artists.storylines.rooms import BOX_PADDING, draw_boxes, draw_group_bands
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, themed
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title
from tokenvis.spans.columns import is_integer, require, times_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.losses import losses_of, recorded_spans

MAX_COLORED_AGENTS = 30  # with more agents, only those with the most work have a colour
MIN_LAYERS_NAMED_AT_BOTH_ENDS = 24  # lines in longer traces have their names at both ends
MIN_INCHES_NAMED_AT_BOTH_ENDS = 5.0  # in a narrower figure, the names would take too much of the width
LINE_MARKERS = {"instant": "dot"}  # the marker of an instant on a line
LINE_MARGIN = 0.9  # above the first line and below the last one, in rows
LABEL_MARGIN_EMS = 2.6  # above the first box and below the last one, for their names; a layout makes the Axes smaller later
MAX_LABEL_MARGIN_SHARE = 0.15  # of the height of the picture


def plot_storyline(
    spans: pd.DataFrame,
    *,
    agents: int | None = None,
    absent: AbsentMode = "line",
    by: str = "location_id",
    locations: LocationMode = "free",
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    shortest_us: int = 0,
    budget: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw who was with whom, and when: a line for each agent; lines run side by side while their agents share a location.

    Behind the lines of agents that share a location is a grey box with its name. An agent's name is at the start of its line,
    and in long traces also at the end. A line is thin and pale while its agent has no span; a short pause does not end its box
    (``is_pause`` of `storyline`). A line has thin lines beside it while its agent has further spans. An instant is a dot, a
    span with ``status`` "error" ends in a red cross, an open span in an arrow.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    agents
        How many agents have a line: those with the most work. By default all.
    absent
        "line": an agent has a line from its first span to its last. "break": only during its spans and instants.
    by
        The column that defines the groups: lines of agents with the same value run side by side, in a box with its name.
    locations
        "free": lines are where they cross least. "bands": each group has its own band, and lines travel between bands.
    palette
        Colours of the agents: a mapping (missing agents are grey), or a list for the agents in lexical order. By default those
        of `tokenvis.palette`, and shades of them for further agents; of more than thirty agents, only the twelve with the most
        work have colours, the others are grey.
    gaps
        "fold": if nothing works for more than half of the wall time, long gaps become marked breaks. "keep": time is linear.
    time
        "elapsed": time since the first start. "clock": date and time of day.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    tz
        The time zone of ``time="clock"``.
    legend
        Whether a legend of the markers is drawn.
    shortest_us
        Neighbouring intervals that are all shorter than this (µs) are merged, so that lines move less often; see `storyline`.
    budget
        The time limit, in seconds, to find an order with few crossings and to prove that none has fewer; see `storyline`.
    ax
        The Axes to draw on. By default a new figure of a size that fits the lines.

    Returns
    -------
    Axes
        x is the position on the time map: µs since the start, without folded time. y is the height of `storyline`, from the
        top. The title shows the number of crossings, and whether it is the minimum. A note shows how many agents are drawn if
        not all, how many short intervals were merged, how many stays were too short to show, how many side branches are drawn
        if there are more than 2,000, how many markers and names are left out, and whether the lines are too dense to follow in
        the current view: if a line turns or crosses another more often than every 8 points, or lines are closer than 3 points.
        ``get_label()`` describes the picture in a sentence or two.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, has no column ``by``, or has several traces.
    BadOption
        An argument is invalid, or does not fit the spans; or ``budget`` is set, but its extra is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Bob"], "location_id": ["desk", "lab", "desk"],
    ...     "start_time": [0, 0, 5_000_000], "end_time": [9_000_000, 5_000_000, 9_000_000],
    ... })
    >>> plot_storyline(spans).get_label()
    'Storyline of t, a line for each agent: 2 agents · 2 locations · 0 crossings.'
    """
    require(spans, by)
    check_axes(ax)
    check_palette(palette)
    spans = spans.copy(deep=False)  # later changes of the frame do not change the picture
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    losses, spans = losses_of(spans), recorded_spans(spans)
    n_agents = spans["agent_id"].nunique()
    spans = spans_of_busiest(spans, agents)
    layout = storyline(spans, absent=absent, by=by, locations=locations, shortest_us=shortest_us, budget=budget)
    total = layout.totals.iloc[0] if len(spans) else None
    with themed(ax) as theme:
        if total is None:
            return draw_empty(new_axes(height_inches(1, 0)) if ax is None else ax, theme, spans, losses)
        geometry = storyline_geometry(layout.lines, by, axis.mapping.to_x)
        agent_colors = line_colors(geometry, spans, palette, theme)
        boxes = geometry.group_boxes() if locations == "free" else []
        marker_rows = marked_rows(spans)
        legend_handles = [*marker_handles(marker_rows, theme, instant="dot"), *lost_handles(losses, theme)]
        handles = legend_handles if legend else []
        rows = geometry.bottom + 2 * LINE_MARGIN
        ax = new_axes(height_inches(rows, len(handles))) if ax is None else ax
        apply_theme(ax)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        margin = line_margin(ax, geometry.bottom)
        ax.set_ylim(geometry.bottom + margin, -margin)
        ax.set_yticks([])
        if locations == "bands":
            draw_group_bands(ax, geometry, theme)
        draw_boxes(ax, boxes, theme)
        width = line_width(ax, rows)
        draw_branches(ax, branch_curves(geometry, layout.branches, axis.mapping.to_x), agent_colors, width)
        draw_lines(ax, geometry, agent_colors, width, theme)
        markers = draw_line_markers(ax, spans, geometry, agent_colors, marker_rows, axis, theme)
        both_ends = has_names_at_both_ends(ax, geometry)
        labels = LineLabels(ax, geometry, boxes, agent_colors, theme, by=by, at_left=locations == "free", both_ends=both_ends)
        ax.add_artist(labels)
        is_choice = total["n_agents"] < n_agents
        chosen = [f"{total['n_agents']:,} of {n_agents:,} agents drawn, those with the most work"] if is_choice else []
        density = DensityReport(ax, turns_of(geometry), n_agents=len(geometry.agents), shortest_us=int(total["shortest_us"]))
        notes = storyline_notes(total, len(layout.branches), axis)
        draw_note(ax, [losses, density, *chosen, *notes, *markers, labels], theme)
        draw_title(ax, axis.name, storyline_counts(spans, total), theme)
        draw_legend(ax, handles, offset_points=labels.right_width_points())
        described = f"Storyline of {described_name(axis.name)}, a line for each agent: {storyline_counts(spans, total)}."
        describe(ax, described, *(f"{sentence}." for sentence in chosen), *losses.sentences())
    return ax


def spans_of_busiest(spans: pd.DataFrame, agents: int | None) -> pd.DataFrame:
    """The spans of the agents with the most work, this many of them; with equally much, the first by name."""
    if agents is None:
        return spans
    if not is_integer(agents) or agents < 1:
        raise BadOption(f"agents={quoted(agents)} is not a number of agents to draw: 1, 2, 3, ...")
    return spans[spans["agent_id"].astype(str).isin(busiest_names(spans, spans["agent_id"], agents))]


def line_margin(ax: Axes, bottom: int) -> float:
    """The space above the first line and below the last one, in rows: more in small pictures, for the names of boxes."""
    points = max(ax.bbox.height / ax.figure.dpi * 72, 1.0)
    share = min(LABEL_MARGIN_EMS * font_sizes(ax).bar / points, MAX_LABEL_MARGIN_SHARE)
    return max(LINE_MARGIN, (BOX_PADDING + share * bottom) / (1 - 2 * share))


def has_names_at_both_ends(ax: Axes, geometry: StorylineGeometry) -> bool:
    """Whether the story is so long that names at the start of lines are far from their end, and there is space for both."""
    width = ax.figure.bbox.width / ax.figure.dpi
    return len(geometry.heights) >= MIN_LAYERS_NAMED_AT_BOTH_ENDS and bool(width >= MIN_INCHES_NAMED_AT_BOTH_ENDS)


def line_colors(geometry: StorylineGeometry, spans: pd.DataFrame, palette: Palette, theme: ThemeColors) -> list[str]:
    """The colour of each line: one for each of up to thirty agents, else only for the twelve with the most work."""
    names = color_names(spans["agent_id"])
    if palette is not None:
        colors = colors_for(palette, names, geometry.agents)
    elif len(geometry.agents) > MAX_COLORED_AGENTS:
        colors = colors_for(None, sorted(busiest_names(spans, spans["agent_id"], MAX_COLORED_NAMES)), [])
    else:
        colors = {
            name: shaded_color(QUALITATIVE_COLORS[number % MAX_COLORED_NAMES], number // MAX_COLORED_NAMES, theme)
            for number, name in enumerate(names)
        }
    return [colors.get(name, OTHERS_COLOR) for name in geometry.agents]


def draw_line_markers(
    ax: Axes,
    spans: pd.DataFrame,
    geometry: StorylineGeometry,
    colors: list[str],
    marker_rows: Mapping[str, Int64Array],
    axis: TimeAxis,
    theme: ThemeColors,
) -> list[Markers]:
    """Draw dots for instants, arrows for open spans, red crosses at the end of errors."""
    drawn: list[Markers] = []
    start, end = times_of(spans)
    for name, rows in marker_rows.items():
        agent = np.array([geometry.agent_numbers[str(value)] for value in spans["agent_id"].iloc[rows]], dtype=np.int64)
        x = axis.mapping.to_x((start if name == "instant" else end)[rows])
        marker_colors = [theme.error if name == "error" else colors[agent_number] for agent_number in agent.tolist()]
        y, shape = geometry.heights_at(agent, x), LINE_MARKERS.get(name, name)
        drawn += draw_markers(ax, x, y, shape, marker_colors, theme.background)
    return drawn


def storyline_counts(spans: pd.DataFrame, total: pd.Series) -> str:
    """The counts of the picture, as one line."""
    counts = {"agent": total["n_agents"], "location": spans["location_id"].nunique(), "crossing": total["crossings"]}
    proven = ", the fewest possible" if total["is_proven"] and total["crossings"] else ""
    return " · ".join(plural(int(count), name) for name, count in counts.items()) + proven


def storyline_notes(total: pd.Series, n_branches: int, axis: TimeAxis) -> list[str]:
    """The notes on merged intervals, on stays and branches that are not drawn, and on the lower bound on crossings."""
    n_merged, lower_bound = int(total["n_merged"]), int(total["at_least"])
    notes = [f"{plural(n_merged, 'interval')} under {axis.duration(int(total['shortest_us']))} merged"] if n_merged else []
    if n_hidden := int(total["n_hidden"]):
        notes.append(f"{plural(n_hidden, 'stay')} too short to show")
    if n_branches > MAX_BRANCHES:
        notes.append(f"{MAX_BRANCHES:,} of {n_branches:,} side branches drawn")
    return notes + ([f"at least {plural(lower_bound, 'crossing')} needed"] if lower_bound and not total["is_proven"] else [])
