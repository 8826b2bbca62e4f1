"""Flat tables: a row is a span, in Parquet, CSV or JSON lines.

The columns are those of a spans frame: ``id, trace_id, agent_id, location_id, start_time, end_time, data``, and ``parent_id``
where the frame has it (in CSV it stands in ``data`` alone). Times are whole µs since 1970, ``data`` is JSON.
"""

import csv
import io
from typing import IO

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tokenvis.formats.chunks import chunks_of, fragment, rows_of
from tokenvis.output import escape_cell
from tokenvis.spans.columns import COLUMNS, NAMES, TIMES

NAME = pa.dictionary(pa.int32(), pa.string())
TEXT = pa.large_string()  # texts of a chunk may have more than 2 GiB together


def columns_of(spans: pd.DataFrame) -> list[str]:
    """The columns that are written."""
    return [*COLUMNS, "parent_id"] if "parent_id" in spans.columns else list(COLUMNS)


def write_parquet(spans: pd.DataFrame, file: IO[bytes]) -> None:
    """Write spans as Parquet: names as dictionaries, a group of rows for each chunk."""
    types = dict.fromkeys(columns_of(spans), TEXT) | dict.fromkeys(NAMES, NAME) | dict.fromkeys(TIMES, pa.int64())
    schema = pa.schema(list(types.items()))
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=list(NAMES)) as writer:
        for chunk in chunks_of(spans):
            arrays = [arrow_of(chunk[field.name], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def arrow_of(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """A column as Arrow holds it; of names, those that occur."""
    if kind != NAME:
        return pa.array(values, kind)
    used = values.cat.remove_unused_categories().cat
    codes = used.codes.to_numpy().astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(used.categories, pa.string()))


def write_csv(spans: pd.DataFrame, file: IO[bytes]) -> None:
    """Write spans as CSV (RFC 4180, UTF-8); a text that a spreadsheet would run is defused."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text)  # ends lines with \r\n, so it quotes a cell that has either
        writer.writerow(COLUMNS)
        for chunk in chunks_of(spans):
            columns = [
                column if name in TIMES else [cell and escape_cell(cell) for cell in column]
                for name, column in zip(COLUMNS, zip(*rows_of(chunk, *COLUMNS), strict=True), strict=True)
            ]
            writer.writerows(zip(*columns, strict=True))
    finally:
        text.detach()


def write_jsonl(spans: pd.DataFrame, file: IO[bytes]) -> None:
    """Write spans as JSON lines: an object a line, ``data`` as an object in it, or null."""
    columns = columns_of(spans)
    data = columns.index("data")
    for chunk in chunks_of(spans):
        for row in rows_of(chunk, *columns):
            span = dict(zip(columns, row, strict=True))
            span["data"] = fragment(row[data])
            file.write(orjson.dumps(span, option=orjson.OPT_APPEND_NEWLINE))
