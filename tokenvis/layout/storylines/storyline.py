"""The storyline: a line for each agent; the lines of agents at the same location run side by side.

Time is cut into layers (`layers`). In each layer, a group is the set of agents at one location, whose lines run side by side;
the other lines run alone. An agent in a short pause stays in its group (`pauses`). The layout has three steps: the vertical
order of the lines, with few crossings (`orders`); their heights, with little movement (`heights`); and the curves between
layers (`curves`), which are computed for the drawing.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, check_choice, listed, quoted
from tokenvis.layout.lanes import last_microseconds, lowest_free_lanes
from tokenvis.layout.storylines.bands import heights_in_bands
from tokenvis.layout.storylines.blocks import LayerTable, PresenceTable, blocks_by_group, count_crossings
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.heights import heights_of
from tokenvis.layout.storylines.homes import homes_of
from tokenvis.layout.storylines.layers import Layers, Stays, checked_shortest, cut_layers
from tokenvis.layout.storylines.orders import order_lines
from tokenvis.layout.storylines.pauses import fill_short_pauses
from tokenvis.spans.columns import NAMES, order_of, order_with_ids, ranks_of, require, times_of, values_at
from tokenvis.spans.groups import Groups, groups_of
from tokenvis.spans.integers import Int64Array, difference, lowest_of
from tokenvis.spans.intervals import union
from tokenvis.tree.nesting import pieces_of

AbsentMode: TypeAlias = Literal["line", "break"]
LocationMode: TypeAlias = Literal["free", "bands"]

DEFAULT_BUDGET_S = 5.0  # for each trace
MAX_BUDGET_S = 1_000_000
ORDER_SHARE = 0.85  # of the budget, for the order of the lines; the heights and the tables take the rest
LINE_COLUMNS = ("trace_id", "agent_id", "layer", "start", "end", "y", "group", "is_pause")  # columns of `Storyline.lines`


@dataclass(frozen=True)
class Storyline:
    """The tables of a storyline; see `storyline` for their columns."""

    lines: pd.DataFrame
    branches: pd.DataFrame
    totals: pd.DataFrame


def storyline(
    spans: pd.DataFrame,
    *,
    absent: AbsentMode = "line",
    by: str = "location_id",
    locations: LocationMode = "free",
    shortest_us: int = 0,
    budget: float | None = None,
) -> Storyline:
    """Lay out the lines of agents through time, so that those at one location run side by side, with few crossings.

    The location of an agent is that of its innermost span (`self_spans`). If several of its spans run at once, the latest start
    counts, and the others are side branches. An instant shares its location with no other agent.

    Parameters
    ----------
    spans
        A frame of spans.
    absent
        "line": an agent has a line from its first span to its last, even between spans. "break": it has a line only during its
        spans and instants.
    by
        The column that defines the groups: agents with the same value run side by side, agents with a missing value alone. It
        must not be a column of ``lines``, except location_id.
    locations
        "free": lines can be anywhere, so that few of them cross. "bands": each group has its own band, from the top by first
        stay; an agent keeps its height in the band until it goes to another group.
    shortest_us
        Neighbouring intervals that are all shorter than this (µs) are merged, so that lines move less often. In traces of more
        than 400 intervals, short ones are merged in any case.
    budget
        The time limit of the call, in seconds, for all its traces together. Until then, a solver proves that no order has
        fewer crossings, and a search helps it; afterwards the best order is kept. Traces that are too large for a proof in
        that time are only searched. 0: no proof, and a search of a second or two for each trace; the order then depends only
        on the spans, not on the speed of the machine. By default 5 for each trace if the extra ``tokenvis[storyline]`` is
        installed, else 0.

    Returns
    -------
    Storyline
        Three tables, each ordered by trace_id:

        ``lines``: a row for each agent in each layer in which it has a line, ordered by layer and y: ``trace_id, agent_id``
        (category); ``layer`` (int64: from 0); ``start, end`` (int64, µs) of the layer; ``y`` (int64): height from the top, 1
        between neighbours in a group, at least 2 between groups (if locations are free); ``group`` (int64): number of the
        group in the layer, from the top; ``is_pause`` (bool): whether the agent is in a short pause, and stays in its group: it
        has no span, then one in the same group again, with nothing in between, and the pause is no longer than the stays before
        and after it, or shorter than a hundredth of the time in which any agent has a span; ``location_id`` (category): its
        location, missing if it has no span; and the column ``by``, unless that is location_id (whole numbers as Int64).

        ``branches``: a row for each part of a span during which its agent's line follows another span, ordered by start, end,
        agent_id, id: ``trace_id, agent_id, location_id`` (category), ``id`` (str), ``start, end`` (int64, µs), ``lane`` (int64:
        0 is next to the agent's line).

        ``totals``: a row for each trace: ``trace_id`` (category), ``n_agents, n_layers`` (int64); ``n_merged`` (int64): the
        intervals shorter than ``shortest_us`` (int64, µs; 0 if there are none) that were merged with their neighbours, because
        of the option, or so that at most 400 layers remain; in a merged layer, which is shorter than twice that, an agent is at
        the location where it stays longest, if that is at least a tenth of the layer, else at none; ``n_hidden`` (int64): stays
        that appear in no layer for this reason; ``crossings`` (int64): the number of line crossings; ``at_least`` (int64): a
        lower bound on the crossings of any order (0 if unknown); ``is_proven`` (bool): whether the two are equal; ``movement``
        (int64): the sum of all vertical moves; ``wiggles`` (int64): the number of these moves; ``height`` (int64): the largest
        y.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, has no column ``by``, or a difference of times does not fit into int64.
    BadOption
        An argument is invalid; ``by`` is a column of ``lines``; or ``budget`` is set, but the extra is missing.

    Notes
    -----
    The chart follows Y. Tanahashi and K.-L. Ma, "Design considerations for optimizing storyline visualizations" (2012); the
    steps, first order, then heights, follow S. Liu et al., "StoryFlow" (2013). Exact crossing minimization: M. Gronemann et
    al., "Crossing minimization in storyline visualization" (2016); A. Dobler et al., "Revisiting ILP models for exact crossing
    minimization in storyline drawings" (2024). Least movement for an order: A. Dobler et al., "Optimizing wiggle in
    storylines" (2025).

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Bob"], "location_id": ["desk", "lab", "desk"],
    ...     "start_time": [0, 0, 5], "end_time": [9, 5, 9],
    ... })
    >>> storyline(spans).lines.drop(columns=["trace_id", "is_pause"])
      agent_id  layer  start  end  y  group location_id
    0      Ann      0      0    5  0      0        desk
    1      Bob      0      0    5  2      1         lab
    2      Ann      1      5    9  0      0        desk
    3      Bob      1      5    9  1      0        desk
    """
    check_group_column(by)
    require(spans, by)
    check_choice("absent", absent, ("line", "break"))
    check_choice("locations", locations, ("free", "bands"))
    shortest_us = checked_shortest(shortest_us)
    seconds = checked_budget(budget, spans["trace_id"].nunique())
    deadline = Deadline.after(ORDER_SHARE * seconds) if seconds else None
    inputs = storyline_input(spans, by)
    broken = absent == "break"
    meetings = [trace_meetings(inputs, trace, broken=broken, shortest_us=shortest_us) for trace in range(inputs.n_traces)]
    layouts = lay_out_in_bands(meetings) if locations == "bands" else lay_out_freely(meetings, deadline)
    return Storyline(line_table(spans, inputs, layouts), branch_table(spans, inputs), totals_table(spans, inputs, layouts))


def check_group_column(by: object) -> None:
    """Raise `BadOption` unless ``by`` can be an additional column of lines."""
    if not isinstance(by, str):
        raise BadOption(f"by={quoted(by)} is not a column name.")
    if by in LINE_COLUMNS:
        raise BadOption(
            f"by={quoted(by)} is a column of the storyline, as are {listed(LINE_COLUMNS)}. Use another column, or rename it."
        )


def checked_budget(budget: float | None, n_traces: int) -> float:
    """The seconds for all traces, 0 for no proof; `BadOption` if the value is invalid or the solver is missing."""
    has_solver = find_spec("pysat") is not None
    if budget is None:
        return DEFAULT_BUDGET_S * n_traces if has_solver else 0.0
    is_number = isinstance(budget, int | float | np.integer | np.floating) and not isinstance(budget, bool)
    if not is_number or not 0 <= budget <= MAX_BUDGET_S:
        raise BadOption(f"budget={quoted(budget)} is not a number of seconds from 0 to {MAX_BUDGET_S:,}.")
    if budget and not has_solver:
        raise BadOption(f"budget={budget} needs the extra with the solver: pip install 'tokenvis[storyline]'.")
    return float(budget)


@dataclass(frozen=True)
class StorylineInput:
    """The location of each agent over time in all traces, as arrays.

    ``agents`` are those of all traces, with the ``trace`` and the ``number`` (in order of appearance) of each; ``locations``
    are the pairs of group and location, with the ``group_of`` each, -1 for none. ``stays`` refer to agents and locations,
    ordered by trace; ``instants`` are (agent, time, location); ``branches`` are (row of the span, start, end).
    """

    agents: Groups
    trace: Int64Array
    number: Int64Array
    locations: Groups
    group_of: Int64Array
    stays: Stays
    instants: tuple[Int64Array, Int64Array, Int64Array]
    branches: tuple[Int64Array, Int64Array, Int64Array]

    @property
    def n_traces(self) -> int:
        """The number of traces."""
        return int(self.trace.max(initial=-1)) + 1


def storyline_input(spans: pd.DataFrame, by: str) -> StorylineInput:
    """Compute the location of each agent over time."""
    start, end = times_of(spans)
    agents = groups_of(spans, "trace_id", "agent_id")
    trace = ranks_of(spans["trace_id"])
    if len(spans):
        difference(np.array([end.max()]), np.array([start.min()]))  # raises if a duration does not fit
    locations = groups_of(spans, *dict.fromkeys([by, "location_id"]))
    start_rank = np.empty(len(spans), dtype=np.int64)
    start_rank[order_of(spans)] = np.arange(len(spans))
    row, piece_start, piece_end = pieces_of(spans)
    instant = piece_start == piece_end
    instants = row[instant][np.argsort(agents.group[row[instant]], kind="stable")]
    interval_row, interval_start, interval_end = row[~instant], piece_start[~instant], piece_end[~instant]
    homes = homes_of(agents.group[interval_row], interval_start, interval_end, start_rank[interval_row])
    home, stay_start, stay_end = homes.stretches
    branch, branch_start, branch_end = homes.branches
    n_locations = max(len(locations), 1)
    stay_key = agents.group[interval_row[home]] * n_locations + locations.group[interval_row[home]]
    stay_key, stay_start, stay_end = union(stay_key, stay_start, stay_end)
    return StorylineInput(
        agents,
        trace[agents.first],
        appearance_numbers(trace[agents.first], lowest_of(agents.group, start, len(agents))),
        locations,
        ranks_of(spans[by].iloc[locations.first]),
        Stays(stay_key // n_locations, stay_key % n_locations, stay_start, stay_end),
        (agents.group[instants], start[instants], locations.group[instants]),
        (interval_row[branch], branch_start, branch_end),
    )


def appearance_numbers(trace: Int64Array, first: Int64Array) -> Int64Array:
    """Number the agents of each trace in order of first start, then of name."""
    order = np.lexsort((first, trace))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order)) - np.searchsorted(trace[order], trace[order])
    return number


@dataclass(frozen=True)
class TraceMeetings:
    """Who is with whom in one trace: tables with a row for each layer and a column for each agent, by number.

    ``agents`` are the codes of these agents; ``group`` is the group of each, -1 for none; ``is_pause`` marks those that are in
    their group only because a short pause does not end a stay.
    """

    agents: Int64Array
    layers: Layers
    is_pause: PresenceTable
    group: LayerTable
    blocks: LayerTable


@dataclass(frozen=True)
class TraceLayout:
    """The ``heights`` of the lines of one trace; no order of the lines has fewer crossings than ``lower_bound``."""

    trace: TraceMeetings
    heights: LayerTable
    lower_bound: int


def trace_meetings(inputs: StorylineInput, trace: int, *, broken: bool, shortest_us: int) -> TraceMeetings:
    """Cut one trace into layers."""
    agents = group_slice(inputs.trace, trace)
    stays = group_slice(inputs.trace[inputs.stays.agent], trace)
    instants = group_slice(inputs.trace[inputs.instants[0]], trace)
    number = inputs.number[agents]
    first = agents.start
    own_stays = Stays(number[inputs.stays.agent[stays] - first], *(column[stays] for column in inputs.stays.location_intervals))
    instant_agent, instant_time, instant_location = (column[instants] for column in inputs.instants)
    instant_number = number[instant_agent - first]
    layers = cut_layers(own_stays, (instant_number, instant_time), len(number), broken=broken, shortest_us=shortest_us)
    seen = own_stays.with_instants(instant_number, instant_location, instant_time)
    group = np.where(layers.location >= 0, inputs.group_of[layers.location], -1)
    group = fill_short_pauses(group, layers, replace(seen, location=inputs.group_of[seen.location]))
    group_codes = np.unique(group, return_inverse=True)[1].reshape(group.shape)
    blocks = blocks_by_group(np.where(group >= 0, group_codes, -1).astype(np.int32), layers.present)
    is_pause = (group >= 0) & (layers.location < 0)
    return TraceMeetings(first + np.argsort(number), layers, is_pause, group, blocks)


def lay_out_in_bands(traces: list[TraceMeetings]) -> list[TraceLayout]:
    """Lay out traces with a band for each group."""
    return [TraceLayout(trace, heights_in_bands(trace.group, trace.layers.present), 0) for trace in traces]


def lay_out_freely(traces: list[TraceMeetings], deadline: Deadline | None) -> list[TraceLayout]:
    """Lay out traces with few crossings, which are proven to be the fewest if there is a deadline and enough time."""
    orders = order_lines([trace.blocks for trace in traces], deadline)
    return [
        TraceLayout(trace, heights_of(trace.blocks, order.ranks), order.lower_bound)
        for trace, order in zip(traces, orders, strict=True)
    ]


def group_slice(groups: Int64Array, number: int) -> slice:
    """The rows of a group, in rows sorted by group."""
    first, last = np.searchsorted(groups, [number, number + 1]).tolist()
    return slice(first, last)


def line_table(spans: pd.DataFrame, inputs: StorylineInput, layouts: list[TraceLayout]) -> pd.DataFrame:
    """The table of lines."""
    parts = [line_columns(layout) for layout in layouts] or [np.empty((8, 0), dtype=np.int64)]
    agent, location, layer, start, end, y, group, is_pause = np.concatenate(parts, axis=1)
    names = {column: values_at(spans, column, inputs.agents.first[agent]) for column in ("trace_id", "agent_id")}
    numbers = {"layer": layer, "start": start, "end": end, "y": y, "group": group, "is_pause": is_pause.astype(bool)}
    row = inputs.locations.first[location] if len(agent) else location
    location_columns = {
        column: values_where(values_at(spans, column, row), location >= 0) for column in inputs.locations.columns[::-1]
    }
    return pd.DataFrame({**names, **numbers, **location_columns})


def values_where(values: Any, is_known: Any) -> pd.Series:
    """Values, missing where not known; whole numbers and booleans get nullable types in any case."""
    column = pd.Series(values)
    is_whole = pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)
    return (column.convert_dtypes() if is_whole else column).where(is_known)


def line_columns(layout: TraceLayout) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """The lines of a trace, by layer and height: agent, location, layer, start, end, y, group, is_pause."""
    layer, agent = np.nonzero(layout.heights >= 0)
    order = np.lexsort((layout.heights[layer, agent], layer))
    layer, agent = layer[order], agent[order]
    group = group_numbers(layer, layout.trace.blocks[layer, agent].astype(np.int64))
    edges = layout.trace.layers.edges
    columns = layout.trace.agents[agent], layout.trace.layers.location[layer, agent], layer, edges[layer], edges[layer + 1]
    return np.stack([*columns, layout.heights[layer, agent].astype(np.int64), group, layout.trace.is_pause[layer, agent]])


def group_numbers(layer: Int64Array, block: Int64Array) -> Int64Array:
    """Number the blocks of each layer by their first row."""
    unique_pairs = np.unique(np.column_stack([layer, block]), axis=0, return_index=True, return_inverse=True)
    first, pair_number = unique_pairs[1], unique_pairs[2].reshape(-1)
    is_new = np.zeros(len(layer), dtype=np.int64)
    is_new[first] = 1
    n_before = np.cumsum(is_new) - 1
    of_layer = n_before[np.searchsorted(layer, layer)]
    number: Int64Array = n_before[first[pair_number]] - of_layer
    return number


def branch_table(spans: pd.DataFrame, inputs: StorylineInput) -> pd.DataFrame:
    """The table of side branches."""
    row, start, end = inputs.branches
    order = order_with_ids(spans, ranks_of(spans["trace_id"])[row], start, end, ranks_of(spans["agent_id"])[row], row=row)
    row, start, end = row[order], start[order], end[order]
    names = {column: values_at(spans, column, row) for column in (*NAMES, "id")}
    agent = inputs.agents.group[row]
    packed = np.argsort(agent, kind="stable")
    lane = np.empty(len(row), dtype=np.int64)
    lane[packed] = lowest_free_lanes(agent[packed], start[packed], last_microseconds(start, end)[packed])
    return pd.DataFrame({**names, "start": start, "end": end, "lane": lane})


def totals_table(spans: pd.DataFrame, inputs: StorylineInput, layouts: list[TraceLayout]) -> pd.DataFrame:
    """The table of totals."""
    first = inputs.agents.first[[layout.trace.agents[0] for layout in layouts]] if layouts else np.empty(0, dtype=np.int64)
    counts = {
        "n_agents": [len(layout.trace.agents) for layout in layouts],
        "n_layers": [len(layout.trace.layers) for layout in layouts],
        "n_merged": [layout.trace.layers.n_merged for layout in layouts],
        "shortest_us": [layout.trace.layers.shortest_us for layout in layouts],
        "n_hidden": [layout.trace.layers.n_hidden for layout in layouts],
        "crossings": [count_crossings(layout.heights) for layout in layouts],
        "at_least": [layout.lower_bound for layout in layouts],
    }
    lengths_by_trace = [move_lengths(layout.heights) for layout in layouts]
    shape = {
        "movement": [int(lengths.sum()) for lengths in lengths_by_trace],
        "wiggles": [int(np.count_nonzero(lengths)) for lengths in lengths_by_trace],
        "height": [int(layout.heights.max()) for layout in layouts],
    }
    table = pd.DataFrame({name: np.array(values, dtype=np.int64) for name, values in (counts | shape).items()})
    table.insert(0, "trace_id", values_at(spans, "trace_id", first))
    table.insert(8, "is_proven", table["crossings"] == table["at_least"])
    return table


def move_lengths(heights: LayerTable) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    """How far each line moves up or down at each boundary, as positive numbers."""
    in_both = (heights[1:] >= 0) & (heights[:-1] >= 0)
    lengths: np.ndarray[tuple[int], np.dtype[np.int32]] = np.abs(heights[1:] - heights[:-1])[in_both]
    return lengths
