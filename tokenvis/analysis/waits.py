"""Waits: who waited for whom, when, and for how long.

A stretch is a maximal time in which a span waits: a piece of `self_spans` in state "agent" or "person". A row is a stretch, and
a callee that runs in it; for a wait that the source marks, it is the stretch alone. Callees may run side by side. So the time
of a stretch is shared out: each moment goes to the running callee that ends last, because the span goes on only after that
one. A callee that is between two of its children comes after those of which a child runs (`callees`). Pairs of callees and
stretches are found by bisection, so the work grows with the number of rows.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan
from tokenvis.spans.columns import codes_of, ids_at, ranks_of, require, values_at
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, difference, order_by, sums
from tokenvis.spans.intervals import Intervals, covered, first_overlapping, overlapping, union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.callees import Callees
from tokenvis.tree.relations import NO_ROW, relations_of
from tokenvis.tree.states import AGENT, PERSON, StateCodes, States, has_pieces, state_names, states_of, wrapper_rows

MAX_WAIT_ROWS = 50_000_000


class Waits(NamedTuple):
    """The rows of the table, in any order."""

    row: Int64Array  # the span that waits
    callee: Int64Array  # the row of the callee's first span, or -1
    mark: Int64Array  # the number of the mark, or -1
    state: StateCodes
    stated: Mask  # whether the source says that the span waits
    start: Int64Array
    end: Int64Array
    counted: Intervals  # the times that go to each row: (number of the row, start, end)

    def joined(self, others: "Waits") -> "Waits":
        """These rows and the others."""
        number, start, end = others.counted
        pairs: Any = zip(self[:-1], others[:-1], strict=True)
        counted: Any = zip(self.counted, (number + len(self.row), start, end), strict=True)
        columns: list[Any] = [np.concatenate(pair) for pair in pairs]
        columns.append(tuple(np.concatenate(pair) for pair in counted))
        return Waits(*columns)


def waits(spans: pd.DataFrame) -> pd.DataFrame:
    """Each stretch in which a span waits, and the callee or the person that it waits for.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each maximal stretch in which a span waits and each callee that runs in it, or whom the source marks, ordered
        by trace_id, start, end, agent_id, id, waits_for and callee. Rows without time are left out:

        ``trace_id`` (category); ``id, agent_id, location_id`` of the span that waits; ``waits_for`` (category): the agent or
        the person, "user" if the source does not name one; ``state`` (str): "agent" or "person"; ``callee`` (as ``id``, Int64
        for integers): the first span of the callee, missing for a mark; ``start, end`` (int64, µs): the time of the stretch in
        which this callee runs;
        ``wait_us`` (int64, µs): the part of it that goes to this callee: each moment of a stretch goes to the running callee
        that ends last (ties: the earlier start, then agent, id), first to those of which a child runs at that moment; so all
        rows add up to the time that spans wait;
        ``overlap_us`` (int64, µs): end - start, which may overlap that of other callees;
        ``exclusive_us`` (int64, µs): the part of wait_us in which no span of the same agent works;
        ``evidence`` (str): "source" for a mark, or if the source says of each child that the span waits for it; else "nested";
        ``wrapper`` (bool): whether the agent does nothing but wait in this trace, as the root of a workflow: it works for at
        most 1% of the time for which it waits.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, contains the pieces of `self_spans`, an id is in two rows of a trace with parents,
        a duration does not fit into a 64-bit integer, or the table would have more than fifty million rows.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "code", "ask"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve", "Ann"],
    ...     "location_id": "desk", "start_time": [0, 2, 4, 12], "end_time": [10, 6, 9, 15],
    ...     "parent_id": [None, "plan", "plan", None], "data": [None, None, None, '{"waits_for": "user"}'],
    ... })
    >>> waits(spans)[["id", "agent_id", "waits_for", "callee", "start", "end", "wait_us", "overlap_us"]]
         id agent_id waits_for  callee  start  end  wait_us  overlap_us
    0  plan      Ann       Bob  search      2    6        2           4
    1  plan      Ann       Eve    code      4    9        5           5
    2   ask      Ann      user     NaN     12   15        3           3
    """
    require(spans)
    if has_pieces(spans):
        raise BadSpan("The spans are pieces of self_spans(), which lack the times of callees. Pass the uncut spans.")
    spans = recorded_spans(spans)
    relations = relations_of(spans, links=False)
    parent = relations.parents()
    states = states_of(spans, relations)
    return wait_table(spans, states, waits_for_callees(states, parent).joined(marked_waits(states, len(spans))))


def waits_for_callees(states: States, parent: Int64Array) -> Waits:
    """A wait for each unmarked stretch and callee that runs in it; ``parent`` is the row of each row's parent."""
    callees, stretches = states.callees, states.pieces(AGENT)
    unmarked = ~np.isin(stretches[0], states.marks.rows)
    row, start, end = (column[unmarked] for column in stretches)
    stretches = row, start, end
    waiter = parent[callees.first]
    running = waiter, callees.start, callees.end
    check_row_count(sum(first_overlapping(running, stretches)[1].tolist()))
    callee, stretch = overlapping(running, stretches)
    return Waits(
        row=row[stretch],
        callee=callees.first[callee],
        mark=np.full(len(callee), NO_ROW),
        state=np.full(len(callee), AGENT, dtype=np.int8),
        stated=callees.stated[callee],
        start=np.maximum(callees.start[callee], start[stretch]),
        end=np.minimum(callees.end[callee], end[stretch]),
        counted=counted_times(callees, waiter, stretches, callee * len(row) + stretch),
    )


def counted_times(callees: Callees, waiter: Int64Array, stretches: Intervals, keys: Int64Array) -> Intervals:
    """The times that go to each row; ``keys``, of callee and stretch, are sorted, and ``waiter`` is the row that waits."""
    (_, start, end), callee = callees.selected()
    part, stretch = overlapping((waiter[callee], start, end), stretches)
    number = np.searchsorted(keys, callee[part] * len(stretches[0]) + stretch)
    return number, np.maximum(start[part], stretches[1][stretch]), np.minimum(end[part], stretches[2][stretch])


def check_row_count(n_rows: int) -> None:
    """Raise `BadSpan` if the table would have too many rows."""
    if n_rows > MAX_WAIT_ROWS:
        raise BadSpan(
            f"The table of waits would have {n_rows:,} rows; the limit is {MAX_WAIT_ROWS:,}. Pass fewer traces at once."
        )


def marked_waits(states: States, n_spans: int) -> Waits:
    """A wait for each stretch of a span that the source marks."""
    row, start, end = states.pieces(AGENT, PERSON)
    mark_of = np.full(n_spans, NO_ROW)
    mark_of[states.marks.rows] = np.arange(len(states.marks.rows))
    marked = (mark_of[row] != NO_ROW) & (end > start)
    row, start, end = row[marked], start[marked], end[marked]
    return Waits(
        row=row,
        callee=np.full(len(row), NO_ROW),
        mark=mark_of[row],
        state=np.where(states.marks.is_agent, AGENT, PERSON)[mark_of[row]].astype(np.int8),
        stated=np.ones(len(row), dtype=bool),
        start=start,
        end=end,
        counted=(np.arange(len(row)), start, end),
    )


def wait_table(spans: pd.DataFrame, states: States, found: Waits) -> pd.DataFrame:
    """The result of `waits`."""
    agents = groups_of(spans, "trace_id", "agent_id")
    agent_of, (piece, work_start, work_end) = agents.group[found.row], states.work()
    work = union(agents.group[piece], work_start, work_end)
    number, start, end = found.counted
    wait = sums(number, end - start, len(found.row))
    beside_work = sums(number, covered((agent_of[number], start, end), work), len(found.row))
    table = pd.DataFrame(
        {
            **{name: values_at(spans, name, found.row) for name in ("trace_id", "id", "agent_id", "location_id")},
            "waits_for": names_waited_for(spans, found, states.marks.names),
            "state": state_names(found.state),
            "callee": ids_at(spans, found.callee),
            "start": found.start,
            "end": found.end,
            "wait_us": wait,
            "overlap_us": difference(found.end, found.start),
            "exclusive_us": wait - beside_work,
            "evidence": pd.array(np.where(found.stated, "source", "nested"), dtype="str"),
            "wrapper": wrapper_rows(spans, states)[found.row],
        }
    )
    return table.iloc[table_order(table)].reset_index(drop=True)


def names_waited_for(spans: pd.DataFrame, found: Waits, names: list[str]) -> Any:
    """The agent or the person of each row; ``names`` are those of the marks. All agents of the frame are categories."""
    if not names:
        return values_at(spans, "agent_id", found.callee)
    agent, agents = codes_of(spans["agent_id"])
    categories = agents.union(pd.Index(names, dtype="str").unique())
    of_agents = categories.get_indexer(agents)[agent[found.callee]]
    of_marks = np.append(categories.get_indexer(pd.Index(names, dtype="str")), NO_ROW)[found.mark]
    return pd.Categorical.from_codes(np.where(found.mark == NO_ROW, of_agents, of_marks), categories)


def table_order(table: pd.DataFrame) -> Int64Array:
    """Positions of the rows in the order of the result."""
    keys = ranks_of(table["trace_id"]), table["start"].to_numpy(), table["end"].to_numpy(), ranks_of(table["agent_id"])

    def texts(tied: Int64Array) -> list[Int64Array]:
        return [ranks_of(table[name].iloc[tied]) for name in ("id", "waits_for", "callee", "location_id")]

    return order_by(keys, texts)
