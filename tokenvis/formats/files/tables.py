"""Tables: the rows of a DataFrame, a Parquet file or a CSV file, as dicts of JSON values, in batches."""

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

ROWS_PER_BATCH = 4_096
MAX_CELL_CHARACTERS = 256 << 20


def frame_rows(reading: Reading, frame: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a DataFrame."""
    reading.record_noun = "row"
    for first in range(0, len(frame), ROWS_PER_BATCH):
        yield from enumerate(frame_records(frame.iloc[first : first + ROWS_PER_BATCH]), first)


def frame_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a DataFrame as dicts of Python values, missing ones as None; a named index becomes a column."""
    if any(name is not None and name not in frame.columns for name in frame.index.names):
        frame = frame.reset_index()
    columns = [[cell_as_json(value) for value in frame[column].tolist()] for column in frame.columns]
    names = list(map(str, frame.columns))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def cell_as_json(value: Any) -> Any:
    """A value of a table as a JSON value: times as ISO text, missing values as None."""
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return cell_as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [cell_as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): cell_as_json(item) for key, item in value.items()}
    return value if isinstance(value, Decimal) else str(value)


def parquet_rows(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a Parquet file."""
    source, number = reading.source, 0
    reading.record_noun = "row"
    try:
        with source.arrow_file() as raw, pq.ParquetFile(raw) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH):
                for row in batch.to_pylist():
                    yield number, {name: cell_as_json(value) for name, value in row.items()}
                    number += 1
                source.report_position(source.size * number // max(file.metadata.num_rows, 1))
    except (pa.ArrowException, OSError) as error:
        reading.add_problem(None, f"is not a valid Parquet file ({str(error).splitlines()[0]})")


def csv_rows(source: Source, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a CSV file, as texts; an empty cell is None. The first row names the columns."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with source.path.open("rb") as raw:
        lines = csv.reader(io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline=""))
        names: list[str] | None = None
        while True:
            try:
                row = next(lines, None)
            except csv.Error as error:
                reading.add_problem(lines.line_num, f"not CSV ({error})")
                continue
            if row is None:
                break
            if names is None:
                names = row
                continue
            if not lines.line_num % 1024:
                source.report_position(raw.tell())
            if len(row) > len(names):
                reading.add_problem(lines.line_num, f"{len(row)} cells in a table of {len(names)} columns")
            elif row:
                yield lines.line_num, {name: cell or None for name, cell in zip(names, row, strict=False)}
    source.report_position(source.size)
