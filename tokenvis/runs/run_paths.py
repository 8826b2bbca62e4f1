"""Run paths: at each moment of a run, the span that determined how long the run took.

That is the critical path. It has gaps where nothing leads from one span to the next: a table without links and parents has the
path of one agent only. In such a gap, a span that works at the moment takes the time, else one that waits for a person, else
one that waits for an agent; of several, the one whose time there ends last. What is left is idle: nothing runs.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.analysis.critical_path import UNEXPLAINED, path_pieces
from tokenvis.spans.columns import order_with_ids, ranks_of
from tokenvis.spans.integers import Int64Array, inverse_permutation
from tokenvis.spans.intervals import Intervals, highest_covering, intersect, subtract
from tokenvis.tree.relations import NO_ROW
from tokenvis.tree.states import AGENT, PERSON, WORK, states_of

PATH_EVIDENCE = {"link", "parent"}  # as in `critical_path` by default
IDLE = UNEXPLAINED
PRECEDENCE = {AGENT: 0, PERSON: 1, WORK: 2}


class RunPaths(NamedTuple):
    """The pieces of all runs, by run, then time: disjoint, and as long in all as the wall time of the run."""

    run: Int64Array  # the code of the run (`ranks_of`)
    row: Int64Array  # the span, `NO_ROW` for a gap
    start: Int64Array
    end: Int64Array
    state: Int64Array  # the position in `PATH_STATES`


def run_paths(spans: pd.DataFrame) -> RunPaths:
    """The paths of all runs; ``spans`` are recorded ones."""
    of_trace, pieces = path_pieces(spans, PATH_EVIDENCE)
    run = ranks_of(spans["trace_id"])
    path = RunPaths(run[of_trace], pieces.row, pieces.start, pieces.end, pieces.state)
    gaps = np.flatnonzero(path.state == UNEXPLAINED)
    if not len(gaps):
        return path
    holes = path.run[gaps], path.start[gaps], path.end[gaps]
    filled = running_in(spans, run, holes)
    if not len(filled.row):
        return path
    hole, *idle = subtract(holes, (filled.run, filled.start, filled.end))
    nothing = np.full(len(hole), NO_ROW)
    left = RunPaths(holes[0][hole], nothing, idle[0], idle[1], np.full(len(hole), IDLE))
    kept = RunPaths(*(column[path.state != UNEXPLAINED] for column in path))
    joined = RunPaths(*(np.concatenate(columns) for columns in zip(kept, filled, left, strict=True)))
    order = np.lexsort((joined.end, joined.start, joined.run))  # an instant comes before what starts with it
    return RunPaths(*(column[order] for column in joined))


def running_in(spans: pd.DataFrame, run: Int64Array, gaps: Intervals) -> RunPaths:
    """The pieces of spans that take the time of gaps, which are disjoint and sorted; ``run`` is the code of each row's run."""
    states = states_of(spans)
    piece, start, end = intersect((run[states.row], states.start, states.end), gaps)
    precedence = np.array([PRECEDENCE[state] for state in sorted(PRECEDENCE)])[states.state[piece]]
    row, agent = states.row[piece], ranks_of(spans["agent_id"])
    order = order_with_ids(spans, precedence, end, -start, agent[row], row=row)
    of_run, start, end, highest = highest_covering((run[row], start, end), inverse_permutation(order))
    chosen = piece[order[highest]]
    return RunPaths(of_run, states.row[chosen], start, end, states.state[chosen].astype(np.int64))
