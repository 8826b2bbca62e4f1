"""Frames: an Arrow table of spans, as an engine or a file hands it over, as the frame that `load_spans` would return.

Engines differ in the types of texts and integers, in the order of rows, and in whether parents are a column. Values are
checked, so that a question gets a proper frame or none: the error names the span.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import BadSpan, MissingColumn, listed, quoted
from tokenvis.spans.columns import COLUMNS, NAMES, REQUIRED, TIMES, as_categorical, codes_of, require, text_array_of
from tokenvis.spans.integers import Mask
from tokenvis.spans.parents import parents_of
from tokenvis.store.load import ordered_frame

TEXT_FIELDS = ("id", *NAMES, "data", "parent_id")
FRAME_COLUMNS = (*COLUMNS, "parent_id")
USED_COLUMNS = (*FRAME_COLUMNS, "n_spans")  # the last tells whether a trace is whole
CASTS = (  # what makes integer microseconds of a column, by its type
    (pa.types.is_timestamp, "unix_micros({}) in Spark, epoch_us({}) in DuckDB"),
    (pa.types.is_floating, "CAST(round({} * 1000000) AS BIGINT), if it is in seconds"),
    (pa.types.is_decimal, "CAST(round({} * 1000000) AS BIGINT), if it is in seconds"),
)


def spans_in(table: pa.Table) -> pd.DataFrame:
    """The spans of a table as a frame, sorted by trace and then as loaded; `MissingColumn` or `BadSpan` if they are none.

    A part of a fleet is sorted so already: sorting the traces of a part by time would move all its texts.
    """
    check_schema(table.schema)
    names = [name for name in FRAME_COLUMNS if name in table.schema.names]
    arrays = {name: array_of(name, table.column(name)) for name in names}
    spans = pd.DataFrame(arrays, copy=False)
    require(spans)
    check_once(spans)
    parents = filled_parents(spans)
    arrays |= {"parent_id": None if parents is None else parents.array}
    return ordered_frame({name: arrays[name] for name in FRAME_COLUMNS if arrays[name] is not None}, "trace_id")


def check_schema(schema: pa.Schema) -> None:
    """Raise `MissingColumn` or `BadSpan` unless all rows of such a table may be spans."""
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        raise MissingColumn(f"The spans have no column {listed(missing)}. They have: {listed(schema.names)}.")
    if "data" not in schema.names:
        raise MissingColumn(
            "The spans have no column 'data'. Parents, errors, tokens and waits are read from it: select it too. For spans "
            "that have none: SELECT NULL AS data."
        )
    repeated = [name for name in USED_COLUMNS if schema.names.count(name) > 1]
    if repeated:
        raise BadSpan(f"The spans have several columns {listed(repeated)}. Select all but one.")
    for name in FRAME_COLUMNS:
        if name in schema.names:
            check_type(name, schema.field(name).type)


def check_type(name: str, kind: pa.DataType) -> None:
    """Raise `BadSpan` unless values of a type may be in a column of spans."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_null(kind):
        return
    if name in TIMES:
        if not pa.types.is_integer(kind):
            cast = next((cast for is_kind, cast in CASTS if is_kind(kind)), None)
            hint = f" Convert it: {cast.replace('{}', name)}." if cast else ""
            raise BadSpan(f"{name} has type {kind}, not integer microseconds.{hint}")
        return
    if not (is_text(kind) or (pa.types.is_integer(kind) and name != "data")):
        cast = f"to_json({name})" if name == "data" and pa.types.is_nested(kind) else f"CAST({name} AS STRING)"
        raise BadSpan(f"{name} has type {kind}, not text. Convert it: {cast}.")


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def array_of(name: str, column: pa.ChunkedArray) -> Any:
    """A column of a table as an array of a frame; a missing value stays missing."""
    if name in TEXT_FIELDS:
        texts = text_array_of(column.cast(pa.large_string()).combine_chunks())
        return as_categorical(texts) if name in NAMES else texts
    try:
        column = column.cast(pa.int64())
    except pa.ArrowInvalid as error:  # an unsigned integer
        raise BadSpan(f"{name} has a value that does not fit into a 64-bit integer ({error}).") from None
    return pd.array(column.to_pylist(), dtype="Int64") if column.null_count else column.to_numpy()


def rows_at_fault(table: pa.Table) -> Mask:
    """The rows that break a rule by their own values: a name or time is missing, or the end is before the start."""
    start, end = (table.column(name) for name in TIMES)
    is_bad = pc.less(end, start).fill_null(True)
    for name in ("id", *NAMES):
        is_bad = pc.or_(is_bad, table.column(name).is_null())
    marks: Mask = is_bad.to_numpy()
    return marks


def check_once(spans: pd.DataFrame) -> None:
    """Raise `BadSpan` if a span is in several rows: its time and its tokens would count twice."""
    codes, ids = codes_of(spans["id"])
    if len(ids) == len(spans):
        return
    trace, traces = codes_of(spans["trace_id"])
    key = trace * np.int64(len(ids)) + codes
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    if len(again):
        row = int(order[again[0]])
        raise BadSpan(
            f"Span {quoted(ids[codes[row]])} of trace {quoted(traces[trace[row]])} is in several rows. Pass each span once."
        )


def filled_parents(spans: pd.DataFrame) -> pd.Series | None:
    """The parent of each span, from its column, else from ``data``; None if no span has one."""
    if "parent_id" not in spans.columns:
        return parents_of(spans["data"])
    parents = spans["parent_id"]
    without = np.flatnonzero(parents.isna().to_numpy())
    in_data = parents_of(spans["data"].iloc[without]) if len(without) else None
    if in_data is not None:
        parents = parents.fillna(in_data)
    return parents if parents.notna().any() else None
