"""Segments: the parts of a bar whose span waits, and counts of spans that wait, so that pictures show waiting apart from work.

The bar of a span is its whole time. Its segments are the stretches in which it waits, and the rest: work, and the time of
children of the same agent, who have bars of their own. Only spans that wait have segments.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.columns import times_of
from tokenvis.spans.integers import Int64Array, run_starts, sort_order
from tokenvis.spans.intervals import running_counts, subtract
from tokenvis.tree.states import AGENT, PERSON, STATES, WORK, StateCodes, States


@dataclass(frozen=True)
class Segments:
    """The segments of the spans that wait, by span, then time: the row of the span, start, end, and the state as a code.

    The segments of a span are disjoint, and cover it. A wait of no duration is no segment.
    """

    row: Int64Array
    start: Int64Array
    end: Int64Array
    state: StateCodes


def waiting_counts(states: States) -> dict[str, pd.DataFrame]:
    """How many spans of a trace wait at each moment: for each state of waiting that occurs, a table of steps.

    ``time`` (int64, µs), and ``running`` (int64): the number of spans in that state from this time on, as in `concurrency`.
    """
    tables = {}
    for code in (AGENT, PERSON):
        row, start, end = states.pieces(code)
        _, time, running = running_counts(np.zeros_like(row), start, end)
        if len(time):
            tables[STATES[code]] = pd.DataFrame({"time": time, "running": running})
    return tables


def states_that_occur(states: States) -> list[str]:
    """The states in which spans are for some time, in the order of `STATES`; work, if none waits."""
    if not states.state.any():
        return [STATES[WORK]]
    occurs = np.bincount(states.state[states.end > states.start], minlength=len(STATES)) > 0
    return [state for state, shown in zip(STATES, occurs.tolist(), strict=True) if shown]


def segments_of(spans: pd.DataFrame, states: States) -> Segments:
    """The segments of all spans that wait; ``states`` are those of the spans (`states_of`)."""
    waits = np.flatnonzero(states.state)
    waits = waits[states.end[waits] > states.start[waits]]
    row, start, end, state = states.row[waits], states.start[waits], states.end[waits], states.state[waits]
    if not len(row):
        return Segments(row, start, end, state)
    waiting = row[run_starts(row)]
    span_start, span_end = times_of(spans)
    part, rest_start, rest_end = subtract((waiting, span_start[waiting], span_end[waiting]), (row, start, end))
    row = np.concatenate([row, waiting[part]])
    start, end = np.concatenate([start, rest_start]), np.concatenate([end, rest_end])
    state = np.concatenate([state, np.full(len(part), WORK, dtype=np.int8)])
    order = sort_order(row, start)
    return Segments(row[order], start[order], end[order], state[order])
