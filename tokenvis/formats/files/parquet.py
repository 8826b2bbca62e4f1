"""Parquet files: their rows as dicts of JSON values. A damaged file yields the rows before the damage.

A file may be hostile, so its checksums are checked, the lists and texts of its footer have limits, and the sizes that it
declares are checked like those of an archive. One long value may be in very many rows of a small file: rows are unpacked in
small batches, up to `MAX_UNPACKED_RATIO` times the size of the file.

Two calls of pyarrow end the process if the footer is damaged, and are not made: for the metadata of a column, and for the rows
of a table without columns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokenvis.errors import IngestError
from tokenvis.formats.files.archives import MAX_UNPACK_RATIO, SPARE_MIB, check_excess
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source, refusal_reason
from tokenvis.formats.files.tables import (
    CellReporter,
    error_reason,
    first_by_name,
    ignore_cell,
    json_cells,
    report_repeated,
)

PARQUET_MAGIC = b"PAR1"
FLEET_KEY = b"tokenvis.fleet"  # in the metadata of a file of a fleet
MIN_BATCH_ROWS, MAX_BATCH_ROWS = 8, 256
BATCH_BYTES = 64 << 20
MAX_USUAL_RATIO = 50  # of the pages of long texts to the file
MAX_UNPACKED_RATIO, MIN_UNPACKED_LIMIT_BYTES = 2_000, 1 << 27  # of rows to the file
MIN_ROW_BYTES = 512  # what a row counts at least
OPTIONS: dict[str, Any] = {
    "page_checksum_verification": True,
    "pre_buffer": False,
    "thrift_container_size_limit": 100_000,  # columns, row groups
    "thrift_string_size_limit": 32 << 20,
}
DAMAGE = (  # what pyarrow raises: besides its own errors, those of texts, sizes and types in a damaged footer
    pa.ArrowException,
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def opened_parquet(source: Source) -> Iterator[pq.ParquetFile]:
    """A Parquet file; `IngestError` if it is damaged, also while it is read, or declares too much."""
    try:
        with source.arrow_file() as raw, pq.ParquetFile(raw, **OPTIONS) as file:
            groups = range(file.metadata.num_row_groups)
            declared = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            check_excess(declared - MAX_UNPACK_RATIO * source.size, SPARE_MIB << 20, source)
            yield file
    except DAMAGE as error:
        raise IngestError(f"{source.name} is not a valid Parquet file ({error_reason(error)}).") from None


def parquet_metadata(source: Source) -> dict[bytes, bytes]:
    """The metadata that a Parquet file has for its writer's own use; `IngestError` if the file is damaged."""
    with opened_parquet(source) as file:
        return {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}


def unpacked_batches(file: pq.ParquetFile, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file of this size, in small batches; one by one if they are large."""
    for group in range(file.metadata.num_row_groups if file.schema_arrow.names else 0):
        longest = file.metadata.row_group(group).total_byte_size  # a value is not longer than the pages of its group
        min_rows = MIN_BATCH_ROWS if longest < MAX_USUAL_RATIO * size else 1
        n_rows = max(min_rows, min(MAX_BATCH_ROWS, BATCH_BYTES // max(longest, 1)))
        for batch in file.iter_batches(n_rows, row_groups=[group], use_threads=False):
            if sum(map(unpacked_bytes, batch.columns)) <= BATCH_BYTES:
                yield batch
            else:
                yield from (batch.slice(row, 1) for row in range(len(batch)))


def unpacked_bytes(column: pa.Array) -> int:
    """The bytes of a column in which a value of a dictionary counts each time it occurs, not once."""
    kind = column.type
    if pa.types.is_struct(kind):
        return sum(map(unpacked_bytes, column.flatten()))
    if pa.types.is_map(kind):
        first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
        return sum(unpacked_bytes(part.slice(first, last - first)) for part in (column.keys, column.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return unpacked_bytes(column.flatten())
    if not pa.types.is_dictionary(kind):
        return int(column.nbytes)
    if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type):
        return pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
    return len(column) * int(column.dictionary.nbytes) // max(len(column.dictionary), 1)


def parquet_batches(source: Source) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file; `IngestError` if it is damaged, or unpacks to too much."""
    limit = max(MIN_UNPACKED_LIMIT_BYTES, MAX_UNPACKED_RATIO * source.size)
    n_bytes = n_rows = 0
    with opened_parquet(source) as file:
        for batch in unpacked_batches(file, source.size):
            n_bytes += max(sum(map(unpacked_bytes, batch.columns)), MIN_ROW_BYTES * len(batch))
            n_rows += len(batch)
            if n_bytes > limit:
                raise IngestError(f"{source.name} unpacks to more than {limit:,} bytes; the rows before were read.")
            yield batch
            source.report_position(source.size * n_rows // max(file.metadata.num_rows, 1))
        if file.schema_arrow.names and n_rows < file.metadata.num_rows:
            raise IngestError(f"{source.name} has {n_rows:,} of the {file.metadata.num_rows:,} rows that its footer declares.")


def parquet_rows(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a Parquet file."""
    reading.record_noun, number = "row", 0
    batches = parquet_batches(reading.source)
    while True:
        try:
            batch = next(batches, None)
        except IngestError as error:
            reading.add_problem(None, refusal_reason(error, reading.source.name))
            break
        if batch is None:
            break
        if not number:
            report_repeated(batch.schema.names, reading)
        yield from enumerate(batch_records(batch, reading.add_problem, number), number)
        number += len(batch)


def batch_records(batch: pa.RecordBatch, report: CellReporter = ignore_cell, first: int = 0) -> list[dict[str, Any]]:
    """Rows of a Parquet file, numbered from ``first``, as dicts of JSON values."""
    columns = first_by_name(zip(batch.schema.names, batch.columns, strict=True))
    rows = range(first, first + len(batch))
    cells = [json_cells(name, column.to_pylist, partial(cell_of, column), rows, report) for name, column in columns.items()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*cells, strict=True)]


def cell_of(column: pa.Array, row: int) -> Any:
    """A cell of a column; in a text, U+FFFD replaces invalid UTF-8."""
    try:
        return column[row].as_py()
    except UnicodeDecodeError as error:
        if pa.types.is_nested(column.type):
            raise
        return error.object.decode(errors="replace")


def parquet_start(source: Source, n_rows: int) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and the first rows of a Parquet file; `IngestError` if it is damaged, or unpacks to too much."""
    with opened_parquet(source) as file:
        names = file.schema_arrow.names
    batch = next(parquet_batches(source), None)
    return names, batch_records(batch.slice(0, n_rows)) if batch is not None else []
