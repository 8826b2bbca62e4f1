"""Fields: what a span says of itself (label, status, tokens, links), read in one way.

A field is the frame's own column of that name, where it has one, else a key of ``data``. So a table whose fields have columns
of their own, from `expand_data` or from a file, is read as any other. The columns that every frame of spans has are no fields,
and ``parent_id`` is a column or nothing (`relations.named_parents`).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.columns import COLUMNS
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import mentioning, values_in
from tokenvis.spans.typed_columns import columns_in, numbers_in, numeric, typed

NO_FIELDS = {*COLUMNS, "parent_id"}


def has_column(spans: pd.DataFrame, name: object) -> bool:
    """Whether a field has a column of its own, and just one."""
    return isinstance(name, str) and name not in NO_FIELDS and spans.columns.tolist().count(name) == 1


def field_rows(spans: pd.DataFrame, *names: str) -> Int64Array:
    """The rows that may have any of these fields; all others have none."""
    own = [name for name in names if has_column(spans, name)]
    others = [name for name in names if name not in own]
    may_have = np.zeros(len(spans), dtype=bool)
    may_have[mentioning(spans, *others) if others else []] = True
    for name in own:
        may_have |= spans[name].notna().to_numpy()
    return np.flatnonzero(may_have)


def field_values(spans: pd.DataFrame, name: str) -> tuple[Int64Array, list[Any]]:
    """The rows that have one of tokenvis' own fields, which stand at the top of ``data``, and its value in each."""
    if not has_column(spans, name):
        return values_in(spans, name)
    rows = np.flatnonzero(spans[name].notna().to_numpy())
    return rows, spans[name].iloc[rows].tolist()


def field_columns(spans: pd.DataFrame, names: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each field, of the rows given (by default all): the frame's own, or one typed as in `expand_data`."""
    wanted = spans if rows is None else spans.iloc[rows]
    names = list(names)
    columns = {name: wanted[name] for name in names if has_column(spans, name)}
    others = [name for name in names if name not in columns]
    if "data" in spans.columns and others:
        columns |= columns_in(spans, others, rows)
    return {name: columns.get(name, pd.Series(None, index=wanted.index, dtype="object")) for name in names}


def field_numbers(spans: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """A column of numbers for each field, Int64 or Float64, missing where a span has none; `BadSpan` where it is no number."""
    names = list(names)
    own = {name: own_numbers(spans, name) for name in names if has_column(spans, name)}
    read = numbers_in(spans, [name for name in names if name not in own])
    return {name: own[name] if name in own else read[name] for name in names}


def own_numbers(spans: pd.DataFrame, name: str) -> pd.Series:
    """The frame's own column of a field, which holds numbers."""
    column, index = spans[name], pd.RangeIndex(len(spans))
    if pd.api.types.is_any_real_numeric_dtype(column.dtype):
        column = column.set_axis(index).astype("Int64" if pd.api.types.is_integer_dtype(column.dtype) else "Float64")
    else:
        missing = column.isna().tolist()
        column = typed([None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)], index)
    return numeric(name, column, spans, np.arange(len(spans)))
