"""Usage: where the tokens went, over time or by group.

Ink only: the table is `tokenvis.analysis.usage`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tokenvis.analysis.usage import usage
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.colors import PICKED
from tokenvis.plot.artists.figure import check_axes, draw_empty, new_axes
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.losses import draw_losses, lost_patch
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import Look, dress, sizes_of, themed
from tokenvis.plot.artists.text import NOTHING
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, large, named, plain, trace_name
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of, work_of

HEIGHT_INCHES = 2.6
BAR = 0.7
MOST_GROUPS = 40
COLORS = {"cached input": PICKED[11], "input": PICKED[0], "output": PICKED[1]}


def plot_usage(
    spans: pd.DataFrame,
    *,
    by: str | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw where the tokens went: added up over time, or in all for each group.

    Parameters
    ----------
    spans
        A frame of spans; over time, of one trace.
    by
        The column whose values make groups, or "model", as in `usage`; a bar for each, the largest first, with its cost where
        one is known. By default tokens are added up over time, each call at its end.
    prices
        What a million tokens cost, for each model, as in `usage`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether a legend is drawn, with the sum of each kind of token.
    ax
        The Axes to draw on. By default a new figure.

    Returns
    -------
    Axes
        Tokens are those of `usage`, each counted once. Over time, y is their sum so far. By group, x is their sum; of more
        than 40 groups, the smallest are one.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks the column ``by``, or holds several traces over time.
    BadOption
        An argument is none of its choices, or does not fit the spans.

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
    lost, spans = losses_of(spans), work_of(spans)
    table = usage(spans, by="end_time" if by is None else by, prices=prices)
    table = table[table["input_tokens"].notna() | table["output_tokens"].notna()]
    tokens = kinds_of(table)
    totals = {kind: int(values.sum()) for kind, values in tokens.items()}
    groups = None if by is None else groups_by(table, by)
    with themed(ax) as look:
        ax = new_axes(HEIGHT_INCHES if groups is None else max(0.3 * len(groups), 1.2)) if ax is None else ax
        if not len(table):
            return draw_empty(ax, look, *(["No span says how many tokens it used."] if len(spans) else lost.sentences()))
        dress(ax)
        if axis is not None:
            draw_sums(ax, table["end_time"].to_numpy(), tokens, axis, look)
            draw_losses(ax, lost, axis, look)
            draw_note(ax, lost.says, look)
        elif groups is not None:
            draw_groups(ax, groups, look)
        draw_title(ax, trace_name(spans), "tokens used" if by is None else f"tokens used, by {plain(by)}", look)
        if legend:
            kinds = [patch(color, f"{kind} {large(totals[kind])}") for kind, color in COLORS.items() if totals[kind]]
            draw_legend(ax, kinds + (lost_patch(lost, look) if by is None else []))
        used = f"{totals['input'] + totals['cached input']:,} input and {totals['output']:,} output"
        describe(ax, f"Tokens used in {named(trace_name(spans))}: {used}.", *lost.sentences())
    return ax


def kinds_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The tokens of each row, by kind."""
    given, cached, output = (
        table[f"{kind}_tokens"].fillna(0).to_numpy(dtype=np.int64) for kind in ("input", "cached", "output")
    )
    return {"cached input": cached, "input": np.maximum(given - cached, 0), "output": output}


def groups_by(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """A row for each group, the largest first: ``name``, tokens by kind, ``cost``; traces are added up."""
    names = table[by].astype("str").fillna(NOTHING).to_numpy()
    groups = pd.DataFrame({"name": names, **kinds_of(table), "cost": table["cost"].to_numpy()})
    added = groups.groupby("name", as_index=False).sum(min_count=1)
    added = added.iloc[np.lexsort((added["name"], -added[list(COLORS)].sum(axis=1)))].reset_index(drop=True)
    if len(added) <= MOST_GROUPS:
        return added
    rest = added.iloc[MOST_GROUPS - 1 :].drop(columns="name").sum(min_count=1)
    others = pd.DataFrame([{"name": f"{len(added) - MOST_GROUPS + 1:,} others", **rest.to_dict()}])
    return pd.concat([added.iloc[: MOST_GROUPS - 1], others], ignore_index=True)


def draw_sums(ax: Axes, times: Any, tokens: dict[str, np.ndarray], axis: TimeAxis, look: Look) -> None:
    """The sum so far, kind upon kind."""
    axis.draw(ax, look)
    ends = np.array(axis.mapping.positions[[0, -1]])
    x = np.concatenate([ends[:1], axis.mapping.to_x(times), ends[1:]])
    below = np.zeros(len(x))
    for kind, values in tokens.items():
        sums = np.cumsum(values)
        level = below + np.concatenate([[0], sums, sums[-1:]])
        ax.fill_between(x, below, level, step="post", color=COLORS[kind], linewidth=0, zorder=2, label=kind)
        below = level
    highest = max(float(below[-1]), 1.0)
    ax.set_ylim(0, highest * 1.05)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: large(value, beside=highest)))
    ax.tick_params(axis="y", length=0)


def draw_groups(ax: Axes, groups: pd.DataFrame, look: Look) -> None:
    """A bar for each group, with its sum and its cost at the end."""
    places = np.arange(len(groups)) + 0.5
    left = np.zeros(len(groups))
    for kind, color in COLORS.items():
        values = groups[kind].to_numpy(dtype=float)
        ax.barh(places, values, left=left, height=BAR, color=color, linewidth=0, zorder=2, label=kind)
        left = left + values
    draw_names(ax.yaxis, places, groups["name"].tolist())
    ax.set_ylim(len(groups), 0)
    highest = max(float(left.max()), 1.0)
    ax.set_xlim(0, highest * 1.22)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: large(value, beside=highest)))
    ax.set_xlabel("tokens")
    size = sizes_of(ax).bar
    if ax.bbox.height / ax.figure.dpi * 72 < 1.2 * size * len(groups):
        return
    for place, total, cost in zip(places, left, groups["cost"], strict=True):
        text = large(total) + ("" if pd.isna(cost) else f" · {cost:,.2f}")
        ax.annotate(text, (total, place), (4, 0), textcoords="offset points", va="center", fontsize=size, color=look.ink)
