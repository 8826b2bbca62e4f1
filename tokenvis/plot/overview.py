"""The overview: a page that tells what happened in a trace: key numbers, and parts below each other.

The parts over time are pictures on one time axis, and the fan-outs; the others are tables with bars. All have one left edge.
"""

from functools import partial
from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tokenvis.analysis.summary import summary
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette, color_scale, default_hue
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.figure import available_lanes_and_pixels, draw_empty, height_inches
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.names import shortened_names
from tokenvis.plot.artists.style import NORMAL_SIZES, ThemeColors, themed
from tokenvis.plot.artists.text import drawable, fit_text, text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import BOLD_WIDTH_FACTOR
from tokenvis.plot.concurrency import plot_concurrency
from tokenvis.plot.parts.agents import agents_part
from tokenvis.plot.parts.fanouts import fanouts_part
from tokenvis.plot.parts.key_numbers import key_lines
from tokenvis.plot.parts.locations import locations_part
from tokenvis.plot.parts.page import PAGE_LEFT, DrawnTrace, Line, PagePart, PageText, measures_by_place
from tokenvis.plot.timeline import plot_timeline
from tokenvis.spans.columns import require
from tokenvis.spans.groups import groups_of
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.states import States, states_of, wrappers_of

OVERVIEW_WIDTH_INCHES = 12.0
NAME_POINTS = 14.0
MAX_ID_POINTS, ID_TOP_POINTS = 220.0, 6.0  # of the id of a trace beside its name: its width, and the space above it
MAX_TIMELINE_INCHES, BAND_INCHES = 6.0, 0.25  # of all bands, unless they are too many for their names
CONCURRENCY_INCHES = 1.4
MARGINS_INCHES, PART_MARGINS_INCHES = 1.2, 0.36  # of the page: title, key numbers, time axis; of a part: its heading


def plot_overview(
    spans: pd.DataFrame,
    *,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
) -> Figure:
    """Draw a page that tells what happened in a trace: who worked, who waited, and where the time and the tokens went.

    The title is the name of the trace, with its id at the right. Below it are the key numbers of `summary` and `usage`, where
    active time is work, and the time in which nothing works because a person is waited for, with the locations of these waits.
    Then there are these parts, as far as the trace has them:

    - the timeline, as `plot_timeline` draws it;
    - how many spans run at once, by agent, as `plot_concurrency` draws it, if two ever do;
    - the verdicts of `fanouts`, and a row for the six fan-outs that could save the most time, of those that take at least 1% of
      the time axis: from the first start to the last end of the branches, pale what exceeds the longest branch; the verdict,
      the overlap, the speed-up reached and the largest possible, and the time to save;
    - a row for each agent, the most work first, those that only wait last: the times of `time_spent` as a bar, without idle
      time, and as numbers work, waits, tokens (input and output), cost and errors. A bar more than twice as long as the most
      work of an agent is cut, and ends in an arrow;
    - a row for each location: the work of each agent there (``busy_us`` of `summary`), and its spans, tokens, cost,
      and errors.

    More than twelve agents or locations end in a row "n others", with their sums. Columns that the source does not give are
    left out; a missing number is a dash.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    palette
        Colours of the agents, as in `plot_timeline`: by default of locations, if the trace has one agent only.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.

    Returns
    -------
    Figure
        An Axes for each part; ``get_gid()`` of each is its name: "timeline", "concurrency", "fan-outs", "agents", "locations".
        The first three share the x axis of `plot_timeline`. ``get_label()`` of each describes it in a sentence.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, contains the pieces of `self_spans`, an id is in two rows of a trace with parents, or
        there are several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": ["desk", "lab"],
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> [ax.get_gid() for ax in plot_overview(spans).axes]
    ['timeline', 'concurrency', 'agents', 'locations']
    """
    require(spans)
    recorded = recorded_spans(spans)
    states = states_of(recorded)
    options: dict[str, Any] = {"gaps": gaps, "time": time, "time_unit": time_unit, "tz": tz}
    axis = time_axis(spans, **options)
    with themed(None) as theme:
        if not len(recorded):
            figure = plt.figure(figsize=(OVERVIEW_WIDTH_INCHES, 2.0), layout="constrained")
            draw_empty(figure.subplots(), theme, spans)
            return figure
        wrappers = wrappers_of(recorded, states)
        hue = default_hue(recorded, palette)
        colors = colors_of_hue(recorded, hue, states, palette, theme)
        trace = DrawnTrace(recorded, states, measures_by_place(recorded), axis, theme, hue, colors, wrappers)
        [totals] = summary(spans).to_dict("records")
        lines = key_lines(totals, spans, trace, OVERVIEW_WIDTH_INCHES * 72 * (1 - 2 * PAGE_LEFT))
        parts = [
            timeline_part(spans, trace, {"palette": palette, **options}),
            *([concurrency_part(spans, {"by": hue, "palette": palette, **options})] if totals["peak"] > 1 else []),
            *fanouts_part(trace),
            agents_part(trace),
            *locations_part(trace),
        ]
        return draw_page(parts, lines, axis, str(recorded["trace_id"].iloc[0]), theme)


def colors_of_hue(spans: pd.DataFrame, hue: str, states: States, palette: Palette, theme: ThemeColors) -> dict[str, str]:
    """The colour of each agent, or location, in the timeline."""
    first = groups_of(spans, hue).first
    busiest = busiest_names(spans, spans[hue], MAX_COLORED_NAMES, states=states)
    scale = color_scale(spans[hue], palette, theme, busiest=busiest)
    return dict(zip(spans[hue].iloc[first].astype(str), scale.colors_of(first), strict=True))


def timeline_part(spans: pd.DataFrame, trace: DrawnTrace, options: dict[str, Any]) -> PagePart:
    """The part with the timeline, as high as the bars or the legend need."""
    max_lanes, width_px = available_lanes_and_pixels(None)
    placement = place_spans(trace.spans, max_lanes=max_lanes, width_px=width_px)
    looks = states_that_occur(trace.states)
    n_handles = (min(len(trace.colors), 13) if trace.hue == "agent_id" else 0) + (len(looks) if looks != ["work"] else 0)
    inches = min(height_inches(placement.height, n_handles), max(MAX_TIMELINE_INCHES, BAND_INCHES * len(placement.bands)))
    draw = partial(plot_timeline, spans, **options)
    return PagePart("timeline", "Timeline", "a band for each location", inches, lambda ax: draw(ax=ax), is_over_time=True)


def concurrency_part(spans: pd.DataFrame, options: dict[str, Any]) -> PagePart:
    """The part with the spans that run at once."""
    draw = partial(plot_concurrency, spans, legend=False, **options)
    return PagePart("concurrency", "Concurrency", "", CONCURRENCY_INCHES, lambda ax: draw(ax=ax), is_over_time=True)


def draw_page(parts: list[PagePart], lines: list[Line], axis: TimeAxis, trace_id: str, theme: ThemeColors) -> Figure:
    """Draw the title, the key numbers, and the parts below each other."""
    heights = [part.inches for part in parts]
    inches = sum(heights) + MARGINS_INCHES + PART_MARGINS_INCHES * len(parts)
    figure = plt.figure(figsize=(OVERVIEW_WIDTH_INCHES, inches), layout="constrained")
    all_axes = figure.subplots(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, ax in zip(parts, all_axes, strict=True):
        draw_part(ax, part, lines if part is parts[0] else [], theme)
        if part.is_over_time and ax is not all_axes[0]:
            ax.sharex(all_axes[0])
            ax.tick_params(axis="x", labelbottom=False)
            ax.set_xlabel("")
    draw_page_title(figure, axis.name, trace_id, theme)
    return figure


def draw_page_title(figure: Figure, name: str, trace_id: str, theme: ThemeColors) -> None:
    """Draw the name of the trace, and its id at the right, small, if that is another text."""
    id_text = "" if trace_id == name else shortened_names([trace_id], MAX_ID_POINTS, NORMAL_SIZES.text)[0]
    points = OVERVIEW_WIDTH_INCHES * 72 * 0.95 - text_width(id_text, NORMAL_SIZES.text)
    name = fit_text(drawable(name), points, lambda text: text_width(text, NAME_POINTS) * BOLD_WIDTH_FACTOR)
    style: dict[str, Any] = {"fontsize": NAME_POINTS, "fontweight": "bold", "color": theme.text, "parse_math": False}
    figure.suptitle(name, x=PAGE_LEFT, ha="left", fontfamily=families_of(name), **style)
    style = {"fontsize": NORMAL_SIZES.text, "color": theme.muted, "parse_math": False, "fontfamily": families_of(id_text)}
    top = 1 - ID_TOP_POINTS / 72 / figure.get_figheight()
    figure.text(1 - PAGE_LEFT, top, id_text, ha="right", va="top", **style)


def draw_part(ax: Axes, part: PagePart, lines: list[Line], theme: ThemeColors) -> None:
    """Draw a part, with its heading, and further lines above it, in place of the titles of a picture."""
    part.draw(ax)
    details = part.details or ax.get_title(loc="right")
    for side in ("left", "right"):
        ax.set_title("", loc=side)
    ax.add_artist(PageText(lines, Line(part.heading, details), theme))
    ax.set_gid(part.name)
