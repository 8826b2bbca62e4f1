"""Opening: the source of traces that a caller names: a frame, a store or its file, a folder, a database, or a fleet."""

import os
from typing import Any

import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.fleet.sources.folder import FolderSource
from tokenvis.fleet.sources.postgresql import POSTGRESQL_URL, PostgresSource
from tokenvis.fleet.sources.source import FleetSource
from tokenvis.fleet.sources.stored import FrameSource, StoreSource
from tokenvis.formats.export import checked_spans
from tokenvis.formats.files.sources import DATABASE_NAME
from tokenvis.store.store import Store, as_store


def opened_source(place: Any, filesystem: Any = None) -> FleetSource:
    """The source of traces at a place; `BadOption` if it is none."""
    if isinstance(place, pd.DataFrame):
        return FrameSource(checked_spans(place))
    if isinstance(place, Store):
        return StoreSource(place)
    if isinstance(place, str) and POSTGRESQL_URL.match(place):
        return PostgresSource(place)
    if isinstance(place, str | os.PathLike):
        is_database = filesystem is None and is_database_name(os.fspath(place))
        return StoreSource(as_store(place, create=False)) if is_database else FolderSource(place, filesystem)
    source: FleetSource = getattr(place, "source", place)  # of a fleet
    if not hasattr(source, "table_of"):
        raise BadOption(
            f"{quoted(place)} is no place of traces. Pass a folder of fleet files, the path or URL of a database, a Store, a "
            "frame of spans, or a Fleet."
        )
    return source


def is_database_name(path: str | bytes) -> bool:
    """Whether a path is that of a store: a URL of SQLite, a file of a usual name, or another file that is not Parquet."""
    text = os.fsdecode(path)
    if "://" in text or text.startswith("sqlite:"):
        return text.startswith("sqlite:")
    if "\0" in text or os.path.isdir(text):  # noqa: PTH112  (a path that is no text is refused later)
        return False
    return bool(DATABASE_NAME.search(text)) or (os.path.isfile(text) and not text.endswith(".parquet"))  # noqa: PTH113
