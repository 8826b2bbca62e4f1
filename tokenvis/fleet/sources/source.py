"""Sources: where a fleet's traces are: a folder of Parquet files, a database, a store.

A source hands out whole traces as Arrow tables with the columns of a frame, so that memory holds one part at a time.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

PART_SPANS = 100_000  # what a part holds about; a question costs least per span from here on


class Part(NamedTuple):
    """A part of a source: some whole traces.

    ``place`` says where they are, in the source's own terms; it can be pickled, and read by a copy of the source in another
    process. ``trace_ids`` are sorted by their UTF-8 bytes, which is the order of Python's texts.
    """

    trace_ids: list[str]
    n_spans: int
    place: Any


@runtime_checkable
class FleetSource(Protocol):
    """Where traces are. It can be pickled; a copy opens the same place."""

    def traces(self) -> pd.DataFrame:
        """All traces, newest first, with the columns and types of ``load_traces(details=True)``."""

    def parts(self, n_spans: int = PART_SPANS) -> list[Part]:
        """All traces that have spans, each in exactly one part; a part has about ``n_spans`` spans, or one larger trace.

        `FleetError` if a trace is in several places.
        """

    def read(self, part: Part) -> pa.Table:
        """The spans of a part: ``id, trace_id, agent_id, location_id, start_time, end_time, data``, each trace's rows together.

        Also ``parent_id``, if the source has it as a column.
        """

    def table_of(self, trace_ids: Iterable[str]) -> pa.Table:
        """The spans of these traces, as from `read`; `TraceNotFound` if there is none of an id."""

    def names_of(self, trace_ids: Iterable[str]) -> dict[str, str]:
        """The names of these traces, by id; a trace that has none may be missing."""

    def __str__(self) -> str:
        """The place, as its user knows it, without a password."""


def sorted_by_trace(table: pa.Table) -> pa.Table:
    """The rows sorted by trace; those of each trace keep their order."""
    trace_ids = pa.table({"trace_id": table.column("trace_id").cast(pa.large_string())})
    return table.take(pc.sort_indices(trace_ids, [("trace_id", "ascending")]))


def bounds_of_parts(counts: Any, n_spans: int) -> Iterator[tuple[int, int]]:
    """Positions [begin, end) of traces that have at most ``n_spans`` spans together, or of one larger trace.

    Examples
    --------
    >>> list(bounds_of_parts([2, 3, 9, 1, 1], 5))
    [(0, 2), (2, 3), (3, 5)]
    """
    before = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    begin = 0
    while begin < len(counts):
        end = max(begin + 1, int(np.searchsorted(before, before[begin] + n_spans, side="right")) - 1)
        yield begin, end
        begin = end
