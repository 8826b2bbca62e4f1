"""Fan-outs: a row on the time axis for each of those with the most time to save, and the verdict on it.

Drawing only: the table is that of `fanouts`. A bar lasts from the first start to the last end of the branches. Its solid part
is as long as the longest branch: had all started at once, they would have taken at least this long. So the pale rest is the
most that could be saved.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.fanouts import VERDICTS, fanouts
from tokenvis.errors import plural
from tokenvis.plot.artists.states import draw_in_state
from tokenvis.plot.artists.style import blend_colors
from tokenvis.plot.artists.title import describe, described_name, share_text
from tokenvis.plot.parts.page import DrawnTrace, PagePart
from tokenvis.plot.parts.rows import MISSING, Column, bar_corners, draw_named_rows, number_column, row_inches

MAX_FANOUTS = 6
MIN_SHARE = 0.01  # of the wall time without folds: shorter fan-outs are only counted
SAVED_SHARE = 0.3  # of the colour, for the time that could be saved


def fanouts_part(trace: DrawnTrace) -> list[PagePart]:
    """The part of the page with the fan-outs; none if there are none."""
    table = fanouts(trace.spans)
    if not len(table):
        return []
    table = table.assign(saved_us=table["elapsed_us"] - table["longest_us"])
    shown = largest_savings(table, trace)
    number = "one" if len(shown) == 1 else f"{len(shown)}"
    most = [f"here the {number} that could save most"] if len(shown) < len(table) else []
    details = "; ".join([verdict_counts(table), *most, "pale: saved if all had started at once"])
    inches = row_inches(len(shown))
    return [
        PagePart("fan-outs", "Fan-outs", details, inches, lambda ax: draw_fanouts(ax, shown, table, trace), is_over_time=True)
    ]


def largest_savings(table: pd.DataFrame, trace: DrawnTrace) -> pd.DataFrame:
    """The fan-outs that could save the most time; short ones only if all are, and then one."""
    by_saving = table.sort_values("saved_us", ascending=False, kind="stable")
    low, high = trace.axis.mapping.positions[[0, -1]]
    long = by_saving[by_saving["elapsed_us"] >= MIN_SHARE * (high - low)]
    return (long.head(MAX_FANOUTS) if len(long) else by_saving.head(1)).reset_index(drop=True)


def verdict_counts(table: pd.DataFrame) -> str:
    """How many fan-outs have each verdict: "13 serial, 2 partly parallel, 1 parallel"."""
    counts = table["verdict"].value_counts()
    names = {"partly": "partly parallel"}
    parts = [f"{counts[verdict]:,} {names.get(verdict, verdict)}" for verdict in VERDICTS if verdict in counts]
    unknown = int(table["verdict"].isna().sum())
    return ", ".join([*parts, *([f"{unknown:,} too short to tell"] if unknown else [])])


def draw_fanouts(ax: Axes, shown: pd.DataFrame, table: pd.DataFrame, trace: DrawnTrace) -> None:
    """Draw the rows."""
    theme, axis = trace.theme, trace.axis
    names = [f"{agent} starts {count:,}" for agent, count in zip(shown["agent_id"], shown["n_branches"], strict=True)]
    draw_named_rows(ax, names, fanout_columns(shown, trace), theme)
    start, longest, end = (shown[name].to_numpy() for name in ("start", "longest_us", "end"))
    x0, middle, x1 = (axis.mapping.to_x(times) for times in (start, start + longest, end))
    colors = [trace.agent_color(str(agent)) for agent in shown["agent_id"]]
    rows = np.arange(len(shown))
    pale = [blend_colors(color, theme.background, SAVED_SHARE) for color in colors]
    draw_in_state(ax, bar_corners(rows, middle, x1), pale, "work", theme, zorder=2)
    draw_in_state(ax, bar_corners(rows, x0, middle), colors, "work", theme, zorder=2)
    described = f"{plural(len(table), 'fan-out')} of {described_name(axis.name)}: {verdict_counts(table)}"
    describe(ax, f"{described}; at most {axis.duration(int(shown['saved_us'][0]))} could be saved in one.")


def fanout_columns(shown: pd.DataFrame, trace: DrawnTrace) -> list[Column]:
    """The verdict with the share of overlap, the speed-up reached of that which is possible, and the time to save."""
    theme = trace.theme
    texts: dict[str, list[str]] = {"verdict": [], "overlap": [], "speed-up": []}
    for row in shown.to_dict("records"):
        has_verdict, is_timed = not pd.isna(row["verdict"]), not pd.isna(row["speedup"]) and not pd.isna(row["max_speedup"])
        texts["verdict"].append(row["verdict"] if has_verdict else MISSING)
        texts["overlap"].append(share_text(row["share_overlapped"]) if has_verdict else MISSING)
        texts["speed-up"].append(f"{factor_text(row['speedup'])} of {factor_text(row['max_speedup'])}" if is_timed else MISSING)
    saved = number_column("to save", shown["saved_us"], lambda value: f"≤ {trace.axis.duration(int(value))}", theme)
    return [*(Column(header, column, [theme.text] * len(shown)) for header, column in texts.items()), *saved]


def factor_text(factor: float) -> str:
    """A speed-up as text."""
    return f"{factor:.1f}×" if factor >= 1 else f"{factor:.1g}×"
