"""Flat tables with a row for each span, in Parquet, CSV or JSON lines.

The columns are the columns of a spans frame: ``id, trace_id, agent_id, location_id, start_time, end_time, data``; and
``parent_id`` (in CSV it is only in ``data``) and ``trace_name`` if the frame has them. Times are whole µs since 1970, ``data``
is JSON. The reader recognises the beginning of a file, or the mark in a Parquet file, and keeps its rows as they are.
"""

import csv
import io
from typing import IO

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tokenvis.formats.chunks import chunk_rows, data_in_json, export_chunks
from tokenvis.output import escape_cell
from tokenvis.spans.columns import COLUMNS, NAMES, TIMES, TRACE_NAME, trace_names_in, with_trace_names
from tokenvis.spans.payload import PAYLOADS_PER_CHUNK
from tokenvis.spans.redaction import Redactor

NAME_TYPE = pa.dictionary(pa.int32(), pa.string())
TEXT_TYPE = pa.large_string()  # the texts of a chunk may exceed 2 GiB
CSV_STARTS = tuple(f"{','.join(columns)}\r\n".encode() for columns in (COLUMNS, (*COLUMNS, TRACE_NAME)))
JSONL_START = b'{"id":"'
PARQUET_MARK = {b"tokenvis": b"spans"}


def written_columns(spans: pd.DataFrame) -> list[str]:
    """The columns to write."""
    return [*COLUMNS, *(name for name in ("parent_id", TRACE_NAME) if name in spans.columns)]


def with_written_names(spans: pd.DataFrame, redactor: Redactor | None) -> pd.DataFrame:
    """The spans with as much of the names of their traces as is kept: a name may be the beginning of a prompt."""
    if TRACE_NAME not in spans.columns:
        return spans
    unnamed = spans.drop(columns=TRACE_NAME)
    if redactor is not None and redactor.content == "none":
        return unnamed
    names = trace_names_in(spans)
    return with_trace_names(
        unnamed, names if redactor is None else {trace: redactor.shortened(names[trace]) for trace in names}
    )


def write_parquet(spans: pd.DataFrame, file: IO[bytes], redactor: Redactor | None = None) -> None:
    """Write spans as Parquet: names as dictionaries, a row group for each chunk."""
    spans = with_written_names(spans, redactor)
    types = (
        dict.fromkeys(written_columns(spans), TEXT_TYPE) | dict.fromkeys(NAMES, NAME_TYPE) | dict.fromkeys(TIMES, pa.int64())
    )
    schema = pa.schema(list(types.items()), metadata=PARQUET_MARK)
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=[*NAMES, TRACE_NAME]) as writer:
        for chunk in export_chunks(spans, redactor, rows_per_chunk=PAYLOADS_PER_CHUNK):
            arrays = [arrow_array(chunk[field.name], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def arrow_array(values: pd.Series, arrow_type: pa.DataType) -> pa.Array:
    """A column as an Arrow array; names as a dictionary of the names that occur."""
    if arrow_type != NAME_TYPE:
        return pa.array(values.astype("str") if values.dtype == "category" else values, arrow_type)
    used = values.cat.remove_unused_categories().cat
    codes = used.codes.to_numpy().astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(used.categories, pa.string()))


def write_csv(spans: pd.DataFrame, file: IO[bytes], redactor: Redactor | None = None) -> None:
    """Write spans as CSV (RFC 4180, UTF-8); texts that a spreadsheet would run as formulas are escaped."""
    spans = with_written_names(spans, redactor)
    columns = [*COLUMNS, *([TRACE_NAME] if TRACE_NAME in spans.columns else [])]
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text)  # ends lines with \r\n, so it quotes a cell that has either
        writer.writerow(columns)
        for chunk in export_chunks(spans, redactor):
            cells = [
                column if name in TIMES else [None if cell is None else escape_cell(cell) for cell in column]
                for name, column in zip(columns, zip(*chunk_rows(chunk, *columns), strict=True), strict=True)
            ]
            writer.writerows(zip(*cells, strict=True))
    finally:
        text.detach()


def write_jsonl(spans: pd.DataFrame, file: IO[bytes], redactor: Redactor | None = None) -> None:
    """Write spans as JSON lines: one object per line, ``data`` as a nested object, null, or JSON text (`data_in_json`)."""
    spans = with_written_names(spans, redactor)
    columns = written_columns(spans)
    for chunk in export_chunks(spans, redactor):
        for row, data in zip(chunk_rows(chunk, *columns), data_in_json(chunk), strict=True):
            span = dict(zip(columns, row, strict=True))
            span["data"] = data
            file.write(orjson.dumps(span, option=orjson.OPT_APPEND_NEWLINE))
