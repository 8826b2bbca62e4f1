"""What an ingest reads of the traces that a store has already, and how it changes them, beside adding spans."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from tokenvis.store.additions import add_rows_of_traces, unchanged_rows
from tokenvis.store.connections import as_store_error
from tokenvis.store.scan import Arrays, chunks_of_traces
from tokenvis.store.sources import TraceSource, add_sources, remove_sources, sources_of
from tokenvis.store.store import Store, Written


def select_sources(store: Store, traces: Iterable[str]) -> list[TraceSource]:
    """The files that were read into these traces, given by id."""
    with as_store_error(store.path), store._reading() as connection:
        return sources_of(connection, traces)


def put_sources(
    store: Store, sources: Sequence[TraceSource], names: Mapping[str, str], *, outdated: Iterable[str] = ()
) -> None:
    """Remember that files were read into traces, which get these names; ``outdated`` traces forget their other sources."""
    with as_store_error(store.path), store._writing() as connection:
        for trace_id in outdated:
            remove_sources(connection, trace_id)
        add_sources(connection, sources, names)


def select_rows(store: Store, traces: Iterable[str]) -> Iterator[Arrays]:
    """The rows of traces, given by id, as columns, in chunks of limited memory."""
    with as_store_error(store.path), store._reading() as connection:
        yield from chunks_of_traces(connection, traces)


def revise_spans(store: Store, rows: pd.DataFrame, before: pd.DataFrame) -> list[Written]:
    """Replace rows by rows of the same ids, except those that no longer are as ``before`` has them."""
    with as_store_error(store.path), store._writing() as connection:
        unchanged = unchanged_rows(connection, rows, before)
        additions, _ = add_rows_of_traces(connection, unchanged, {})
    return [Written(store.path, *addition) for addition in additions]
