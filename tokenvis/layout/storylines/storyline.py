"""The storyline: a line for each agent, which runs beside those of the agents that it shares a location with.

Time is cut into layers (`layers`). In each, a group is the agents at one location, whose lines run side by
side; the others run alone. Three steps lay the lines out: their order from the top, so that they cross as rarely as can be
(`proof`, else `ordering`); their heights, so that they move as little as can be
(`heights`); and the curves between (`curves`), which are found when they are drawn.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from time import monotonic
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, check_choice, listed, quoted
from tokenvis.layout.lanes import last_of, lowest_free_lanes
from tokenvis.layout.storylines.bands import banded
from tokenvis.layout.storylines.blocks import Table, blocks_of, crossings
from tokenvis.layout.storylines.heights import heights_of
from tokenvis.layout.storylines.homes import homes_of
from tokenvis.layout.storylines.layers import Layers, Visits, layers_of
from tokenvis.layout.storylines.ordering import in_parts
from tokenvis.layout.storylines.proof import prove
from tokenvis.layout.storylines.search import search
from tokenvis.spans.columns import NAMES, codes_of, order_of, require, rows_by, times_of, values_at
from tokenvis.spans.groups import Groups, groups_of
from tokenvis.spans.integers import Int64Array, difference, lowest_of
from tokenvis.spans.intervals import union
from tokenvis.spans.nesting import pieces_of

Absent: TypeAlias = Literal["line", "break"]
Locations: TypeAlias = Literal["free", "bands"]

BUDGET = 5.0  # seconds for the proof of a trace
MOST_BUDGET = 1_000_000  # a timer takes no more than that
OWN = ("trace_id", "agent_id", "layer", "start", "end", "y", "group")  # columns of `Storyline.lines`


@dataclass(frozen=True)
class Storyline:
    """The tables of a storyline; see `storyline` for their columns."""

    lines: pd.DataFrame
    branches: pd.DataFrame
    totals: pd.DataFrame


def storyline(
    spans: pd.DataFrame,
    *,
    absent: Absent = "line",
    by: str = "location_id",
    locations: Locations = "free",
    budget: float | None = None,
) -> Storyline:
    """Lay out the lines of agents through time, so that those at one location run side by side, with few crossings.

    An agent is where its innermost span is (`self_spans`). Where several of its spans run at once, it is at the one that began
    last, and the others are side branches. An instant meets nobody.

    Parameters
    ----------
    spans
        A frame of spans.
    absent
        "line": an agent has a line from its first span to its last, also where it has no span. "break": it has one where it
        has a span, or an instant.
    by
        The column that makes the groups: agents with the same value run side by side. One whose value is missing runs alone.
        None that ``lines`` has itself, but for location_id.
    locations
        "free": lines are anywhere, so that few of them cross. "bands": each group keeps a zone of its own, by first visit from
        the top, in which an agent keeps its height while it stays, and until it is elsewhere.
    budget
        How many seconds to look for the proof that there is no order with fewer crossings, for each trace; where they do not
        suffice, a search of a second or two follows. A trace that is too large to be proven in that time is not tried. 0: not
        at all; the order then depends on the spans alone, not on how fast the machine is. By default 5 where the extra
        ``tokenvis[storyline]`` is installed, else 0.

    Returns
    -------
    Storyline
        Three tables, each ordered by trace_id:

        ``lines``: a row for each agent in each layer in which it has a line, ordered by layer and y: ``trace_id, agent_id``
        (category); ``layer`` (int64: from 0); ``start, end`` (int64, µs) of the layer; ``y`` (int64): height from the top, 1
        between neighbours in a group, at least 2 between groups (where locations are free); ``group`` (int64): number of the
        group in the layer, from the top; ``location_id`` (category): where it is, missing where it has no span; and the column
        ``by``, where that is another one (whole numbers as Int64).

        ``branches``: a row for each stretch of a span in which its agent is elsewhere, ordered by start, end, agent_id, id:
        ``trace_id, agent_id, location_id`` (category), ``id`` (str), ``start, end`` (int64, µs), ``lane`` (int64: 0 is next to
        the agent's line).

        ``totals``: a row for each trace: ``trace_id`` (category), ``n_agents, n_layers`` (int64); ``n_merged`` (int64): the
        intervals shorter than ``shortest_us`` (int64, µs; 0 where there are none) that went into their neighbours, so that at
        most 400 layers are left; in those, which are shorter than twice that, an agent is where it is longest, if that is a
        tenth of the layer, else nowhere; ``n_hidden`` (int64): visits that are in no layer therefore; ``crossings`` (int64):
        how many times two lines cross; ``at_least`` (int64): no order has fewer, as far as it is known (0 where nothing is);
        ``is_proven`` (bool): whether that is the same; ``movement`` (int64): the sum of all ways up and down; ``wiggles``
        (int64): how many such ways there are; ``height`` (int64): the largest y.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks the column ``by``, or has times that do not fit into 63 bits.
    BadOption
        An argument is none of its choices; ``by`` is a column of ``lines``; or ``budget`` is given, and the extra is missing.

    Notes
    -----
    The chart is that of Y. Tanahashi and K.-L. Ma, "Design considerations for optimizing storyline visualizations" (2012);
    order, then heights, is the way of S. Liu et al., "StoryFlow" (2013). Fewest crossings as a question to a solver: M.
    Gronemann et al., "Crossing minimization in storyline visualization" (2016); A. Dobler et al., "Revisiting ILP models for
    exact crossing minimization in storyline drawings" (2024). Least movement for an order: A. Dobler et al., "Optimizing
    wiggle in storylines" (2025).

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Bob"], "location_id": ["desk", "lab", "desk"],
    ...     "start_time": [0, 0, 5], "end_time": [9, 5, 9],
    ... })
    >>> storyline(spans).lines.drop(columns="trace_id")
      agent_id  layer  start  end  y  group location_id
    0      Ann      0      0    5  0      0        desk
    1      Bob      0      0    5  2      1         lab
    2      Ann      1      5    9  0      0        desk
    3      Bob      1      5    9  1      0        desk
    """
    check_by(by)
    require(spans, by)
    check_choice("absent", absent, ("line", "break"))
    check_choice("locations", locations, ("free", "bands"))
    seconds = checked_budget(budget)
    cast = cast_of(spans, by)
    traces = [
        woven(cast, trace, seconds, broken=absent == "break", bands=locations == "bands") for trace in range(cast.n_traces)
    ]
    return Storyline(lines_of(spans, cast, traces, by), branches_of(spans, cast), totals_of(spans, cast, traces))


def check_by(by: object) -> None:
    """Raise `BadOption` unless this may be the name of a further column of lines."""
    if not isinstance(by, str):
        raise BadOption(f"by={quoted(by)} is no name of a column.")
    if by in OWN:
        raise BadOption(
            f"by={quoted(by)} is a column of the storyline itself, as are {listed(OWN)}. Choose another one, or rename it."
        )


def checked_budget(budget: float | None) -> float:
    """The seconds for a proof; `BadOption` where they are none, or the solver is missing."""
    there = find_spec("pysat") is not None
    if budget is None:
        return BUDGET if there else 0.0
    is_number = isinstance(budget, int | float | np.integer | np.floating) and not isinstance(budget, bool)
    if not is_number or not 0 <= budget <= MOST_BUDGET:
        raise BadOption(f"budget={quoted(budget)} is no number of seconds from 0 to {MOST_BUDGET:,}.")
    if budget and not there:
        raise BadOption(f"budget={budget} asks for a proof, which needs the extra: pip install 'tokenvis[storyline]'.")
    return float(budget)


@dataclass(frozen=True)
class Cast:
    """Who is where in all traces, in arrays.

    ``members`` are the agents of all traces, ``trace`` and ``number`` (in order of appearance) of each; ``places`` the pairs of
    group and location, ``group_of`` each of them, -1 for none. ``visits`` name members and places, and come by trace;
    ``instants`` are (member, time); ``branches`` (row of the span, start, end).
    """

    members: Groups
    trace: Int64Array
    number: Int64Array
    places: Groups
    group_of: Int64Array
    visits: Visits
    instants: tuple[Int64Array, Int64Array]
    branches: tuple[Int64Array, Int64Array, Int64Array]

    @property
    def n_traces(self) -> int:
        """How many traces there are."""
        return int(self.trace.max(initial=-1)) + 1


def cast_of(spans: pd.DataFrame, by: str) -> Cast:
    """Find out who is where."""
    start, end = times_of(spans)
    members = groups_of(spans, "trace_id", "agent_id")
    trace = codes_of(spans["trace_id"])[0]
    if len(spans):
        difference(np.array([end.max()]), np.array([start.min()]))  # every duration fits
    places = groups_of(spans, *dict.fromkeys([by, "location_id"]))
    begun = np.empty(len(spans), dtype=np.int64)
    begun[order_of(spans)] = np.arange(len(spans))
    row, piece_start, piece_end = pieces_of(spans)
    instant = piece_start == piece_end
    instants = row[instant][np.argsort(members.group[row[instant]], kind="stable")]
    solid, solid_start, solid_end = row[~instant], piece_start[~instant], piece_end[~instant]
    homes = homes_of(members.group[solid], solid_start, solid_end, begun[solid])
    home, stay_start, stay_end = homes.stretches
    branch, branch_start, branch_end = homes.branches
    n_places = max(len(places), 1)
    key = members.group[solid[home]] * n_places + places.group[solid[home]]
    key, stay_start, stay_end = union(key, stay_start, stay_end)
    return Cast(
        members,
        trace[members.first],
        appearance(trace[members.first], lowest_of(members.group, start, len(members))),
        places,
        codes_of(spans[by].iloc[places.first])[0],
        Visits(key // n_places, key % n_places, stay_start, stay_end),
        (members.group[instants], start[instants]),
        (solid[branch], branch_start, branch_end),
    )


def appearance(trace: Int64Array, first: Int64Array) -> Int64Array:
    """Number members of each trace in the order of their first start, then of their names."""
    order = np.lexsort((first, trace))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order)) - np.searchsorted(trace[order], trace[order])
    return number


@dataclass(frozen=True)
class Woven:
    """The lines of one trace: ``heights`` and ``blocks`` have a row a layer and a column an agent, by number.

    ``members`` names these agents; no order of the lines has fewer crossings than ``at_least``.
    """

    members: Int64Array
    layers: Layers
    blocks: Table
    heights: Table
    crossings: int
    at_least: int


def woven(cast: Cast, trace: int, seconds: float, *, broken: bool, bands: bool) -> Woven:
    """Lay out one trace."""
    members = slice_of(cast.trace, trace)
    visits = slice_of(cast.trace[cast.visits.agent], trace)
    instants = slice_of(cast.trace[cast.instants[0]], trace)
    number = cast.number[members]
    first = members.start
    own = Visits(number[cast.visits.agent[visits] - first], *(column[visits] for column in cast.visits.whereabouts))
    who, when = (column[instants] for column in cast.instants)
    layers = layers_of(own, (number[who - first], when), len(number), broken=broken)
    group = np.where(layers.place >= 0, cast.group_of[layers.place], -1)
    dense = np.unique(group, return_inverse=True)[1].reshape(group.shape)
    blocks = blocks_of(np.where(group >= 0, dense, -1).astype(np.int32), layers.present)
    if bands:
        heights, at_least = banded(group, layers.present), 0
    else:
        ranks, at_least = in_order(blocks, seconds)
        heights = heights_of(blocks, ranks)
    return Woven(first + np.argsort(number), layers, blocks, heights, crossings(heights), at_least)


def in_order(blocks: Table, seconds: float) -> tuple[Table, int]:
    """Ranks with few crossings, and how many there are at least; the proof of all parts may take so long."""
    deadline = monotonic() + seconds
    at_least = 0

    def solve(part: Table) -> Table:
        nonlocal at_least
        left = deadline - monotonic()
        if seconds and left > 0:
            proof = prove(part, seconds=left)
            at_least += proof.at_least
            if proof.ranks is not None:
                return proof.ranks
        return search(part)

    return in_parts(blocks, solve), at_least


def slice_of(groups: Int64Array, number: int) -> slice:
    """The rows of a group, of rows that are sorted by group."""
    first, last = np.searchsorted(groups, [number, number + 1]).tolist()
    return slice(first, last)


def lines_of(spans: pd.DataFrame, cast: Cast, traces: list[Woven], by: str) -> pd.DataFrame:
    """The table of lines."""
    parts = [rows_of(one) for one in traces] or [np.empty((7, 0), dtype=np.int64)]
    member, place, layer, start, end, y, group = np.concatenate(parts, axis=1)
    names = {column: values_at(spans, column, cast.members.first[member]) for column in ("trace_id", "agent_id")}
    numbers = {"layer": layer, "start": start, "end": end, "y": y, "group": group}
    row = cast.places.first[place] if len(member) else place
    where = {column: there(values_at(spans, column, row), place >= 0) for column in cast.places.columns[::-1]}
    return pd.DataFrame({**names, **numbers, **where})


def there(values: Any, known: Any) -> pd.Series:
    """Values, missing where nothing is known; of a type that has missing values, whether any is or not."""
    found = pd.Series(values)
    is_whole = pd.api.types.is_integer_dtype(found.dtype) or pd.api.types.is_bool_dtype(found.dtype)
    return (found.convert_dtypes() if is_whole else found).where(known)


def rows_of(one: Woven) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """The lines of a trace, by layer and height: member, place, layer, start, end, y, group."""
    layer, agent = np.nonzero(one.heights >= 0)
    order = np.lexsort((one.heights[layer, agent], layer))
    layer, agent = layer[order], agent[order]
    group = numbered(layer, one.blocks[layer, agent].astype(np.int64))
    edges = one.layers.edges
    columns = one.members[agent], one.layers.place[layer, agent], layer, edges[layer], edges[layer + 1]
    return np.stack([*columns, one.heights[layer, agent].astype(np.int64), group])


def numbered(layer: Int64Array, block: Int64Array) -> Int64Array:
    """Number the blocks of each layer by their first row."""
    seen = np.unique(np.column_stack([layer, block]), axis=0, return_index=True, return_inverse=True)
    first, same = seen[1], seen[2].reshape(-1)
    opens = np.zeros(len(layer), dtype=np.int64)
    opens[first] = 1
    before = np.cumsum(opens) - 1
    of_layer = before[np.searchsorted(layer, layer)]
    number: Int64Array = before[first[same]] - of_layer
    return number


def branches_of(spans: pd.DataFrame, cast: Cast) -> pd.DataFrame:
    """The table of side branches."""
    row, start, end = cast.branches
    order = rows_by(spans, codes_of(spans["trace_id"])[0][row], start, end, codes_of(spans["agent_id"])[0][row], row=row)
    row, start, end = row[order], start[order], end[order]
    names = {column: values_at(spans, column, row) for column in (*NAMES, "id")}
    member = cast.members.group[row]
    packed = np.argsort(member, kind="stable")
    lane = np.empty(len(row), dtype=np.int64)
    lane[packed] = lowest_free_lanes(member[packed], start[packed], last_of(start, end)[packed])
    return pd.DataFrame({**names, "start": start, "end": end, "lane": lane})


def totals_of(spans: pd.DataFrame, cast: Cast, traces: list[Woven]) -> pd.DataFrame:
    """The table of totals."""
    first = cast.members.first[[one.members[0] for one in traces]] if traces else np.empty(0, dtype=np.int64)
    counted = {
        "n_agents": [len(one.members) for one in traces],
        "n_layers": [len(one.layers) for one in traces],
        "n_merged": [one.layers.n_merged for one in traces],
        "shortest_us": [one.layers.shortest for one in traces],
        "n_hidden": [one.layers.n_hidden for one in traces],
        "crossings": [one.crossings for one in traces],
        "at_least": [one.at_least for one in traces],
    }
    moved = [ways_in(one.heights) for one in traces]
    shape = {
        "movement": [int(ways.sum()) for ways in moved],
        "wiggles": [int(np.count_nonzero(ways)) for ways in moved],
        "height": [int(one.heights.max()) for one in traces],
    }
    table = pd.DataFrame({name: np.array(values, dtype=np.int64) for name, values in (counted | shape).items()})
    table.insert(0, "trace_id", values_at(spans, "trace_id", first))
    table.insert(8, "is_proven", table["crossings"] == table["at_least"])
    return table


def ways_in(heights: Table) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    """How far each line moves up or down at each boundary."""
    both = (heights[1:] >= 0) & (heights[:-1] >= 0)
    ways: np.ndarray[tuple[int], np.dtype[np.int32]] = np.abs(heights[1:] - heights[:-1])[both]
    return ways
