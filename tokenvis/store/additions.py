"""Additions: spans of many traces, added in one transaction, with the counts of each trace.

Rows are written trace by trace over one statement, so that a trace of one span costs little more than its row.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Connection, delete, select, type_coerce
from sqlalchemy.types import NullType

from tokenvis.store.connections import driver_of
from tokenvis.store.rows import SPAN_COLUMNS, put_trace, trace_ids_of_spans, tuples_of, upsert_for
from tokenvis.store.scan import invalidate_watermarks, is_one_of
from tokenvis.store.schema import Span


class Addition(NamedTuple):
    """The numbers of spans of a trace that were added, updated and unchanged."""

    trace_id: str
    added: int
    updated: int
    unchanged: int


def add_rows_of_traces(
    connection: Connection, rows: pd.DataFrame, names: Mapping[str, str]
) -> tuple[list[Addition], dict[str, str]]:
    """Add checked rows, or update those with the same id; returns the counts, and the skipped ids with their owners.

    A row is skipped if its id belongs to another trace, in the database or by an earlier row.
    """
    existing = trace_ids_of_spans(connection, rows["id"].tolist())
    first = rows.drop_duplicates("id")
    owner = rows["id"].map({**dict(zip(first["id"], first["trace_id"].astype("str"), strict=True)), **existing})
    is_foreign = (owner != rows["trace_id"].astype("str")).to_numpy(dtype=bool)
    own = rows[~is_foreign].sort_values("trace_id", kind="stable")
    sizes = own.groupby("trace_id", observed=True, sort=False)["id"].size()
    n_existing = own["id"].isin(existing).groupby(own["trace_id"], observed=True, sort=False).sum()
    statement, driver, tuples = upsert_for(connection), driver_of(connection), tuples_of(own)
    counts = []
    for trace, n_rows, n_old in zip(map(str, sizes.index), sizes.tolist(), n_existing.tolist(), strict=True):
        put_trace(connection, trace, names.get(trace))
        before = driver.total_changes
        driver.executemany(statement, islice(tuples, n_rows))
        updated = driver.total_changes - before - (n_rows - n_old)
        counts.append(Addition(trace, n_rows - n_old, updated, n_old - updated))
    return counts, dict(zip(rows["id"][is_foreign], owner[is_foreign], strict=True))


def unchanged_rows(connection: Connection, rows: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Those of ``rows`` whose span is in the database as ``before``, row by row, has it."""
    columns = [type_coerce(Span.__table__.c[name], NullType()) for name in SPAN_COLUMNS]
    found = connection.execute(select(*columns).where(is_one_of(Span.id, before["id"])))
    stored = {row[0]: tuple(row) for row in found}
    is_same = [stored.get(row[0]) == row for row in tuples_of(before[SPAN_COLUMNS])]
    return rows[pd.Series(is_same, index=rows.index, dtype=bool)]


def remove_former(connection: Connection, former: Iterable[tuple[str, str]]) -> None:
    """Remove rows under ids, given with their traces, that their spans no longer have."""
    traces: dict[str, list[str]] = {}
    for trace, span in former:
        traces.setdefault(trace, []).append(span)
    removed = [
        connection.execute(delete(Span).where(Span.trace_id == trace, is_one_of(Span.id, ids))).rowcount
        for trace, ids in traces.items()
    ]
    if any(removed):
        invalidate_watermarks(connection)
