"""Summary: the size of a trace, and how parallel it was.

Three times are told apart. Wall is the time from the first start to the last end; active is the time in which something runs;
busy adds up what every span took. Active and busy are those of `self_spans`, so that a parent and its child of the same agent
are not counted twice. Durations (p50, p95, longest) are those of the spans as they are. All of it is about the spans that were
recorded; how many were lost stands beside it.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, require, times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import by_columns, dense, groups_of, ratio
from tokenvis.spans.integers import Int64Array, counts, difference, highest_of, lowest_of, percentiles, sums
from tokenvis.spans.intervals import steps
from tokenvis.spans.losses import losses_of, work_of
from tokenvis.spans.nesting import pieces_of

ANSWER = (
    *("n_spans", "n_agents", "n_locations", "wall_us", "active_us", "busy_us", "share_active", "peak", "share_parallel"),
    *("n_errors", "n_lost", "p50_us", "p95_us", "longest_us"),
)


def summary(spans: pd.DataFrame, *, by: str | Iterable[str] | None = None) -> pd.DataFrame:
    """The size of each trace, or of each group of spans in it, and how parallel it was.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        A column, or several, whose values make groups within each trace: ``"agent_id"``, ``"location_id"``, or one from
        `expand_data`. Spans that lack the value are a group too.

    Returns
    -------
    DataFrame
        A row for each trace, or group, ordered by trace_id and the values of ``by``, a missing one last:

        ``trace_id`` (category), the columns of ``by`` (as they are);
        ``n_spans, n_agents, n_locations`` (int64);
        ``wall_us`` (int64, µs): from the first start to the last end, of a group its own;
        ``active_us`` (int64, µs): in which at least one span runs; ``busy_us`` (int64, µs): of all spans, added up;
        ``share_active`` (Float64): active / wall; ``peak`` (int64): the most spans that run at once;
        ``share_parallel`` (Float64): the time in which two or more run / active; a ratio of nothing is missing;
        ``n_errors`` (int64): spans with ``status`` "error" in ``data``;
        ``n_lost`` (int64): spans that could not be recorded: nothing else here counts them, nor the marks that say so; a group
        of such marks alone is all 0;
        ``p50_us, p95_us, longest_us`` (int64, µs): durations of spans; percentiles by nearest rank.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks a column of ``by``, or has times that do not fit into 63 bits.
    BadOption
        Where ``by`` has the name of a column of the answer.

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
    columns = by_columns(by, ANSWER)
    require(spans, *columns)
    groups, lost = groups_of(spans, *columns), losses_of(spans)
    group, count = np.delete(groups.group, lost.rows), len(groups)
    there = np.flatnonzero(counts(group, count))  # the others are marks alone
    figures = figures_of(work_of(spans), *dense(group, count))
    whole = {name: np.zeros(count, dtype=np.int64) for name in figures}
    for name, values in figures.items():
        whole[name][there] = values
    whole["n_lost"] = sums(groups.group[lost.rows], lost.number, count)
    shares = {"share_active": ratio(whole["active_us"], whole["wall_us"])}
    shares |= {"share_parallel": ratio(whole["parallel_us"], whole["active_us"])}
    return pd.DataFrame({**groups.names(spans), **{name: (whole | shares)[name] for name in ANSWER}})


def figures_of(spans: pd.DataFrame, group: Int64Array, count: int) -> Mapping[str, Int64Array]:
    """All that is counted or measured in each of the groups, none of which is empty."""
    start, end = times_of(spans)
    row, piece_start, piece_end = pieces_of(spans)
    active, parallel, peak = load(group[row], count, piece_start, piece_end)
    wrong, status = field_values(spans, "status")
    p50, p95, longest = percentiles(group, difference(end, start), count, (50, 95, 100))
    return {
        "n_spans": counts(group, count),
        "n_agents": distinct(group, count, spans["agent_id"]),
        "n_locations": distinct(group, count, spans["location_id"]),
        "wall_us": difference(highest_of(group, end, count), lowest_of(group, start, count)),
        "active_us": active,
        "parallel_us": parallel,
        "busy_us": sums(group[row], difference(piece_end, piece_start), count),
        "peak": peak,
        "n_errors": counts(group[wrong[[value == "error" for value in status]]], count),
        "p50_us": p50,
        "p95_us": p95,
        "longest_us": longest,
    }


def load(group: Int64Array, count: int, start: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Of each group: the time in which one interval or more run, that in which two or more do, and the most that do."""
    group, time, running = steps(group, start, end)
    lasts = np.append(time[1:], time[-1:]) - time
    some, several = running > 0, running > 1
    peak = np.maximum(highest_of(group, running, count), 0)  # 0 where nothing but instants is
    return sums(group[some], lasts[some], count), sums(group[several], lasts[several], count), peak


def distinct(group: Int64Array, count: int, names: pd.Series) -> Int64Array:
    """How many names occur in each group."""
    codes, labels = codes_of(names)
    pair, size = dense(group * len(labels) + codes, count * len(labels))
    of_pair = np.zeros(size, dtype=np.int64)
    of_pair[pair] = group
    return counts(of_pair, count)
