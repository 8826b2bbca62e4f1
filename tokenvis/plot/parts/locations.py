"""Locations: a row for each, with the work at it as a bar in the colours of its agents, and its spans, tokens and errors.

Drawing only: the tables are those of `summary` and `usage`, by agent and location.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.states import draw_in_state
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


def locations_part(trace: DrawnTrace) -> list[PagePart]:
    """The part of the page with a row for each location, those with the most work first; none if there is only one."""
    if trace.spans["location_id"].nunique() < 2:
        return []
    table, colors = location_table(trace)
    hues = ", in the colours of its agents" if trace.hue == "agent_id" else ""
    details = f"work at each{hues}; times of spans that run at once are added up"
    return [
        PagePart("locations", "Locations", details, row_inches(len(table)), lambda ax: draw_locations(ax, table, colors, trace))
    ]


def location_table(trace: DrawnTrace) -> tuple[pd.DataFrame, list[str]]:
    """The measures of each location, with a column of work for each colour, and these colours."""
    at = trace.measures.assign(color=trace.measures[trace.hue].astype(str).map(trace.colors))
    busiest = sums_by(at, trace.hue)["busy_us"].sort_values(ascending=False, kind="stable").index
    colors = sorted(dict.fromkeys(trace.colors[str(name)] for name in busiest), key=lambda color: color == OTHERS_COLOR)
    work = at.pivot_table("busy_us", "location_id", "color", aggfunc="sum", fill_value=0, observed=True)
    table = work[colors].join(sums_by(at, "location_id"))
    return largest_rows(table.reset_index(), "location_id", "busy_us"), colors


def draw_locations(ax: Axes, table: pd.DataFrame, colors: list[str], trace: DrawnTrace) -> None:
    """Draw the rows."""
    draw_named_rows(ax, table["name"].tolist(), location_columns(table, trace), trace.theme)
    amounts, is_others = piece_amounts(table, colors), table["is_others"].to_numpy()
    totals = amounts.sum(axis=1)
    limit = float(totals[~is_others].max(initial=0.0)) or 1.0
    x0, x1 = stacked_ends(amounts, limit)
    row, piece = np.nonzero(x1 > x0)
    fills = np.where(is_others[row], OTHERS_COLOR, np.array(colors)[piece]).tolist()
    draw_in_state(ax, bar_corners(row, x0[row, piece], x1[row, piece]), fills, "work", trace.theme, zorder=2)
    draw_stack_axis(ax, totals, limit, trace.theme)
    first = table.iloc[0]
    most = f"the most is at {described_name(first['name'])}, {trace.axis.duration(int(first['busy_us']))}"
    most = most if first["busy_us"] else "there is none"
    describe(ax, f"Locations of {described_name(trace.axis.name)}, and the work of each agent there: {most}.")


def location_columns(table: pd.DataFrame, trace: DrawnTrace) -> list[Column]:
    """The columns of numbers that the source gives; errors if there are any."""
    theme = trace.theme
    columns = [
        *number_column("work", table["busy_us"], lambda value: trace.axis.duration(int(value)), theme),
        *number_column("spans", table["n_spans"], short_number, theme),
        *number_column("tokens", table["tokens"], short_number, theme),
        *number_column("cost", table["cost"], cost_text, theme),
    ]
    if table["n_errors"].any():
        columns += number_column("errors", table["n_errors"], short_number, theme, color=theme.error)
    return columns
