"""Fields: what a span says of itself (label, status, tokens, links), read in one way.

A field of a span is what stands in the frame's own column of that name, else a key of ``data``. So a table whose fields have
columns of their own, from `expand_data` or from a file, is read as any other, alone or among frames without such columns. The
columns that every frame of spans has are no fields, and ``parent_id`` is a column or nothing (`relations.named_parents`).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.columns import COLUMNS
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import mentioning, values_in
from tokenvis.spans.typed_columns import columns_in, numbers_in, numeric, typed

NO_FIELDS = {*COLUMNS, "parent_id"}


def has_column(spans: pd.DataFrame, name: object) -> bool:
    """Whether a field has a column of its own; `BadSpan` where it has several."""
    count = spans.columns.tolist().count(name) if isinstance(name, str) and name not in NO_FIELDS else 0
    if count > 1:
        raise BadSpan(f"The spans have {count} columns of the name {quoted(name)}. Keep one of them.")
    return count == 1


def field_rows(spans: pd.DataFrame, *names: str) -> Int64Array:
    """The rows that may have any of these fields; all others have none."""
    may_have = np.zeros(len(spans), dtype=bool)
    may_have[mentioning(spans, *names)] = True
    for name in names:
        if has_column(spans, name):
            may_have |= spans[name].notna().to_numpy()
    return np.flatnonzero(may_have)


def field_values(spans: pd.DataFrame, name: str) -> tuple[Int64Array, list[Any]]:
    """The rows that have one of tokenvis' own fields, which stand at the top of ``data``, and its value in each."""
    if not has_column(spans, name):
        return values_in(spans, name)
    own = spans[name].notna().to_numpy()
    others = np.flatnonzero(~own)
    found, read = values_in(spans.iloc[others], name)
    rows = np.concatenate([np.flatnonzero(own), others[found]])
    values = [*plain_values(spans[name][own]), *read]
    order = np.argsort(rows)
    return rows[order], [values[place] for place in order.tolist()]


def field_columns(spans: pd.DataFrame, names: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each field, typed as in `expand_data`, of the rows given (by default all)."""
    wanted = spans if rows is None else spans.iloc[rows]
    names = list(names)
    read = [name for name in names if not has_column(spans, name)]
    columns = columns_in(wanted, read) if "data" in spans.columns and read else {}
    columns |= {name: own_column(wanted, name) for name in names if name not in read}
    return {name: columns.get(name, pd.Series(None, index=wanted.index, dtype="object")) for name in names}


def field_numbers(spans: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """A column of numbers for each field, Int64 or Float64, missing where a span has none; `BadSpan` where it is no number."""
    names = list(names)
    own = {name: own_numbers(spans, name) for name in names if has_column(spans, name)}
    read = numbers_in(spans, [name for name in names if name not in own])
    return {name: own[name] if name in own else read[name] for name in names}


def own_column(spans: pd.DataFrame, name: str) -> pd.Series:
    """The frame's own column of a field, with what ``data`` says where nothing stands in it."""
    column = spans[name]
    rows, values = values_beside(spans, column)
    if not len(rows) and column.dtype != "object" and not isinstance(column.dtype, pd.ArrowDtype):
        return column
    return typed(with_values(column, rows, values), column.index)


def own_numbers(spans: pd.DataFrame, name: str) -> pd.Series:
    """The same as numbers."""
    column, index = spans[name], pd.RangeIndex(len(spans))
    rows, values = values_beside(spans, column)
    kind = getattr(column.dtype, "kind", "O")
    if len(rows) or kind not in ("i", "f") or isinstance(column.dtype, pd.ArrowDtype):
        numbers = typed(with_values(column, rows, values), index)
    elif kind == "i":
        numbers = column.set_axis(index).astype("Int64")
    else:
        numbers = pd.Series(pd.array(column.to_numpy(dtype=float, na_value=np.nan), dtype="Float64"), index=index)
    return numeric(name, numbers, spans, np.arange(len(spans)))


def values_beside(spans: pd.DataFrame, column: pd.Series) -> tuple[Int64Array, list[Any]]:
    """What ``data`` says in rows of which nothing stands in a column."""
    rows = np.flatnonzero(column.isna().to_numpy())
    rows = rows[mentioning(spans.iloc[rows], str(column.name))]
    if not len(rows):
        return rows, []
    found = columns_in(spans, [str(column.name)], rows)[str(column.name)]
    there = found.notna().to_numpy()
    return rows[there], plain_values(found[there])


def with_values(column: pd.Series, rows: Int64Array, values: list[Any]) -> list[Any]:
    """A column as Python's own values, others in some rows, None where there is nothing."""
    there = column.notna().to_numpy()
    every = np.full(len(column), None, dtype=object)
    for row, value in zip(np.flatnonzero(there).tolist(), plain_values(column[there]), strict=True):
        every[row] = value
    for row, value in zip(rows.tolist(), values, strict=True):
        every[row] = value
    return every.tolist()


def plain_values(column: pd.Series) -> list[Any]:
    """The values of a column as JSON would give them."""
    return [plain(value) for value in column.tolist()]


def plain(value: Any) -> Any:
    """A value as JSON would give it: arrays of numpy as lists, its numbers and decimals as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value
