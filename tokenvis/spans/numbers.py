"""Numbers: keys of the payload as columns of numbers. Values that are not numbers are returned separately."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.spans.buffers import texts_at
from tokenvis.spans.integers import NO_ROWS, Int64Array
from tokenvis.spans.json_columns import FLOAT64, INT64, LIMIT, numbers_in_texts
from tokenvis.spans.payload import chunks_of_rows, rows_containing, stored_texts
from tokenvis.spans.typed_columns import is_number, nullable_array, typed_column, values_by_key


class FieldNumbers(NamedTuple):
    """The numbers under a key, Int64 or Float64, missing where a span has none; and the other values, with their rows."""

    column: pd.Series
    invalid_rows: Int64Array
    invalid_values: list[Any]


def numbers_in(spans: pd.DataFrame, keys: Iterable[str]) -> dict[str, FieldNumbers]:
    """The numbers under each key, for all rows."""
    keys = list(keys)
    rows = rows_containing(spans, *keys) if keys else NO_ROWS
    chunks = chunks_of_rows(spans, rows)
    parts = list(parts_in(spans, keys, chunks))
    return {key: joined([part[key] for part in parts], chunks, len(spans)) for key in keys}


def parts_in(spans: pd.DataFrame, keys: list[str], chunks: list[Int64Array]) -> Iterator[dict[str, FieldNumbers]]:
    """The numbers at the rows of each chunk. Once a chunk has shown their types, Arrow reads the next one if it can."""
    texts, types = stored_texts(spans["data"]) if chunks else None, None
    for rows in chunks:
        arrays = numbers_in_texts(texts_at(texts, rows), types) if texts is not None and types else None
        if arrays is not None:
            part = {key: FieldNumbers(pd.Series(nullable_array(numbers)), NO_ROWS, []) for key, numbers in arrays.items()}
        else:
            part = {key: numbers_in_values(values) for key, values in values_by_key(spans, keys, rows).items()}
        types = next_types(part, types or {})
        yield part


def next_types(part: dict[str, FieldNumbers], types: dict[str, pa.DataType]) -> dict[str, pa.DataType] | None:
    """The types to expect after a part: floats if there was any; None if a value was not a number."""
    if any(numbers.invalid_values for numbers in part.values()):
        return None
    floats = {key for key, numbers in part.items() if numbers.column.dtype == "Float64" or types.get(key) == FLOAT64}
    return {key: FLOAT64 if key in floats else INT64 for key in part}


def joined(parts: list[FieldNumbers], chunks: list[Int64Array], count: int) -> FieldNumbers:
    """The parts as one column for all ``count`` rows: floats if any part has floats."""
    dtype = "Float64" if any(part.column.dtype == "Float64" for part in parts) else "Int64"
    column = pd.Series(pd.NA, index=pd.RangeIndex(count), dtype=dtype)
    for part, rows in zip(parts, chunks, strict=True):
        column.array[rows] = part.column.array.astype(dtype)
    invalid_rows = [rows[part.invalid_rows] for part, rows in zip(parts, chunks, strict=True)]
    return FieldNumbers(
        column, np.concatenate([NO_ROWS, *invalid_rows]), [value for part in parts for value in part.invalid_values]
    )


def numbers_in_values(values: list[Any]) -> FieldNumbers:
    """The numbers in a list, None for missing ones."""
    index = pd.RangeIndex(len(values))
    column = typed_column(values, index)
    if not column.notna().any():
        return FieldNumbers(column.astype("Int64"), NO_ROWS, [])
    if column.dtype == "Int64" or (column.dtype == "Float64" and not (column.abs() >= LIMIT).any()):
        return FieldNumbers(column, NO_ROWS, [])
    invalid = [row for row, value in enumerate(values) if value is not None and not is_number(value)]
    if not invalid:  # floats beside integers that are too large for exact floats
        return FieldNumbers(column.astype("Float64"), NO_ROWS, [])
    others = list(values)
    for row in invalid:
        others[row] = None
    return FieldNumbers(numbers_in_values(others).column, np.array(invalid), [values[row] for row in invalid])
