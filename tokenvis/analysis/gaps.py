"""Gaps: the time in which nothing works, between the first start and the last end of a trace.

All gaps of a trace and its active time add up to its wall time. A gap is divided where a wait for a person begins or ends. An
instant takes no time, so it does not end a gap.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.spans.columns import ids_at, is_integer, order_with_ids, ranks_of, require, times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, difference, highest_of, lowest_of, rank_in, sort_order
from tokenvis.spans.intervals import Intervals, intersect, overlapping, subtract, union
from tokenvis.spans.losses import recorded_spans
from tokenvis.spans.text import text_column
from tokenvis.tree.relations import NO_ROW
from tokenvis.tree.states import PERSON, USER, WORK, States, states_of


def gaps(spans: pd.DataFrame, *, min_us: int = 0) -> pd.DataFrame:
    """The intervals in which nothing works.

    Parameters
    ----------
    spans
        A frame of spans.
    min_us
        The shortest gap to return, in µs.

    Returns
    -------
    DataFrame
        A row for each gap, ordered by trace_id and start; a gap in which a span waits for a person for part of the time is
        several rows:

        ``trace_id`` (category); ``start, end`` (int64, µs), ``gap_us`` (int64, µs: end - start);
        ``span_before``: the last span to end its work before it (ties: the latest start, then agent_id, id);
        ``span_after``: the first span to start its work after it (ties: the earliest end, then agent_id, id), as ``id``;
        missing if nothing works before or after;
        ``cause`` (str): the person for whom a span waits ("user" if the source names none; several in the order in which the
        waits start); else what started the work after it, from ``trigger`` in ``data``: "user" if the work begins with a
        user's message; missing if unknown.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a duration or sum does not fit into a 64-bit integer.
    BadOption
        If ``min_us`` is not a non-negative integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": "Ann", "location_id": "desk",
    ...     "start_time": [0, 15, 21], "end_time": [10, 20, 30], "data": [None, '{"trigger": "user"}', None],
    ... })
    >>> gaps(spans)
      trace_id  start  end  gap_us span_before span_after cause
    0        t     10   15       5           a          b  user
    1        t     20   21       1           b          c   NaN
    """
    if not (is_integer(min_us) and min_us >= 0):
        raise BadOption(f"min_us={quoted(min_us)} is not a non-negative integer of µs.")
    require(spans)
    spans = recorded_spans(spans)
    traces, states = groups_of(spans, "trace_id"), states_of(spans)
    trace = traces.group
    found = all_gaps(spans, states, trace, len(traces))
    duration = difference(found.end, found.start)
    kept = (duration > 0) & (duration >= min_us)
    found = Gaps(found.trace[kept], found.start[kept], found.end[kept], found.person[kept])
    before, after = neighbours(spans, states.work(), trace, found)
    return pd.DataFrame(
        {
            **traces.names(spans, found.trace),
            "start": found.start,
            "end": found.end,
            "gap_us": duration[kept],
            "span_before": ids_at(spans, before),
            "span_after": ids_at(spans, after),
            "cause": causes(spans, states, trace, found),
        }
    )


class Gaps(NamedTuple):
    """The gaps by trace, then time; ``person`` marks those in which a span waits for a person."""

    trace: Int64Array
    start: Int64Array
    end: Int64Array
    person: Mask

    def intervals(self, rows: Mask) -> Intervals:
        """Trace, start and end of these gaps."""
        return self.trace[rows], self.start[rows], self.end[rows]


def all_gaps(spans: pd.DataFrame, states: States, trace: Int64Array, n_traces: int) -> Gaps:
    """The time of each trace in which nothing works, divided where a wait for a person begins or ends."""
    start, end = times_of(spans)
    wall = np.arange(n_traces), lowest_of(trace, start, n_traces), highest_of(trace, end, n_traces)
    without_work = subtract(wall, united(states, trace, WORK))
    waits = united(states, trace, PERSON)
    parts = subtract(without_work, waits), intersect(without_work, waits)
    of_gap, start, end = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    of_trace = without_work[0][of_gap]
    order = sort_order(of_trace, start)
    return Gaps(of_trace[order], start[order], end[order], order >= len(parts[0][0]))


def united(states: States, trace: Int64Array, state: int) -> Intervals:
    """The time of each trace in which a span is in a state."""
    row, start, end = states.pieces(state)
    return union(trace[row], start, end)


def neighbours(spans: pd.DataFrame, work: Intervals, trace: Int64Array, found: Gaps) -> tuple[Int64Array, Int64Array]:
    """The rows that work before and after each gap, or -1."""
    row, start, end = work
    of_work, agent = trace[row], ranks_of(spans["agent_id"])[row]
    by_end = order_with_ids(spans, of_work, end, start, agent, row=row)
    by_start = order_with_ids(spans, of_work, start, end, agent, row=row)
    before = rank_in(of_work[by_end], end[by_end], found.trace, found.start, side="right") - 1
    after = rank_in(of_work[by_start], start[by_start], found.trace, found.end, side="left")
    rows = [np.append(row[order], NO_ROW)[position] for order, position in ((by_end, before), (by_start, after))]
    before, after = (np.where(np.append(trace, NO_ROW)[found_rows] == found.trace, found_rows, NO_ROW) for found_rows in rows)
    return before, after


def causes(spans: pd.DataFrame, states: States, trace: Int64Array, found: Gaps) -> pd.Series:
    """The persons for whom spans wait in each gap, else the trigger of the first span with one that starts at its end."""
    cause = np.full(len(found.trace), None, dtype=object)
    cause[~found.person] = triggers_at(spans, trace, found.trace[~found.person], found.end[~found.person])
    cause[found.person] = persons_in(states, trace, found.intervals(found.person))
    return text_column(cause.tolist(), pd.RangeIndex(len(cause)))


def persons_in(states: States, trace: Int64Array, waits: Intervals) -> list[str]:
    """The persons for whom spans wait in each of these intervals, by the start of the wait, then name."""
    name_of = dict(zip(states.marks.rows.tolist(), states.marks.names, strict=True))
    row, start, end = states.pieces(PERSON)
    piece, wait = overlapping((trace[row], start, end), waits)
    persons = [name_of.get(span, USER) for span in row[piece].tolist()]
    names: list[dict[str, None]] = [{} for _ in waits[0]]
    for _, name, number in sorted(zip(start[piece].tolist(), persons, wait.tolist(), strict=True)):
        names[number][name] = None
    return [", ".join(of_wait) for of_wait in names]


def triggers_at(spans: pd.DataFrame, trace: Int64Array, of_trace: Int64Array, time: Int64Array) -> list[str | None]:
    """The trigger of the first span with one that starts at each time."""
    rows, triggers = field_values(spans, "trigger")
    texts = [isinstance(trigger, str) for trigger in triggers]
    rows, triggers = rows[texts], [trigger for trigger, is_text in zip(triggers, texts, strict=True) if is_text]
    start, end = (times[rows] for times in times_of(spans))
    order = order_with_ids(spans, trace[rows], start, end, ranks_of(spans["agent_id"])[rows], row=rows)
    position = rank_in(trace[rows][order], start[order], of_trace, time, side="left")
    found = position < rank_in(trace[rows][order], start[order], of_trace, time, side="right")
    first = np.append(order, NO_ROW)[position]
    return [triggers[number] if is_found else None for number, is_found in zip(first.tolist(), found.tolist(), strict=True)]
