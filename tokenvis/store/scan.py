"""Scan: reads spans from the file as columns, at about the speed of SQLite's own table scan.

Most of the cost of reading a row is creating Python objects for its values. So SQLite joins the values of each column, for
thousands of rows at once, into one text (``group_concat``), and Arrow splits it. One query joins all columns, so their values
are in the same order. That order is arbitrary: rows are read in file order, which costs the same for any order of their times,
and the caller sorts them.

If a chunk cannot be split (a name contains the separator, a value is NULL, bytes are not UTF-8, a time is not an integer), its
rows are read again one by one, and each row that violates the schema becomes a `Fault`.
"""

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, Integer, bindparam, func, literal_column, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from tokenvis.errors import quoted
from tokenvis.spans.columns import NAMES, TIMES
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.payload import parse
from tokenvis.spans.text import encodable
from tokenvis.store.connections import driver_of
from tokenvis.store.obstacles import OWN_SQL
from tokenvis.store.schema import NAME_RULE, ROW_RULE, Span, Trace

TEXT_COLUMNS = ("id", *NAMES, "data")
SEPARATOR = "\x1f"
SEPARATOR_SQL: ColumnElement[str] = literal_column("'\x1f'")  # a parameter, or char(31), takes twice the time
EMPTY_TEXT_SQL: ColumnElement[Any] = literal_column("''")
FIRST_CHUNK_ROWS, MAX_CHUNK_ROWS = 1_024, 16_384
MAX_CHUNK_BYTES = 32 << 20  # estimated from the previous chunk
SPARSE_FACTOR = 8  # with more rowids per row than this, select the rowids in use instead of scanning the range
ROWID: ColumnElement[int] = literal_column("spans.rowid", Integer)
MAX_ROWID = 2**63 - 1  # after it, SQLite chooses random rowids
TRACE_ID_WITHOUT_INDEX: ColumnElement[str] = literal_column("+spans.trace_id")  # the index would lead to all rows of a trace
JOINED_COLUMNS = [
    func.group_concat(
        func.coalesce(Span.data, EMPTY_TEXT_SQL) if name == "data" else Span.__table__.c[name], SEPARATOR_SQL, type_=NullType()
    )
    for name in (*TEXT_COLUMNS, *TIMES)
]

Arrays: TypeAlias = dict[str, pa.Array]
Conditions: TypeAlias = Sequence[ColumnElement[bool]]
RowIds: TypeAlias = "range | Int64Array"


class Fault(NamedTuple):
    """A row that violates the schema: its span and trace, as errors name them, and the reason."""

    span: str
    reason: str


class SpanColumns(NamedTuple):
    """Spans as columns, unordered: ids and data as texts, names as codes into ``names``, and the invalid rows.

    ``trace_names`` are the names of those traces whose name is not their id.
    """

    values: dict[str, Any]
    names: dict[str, list[str]]
    faults: list[Fault]
    trace_names: dict[str, str]


class Watermark(NamedTuple):
    """The state up to which the spans of some traces were read.

    It consists of the traces, the file's inode and schema version, the highest rowid, and the number of spans.
    """

    trace_ids: tuple[str, ...]
    inode: int
    schema_version: int
    max_rowid: int
    n_spans: int

    def precedes(self, other: "Watermark") -> bool:
        """Whether the rows that are new or changed since this watermark are exactly those above its rowid."""
        return self[:3] == other[:3] and self.max_rowid <= other.max_rowid and self.max_rowid < MAX_ROWID


class ChangedSpans(NamedTuple):
    """Spans that are new or changed since a watermark, or all spans (``is_complete``), and the current watermark."""

    columns: SpanColumns
    watermark: Watermark
    is_complete: bool


class TextBuilder:
    """A growing column of texts with all characters in one buffer, so that memory never has two copies of the column."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.ends: list[Int64Array] = [np.zeros(1, dtype=np.int64)]
        self.valid: list[Mask] = []

    def add(self, part: pa.Array) -> None:
        """Append a copy of these texts."""
        _, offsets, characters = part.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        self.ends.append(ends[1:] + (len(self.buffer) - ends[0]))
        self.valid.append(part.is_valid().to_numpy(zero_copy_only=False))
        if ends[-1] > ends[0]:
            self.buffer += memoryview(characters)[ends[0] : ends[-1]]

    def array(self) -> pa.Array:
        """All texts as an Arrow array."""
        ends, valid = np.concatenate(self.ends), np.concatenate([np.empty(0, dtype=bool), *self.valid])
        bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.LargeStringArray.from_buffers(len(valid), pa.py_buffer(ends), pa.py_buffer(self.buffer), bitmap)


def read_columns(connection: Connection, rows: RowIds, conditions: Conditions) -> SpanColumns:
    """Read the rows that meet the conditions."""
    has_constraints = has_own_schema(connection)
    faults: list[Fault] = []
    texts = {name: TextBuilder() for name in ("id", "data")}
    codes: dict[str, dict[str, int]] = {name: {} for name in NAMES}
    numbers: dict[str, list[Any]] = {
        **{name: [np.empty(0, np.int32)] for name in NAMES},
        **{name: [np.empty(0, np.int64)] for name in TIMES},
    }
    with texts_as_bytes(connection):
        for chunk in read_chunks(connection, rows, conditions, faults, has_constraints=has_constraints):
            for name, column in texts.items():
                column.add(chunk[name])
            for name in NAMES:
                numbers[name].append(codes_for(chunk[name], codes[name]))
            for name in TIMES:
                numbers[name].append(chunk[name].to_numpy())
    values = {name: column.array() for name, column in texts.items()} | {
        name: np.concatenate(parts) for name, parts in numbers.items()
    }
    names = {name: list(labels) for name, labels in codes.items()}
    return SpanColumns(values, names, faults, names_of_traces(connection, names["trace_id"]))


def names_of_traces(connection: Connection, trace_ids: Iterable[str]) -> dict[str, str]:
    """The names of those of these traces whose name is not their id."""
    query = select(Trace.id, Trace.name).where(is_one_of(Trace.id, trace_ids), Trace.name != Trace.id)
    return {trace_id: name for trace_id, name in connection.execute(query) if isinstance(name, str)}


def chunks_of_traces(connection: Connection, trace_ids: Iterable[str]) -> Iterator[Arrays]:
    """The valid rows of traces, as columns of texts and times, in chunks of limited memory."""
    rows, has_constraints = rowids_of_traces(connection, list(trace_ids)), has_own_schema(connection)
    with texts_as_bytes(connection):
        yield from read_chunks(connection, rows, [], [], has_constraints=has_constraints)


def read_changes(connection: Connection, trace_ids: Sequence[str], inode: int, since: Watermark | None) -> ChangedSpans:
    """Spans of these traces that are new or changed since a watermark; all spans if there is none, or if it is invalid."""
    watermark = watermark_of(connection, trace_ids, inode)
    if since is None or not since.precedes(watermark):
        return ChangedSpans(read_columns(connection, rowids_of_traces(connection, trace_ids), []), watermark, is_complete=True)
    rows = select_rowids(connection, [since.max_rowid < ROWID, is_one_of(TRACE_ID_WITHOUT_INDEX, trace_ids)])
    return ChangedSpans(read_columns(connection, rows, []), watermark, is_complete=False)


def watermark_of(connection: Connection, trace_ids: Sequence[str], inode: int) -> Watermark:
    """The current watermark of these traces."""
    schema_version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    [max_rowid] = connection.execute(select(func.coalesce(func.max(ROWID), literal_column("0"))).select_from(Span)).one()
    n_spans = connection.scalar(select(func.count()).where(is_one_of(Span.trace_id, trace_ids))) or 0
    return Watermark(tuple(trace_ids), inode, schema_version, max_rowid, n_spans)


def invalidate_watermarks(connection: Connection) -> None:
    """Invalidate all watermarks, because rowids of removed rows may be used again: followers then read all spans.

    It increments the schema version, as SQLite does when VACUUM renumbers the rows.
    """
    schema_version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql(f"PRAGMA schema_version = {schema_version % (2**31 - 1) + 1}")


def has_own_schema(connection: Connection) -> bool:
    """Whether the table of spans was created by our schema, so that its constraints hold for all rows."""
    sql = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = 'spans'").scalar()
    return isinstance(sql, str) and sql.split() == OWN_SQL["spans"]


@contextmanager
def texts_as_bytes(connection: Connection) -> Iterator[None]:
    """A context in which the driver returns texts as bytes."""
    driver = driver_of(connection)
    driver.text_factory = bytes
    try:
        yield
    finally:
        driver.text_factory = str


def codes_for(values: pa.Array, codes: dict[str, int]) -> Int64Array:
    """The code of each name; a new name gets the next code."""
    encoded = values.dictionary_encode()
    code_of = [codes.setdefault(name, len(codes)) for name in encoded.dictionary.to_pylist()]
    result: Int64Array = np.array(code_of, dtype=np.int32)[encoded.indices.to_numpy()]
    return result


def read_chunks(
    connection: Connection, rows: RowIds, conditions: Conditions, faults: list[Fault], *, has_constraints: bool
) -> Iterator[Arrays]:
    """The rows in chunks of limited memory, the first chunks smaller; ``has_constraints`` if the table has ours."""
    n_done, n_rows = 0, FIRST_CHUNK_ROWS
    while n_done < len(rows):
        part = rows[n_done : n_done + n_rows]
        where = [rowid_in(part), *conditions]
        joined = joined_chunk(connection, where, has_constraints=has_constraints)
        if joined is None and len(part) > 1:  # longer than SQLite's longest text
            n_rows = max(1, len(part) // 16)
            continue
        chunk = arrays_of(joined) if joined else None
        if chunk is None:
            chunk = read_row_by_row(connection, where, faults)
        yield chunk
        n_done += len(part)
        if isinstance(rows, range) and len(chunk["id"]) < len(part) // SPARSE_FACTOR and n_done < len(rows):
            rows, n_done = select_rowids(connection, [rows[n_done] <= ROWID, *conditions]), 0
        per_row = sum(values.nbytes for values in chunk.values()) // max(len(chunk["id"]), 1) + 1
        n_rows = max(1, min(MAX_CHUNK_BYTES // per_row, 8 * n_rows, MAX_CHUNK_ROWS))


def rowid_in(part: RowIds) -> ColumnElement[bool]:
    """The condition that the rowid is one of these sorted rowids."""
    first, last = int(part[0]), int(part[-1])
    if last - first + 1 == len(part):
        return ROWID.between(bindparam("first", first), bindparam("last", last))
    return is_one_of(ROWID, [int(row) for row in part])


def is_one_of(column: Any, values: Iterable[str] | Iterable[int]) -> ColumnElement[bool]:
    """The condition that a column is one of any number of values, passed as one JSON parameter."""
    storable = {value for value in values if not isinstance(value, str) or encodable(value)}  # others match no row
    # SQLite's json_each cuts a text at a null character
    with_null = {value for value in storable if isinstance(value, str) and "\x00" in value}
    each = func.json_each(json.dumps(list(storable - with_null))).table_valued("value")
    in_list: ColumnElement[bool] = column.in_(select(each.c.value))
    return or_(in_list, column.in_(with_null)) if with_null else in_list


def select_rowids(connection: Connection, conditions: Conditions) -> Int64Array:
    """The sorted rowids of the rows that meet the conditions."""
    [joined] = connection.execute(select(func.group_concat(ROWID, type_=NullType())).select_from(Span).where(*conditions)).one()
    if joined is None:
        return np.empty(0, np.int64)
    rowids = split_column(joined.encode() if isinstance(joined, str) else joined, ",")
    return np.sort(rowids.cast(pa.int64()).to_numpy())


def all_rowids(connection: Connection) -> RowIds:
    """The range from the lowest to the highest rowid, with the unused ones in between.

    If the range is too long, only the rowids in use.
    """
    [first] = connection.execute(select(func.min(ROWID)).select_from(Span)).one()
    [last] = connection.execute(select(func.max(ROWID)).select_from(Span)).one()
    if first is None:
        return range(0)
    return range(first, last + 1) if last - first < sys.maxsize else select_rowids(connection, [])


def rowids_of_traces(connection: Connection, trace_ids: Sequence[str]) -> RowIds:
    """The rowids of these traces; the range of `all_rowids` if no other trace has rows and few rowids are unused."""
    in_traces = is_one_of(Span.trace_id, trace_ids)
    rows, count = all_rowids(connection), select(func.count()).select_from(Span)
    n_spans = connection.scalar(count.where(in_traces)) or 0
    use_range = n_spans == len(rows) or (2 * n_spans > len(rows) and n_spans == connection.scalar(count))
    return rows if use_range else select_rowids(connection, [in_traces])


def joined_chunk(connection: Connection, where: Conditions, *, has_constraints: bool) -> Sequence[Any] | None:
    """The number of rows, the number of invalid rows, and each column as one text; None if a text would be too long."""
    invalid: ColumnElement[int] = literal_column(
        f"count(CASE WHEN {NAME_RULE if has_constraints else ROW_RULE} THEN NULL ELSE 1 END)"
    )
    try:
        return connection.execute(select(func.count(), invalid, *JOINED_COLUMNS).select_from(Span).where(*where)).one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_TOOBIG:
            raise
        return None


def arrays_of(joined: Sequence[Any]) -> Arrays | None:
    """The columns of a chunk; None unless all rows are valid and each text splits into as many values as there are rows."""
    count, n_invalid, *texts = joined
    if not count:
        return {name: pa.array([], pa.int64() if name in TIMES else pa.large_string()) for name in (*TEXT_COLUMNS, *TIMES)}
    if n_invalid or None in texts or b"\x00" in texts[TEXT_COLUMNS.index("data")]:  # SQLite's json_valid stops at a null
        return None
    try:
        columns = {name: split_column(text) for name, text in zip((*TEXT_COLUMNS, *TIMES), texts, strict=True)}
        columns |= {name: columns[name].cast(pa.int64()) for name in TIMES}
    except pa.ArrowInvalid:  # bytes that are not UTF-8, or a time that is not an integer
        return None
    if {len(column) for column in columns.values()} != {count}:
        return None
    empty = pc.equal(pc.binary_length(columns["data"]), 0)
    if pc.any(empty).as_py():
        columns["data"] = pc.if_else(empty, None, columns["data"])
    return columns


def split_column(joined: bytes, separator: str = SEPARATOR) -> pa.Array:
    """The values of a column joined into one text; `pyarrow.ArrowInvalid` if its bytes are not UTF-8."""
    ends = pa.py_buffer(np.array([0, len(joined)], dtype=np.int64))
    text = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(joined))
    text.validate(full=True)
    return pc.split_pattern(text, separator).flatten()


def read_row_by_row(connection: Connection, where: Conditions, faults: list[Fault]) -> Arrays:
    """The rows that meet the conditions, read one by one; those that violate the schema are appended to ``faults``."""
    columns = [Span.__table__.c[name] for name in (*TEXT_COLUMNS, *TIMES)]
    types = [func.typeof(column) for column in columns]
    values = [type_coerce(column, NullType()) for column in columns]
    valid_rows = []
    for row in connection.execute(select(*types, *values).where(*where)):
        row_types = [name.decode() for name in row[: len(types)]]
        row_values = [decoded(value, kind) for value, kind in zip(row[len(types) :], row_types, strict=True)]
        reason = fault_reason(dict(zip((*TEXT_COLUMNS, *TIMES), row_values, strict=True)))
        if reason is None:
            valid_rows.append(row_values)
        else:
            span, trace = map(quoted, row_values[:2])
            faults.append(Fault(f"{span} of trace {trace}", reason))
    valid_columns = zip(*valid_rows, strict=True) if valid_rows else [()] * len(columns)
    arrow_types = [pa.large_string()] * len(TEXT_COLUMNS) + [pa.int64()] * len(TIMES)
    return {
        name: pa.array(list(column), kind)
        for name, column, kind in zip((*TEXT_COLUMNS, *TIMES), valid_columns, arrow_types, strict=True)
    }


def decoded(value: Any, kind: str) -> Any:
    """A value of an SQL type as a Python value; a text that is not UTF-8 stays bytes."""
    if kind != "text":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def fault_reason(row: dict[str, Any]) -> str | None:
    """How a row violates the schema; None if it does not."""
    for name in TEXT_COLUMNS[:-1]:
        if not isinstance(row[name], str):
            return f"{name} is {quoted(row[name])} in the database, not a text"
    for name in TIMES:
        if type(row[name]) is not int:
            return f"{name} is {quoted(row[name])} in the database, not integer microseconds"
    start, end = row["start_time"], row["end_time"]
    if end < start:
        return f"it ends at {end} before it starts at {start}"
    return data_fault(row["data"])


def data_fault(data: Any) -> str | None:
    """Why the ``data`` of a row is not a payload; None if it is one."""
    if data is None:
        return None
    if not isinstance(data, str):
        return f"data is {quoted(data)} in the database, not a text"
    try:
        parse(data)
    except (ValueError, RecursionError) as error:
        return f"data is not a JSON object: {quoted(data)} ({error})"
    return None
