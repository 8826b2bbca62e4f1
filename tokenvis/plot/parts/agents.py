"""Agents: a row for each, with where its time went as a bar, and its work, waits, tokens, cost and errors as numbers.

Drawing only: the tables are those of `time_spent`, `usage` and `summary`. Idle time is not drawn. A long wait would leave no
room for work, so a bar is cut, and ends in an arrow, where it is twice as long as the most work of an agent.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tokenvis.analysis.time_spent import time_spent
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.states import darker, draw_in_state, state_patch
from tokenvis.plot.artists.style import ThemeColors, blend_colors, font_sizes
from tokenvis.plot.artists.title import cost_text, describe, described_name, short_number
from tokenvis.plot.parts.page import DrawnTrace, PagePart, sums_by
from tokenvis.plot.parts.rows import (
    Column,
    bar_corners,
    draw_named_rows,
    draw_stack_axis,
    largest_rows,
    number_column,
    piece_amounts,
    row_inches,
    stacked_ends,
)

WORK_NAMES = {"model_us": "model", "tool_us": "tool", "other_us": "other work"}
WAIT_STATES = {"person_us": "person", "agent_us": "agent"}
WORK_SHARES = {1: (1.0,), 2: (1.0, 0.6), 3: (1.0, 0.7, 0.42)}  # of an agent's colour, for the kinds of work that occur
MAX_BAR_SHARE = 2.0  # of the most work of an agent


def agents_part(trace: DrawnTrace) -> PagePart:
    """The part of the page with a row for each agent, those with the most work first, those that only wait last."""
    table = largest_rows(agent_table(trace), "agent_id", "work_us", last=trace.wrappers)
    return PagePart("agents", "Agents", "", row_inches(len(table)), lambda ax: draw_agents(ax, table, trace))


def agent_table(trace: DrawnTrace) -> pd.DataFrame:
    """The measures of each agent."""
    times, sizes = time_spent(trace.spans).set_index("agent_id"), sums_by(trace.measures, "agent_id")
    return pd.DataFrame(
        {
            **{name: times[name] for name in (*WORK_NAMES, *WAIT_STATES)},
            "work_us": times[[*WORK_NAMES]].sum(axis=1),
            "wait_us": times[[*WAIT_STATES]].sum(axis=1),
            **{name: sizes[name] for name in ("tokens", "cost", "n_errors")},
        }
    ).reset_index()


def draw_agents(ax: Axes, table: pd.DataFrame, trace: DrawnTrace) -> None:
    """Draw the rows."""
    theme = trace.theme
    draw_named_rows(ax, table["name"].tolist(), agent_columns(table, trace), theme)
    amounts = piece_amounts(table, [*WORK_NAMES, *WAIT_STATES])
    totals = amounts.sum(axis=1)
    limit = bar_limit(totals, table["work_us"][~table["is_others"]].to_numpy(dtype=float))
    x0, x1 = stacked_ends(amounts, limit)
    names = zip(table["name"], table["is_others"], strict=True)
    colors = [OTHERS_COLOR if is_others else trace.agent_color(name) for name, is_others in names]
    works = [name for name in WORK_NAMES if table[name].any()]
    shares = dict(zip(works, WORK_SHARES.get(len(works), ()), strict=True))
    for piece, name in enumerate([*WORK_NAMES, *WAIT_STATES]):
        rows = np.flatnonzero(x1[:, piece] > x0[:, piece])
        fills = [blend_colors(colors[row], theme.background, shares.get(name, 1.0)) for row in rows.tolist()]
        corners = bar_corners(rows, x0[rows, piece], x1[rows, piece])
        draw_in_state(ax, corners, fills, WAIT_STATES.get(name, "work"), theme, zorder=2)
    draw_stack_axis(ax, totals, limit, theme)
    draw_kinds(ax, shares, [state for name, state in WAIT_STATES.items() if table[name].any()], theme)
    first = table.iloc[0]
    most = f"{described_name(first['name'])} works most, for {trace.axis.duration(int(first['work_us']))}"
    most = most if first["work_us"] else "none works for any time"
    describe(ax, f"Agents of {described_name(trace.axis.name)}, and where their time went: {most}.")


def bar_limit(totals: Any, work: Any) -> float:
    """The length at which bars are cut."""
    longest, most_work = float(totals.max(initial=0.0)), float(work.max(initial=0.0))
    return min(longest, MAX_BAR_SHARE * most_work or longest) or 1.0


def agent_columns(table: pd.DataFrame, trace: DrawnTrace) -> list[Column]:
    """The columns of numbers that the source gives; waits and errors if there are any."""
    theme, axis = trace.theme, trace.axis
    optional: list[Column] = []
    if table["wait_us"].any():
        optional += number_column("waits", table["wait_us"], lambda value: axis.duration(int(value)), theme)
    optional += number_column("tokens", table["tokens"], short_number, theme)
    optional += number_column("cost", table["cost"], cost_text, theme)
    if table["n_errors"].any():
        optional += number_column("errors", table["n_errors"], short_number, theme, color=theme.error)
    return [*number_column("work", table["work_us"], lambda value: axis.duration(int(value)), theme), *optional]


def draw_kinds(ax: Axes, shares: dict[str, float], states: list[str], theme: ThemeColors) -> None:
    """Draw the legend of the pieces above the bars, if there are several."""
    color = theme.muted
    works = [
        Patch(facecolor=blend_colors(color, theme.background, share), edgecolor=darker(color), label=WORK_NAMES[name], lw=0.5)
        for name, share in shares.items()
    ]
    if len(works) == 1 and "other_us" in shares:
        works[0].set_label("work")
    handles = [*works, *(state_patch(state, theme) for state in states)]
    if len(handles) > 1:
        style: dict[str, Any] = {"handlelength": 1.1, "handleheight": 1.0, "columnspacing": 1.4, "borderaxespad": 0.2}
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": len(handles)}
        ax.legend(handles=handles, fontsize=font_sizes(ax).text, **place, **style)
