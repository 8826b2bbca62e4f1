"""Export: spans written to a file that other programs read.

What tokenvis wrote, `tokenvis.ingest` reads back span by span.
"""

import os
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from tokenvis.errors import BadOption, BadSpan, check_choice, listed, quoted
from tokenvis.formats.registry import SUFFIXES, WRITERS
from tokenvis.output import atomic_write, writable_path
from tokenvis.spans.columns import NAMES, as_spans, names, parent_names, require, texts
from tokenvis.spans.relations import identities

Format: TypeAlias = Literal["chrome", "otlp", "parquet", "csv", "jsonl"]


def export(
    spans: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002  (the word that everybody uses)
) -> Path:
    """Write spans to a file: for Perfetto, for OpenTelemetry, or as a table.

    The file is written as a whole, or not at all: where something is wrong, there is no new file, and one that was there is as
    it was. `tokenvis.ingest` reads each of these formats back.

    Parameters
    ----------
    spans
        A frame of spans, of one trace or of several.
    path
        The file. One that is there is replaced.
    format
        "chrome": trace events for ui.perfetto.dev, an agent as a process, a location as a thread, a link as an arrow.
        "otlp": a JSON document of OpenTelemetry. "parquet", "csv", "jsonl": a table, a row a span; in CSV, a text that a
        spreadsheet would run gets an apostrophe. By default what the file's name ends in says: ``.parquet``, ``.csv``,
        ``.jsonl``, ``.otlp.json`` (otlp), or any other ``.json`` (chrome).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, holds a span twice, or (otlp) a time before 1970.
    BadOption
        The format is none of these, or there can be no such file.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a"], "trace_id": "t", "agent_id": ["Ann"], "location_id": "desk", "start_time": [0], "end_time": [5],
    ... })
    >>> print(export(spans, "spans.csv").read_text())
    id,trace_id,agent_id,location_id,start_time,end_time,data
    a,t,Ann,desk,0,5,
    """
    place = writable_path(path)
    write = WRITERS[format_of(place, format)]
    frame = checked(spans)
    with atomic_write(place) as file:
        write(frame, file)
    return place


def format_of(place: Path, format: str | None) -> str:  # noqa: A002
    """The format that was asked for, else the one that the file's name ends in; `BadOption` where there is none."""
    if format is not None:
        check_choice("format", format, WRITERS)
        return format
    ending = next((suffix for suffix in SUFFIXES if place.name.lower().endswith(suffix)), None)
    if ending is None:
        raise BadOption(
            f"path={quoted(str(place))} does not tell a format: its name ends in none of {listed(SUFFIXES)}. "
            f"Or give format=, one of: {listed(WRITERS)}."
        )
    return SUFFIXES[ending]


def checked(spans: pd.DataFrame) -> pd.DataFrame:
    """A frame of spans with texts as ``str`` and names as Categorical, each span once; ``data`` as it comes."""
    require(spans)
    as_spans(spans.iloc[:0])  # refuses a column that a span has no place for
    for name in NAMES:
        texts(spans[name].drop_duplicates())
    frame = spans.assign(id=texts(spans["id"]), **{name: names(spans[name]) for name in NAMES})
    if "parent_id" in frame.columns:
        frame = frame.assign(parent_id=parent_names(frame["parent_id"]))
    twice = pd.Series(identities(frame)[0]).duplicated().to_numpy()
    if twice.any():
        span, trace = (quoted(str(frame[name].iloc[int(twice.argmax())])) for name in ("id", "trace_id"))
        raise BadSpan(f"Span {span} stands in several rows of trace {trace}. Give each span once, and whole: no pieces of it.")
    return frame
