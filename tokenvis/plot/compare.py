"""Compare: two runs on one time axis, agent by agent; or many runs as dots, a row for each agent or other value.

Drawing only: the differences come from `tokenvis.runs.compare`.
"""

from collections.abc import Iterable
from typing import Literal, get_args

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import check_choice, plural
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.plot.artists.figure import check_axes
from tokenvis.plot.comparisons.dots import draw_dots
from tokenvis.plot.comparisons.pair import draw_pair
from tokenvis.plot.comparisons.run_notes import role_notes, unknown_notes
from tokenvis.runs.compare import compare_runs
from tokenvis.runs.distributions import distributions_of
from tokenvis.runs.matching import Match
from tokenvis.runs.measures import MEASURES
from tokenvis.spans.losses import losses_of, no_spans_sentence
from tokenvis.tree.prices import Prices


def plot_compare(
    *runs: pd.DataFrame,
    by: str | Iterable[str] | None = None,
    baseline: str | None = None,
    measure: str | None = None,
    match: Match = "agent_id",
    prices: Prices | None = None,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time_unit: Literal["auto", "step"] = "auto",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw what changed between two runs, on one time axis; or among many runs, as dots.

    Two runs are drawn on one axis of elapsed time: for each agent two bands, before and after; colours are locations. Beside
    each agent is the change of its busy time (its work, not its waits, which are paler as in `plot_timeline`), in the legend
    that of each location, the largest first; more time is red. A line in each band marks the end of its trace.

    Of many runs, a row is an agent, or another value, and a dot a run: at its busy time, or another measure. A diamond is the
    baseline, and a line the median of the other runs; beside the name of the row is the change from one to the other, the
    largest first. Against the median there is no such change: the rows with the most distant runs come first. Dots with a dark
    border are outlying runs: further from the median of all runs, the baseline among them, than three spreads (see `plot_runs`)
    and 5% of it; they have names where there is room. An empty dot is a run in which the value does not occur.

    A note counts the agents that were matched by what they do, and their runs.

    Parameters
    ----------
    runs
        Two frames of spans, of one trace each. Or one frame with any number of traces, or several frames: each trace is a run.
    by, baseline, prices
        As in `compare`, for many runs. With one of these or ``measure``, two frames are drawn as many runs are.
    measure
        For many runs: a measure of `compare`, "busy_us" by default.
    match
        How to match agents of different runs, as in `compare`.
    palette
        Colours as in `plot_timeline`: of locations, or of the values of many runs.
    gaps
        For two runs: the time axis, as in `plot_timeline`; a gap is folded if nothing runs in either trace. It changes nothing
        for many runs, whose axis is a measure.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether a legend is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands or rows.

    Returns
    -------
    Axes
        For two runs, x is µs since the start of each trace, without folded time; agents are ordered by the size of their
        change. For many runs, x is the measure, and y counts rows from the top: the first is from 0 to 1. Dots that would cover
        each other are moved across the row. Of more than 40 rows, or more than fit, the first are drawn: those with the largest
        changes, against the median with the most distant runs, of one run with the largest amounts.

    Raises
    ------
    MissingColumn, BadSpan
        As `compare`.
    BadOption
        As `compare`, or another argument is invalid.

    Examples
    --------
    >>> import pandas as pd
    >>> before = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "monday", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> after = before.assign(trace_id="tuesday", end_time=[5_000_000, 12_000_000])
    >>> plot_compare(before, after).get_label()
    'Timelines of monday and tuesday, agent by agent: 9 s before, 12 s after; the largest change is Bob, +3 s busy.'
    >>> plot_compare(before, after, after.assign(trace_id="wednesday")).get_label()
    'Busy time by agent in 3 runs, against monday: the median changed most for Bob, +3 s; outlying: monday (Bob).'
    """
    check_axes(ax)
    check_choice("gaps", gaps, get_args(GapMode))
    if len(runs) == 2 and by is None and baseline is None and measure is None and prices is None:
        return draw_pair(*runs, match=match, palette=palette, gaps=gaps, time_unit=time_unit, legend=legend, ax=ax)
    measure = "busy_us" if measure is None else measure
    check_choice("measure", measure, MEASURES)
    found = compare_runs(runs, by=by, baseline=baseline, match=match, prices=prices)
    table, columns = found.table, found.columns
    return draw_dots(
        distributions_of(table, columns, measure, found.spans, found.baseline),
        measure=measure,
        columns=columns,
        palette=palette,
        time_unit=time_unit,
        notes=[*loss_texts(runs), *unknown_notes(table, measure), *(role_notes(table) if "agent_id" in columns else [])],
        empty=" ".join(dict.fromkeys(map(no_spans_sentence, runs))),
        legend=legend,
        ax=ax,
    )


def loss_texts(runs: Iterable[pd.DataFrame]) -> list[str]:
    """The note on spans that were lost."""
    n_lost = sum(losses_of(frame).total for frame in runs)
    return [f"{plural(n_lost, 'span')} lost while recording"] if n_lost else []
