"""Two traces on one axis of elapsed time: for each agent a band before, a band after, and the difference.

Drawing only: the differences come from `tokenvis.analysis.compare`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Text

from tokenvis.analysis.compare import compare
from tokenvis.errors import plural
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.segments import segments_of, states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, BarWaits, draw_bars, label_bars
from tokenvis.plot.artists.color_scales import Palette, color_scale
from tokenvis.plot.artists.figure import available_lanes_and_pixels, check_axes, draw_message, height_inches, new_axes
from tokenvis.plot.artists.labels import bar_label_texts
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.states import state_handles
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, themed
from tokenvis.plot.artists.text import MISSING_NAME, FittedTexts, text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title, trace_title
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
ORDER_NOTE = "each agent: before above, after below"


def plot_compare(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    match: str | Callable[[str], str] = "agent_id",
    palette: Palette = None,
    gaps: GapMode = "fold",
    time_unit: Literal["auto", "step"] = "auto",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw two traces on one axis of elapsed time: for each agent two bands, before and after; colours are locations.

    Each agent has a text with the change of its busy time (its work, not its waits, which are paler as in `plot_timeline`), and
    a line marks the end of each trace.

    Parameters
    ----------
    before, after
        Two frames of spans, of one trace each.
    match
        How to match agents of the two traces, as in `compare`: by a column, or by a function of an agent's name.
    palette
        Colours of the locations, as in `plot_timeline`.
    gaps, time_unit
        The time axis, as in `plot_timeline`; a gap is folded if nothing runs in either trace.
    legend
        Whether a legend of the locations is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x is µs since the start of each trace, without folded time. Agents are ordered by the size of their change.

    Raises
    ------
    MissingColumn, BadSpan
        One of them is not a frame of spans, has no column ``match``, or has spans of several traces.
    BadOption
        ``match`` is neither a name nor a function, or another argument is invalid.

    Examples
    --------
    >>> import pandas as pd
    >>> before = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "monday", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_compare(before, before.assign(trace_id="tuesday", end_time=[5_000_000, 12_000_000])).get_label()
    'Timelines of monday and tuesday, agent by agent: 9 s before, 12 s after; the largest change is Bob, +3 s busy.'
    """
    table = compare(before, after, match=match)
    check_axes(ax)
    loss_texts = loss_notes(losses_of(before), losses_of(after))
    empty = f"Before: {no_spans_sentence(before)} After: {no_spans_sentence(after)}"
    before, after = recorded_spans(before), recorded_spans(after)
    role = match if isinstance(match, str) else "role"
    both = combine_sides(before, after, match, role)
    states = states_of(both)
    segments = segments_of(both, states)
    axis = time_axis(both.assign(trace_id="both"), gaps=gaps, time_unit=time_unit, states=states)
    busy_changes = (
        table["busy_change_us"].groupby(table[role].astype(object).map(str, na_action="ignore").fillna(MISSING_NAME)).sum()
    )
    order = busy_changes.index[np.argsort(-busy_changes.abs().to_numpy(), kind="stable")].tolist()
    present = set(both["band"].cat.categories)
    bands = [band for name in order for side in SIDES if (band := band_name(name, side)) in present]
    with themed(ax) as theme:
        scale = color_scale(both["location_id"], palette, theme)
        max_lanes, width_px = available_lanes_and_pixels(ax)
        placement = place_spans(both, by="band", order=bands, max_lanes=max_lanes, width_px=width_px)
        names = [legend_patch(color, name) for color, name in scale.legend]
        handles = [*names, *state_handles(states_that_occur(states), theme)] if legend else []
        ax = new_axes(height_inches(placement.height, len(handles))) if ax is None else ax
        if not len(both):
            return draw_message(ax, theme, empty)
        apply_theme(ax)
        draw_agent_bands(ax, placement, theme)
        axis.draw(ax, theme)
        waits = BarWaits(segments, theme) if len(segments.row) else None
        bars = Bars(*times_of(both), placement, scale.code, scale.colors, axis.mapping, waits)
        raster = draw_bars(ax, bars)
        label_bars(ax, bars, partial(bar_label_texts, both, "location_id", axis), size=font_sizes(ax).bar)
        draw_note(ax, [ORDER_NOTE, *loss_texts, *([raster] if raster else [])], theme)
        wall_us = [int(times_of(side)[1].max()) - int(times_of(side)[0].min()) if len(side) else 0 for side in (before, after)]
        draw_changes(ax, placement, busy_changes, axis, theme)
        draw_end_lines(ax, axis, wall_us, theme)
        wall_texts = " · ".join(f"{side} {axis.duration(wall)}" for side, wall in zip(SIDES, wall_us, strict=True))
        traces = [trace_title(side) if len(side) else "an empty trace" for side in (before, after)]
        draw_title(ax, " and ".join(traces), wall_texts, theme)
        draw_legend(ax, handles)
        largest = f"{described_name(order[0])}, {signed_duration(int(busy_changes[order[0]]), axis)} busy"
        ends = ", ".join(f"{axis.duration(wall)} {side}" for side, wall in zip(SIDES, wall_us, strict=True))
        pairs = " and ".join(described_name(name) for name in traces)
        description = f"Timelines of {pairs}, agent by agent: {ends}; the largest change is {largest}."
        describe(ax, description, *(f"{text.capitalize()}." for text in loss_texts))
    return ax


def loss_notes(*sides: Losses) -> list[str]:
    """How many spans were lost on each side, if any."""
    counts = [f"{plural(losses.total, 'span')} {side}" for side, losses in zip(SIDES, sides, strict=True) if losses.total]
    return [f"lost while recording: {', '.join(counts)}"] if counts else []


def band_name(name: str, side: str) -> str:
    """The band of an agent on one side."""
    return f"{name}\n{side}"


def combine_sides(before: pd.DataFrame, after: pd.DataFrame, match: str | Callable[[str], str], role: str) -> pd.DataFrame:
    """The spans of both sides, each starting at 0, with ``band``: the agent (or role) and the side; each side is a trace."""
    sides = []
    for side, spans in zip(SIDES, (before, after), strict=True):
        start, end = times_of(spans)
        origin = start.min() if len(start) else 0
        codes, labels = codes_of(spans["agent_id" if callable(match) else role])
        roles = [match(str(label)) if callable(match) else label for label in labels]
        band = np.array([*(band_name(str(name), side) for name in roles), band_name(MISSING_NAME, side)], dtype=object)[codes]
        elapsed = {"start_time": start - origin, "end_time": end - origin}
        others = [column for column in (*STATE_COLUMNS, "data") if column in spans]
        columns = spans[["id", "agent_id", "location_id", *others]].astype({"location_id": "str"})
        sides.append(columns.assign(trace_id=side, band=band, **elapsed))
    both = pd.concat(sides, ignore_index=True)
    return both.assign(location_id=as_categorical(both["location_id"]), band=as_categorical(both["band"]))


def signed_duration(change: int, axis: TimeAxis) -> str:
    """A change with its sign."""
    return f"{'−' if change < 0 else '+'}{axis.duration(abs(change))}"


def draw_agent_bands(ax: Axes, placement: Placement, theme: ThemeColors) -> None:
    """Draw the two bands of each agent with a common background, and its name."""
    extents = agent_extents(placement)
    for top, height in extents[["top", "height"]].iloc[::2].itertuples(index=False):
        ax.axhspan(top - 0.2, top + height + 0.2, color=theme.shading, linewidth=0, zorder=0)
    draw_names(ax.yaxis, extents["top"] + extents["height"] / 2, extents["name"].tolist())
    ax.set_ylim(placement.height + 0.2, -0.2)


def agent_extents(placement: Placement) -> pd.DataFrame:
    """``name, top, height``: the two bands of each agent."""
    bands = placement.bands
    agent = pd.Index([str(band).rsplit("\n", 1)[0] for band in bands["band"]])
    bottoms = bands.assign(bottom=bands["top"] + bands["height"]).groupby(agent, sort=False)
    top = bottoms["top"].min()
    return pd.DataFrame({"name": top.index, "top": top.to_numpy(), "height": (bottoms["bottom"].max() - top).to_numpy()})


def draw_changes(ax: Axes, placement: Placement, busy_changes: pd.Series, axis: TimeAxis, theme: ThemeColors) -> None:
    """Draw the change of each agent's busy time at the right end of its bands, if it fits."""
    size = font_sizes(ax).bar
    texts = {str(name): signed_duration(int(change), axis) for name, change in busy_changes.items() if change}
    low, high = ax.get_xlim()
    points = ax.bbox.width / ax.figure.dpi * 72
    margin = max((text_width(text, size) for text in texts.values()), default=0.0) + size
    ax.set_xlim(low, high + (high - low) * margin / points)
    extents = agent_extents(placement)
    ax.add_artist(ChangeLabels(extents[extents["name"].isin(list(texts))], texts, theme, size=size))


class ChangeLabels(FittedTexts):
    """The change of each agent's busy time, at the right end of its bands; omitted if the bands are too low for a text."""

    def __init__(self, extents: pd.DataFrame, texts: dict[str, str], theme: ThemeColors, *, size: float) -> None:
        super().__init__(size=size, zorder=5)
        self.extents, self.labels, self.theme = extents, texts, theme

    def texts(self, renderer: Any) -> list[Text]:
        """The texts that fit in the current view."""
        box, (bottom, top) = self.axes.bbox, sorted(self.axes.get_ylim())
        em = renderer.points_to_pixels(self.size)
        shown = []
        for name, first, height in self.extents.itertuples(index=False):
            text = self.labels[name]
            y = self.axes.transData.transform((0, first + height / 2))[1]
            if height * box.height / (top - bottom) >= 1.2 * em:
                color = self.theme.error if text.startswith("+") else self.theme.accent
                style: dict[str, Any] = {"ha": "right", "va": "center", "fontweight": "bold", "color": color}
                shown.append(self.text_at(box.x0 + 0.998 * box.width, y, text, **style))
        return shown


def draw_end_lines(ax: Axes, axis: TimeAxis, wall_us: list[int], theme: ThemeColors) -> None:
    """Draw a line at the end of each trace."""
    for wall, dashes in zip(wall_us, ((0, (1, 1.5)), (0, (4, 2))), strict=True):
        position = axis.mapping.to_x(np.array([wall]))[0]
        ax.axvline(position, color=theme.muted, linewidth=1.0, linestyle=dashes, zorder=2.5, label="end")
