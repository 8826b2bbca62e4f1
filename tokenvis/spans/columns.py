"""The spans frame: the one table that every function of tokenvis takes or gives.

A row is a span: an agent was at a location from ``start_time`` to ``end_time``, in integer microseconds, half-open. Names
(``trace_id``, ``agent_id``, ``location_id``) are Categorical with lexically sorted categories; ``id`` and ``data`` (JSON text,
or missing) are ``str``; times are int64. A frame of your own may hold the same values in other types: whatever groups,
sorts or breaks a tie does so by `codes_of`, which looks at the values alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, MissingColumn, listed, quoted
from tokenvis.spans.integers import Int64Array, order_by

REQUIRED = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time")
COLUMNS = (*REQUIRED, "data")
NAMES = ("trace_id", "agent_id", "location_id")
TIMES = ("start_time", "end_time")
EPOCH = 946_684_800_000_000  # 2000-01-01: times from here on count as microseconds since 1970,
YEAR_10000 = 253_402_300_800_000_000  # up to here, where calendars end

Spans: TypeAlias = pd.DataFrame | Iterable[Mapping[str, Any]]

CONVERSIONS = {
    "f": "(seconds * 1_000_000).round().astype('int64')",
    "M": "times.astype('datetime64[us]').astype('int64')",
    "m": "times.astype('timedelta64[us]').astype('int64')",
}


def require(spans: pd.DataFrame, *more: str) -> None:
    """Raise unless ``spans`` is a frame of spans with the required columns, and with those named beside them."""
    if not isinstance(spans, pd.DataFrame):
        raise BadSpan(f"Spans are a DataFrame here, not {type(spans).__name__}. load_spans() gives one.")
    missing = [column for column in dict.fromkeys([*REQUIRED, *more]) if column not in spans.columns]
    if missing:
        raise MissingColumn(f"The spans have no column {listed(missing)}. They have: {listed(spans.columns)}.")
    twice = spans.columns[spans.columns.duplicated()].intersection([*REQUIRED, "parent_id", "data", *more])
    if len(twice):
        raise BadSpan(f"The spans have several columns {listed(twice)}. Drop all but one.")
    for column in ("id", *NAMES):
        if spans[column].isna().any():
            raise BadSpan(f"{column} is missing in row {first_row(spans[column].isna())}. Every span needs one.")
    start, end = times_of(spans)
    backwards = end < start
    if backwards.any():
        row = int(backwards.argmax())
        raise BadSpan(f"Span {quoted(spans['id'].iloc[row])} ends at {end[row]} before it starts at {start[row]}.")


def times_of(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """Start and end of each row, as int64 arrays of µs; `BadSpan` where a column holds anything but integers."""
    start, end = (integers(spans[column]) for column in TIMES)
    return start, end


def integers(values: pd.Series) -> Int64Array:
    """A column of whole numbers as int64."""
    if values.dtype == np.int64:
        return values.to_numpy()  # nothing can be missing
    if values.isna().any():
        raise BadSpan(f"{values.name} is missing in row {first_row(values.isna())}. Every span needs one.")
    dtype = values.dtype
    kind = getattr(dtype, "kind", "O")
    if kind not in "iu":
        hint = f" Convert it: {CONVERSIONS[kind]}." if kind in CONVERSIONS else ""
        raise BadSpan(f"{values.name} holds {dtype}{example_of(values)}, not integer microseconds.{hint}")
    if kind == "u" and len(values) and int(values.max()) >= 2**63:
        raise BadSpan(f"{values.name} holds {values.max()}, which does not fit into 63 bits.")
    return values.to_numpy(dtype=np.int64)


def example_of(values: pd.Series) -> str:
    """The first value of an object column that is no integer, for an error."""
    odd = (row for row, value in enumerate(values) if not is_integer(value)) if values.dtype == object else iter(())
    return next((f", such as {quoted(values.iloc[row])} in row {row}" for row in odd), "")


def is_integer(value: object) -> bool:
    """Whether a value is a whole number, of Python or of numpy, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def codes_of(values: pd.Series) -> tuple[Int64Array, pd.Index]:
    """Rank of each value among the values that occur, in their own order, and those values; a missing one is -1.

    The ranks are the same whether the column is Categorical or not, whatever its categories, and after any concatenation.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = values.cat.categories
        ranks, labels = pd.factorize(categories, sort=True)
        codes = values.cat.codes.to_numpy()
        occurs = np.zeros(len(ranks) + 1, dtype=bool)
        occurs[codes] = True
        used = np.zeros(len(labels), dtype=bool)
        used[ranks[occurs[:-1]]] = True
        dense = np.append((np.cumsum(used) - 1)[ranks], -1)
        return dense[codes], labels[used]
    if values.dtype == object:
        values = values.map(str, na_action="ignore")
    codes, labels = pd.factorize(values, sort=True)
    return codes.astype(np.int64, copy=False), pd.Index(labels)


def order_of(spans: pd.DataFrame, *first: str) -> Int64Array:
    """Row positions in the order of a frame: the columns named, then start_time, end_time, agent_id, id, trace_id."""
    keys = [codes_of(spans[column])[0] for column in first]
    return rows_by(spans, *keys, *times_of(spans), codes_of(spans["agent_id"])[0])


def rows_by(spans: pd.DataFrame, *keys: Int64Array, row: Int64Array | None = None) -> Int64Array:
    """Positions in the order of the keys, then of id and trace_id; ``row`` names the row of the frame at each position.

    Ids are compared only where all else ties, since ranking millions of distinct texts costs more than all the rest.
    """

    def ids(tied: Int64Array) -> list[Int64Array]:
        rows = tied if row is None else row[tied]
        return [codes_of(spans[column].iloc[rows])[0] for column in ("id", "trace_id")]

    return order_by(keys, ids)


def values_at(spans: pd.DataFrame, column: str, rows: Int64Array) -> Any:
    """Values of a column at these rows: names as a Categorical, with the frame's own categories where it has any."""
    values = spans[column].iloc[rows]
    if column in NAMES and not isinstance(values.dtype, pd.CategoricalDtype):
        return names(values)
    return values.array


def ordered(spans: pd.DataFrame, *first: str) -> pd.DataFrame:
    """The rows in the order of `order_of`."""
    return spans.iloc[order_of(spans, *first)]


def as_spans(spans: Spans, *, trace_id: str | None = None) -> pd.DataFrame:
    """Spans in any allowed shape as a frame with the columns and types of this module, in their own order.

    ``data`` is left as it comes. With ``trace_id``, that is the trace of all of them, and one that says otherwise is refused.
    """
    frame = spans if isinstance(spans, pd.DataFrame) else table_of(spans)
    if not len(frame) and not len(frame.columns):
        return empty_spans()
    strange = [column for column in frame.columns if column not in (*COLUMNS, "parent_id", "piece")]
    if strange:
        raise BadSpan(f"A span has no place for {listed(strange)}. Put it into data, or drop it. There is: {listed(COLUMNS)}.")
    if trace_id is not None:
        if "trace_id" in frame:
            refuse_others(frame, trace_id)
        frame = frame.assign(trace_id=trace_id)
    frame = frame.assign(**{name: whole_numbers(frame[name]) for name in TIMES if name in frame})
    require(frame)
    columns = {name: texts(frame[name]) for name in ("id", *NAMES)}
    start, end = times_of(frame)
    data = frame["data"] if "data" in frame else pd.Series(np.nan, index=frame.index, dtype="str")
    try:
        made = spans_frame(**columns, start_time=start, end_time=end, data=data)
    except UnicodeEncodeError as error:
        raise BadSpan(f"data holds {quoted(error.object)}, which cannot be written as UTF-8.") from None
    return made.assign(parent_id=parent_names(frame["parent_id"]).to_numpy()) if "parent_id" in frame else made


def table_of(spans: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Mappings as a table, its values as they are."""
    if not isinstance(spans, Iterable):
        raise BadSpan(f"Spans are a DataFrame, or mappings, not {type(spans).__name__}.")
    rows = list(spans)
    for row in rows:
        if not isinstance(row, Mapping):
            raise BadSpan(f"A span is a mapping here, not {type(row).__name__}: {quoted(row)}. A DataFrame will do too.")
    return pd.DataFrame([dict(row) for row in rows], dtype=object)


def refuse_others(frame: pd.DataFrame, trace_id: str) -> None:
    """Raise `BadSpan` where a row says that it is of another trace."""
    others = frame["trace_id"].notna() & (frame["trace_id"].astype(object) != trace_id)
    if others.any():
        row = first_row(others)
        raise BadSpan(
            f"Span {quoted(frame['id'].iloc[row])} is of trace {quoted(frame['trace_id'].iloc[row])}, not {quoted(trace_id)}."
        )


def whole_numbers(values: pd.Series) -> pd.Series:
    """Python's own integers, gathered in an object column, as int64; any other column as what it holds."""
    if values.dtype != object or values.isna().any():
        return values
    if not all(map(is_integer, values)):
        return values.infer_objects()
    try:
        return values.astype(np.int64)
    except OverflowError:
        large = next(value for value in values if not -(2**63) <= value < 2**63)
        raise BadSpan(f"{values.name} holds {large}, which does not fit into 63 bits.") from None


def texts(values: pd.Series) -> pd.Series:
    """A column of names as ``str``; `BadSpan` where one cannot be written as UTF-8."""
    try:
        return values.astype("str")
    except UnicodeEncodeError as error:
        raise BadSpan(f"{values.name} holds {quoted(error.object)}, which cannot be written as UTF-8.") from None


def texts_of(arrow: Any) -> Any:
    """An array of Arrow's texts as pandas' own, without a copy."""
    dtype: Any = pd.StringDtype("pyarrow", na_value=np.nan)
    return dtype.__from_arrow__(arrow)


def parent_names(values: pd.Series) -> pd.Series:
    """Parents as ``str``, missing where there is none; whole numbers that pandas made floats to say so are whole again."""
    floats = getattr(values.dtype, "kind", "O") == "f"
    return texts(values.astype("Int64") if floats and (values.dropna() % 1 == 0).all() else values)


def spans_frame(
    *,
    id: Any,  # noqa: A002  (the column's own name)
    trace_id: Any,
    agent_id: Any,
    location_id: Any,
    start_time: Any,
    end_time: Any,
    data: Any,
) -> pd.DataFrame:
    """Columns put together as a spans frame, with its types."""
    return pd.DataFrame(
        {
            "id": pd.array(id, dtype="str"),
            "trace_id": names(trace_id),
            "agent_id": names(agent_id),
            "location_id": names(location_id),
            "start_time": np.asarray(start_time, dtype=np.int64),
            "end_time": np.asarray(end_time, dtype=np.int64),
            "data": data.to_numpy() if isinstance(data, pd.Series) and data.dtype == object else pd.array(data, dtype="str"),
        }
    )


def names(values: Any) -> pd.Categorical:
    """Names as a Categorical whose categories are those that occur, lexically sorted."""
    codes, labels = codes_of(pd.Series(values))
    return pd.Categorical.from_codes(codes, labels.astype("str"))


def empty_spans() -> pd.DataFrame:
    """A spans frame without rows."""
    return spans_frame(id=[], trace_id=[], agent_id=[], location_id=[], start_time=[], end_time=[], data=[])


def first_row(wrong: pd.Series) -> int:
    """Position of the first row that is marked."""
    return int(wrong.to_numpy(dtype=bool).argmax())
