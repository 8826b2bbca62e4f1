"""Parents: ``parent_id`` of each payload as a column, without parsing most payloads.

Only the column ``parent_id`` defines nesting. A frame that was not loaded by tokenvis may have parents in ``data`` and no
such column; a question about nesting refuses it, because the answer would be wrong.
"""

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import MissingColumn
from tokenvis.spans.buffers import contain_any
from tokenvis.spans.columns import text_array_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import parse, rows_containing
from tokenvis.spans.text import text_column

ENDS_WITH_PARENT = r'[{,]"parent_id":"(?P<parent>[^"\\]*)"}$'


def parents_of(data: pd.Series) -> pd.Series | None:
    """``parent_id`` of each payload in a column of texts (str, may be missing); None if no payload has one.

    tokenvis writes the key last. A regular expression reads it there: the last member before the closing brace belongs to
    the top-level object, and overrides earlier members of the same name. Other texts are parsed if they contain the key. A text
    that is not a JSON object has no parent; `expand_data` raises an error for it.
    """
    texts = pa.array(data.array)
    if not contain_any(texts, '"parent_id"'):
        return None
    parents = pc.struct_field(pc.extract_regex(texts, ENDS_WITH_PARENT), "parent")
    rows = np.flatnonzero(parents.is_null().to_numpy(zero_copy_only=False))
    others = texts.take(pa.array(rows)) if len(rows) < len(texts) else texts
    has_key = pc.match_substring_regex(others, '"parent_id"').fill_null(False).to_numpy(zero_copy_only=False)
    rows = rows[has_key]
    column = pd.Series(text_array_of(parents), index=data.index)
    if len(rows):
        column.iloc[rows] = text_column(map(parent_in, data.iloc[rows].tolist()), data.index[rows])
    return column if column.notna().any() else None


def check_parents(spans: pd.DataFrame) -> None:
    """Raise `MissingColumn` if the spans have parents in ``data``, but no column ``parent_id``."""
    if "parent_id" in spans.columns or "data" not in spans.columns:
        return
    data = spans["data"]
    if data.dtype == object:
        has_parents = any(parent_in(value) is not None for value in data.tolist())
    else:
        has_parents = parents_of(data.astype("str")) is not None
    if has_parents:
        raise MissingColumn(
            "The spans have parents in data, but no column 'parent_id'. Add it: spans = tv.expand_data(spans, 'parent_id'). "
            "To ignore nesting: spans.assign(parent_id=None)."
        )


def rows_with_ignored_parent(spans: pd.DataFrame) -> Int64Array:
    """The rows that have a parent in ``data`` but none in the column ``parent_id``; none if the whole column is empty."""
    if "parent_id" not in spans.columns or "data" not in spans.columns or spans["parent_id"].isna().all():
        return np.empty(0, dtype=np.int64)
    rows = np.flatnonzero(spans["parent_id"].isna().to_numpy())
    rows = rows[rows_containing(spans.iloc[rows], '"parent_id"')]
    in_data = [parent_in(value) is not None for value in spans["data"].iloc[rows].tolist()]
    return rows[in_data]


def parent_in(value: Any) -> str | None:
    """``parent_id`` of a payload, or None if it is missing or not a text."""
    with suppress(ValueError, RecursionError):
        parent = parse(value).get("parent_id")
        return parent if isinstance(parent, str) else None
    return None
