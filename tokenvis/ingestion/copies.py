"""Copies: spans that the store has in one trace although they belong to another, because they were read before the original.

A session that continues another one begins with a copy of it. If it is read without the original, the copy counts. As soon as
the store has the original too, the copied spans are deleted.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.store.store import Store

REMOVED_COPIES = "copied spans that the store had beside their originals; they were deleted"


def stored_ids(store: Store, traces: Iterable[str]) -> set[str]:
    """The ids of all spans in those of the traces that the store has."""
    wanted = set(traces)
    known = sorted(wanted & {row[0] for row in store.select_traces()}) if wanted else []
    return set(store.select_spans(known).values["id"].tolist()) if known else set()


def outdated_sources(store: Store, reading: Reading, read: Iterable[Path]) -> list[Source]:
    """The sources that continue a session, if the store has copies from them; without those in ``read``."""
    continuations = [each for each in reading.continued_by if each.path not in set(read)]
    stored = stored_ids(store, (each.trace_id for each in continuations))
    return [reading.source.sibling(each.path) for each in continuations if not stored.isdisjoint(each.copies)]


def delete_copies(store: Store, readings: Iterable[Reading]) -> int:
    """Delete the copies whose originals the store has; returns their number."""
    n_deleted = 0
    for reading in readings:
        originals = stored_ids(store, {trace for _, trace in reading.copies.values()}) if reading.copies else set()
        copies = [copy for copy, (original, _) in reading.copies.items() if original in originals]
        if copies and stored_ids(store, [reading.trace_id]).intersection(copies):
            n_deleted += store.delete_spans(reading.trace_id, copies, drop_empty=True).removed
    return n_deleted
