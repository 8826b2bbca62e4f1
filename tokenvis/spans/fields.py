"""Fields: the optional attributes of a span (label, status, tokens, links, requests), from columns or from ``data``.

The value of a field is the value in the frame's column of that name, else the key in ``data``. So a frame whose fields are
columns, from `expand_data` or from a file, works like any other, also concatenated with frames without these columns. The
columns that every frame of spans has are not fields, and ``parent_id`` is only ever a column (`relations.parent_references`).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.bad_rows import first_bad, span_at
from tokenvis.spans.columns import KNOWN_COLUMNS
from tokenvis.spans.integers import NO_ROWS, Int64Array
from tokenvis.spans.numbers import FieldNumbers, numbers_in, numbers_in_values
from tokenvis.spans.payload import rows_containing, values_in
from tokenvis.spans.typed_columns import columns_in, typed_column

NOT_FIELDS = {*KNOWN_COLUMNS}


def has_column(spans: pd.DataFrame, name: object) -> bool:
    """Whether the frame has a column for a field; `BadSpan` if it has several."""
    count = spans.columns.tolist().count(name) if isinstance(name, str) and name not in NOT_FIELDS else 0
    if count > 1:
        raise BadSpan(f"The spans have {count} columns named {quoted(name)}. Keep one of them.")
    return count == 1


def field_rows(spans: pd.DataFrame, *names: str) -> Int64Array:
    """The rows that may have one of these fields; all other rows have none of them."""
    may_have = np.zeros(len(spans), dtype=bool)
    may_have[rows_containing(spans, *names)] = True
    for name in names:
        if has_column(spans, name):
            may_have |= spans[name].notna().to_numpy()
    return np.flatnonzero(may_have)


def field_values(spans: pd.DataFrame, name: str, among: Int64Array | None = None) -> tuple[Int64Array, list[Any]]:
    """The rows that have a value for a tokenvis field, a top-level key of ``data``, and those values.

    Of all rows, or of those in ``among`` (sorted).
    """
    if not has_column(spans, name):
        return values_in(spans, name, among=among)[name]
    if among is None:
        return filled_values(spans, name)
    rows, values = filled_values(spans.iloc[among], name)
    return among[rows], values


def several_field_values(spans: pd.DataFrame, *names: str) -> dict[str, tuple[Int64Array, list[Any]]]:
    """The result of `field_values` for each field; a payload is parsed once for all of them."""
    columns = [name for name in names if has_column(spans, name)]
    found = values_in(spans, *(name for name in names if name not in columns))
    return {name: filled_values(spans, name) if name in columns else found[name] for name in names}


def filled_values(spans: pd.DataFrame, name: str) -> tuple[Int64Array, list[Any]]:
    """The rows that have a value in the frame's column of a field, or else in ``data``, and those values."""
    in_column = spans[name].notna().to_numpy()
    others = np.flatnonzero(~in_column)
    found, from_data = values_in(spans.iloc[others], name)[name]
    rows = np.concatenate([np.flatnonzero(in_column), others[found]])
    values = [*json_values(spans[name][in_column]), *from_data]
    order = np.argsort(rows)
    return rows[order], [values[position] for position in order.tolist()]


def field_columns(spans: pd.DataFrame, names: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each field, typed as in `expand_data`, for the given rows (by default all)."""
    selected = spans if rows is None else spans.iloc[rows]
    names = list(names)
    in_data = [name for name in names if not has_column(spans, name)]
    columns = columns_in(selected, in_data) if "data" in spans.columns and in_data else {}
    columns |= {name: filled_column(selected, name) for name in names if name not in in_data}
    return {name: columns.get(name, pd.Series(None, index=selected.index, dtype="object")) for name in names}


def field_numbers(spans: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """A column of numbers for each field, Int64 or Float64, missing if a span has none; `BadSpan` for other values."""
    names = list(names)
    found = valid_field_numbers(spans, names)
    for name, numbers in found.items():
        if numbers.invalid_values:
            row, others = first_bad(np.isin(np.arange(len(spans)), numbers.invalid_rows))
            value = quoted(numbers.invalid_values[0])
            raise BadSpan(f"{name} of span {span_at(spans, row)} is {value}, not a 64-bit number.{others}")
    return {name: found[name].column for name in names}


def valid_field_numbers(spans: pd.DataFrame, names: Iterable[str]) -> dict[str, FieldNumbers]:
    """The numbers of each field, as in `field_numbers`; a span with another value has none, and is listed with that value."""
    names = list(names)
    filled = {name: filled_numbers(spans, name) for name in names if has_column(spans, name)}
    return filled | numbers_in(spans, [name for name in names if name not in filled])


def filled_column(spans: pd.DataFrame, name: str) -> pd.Series:
    """The frame's column of a field, its missing values filled from ``data``."""
    column = spans[name]
    rows, values = values_from_data(spans, column)
    if not len(rows) and column.dtype != "object" and not isinstance(column.dtype, pd.ArrowDtype):
        return column
    return typed_column(with_values(column, rows, values), column.index)


def filled_numbers(spans: pd.DataFrame, name: str) -> FieldNumbers:
    """The numbers in the column of `filled_column`."""
    column, index = spans[name], pd.RangeIndex(len(spans))
    rows, values = values_from_data(spans, column)
    kind = getattr(column.dtype, "kind", "O")
    if len(rows) or kind not in ("i", "f") or isinstance(column.dtype, pd.ArrowDtype):
        return numbers_in_values(with_values(column, rows, values))
    if kind == "i":
        return FieldNumbers(column.set_axis(index).astype("Int64"), NO_ROWS, [])
    floats = pd.array(column.to_numpy(dtype=float, na_value=np.nan), dtype="Float64")
    return FieldNumbers(pd.Series(floats, index=index), NO_ROWS, [])


def values_from_data(spans: pd.DataFrame, column: pd.Series) -> tuple[Int64Array, list[Any]]:
    """The rows whose value is missing in the column but set in ``data``, and those values."""
    rows = np.flatnonzero(column.isna().to_numpy())
    rows = rows[rows_containing(spans.iloc[rows], str(column.name))]
    if not len(rows):
        return rows, []
    values = columns_in(spans, [str(column.name)], rows)[str(column.name)]
    present = values.notna().to_numpy()
    return rows[present], json_values(values[present])


def with_values(column: pd.Series, rows: Int64Array, values: list[Any]) -> list[Any]:
    """A column as Python values, None where missing, with other values in the given rows."""
    present = column.notna().to_numpy()
    merged = np.full(len(column), None, dtype=object)
    for row, value in zip(np.flatnonzero(present).tolist(), json_values(column[present]), strict=True):
        merged[row] = value
    for row, value in zip(rows.tolist(), values, strict=True):
        merged[row] = value
    return merged.tolist()


def truth_of(value: object) -> bool | None:
    """The truth of a value: of booleans, and of 0, 1, "true" and "false", as tables and attributes write them; else None."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def json_values(column: pd.Series) -> list[Any]:
    """The values of a column as a JSON parser would return them."""
    return [json_value(value) for value in column.tolist()]


def json_value(value: Any) -> Any:
    """A value as a JSON parser would return it: numpy arrays as lists, numpy numbers and decimals as Python numbers."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | tuple | list):
        return [json_value(item) for item in value]
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value
