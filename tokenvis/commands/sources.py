"""Sources: the spans of a file, read without the database, or of a stored trace."""

import sys
from pathlib import Path

import pandas as pd

from tokenvis.errors import IngestError, StoreNotFound, TraceNotFound, quoted
from tokenvis.ingestion.ingest import ingest
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store
from tokenvis.temporary import temporary_folder


def spans_to_show(source: str, database: str | None) -> pd.DataFrame:
    """The spans of a file, read without the database, or of a stored trace."""
    if not path_exists(source):
        try:
            return load_spans(source, store=database)
        except (StoreNotFound, TraceNotFound) as error:
            raise IngestError(f"{quoted(source)} is neither a file nor a trace. {error}") from None
    with temporary_folder() as folder, Store(folder / "sqlite.db") as store:
        report = ingest(source, store=store)
        if report.problems:
            print(report, file=sys.stderr)
        return report.spans()


def path_exists(source: str) -> bool:
    """Whether this is the path of a file or folder; False for text that cannot be a path."""
    try:
        return Path(source).exists()
    except (OSError, ValueError):
        return False
