"""Rows of a table from any kind of file."""

from collections.abc import Iterator
from typing import Any

from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import head_of, text_start
from tokenvis.formats.files.lines import json_lines
from tokenvis.formats.files.parquet import PARQUET_MAGIC, parquet_rows
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.tables import csv_rows, frame_rows


def table_rows(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and values of each row of a table: a DataFrame, Parquet, CSV, JSON lines or an array of objects."""
    source = reading.source
    if source.frame is not None:
        yield from frame_rows(reading, source.frame)
        return
    head = head_of(source)
    if head.kind == "lines":
        yield from json_lines(reading)
    elif head.kind == "document":
        yield from document_items(reading, "[*]" if text_start(source)[:1] == b"[" else "")
    elif head.start.startswith(PARQUET_MAGIC):
        yield from parquet_rows(reading)
    else:
        yield from csv_rows(source, reading)
