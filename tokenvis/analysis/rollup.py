"""Rollup: a trace in time buckets of equal length, as a table for plots over time and for other tools.

Buckets start at the trace's first start and are contiguous. Busy time is the work in `self_spans`, clipped to each bucket;
single values of a span (its start, its tokens) count in the bucket in which the span starts.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, name_list, quoted
from tokenvis.spans.columns import is_integer, ranks_of, require, times_of
from tokenvis.spans.fields import field_numbers
from tokenvis.spans.groups import by_columns, groups_of
from tokenvis.spans.integers import Float64Array, Int64Array, count_ranks, counts, difference, highest_of, lowest_of, sums
from tokenvis.spans.intervals import number_in_run
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.relations import Relations, relations_of
from tokenvis.tree.states import states_of
from tokenvis.tree.tokens import FIGURE_KEYS, usage_of

MAX_ROLLUP_ROWS = 10_000_000
ROLLUP_COLUMNS = ("time", "busy_us", "n_started", "running")


def rollup(
    spans: pd.DataFrame, every: int | str, *, by: str | Iterable[str] | None = None, values: str | Iterable[str] = ()
) -> pd.DataFrame:
    """Busy time, number of starts and sums of values in each time bucket.

    Parameters
    ----------
    spans
        A frame of spans.
    every
        Length of a bucket: an integer number of µs, or a text such as ``"1s"``, ``"5min"``, as for `pandas.Timedelta`.
    by
        A column, or several, whose values form groups within each trace; each group has all buckets of its trace.
    values
        Numeric columns or keys of ``data`` to add up, such as ``"gen_ai.usage.output_tokens"``; token counts and
        ``gen_ai.usage.cost`` are counted once, as in `usage`.

    Returns
    -------
    DataFrame
        A row for each bucket (and group), ordered by trace_id, time, and the values of ``by``:

        ``trace_id`` (category); ``time`` (int64, µs): start of the bucket; the columns of ``by`` (unchanged);
        ``busy_us`` (int64, µs): sum of the time that spans work within the bucket; ``n_started`` (int64): starts in it;
        ``running`` (float64): busy_us / every, the mean number of spans that work; and for each key of ``values`` a column
        (Int64 or Float64): the sum over the spans that start in the bucket, missing in groups that never have the key.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, lacks a column of ``by``, or a value is not a number, except for token counts and
        costs, which are then left out.
    BadOption
        If ``every`` is not a length of time, the table would have more than ten million rows, or ``by`` or ``values`` has the
        name of a column of the result.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 15], "end_time": [20, 25], "data": ['{"tokens": 7}', None],
    ... })
    >>> rollup(spans, 10, values="tokens")
      trace_id  time  busy_us  n_started  running  tokens
    0        t     0       10          1      1.0       7
    1        t    10       15          1      1.5       0
    2        t    20        5          0      0.5       0
    """
    width = microseconds_of(every)
    keys = name_list("values", values)
    columns = by_columns(by, (*ROLLUP_COLUMNS, *keys))
    if set(keys) & {*ROLLUP_COLUMNS, *columns}:
        raise BadOption(f"values={quoted(keys)} has the name of a column of the result.")
    require(spans, *columns)
    spans = recorded_spans(spans)
    groups = groups_of(spans, *columns)
    start, end = times_of(spans)
    trace = ranks_of(spans["trace_id"])
    origin, n_buckets = buckets_of(trace, count_ranks(trace), start, end, width)
    size = n_buckets[trace[groups.first]]
    n_rows = sum(size.tolist())
    if n_rows > MAX_ROLLUP_ROWS:
        raise BadOption(
            f"every={quoted(every)} would make {n_rows:,} rows; the limit is {MAX_ROLLUP_ROWS:,}. Use longer buckets."
        )
    base = np.cumsum(size) - size
    relations = relations_of(spans, links=False)
    row, work_start, work_end = states_of(spans, relations).work()
    offset = origin[trace[row]]
    busy = busy_per_bucket(base[groups.group[row]], work_start - offset, difference(work_end, offset), width, n_rows)
    bucket = base[groups.group] + (start - origin[trace]) // width
    started = counts(bucket, n_rows)
    group = np.repeat(np.arange(len(groups)), size)
    bucket_index = number_in_run(size)
    of_trace = trace[groups.first][group]
    order = np.lexsort((group, bucket_index, of_trace))
    names = groups.names(spans, group[order])
    table = {"trace_id": names.pop("trace_id"), "time": (origin[of_trace] + bucket_index * width)[order], **names}
    table |= {"busy_us": busy[order], "n_started": started[order], "running": busy[order] / width}
    for key, column in numbers_by_key(spans, keys, relations).items():
        table[key] = sums_per_bucket(column, groups.group, group, bucket)[order]
    return pd.DataFrame(table)


def numbers_by_key(spans: pd.DataFrame, keys: list[str], relations: Relations) -> dict[str, pd.Series]:
    """A column of numbers for each key, missing where a span has none; token counts and costs are counted once."""
    figures = {key: name for name, key in FIGURE_KEYS.items() if key in keys}
    columns = field_numbers(spans, [key for key in keys if key not in figures])
    if figures:
        usage = usage_of(spans, relations.parents())
        for key, name in figures.items():
            counted = pd.Series(usage[name].counted, dtype="Float64" if name == "cost" else "Int64")
            columns[key] = counted.where(usage[name].present)
    return {key: columns[key] for key in keys}


def microseconds_of(every: int | str) -> int:
    """A length of time in µs; `BadOption` if it is not a positive integer number of µs."""
    if isinstance(every, str):
        try:
            nanoseconds = pd.Timedelta(every).value
        except ValueError:
            nanoseconds = 0
        width, rest = divmod(nanoseconds, 1000)
    else:
        width, rest = (int(every), 0) if is_integer(every) else (0, 0)
    if width < 1 or rest or width >= 2**63:
        raise BadOption(
            f"every={quoted(every)} is not a bucket length: a positive integer number of µs, or a text such as '1s'."
        )
    return width


def buckets_of(
    trace: Int64Array, n_traces: int, start: Int64Array, end: Int64Array, width: int
) -> tuple[Int64Array, Int64Array]:
    """The first start of each trace, and the number of buckets up to the last microsecond that one of its spans covers."""
    origin, last = lowest_of(trace, start, n_traces), highest_of(trace, np.where(end > start, end - 1, start), n_traces)
    return origin, difference(last, origin) // width + 1


def busy_per_bucket(base: Int64Array, start: Int64Array, end: Int64Array, width: int, n_buckets: int) -> Int64Array:
    """The total time of intervals in each bucket; ``base`` is the first bucket of each interval's group."""
    non_empty = end > start
    base, start, end = base[non_empty], start[non_empty], end[non_empty]
    first, last = start // width, (end - 1) // width
    within = first == last
    head = np.where(within, end - start, (first + 1) * width - start)
    tail = (end - last * width)[~within]
    partial = sums(np.concatenate([base + first, (base + last)[~within]]), np.concatenate([head, tail]), n_buckets)
    full = np.zeros(n_buckets + 1, dtype=np.int64)
    np.add.at(full, (base + first)[~within] + 1, 1)
    np.add.at(full, (base + last)[~within], -1)
    full = np.cumsum(full[:-1])
    if n_buckets and (full.astype(float) * width + partial).max() >= 2**63 - 2**12:
        raise BadSpan("The busy time of a bucket does not fit into a 64-bit integer.")
    busy: Int64Array = full * width + partial
    return busy


def sums_per_bucket(column: pd.Series, group: Int64Array, bucket_group: Int64Array, bucket: Int64Array) -> pd.Series:
    """Sums of a column of numbers in each bucket; missing for groups without any number."""
    present = column.notna().to_numpy()
    if column.dtype == "Int64":
        total: Int64Array | Float64Array = sums(bucket[present], column[present].to_numpy(dtype=np.int64), len(bucket_group))
    else:
        total = np.bincount(bucket[present], weights=column[present].to_numpy(dtype=float), minlength=len(bucket_group))
    result = pd.Series(total, dtype=column.dtype)
    return result.mask(~np.isin(bucket_group, group[present]))
