"""Usage: the tokens used, over time or by group.

Drawing only: the table is `tokenvis.analysis.usage`.
"""

from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from tokenvis.analysis.usage import usage
from tokenvis.errors import plural
from tokenvis.layout.steps import last_in_columns
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.colors import QUALITATIVE_COLORS
from tokenvis.plot.artists.figure import check_axes, draw_empty, new_axes
from tokenvis.plot.artists.legend import draw_legend
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.row_texts import beside_axes
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, themed
from tokenvis.plot.artists.text import MISSING_NAME
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import (
    column_title,
    cost_text,
    describe,
    described_name,
    draw_note,
    draw_title,
    short_number,
    tick_number,
    trace_title,
)
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.prices import Prices

USAGE_HEIGHT_INCHES = 2.6
GROUP_BAR_HEIGHT = 0.7
MAX_GROUPS = 40
END_GAP_POINTS, END_POINTS = 3.0, 20.0  # of the bar of the last sums beside the Axes, and the gap before it
TOTAL_HEADROOM = 1.18  # above the last sums, for their total
TOKEN_COLORS = {"cached input": QUALITATIVE_COLORS[11], "input": QUALITATIVE_COLORS[0], "output": QUALITATIVE_COLORS[1]}


def plot_usage(
    spans: pd.DataFrame,
    *,
    by: str | None = None,
    prices: Prices | None = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the tokens used: cumulative over time, or in total for each group.

    Parameters
    ----------
    spans
        A frame of spans; over time, of one trace.
    by
        The column whose values define the groups, or "model", as in `usage`; a bar for each group, the largest first, with
        its cost if known. By default tokens are cumulative over time, each call counted at its end.
    prices
        Prices of calls without a cost, as in `usage`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether a legend is drawn, with the sum of each kind of token.
    ax
        The Axes to draw on. By default a new figure.

    Returns
    -------
    Axes
        Tokens are those of `usage`, each counted once; a note says what they do not include. Over time, y is the cumulative
        sum; a bar at the right of the Axes has the last sums, and their total. By group, x is the sum; of more than 40 groups,
        the smallest are merged.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, has no column ``by``, or has several traces over time.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "model:m",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ...     "data": ['{"attributes": {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 90}}', None],
    ... })
    >>> plot_usage(spans).get_label()
    'Tokens used in t: 1,200 input and 90 output.'
    """
    require(spans)
    check_axes(ax)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz) if by is None else None
    losses, spans = losses_of(spans), recorded_spans(spans)
    table = usage(spans, by="end_time" if by is None else by, prices=prices)
    has_tokens = table["input_tokens"].notna() | table["output_tokens"].notna()
    left_out = [*messages_about(table), *([] if by is None else messages_about_cost(table, has_tokens))]
    table = table[has_tokens]
    sums = cumulative_tokens(table)
    totals = {kind: int(values[-1]) for kind, values in sums.items()}
    groups = None if by is None else token_groups(table, by)
    with themed(ax) as theme:
        ax = new_axes(USAGE_HEIGHT_INCHES if groups is None else max(0.3 * len(groups), 1.2)) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, losses, "No span has a token count.")
        apply_theme(ax)
        if axis is not None:
            draw_token_sums(ax, table["end_time"].to_numpy(), sums, axis, theme)
            draw_losses(ax, losses, axis, theme)
        elif groups is not None:
            draw_token_groups(ax, groups, theme)
        draw_note(ax, [losses, *left_out], theme)
        draw_title(ax, trace_title(spans), "tokens used" if by is None else f"tokens used, by {column_title(by)}", theme)
        if legend:
            kinds = [
                Patch(color=color, label=f"{kind} {short_number(totals[kind])}")
                for kind, color in TOKEN_COLORS.items()
                if totals[kind]
            ]
            beside = END_GAP_POINTS + END_POINTS if by is None else 0.0
            draw_legend(ax, kinds + (lost_handles(losses, theme) if by is None else []), offset_points=beside)
        used = f"{totals['input'] + totals['cached input']:,} input and {totals['output']:,} output"
        describe(ax, f"Tokens used in {described_name(trace_title(spans))}: {used}.", *losses.sentences())
    return ax


def messages_about(table: pd.DataFrame) -> list[str]:
    """What the tokens of a table do not include."""
    total = {name: int(table[name].sum()) for name in ("n_silent", "unexplained_tokens", "estimated_tokens", "n_invalid")}
    messages = {
        "n_silent": f"{plural(total['n_silent'], 'model call')} without a token count",
        "unexplained_tokens": f"{plural(total['unexplained_tokens'], 'token')} not counted: lower than the sum of the calls",
        "estimated_tokens": f"{plural(total['estimated_tokens'], 'token')} not counted: estimated",
        "n_invalid": f"{plural(total['n_invalid'], 'span')} with an invalid count",
    }
    return [message for name, message in messages.items() if total[name]]


def messages_about_cost(table: pd.DataFrame, has_tokens: pd.Series) -> list[str]:
    """What the costs beside the bars, if there are any, do not include."""
    if not table["cost"][has_tokens].notna().any():
        return []
    n_unpriced = int(table["n_unpriced"].sum())
    beside, unexplained = (values.sum() for values in (table["cost"][~has_tokens], table["unexplained_cost"]))
    messages = {
        f"{plural(n_unpriced, 'call')} without a cost": n_unpriced,
        f"a cost of {cost_text(beside)} without tokens not drawn": beside,
        f"a cost of {cost_text(unexplained)} not counted: lower than the sum of the calls": unexplained,
    }
    return [message for message, amount in messages.items() if amount]


def tokens_by_kind(input_tokens: Any, cached_tokens: Any, output_tokens: Any) -> dict[str, np.ndarray]:
    """Tokens by kind, of which none is counted twice."""
    cached = np.minimum(cached_tokens, input_tokens)  # more, if only the sum of an agent has the cached tokens
    return {"cached input": cached, "input": input_tokens - cached, "output": output_tokens}


def cumulative_tokens(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The tokens up to each row, by kind; the first is 0."""
    return tokens_by_kind(*(np.append(0, np.cumsum(values)) for values in columns_of_tokens(table)))


def columns_of_tokens(table: pd.DataFrame) -> list[np.ndarray]:
    """Input, cached and output tokens of each row, 0 if missing."""
    return [table[f"{kind}_tokens"].fillna(0).to_numpy(dtype=np.int64) for kind in ("input", "cached", "output")]


def token_groups(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """A row for each group, the largest first: ``name``, tokens by kind, ``cost``; traces are summed."""
    names = table[by].astype("str").fillna(MISSING_NAME).to_numpy()
    groups = pd.DataFrame({"name": names, **tokens_by_kind(*columns_of_tokens(table)), "cost": table["cost"].to_numpy()})
    sums = groups.groupby("name", as_index=False).sum(min_count=1)
    sums = sums.iloc[np.lexsort((sums["name"], -sums[list(TOKEN_COLORS)].sum(axis=1)))].reset_index(drop=True)
    if len(sums) <= MAX_GROUPS:
        return sums
    merged = sums.iloc[MAX_GROUPS - 1 :].drop(columns="name").sum(min_count=1)
    others = pd.DataFrame([{"name": f"{len(sums) - MAX_GROUPS + 1:,} others", **merged.to_dict()}])
    return pd.concat([sums.iloc[: MAX_GROUPS - 1], others], ignore_index=True)


def draw_token_sums(ax: Axes, times: Any, sums: dict[str, np.ndarray], axis: TimeAxis, theme: ThemeColors) -> None:
    """Draw the cumulative sums of the kinds, stacked; the first sum is before the first time."""
    axis.draw(ax, theme)
    ends = axis.mapping.positions[[0, -1]]
    x, rows = last_in_columns(axis.mapping.to_x(times), (ends[0], ends[1]), ax.bbox.width / ax.figure.dpi * 72)
    x = np.concatenate([ends[:1], x, ax.get_xlim()[1:]])
    below = np.zeros(len(x))
    for kind, values in sums.items():
        shown = values[np.append(0, rows + 1)]
        level = below + np.append(shown, shown[-1:])
        ax.fill_between(x, below, level, step="post", color=TOKEN_COLORS[kind], linewidth=0, zorder=2, label=kind)
        below = level
    highest = max(float(below[-1]), 1.0)
    ax.set_ylim(0, highest * TOTAL_HEADROOM)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_formatter(partial(tick_number, reference=highest))
    ax.tick_params(axis="y", length=0)
    draw_last_sums(ax, {kind: int(values[-1]) for kind, values in sums.items()}, theme)


def draw_last_sums(ax: Axes, totals: dict[str, int], theme: ThemeColors) -> None:
    """Draw the last sums again, as a bar at the right of the Axes, with their total above: many calls end with the trace.

    The time axis itself is that of all pictures of the trace, and ends there.
    """
    beside = beside_axes(ax, "right")
    below = 0
    for kind, total in totals.items():
        style: dict[str, Any] = {"color": TOKEN_COLORS[kind], "linewidth": 0, "label": kind, "clip_on": False, "zorder": 2}
        ax.add_artist(Rectangle((END_GAP_POINTS, below), END_POINTS, total, transform=beside, **style))
        below += total
    text = ax.text(END_GAP_POINTS + END_POINTS, below, short_number(below), transform=beside, ha="right", va="bottom", zorder=4)
    text.set(fontweight="bold", color=theme.text, fontsize=font_sizes(ax).text)


def draw_token_groups(ax: Axes, groups: pd.DataFrame, theme: ThemeColors) -> None:
    """Draw a bar for each group, with its sum and its cost at the end."""
    positions = np.arange(len(groups)) + 0.5
    left = np.zeros(len(groups))
    for kind, color in TOKEN_COLORS.items():
        values = groups[kind].to_numpy(dtype=float)
        ax.barh(positions, values, left=left, height=GROUP_BAR_HEIGHT, color=color, linewidth=0, zorder=2, label=kind)
        left = left + values
    draw_names(ax.yaxis, positions, groups["name"].tolist())
    ax.set_ylim(len(groups), 0)
    highest = max(float(left.max()), 1.0)
    ax.set_xlim(0, highest * 1.22)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(partial(tick_number, reference=highest))
    ax.set_xlabel("tokens")
    size = font_sizes(ax).bar
    if ax.bbox.height / ax.figure.dpi * 72 < 1.2 * size * len(groups):
        return
    for position, total, cost in zip(positions, left, groups["cost"], strict=True):
        text = short_number(total) + ("" if pd.isna(cost) else f" · {cost_text(cost)}")
        ax.annotate(text, (total, position), (4, 0), textcoords="offset points", va="center", fontsize=size, color=theme.text)
