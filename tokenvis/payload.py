"""The payload: what stands in a span's ``data``.

A JSON object, or nothing. At the top stand tokenvis' own keys (``label``, ``kind``, ``parent_id``, ``links``, ``status``,
``estimated``) and free keys of the writer's; under ``attributes`` stands what a source brought, under OpenTelemetry's names.
A key is taken literally: the dots in ``gen_ai.request.model`` are part of its name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.arrays import Int64Array
from tokenvis.columns import REQUIRED, require, texts_of
from tokenvis.errors import BadOption, BadSpan, listed, quoted, several

INT64 = range(-(2**63), 2**63)
CHUNK = 65_536  # rows whose payloads are in memory at once
COMPACT = (",", ":")
ENDS_WITH_PARENT = r'[{,]"parent_id":"(?P<parent>[^"\\]*)"}$'
NOTHING: Mapping[str, Any] = {}
SURROGATE = re.compile("[\ud800-\udfff]")


def expand_data(spans: pd.DataFrame, keys: str | Iterable[str]) -> pd.DataFrame:
    """Give keys of ``data`` columns of their own.

    A key is looked up at the top of ``data``, then under ``attributes``, literally.

    Parameters
    ----------
    spans
        A frame of spans with the column ``data``.
    keys
        One key, or several.

    Returns
    -------
    DataFrame
        The columns of ``spans``, and one for each key: Int64, Float64, boolean or str where all values agree, object where they
        do not (or where there are none); missing where a span lacks the key. A column of that name is replaced. Half of a
        surrogate pair, which a column of text cannot hold, is U+FFFD there.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or ``data`` holds something else than JSON objects.
    BadOption
        Where a key has the name of a column that every frame of spans needs.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": "desk",
    ...     "start_time": [0, 5], "end_time": [5, 9],
    ...     "data": ['{"label": "plan", "attributes": {"gen_ai.usage.output_tokens": 12}}', None],
    ... })
    >>> expand_data(spans, ["label", "gen_ai.usage.output_tokens"])[["id", "label", "gen_ai.usage.output_tokens"]]
      id label  gen_ai.usage.output_tokens
    0  a  plan                          12
    1  b   NaN                        <NA>
    """
    require(spans, "data")
    keys = several("keys", keys)
    reserved = [key for key in keys if key in REQUIRED]
    if reserved:
        raise BadOption(f"keys: {listed(reserved)} would replace a column that every frame of spans needs.")
    return spans.assign(**columns_in(spans, keys))


def columns_in(spans: pd.DataFrame, keys: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each key, typed as in `expand_data`, of the rows given (by default all); some thousand rows at a time."""
    taken = spans[["id", "data"]] if rows is None else spans[["id", "data"]].iloc[rows]
    parts: dict[str, list[pd.Series]] = {key: [] for key in keys}
    for first in range(0, max(len(taken), 1), CHUNK):
        chunk = taken.iloc[first : first + CHUNK]
        for key, values in looked_up(chunk, list(parts)).items():
            parts[key].append(typed(values, chunk.index))
    return {key: joined(columns) for key, columns in parts.items()}


def looked_up(spans: pd.DataFrame, keys: list[str]) -> dict[str, list[Any]]:
    """What `look_up` finds under each key in the payload of each row, several times faster: ``attributes`` are sought once."""
    values: dict[str, list[Any]] = {key: [] for key in keys}
    wanted = [(key, column.append) for key, column in values.items()]
    for payload in parsed(spans):
        attributes = payload.get("attributes", NOTHING)
        deeper = attributes if type(attributes) is dict or isinstance(attributes, Mapping) else NOTHING
        for key, append in wanted:
            append(payload[key] if key in payload else deeper.get(key))
    return values


def joined(parts: list[pd.Series]) -> pd.Series:
    """Parts of a column as one, of the type that holds all their values."""
    told = [part for part in parts if part.notna().any()]
    if len({part.dtype for part in told}) <= 1:
        column: pd.Series = pd.concat([part.astype(told[0].dtype) for part in parts] if told else parts)
        return column
    values = [None if value is pd.NA or value is np.nan else value for part in parts for value in part.tolist()]
    return typed(values, pd.concat([part.index.to_series() for part in parts]).index)


def numbers_in(spans: pd.DataFrame, keys: Iterable[str]) -> dict[str, pd.Series]:
    """A column of numbers for each key, Int64 or Float64, missing where a span has none; `BadSpan` where it is no number."""
    keys = list(keys)
    rows = mentioning(spans, *keys)
    columns = columns_in(spans, keys, rows) if len(rows) else {}
    return {key: whole_column(numeric(key, columns.get(key), spans, rows), rows, len(spans)) for key in keys}


def numeric(key: str, values: pd.Series | None, spans: pd.DataFrame, rows: Int64Array) -> pd.Series:
    """The column of a key, which holds numbers, or nothing."""
    if values is None or not values.notna().any():
        return pd.Series(pd.NA, index=range(len(rows)), dtype="Int64")
    if str(values.dtype) not in ("Int64", "Float64"):
        row = next((row for row, value in enumerate(values.tolist()) if not is_number(value)), None)
        if row is None:  # whole numbers too large for exact floats, among floats
            return values.astype("Float64")
        span = quoted(spans["id"].iloc[int(rows[row])])
        raise BadSpan(f"{key} of span {span} is {quoted(values.tolist()[row])}, not a number of 64 bits.")
    return values


def is_number(value: object) -> bool:
    """Whether a value is missing, or a number that 64 bits hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None or value is pd.NA
    return isinstance(value, float) or value in INT64


def whole_column(values: pd.Series, rows: Int64Array, count: int) -> pd.Series:
    """A column for all rows, missing where none was read."""
    if len(rows) == count:
        return values.reset_index(drop=True)
    column = pd.Series(pd.NA, index=range(count), dtype=values.dtype)
    column.iloc[rows] = values.array
    return column


def mentioning(spans: pd.DataFrame, *words: str) -> Int64Array:
    """Rows whose payload has one of these words in it, so may have it as a key; none where the frame has no ``data``."""
    if "data" not in spans.columns:
        return np.empty(0, dtype=np.int64)
    data = spans["data"]
    if data.dtype == object:  # payloads that are no text yet
        return np.flatnonzero(data.notna().to_numpy())
    mention = np.zeros(len(data), dtype=bool)
    for word in words:
        mention |= data.str.contains(word, regex=False, na=False).to_numpy(dtype=bool)
    return np.flatnonzero(mention)


def values_in(spans: pd.DataFrame, key: str) -> tuple[Int64Array, list[Any]]:
    """The rows that have one of tokenvis' own keys, and what stands under it."""
    rows = mentioning(spans, f'"{key}"')
    values = [payload.get(key) for payload in parsed(spans.iloc[rows])] if len(rows) else []
    there = [value is not None for value in values]
    return rows[there], [value for value in values if value is not None]


def links_in(spans: pd.DataFrame) -> tuple[Int64Array, pd.Series]:
    """The rows that have ``links``, a row for each link, and the ids that these name."""
    rows, values = values_in(spans, "links")
    links = [value if isinstance(value, list) else [value] for value in values]
    named = [link if isinstance(link, str) else str(link) for every in links for link in every]
    return np.repeat(rows, [len(every) for every in links]), text_column(named, pd.RangeIndex(len(named)))


def parsed(spans: pd.DataFrame) -> Iterator[Mapping[str, Any]]:
    """The payload of each row, an empty one where there is none."""
    loads = orjson.loads
    for position, value in enumerate(spans["data"].tolist()):
        try:
            payload = loads(value) if type(value) is str else None
        except orjson.JSONDecodeError:
            payload = None
        if type(payload) is not dict:
            payload = parsed_with_care(value, spans["id"].iloc[position])
        yield payload


def parsed_with_care(value: Any, span: Any) -> Mapping[str, Any]:
    """One payload; `BadSpan` where it is no JSON object."""
    try:
        return parse(value)
    except (ValueError, RecursionError) as error:
        raise BadSpan(f"data of span {quoted(span)} is not a JSON object: {quoted(value)} ({error}).") from None


def parse(value: Any) -> Mapping[str, Any]:
    """One payload; `ValueError` where it is no JSON object."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = json.loads(value, parse_constant=refuse_constant)
    elif value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return NOTHING
    if not isinstance(value, Mapping):
        raise ValueError(f"it is {type(value).__name__}")
    return value


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's own parser would take."""
    raise ValueError(f"{name} is not JSON")


def look_up(payload: Mapping[str, Any], key: str) -> Any:
    """A key's value at the top, else under ``attributes``, else None."""
    if key in payload:
        return payload[key]
    attributes = payload.get("attributes")
    return attributes.get(key) if isinstance(attributes, Mapping) else None


def typed(values: list[Any], index: pd.Index) -> pd.Series:
    """Values as the narrowest column that holds them all; None is missing."""
    kinds = set(map(type, values)) - {type(None)}
    try:
        if kinds == {str}:
            return text_column(values, index)
        if kinds == {int}:
            return pd.Series(masked(pa.array(values, pa.int64())), index=index)
        if kinds in ({float}, {int, float}):
            floats = [None if value is None else float(value) for value in values]
            if floats == values:  # no whole number loses a digit
                return pd.Series(masked(pa.array(floats, pa.float64())), index=index)
    except OverflowError:  # a whole number too large for any of them
        pass
    return pd.Series(values, index=index, dtype="boolean" if kinds == {bool} else "object")


def masked(numbers: pa.Array) -> Any:
    """Numbers of Arrow as pandas' own, Int64 or Float64, which may be missing."""
    missing = numbers.is_null().to_numpy(zero_copy_only=False)
    made = pd.arrays.IntegerArray if pa.types.is_integer(numbers.type) else pd.arrays.FloatingArray
    return made(np.array(numbers.fill_null(0)), missing)


def text_column(values: Iterable[str | None], index: pd.Index) -> pd.Series:
    """Texts as ``str``, each half of a surrogate pair as U+FFFD; None is missing."""
    every = list(values)
    try:
        return pd.Series(texts_of(pa.array(every, pa.large_string())), index=index)
    except UnicodeEncodeError:
        whole = [None if value is None else SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value) for value in every]
        return pd.Series(whole, index=index, dtype="str")


def parents_of(data: pd.Series) -> pd.Series | None:
    """``parent_id`` of each payload (str, may be missing), of a column of texts; None where none has one.

    Where the text ends with it, as tokenvis writes it, it is taken from there: what stands before the last brace of an object
    is a member of that object, and the last of its name. Other texts are parsed, if they mention the key at all. What is no
    JSON object names no parent: `expand_data` says which.
    """
    texts = pa.array(data.array)
    if not mentions(texts, b'"parent_id"'):
        return None
    parents = pc.struct_field(pc.extract_regex(texts, ENDS_WITH_PARENT), "parent")
    rows = np.flatnonzero(parents.is_null().to_numpy(zero_copy_only=False))
    others = texts.take(pa.array(rows)) if len(rows) < len(texts) else texts
    mention = pc.match_substring_regex(others, '"parent_id"').fill_null(False).to_numpy(zero_copy_only=False)
    rows = rows[mention]
    column = pd.Series(texts_of(parents), index=data.index)
    if len(rows):
        column.iloc[rows] = text_column(map(parent_in, data.iloc[rows].tolist()), data.index[rows])
    return column if column.notna().any() else None


def mentions(texts: pa.Array | pa.ChunkedArray, word: bytes) -> bool:
    """Whether a word stands anywhere in the letters of an array, maybe in a text that a slice of it leaves out."""
    letters = [part.buffers()[2] for part in (texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts])]
    return any(re.search(re.escape(word), part) for part in letters if part is not None)


def parent_in(value: Any) -> str | None:
    """The parent that a payload names, where it does."""
    with suppress(ValueError, RecursionError):
        parent = parse(value).get("parent_id")
        return parent if isinstance(parent, str) else None
    return None


def encoded(spans: pd.DataFrame) -> pd.Series:
    """The payload of each row as JSON text, missing where there is none, with the frame's own ``parent_id`` put into it."""
    data = spans["data"]
    if data.dtype == "str" and are_objects(data) and parents_agree(spans):
        return data
    parents = spans["parent_id"].tolist() if "parent_id" in spans else [None] * len(spans)
    texts = []
    for span, value, parent in zip(spans["id"].tolist(), data.tolist(), parents, strict=True):
        try:
            payload = parse(value)
            if isinstance(value, str) and not encodable(value):
                raise ValueError("half of a surrogate pair cannot be written as UTF-8")
            if isinstance(parent, str) and payload.get("parent_id") != parent:
                exact = json.loads(value) if isinstance(value, str) else payload  # with every digit
                value = {**exact, "parent_id": parent}
            texts.append(value if isinstance(value, str) else encode(value) if isinstance(value, Mapping) else None)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadSpan(f"data of span {quoted(span)} is not a JSON object: {quoted(value)} ({error}).") from None
    return pd.Series(texts, index=spans.index, dtype="str")


def are_objects(texts: pd.Series) -> bool:
    """Whether all texts that are there are JSON objects, as far as the fastest parser takes them; the others may be still."""
    try:
        return set(map(type, map(orjson.loads, texts.dropna().tolist()))) <= {dict}
    except orjson.JSONDecodeError:
        return False


def parents_agree(spans: pd.DataFrame) -> bool:
    """Whether the payloads name the parents that the frame's own column names, if it has one."""
    if "parent_id" not in spans or not spans["parent_id"].notna().any():
        return True
    named = parents_of(spans["data"])
    own = spans["parent_id"]
    return named is not None and bool((own.isna() | (own == named)).all())


def encode(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text; NaN and what JSON has no form for are a `ValueError` or a `TypeError`."""
    text = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False, separators=COMPACT)
    return text if encodable(text) else json.dumps(dict(payload), allow_nan=False, separators=COMPACT)


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: half of a surrogate pair cannot."""
    return text.isascii() or SURROGATE.search(text) is None
