"""Re-batching: Arrow batches of any size, as an engine hands them over, as tables in which each trace is whole.

The rows of a trace must follow each other. A table ends with the last row of a trace, once it has enough rows; the rows after
it wait for the next batch. So memory holds one table and one batch. A trace whose rows come again after those of another would
get two answers, each of them wrong: it is an error. A trace that the engine has given to several tasks is noticed if its rows
tell how many there are, as those of a fleet's files do (`n_spans`).
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import FleetError, quoted
from tokenvis.fleet.sources.source import PART_SPANS, sorted_by_trace
from tokenvis.spans.integers import Int64Array

MAX_TABLE_BYTES = 512 << 20  # with long texts, a table has fewer rows
SORT_HINT = (
    'Sort the rows by trace_id first: in Spark, df.repartition("trace_id").sortWithinPartitions("trace_id"); '
    'in Dask, df.shuffle("trace_id"); in SQL, ORDER BY trace_id.'
)


class Runs(NamedTuple):
    """The traces of consecutive rows: their ids, None for a missing one, and the row after the last of each."""

    trace_ids: list[str | None]
    ends: Int64Array


def runs_of(rows: pa.Table | pa.RecordBatch) -> Runs:
    """The traces of these rows, in their order."""
    column = rows.column("trace_id")
    texts = column.cast(pa.large_string())
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    runs = pc.run_end_encode(texts, run_end_type=pa.int64())
    return Runs(runs.values.to_pylist(), runs.run_ends.to_numpy())


def with_traces_together(table: pa.Table) -> pa.Table:
    """The rows, those of each trace together; sorted by trace if they are apart."""
    trace_ids = runs_of(table).trace_ids
    return table if len(set(trace_ids)) == len(trace_ids) else sorted_by_trace(table)


def whole_traces(batches: Iterable[pa.RecordBatch], n_spans: int = PART_SPANS) -> Iterator[pa.Table]:
    """Tables of whole traces, of about ``n_spans`` rows each but the last; `FleetError` if the rows of a trace are apart.

    A trace with more rows is whole too, with a warning, because it needs memory for all of them.
    """
    seen: set[int] = set()  # hashes of the traces before the current one
    pending: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    current: list[str | None] = []  # the trace of the last row, once there is one
    for batch in slices_of(batches, n_spans):
        runs = runs_of(batch)
        begins_trace = not current or runs.trace_ids[0] != current[0]
        for trace_id in runs.trace_ids if begins_trace else runs.trace_ids[1:]:
            end_trace(seen, current, trace_id)
        cut = 0 if len(runs.ends) == 1 else int(runs.ends[-2])  # where the last trace begins
        if (cut or begins_trace) and (n_rows + cut >= n_spans or n_bytes + batch.nbytes >= MAX_TABLE_BYTES):
            if n_rows + cut:
                yield told_if_large(pa.Table.from_batches([*pending, batch.slice(0, cut)]), n_spans)
            pending, n_rows, n_bytes, batch = [], 0, 0, batch.slice(cut)
        pending.append(batch)
        n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
    if pending:
        yield told_if_large(pa.Table.from_batches(pending), n_spans)


def slices_of(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.RecordBatch]:
    """The batches, none of them empty, and none with more rows."""
    for batch in batches:
        for first in range(0, len(batch), n_rows):
            yield batch.slice(first, n_rows)


def end_trace(seen: set[int], current: list[str | None], following: str | None) -> None:
    """Note that another trace follows the current one; `FleetError` if its rows have ended before."""
    if current:
        seen.add(hash(current[0]))
    if hash(following) in seen:
        raise FleetError(
            f"The rows of trace {quoted(following)} are apart: they come again after those of trace {quoted(current[0])}. "
            f"{SORT_HINT}"
        )
    current[:] = [following]


def told_if_large(table: pa.Table, n_spans: int) -> pa.Table:
    """The table, with a warning if one of its traces is larger than a table should be."""
    if len(table) > n_spans:
        trace_ids, ends = runs_of(table)
        sizes = np.diff(ends, prepend=0)
        if sizes.max() > n_spans:
            largest = quoted(trace_ids[int(sizes.argmax())])
            warnings.warn(
                f"Trace {largest} has {sizes.max():,} spans, more than the {n_spans:,} of a batch. "
                "It is answered whole, so the process needs memory for all of them.",
                stacklevel=2,
            )
    return table


def check_not_cut(table: pa.Table) -> None:
    """Raise `FleetError` if a table lacks spans of one of its traces, or has those of two files, as its ``n_spans`` tells."""
    if "n_spans" not in table.schema.names or not len(table):
        return
    trace_ids, ends = runs_of(table)
    told = table.column("n_spans").cast(pa.int64()).fill_null(-1).to_numpy()
    first = np.append(0, ends[:-1])
    found, expected = np.diff(ends, prepend=0), told[first]
    mixed = np.flatnonzero(np.minimum.reduceat(told, first) != np.maximum.reduceat(told, first))
    if len(mixed):
        raise FleetError(
            f"Trace {quoted(trace_ids[mixed[0]])} is in several files, which tell different numbers of its spans. "
            "Export it into one: tv.Fleet(...) names the files."
        )
    wrong = np.flatnonzero((found != expected) & (expected >= 0))
    if len(wrong):
        trace = int(wrong[0])
        raise FleetError(
            f"Trace {quoted(trace_ids[trace])} has {found[trace]:,} of its {expected[trace]:,} spans here: it was cut. "
            f"{SORT_HINT} If you left spans out on purpose, drop the column 'n_spans' too."
        )
