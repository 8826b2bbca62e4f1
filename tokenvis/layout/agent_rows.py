"""Agent rows: which rows of the agent tree a picture shows, and the stretches of work and waiting in each.

Of too many rows, those with the most work in their subtrees are shown. A parent has at least the work of its children, and
comes before them, so the parents of shown rows are shown too.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.layout.segments import Segments
from tokenvis.spans.integers import Int64Array, counts
from tokenvis.spans.intervals import Intervals, subtract, union
from tokenvis.tree.instances import InstanceTree, instances_of, tree_of
from tokenvis.tree.relations import NO_ROW, Relations, nearest_marked
from tokenvis.tree.states import AGENT, PERSON, WORK, States


@dataclass(frozen=True)
class AgentRows:
    """The shown rows of the agent tree, from the top down, as positions in its table."""

    shown: Int64Array
    parent: Int64Array  # the number of the shown parent, or -1
    n_hidden: Int64Array  # how many rows below each are not shown, except those below another shown row
    stretches: Segments  # of work and waiting, by number of the shown row, state and time


def agent_rows(spans: pd.DataFrame, relations: Relations, states: States, subtree_us: Int64Array, max_rows: int) -> AgentRows:
    """At most ``max_rows`` rows of the agent tree of a trace; ``subtree_us`` is the work in each subtree, by row."""
    instances = instances_of(spans, relations)
    tree = tree_of(spans, instances)
    shown = np.sort(np.argsort(-subtree_us, kind="stable")[:max_rows])
    number = np.full(len(subtree_us) + 1, NO_ROW)
    number[shown] = np.arange(len(shown))
    return AgentRows(
        shown,
        number[tree.parent[shown]],
        hidden_counts(tree, number, len(shown)),
        stretches_of(states, number[tree.row_of[instances.of_row]]),
    )


def hidden_counts(tree: InstanceTree, number: Int64Array, n_shown: int) -> Int64Array:
    """How many rows are not shown, by their nearest shown ancestor; ``number`` is that of each shown row, else -1."""
    hidden = np.flatnonzero(number[:-1] == NO_ROW)
    above = number[nearest_marked(tree.parent, number[:-1] != NO_ROW)[hidden]]
    return counts(above[above != NO_ROW], n_shown)


def stretches_of(states: States, row: Int64Array) -> Segments:
    """When the spans of each row work, else wait for a person, else for an agent; ``row`` is that of each span, or -1."""
    found: list[Intervals] = []
    for code in (WORK, PERSON, AGENT):
        span, start, end = states.pieces(code)
        shown = row[span] != NO_ROW
        pieces = union(row[span[shown]], start[shown], end[shown])
        if found:
            rest, start, end = subtract(pieces, union(*(np.concatenate(column) for column in zip(*found, strict=True))))
            pieces = pieces[0][rest], start, end
        found.append(pieces)
    state = np.repeat(np.array([WORK, PERSON, AGENT], dtype=np.int8), [len(pieces[0]) for pieces in found])
    of_row, start, end = (np.concatenate(column) for column in zip(*found, strict=True))
    return Segments(of_row, start, end, state)
