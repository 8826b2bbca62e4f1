"""States: whether a span works, waits for another agent, or waits for a person.

The time of a span without its children of the same agent is cut into pieces of one state each. "person": the source marks the
span as a wait for a person (``waits_for`` in ``data``). "agent": a callee of the span runs (`callees`), or the source marks the
span as a wait for an agent. "work": all other time. Effort counts only work. Presence (where an agent is, and with whom) counts
every state. An agent that does nothing but wait in its trace is a wrapper, such as the root of a workflow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, listed, quoted
from tokenvis.spans.bad_rows import first_bad, span_at
from tokenvis.spans.columns import codes_of, order_with_ids, ranks_of, require, times_of
from tokenvis.spans.fields import field_values, truth_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, counts, difference, sort_order, sums
from tokenvis.spans.intervals import Intervals, intersect, subtract, union
from tokenvis.tree.callees import NO_CALLEES, AgentStarts, Callees, Detachment, callees_of
from tokenvis.tree.nesting import piece_numbers, pieces_of
from tokenvis.tree.relations import Relations, relations_of

STATES = ("work", "agent", "person")
WORK, AGENT, PERSON = range(len(STATES))
USER = "user"  # the person, if the source names none
MAX_WRAPPER_WORK = 0.01  # of the time that a wrapper waits: the root of a workflow takes some milliseconds to start its agents

StateCodes = np.ndarray[tuple[int], np.dtype[np.int8]]


@dataclass(frozen=True)
class Marks:
    """The spans that the source marks as waits: their rows, whom each waits for, and what is known about that name."""

    rows: Int64Array
    names: list[str]
    is_agent: Mask  # it names an agent
    is_known: Mask  # it names another agent of the trace, the user, or a person, by `waits_for_kind`


@dataclass(frozen=True)
class States:
    """The pieces of all spans by row, then time, with their states as codes; and the marks and callees that explain them."""

    row: Int64Array
    start: Int64Array
    end: Int64Array
    state: StateCodes
    marks: Marks
    callees: Callees = NO_CALLEES

    def pieces(self, *states: int) -> Intervals:
        """The pieces in these states: (row of the span, start, end), by row, then time."""
        wanted = np.isin(self.state, states)
        return self.row[wanted], self.start[wanted], self.end[wanted]

    def work(self) -> Intervals:
        """The pieces in which spans work."""
        return self.pieces(WORK) if self.state.any() else (self.row, self.start, self.end)


def self_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """Spans cut down to the time in which each is its agent's innermost span, and into work and waiting.

    A parent is cut where its children of the same agent run, and where a wait begins or ends, into pieces that keep its id. A
    parent that its children cover completely has no piece. An instant stays unchanged and does not cut its parent. References
    to a parent that is not in the frame, or that is its own descendant, are ignored.

    Parameters
    ----------
    spans
        A frame of spans; ``parent_id`` (str, may be missing) is optional.

    Returns
    -------
    DataFrame
        The columns of ``spans``, with ``start_time`` and ``end_time`` (int64, µs) of the piece; ``piece`` (int64): 0 for the
        first piece of a span, 1 for the next; ``state`` (str): "person" if ``waits_for`` in ``data`` names a person; "agent" if
        it names an agent of the trace, or while a child of another agent runs that is not detached; else "work". In the order
        of a frame: start_time, end_time, agent_id, id. Pieces of pieces are the same pieces.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or has a column ``state`` that this function has not made.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "code"], "trace_id": "t", "agent_id": ["Ann", "Ann", "Bob"],
    ...     "location_id": ["desk", "library", "desk"],
    ...     "start_time": [0, 3, 7], "end_time": [10, 6, 9], "parent_id": [None, "plan", "plan"],
    ... })
    >>> self_spans(spans)[["id", "piece", "start_time", "end_time", "state"]]
           id  piece  start_time  end_time  state
    0    plan      0           0         3   work
    1  search      0           3         6   work
    2    plan      1           6         7   work
    3    plan      2           7         9  agent
    4    code      0           7         9   work
    5    plan      3           9        10   work
    """
    require(spans)
    if "state" in spans.columns and "piece" not in spans.columns:
        raise BadSpan("The spans have a column 'state', which self_spans() adds. Rename it first.")
    states = states_of(spans)
    order = order_with_ids(spans, states.start, states.end, ranks_of(spans["agent_id"])[states.row], row=states.row)
    row = states.row[order]
    number = spans["piece"].to_numpy()[row] if has_pieces(spans) else piece_numbers(states.row)[order]
    pieces = spans.iloc[row].assign(start_time=states.start[order], end_time=states.end[order], piece=number)
    return pieces.assign(state=state_names(states.state[order])).reset_index(drop=True)


def state_names(codes: StateCodes) -> Any:
    """The names of states, as ``str``."""
    return pd.array(np.array(STATES, dtype=object)[codes], dtype="str")


def states_of(
    spans: pd.DataFrame,
    relations: Relations | None = None,
    rows: Int64Array | None = None,
    detachment: Detachment | None = None,
    starts: AgentStarts | None = None,
) -> States:
    """The pieces of all spans, or of those in ``rows`` (sorted), with their states; pieces of `self_spans` keep theirs.

    ``detachment`` and ``starts`` are as for `callees_of`, if known.
    """
    if has_pieces(spans):
        return states_of_pieces(spans)
    relations = relations_of(spans, links=False) if relations is None else relations
    marks = marks_of(spans)
    callees = callees_of(spans, relations, rows, detachment, starts)
    waits_for_callees = np.isin(relations.identity, callees.parent)
    waits_for_callees[marks.rows] = False
    pieces = pieces_of(spans, relations, rows)
    row, start, end, waiting = split_by_callees(pieces, relations.identity, waits_for_callees[pieces[0]], callees)
    return States(row, start, end, marked_states(waiting, row, marks, len(spans)), marks, callees)


def split_by_callees(
    pieces: Intervals, identity: Int64Array, cut: Mask, callees: Callees
) -> tuple[Int64Array, Int64Array, Int64Array, StateCodes]:
    """The pieces, of which those in ``cut`` are cut where callees of their spans begin or end, and the state of each."""
    row, start, end = pieces
    if not cut.any():
        return row, start, end, np.zeros(len(row), dtype=np.int8)
    covered = union(callees.parent, callees.start, callees.end)
    of_cut = identity[row[cut]], start[cut], end[cut]
    (worked, *work), (waited, *waits) = subtract(of_cut, covered), intersect(of_cut, covered)
    parts = [(row[~cut], start[~cut], end[~cut]), (row[cut][worked], *work), (row[cut][waited], *waits)]
    row, start, end = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    state = np.repeat(np.array([WORK, WORK, AGENT], dtype=np.int8), [len(part[0]) for part in parts])
    order = sort_order(row, start)
    return row[order], start[order], end[order], state[order]


def marked_states(state: StateCodes, row: Int64Array, marks: Marks, n_spans: int) -> StateCodes:
    """The states of pieces, where the pieces of a marked span have the state of its mark."""
    if not len(marks.rows):
        return state
    mark = np.full(n_spans, WORK, dtype=np.int8)
    mark[marks.rows] = np.where(marks.is_agent, AGENT, PERSON)
    return np.where(mark[row] != WORK, mark[row], state)


def marks_of(spans: pd.DataFrame) -> Marks:
    """The spans that wait for whom ``waits_for`` names: an agent, or a person.

    ``waits_for_kind`` ("agent" or "person") decides which. Without it, it is an agent if the trace has an agent of that name.
    """
    rows, values = field_values(spans, "waits_for")
    names = [waited_for(value) for value in values]
    rows = rows[[name is not None for name in names]]
    found = [name for name in names if name is not None]
    if not found:
        return Marks(rows, found, np.empty(0, dtype=bool), np.empty(0, dtype=bool))
    agent, labels = codes_of(spans["agent_id"])
    trace = ranks_of(spans["trace_id"])
    named = labels.astype(object).get_indexer(pd.Index(found, dtype=object))
    in_trace = np.isin(trace[rows] * (len(labels) + 1) + named, trace * (len(labels) + 1) + agent) & (named >= 0)
    with_kind, kinds = field_values(spans.iloc[rows], "waits_for_kind")
    stated = {kind: np.zeros(len(rows), dtype=bool) for kind in ("agent", "person")}
    for kind, mask in stated.items():
        mask[with_kind[[value == kind for value in kinds]]] = True
    is_user = np.array([name == USER for name in found])
    is_agent: Mask = stated["agent"] | (in_trace & ~is_user & ~stated["person"])
    is_known = np.where(is_agent, in_trace & (named != agent[rows]), is_user | stated["person"])
    return Marks(rows, found, is_agent, is_known)


def waited_for(value: object) -> str | None:
    """The name in a value of ``waits_for``: `USER` for a true value, None for a false value or one that is no name."""
    truth = truth_of(value)
    if truth is not None:
        return USER if truth else None
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) else None


def has_pieces(spans: pd.DataFrame) -> bool:
    """Whether the rows are pieces that `self_spans` returned."""
    return "piece" in spans.columns and "state" in spans.columns


def states_of_pieces(spans: pd.DataFrame) -> States:
    """The states of pieces that `self_spans` returned; `BadSpan` if one is not a state."""
    codes = pd.Index(STATES).get_indexer(pd.Index(spans["state"]))
    if (codes < 0).any():
        row, others = first_bad(codes < 0)
        state, states = quoted(spans["state"].iloc[row]), listed(STATES)
        raise BadSpan(f"state of span {span_at(spans, row)} is {state}.{others} The states of pieces are {states}.")
    return States(np.arange(len(spans)), *times_of(spans), codes.astype(np.int8), marks_of(spans))


def wrappers_of(spans: pd.DataFrame, states: States) -> set[str]:
    """The agents that are wrappers in each of their traces; ``states`` are those of the spans (`states_of`)."""
    return wrapper_names(spans, wrapper_rows(spans, states))


def wrapper_names(spans: pd.DataFrame, is_wrapper: Mask) -> set[str]:
    """The agents of which each row is marked in ``is_wrapper`` (`wrapper_rows`)."""
    if not is_wrapper.any():
        return set()
    codes, labels = codes_of(spans["agent_id"])
    works = counts(codes[~is_wrapper], len(labels)) > 0
    return {str(name) for name in labels[~works]}


def wrapper_rows(spans: pd.DataFrame, states: States) -> Mask:
    """The rows whose agent is a wrapper in its trace; ``states`` are those of the spans (`states_of`)."""
    if not states.state.any():
        return np.zeros(len(spans), dtype=bool)
    agents = groups_of(spans, "trace_id", "agent_id")
    of_piece, duration, works = agents.group[states.row], difference(states.end, states.start), states.state == WORK
    work, waits = (sums(of_piece[mask], duration[mask], len(agents)) for mask in (works, ~works))
    is_wrapper: Mask = ((waits > 0) & (work <= MAX_WRAPPER_WORK * waits))[agents.group]
    return is_wrapper
