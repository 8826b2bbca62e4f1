"""The shares of a critical path: its work by agent or another column, its waits, and idle time apart, as texts and as a legend.

All shares are percentages of the path without idle time, and add up to 100. Idle time is told as a duration.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tokenvis.errors import plural
from tokenvis.layout.path_times import PathTimes, path_times, whole_percentages
from tokenvis.plot.artists.color_scales import ColorScale
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.legend import draw_legend, max_name_points
from tokenvis.plot.artists.names import shortened_names
from tokenvis.plot.artists.states import LOOKS, state_patch
from tokenvis.plot.artists.style import ThemeColors, font_sizes, is_narrow
from tokenvis.plot.artists.text import MISSING_NAME, text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.plot.artists.title import described_name
from tokenvis.spans.columns import codes_of
from tokenvis.spans.integers import Int64Array
from tokenvis.tree.states import States

PHRASES = {  # of the states, in titles and descriptions
    "work": "work",
    "agent": "waiting for an agent",
    "person": "waiting for a person",
    "unexplained": "unexplained",
}
MAX_SHARES, MAX_SHARES_IN_SMALL_FIGURES = 8, 4  # in the legend, with "others"


@dataclass(frozen=True)
class GroupShare:
    """The share of an agent, or of another value, in whole percent; others together are one."""

    name: str
    color: str
    percentage: int


@dataclass(frozen=True)
class PathShares:
    """The shares of the groups that work on the path, the largest first, and of the other states, in whole percent.

    ``n_groups`` counts the groups, also those that are together as others.
    """

    groups: list[GroupShare]
    n_groups: int
    waits: dict[str, int]
    times: PathTimes

    @property
    def idle_us(self) -> int:
        """The idle time, which has no share."""
        return sum(self.times.idle_us.values())

    @property
    def n_parts(self) -> int:
        """How many parts the whole has."""
        return self.n_groups + len(self.waits)

    def largest(self, count: int) -> list[GroupShare]:
        """The largest groups, and the others together: at most ``count``."""
        if len(self.groups) <= count:
            return self.groups
        shown = self.groups[: count - 1]
        rest = sum(share.percentage for share in self.groups[count - 1 :])
        return [*shown, GroupShare(plural(self.n_groups - len(shown), "other"), OTHERS_COLOR, rest)]

    def states(self) -> list[str]:
        """The states other than work that have time, also idle time."""
        return [state for state in LOOKS if state in self.waits or state in self.times.idle_us]

    def durations(self, axis: TimeAxis) -> str:
        """The time of work, of each other state, and idle time."""
        times = {"work": int(self.times.work_us.sum()), **self.times.waits_us}
        parts = [f"{axis.duration(part_us)} {PHRASES[state]}" for state, part_us in times.items() if part_us]
        return ", ".join([*parts, *([f"{axis.duration(self.idle_us)} idle"] if self.idle_us else [])])

    def description(self, path: pd.DataFrame, axis: TimeAxis) -> str:
        """The number of steps, the time, and all shares, in a sentence."""
        count = plural(int(path["id"].notna().sum()), "step")
        parts = [f"Critical path of {described_name(axis.name)}: {count} in {axis.duration(self.times.counted_us)}"]
        if self.groups:
            work = told_percent(sum(share.percentage for share in self.groups), 1 + len(self.waits))
            groups = [f"{described_name(share.name)} {told_percent(share.percentage, self.n_parts)}" for share in self.groups]
            parts.append(f"work for {work} of it ({', '.join(groups)})")
        for state, percentage in self.waits.items():
            parts.append(f"{PHRASES[state]} for {told_percent(percentage, self.n_parts)} of it")
        idle = f"; idle for another {axis.duration(self.idle_us)}" if self.idle_us else ""
        return f"{', '.join(parts)}{idle}."


def shares_of(path: pd.DataFrame, steps: Int64Array, values: pd.Series, scale: ColorScale, states: States) -> PathShares:
    """The shares of a path, of which ``steps`` are the rows of the spans; ``values`` are the groups of all spans."""
    codes, labels = codes_of(values)
    names = [*map(str, labels), MISSING_NAME]
    group = np.append(codes, -1)[steps] % len(names)  # a missing value is the last name
    times = path_times(path, group, states, tuple(LOOKS))
    n_groups = len(times.group)
    n_shown = n_groups if n_groups <= MAX_SHARES else MAX_SHARES - 1
    rest_us = int(times.work_us[n_shown:].sum())
    percentages = whole_percentages([*times.work_us[:n_shown].tolist(), rest_us, *times.waits_us.values()])
    row = np.zeros(len(names), dtype=np.int64)
    row[group[::-1]] = steps[::-1]  # the first step of each group
    shown = times.group[:n_shown].tolist()
    known = zip(shown, scale.colors_of(row[shown]), percentages, strict=False)
    groups = [GroupShare(names[code], color, percentage) for code, color, percentage in known]
    if rest_us:
        groups.append(GroupShare(plural(n_groups - n_shown, "other"), OTHERS_COLOR, percentages[n_shown]))
    return PathShares(groups, n_groups, dict(zip(times.waits_us, percentages[n_shown + 1 :], strict=True)), times)


def percent(percentage: int, n_parts: int, less: str = "<", more: str = ">") -> str:
    """A share of a whole of some parts as text: no part of several is 0% or 100%."""
    return f"{less}1%" if not percentage else f"{more}99%" if percentage == 100 and n_parts > 1 else f"{percentage}%"


def told_percent(percentage: int, n_parts: int) -> str:
    """A share as words."""
    return percent(percentage, n_parts, "less than ", "more than ")


def draw_shares(ax: Axes, shares: PathShares, axis: TimeAxis, others: list[Patch], theme: ThemeColors) -> None:
    """Draw the legend: groups and states with their shares; and ``others``, further handles."""
    size = font_sizes(ax).text
    groups = shares.largest(MAX_SHARES_IN_SMALL_FIGURES if is_narrow(ax) else MAX_SHARES)
    names = shortened_names([share.name for share in groups], max_name_points(ax) - text_width(" <99%", size), size)
    handles = [
        Patch(color=share.color, label=f"{name} {percent(share.percentage, shares.n_parts)}")
        for share, name in zip(groups, names, strict=True)
    ]
    for state in shares.states():
        after = percent(shares.waits[state], shares.n_parts) if state in shares.waits else "(idle)"
        handles.append(state_patch(state, theme, label=f"{LOOKS[state].name} {after}"))
    idle = f"; {axis.duration(shares.idle_us)} idle" if shares.idle_us else ""
    title = f"shares of {axis.duration(shares.times.counted_us)}{idle}" if handles else ""
    draw_legend(ax, [*handles, *others], title=title)
