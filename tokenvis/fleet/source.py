"""Sources: where a fleet's traces are: a folder of Parquet files, a database, a store.

A source hands out whole traces as Arrow tables with the columns of a frame, so that memory holds one part at a time.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import pandas as pd
import pyarrow as pa

PART_SPANS = 100_000  # what a part holds about; a question costs least per span from here on


class Part(NamedTuple):
    """A part of a source: some whole traces.

    ``place`` says where they are, in the source's own terms; it can be pickled, and read by a copy of the source in another
    process. ``trace_ids`` are sorted by their UTF-8 bytes, which is the order of Python's texts.
    """

    trace_ids: list[str]
    n_spans: int
    place: Any


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

    def __str__(self) -> str:
        """The place, as its user knows it, without a password."""
