"""Two traces on one axis of elapsed time: for each agent a band before, a band after, and between them the change.

Drawing only: the differences come from `tokenvis.runs.compare`. The legend has the change of each location.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.errors import plural
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import Segments, segments_of, states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, BarWaits, Raster, draw_bars, label_bars
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES, OTHERS_COLOR
from tokenvis.plot.artists.figure import available_lanes_and_pixels, draw_message, height_inches, new_axes
from tokenvis.plot.artists.labels import bar_label_texts
from tokenvis.plot.artists.legend import draw_legend, lines_below, max_name_points
from tokenvis.plot.artists.names import draw_names, shortened_names
from tokenvis.plot.artists.states import state_handles
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, is_narrow, themed
from tokenvis.plot.artists.text import MISSING_NAME, FittedTexts, text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import (
    BOLD_WIDTH_FACTOR,
    describe,
    described_name,
    draw_note,
    draw_title,
    trace_title,
)
from tokenvis.plot.comparisons.changes import change_color, signed_text
from tokenvis.plot.comparisons.run_notes import role_notes
from tokenvis.runs.matching import BY_ROLE, Match, is_searched
from tokenvis.runs.pair import pair_table, role_column, with_roles
from tokenvis.spans.columns import as_categorical, codes_of, times_of
from tokenvis.spans.losses import Losses, losses_of, no_spans_sentence, recorded_spans
from tokenvis.tree.states import states_of

SIDES = ("before", "after")
STATE_COLUMNS = (
    "parent_id",
    "waits_for",
    "waits_for_kind",
    "detached",
    "span_kind",
    "status",
    "estimated",
)  # which states depend on
ONLY_SIDES = {"before": "gone", "after": "new"}  # beside an agent that is in one trace only
ORDER_NOTE = "each agent: before above, after below"
LEGEND_TITLE = "change of busy time"
MIN_CHANGES = 2  # entries of locations in a legend below
TITLE_SHARE = 0.33  # of the width of the Axes, for the name of a trace: texts at the left may make them narrower
ROW_PAD_POINTS = 5.0  # beside the texts between the names and the bands
ROW_LINE_EMS, MIN_CHANGE_POINTS = 1.15, 4.5  # distance of two lines; of a change


@dataclass(frozen=True)
class TwoTraces:
    """Two traces that are compared: ``spans`` of both, as of `combine_sides`; an entry for each side in ``traces, wall_us``.

    ``agents, locations`` are the changes of busy time (µs) by name, the largest first.
    """

    spans: pd.DataFrame
    traces: list[str]
    wall_us: list[int]
    agents: pd.Series
    locations: pd.Series
    notes: list[str]

    def bands(self) -> list[str]:
        """The bands that have spans, from the top."""
        present = set(self.spans["band"].cat.categories)
        return [band for name in self.agents.index for side in SIDES if (band := band_name(name, side)) in present]


def draw_pair(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    match: Match,
    palette: Palette,
    gaps: GapMode,
    time_unit: Literal["auto", "step"],
    legend: bool,
    ax: Axes | None,
) -> Axes:
    """The picture of `plot_compare` for two runs."""
    pair = pair_of(before, after, match)
    spans, bands, states = pair.spans, pair.bands(), states_of(pair.spans)
    axis = time_axis(spans.assign(trace_id="both"), gaps=gaps, time_unit=time_unit, states=states)
    with themed(ax) as theme:
        busiest = busiest_names(spans, spans["location_id"], MAX_COLORED_NAMES, states=states)
        scale = color_scale(spans["location_id"], palette, theme, busiest=busiest)
        max_lanes, width_px = available_lanes_and_pixels(ax)
        placement = place_spans(spans, by="band", order=bands, max_lanes=max_lanes, width_px=width_px)
        handles = [*state_handles(states_that_occur(states), theme), end_handle(theme)]
        n_handles = len(scale.legend) + len(handles) + 1 if legend else 0
        ax = new_axes(height_inches(placement.height, n_handles)) if ax is None else ax
        if not len(spans):
            return draw_message(ax, theme, f"Before: {no_spans_sentence(before)} After: {no_spans_sentence(after)}")
        apply_theme(ax)
        ax.set_ylim(placement.height + 0.2, -0.2)
        rows = draw_agent_bands(ax, rows_of_agents(placement, set(bands), pair.agents, axis), theme)
        axis.draw(ax, theme)
        raster = draw_pair_bars(ax, spans, segments_of(spans, states), placement, scale, axis, theme)
        draw_note(ax, [rows, *pair.notes, *([raster] if raster else [])], theme)
        draw_ends(ax, placement, axis.mapping.to_x(np.array(pair.wall_us)), theme)
        wall_texts = " · ".join(f"{side} {axis.duration(wall)}" for side, wall in zip(SIDES, pair.wall_us, strict=True))
        draw_title(ax, title_of(ax, pair.traces), wall_texts, theme)
        if legend:
            draw_change_legend(ax, changes_of_colors(scale, pair.locations), handles, axis, theme)
        describe(ax, description_of_pair(pair, axis), *(f"{text.capitalize()}." for text in pair.notes))
    return ax


def pair_of(before: pd.DataFrame, after: pd.DataFrame, match: Match) -> TwoTraces:
    """Two traces as `TwoTraces`; a side may be empty."""
    role, pair = role_column(match), with_roles(before, after, match)
    table, sides = pair_table(pair, role), [recorded_spans(side) for side in pair]
    by_role = role_notes(names_of_sides(sides)) if is_searched(match, (before, after)) else []
    return TwoTraces(
        combine_sides(sides, role),
        trace_titles(*sides),
        [int(times_of(side)[1].max()) - int(times_of(side)[0].min()) if len(side) else 0 for side in sides],
        changes_by(table, role),
        changes_by(table, "location_id"),
        [*loss_notes(losses_of(before), losses_of(after)), *by_role],
    )


def names_of_sides(sides: list[pd.DataFrame]) -> pd.DataFrame:
    """The roles on both sides for `role_notes`: an agent that has another name than its role was matched by what it does."""
    names = pd.concat(
        [side[["agent_id", BY_ROLE]].astype("str").assign(trace_id=name) for name, side in zip(SIDES, sides, strict=True)]
    )
    how = np.where(names["agent_id"] == names[BY_ROLE], "name", "role")
    return names.assign(agent_id=names[BY_ROLE], matched_by=how)


def draw_pair_bars(
    ax: Axes,
    spans: pd.DataFrame,
    segments: Segments,
    placement: Placement,
    scale: ColorScale,
    axis: TimeAxis,
    theme: ThemeColors,
) -> Raster | None:
    """Draw the spans as bars with labels; returns their raster, if there is one."""
    waits = BarWaits(segments, theme) if len(segments.row) else None
    bars = Bars(*times_of(spans), placement, scale.code, scale.colors, axis.mapping, waits)
    raster = draw_bars(ax, bars)
    label_bars(ax, bars, partial(bar_label_texts, spans, "location_id", axis), size=font_sizes(ax).bar)
    return raster


def description_of_pair(pair: TwoTraces, axis: TimeAxis) -> str:
    """A description of the picture: how long both traces took, and the largest change."""
    name, change = described_name(pair.agents.index[0]), int(pair.agents.iloc[0])
    largest = f"the largest change is {name}, {signed_text(change, axis.duration)} busy"
    largest = largest if change else "no agent is busy for more or less time"
    ends = ", ".join(f"{axis.duration(wall)} {side}" for side, wall in zip(SIDES, pair.wall_us, strict=True))
    return f"Timelines of {' and '.join(map(described_name, pair.traces))}, agent by agent: {ends}; {largest}."


def trace_titles(*sides: pd.DataFrame) -> list[str]:
    """The names of the traces; their ids, if the names are the same."""
    titles = [trace_title(side) if len(side) else "an empty trace" for side in sides]
    ids = [str(side["trace_id"].iloc[0]) if len(side) else title for side, title in zip(sides, titles, strict=True)]
    return titles if len(set(titles)) == len(titles) else ids


def changes_by(table: pd.DataFrame, column: str) -> pd.Series:
    """The change of busy time of each name in a column, the largest first."""
    names = table[column].astype(object).map(str, na_action="ignore").fillna(MISSING_NAME)
    changes = table["busy_change_us"].groupby(names).sum()
    return changes.iloc[np.argsort(-changes.abs().to_numpy(), kind="stable")]


def loss_notes(*sides: Losses) -> list[str]:
    """How many spans were lost on each side, if any."""
    counts = [f"{plural(losses.total, 'span')} {side}" for side, losses in zip(SIDES, sides, strict=True) if losses.total]
    return [f"lost while recording: {', '.join(counts)}"] if counts else []


def band_name(name: str, side: str) -> str:
    """The band of an agent on one side."""
    return f"{name}\n{side}"


def combine_sides(pair: list[pd.DataFrame], role: str) -> pd.DataFrame:
    """The spans of both sides, each starting at 0, with ``band``: the value of ``role`` and the side; each side is a trace."""
    sides = []
    for side, spans in zip(SIDES, pair, strict=True):
        start, end = times_of(spans)
        origin = start.min() if len(start) else 0
        codes, roles = codes_of(spans[role])
        band = np.array([*(band_name(str(name), side) for name in roles), band_name(MISSING_NAME, side)], dtype=object)[codes]
        elapsed = {"start_time": start - origin, "end_time": end - origin}
        others = [column for column in (*STATE_COLUMNS, "data") if column in spans]
        columns = spans[["id", "agent_id", "location_id", *others]].astype({"location_id": "str"})
        sides.append(columns.assign(trace_id=side, band=band, **elapsed))
    both = pd.concat(sides, ignore_index=True)
    return both.assign(location_id=as_categorical(both["location_id"]), band=as_categorical(both["band"]))


def title_of(ax: Axes, traces: list[str]) -> str:
    """The names of both traces, each cut so that both fit."""
    size = font_sizes(ax).title * BOLD_WIDTH_FACTOR
    points = TITLE_SHARE * ax.bbox.width / ax.figure.dpi * 72
    return " → ".join(shortened_names(traces, points, size))


def draw_agent_bands(ax: Axes, agents: pd.DataFrame, theme: ThemeColors) -> "ChangeTexts":
    """Draw a common background for the bands of every second agent, all names, and the changes."""
    for top, height in agents[["top", "height"]].iloc[::2].itertuples(index=False):
        ax.axhspan(top - 0.2, top + height + 0.2, color=theme.shading, linewidth=0, zorder=0)
    draw_names(ax.yaxis, agents["middle"], agents["name"].tolist())
    texts = ChangeTexts(agents, theme, size=font_sizes(ax).bar)
    ax.add_artist(texts)
    ax.tick_params(axis="y", pad=texts.width + 2 * ROW_PAD_POINTS)
    return texts


def sided_bands(placement: Placement) -> pd.DataFrame:
    """The bands with ``name`` and ``side``; the last band of many, that of other agents, has no side."""
    parts = [str(band).rpartition("\n") for band in placement.bands["band"]]
    names, sides = ([part[0] or part[2] for part in parts], [part[2] if part[0] else "" for part in parts])
    return placement.bands.assign(name=names, side=sides)


def rows_of_agents(placement: Placement, present: set[str], changes: pd.Series, axis: TimeAxis) -> pd.DataFrame:
    """A row for each agent, as it is drawn.

    ``name, top, height, middle`` of its bands; ``before, after``: the middle of each band, NaN if it has none, and ``side``:
    what to call its only band; ``change`` (µs) and ``text``, "" for the agents without bands of their own.
    """
    bands = sided_bands(placement)
    bands["bottom"], bands["middle"] = bands["top"] + bands["height"], bands["top"] + bands["height"] / 2
    agents = bands.groupby("name", sort=False).agg(top=("top", "min"), bottom=("bottom", "max"), side=("side", "first"))
    middles = {side: bands[bands["side"] == side].set_index("name")["middle"].reindex(agents.index) for side in SIDES}
    own = agents["side"] != ""
    change_by_name = {str(name): int(change) for name, change in changes.items()}
    change = [change_by_name[name] if is_own else 0 for name, is_own in zip(own.index.tolist(), own, strict=True)]
    return agents.assign(
        height=agents["bottom"] - agents["top"],
        middle=(agents["top"] + agents["bottom"]) / 2,
        side=[side_text(name, side, present) for name, side in agents["side"].items()],
        change=change,
        text=np.where(own, [signed_text(each, axis.duration) for each in change], ""),
        **middles,
    ).reset_index()


def side_text(name: Any, side: str, present: set[str]) -> str:
    """What to call the only band of an agent: its other band may be among those of the other agents."""
    is_alone = sum(band_name(name, each) in present for each in SIDES) == 1
    return ONLY_SIDES[side] if side and is_alone else side


class ChangeTexts(FittedTexts):
    """Texts between the names and the bands of the agents: "before", the change of the agent's busy time, "after".

    ``agents`` is that of `rows_of_agents`. If the bands of an agent are too low, only the change is left. Agents whose names
    are left out have no text.
    """

    def __init__(self, agents: pd.DataFrame, theme: ThemeColors, *, size: float) -> None:
        super().__init__(size=size, zorder=5)
        self.agents, self.theme = agents, theme
        widths = [text_width(side, size) for side in SIDES]
        self.width = max(*widths, *(text_width(text, size) * BOLD_WIDTH_FACTOR for text in agents["text"]))
        self.set_clip_on(False)

    def line(self) -> float:
        """The distance of two lines, in pixels."""
        return ROW_LINE_EMS * self.size * float(self.figure.dpi) / 72

    def y_of(self, column: str) -> np.ndarray:
        """A column of positions, in pixels."""
        y: np.ndarray = self.axes.transData.transform(np.column_stack([np.zeros(len(self.agents)), self.agents[column]]))[:, 1]
        return y

    def has_room(self) -> np.ndarray:
        """Which agents have room for the change and for a text beside each band."""
        gaps = [np.abs(self.y_of(side) - self.y_of("middle")) for side in SIDES]
        lane = abs(np.subtract(*self.axes.transData.transform([(0, 0), (0, 1)])[:, 1]))
        has_two_lines = self.agents["height"] * lane >= 2 * self.line()
        room: np.ndarray = np.where(np.isnan(gaps[0] + gaps[1]), has_two_lines, np.fmin(*gaps) >= self.line())
        return room

    def messages(self) -> list[str]:
        """Which band is which, unless a text is beside each of them."""
        return [] if self.has_room().all() else [ORDER_NOTE]

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        named = np.isin(self.agents["middle"], self.axes.yaxis.get_majorticklocs())
        middle = self.y_of("middle")
        is_shown = named & (middle > self.axes.bbox.y0) & (middle < self.axes.bbox.y1)
        places = np.column_stack([self.y_of(column) for column in ("middle", *SIDES)])
        distance = np.abs(np.diff(middle[is_shown])).min(initial=np.inf) / self.line()
        self.font.set_size(max(self.size * min(distance, 1.0), MIN_CHANGE_POINTS))
        shown = []
        for row in np.flatnonzero(is_shown).tolist():
            shown += self.texts_of(self.agents.iloc[row], *places[row].tolist(), has_room=bool(self.has_room()[row]))
        return shown

    def texts_of(self, agent: pd.Series, middle: float, before: float, after: float, *, has_room: bool) -> list[Text]:
        """The texts of an agent, whose positions are in pixels."""
        sides = [(side, y) for side, y in zip(SIDES, (before, after), strict=True) if not np.isnan(y)]
        if len(sides) == 1 and has_room:
            sides, middle = [(agent["side"], middle + self.line() / 2)], middle - self.line() / 2
        change, muted = agent["change"], {"color": self.theme.muted}
        style = {"color": change_color(change, self.theme), "fontweight": "bold"} if change else muted
        texts = [(side, y, muted) for side, y in sides if has_room] + [(agent["text"], middle, style)]
        x = self.axes.bbox.x0 - ROW_PAD_POINTS * self.figure.dpi / 72
        drawn = [self.text_at(x, y, text, ha="right", va="center_baseline", **look) for text, y, look in texts if text]
        for text in drawn:
            text.set_clip_on(False)
        return drawn

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Bbox:
        """The box of the texts, for the layout."""
        box, pixels_per_point = self.axes.bbox, self.figure.dpi / 72
        return Bbox.from_extents(box.x0 - (self.width + ROW_PAD_POINTS) * pixels_per_point, box.y0, box.x0, box.y1)


def end_handle(theme: ThemeColors) -> Line2D:
    """The legend handle of the ends of the traces."""
    return Line2D([], [], marker="|", markersize=10, linestyle="none", color=theme.text, label="end of the trace")


def draw_ends(ax: Axes, placement: Placement, ends: np.ndarray, theme: ThemeColors) -> None:
    """Draw a line at the end of the trace in each band."""
    bands = sided_bands(placement)
    bands = bands[bands["side"] != ""]
    x = [ends[SIDES.index(side)] for side in bands["side"]]
    bounds = bands["top"], bands["top"] + bands["height"]
    lines = np.stack([np.column_stack([x, y]) for y in bounds], axis=1)
    style: dict[str, Any] = {"colors": theme.text, "linewidths": 1.0, "zorder": 3.3, "label": "end"}
    ax.add_collection(LineCollection(list(lines), **style), autolim=False)


def changes_of_colors(scale: ColorScale, changes: pd.Series) -> list[tuple[str, str, int]]:
    """The colour, the name and the change of each entry of a legend, the largest change first, the others last."""
    own = {name: int(changes.get(name, 0)) for color, name in scale.legend if color != OTHERS_COLOR}
    rest = int(changes.sum()) - sum(own.values())
    entries = [(color, name, rest if color == OTHERS_COLOR else own[name]) for color, name in scale.legend]
    return sorted(entries, key=lambda entry: (entry[0] == OTHERS_COLOR, -abs(entry[2])))


def draw_change_legend(
    ax: Axes, entries: list[tuple[str, str, int]], handles: list[Any], axis: TimeAxis, theme: ThemeColors
) -> None:
    """Draw the legend: each location with its change, in the colour of the change; then these handles."""
    if is_narrow(ax):
        n_lines = lines_below(ax) - len(handles) - 1  # the title takes one
        entries = first_entries(entries, max(n_lines, MIN_CHANGES), theme)
    names = shortened_names([name for _, name, _ in entries], max_name_points(ax), font_sizes(ax).text)
    patches = [
        Patch(color=color, label=f"{name} {signed_text(change, axis.duration)}")
        for (color, _, change), name in zip(entries, names, strict=True)
    ]
    draw_legend(ax, [*patches, *handles], title=LEGEND_TITLE)
    legend: Any = ax.get_legend()
    for text, (_, _, change) in zip(legend.get_texts(), entries, strict=False):
        text.set_color(change_color(change, theme) if change else theme.text)


def first_entries(entries: list[tuple[str, str, int]], count: int, theme: ThemeColors) -> list[tuple[str, str, int]]:
    """So many entries, and one without a colour that stands for the rest, with the sum of their changes."""
    rest = entries[count:]
    if len(rest) < 2:
        return entries
    return [*entries[:count], (theme.background, f"{len(rest)} more", sum(change for _, _, change in rest))]
