"""What an ingest reads of the traces that a store has already, and how it changes them, beside adding spans."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import pandas as pd
from sqlalchemy import select

from tokenvis.store.additions import add_rows_of_traces, unchanged_rows
from tokenvis.store.connections import as_store_error
from tokenvis.store.scan import Arrays, chunks_of_traces, is_one_of
from tokenvis.store.schema import Trace
from tokenvis.store.sources import TraceSource, add_sources, remove_sources, rename_traces, sources_of
from tokenvis.store.store import Store, Written

RunNames: TypeAlias = Callable[[Iterable[TraceSource]], Mapping[str, str]]


def select_sources(store: Store, traces: Iterable[str]) -> tuple[list[TraceSource], dict[str, str]]:
    """The files that were read into these traces, given by id, and the names of those that the store has."""
    wanted = list(traces)
    with as_store_error(store.path), store._reading() as connection:
        named = connection.execute(select(Trace.id, Trace.name).where(is_one_of(Trace.id, wanted)))
        return sources_of(connection, wanted), {row.id: row.name for row in named}


class Naming(NamedTuple):
    """The names of the traces whose sources were put, and other traces that were renamed: from and to, by id."""

    names: dict[str, str]
    renamed: dict[str, tuple[str, str]]


def put_sources(
    store: Store,
    sources: Sequence[TraceSource],
    run_names: RunNames,
    *,
    new: Container[str] = (),
    outdated: Iterable[str] = (),
) -> Naming:
    """Remember that files were read into traces, and name all traces; ``outdated`` traces forget their other sources.

    ``run_names`` returns the names of traces, given all sources of the store. A trace that is not ``new`` and got its name
    otherwise keeps it: it was recorded, or a person renamed it.
    """
    with as_store_error(store.path), store._writing() as connection:
        current = {row.id: row.name for row in connection.execute(select(Trace.id, Trace.name))}
        before = {(source.trace_id, source.origin): source for source in sources_of(connection)}
        forgotten = {trace_id for trace_id, _ in before if trace_id not in current}.union(outdated)
        for trace_id in forgotten:
            remove_sources(connection, trace_id)
        add_sources(connection, sources)
        after = {key: source for key, source in before.items() if key[0] not in forgotten}
        after |= {(source.trace_id, source.origin): source for source in sources if source.trace_id in current}
        names = {trace: name for trace, name in run_names(after.values()).items() if current[trace] != name}
        is_old = any(trace in names for trace, _ in before)
        former = run_names(before.values()) if is_old else {}
        changed = {trace: name for trace, name in names.items() if trace in new or current[trace] == former.get(trace)}
        rename_traces(connection, changed.items())
    own = [trace for trace in dict.fromkeys(source.trace_id for source in sources) if trace in current]
    others = {trace: (current[trace], name) for trace, name in changed.items() if trace not in own}
    return Naming({trace: changed.get(trace, current[trace]) for trace in own}, others)


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
