"""Summary: the size of a trace, and how much of it ran in parallel.

There are three measures of time. Wall is the time from the first start to the last end; active is the time in which at least
one span works; busy is the sum of all work. Work is a state of pieces of `self_spans`, so that a parent and its child of the
same agent are not counted twice, and waiting is not counted. Wall time is active time, time in which nothing works and a span
waits for a person, and idle time. Durations (p50, p95, longest) are those of the uncut spans. All measures are of the recorded
spans; the number of lost spans is a separate column.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ranks_of, require, times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import by_columns, dense_ranks, groups_of, ratio
from tokenvis.spans.integers import Int64Array, count_ranks, counts, difference, highest_of, lowest_of, percentiles, sums
from tokenvis.spans.intervals import running_counts, union
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.states import AGENT, PERSON, WORK, States, states_of

SUMMARY_COLUMNS = (
    *("n_spans", "n_agents", "n_locations", "wall_us", "active_us", "person_us", "idle_us", "busy_us", "waiting_us"),
    *("share_active", "peak", "share_parallel", "n_errors", "n_lost", "p50_us", "p95_us", "longest_us"),
)


def summary(spans: pd.DataFrame, *, by: str | Iterable[str] | None = None) -> pd.DataFrame:
    """The size of each trace, or of each group of spans in it, and how much of it ran in parallel.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        A column, or several, whose values form groups within each trace: ``"agent_id"``, ``"location_id"``, or a column from
        `expand_data`. Spans without a value form a group too.

    Returns
    -------
    DataFrame
        A row for each trace, or group, ordered by trace_id and the values of ``by``, a missing value last:

        ``trace_id`` (category), the columns of ``by`` (unchanged);
        ``n_spans, n_agents, n_locations`` (int64);
        ``wall_us`` (int64, µs): from the first start to the last end of the trace or group;
        ``active_us`` (int64, µs): time in which at least one span works; ``person_us`` (int64, µs): time in which none works
        and one waits for a person; ``idle_us`` (int64, µs): wall - active - person; ``busy_us`` (int64, µs): sum of all work;
        ``waiting_us`` (int64, µs): time in which no span works and one waits, for an agent or a person;
        ``share_active`` (Float64): active / wall; ``peak`` (int64): the largest number of spans that work at once;
        ``share_parallel`` (Float64): time in which two or more spans work / active; a ratio with denominator 0 is missing;
        ``n_errors`` (int64): spans with ``status`` "error" in ``data``;
        ``n_lost`` (int64): spans that could not be recorded; no other column counts them or their loss markers; a group
        with only loss markers has 0 in all other integer columns;
        ``p50_us, p95_us, longest_us`` (int64, µs): durations of spans; percentiles by nearest rank.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, lacks a column of ``by``, or a duration or sum does not fit into a 64-bit
        integer.
    BadOption
        If ``by`` has the name of a column of the result.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Ann"], "location_id": "desk",
    ...     "start_time": [0, 5, 15], "end_time": [10, 10, 20],
    ... })
    >>> summary(spans)[["n_spans", "wall_us", "active_us", "busy_us", "share_active", "peak", "share_parallel"]]
       n_spans  wall_us  active_us  busy_us  share_active  peak  share_parallel
    0        3       20         15       20          0.75     2        0.333333
    >>> summary(spans, by="agent_id")[["agent_id", "n_spans", "busy_us", "p50_us"]]
      agent_id  n_spans  busy_us  p50_us
    0      Ann        2       15       5
    1      Bob        1        5       5
    """
    columns = by_columns(by, SUMMARY_COLUMNS)
    require(spans, *columns)
    groups, lost = groups_of(spans, *columns), losses_of(spans)
    group, count = np.delete(groups.group, lost.rows), len(groups)
    groups_with_spans = np.flatnonzero(counts(group, count))  # the other groups have only loss markers
    measures = measures_per_group(recorded_spans(spans), *dense_ranks(group, count))
    values_by_column = {name: np.zeros(count, dtype=np.int64) for name in measures}
    for name, values in measures.items():
        values_by_column[name][groups_with_spans] = values
    values_by_column["n_lost"] = sums(groups.group[lost.rows], lost.n_spans, count)
    shares = {"share_active": ratio(values_by_column["active_us"], values_by_column["wall_us"])}
    shares |= {"share_parallel": ratio(values_by_column["parallel_us"], values_by_column["active_us"])}
    return pd.DataFrame({**groups.names(spans), **{name: (values_by_column | shares)[name] for name in SUMMARY_COLUMNS}})


def measures_per_group(spans: pd.DataFrame, group: Int64Array, count: int) -> Mapping[str, Int64Array]:
    """The measures of each group; no group may be empty."""
    start, end = times_of(spans)
    states = states_of(spans)
    row, work_start, work_end = states.work()
    active, parallel, peak = active_parallel_peak(group[row], count, work_start, work_end)
    wall = difference(highest_of(group, end, count), lowest_of(group, start, count))
    person, waiting = (time_beside_work(states, group, active, *waits) for waits in ((PERSON,), (AGENT, PERSON)))
    with_status, status = field_values(spans, "status")
    p50, p95, longest = percentiles(group, difference(end, start), count, (50, 95, 100))
    return {
        "n_spans": counts(group, count),
        "n_agents": distinct_counts(group, count, spans["agent_id"]),
        "n_locations": distinct_counts(group, count, spans["location_id"]),
        "wall_us": wall,
        "active_us": active,
        "person_us": person,
        "idle_us": wall - active - person,
        "parallel_us": parallel,
        "busy_us": sums(group[row], difference(work_end, work_start), count),
        "waiting_us": waiting,
        "peak": peak,
        "n_errors": counts(group[with_status[[value == "error" for value in status]]], count),
        "p50_us": p50,
        "p95_us": p95,
        "longest_us": longest,
    }


def time_beside_work(states: States, group: Int64Array, active: Int64Array, *waits: int) -> Int64Array:
    """The time of each group in which no span works and one waits in one of these states; ``active`` is the time of work."""
    if not np.isin(states.state, waits).any():
        return np.zeros_like(active)
    row, start, end = states.pieces(WORK, *waits)
    group, start, end = union(group[row], start, end)
    return sums(group, end - start, len(active)) - active


def active_parallel_peak(
    group: Int64Array, count: int, start: Int64Array, end: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """For each group: the time in which one or more intervals run, in which two or more run, and the largest number at once."""
    group, time, running = running_counts(group, start, end)
    duration = np.append(time[1:], time[-1:]) - time
    active, parallel = running > 0, running > 1
    peak = np.maximum(highest_of(group, running, count), 0)  # 0 for groups with only instants
    return sums(group[active], duration[active], count), sums(group[parallel], duration[parallel], count), peak


def distinct_counts(group: Int64Array, count: int, names: pd.Series) -> Int64Array:
    """Number of distinct names in each group."""
    name = ranks_of(names)
    n_names = count_ranks(name)
    pair, size = dense_ranks(group * n_names + name, count * n_names)
    of_pair = np.zeros(size, dtype=np.int64)
    of_pair[pair] = group
    return counts(of_pair, count)
