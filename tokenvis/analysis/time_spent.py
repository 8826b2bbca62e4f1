"""Time spent: where the time of a trace went, for each agent or other group, so that the parts add up to the wall time.

Each moment of a trace counts once in each group: for the first of `ACTIVITIES` that a span of the group has at that moment,
else as idle. Work comes before waiting, because an agent waits only while none of its spans works. Of work, a model comes
first, because model calls usually decide how long a run takes; then a tool, so that time spent in either is never shown as
other work. A wait for a person comes before a wait for an agent, because that agent may itself wait for the person: in the row
of a whole trace, ``person_us`` is all time in which nothing works and someone waits for a person.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ranks_of, require, times_of
from tokenvis.spans.groups import by_columns, groups_of
from tokenvis.spans.integers import Int64Array, count_ranks, difference, highest_of, lowest_of, sums
from tokenvis.spans.intervals import Intervals, subtract, union
from tokenvis.spans.kinds import KINDS_OF_WORK, KindCodes, kinds_of
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.states import AGENT, PERSON, STATES, states_of

ACTIVITIES = (*KINDS_OF_WORK, "person", "agent")
TIME_COLUMNS = ("model_us", "tool_us", "other_us", "agent_us", "person_us", "idle_us", "wall_us")


def time_spent(spans: pd.DataFrame, *, by: str | Iterable[str] = "agent_id") -> pd.DataFrame:
    """Where the time went: in models, in tools, in other work, waiting for agents or for people, or idle.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        A column, or several, whose values form groups within each trace: ``"agent_id"``, ``"location_id"``, or a column from
        `expand_data`. Spans without a value form a group too. ``"trace_id"`` returns one row per trace.

    Returns
    -------
    DataFrame
        A row for each group, ordered by trace_id and the values of ``by``, a missing value last:

        ``trace_id`` (category), the columns of ``by`` (unchanged);
        ``model_us, tool_us, other_us`` (int64, µs): time in which a span of the group works: in a model, in a tool, or
        otherwise, by the prefix of its location ("model:", "tool:"), else by ``kind`` ("model", "embedding", "tool") in
        ``data``;
        ``agent_us, person_us`` (int64, µs): time in which a span of the group waits for an agent or a person, and none works;
        ``idle_us`` (int64, µs): the rest; ``wall_us`` (int64, µs): from the first start to the last end of the trace.

        A moment with several counts only for the first of model, tool, other, person, agent. So the six times of each row add
        up to ``wall_us``. The states are those of `self_spans`.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, lacks a column of ``by``, or the duration of a trace does not fit into a 64-bit
        integer.
    BadOption
        If ``by`` has the name of a column of the result.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "ask", "search"], "trace_id": "t", "agent_id": ["Ann", "Ann", "Bob"],
    ...     "location_id": ["desk", "model:m", "tool:web"],
    ...     "start_time": [0, 1, 5], "end_time": [10, 4, 9], "parent_id": [None, "plan", "plan"],
    ... })
    >>> time_spent(spans).drop(columns="trace_id")
      agent_id  model_us  tool_us  other_us  agent_us  person_us  idle_us  wall_us
    0      Ann         3        0         3         4          0        0       10
    1      Bob         0        4         0         0          0        6       10
    """
    columns = by_columns(by, TIME_COLUMNS)
    require(spans, *columns)
    spans = recorded_spans(spans)
    groups = groups_of(spans, *columns)
    activity, (row, start, end) = activities_of(spans)
    spent = exclusive_times(activity, (groups.group[row], start, end), len(groups))
    times = {f"{name}_us": spent[rank] for rank, name in enumerate(ACTIVITIES)}
    times["wall_us"] = wall_times(spans)[groups.first]
    times["idle_us"] = times["wall_us"] - np.sum(spent, axis=0, dtype=np.int64)
    return pd.DataFrame({**groups.names(spans), **{name: times[name] for name in TIME_COLUMNS}})


def activities_of(spans: pd.DataFrame) -> tuple[KindCodes, Intervals]:
    """The pieces of all spans, (row of the span, start, end), and the rank of each piece's activity in `ACTIVITIES`."""
    states = states_of(spans)
    activity = kinds_of(spans)[states.row]
    for state in (PERSON, AGENT):
        activity[states.state == state] = ACTIVITIES.index(STATES[state])
    return activity, (states.row, states.start, states.end)


def exclusive_times(activity: KindCodes, pieces: Intervals, n_groups: int) -> list[Int64Array]:
    """For each activity, the time of each group in which a piece has this activity, and none an earlier one."""
    group, start, end = pieces
    counted: list[Intervals] = []
    for rank in range(len(ACTIVITIES)):
        rows = np.flatnonzero(activity == rank)
        left = union(group[rows], start[rows], end[rows])
        for earlier in counted:
            owner, rest_start, rest_end = subtract(left, earlier)
            left = left[0][owner], rest_start, rest_end
        counted.append(left)
    return [sums(in_group, difference(later, earlier), n_groups) for in_group, earlier, later in counted]


def wall_times(spans: pd.DataFrame) -> Int64Array:
    """The wall time of each row's trace."""
    start, end = times_of(spans)
    trace = ranks_of(spans["trace_id"])
    n_traces = count_ranks(trace)
    return difference(highest_of(trace, end, n_traces), lowest_of(trace, start, n_traces))[trace]
