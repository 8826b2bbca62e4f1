"""The critical path on its timeline: the work that determined the end of the trace, in full colour over pale bars.

Drawing only: the steps come from `tokenvis.analysis.critical_path`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tokenvis.analysis.critical_path import critical_path
from tokenvis.errors import plural
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, draw_bars, label_bars
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale
from tokenvis.plot.artists.connectors import DensityLimited, rows_by_id
from tokenvis.plot.artists.figure import available_lanes_and_pixels, check_axes, draw_empty, height_inches, new_axes
from tokenvis.plot.artists.labels import bar_label_texts
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.names import draw_bands
from tokenvis.plot.artists.style import ThemeColors, apply_theme, blend_colors, font_sizes, themed
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.losses import losses_of, recorded_spans

OFF_PATH_COLOR_SHARE = 0.22  # of its colour, for a bar that is not on the path
MAX_LEGEND_PARTS = 5
MAX_CONNECTORS_PER_INCH = 15  # lines between steps, per inch of width


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
    """Draw the chain of work that determined the end of the trace, over its timeline in pale colours.

    Steps of the path have the colours of their agents; a line connects each step to the next, dashed if the next one had to
    wait. The legend lists the largest parts, with their share of the wall time.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    evidence
        What explains a start, as in `critical_path`.
    by
        The column whose values define the bands.
    palette
        Colours of the agents, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether the largest parts are listed.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x and y are as in `plot_timeline`; the steps are the rows of `critical_path`.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, a referenced id is in two rows, or there are several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

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
    spans = spans.copy(deep=False)  # later changes of the frame do not change the picture
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    losses, spans = losses_of(spans), recorded_spans(spans)
    path = critical_path(spans, evidence=evidence)
    with themed(ax) as theme:
        scale = color_scale(spans["agent_id"], palette, theme)
        max_lanes, width_px = available_lanes_and_pixels(ax)
        placement = place_spans(spans, by=by, max_lanes=max_lanes, width_px=width_px)
        steps = rows_by_id(spans, path["id"])
        largest = largest_parts(spans, path, steps, scale, axis, theme) if legend else []
        ax = new_axes(height_inches(placement.height, len(largest))) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, theme, *losses.sentences())
        apply_theme(ax)
        draw_bands(ax, placement, theme)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        pale_colors = [blend_colors(color, theme.background, OFF_PATH_COLOR_SHARE) for color in scale.colors]
        raster = draw_bars(ax, Bars(*times_of(spans), placement, scale.code, pale_colors, axis.mapping))
        connectors = draw_path(ax, path, steps, placement, scale, axis, spans, theme)
        draw_note(ax, lambda: [*losses.messages(), *(raster.messages() if raster else []), *connectors.messages()], theme)
        work_us, wait_us = int(path["part_us"].sum()), int(path["wait_us"].sum())
        details = f"{axis.duration(work_us)} of work, {axis.duration(wait_us)} of waiting on the critical path"
        draw_title(ax, axis.name, details, theme)
        draw_legend(ax, [*(legend_patch(*entry) for entry in largest), *(lost_handles(losses, theme) if legend else [])])
        count = plural(int((path["id"].notna()).sum()), "step")
        summary = f"{count}, {axis.duration(work_us)} of work and {axis.duration(wait_us)} of waiting"
        describe(ax, f"Critical path of {described_name(axis.name)}: {summary}.", *losses.sentences())
    return ax


def largest_parts(
    spans: pd.DataFrame, path: pd.DataFrame, steps: np.ndarray, scale: ColorScale, axis: TimeAxis, theme: ThemeColors
) -> list[tuple[str, str]]:
    """Colour and text of the largest parts (the parts of each span summed), and of all waiting together."""
    wall_us = int(path["part_us"].sum() + path["wait_us"].sum())
    parts = path["part_us"].groupby(steps).sum()
    parts = parts[(parts.index >= 0) & (parts > 0)]
    largest = parts.iloc[np.argsort(-parts.to_numpy(), kind="stable")[:MAX_LEGEND_PARTS]]
    rows = largest.index.to_numpy()
    labels = bar_label_texts(spans.iloc[rows], "agent_id", axis)["label"]
    entries = [
        (color, f"{share_text(part, wall_us)} {label}")
        for color, part, label in zip(scale.colors_of(rows), largest, labels, strict=True)
    ]
    wait_us = int(path["wait_us"].sum())
    return [*entries, (theme.grid, f"{share_text(wait_us, wall_us)} waiting")] if wait_us else entries


def share_text(part: int, whole: int) -> str:
    """A share as a percentage."""
    return f"{part / whole:.0%}" if part * 100 >= whole else "<1%"


def draw_path(
    ax: Axes,
    path: pd.DataFrame,
    steps: np.ndarray,
    placement: Placement,
    scale: ColorScale,
    axis: TimeAxis,
    spans: pd.DataFrame,
    theme: ThemeColors,
) -> "StepConnectors":
    """Draw the parts of spans on the path in full colour, with labels and a line from each part to the next."""
    known_steps = np.flatnonzero(steps >= 0)
    rows = steps[known_steps]
    start, end = (path[column].to_numpy()[known_steps] for column in ("start", "end"))
    bars = Bars(start, end, replace(placement, row=placement.row[rows]), scale.code[rows], scale.colors, axis.mapping)
    draw_bars(ax, bars, zorder=3.4)
    label_bars(
        ax, bars, lambda bar_rows: bar_label_texts(spans.iloc[rows[bar_rows]], "agent_id", axis), size=font_sizes(ax).bar
    )
    x0, x1 = bars.x_ends()
    y = bars.placement.middle
    begins, ends = np.column_stack([x1[:-1], y[:-1]]), np.column_stack([x0[1:], y[1:]])
    waited = path["wait_us"].to_numpy()[known_steps] > 0
    if len(known_steps) < len(path):  # the time before the first step is unexplained
        waited[:1] = True
        begins, ends = np.vstack([[axis.mapping.positions[0], y[0]], begins]), np.vstack([[x0[0], y[0]], ends])
    else:
        waited = waited[1:]
    connectors = StepConnectors(begins, ends, waited, theme)
    ax.add_collection(connectors, autolim=False)
    return connectors


class StepConnectors(DensityLimited, LineCollection):
    """A line from each step to the next, dashed if the next one waited; drawn only if there are few enough to follow."""

    max_per_inch = MAX_CONNECTORS_PER_INCH

    def __init__(self, begins: Any, ends: Any, waited: Any, theme: ThemeColors) -> None:
        dashes = [(0, (2.0, 1.5)) if wait else "-" for wait in waited.tolist()]
        style: dict[str, Any] = {"colors": theme.text, "linewidths": 0.9, "linestyles": dashes or "-", "alpha": 0.75}
        super().__init__(list(np.stack([begins, ends], axis=1)), zorder=3.3, label="follows", **style)
        self.low, self.high = begins[:, 0], ends[:, 0]

    def messages(self) -> list[str]:
        """The note on lines that are not drawn."""
        return ["lines between steps not drawn"] if self.too_many() else []
