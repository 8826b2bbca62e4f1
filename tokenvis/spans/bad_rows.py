"""Bad rows: which span an error is about, and how to convert a column of times.

An id is unique within its trace only, so an error names the trace too. If several rows are bad, it names the first one, and
says how many others there are.
"""

import re
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

from tokenvis.errors import plural, quoted
from tokenvis.spans.integers import Mask

CONVERSIONS = {
    "seconds": "(seconds * 1_000_000).round().astype('int64')",
    "dates": "pd.to_datetime(times, utc=True).dt.as_unit('us').astype('int64')",
    "texts": "pd.to_datetime(times, utc=True, format='ISO8601').dt.as_unit('us').astype('int64')",
    "durations": "pd.to_timedelta(times).dt.as_unit('us').astype('int64')",
    "integers": "times.astype('int64')",
}
CONVERSION_OF_KIND = {"f": "seconds", "M": "dates", "m": "durations"}  # by the kind of a column's dtype
CONVERSION_OF_TYPES: tuple[tuple[tuple[type, ...], str], ...] = (  # by the type of all its values
    ((int, np.integer), "integers"),
    ((float, np.floating, Decimal, int), "seconds"),
    ((date, np.datetime64), "dates"),
    ((timedelta, np.timedelta64), "durations"),
)
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def span_at(spans: pd.DataFrame, row: int) -> str:
    """The span in a row, as an error names it: ``'a' of trace 't'``; with the row's number if its id or trace is missing."""
    name, trace = (given_value(spans, column, row) for column in ("id", "trace_id"))
    parts = [] if name is None else [quoted(name)]
    parts += [] if trace is None else [f"of trace {quoted(trace)}"]
    return " ".join(parts if len(parts) == 2 else [*parts, f"in row {row}"])


def given_value(spans: pd.DataFrame, column: str, row: int) -> object:
    """The value of a column in a row; None if it is missing, or the frame has no such column, or several."""
    values = spans.get(column)
    value = values.iloc[row] if isinstance(values, pd.Series) else None
    is_missing = pd.api.types.is_scalar(value) and pd.isna(value)
    return None if is_missing else value


def first_bad(is_bad: Mask | pd.Series) -> tuple[int, str]:
    """The first row that is marked, and a sentence on how many others are, "" if none is."""
    marks = np.asarray(is_bad, dtype=bool)
    others = int(marks.sum()) - 1
    return int(marks.argmax()), f" The same holds for {plural(others, 'more span')}." if others else ""


def of_span_with(spans: pd.DataFrame | None, column: str, wanted: object) -> str:
    """`` of span …`` for the first span with a value in a column; "" if no span has it, or if the rows are no spans (None)."""
    if spans is None:
        return ""
    rows = (row for row, value in enumerate(spans[column]) if type(value) is type(wanted) and value == wanted)
    return next((f" of span {span_at(spans, row)}" for row in rows), "")


def conversion_hint(values: pd.Series) -> str:
    """A sentence with the conversion that makes integers of a column of times; "" if it is unknown."""
    conversion = conversion_of(values, getattr(values.dtype, "kind", "O"))
    return f" Convert it: {CONVERSIONS[conversion]}." if conversion else ""


def conversion_of(values: pd.Series, kind: str) -> str | None:
    """The name of the conversion that makes integers of a column, None if its values are of no type, or of several."""
    if kind not in "OU":
        return CONVERSION_OF_KIND.get(kind)
    types = {type(value) for value in values}
    if types == {str}:
        return "texts" if all(map(ISO_DATE.match, values)) else None
    if bool in types:
        return None
    return next((name for kinds, name in CONVERSION_OF_TYPES if all(issubclass(one, kinds) for one in types)), None)
