"""The storyline: a line for each agent, time to the right; lines run side by side while their agents share a location.

Drawing only: lines come from `tokenvis.layout.storylines.storyline`, their curves and blocks from
`tokenvis.layout.storylines.geometry`, positions on the time axis from `tokenvis.layout.time_map`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import plural
from tokenvis.layout.storylines.geometry import (
    MAX_BRANCHES,
    GroupBlock,
    StorylineGeometry,
    branch_curves,
    storyline_geometry,
    time_together,
)
from tokenvis.layout.storylines.storyline import AbsentMode, LocationMode, storyline
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette, check_palette, colors_for, names_in
from tokenvis.plot.artists.colors import MOST_NAMES, OTHERS, PICKED
from tokenvis.plot.artists.figure import check_axes, draw_empty, height_of, new_axes
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.losses import draw_losses, lost_patch
from tokenvis.plot.artists.markers import handles_of, marks_of, scatter_marks
from tokenvis.plot.artists.storyline_lines import (
    StrandLabels,
    draw_branches,
    draw_lines,
    draw_rooms,
    draw_zones,
    mixed,
    shaded,
    thickness,
)
from tokenvis.plot.artists.style import Look, dress, themed
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, named
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.losses import losses_of, work_of

MOST_AGENTS = 30  # that all have a colour; of more, those that meet most
LONG = 24  # layers, from which on lines have their names at both ends
DOTS = {"instant": "dot"}  # the mark that an instant has on a line
MARGIN = 0.9  # above the first line and below the last one
LEGEND_TINT = 0.45  # of a location's colour in the legend: more than in the picture, where rooms are larger


def plot_storyline(
    spans: pd.DataFrame,
    *,
    absent: AbsentMode = "line",
    by: str = "location_id",
    locations: LocationMode = "free",
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    budget: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw who was with whom, and when: a line for each agent; lines run side by side while their agents share a location.

    Behind the lines of agents that share a location is a room in its tint, paler where an agent is alone; its name is above or
    below it, where there is room. An agent's name is where its line begins, and in long traces also where it ends. A line is
    thin and pale where its agent has no span, and has thin lines beside it while further spans of it run. An instant is a dot,
    a span with ``status`` "error" ends in a red cross, an open one in an arrow.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    absent
        "line": an agent has a line from its first span to its last. "break": it has one where it has a span, or an instant.
    by
        The column that makes the groups: lines of agents with the same value run side by side. Rooms have the tint of the
        location in any case.
    locations
        "free": lines are where the fewest of them cross. "bands": each group keeps a band of its own, and lines travel between.
    palette
        Colours of the agents: a mapping (those that it leaves out are grey), or a list for the agents in lexical order. By
        default those of `tokenvis.palette`, and shades of them for further agents; of more than thirty agents, the twelve that
        share locations longest are in colour, the others grey.
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
    budget
        How many seconds to look for the proof that no order has fewer crossings; see `storyline`.
    ax
        The Axes to draw on. By default a new figure of a size that fits the lines.

    Returns
    -------
    Axes
        x is the place on the time map: µs since the start, less what is folded. y is the height of `storyline`, from the top.
        The title says how many crossings there are, and whether these are the fewest there can be; a note says how many
        intervals were too short to be drawn apart, how many visits too short to be shown, and how many side branches of more
        than 2,000 are drawn. ``get_label()`` describes the picture in a sentence.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks the column ``by``, or holds several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans; or ``budget`` is given, and its extra is missing.

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
    spans = spans.copy(deep=False)  # what is done to the frame afterwards does not change the picture
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    lost, spans = losses_of(spans), work_of(spans)
    drawn = storyline(spans, absent=absent, by=by, locations=locations, budget=budget)
    total = drawn.totals.iloc[0] if len(spans) else None
    with themed(ax) as look:
        if total is None:
            return draw_empty(new_axes(height_of(1, 0)) if ax is None else ax, look, *lost.sentences())
        geometry = storyline_geometry(drawn.lines, by, axis.mapping.to_x)
        inks = colors_of_lines(geometry, spans["agent_id"], palette, look)
        rooms = geometry.group_blocks() if locations == "free" else []
        tints = tints_of(spans["location_id"], geometry.locations)
        marks = marks_of(spans)
        told = [*legend_of(geometry, rooms, tints, look), *handles_of(marks, look, instant="dot"), *lost_patch(lost, look)]
        handles = told if legend else []
        rows = geometry.bottom + 2 * MARGIN
        ax = new_axes(height_of(rows, len(handles))) if ax is None else ax
        dress(ax)
        axis.draw(ax, look)
        draw_losses(ax, lost, axis, look)
        ax.set_ylim(geometry.bottom + MARGIN, -MARGIN)
        ax.set_yticks([])
        if locations == "bands":
            draw_zones(ax, geometry, tints_of(spans[by], geometry.groups), look)
        draw_rooms(ax, rooms, tints, look)
        width = thickness(ax, rows)
        draw_branches(ax, branch_curves(geometry, drawn.branches, axis.mapping.to_x), inks, width)
        draw_lines(ax, geometry, inks, width, look)
        draw_all_marks(ax, spans, geometry, inks, marks, axis, look)
        ends = {"at_left": locations == "free", "both_ends": len(geometry.heights) >= LONG}
        labels = StrandLabels(ax, geometry, rooms, inks, tints, look, **ends)
        ax.add_artist(labels)
        draw_note(ax, lambda: [*lost.says(), *notes_of(total, len(drawn.branches), axis)], look)
        draw_title(ax, axis.name, figures_of(spans, total), look)
        draw_legend(ax, handles, away=labels.width_at_right())
        described = f"Storyline of {named(axis.name)}, a line for each agent: {figures_of(spans, total)}."
        describe(ax, described, *lost.sentences())
    return ax


def colors_of_lines(geometry: StorylineGeometry, agents: pd.Series, palette: Palette, look: Look) -> list[str]:
    """The colour of each line: of up to thirty agents each has one, of more those twelve that share locations longest."""
    names = names_in(agents)
    if palette is not None:
        colors = colors_for(palette, names, geometry.agents)
    elif len(geometry.agents) > MOST_AGENTS:
        longest = np.argsort(-time_together(geometry), kind="stable")[:MOST_NAMES].tolist()
        colors = colors_for(None, sorted(geometry.agents[agent] for agent in longest), [])
    else:
        colors = {name: shaded(PICKED[number % MOST_NAMES], number // MOST_NAMES, look) for number, name in enumerate(names)}
    return [colors.get(name, OTHERS) for name in geometry.agents]


def tints_of(values: pd.Series, names: list[str]) -> list[str]:
    """The colours of names of a column."""
    colors = colors_for(None, names_in(values), [])
    return [colors[name] for name in names]


def legend_of(geometry: StorylineGeometry, rooms: list[GroupBlock], tints: list[str], look: Look) -> list[Any]:
    """The locations of rooms, by colour."""
    used = sorted({room.location for room in rooms})
    own = [number for number in used if tints[number] != OTHERS]
    handles = [patch(mixed(tints[number], look.paper, LEGEND_TINT), geometry.locations[number]) for number in own]
    others = [patch(mixed(OTHERS, look.paper, LEGEND_TINT), plural(len(used) - len(own), "other"))]
    return handles + (others if len(own) < len(used) else [])


def draw_all_marks(
    ax: Axes,
    spans: pd.DataFrame,
    geometry: StorylineGeometry,
    colors: list[str],
    marks: Mapping[str, Int64Array],
    axis: TimeAxis,
    look: Look,
) -> None:
    """Dots for instants, arrows where a span is still open, red crosses at the end of errors."""
    start, end = times_of(spans)
    for name, rows in marks.items():
        agent = np.array([geometry.agent_numbers[str(value)] for value in spans["agent_id"].iloc[rows]], dtype=np.int64)
        x = axis.mapping.to_x((start if name == "instant" else end)[rows])
        own = [look.error if name == "error" else colors[one] for one in agent.tolist()]
        scatter_marks(ax, x, geometry.heights_at(agent, x), DOTS.get(name, name), own, look.paper)


def figures_of(spans: pd.DataFrame, total: pd.Series) -> str:
    """The picture in figures."""
    counts = {"agent": total["n_agents"], "location": spans["location_id"].nunique(), "crossing": total["crossings"]}
    proven = ", the fewest there can be" if total["is_proven"] and total["crossings"] else ""
    return " · ".join(plural(int(count), name) for name, count in counts.items()) + proven


def notes_of(total: pd.Series, n_branches: int, axis: TimeAxis) -> list[str]:
    """What the picture merges or leaves out, and what is not known of it."""
    merged, least = int(total["n_merged"]), int(total["at_least"])
    notes = [f"{plural(merged, 'interval')} under {axis.duration(int(total['shortest_us']))} merged"] if merged else []
    if hidden := int(total["n_hidden"]):
        notes.append(f"{plural(hidden, 'visit')} too short to show")
    if n_branches > MAX_BRANCHES:
        notes.append(f"{MAX_BRANCHES:,} of {n_branches:,} side branches drawn")
    return notes + ([f"at least {plural(least, 'crossing')} needed"] if least and not total["is_proven"] else [])
