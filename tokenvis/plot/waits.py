"""The waiting matrix: how long each agent waited for each other agent, and for people.

Drawing only: the table is `tokenvis.analysis.waits`.
"""

from collections.abc import Collection
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.waits import waits
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import draw_matrix, matrix_axes, matrix_cells
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.title import describe, described_name, draw_title, trace_title
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.relations import NO_ROW, relations_of


def plot_waits(
    spans: pd.DataFrame, *, time_unit: Literal["auto", "step"] = "auto", legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw who waited for whom: a row for each agent that waited, a column for each agent and person that it waited for.

    A cell shows the time, also as colour, and below it the number of waits. Waiting is not work: see `waits`.

    Parameters
    ----------
    spans
        A frame of spans; the waits of several traces are summed.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether the colours have a legend if the cells are too small for their times.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high; its time is the sum of ``wait_us`` of `waits`, and its number that of the rows with such a
        time. So a row adds up to the time that the spans of an agent wait. People are the last columns, each with the word
        "person"; agents that only wait are the last rows. Of more than 60 names, those with the least time are merged into one
        row or column. If there is no wait, a sentence says so, or that none can be known without parents.

    Raises
    ------
    MissingColumn, BadSpan
        As `waits`.
    BadOption
        ``time_unit`` is invalid, or ``ax`` is not an Axes.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "ask"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Ann"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000, 7_000_000], "end_time": [6_000_000, 5_000_000, 9_000_000],
    ...     "parent_id": [None, "plan", None], "waits_for": [None, None, "user"],
    ... })
    >>> plot_waits(spans).get_label()
    '5 s of waiting in t, by 1 agent; the most is Ann for Bob, 3 s in 1 wait.'
    """
    table = waits(spans)
    check_axes(ax)
    duration = duration_formatter(time_unit)
    table = table[table["wait_us"] > 0]
    pairs, people = pairs_of(table)
    with themed(ax) as theme:
        detail = pd.Series([plural(count, "wait") for count in pairs["n_waits"]], dtype="str")
        wrappers = set(pairs["agent_id"]) - set(table["agent_id"][~table["wrapper"]].astype("str"))
        cells = matrix_cells(pairs, "agent_id", "waits_for", "wait_us", detail, last=wrappers)
        cells = cells.assign(column=people_last(cells["column"], people))
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            draw_empty(ax, theme, spans, reason=(reason := reason_for_no_waits(spans)))
            if len(recorded_spans(spans)):
                describe(ax, f"{described_name(trace_title(spans))}: {reason}")
            return ax
        draw_matrix(ax, cells, duration, theme, names=("who waited", "for whom"), legend=legend)
        draw_title(ax, trace_title(spans), "who waited for whom, and how long", theme)
        largest = pairs.iloc[int(pairs["wait_us"].argmax())]
        most = (
            f"{described_name(largest['agent_id'])} for {described_name(largest['waits_for'])}, {duration(largest['wait_us'])}"
        )
        total = f"{duration(int(pairs['wait_us'].sum()))} of waiting in {described_name(trace_title(spans))}"
        agents = plural(pairs["agent_id"].nunique(), "agent")
        describe(ax, f"{total}, by {agents}; the most is {most} in {plural(largest['n_waits'], 'wait')}.")
    return ax


def pairs_of(table: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """Each agent, and whom it waited for, with ``wait_us`` and ``n_waits``; and the names of people, which no agent has."""
    by_pair = table.groupby(["agent_id", "waits_for", "state"], observed=True)["wait_us"]
    pairs = by_pair.agg(wait_us="sum", n_waits="size").reset_index().astype({"agent_id": "str", "waits_for": "str"})
    is_person = pairs["state"] == "person"
    mark = " (person)"
    while pairs["waits_for"][~is_person].str.endswith(mark).any():
        mark = f" ({mark.strip()})"
    pairs["waits_for"] = pairs["waits_for"].where(~is_person, pairs["waits_for"] + mark)
    return pairs, set(pairs["waits_for"][is_person])


def people_last(names: pd.Series, people: Collection[str]) -> pd.Series:
    """The columns of a matrix, with those of people after the others."""
    return names.cat.reorder_categories(sorted(names.cat.categories, key=lambda name: name in people))


def reason_for_no_waits(spans: pd.DataFrame) -> str:
    """Why there are no waits: that nothing waits, or that the spans do not show it."""
    if (relations_of(recorded_spans(spans), links=False).parents() != NO_ROW).any():
        return "No span waits for an agent or a person."
    return "No waits are known: no span has a parent."
