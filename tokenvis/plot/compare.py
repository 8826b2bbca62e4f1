"""Two traces on one elapsed axis: for each agent, what it did before, below that what it does after, and the difference.

Ink only: the differences are those of `tokenvis.analysis.compare`.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.compare import compare
from tokenvis.errors import plural
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, draw_bars, label_bars
from tokenvis.plot.artists.color_scales import Palette, hues_of
from tokenvis.plot.artists.figure import check_axes, draw_empty, height_of, new_axes, room_on
from tokenvis.plot.artists.labels import labels_of
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import Look, dress, sizes_of, themed
from tokenvis.plot.artists.text import NOTHING, width_of
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, named, trace_name
from tokenvis.spans.columns import codes_of, names, times_of
from tokenvis.spans.losses import Losses, losses_of, work_of

SIDES = ("before", "after")
ORDER = "of each agent: before above, after below"


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
    """Draw two traces on one axis of elapsed time: for each agent two bands, before and after, colours are locations.

    Beside each agent stands how much its busy time changed, and a line marks where each trace ends.

    Parameters
    ----------
    before, after
        Two frames of spans, of one trace each.
    match
        What makes agents of the two traces the same, as in `compare`: a column, or a function of an agent's name.
    palette
        Colours of the locations, as in `plot_timeline`.
    gaps, time_unit
        The time axis, as in `plot_timeline`; a gap is folded where nothing runs in either trace.
    legend
        Whether a legend of the locations is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x is µs since the start of each trace, less what is folded. The agents stand in the order of their largest change.

    Raises
    ------
    MissingColumn, BadSpan
        Where one is not a frame of spans, lacks the column ``match``, or has spans of several traces.
    BadOption
        Where ``match`` is neither a name nor a function, or another argument does not fit.

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
    lost = losses_told(losses_of(before), losses_of(after))
    before, after = work_of(before), work_of(after)
    role = match if isinstance(match, str) else "role"
    both = joined(before, after, match, role)
    axis = time_axis(both, gaps=gaps, time_unit=time_unit)
    changes = table["busy_change_us"].groupby(table[role].astype(object).map(str, na_action="ignore").fillna(NOTHING)).sum()
    order = changes.index[np.argsort(-changes.abs().to_numpy(), kind="stable")].tolist()
    present = set(both["band"].cat.categories)
    bands = [band for name in order for side in SIDES if (band := band_of(name, side)) in present]
    with themed(ax) as look:
        hues = hues_of(both["location_id"], palette, look)
        max_lanes, width_px = room_on(ax)
        placement = place_spans(both, by="band", order=bands, max_lanes=max_lanes, width_px=width_px)
        handles = [patch(color, name) for color, name in hues.legend] if legend else []
        ax = new_axes(height_of(placement.height, len(handles))) if ax is None else ax
        if not len(both):
            return draw_empty(ax, look, " ".join(["Both traces are empty.", *(f"{text.capitalize()}." for text in lost)]))
        dress(ax)
        draw_pairs(ax, placement, look)
        axis.draw(ax, look)
        bars = Bars(*times_of(both), placement, hues.code, hues.colors, axis.mapping)
        raster = draw_bars(ax, bars)
        label_bars(ax, bars, lambda rows: labels_of(both.iloc[rows], "location_id", axis), size=sizes_of(ax).bar)
        draw_note(ax, lambda: [ORDER, *lost, *(raster.says() if raster else [])], look)
        walls = [int(times_of(side)[1].max()) - int(times_of(side)[0].min()) if len(side) else 0 for side in (before, after)]
        draw_changes(ax, placement, changes, axis, look)
        draw_ends(ax, axis, walls, look)
        figures = " · ".join(f"{side} {axis.duration(wall)}" for side, wall in zip(SIDES, walls, strict=True))
        pair = [trace_name(side) if len(side) else "nothing" for side in (before, after)]
        draw_title(ax, " and ".join(pair), figures, look)
        draw_legend(ax, handles)
        largest = f"{named(order[0])}, {signed(int(changes[order[0]]), axis)} busy"
        ends = ", ".join(f"{axis.duration(wall)} {side}" for side, wall in zip(SIDES, walls, strict=True))
        pairs = " and ".join(named(name) for name in pair)
        told = f"Timelines of {pairs}, agent by agent: {ends}; the largest change is {largest}."
        describe(ax, told, *(f"{text.capitalize()}." for text in lost))
    return ax


def losses_told(*sides: Losses) -> list[str]:
    """How many spans were lost on each side, where any were."""
    told = [f"{plural(lost.total, 'span')} {side}" for side, lost in zip(SIDES, sides, strict=True) if lost.total]
    return [f"lost while recording: {', '.join(told)}"] if told else []


def band_of(name: str, side: str) -> str:
    """The band of an agent on one side."""
    return f"{name}\n{side}"


def joined(before: pd.DataFrame, after: pd.DataFrame, match: str | Callable[[str], str], role: str) -> pd.DataFrame:
    """The spans of both, each from 0 on, with ``band``: the agent (or role), and the side."""
    sides = []
    for side, spans in zip(SIDES, (before, after), strict=True):
        start, end = times_of(spans)
        origin = start.min() if len(start) else 0
        codes, labels = codes_of(spans["agent_id" if callable(match) else role])
        roles = [match(str(label)) if callable(match) else label for label in labels]
        band = np.array([*(band_of(str(name), side) for name in roles), band_of(NOTHING, side)], dtype=object)[codes]
        elapsed = {"start_time": start - origin, "end_time": end - origin}
        columns = spans[["id", "agent_id", "location_id", *([] if "data" not in spans else ["data"])]].astype(
            {"location_id": "str"}
        )
        sides.append(columns.assign(trace_id="both", band=band, **elapsed))
    both = pd.concat(sides, ignore_index=True)
    return both.assign(location_id=names(both["location_id"]), band=names(both["band"]))


def signed(change: int, axis: TimeAxis) -> str:
    """A change with its sign."""
    return f"{'−' if change < 0 else '+'}{axis.duration(abs(change))}"


def draw_pairs(ax: Axes, placement: Placement, look: Look) -> None:
    """The bands of an agent, shaded together, with its name."""
    pairs = pairs_of(placement)
    for top, height in pairs[["top", "height"]].iloc[::2].itertuples(index=False):
        ax.axhspan(top - 0.2, top + height + 0.2, color=look.shade, linewidth=0, zorder=0)
    draw_names(ax.yaxis, pairs["top"] + pairs["height"] / 2, pairs.index.tolist())
    ax.set_ylim(placement.height + 0.2, -0.2)


def pairs_of(placement: Placement) -> pd.DataFrame:
    """``top`` and ``height`` of the bands of each agent."""
    bands = placement.bands
    agent = pd.Index([str(band).rsplit("\n", 1)[0] for band in bands["band"]])
    ends = bands.assign(bottom=bands["top"] + bands["height"]).groupby(agent, sort=False)
    top = ends["top"].min()
    return pd.DataFrame({"top": top, "height": ends["bottom"].max() - top})


def draw_changes(ax: Axes, placement: Placement, changes: pd.Series, axis: TimeAxis, look: Look) -> None:
    """How much busier each agent is, at the right end of its bands, where there is room."""
    size = sizes_of(ax).bar
    lane = ax.bbox.height / ax.figure.dpi * 72 / placement.height
    texts = {str(name): signed(int(change), axis) for name, change in changes.items() if change}
    low, high = ax.get_xlim()
    points = ax.bbox.width / ax.figure.dpi * 72
    wide = max((width_of(text, size) for text in texts.values()), default=0.0) + size
    ax.set_xlim(low, high + (high - low) * wide / points)
    for name, top, height in pairs_of(placement).itertuples():
        if name in texts and height * lane >= 1.2 * size:
            color = look.error if texts[name].startswith("+") else look.accent
            style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": size, "fontweight": "bold", "color": color}
            ax.text(0.998, top + height / 2, texts[name], transform=ax.get_yaxis_transform(), zorder=5, **style)


def draw_ends(ax: Axes, axis: TimeAxis, walls: list[int], look: Look) -> None:
    """A line where each trace ends."""
    for wall, line in zip(walls, ((0, (1, 1.5)), (0, (4, 2))), strict=True):
        place = axis.mapping.to_x(np.array([wall]))[0]
        ax.axvline(place, color=look.quiet, linewidth=1.0, linestyle=line, zorder=2.5, label="end")
