"""The spans frame: the one table that every function of tokenvis accepts or returns.

A row is a span: an agent was at a location from ``start_time`` to ``end_time``, in integer microseconds, half-open. Names
(``trace_id``, ``agent_id``, ``location_id``) are Categorical with lexically sorted categories; ``id`` and ``data`` (JSON text,
or missing) are ``str``; times are int64. A loaded frame has ``parent_id`` if any span has a parent, and ``trace_name`` if any
trace has a name other than its id. Your own frame may have the same values in other types: grouping, sorting and tie-breaking
use `codes_of`, which depends only on the values.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import BadSpan, MissingColumn, listed, quoted
from tokenvis.spans.bad_rows import conversion_hint, first_bad, of_span_with, span_at
from tokenvis.spans.integers import Int64Array, Mask, inverse_permutation, order_by, ranks_among

REQUIRED = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time")
COLUMNS = (*REQUIRED, "data")
NAMES = ("trace_id", "agent_id", "location_id")
TIMES = ("start_time", "end_time")
TRACE_NAME = "trace_name"  # a column of loaded frames
KNOWN_COLUMNS = (*COLUMNS, "parent_id", TRACE_NAME)
YEAR_2000 = 946_684_800_000_000  # times from here to YEAR_10000 are read as microseconds since 1970
YEAR_2100 = 4_102_444_800_000_000
YEAR_10000 = 253_402_300_800_000_000  # the end of calendars

GROUPBY_HINT = (
    " groupby(...).apply(...) drops the column that it groups by. Pass the whole frame: each trace is answered separately."
)

Spans: TypeAlias = pd.DataFrame | Iterable[Mapping[str, Any]]

MAX_MASKED_CATEGORIES = 4_096  # see ranks_among_used


def require(spans: pd.DataFrame, *more: str) -> None:
    """Raise unless ``spans`` is a frame of spans with the required columns and the further ones named."""
    if not isinstance(spans, pd.DataFrame):
        raise BadSpan(f"Spans must be a DataFrame, not {type(spans).__name__}. load_spans() returns one.")
    missing = [column for column in dict.fromkeys([*REQUIRED, *more]) if column not in spans.columns]
    if missing:
        hint = GROUPBY_HINT if "name" in vars(spans) else ""  # groupby().apply() gives each group its name as an attribute
        raise MissingColumn(f"The spans have no column {listed(missing)}. They have: {listed(spans.columns)}.{hint}")
    if not spans.columns.is_unique:
        duplicates = spans.columns[spans.columns.duplicated()].intersection([*REQUIRED, "parent_id", "data", *more])
        if len(duplicates):
            raise BadSpan(f"The spans have several columns {listed(duplicates)}. Drop all but one.")
    for column in ("id", *NAMES):
        missing = spans[column].array.isna()
        if missing.any():
            refuse_missing(spans, column, missing)
    start, end = times_of(spans)
    backwards = end < start
    if backwards.any():
        row, others = first_bad(backwards)
        raise BadSpan(f"Span {span_at(spans, row)} ends at {end[row]} before it starts at {start[row]}.{others}")


def refuse_missing(spans: pd.DataFrame, column: str, is_missing: Mask | pd.Series) -> NoReturn:
    """Raise `BadSpan` for the first row without a value in a required column."""
    row, others = first_bad(is_missing)
    raise BadSpan(f"Span {span_at(spans, row)} has no {column}.{others} Every span needs one.")


def times_of(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """Start and end of each row, as int64 arrays in µs; `BadSpan` if a column contains anything but integers."""
    start, end = (int64_values(spans, column) for column in TIMES)
    return start, end


def int64_values(spans: pd.DataFrame, column: str) -> Int64Array:
    """A column of integers as an int64 array; `BadSpan` if a value is missing or not a 64-bit integer."""
    values = spans[column]
    if values.dtype == np.int64:
        return values.to_numpy()  # nothing can be missing
    if values.isna().any():
        refuse_missing(spans, column, values.isna())
    dtype = values.dtype
    kind = getattr(dtype, "kind", "O")
    if kind not in "iu":
        example = non_integer_example(spans, column)
        raise BadSpan(f"{column} has type {dtype}{example}, not integer microseconds.{conversion_hint(values)}")
    if kind == "u" and len(values) and int(values.max()) >= 2**63:
        row, others = first_bad(values >= 2**63)
        where, large = span_at(spans, row), values.iloc[row]
        raise BadSpan(f"{column} of span {where} contains {large}, which does not fit into a 64-bit integer.{others}")
    return values.to_numpy(dtype=np.int64)


def non_integer_example(spans: pd.DataFrame, column: str) -> str:
    """The first value of an object column that is not an integer, as part of an error message."""
    values = spans[column]
    wrong = (row for row, value in enumerate(values) if not is_integer(value)) if values.dtype == object else iter(())
    return next((f", such as {quoted(values.iloc[row])} of span {span_at(spans, row)}" for row in wrong), "")


def is_integer(value: object) -> bool:
    """Whether a value is a Python or numpy integer, but not a boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def codes_of(values: pd.Series) -> tuple[Int64Array, pd.Index]:
    """Rank of each value among the sorted distinct values, and those values; -1 for a missing value.

    The ranks do not depend on whether the column is Categorical, on its categories, or on earlier concatenation.
    """
    if isinstance(values.array, pd.Categorical):
        return codes_of_categories(values.array)
    if isinstance(values.array, pd.arrays.ArrowStringArray):
        return codes_of_texts(values.array)
    if values.dtype == object:
        values = values.map(str, na_action="ignore")
    codes, labels = pd.factorize(values, sort=True)
    return codes.astype(np.int64, copy=False), pd.Index(labels)


def ranks_of(values: pd.Series) -> Int64Array:
    """The ranks that `codes_of` returns, without looking up the distinct values."""
    names = values.array
    if isinstance(names, pd.Categorical) and names.categories.is_monotonic_increasing:
        return ranks_among_used(names)[0]
    return codes_of(values)[0]


def codes_of_categories(values: pd.Categorical) -> tuple[Int64Array, pd.Index]:
    """The result of `codes_of` for a Categorical: only its categories are sorted, not its values."""
    ranks, used = ranks_among_used(values)
    labels = values.categories
    is_sorted = labels.is_monotonic_increasing
    if used.dtype != bool:
        labels = labels.take(used)
    elif not used.all():
        labels = labels[used]
    if is_sorted:
        return ranks, labels
    order, labels = pd.factorize(labels, sort=True)
    return np.append(order, -1)[ranks], labels


def has_names_of_others(values: pd.Categorical) -> bool:
    """Whether there are many categories, and more than rows: as in a small slice of a frame of many traces."""
    return len(values.categories) > max(MAX_MASKED_CATEGORIES, len(values))


def ranks_among_used(values: pd.Categorical) -> tuple[Int64Array, Any]:
    """The rank of each code among those that occur, -1 for -1; and which codes these are, as a mask or as positions.

    A small slice of a large frame has far more categories than rows: there a mask takes longer than the rows alone.
    """
    codes, n_categories = values.codes, len(values.categories)
    if has_names_of_others(values):
        ranks, distinct = ranks_among(codes)
        n_missing = int(len(distinct) > 0 and distinct[0] < 0)
        return ranks - n_missing, distinct[n_missing:]
    occurs = np.zeros(n_categories + 1, dtype=bool)
    occurs[codes] = True
    used = occurs[:-1]
    if used.all():
        return codes.astype(np.int64), used
    ranks = np.zeros(n_categories + 1, dtype=np.int64)
    np.cumsum(used, out=ranks[:-1])
    ranks -= 1
    return ranks[codes], used


def codes_of_texts(values: Any) -> tuple[Int64Array, pd.Index]:
    """The result of `codes_of` for an array of Arrow texts; Arrow sorts them by their bytes, which is the order of Python."""
    encoded = arrow_texts(values).dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    ranks = np.append(inverse_permutation(order.to_numpy().astype(np.int64)), -1)
    codes = encoded.indices.fill_null(len(order)).to_numpy()
    return ranks[codes], pd.Index(values.dtype.__from_arrow__(encoded.dictionary.take(order)))


def numbers_of_texts(*columns: pd.Series) -> Int64Array:
    """A number for each value of these columns, the first column first: from 0, in the order in which texts first occur."""
    texts = pa.concat_arrays([arrow_texts(column.array.astype("str")) for column in columns])
    numbers: Int64Array = texts.dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


def order_of(spans: pd.DataFrame, *first: str) -> Int64Array:
    """Row positions sorted by the columns named, then by start_time, end_time, agent_id, id, trace_id."""
    keys = [ranks_of(spans[column]) for column in first]
    return order_with_ids(spans, *keys, *times_of(spans), ranks_of(spans["agent_id"]))


def order_with_ids(spans: pd.DataFrame, *keys: Int64Array, row: Int64Array | None = None) -> Int64Array:
    """Positions sorted by the keys, then by id and trace_id; ``row`` is the frame's row at each position.

    Ids are compared only for ties, because ranking millions of distinct texts costs more than all other keys.
    """

    def ids(tied: Int64Array) -> list[Int64Array]:
        rows = tied if row is None else row[tied]
        return [ranks_of(spans[column].iloc[rows]) for column in ("id", "trace_id")]

    return order_by(keys, ids)


def values_at(spans: pd.DataFrame, column: str, rows: Int64Array) -> Any:
    """Values of a column at these rows; names are a Categorical, with the frame's categories if it has any."""
    values = spans[column].array[rows]
    return as_categorical(values) if column in NAMES and not isinstance(values, pd.Categorical) else values


def ids_at(spans: pd.DataFrame, rows: Int64Array) -> pd.Series:
    """The ids at these rows, missing for -1; integers are Int64, so that a missing id does not make them floats."""
    ids = pd.Series(spans["id"].iloc[np.maximum(rows, 0)].array) if len(spans) else spans["id"]
    ids = ids.astype("Int64") if pd.api.types.is_integer_dtype(ids.dtype) else ids
    return ids.mask(rows < 0)


def id_lists(spans: pd.DataFrame, rows: Int64Array, first: Int64Array) -> pd.Series:
    """The ids at these rows as lists, one from each position in ``first`` to the next."""
    ids, bounds = spans["id"].iloc[rows].tolist(), [*first.tolist(), len(rows)]
    return pd.Series([ids[begin:end] for begin, end in pairwise(bounds)], dtype="object")


def in_frame_order(spans: pd.DataFrame, *first: str) -> pd.DataFrame:
    """The rows in the order of `order_of`."""
    return spans.iloc[order_of(spans, *first)]


def as_spans(spans: Spans, *, trace_id: str | None = None) -> pd.DataFrame:
    """Spans in any allowed shape as a frame with the columns and types of this module, in the given order.

    ``data`` is unchanged. ``trace_id`` sets the trace of all spans; a span with another trace is refused.
    """
    frame = spans if isinstance(spans, pd.DataFrame) else table_of(spans)
    if not len(frame) and not len(frame.columns):
        return empty_spans()
    unknown = [column for column in frame.columns if column not in (*KNOWN_COLUMNS, "piece")]
    if unknown:
        raise BadSpan(f"A span has no column {listed(unknown)}. Put it into data, or drop it. Columns: {listed(COLUMNS)}.")
    if trace_id is not None:
        if "trace_id" in frame:
            check_trace_id(frame, trace_id)
        frame = frame.assign(trace_id=trace_id)
    frame = frame.assign(**{name: infer_integers(frame[name], frame) for name in TIMES if name in frame})
    require(frame)
    columns = {name: as_text(frame[name], frame) for name in ("id", *NAMES)}
    start, end = times_of(frame)
    data = frame["data"] if "data" in frame else pd.Series(np.nan, index=frame.index, dtype="str")
    try:
        typed = spans_frame(**columns, start_time=start, end_time=end, data=data)
    except UnicodeEncodeError as error:
        raise unencodable(error, "data", frame) from None
    if "parent_id" in frame:
        typed = typed.assign(parent_id=parent_ids(frame["parent_id"], frame).array)
    return typed.assign(**{TRACE_NAME: as_categorical(as_text(frame[TRACE_NAME], frame))}) if TRACE_NAME in frame else typed


def table_of(spans: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Mappings as a table of unchanged values."""
    if not isinstance(spans, Iterable):
        raise BadSpan(f"Spans must be a DataFrame or mappings, not {type(spans).__name__}.")
    rows = list(spans)
    for row in rows:
        if not isinstance(row, Mapping):
            raise BadSpan(f"A span must be a mapping, not {type(row).__name__}: {quoted(row)}. Or pass a DataFrame.")
    return pd.DataFrame([dict(row) for row in rows], dtype=object)


def check_trace_id(frame: pd.DataFrame, trace_id: str) -> None:
    """Raise `BadSpan` if a row has another ``trace_id``."""
    differs = frame["trace_id"].notna() & (frame["trace_id"].astype(object) != trace_id)
    if differs.any():
        row, others = first_bad(differs)
        raise BadSpan(f"Span {span_at(frame, row)} does not belong to trace {quoted(trace_id)}.{others}")


def infer_integers(values: pd.Series, spans: pd.DataFrame | None = None) -> pd.Series:
    """An object column of Python integers as int64; any other object column with its inferred type.

    `BadSpan` for an integer that does not fit, which names the span if the column is one of ``spans``.
    """
    if values.dtype != object or values.isna().any():
        return values
    if not all(map(is_integer, values)):
        try:
            return values.infer_objects()
        except UnicodeEncodeError:  # texts, one of them with half of a surrogate pair
            return values
    try:
        return values.astype(np.int64)
    except OverflowError:
        large = next(value for value in values if not -(2**63) <= value < 2**63)
        where = of_span_with(spans, str(values.name), large)
        raise BadSpan(f"{values.name}{where} contains {large}, which does not fit into a 64-bit integer.") from None


def as_text(values: pd.Series, spans: pd.DataFrame | None = None) -> pd.Series:
    """A column of names as ``str``; `BadSpan` if one cannot be encoded as UTF-8: it names the span, if given ``spans``."""
    try:
        return values.astype("str")
    except (UnicodeEncodeError, UnicodeDecodeError) as error:  # half of a surrogate pair; bytes
        raise unencodable(error, str(values.name), spans) from None


def unencodable(error: UnicodeEncodeError | UnicodeDecodeError, column: str, spans: pd.DataFrame | None) -> BadSpan:
    """The error for a text of a column that cannot be encoded as UTF-8."""
    where = of_span_with(spans, column, error.object)
    return BadSpan(f"{column}{where} contains {quoted(error.object)}, which cannot be encoded as UTF-8.")


def arrow_texts(values: Any) -> Any:
    """An array of texts as an Arrow array in one chunk."""
    texts = pa.array(values, pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def text_array_of(arrow: Any) -> Any:
    """An Arrow array of texts as a pandas array, without a copy."""
    dtype: Any = pd.StringDtype("pyarrow", na_value=np.nan)
    return dtype.__from_arrow__(arrow)


def parent_ids(values: pd.Series, spans: pd.DataFrame) -> pd.Series:
    """Parents as ``str``, missing if a span has none; integers that pandas stored as floats because of NaN lose their ".0"."""
    floats = getattr(values.dtype, "kind", "O") == "f"
    return as_text(values.astype("Int64") if floats and (values.dropna() % 1 == 0).all() else values, spans)


def spans_frame(
    *,
    id: Any,  # noqa: A002  (the column's name)
    trace_id: Any,
    agent_id: Any,
    location_id: Any,
    start_time: Any,
    end_time: Any,
    data: Any,
) -> pd.DataFrame:
    """A spans frame of these columns, with its types."""
    return pd.DataFrame(
        {
            "id": pd.array(id, dtype="str"),
            "trace_id": as_categorical(trace_id),
            "agent_id": as_categorical(agent_id),
            "location_id": as_categorical(location_id),
            "start_time": np.asarray(start_time, dtype=np.int64),
            "end_time": np.asarray(end_time, dtype=np.int64),
            "data": data.to_numpy() if isinstance(data, pd.Series) and data.dtype == object else pd.array(data, dtype="str"),
        }
    )


def as_categorical(values: Any) -> pd.Categorical:
    """Names as a Categorical whose categories are the names that occur, lexically sorted."""
    codes, labels = codes_of(pd.Series(values))
    return pd.Categorical.from_codes(codes, labels.astype("str"))


def with_trace_names(spans: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The spans with the column `TRACE_NAME`, if any trace has a name other than its id; ``names`` maps ids to names.

    A column survives whatever pandas does with the frame; ``DataFrame.attrs`` would be lost when two traces are joined.
    """
    codes, ids = codes_of(spans["trace_id"])
    named = [names.get(str(trace_id), str(trace_id)) for trace_id in ids]
    if named == ids.tolist():
        return spans
    code, labels = codes_of(pd.Series(named, dtype="str"))
    return spans.assign(**{TRACE_NAME: pd.Categorical.from_codes(np.append(code, -1)[codes], labels)})


def trace_names_in(spans: pd.DataFrame) -> dict[str, str]:
    """The name of each trace that has one in the column `TRACE_NAME`: the first, if there are several."""
    if TRACE_NAME not in spans.columns or "trace_id" not in spans.columns:
        return {}
    codes, ids = codes_of(spans["trace_id"])
    rows = np.flatnonzero(spans[TRACE_NAME].notna().to_numpy())
    rows = rows[np.unique(codes[rows], return_index=True)[1]]
    return dict(zip(map(str, ids[codes[rows]]), map(str, spans[TRACE_NAME].iloc[rows]), strict=True))


def empty_spans() -> pd.DataFrame:
    """A spans frame without rows."""
    return spans_frame(id=[], trace_id=[], agent_id=[], location_id=[], start_time=[], end_time=[], data=[])
