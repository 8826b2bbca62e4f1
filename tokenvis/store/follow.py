"""Following: the spans of a trace, kept up to date while other processes write to the store.

Polling is cheap: if the files have not changed since the last poll, it only reads their metadata; otherwise it selects new and
changed rows by rowid and merges them into the existing frame.
"""

import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from tokenvis.spans.columns import COLUMNS, NAMES, as_categorical, trace_names_in, with_trace_names
from tokenvis.store.connections import wal_path
from tokenvis.store.database import Target
from tokenvis.store.load import frame_of, ordered_frame, report_faults
from tokenvis.store.scan import ChangedSpans, Watermark
from tokenvis.store.store import Store, as_store

MTIME_RESOLUTION_NS = 2_000_000_000  # of the coarsest file systems: after this time, a new write has another modification time

DatabaseStamp: TypeAlias = tuple[tuple[int, int, int], ...]


class Following:
    """The spans of a trace, updated by polling the store.

    Parameters
    ----------
    trace
        A trace's id or exact name. A name selects every trace that has it, now or later; each is then followed by its id,
        also after it is renamed.
    store
        A `Store`, a path or URL, or None for the default database.

    Attributes
    ----------
    spans : DataFrame
        The spans at the last call of `look`, as `load_spans` returns them. `look` creates a new frame and never changes an
        old one.

    Raises
    ------
    TraceNotFound, StoreNotFound, StoreError, BadSpan
        As `load_spans` does.
    """

    def __init__(self, trace: str, store: Store | Target = None) -> None:
        self.trace = trace
        self._store = as_store(store, create=False)
        self._stamp: DatabaseStamp | None = None
        self._watermark: Watermark | None = None
        self._ids: dict[str, None] = {}  # ids of all traces found so far, in order
        self.spans = pd.DataFrame()
        self.look()

    def look(self) -> bool:
        """Poll the store; returns whether any span is new, changed or gone. After an error, ``spans`` are unchanged."""
        stamp = database_stamp(self._store.path)
        if stamp is not None and stamp == self._stamp:
            return False
        self._stamp = None
        changes = self._select_changes(self._watermark)
        if changes.is_complete or not len(changes.columns.values["id"]):
            spans = frame_of(changes.columns) if changes.is_complete else self.spans
        else:
            spans = with_changes(self.spans, frame_of(changes.columns))
        if len(spans) != changes.watermark.n_spans:  # another program removed spans
            changes = self._select_changes(None)
            spans = frame_of(changes.columns)
        before, self.spans, self._watermark, self._stamp = self.spans, spans, changes.watermark, stamp
        return spans is not before and not spans.equals(before)

    def _select_changes(self, since: Watermark | None) -> ChangedSpans:
        """The changed spans since a watermark; `BadSpan` if a row violates the schema."""
        changes = self._store.select_changes([self.trace], since, also=self._ids)
        self._ids |= dict.fromkeys(changes.watermark.trace_ids)
        if changes.columns.faults:
            report_faults(changes.columns.faults, self._store.path, skip_bad=False)
        return changes


def database_stamp(path: Path) -> DatabaseStamp | None:
    """Inode, size and modification time of the file and its WAL, which differ after a write; None if that is not certain yet.

    Two writes in one tick of a file system's clock have the same modification time.
    """
    stamp = []
    for file in (path, wal_path(path)):
        try:
            file_stat = file.stat()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if time.time_ns() - file_stat.st_mtime_ns < MTIME_RESOLUTION_NS:
            return None
        stamp.append((file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns))
    return tuple(stamp)


def with_changes(spans: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """The spans with new and changed spans merged in, in the order of a frame."""
    unchanged = np.flatnonzero(~spans["id"].isin(changed["id"]).to_numpy(dtype=bool))
    arrays: dict[str, Any] = {}
    for name in (*COLUMNS, *(["parent_id"] if "parent_id" in spans or "parent_id" in changed else [])):
        parts = [column_or_missing(spans, name).take(unchanged), column_or_missing(changed, name)]
        arrays[name] = (
            as_categorical(union_categoricals(parts)) if name in NAMES else pd.concat(list(map(pd.Series, parts))).array
        )
    if "parent_id" in arrays and arrays["parent_id"].isna().all():
        del arrays["parent_id"]
    return with_trace_names(ordered_frame(arrays), trace_names_in(spans) | trace_names_in(changed))


def column_or_missing(spans: pd.DataFrame, name: str) -> Any:
    """The values of a column, or missing values if the frame has no such column."""
    return spans[name].array if name in spans else pd.array([None] * len(spans), dtype="str")
