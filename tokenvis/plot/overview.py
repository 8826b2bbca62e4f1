"""The overview: the first page of a trace: its figures, its timeline, how parallel it was, and who was where.

It puts the other pictures together, on one time axis.
"""

from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from tokenvis.analysis.summary import summary
from tokenvis.analysis.usage import usage
from tokenvis.errors import plural
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.plot.artists.figure import draw_empty, height_of, room_on
from tokenvis.plot.artists.style import NORMAL, themed
from tokenvis.plot.artists.text import drawable, fitted, width_of
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import large
from tokenvis.plot.concurrency import plot_concurrency
from tokenvis.plot.occupancy import plot_occupancy
from tokenvis.plot.timeline import plot_timeline
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of, work_of

WIDTH_INCHES = 12.0
NAME_SIZE = 14.0  # points
CONCURRENCY_INCHES = 1.5
ROW_INCHES = 0.34  # of the occupancy matrix
MARGINS_INCHES = 2.6  # titles, time axis and names between the pictures


def plot_overview(
    spans: pd.DataFrame,
    *,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
) -> Figure:
    """Draw the first page of a trace: a line of figures, the timeline, the spans running at once by agent, and the occupancy.

    Timeline and concurrency share one time axis, and all that shows agents their colours.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    palette
        Colours of the agents, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.

    Returns
    -------
    Figure
        With three Axes: those of `plot_timeline`, `plot_concurrency` and `plot_occupancy`.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or holds several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> [ax.get_title(loc="right") for ax in plot_overview(spans).axes][1:]
    ['spans running at once, by agent', 'time of each agent at each location']
    """
    require(spans)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    max_lanes, width_px = room_on(None)
    work = work_of(spans)
    bands = height_of(place_spans(work, max_lanes=max_lanes, width_px=width_px).height, min(work["agent_id"].nunique(), 13))
    matrix = min(max(ROW_INCHES * work["agent_id"].nunique(), 0.8), 6.0)
    heights = [bands, CONCURRENCY_INCHES, matrix]
    with themed(None) as look:
        figure = plt.figure(figsize=(WIDTH_INCHES, sum(heights) + MARGINS_INCHES), layout="constrained")
        upper, middle, lower = figure.subplots(3, 1, height_ratios=heights)
        if not len(work):
            for ax in (upper, middle, lower):
                draw_empty(ax, look, *losses_of(spans).sentences())
            return figure
        options: dict[str, Any] = {"palette": palette, "gaps": gaps, "time": time, "time_unit": time_unit, "tz": tz}
        plot_timeline(spans, ax=upper, **options)
        plot_concurrency(spans, by="agent_id", legend=False, ax=middle, **options)
        plot_occupancy(spans, time_unit=time_unit, ax=lower)
        middle.sharex(upper)
        for ax in (middle, lower):
            ax.set_title("", loc="left")
        upper.set_title("", loc="right")
        figures: dict[str, Any] = {"fontsize": NORMAL.text, "fontweight": "normal", "color": look.quiet}
        upper.set_title(figures_of(spans, axis), loc="left", **figures)
        name = fitted(drawable(axis.name), WIDTH_INCHES * 60, lambda text: width_of(text, NAME_SIZE) * 1.15)
        heading: dict[str, Any] = {"fontsize": NAME_SIZE, "fontweight": "bold", "color": look.ink, "parse_math": False}
        figure.suptitle(name, x=0.006, ha="left", **heading)
    return figure


def figures_of(spans: pd.DataFrame, axis: TimeAxis) -> str:
    """The line of figures."""
    [size] = summary(spans).to_dict("records")
    figures = [plural(size[f"n_{name}s"], name) for name in ("span", "agent", "location")]
    figures += [f"{axis.duration(size['wall_us'])} wall", f"{axis.duration(size['active_us'])} active"]
    if pd.notna(size["share_parallel"]):
        figures.append(f"{size['share_parallel']:.0%} of that parallel")
    figures.append(f"peak {size['peak']:,}")
    if size["n_errors"]:
        figures.append(plural(size["n_errors"], "error"))
    if size["n_lost"]:
        figures.append(f"{plural(size['n_lost'], 'span')} lost")
    tokens = usage(spans, by="trace_id")[["input_tokens", "output_tokens"]].sum(min_count=1)
    if tokens.notna().any():
        figures.append(f"{large(int(tokens.fillna(0).sum()))} tokens")
    return " · ".join(figures)
