"""Tables: the rows of a DataFrame, of a Parquet file and of a CSV file, as mappings of JSON's values, a batch at a time."""

import csv
import io
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source

ROWS = 4_096  # in memory at once
LONGEST_CELL = 256 << 20


def frame_rows(reading: Reading, frame: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a DataFrame."""
    reading.unit = "row"
    for first in range(0, len(frame), ROWS):
        yield from enumerate(frame_records(frame.iloc[first : first + ROWS]), first)


def frame_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a DataFrame as dicts of Python's own values, a missing one as None; a named index is a column."""
    if any(name is not None and name not in frame.columns for name in frame.index.names):
        frame = frame.reset_index()
    columns = [[plain(value) for value in frame[column].tolist()] for column in frame.columns]
    names = list(map(str, frame.columns))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """A value of a table as JSON has it: times as ISO text, what is missing as None."""
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, Decimal) else str(value)


def parquet_rows(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a Parquet file."""
    source, number = reading.source, 0
    reading.unit = "row"
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(ROWS):
                for row in batch.to_pylist():
                    yield number, {name: plain(value) for name, value in row.items()}
                    number += 1
                source.told(source.size * number // max(file.metadata.num_rows, 1))
    except (pa.ArrowException, OSError) as error:
        reading.problem(None, f"is no whole Parquet file ({str(error).splitlines()[0]})")


def csv_rows(source: Source, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV file, all texts; an empty cell is None. The first row names the columns."""
    csv.field_size_limit(LONGEST_CELL)
    with source.path.open("rb") as raw:
        lines = csv.reader(io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline=""))
        names: list[str] | None = None
        while True:
            try:
                row = next(lines, None)
            except csv.Error as error:
                reading.problem(lines.line_num, f"not CSV ({error})")
                continue
            if row is None:
                break
            if names is None:
                names = row
                continue
            if not lines.line_num % 1024:
                source.told(raw.tell())
            if len(row) > len(names):
                reading.problem(lines.line_num, f"{len(row)} cells, in a table of {len(names)} columns")
            elif row:
                yield lines.line_num, {name: cell or None for name, cell in zip(names, row, strict=False)}
    source.told(source.size)
