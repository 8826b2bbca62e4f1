"""Critical path: the chain of work that determined when a trace ended.

The path is traced backwards from the latest end. A span counts from its start, or from the latest end of a child that it
waited for, as in Z. Zhang et al., "CRISP: Critical path analysis of large-scale microservice architectures" (2022). The
predecessor of a start comes from the evidence: a link, a request (the model call that asked for it, or another call that the
same one asked for), the parent, or the agent's earlier work. A predecessor that still runs at the start counts as ending there.
The path passes a span at most once at one time, so links and instants cannot form a cycle. The parts of spans on the path are
then cut by state and by innermost span (`states`, `nesting`), all at once.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ids_at, order_with_ids, ranks_of, require, times_of, values_at
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import (
    Int64Array,
    count_ranks,
    difference,
    highest_of,
    lowest_of,
    run_ends,
    run_starts,
    sort_order,
)
from tokenvis.spans.intervals import overlapping
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.callees import detachment_of
from tokenvis.tree.nesting import NestedParts, nested_parts
from tokenvis.tree.path_search import CHILD, FOLLOWS, LINK, LOCATION, NOTHING, PARENT, SAME_AGENT, SPAN, PathSearch, Steps
from tokenvis.tree.relations import NO_ROW, evidence_of, relations_of
from tokenvis.tree.states import AGENT, PERSON, STATES, USER, States, states_of

PATH_STATES = (*STATES, "unexplained")
UNEXPLAINED = len(STATES)


def critical_path(spans: pd.DataFrame, *, evidence: str | Iterable[str] = ("link", "parent")) -> pd.DataFrame:
    """The chain of consecutive work and waiting that ends last in each trace.

    Parameters
    ----------
    spans
        A frame of spans.
    evidence
        What explains a start, besides the agent's earlier work: ``"link"`` (also the model call in ``requested_by``),
        ``"parent"``, ``"location"`` (the last span to end there), one or several. They are tried in this order: link, request,
        parent, the same agent, location.

    Returns
    -------
    DataFrame
        Rows ordered by trace_id and time; each begins where the one before it ends, from the trace's first start to its last
        end:

        ``trace_id`` (category); ``id, agent_id, location_id`` of the span, missing for a gap, in which no span of the path
        runs; ``state`` (str): "work"; "agent": the span waits for an agent, or a link, parent or location explains the work
        after the gap; "person": the span waits for a person, or a person started the work after the gap; "unexplained": a gap,
        and nothing leads from the work before it to the work after it;
        ``follows`` (str): why the work goes on with this row: "link", "request" (a model call asked for it), "parent" (its
        parent started it), "child" (the span goes on after its child), "agent" (the same agent's latest end), "location",
        "span" (the same span in another state); missing for a gap, and if there is no predecessor;
        ``start, end`` (int64, µs), ``part_us`` (int64, µs: end - start), 0 for an instant. All parts of a trace add up to its
        wall time.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, a parent or linked id is in two rows of a trace, or the duration of a trace does
        not fit into a 64-bit integer.
    BadOption
        If ``evidence`` is not one of the choices.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"], "location_id": "desk",
    ...     "start_time": [0, 3, 12], "end_time": [10, 9, 20], "parent_id": [None, "plan", None],
    ...     "data": [None, None, '{"links": ["plan"]}'],
    ... })
    >>> critical_path(spans)[["id", "agent_id", "state", "follows", "start", "end", "part_us"]]
           id agent_id  state follows  start  end  part_us
    0    plan      Ann   work     NaN      0    3        3
    1  search      Bob   work  parent      3    9        6
    2    plan      Ann   work   child      9   10        1
    3     NaN      NaN  agent     NaN     10   12        2
    4  review      Eve   work    link     12   20        8
    """
    kinds = evidence_of(evidence)
    require(spans)
    spans = recorded_spans(spans)
    of_trace, pieces = path_pieces(spans, kinds)
    columns = {name: pd.Series(values_at(spans, name, np.maximum(pieces.row, 0))) for name in ("agent_id", "location_id")}
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", of_trace),
            "id": ids_at(spans, pieces.row),
            **{name: values.mask(pieces.row == NO_ROW) for name, values in columns.items()},
            "state": names_of(PATH_STATES, pieces.state),
            "follows": names_of(FOLLOWS, pieces.follows),
            "start": pieces.start,
            "end": pieces.end,
            "part_us": pieces.end - pieces.start,
        }
    )


def path_pieces(spans: pd.DataFrame, kinds: set[str]) -> tuple[Int64Array, "PathPieces"]:
    """The rows of `critical_path` by the rows of their spans, and for each a row of its trace; ``spans`` are recorded ones."""
    relations = relations_of(spans, links="link" in kinds)
    parent, detachment = relations.parents(), detachment_of(spans, relations)
    search = PathSearch(spans, kinds, parent, detachment.detached, relations)
    last, origin = last_and_first(spans)
    n_steps = [search.trace_back(row, first) for row, first in zip(last[::-1].tolist(), origin[::-1].tolist(), strict=True)]
    steps = search.steps_in_order()
    parts = nested_parts(spans, parent, (steps.row, steps.start, steps.end))
    is_on_path = np.zeros(len(spans) + 1, dtype=bool)  # the last is that of gaps
    is_on_path[parts.row] = True
    states = states_of(spans, relations, np.flatnonzero(is_on_path[:-1]), detachment)
    pieces = pieces_on_path(steps, parts, states, gap_states(spans, search, steps))
    return np.repeat(last, n_steps[::-1])[pieces.step], pieces


def last_and_first(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """The row of each trace that ends last (ties: the latest start, then the last agent_id, id), and the first start."""
    start, end = times_of(spans)
    trace = ranks_of(spans["trace_id"])
    n_traces = count_ranks(trace)
    rows = np.flatnonzero(end == highest_of(trace, end, n_traces)[trace])
    rows = rows[order_with_ids(spans, trace[rows], start[rows], ranks_of(spans["agent_id"].iloc[rows]), row=rows)]
    last, origin = rows[run_ends(trace[rows])], lowest_of(trace, start, n_traces)
    difference(end[last], origin)  # raises BadSpan if the wall time of a trace does not fit into int64
    return last, origin


def gap_states(spans: pd.DataFrame, search: PathSearch, steps: Steps) -> Int64Array:
    """The state of each step if it is a gap."""
    state = np.where(np.isin(steps.follows, (LINK, PARENT, LOCATION)), AGENT, UNEXPLAINED)
    gap, row = np.array(search.starters, dtype=np.int64).reshape(-1, 2).T
    started, triggers = field_values(spans.iloc[row], "trigger")
    by_person = started[[trigger == USER for trigger in triggers]]
    state[len(state) - 1 - gap[by_person]] = PERSON
    return state


class PathPieces(NamedTuple):
    """The rows of the answer: the step and the span of each, its time, and its state and evidence as codes."""

    step: Int64Array
    row: Int64Array
    start: Int64Array
    end: Int64Array
    state: Int64Array
    follows: Int64Array


def pieces_on_path(steps: Steps, parts: NestedParts, states: States, gap_state: Int64Array) -> PathPieces:
    """The steps, cut where the innermost span or its state changes."""
    part, piece = overlapping((parts.row, parts.start, parts.end), (states.row, states.start, states.end))
    whole = np.flatnonzero((steps.row == NO_ROW) | (steps.start == steps.end))  # gaps and instants
    instant = whole[steps.row[whole] != NO_ROW]
    whole_state = gap_state.copy()
    whole_state[instant] = states.state[np.searchsorted(states.row, steps.row[instant])]
    columns = (
        (parts.part[part], whole),
        (part, whole),  # the parts of level 0 are the steps
        (np.maximum(parts.start[part], states.start[piece]), steps.start[whole]),
        (np.minimum(parts.end[part], states.end[piece]), steps.end[whole]),
        (states.state[piece], whole_state[whole]),
    )
    step, part, start, end, state = (np.concatenate(column) for column in columns)
    order = sort_order(step, start)
    step, part = step[order], part[order]
    row = parts.row[part]
    follows = np.where(run_starts(step), steps.follows[step], reasons(parts, part))
    return PathPieces(step, row, start[order], end[order], state[order], np.where(row == NO_ROW, NOTHING, follows))


def reasons(parts: NestedParts, part: Int64Array) -> Int64Array:
    """Why each piece follows the previous piece of the same step."""
    before = np.append(part[:1], part[:-1])[: len(part)]
    kinds = [part == before, parts.contains(before, part), parts.contains(part, before)]
    return np.select(kinds, [SPAN, PARENT, CHILD], SAME_AGENT)


def names_of(names: tuple[str, ...], codes: Int64Array) -> Any:
    """The names of codes, as ``str``; missing for -1."""
    return pd.array(np.array([*names, None], dtype=object)[codes], dtype="str")
