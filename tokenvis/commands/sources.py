"""Sources: the spans of files, read without the database in use, of all traces of another database, and of stored traces."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tokenvis.errors import IngestError, StoreNotFound, TraceNotFound, escaped, plural, quoted
from tokenvis.ingestion.ingest import ingest
from tokenvis.ingestion.report import MAX_LINES, Report
from tokenvis.runs.baseline import distinct_run_names, run_ids
from tokenvis.spans.columns import codes_of, times_of, trace_names_in
from tokenvis.spans.integers import lowest_of
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store
from tokenvis.temporary import temporary_folder

STDIN = "-"
SQLITE_START = b"SQLite format 3\0"


@dataclass(frozen=True)
class SourceRuns:
    """The spans of all sources, each run with an id of its own, and a row for each run, by source and start.

    ``table`` has ``trace_id``, that id; ``id_in_source``, which differs if another source has the same; ``name``;
    ``distinct_name``, as in `distinct_run_names`; and ``source``, the number of the source. ``problems`` says what could not
    be read, ``notes`` which files were no traces.
    """

    spans: pd.DataFrame
    table: pd.DataFrame
    problems: list[str]
    notes: list[str]


def read_runs(sources: Sequence[str], database: str | None) -> SourceRuns:
    """The runs of files, folders, archives, databases and stored traces; `IngestError` for one without spans."""
    frames: list[pd.DataFrame] = []
    tables: list[pd.DataFrame] = []
    problems: list[str] = []
    notes: list[str] = []
    for number, source in enumerate(sources):
        spans, report = (load_spans(store=source), None) if is_database(source) else read_source(source, database)
        if spans.empty:
            raise IngestError(f"{quoted(source)} has no spans.")
        taken = {trace_id for table in tables for trace_id in table["trace_id"]}
        table = runs_of_source(spans, taken).assign(source=number)
        own_ids = dict(zip(table["id_in_source"], table["trace_id"], strict=True))
        frames.append(spans.assign(trace_id=spans["trace_id"].astype("str").map(own_ids)) if taken else spans)
        tables.append(table)
        if report is not None:
            problems += problems_of(source, report)
            if n_others := report.skipped["files of unknown format"]:
                notes.append(f"{escaped(source)}: skipped files of unknown format: {n_others:,}.")
    spans, table = pd.concat(frames, ignore_index=True), pd.concat(tables, ignore_index=True)
    distinct = dict(zip(run_ids(spans), distinct_run_names(spans), strict=True))
    return SourceRuns(spans, table.assign(distinct_name=table["trace_id"].map(distinct)), problems, notes)


def runs_of_source(spans: pd.DataFrame, taken: set[str]) -> pd.DataFrame:
    """A row for each run of a source, by start and id: an id that is not ``taken``, its id in the source, and its name."""
    codes, labels = codes_of(spans["trace_id"])
    order = np.argsort(lowest_of(codes, times_of(spans)[0], len(labels)), kind="stable")
    names, rows = trace_names_in(spans), []
    for in_source in (str(labels[code]) for code in order.tolist()):
        trace_id, count = in_source, 1
        while trace_id in taken:
            count += 1
            trace_id = f"{in_source} ({count})"
        rows.append((trace_id, in_source, names.get(in_source, in_source)))
    return pd.DataFrame(rows, columns=["trace_id", "id_in_source", "name"])


def problems_of(source: str, report: Report) -> Iterator[str]:
    """What could not be read of a source, as lines."""
    yield from map(str, report.problems[:MAX_LINES])
    if len(report.problems) > MAX_LINES:
        yield f"{escaped(source)}: {plural(len(report.problems) - MAX_LINES, 'more problem')}."


def read_source(source: str, database: str | None) -> tuple[pd.DataFrame, Report | None]:
    """The spans of a file, folder or archive, or of stdin, and the report about them; or of a stored trace."""
    if source != STDIN and not path_exists(source):
        try:
            return load_spans(source, store=database), None
        except (StoreNotFound, TraceNotFound) as error:
            raise IngestError(f"{quoted(source)} is neither a file nor a trace. {error}") from None
    with temporary_folder() as folder, Store(folder / "sqlite.db") as store:
        report = ingest(sys.stdin.buffer if source == STDIN else source, store=store)
        return report.spans(), report


def is_database(source: str) -> bool:
    """Whether this is the path of a SQLite database."""
    try:
        with Path(source).open("rb") as file:
            return file.read(len(SQLITE_START)) == SQLITE_START
    except (OSError, ValueError):  # such as a folder, or the name of a trace
        return False


def path_exists(source: str) -> bool:
    """Whether this is the path of a file or folder; False for text that cannot be a path."""
    try:
        return Path(source).exists()
    except (OSError, ValueError):
        return False
