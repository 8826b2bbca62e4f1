"""Export: writes spans to a file that other programs read.

`tokenvis.ingest` reads every exported file back, span by span: each format carries all columns of a frame, or `export_file`
refuses the value that it cannot carry.
"""

import os
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from pandas.util import hash_array

from tokenvis.errors import BadOption, BadSpan, check_choice, listed, quoted
from tokenvis.formats.registry import SUFFIXES, WRITERS
from tokenvis.output import atomic_write, writable_path
from tokenvis.spans.bad_rows import first_bad, span_at
from tokenvis.spans.columns import NAMES, YEAR_10000, as_categorical, as_spans, as_text, parent_ids, ranks_of, require, times_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import PAYLOADS_PER_CHUNK
from tokenvis.spans.redaction import CONTENTS, Content, Redactor
from tokenvis.tree.relations import identities

Format: TypeAlias = Literal["chrome", "otlp", "parquet", "csv", "jsonl"]
TEXT_TABLES = ("csv", "jsonl")  # their times may be of any program, so a reader refuses those beyond the calendar


class Exported(NamedTuple):
    """An exported file, and how many texts were shortened or removed because of ``content``."""

    path: Path
    n_cut: int


def export_file(
    spans: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002
    content: Content = "full",
) -> Exported:
    """Write spans to a file, as `tokenvis.export` does, and count the texts that were cut."""
    check_choice("content", content, CONTENTS)
    target = writable_path(path)
    format_name = export_format(target, format)
    frame = checked_spans(spans)
    if format_name in TEXT_TABLES:
        check_calendar(frame, format_name)
    redactor = Redactor(content)
    with atomic_write(target) as file:
        WRITERS[format_name](frame, file, None if content == "full" else redactor)
    return Exported(target, redactor.n_cut)


def check_calendar(spans: pd.DataFrame, format_name: str) -> None:
    """Raise `BadSpan` for a time that the reader of a table takes for one in another unit."""
    for verb, times in zip(("starts", "ends"), times_of(spans), strict=True):
        is_beyond = (times >= YEAR_10000) | (times <= -YEAR_10000)
        if is_beyond.any():
            row, others = first_bad(is_beyond)
            raise BadSpan(
                f"Span {span_at(spans, row)} {verb} at {times[row]}: times in {format_name!r} end with the year "
                f"9999, because times beyond it are mostly in another unit.{others} "
                "Shift the times, or export them as 'parquet' or 'chrome'."
            )


def export_format(path: Path, format: str | None) -> str:  # noqa: A002
    """The requested format, else the format of the file's suffix; `BadOption` if there is none."""
    if format is not None:
        check_choice("format", format, WRITERS)
        return format
    path_suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if path_suffix is None:
        raise BadOption(
            f"path={quoted(str(path))} has none of the suffixes {listed(SUFFIXES)}. "
            f"Use one of them, or pass format=, one of: {listed(WRITERS)}."
        )
    return SUFFIXES[path_suffix]


def checked_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The frame with texts as ``str`` and names as Categorical; `BadSpan` if a span occurs twice. ``data`` is not checked."""
    require(spans)
    as_spans(spans.iloc[:0])  # raises for a column that spans cannot have
    for name in NAMES:
        as_text(spans[name].drop_duplicates(), spans)
    frame = spans.assign(id=as_text(spans["id"], spans), **{name: as_categorical(spans[name]) for name in NAMES})
    if "parent_id" in frame.columns:
        frame = frame.assign(parent_id=parent_ids(frame["parent_id"], frame))
    similar = frame[["id", "trace_id"]].iloc[rows_with_equal_hashes(frame)]
    duplicated = pd.Series(identities(similar)[0]).duplicated().to_numpy()
    if duplicated.any():
        span, trace = (quoted(str(similar[name].iloc[int(duplicated.argmax())])) for name in ("id", "trace_id"))
        raise BadSpan(
            f"Span {span} is in several rows of trace {trace}. Pass each span once, uncut: not the pieces of self_spans()."
        )
    return frame


def rows_with_equal_hashes(spans: pd.DataFrame) -> Int64Array:
    """Rows whose trace and id have the hash of another row, so may be equal: it takes less memory than a table of ids."""
    ids, trace = spans["id"], ranks_of(spans["trace_id"])
    hashes = np.empty(len(ids), dtype=np.uint64)
    for first in range(0, len(ids), PAYLOADS_PER_CHUNK):
        rows = slice(first, first + PAYLOADS_PER_CHUNK)
        hashes[rows] = hash_array(ids.iloc[rows].to_numpy(dtype=object)) ^ hash_array(trace[rows])
    values, counts = np.unique(hashes, return_counts=True)
    return np.flatnonzero(np.isin(hashes, values[counts > 1]))
