"""The critical path on its timeline: the work that decided how long it took, in full colour, over all the rest, paled.

Ink only: the steps are those of `tokenvis.analysis.critical_path`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb

from tokenvis.analysis.critical_path import critical_path
from tokenvis.errors import plural
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, draw_bars, label_bars
from tokenvis.plot.artists.color_scales import Hues, Palette, hues_of
from tokenvis.plot.artists.connectors import Followable, rows_named
from tokenvis.plot.artists.figure import check_axes, draw_empty, height_of, new_axes, room_on
from tokenvis.plot.artists.labels import labels_of
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.losses import draw_losses, lost_patch
from tokenvis.plot.artists.names import draw_bands
from tokenvis.plot.artists.style import Look, dress, sizes_of, themed
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, named
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.losses import losses_of, work_of

PALE = 0.22  # how much of its colour a bar beside the path keeps
MOST_PARTS = 5  # named in the legend
MOST_JOINTS = 15  # lines between steps, for each inch of width


def plot_critical_path(
    spans: pd.DataFrame,
    *,
    evidence: str | Iterable[str] = ("link", "parent"),
    by: str = "location_id",
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the chain of work that decided when the trace ended, over its timeline, which is paled.

    Steps of the path have the colours of their agents; a line joins each to the next, dashed where the next had to wait. The
    legend names the largest parts, with their share of the wall time.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    evidence
        What explains a start, as in `critical_path`.
    by
        The column whose values make the bands.
    palette
        Colours of the agents, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether the largest parts are named.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x and y are those of `plot_timeline`; the steps are the rows of `critical_path`.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, an id that is asked for stands in two rows, or there are several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"], "location_id": "desk",
    ...     "start_time": [0, 3_000_000, 12_000_000], "end_time": [10_000_000, 9_000_000, 20_000_000],
    ...     "data": [None, None, '{"links": ["plan"]}'],
    ... })
    >>> plot_critical_path(spans).get_label()
    'Critical path of t: 2 steps, 18 s of work and 2 s of waiting.'
    """
    require(spans, by)
    check_axes(ax)
    spans = spans.copy(deep=False)  # what is done to the frame afterwards does not change the picture
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    lost, spans = losses_of(spans), work_of(spans)
    path = critical_path(spans, evidence=evidence)
    with themed(ax) as look:
        hues = hues_of(spans["agent_id"], palette, look)
        max_lanes, width_px = room_on(ax)
        placement = place_spans(spans, by=by, max_lanes=max_lanes, width_px=width_px)
        steps = rows_named(spans, path["id"])
        parts = parts_of(spans, path, steps, hues, axis, look) if legend else []
        ax = new_axes(height_of(placement.height, len(parts))) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, look, *lost.sentences())
        dress(ax)
        draw_bands(ax, placement, look)
        axis.draw(ax, look)
        draw_losses(ax, lost, axis, look)
        pale = [blend(color, look) for color in hues.colors]
        raster = draw_bars(ax, Bars(*times_of(spans), placement, hues.code, pale, axis.mapping))
        joints = draw_path(ax, path, steps, placement, hues, axis, spans, look)
        draw_note(ax, lambda: [*lost.says(), *(raster.says() if raster else []), *joints.says()], look)
        work, waits = int(path["part_us"].sum()), int(path["wait_us"].sum())
        figures = f"{axis.duration(work)} of work, {axis.duration(waits)} of waiting on the critical path"
        draw_title(ax, axis.name, figures, look)
        draw_legend(ax, [*(patch(*entry) for entry in parts), *(lost_patch(lost, look) if legend else [])])
        count = plural(int((path["id"].notna()).sum()), "step")
        told = f"{count}, {axis.duration(work)} of work and {axis.duration(waits)} of waiting"
        describe(ax, f"Critical path of {named(axis.name)}: {told}.", *lost.sentences())
    return ax


def parts_of(
    spans: pd.DataFrame, path: pd.DataFrame, steps: np.ndarray, hues: Hues, axis: TimeAxis, look: Look
) -> list[tuple[str, str]]:
    """Colour and text of the largest parts, the parts of a span added up, and of all waiting together."""
    wall = int(path["part_us"].sum() + path["wait_us"].sum())
    parts = path["part_us"].groupby(steps).sum()
    parts = parts[(parts.index >= 0) & (parts > 0)]
    largest = parts.iloc[np.argsort(-parts.to_numpy(), kind="stable")[:MOST_PARTS]]
    rows = largest.index.to_numpy()
    labels = labels_of(spans.iloc[rows], "agent_id", axis)["label"]
    parts_told = [
        (color, f"{share_text(part, wall)} {label}") for color, part, label in zip(hues.of(rows), largest, labels, strict=True)
    ]
    waits = int(path["wait_us"].sum())
    return [*parts_told, (look.rule, f"{share_text(waits, wall)} waiting")] if waits else parts_told


def share_text(part: int, whole: int) -> str:
    """A share as a percentage."""
    return f"{part / whole:.0%}" if part * 100 >= whole else "<1%"


def blend(color: str, look: Look) -> str:
    """A colour, paled to that of the paper."""
    red, green, blue = PALE * np.array(to_rgb(color)) + (1 - PALE) * np.array(to_rgb(look.paper))
    return to_hex((red, green, blue))


def draw_path(
    ax: Axes,
    path: pd.DataFrame,
    steps: np.ndarray,
    placement: Placement,
    hues: Hues,
    axis: TimeAxis,
    spans: pd.DataFrame,
    look: Look,
) -> "Joints":
    """The parts of spans on the path, in full colour and with labels, and a line from each to the next."""
    known = np.flatnonzero(steps >= 0)
    rows = steps[known]
    start, end = (path[column].to_numpy()[known] for column in ("start", "end"))
    parts = Bars(start, end, replace(placement, row=placement.row[rows]), hues.code[rows], hues.colors, axis.mapping)
    draw_bars(ax, parts, zorder=3.4)
    label_bars(ax, parts, lambda some: labels_of(spans.iloc[rows[some]], "agent_id", axis), size=sizes_of(ax).bar)
    x0, x1 = parts.ends()
    y = parts.placement.middle
    froms, tos = np.column_stack([x1[:-1], y[:-1]]), np.column_stack([x0[1:], y[1:]])
    waited = path["wait_us"].to_numpy()[known] > 0
    if len(known) < len(path):  # what came before the first step is unexplained
        waited[:1] = True
        froms, tos = np.vstack([[axis.mapping.positions[0], y[0]], froms]), np.vstack([[x0[0], y[0]], tos])
    else:
        waited = waited[1:]
    joints = Joints(froms, tos, waited, look)
    ax.add_collection(joints, autolim=False)
    return joints


class Joints(Followable, LineCollection):
    """A line from each step to the next, dashed where it waited; drawn where those in view are no more than can be followed."""

    most = MOST_JOINTS

    def __init__(self, froms: Any, tos: Any, waited: Any, look: Look) -> None:
        dashes = [(0, (2.0, 1.5)) if wait else "-" for wait in waited.tolist()]
        style: dict[str, Any] = {"colors": look.ink, "linewidths": 0.9, "linestyles": dashes or "-", "alpha": 0.75}
        super().__init__(list(np.stack([froms, tos], axis=1)), zorder=3.3, label="follows", **style)
        self.low, self.high = froms[:, 0], tos[:, 0]

    def says(self) -> list[str]:
        """What is left out."""
        return ["lines between the steps not drawn"] if self.too_many() else []
