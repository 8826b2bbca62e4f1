"""The overview: a summary of a trace: key numbers, timeline, concurrency, and occupancy.

It combines the other pictures, on one time axis.
"""

from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tokenvis.analysis.summary import summary
from tokenvis.analysis.usage import usage
from tokenvis.errors import plural
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.segments import states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.plot.artists.figure import available_lanes_and_pixels, draw_empty, height_inches
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.names import MAX_NAME_SHARE
from tokenvis.plot.artists.style import NORMAL_SIZES, themed
from tokenvis.plot.artists.text import drawable, fit_text, text_width
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import cost_text, short_number
from tokenvis.plot.concurrency import plot_concurrency
from tokenvis.plot.occupancy import plot_occupancy
from tokenvis.plot.timeline import plot_timeline
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.states import states_of

OVERVIEW_WIDTH_INCHES = 12.0
NAME_POINTS = 14.0
CONCURRENCY_INCHES = 1.5
ROW_INCHES = 0.34  # height of a row of the occupancy matrix
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
    """Draw a summary of a trace: key numbers, the timeline, the spans running at once by agent, and the occupancy.

    Timeline and concurrency share the time axis and the colours of agents, and show waits apart from work. The key numbers are
    those of `summary`: active time is work.

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
        ``spans`` is not a frame of spans, or has several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

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
    max_lanes, width_px = available_lanes_and_pixels(None)
    recorded = recorded_spans(spans)
    looks = states_that_occur(states_of(recorded))
    n_handles = min(recorded["agent_id"].nunique(), 13) + (len(looks) if looks != ["work"] else 0)
    bands_inches = height_inches(place_spans(recorded, max_lanes=max_lanes, width_px=width_px).height, n_handles)
    matrix_inches = min(max(ROW_INCHES * recorded["agent_id"].nunique(), 0.8), 6.0)
    heights = [bands_inches, CONCURRENCY_INCHES, matrix_inches]
    with themed(None) as theme:
        figure = plt.figure(figsize=(OVERVIEW_WIDTH_INCHES, sum(heights) + MARGINS_INCHES), layout="constrained")
        upper, middle, lower = figure.subplots(3, 1, height_ratios=heights)
        if not len(recorded):
            for ax in (upper, middle, lower):
                draw_empty(ax, theme, *losses_of(spans).sentences())
            return figure
        options: dict[str, Any] = {"palette": palette, "gaps": gaps, "time": time, "time_unit": time_unit, "tz": tz}
        plot_timeline(spans, ax=upper, **options)
        plot_concurrency(spans, by="agent_id", legend=False, ax=middle, **options)
        plot_occupancy(spans, time_unit=time_unit, ax=lower)
        middle.sharex(upper)
        for ax in (middle, lower):
            ax.set_title("", loc="left")
        upper.set_title("", loc="right")
        style: dict[str, Any] = {"fontsize": NORMAL_SIZES.text, "fontweight": "normal", "color": theme.muted}
        upper.set_title(
            wrapped(summary_parts(spans, axis), OVERVIEW_WIDTH_INCHES * 72 * (1 - MAX_NAME_SHARE)), loc="left", **style
        )
        name = fit_text(drawable(axis.name), OVERVIEW_WIDTH_INCHES * 60, lambda text: text_width(text, NAME_POINTS) * 1.15)
        title_style: dict[str, Any] = {"fontsize": NAME_POINTS, "fontweight": "bold", "color": theme.text, "parse_math": False}
        figure.suptitle(name, x=0.006, ha="left", fontfamily=families_of(name), **title_style)
    return figure


def wrapped(parts: list[str], points: float) -> str:
    """The parts on one line of this width, or on two of about the same length."""
    line = " · ".join(parts)
    if text_width(line, NORMAL_SIZES.text) <= points:
        return line
    lengths = np.cumsum([len(part) for part in parts])
    n_first = int(np.abs(2 * lengths - lengths[-1]).argmin()) + 1
    return " · ".join(parts[:n_first]) + "\n" + " · ".join(parts[n_first:])


def summary_parts(spans: pd.DataFrame, axis: TimeAxis) -> list[str]:
    """The key numbers of a trace, as texts."""
    [totals] = summary(spans).to_dict("records")
    parts = [plural(totals[f"n_{name}s"], name) for name in ("span", "agent", "location")]
    parallel = totals["share_parallel"]
    at_once = "" if pd.isna(parallel) else f", two or more at once for {parallel:.0%} of it"
    parts += [f"{axis.duration(totals['wall_us'])} wall", f"{axis.duration(totals['active_us'])} active{at_once}"]
    if totals["person_us"]:
        parts.append(f"waits for a person for {axis.duration(totals['person_us'])}")
        if totals["idle_us"]:
            parts.append(f"idle for {axis.duration(totals['idle_us'])}")
    parts.append(f"peak {totals['peak']:,}")
    if totals["n_errors"]:
        parts.append(plural(totals["n_errors"], "error"))
    if totals["n_lost"]:
        parts.append(f"{plural(totals['n_lost'], 'span')} lost")
    return parts + usage_parts(spans)


def usage_parts(spans: pd.DataFrame) -> list[str]:
    """The tokens of a trace and its cost as texts, if the source gives them."""
    [used] = usage(spans, by="trace_id").to_dict("records")
    tokens = [used[name] for name in ("input_tokens", "output_tokens") if not pd.isna(used[name])]
    without = f", {plural(used['n_silent'], 'call')} without a count" if used["n_silent"] else ""
    invalid = f", {plural(used['n_invalid'], 'invalid count')} left out" if used["n_invalid"] else ""
    parts = [f"{short_number(sum(tokens))} tokens{without}{invalid}"] if tokens else []
    unpriced = f", {plural(used['n_unpriced'], 'call')} without a cost" if used["n_unpriced"] else ""
    return parts if pd.isna(used["cost"]) else [*parts, f"cost {cost_text(used['cost'])}{unpriced}"]
