"""Following: the spans of a trace, kept as they are in the store while others write to it.

A look at the store costs little: where the file has not been written to, a question to the file system; else a query, by the
numbers of the rows, for what is new or changed, which is put into the frame that is there already.
"""

import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from tokenvis.spans.columns import COLUMNS, NAMES, names
from tokenvis.store.connections import log_of
from tokenvis.store.database import Target
from tokenvis.store.load import frame_of, ordered_frame, tell_faults
from tokenvis.store.scan import Changes, Mark
from tokenvis.store.store import Store, opened

SETTLED = 2_000_000_000  # ns after which the time of a file tells a further write from the last one, on every file system

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class Following:
    """The spans of a trace, and how to keep up with them.

    Parameters
    ----------
    trace
        A trace's id or exact name. A name stands for every trace that has it, then or later; each is followed by its id, and
        goes on being followed where it is renamed.
    store
        A `Store`, a path or URL, or None for the default database.

    Attributes
    ----------
    spans : DataFrame
        The spans as of the last look, as `load_spans` gives them. A look makes a new frame, and leaves the old one as it is.

    Raises
    ------
    TraceNotFound, StoreNotFound, StoreError, BadSpan
        As `load_spans` does.
    """

    def __init__(self, trace: str, store: Store | Target = None) -> None:
        self.trace = trace
        self._store = opened(store, create=False)
        self._stamp: Stamp | None = None
        self._mark: Mark | None = None
        self._ids: dict[str, None] = {}  # of every trace that was found, in that order
        self.spans = pd.DataFrame()
        self.look()

    def look(self) -> bool:
        """Look at the store; whether any span is new, changed, or gone. After an error, ``spans`` are as they were."""
        stamp = stamp_of(self._store.path)
        if stamp is not None and stamp == self._stamp:
            return False
        self._stamp = None
        changes = self._changes(self._mark)
        if changes.whole or not len(changes.columns.values["id"]):
            spans = frame_of(changes.columns) if changes.whole else self.spans
        else:
            spans = merged(self.spans, frame_of(changes.columns))
        if len(spans) != changes.mark.n_spans:  # another program has taken some away
            changes = self._changes(None)
            spans = frame_of(changes.columns)
        before, self.spans, self._mark, self._stamp = self.spans, spans, changes.mark, stamp
        return spans is not before and not spans.equals(before)

    def _changes(self, since: Mark | None) -> Changes:
        """What the store has since a mark; `BadSpan` where a row of it breaks a rule."""
        changes = self._store.select_changes([self.trace], since, also=self._ids)
        self._ids |= dict.fromkeys(changes.mark.trace_ids)
        if changes.columns.faults:
            tell_faults(changes.columns.faults, self._store.path, skip_bad=False)
        return changes


def stamp_of(path: Path) -> Stamp | None:
    """What tells whether a database was written to: file and log, how large, and when last; None as long as that may not.

    Two writes in one tick of a file system's clock leave the same time.
    """
    stamp = []
    for file in (path, log_of(path)):
        try:
            found = file.stat()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if time.time_ns() - found.st_mtime_ns < SETTLED:
            return None
        stamp.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(stamp)


def merged(spans: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """The spans with those that are new or changed, in the order of a frame."""
    stays = np.flatnonzero(~spans["id"].isin(changed["id"]).to_numpy(dtype=bool))
    arrays: dict[str, Any] = {}
    for name in (*COLUMNS, *(["parent_id"] if "parent_id" in spans or "parent_id" in changed else [])):
        parts = [column_of(spans, name).take(stays), column_of(changed, name)]
        arrays[name] = names(union_categoricals(parts)) if name in NAMES else pd.concat(list(map(pd.Series, parts))).array
    if "parent_id" in arrays and arrays["parent_id"].isna().all():
        del arrays["parent_id"]
    return ordered_frame(arrays)


def column_of(spans: pd.DataFrame, name: str) -> Any:
    """A column's values; of parents that no span has, as many missing ones."""
    return spans[name].array if name in spans else pd.array([None] * len(spans), dtype="str")
