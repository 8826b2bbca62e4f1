"""The scan: spans read out of the file as columns, at about the speed at which SQLite walks over them.

Most of the time that reading a row takes goes into the Python objects made of its values. So SQLite itself joins the values of
each column, of some thousand rows at once, into one text (``group_concat``), which Arrow takes apart again. All columns are
joined in one walk over the rows, so their values stand in one order, whichever that is. Rows are taken as they lie in the file,
which costs the same however their times are shuffled: who reads them sorts them.

Where a chunk of rows does not come apart as it must (a name with the separator in it, a NULL, bytes that are no UTF-8, a time
that is no integer), its rows are read once more, one by one, and each that breaks a rule of the schema becomes a fault.
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
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import NullType

from tokenvis.errors import quoted
from tokenvis.spans.columns import NAMES, TIMES
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.payload import parse
from tokenvis.spans.text import encodable
from tokenvis.store.schema import NAME_RULE, ROW_RULE, Span

TEXTS = ("id", *NAMES, "data")
SEPARATOR = "\x1f"
IN_SQL: ColumnElement[str] = literal_column("'\x1f'")  # as a parameter, or as char(31), it takes twice the time
NO_DATA: ColumnElement[Any] = literal_column("''")
FIRST_ROWS, MOST_ROWS = 1_024, 16_384  # of a chunk
MOST_BYTES = 32 << 20  # of a chunk, as far as the one before it tells
SPARSE = 8  # how many times more rowids than rows make a look at each rowid a waste
ROWID: ColumnElement[int] = literal_column("spans.rowid", Integer)
LAST_ROWID = 2**63 - 1  # after which SQLite numbers rows as it likes
TRACE_BY_ROW: ColumnElement[str] = literal_column("+spans.trace_id")  # the plus keeps SQLite from walking over a whole trace
JOINED = [
    func.group_concat(func.coalesce(Span.data, NO_DATA) if name == "data" else Span.__table__.c[name], IN_SQL, type_=NullType())
    for name in (*TEXTS, *TIMES)
]

OURS = str(CreateTable(Span.metadata.tables["spans"]).compile(dialect=sqlite.dialect())).split()

Arrays: TypeAlias = dict[str, pa.Array]
Conditions: TypeAlias = Sequence[ColumnElement[bool]]
Rows: TypeAlias = "range | Int64Array"


class Fault(NamedTuple):
    """A row that breaks a rule of the schema: its span, and what is wrong with it."""

    span: str
    reason: str


class Columns(NamedTuple):
    """Spans as columns, in no order: ids and data as texts, names as numbers into ``names``, and what could not be read."""

    values: dict[str, Any]
    names: dict[str, list[str]]
    faults: list[Fault]


class Mark(NamedTuple):
    """How far the spans of some traces were read: in which file, of how many numberings of its rows, up to which number."""

    trace_ids: tuple[str, ...]
    file: int
    numbering: int
    highest: int
    n_spans: int

    def leads_to(self, other: "Mark") -> bool:
        """Whether what is new or changed between two marks is what has a number above this one."""
        return self[:3] == other[:3] and self.highest <= other.highest and self.highest < LAST_ROWID


class Changes(NamedTuple):
    """Spans that are new or changed since a mark, or all of them (``whole``), and the mark of now."""

    columns: Columns
    mark: Mark
    whole: bool


class Texts:
    """A column of texts that grows: its letters lie in one block, so that memory never holds them twice."""

    def __init__(self) -> None:
        self.letters = bytearray()
        self.ends: list[Int64Array] = [np.zeros(1, dtype=np.int64)]
        self.there: list[Mask] = []

    def add(self, part: pa.Array) -> None:
        """Take further texts, which are copied."""
        _, offsets, letters = part.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        self.ends.append(ends[1:] + (len(self.letters) - ends[0]))
        self.there.append(part.is_valid().to_numpy(zero_copy_only=False))
        if ends[-1] > ends[0]:
            self.letters += memoryview(letters)[ends[0] : ends[-1]]

    def array(self) -> pa.Array:
        """All of them."""
        ends, there = np.concatenate(self.ends), np.concatenate([np.empty(0, dtype=bool), *self.there])
        missing = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
        return pa.LargeStringArray.from_buffers(len(there), pa.py_buffer(ends), pa.py_buffer(self.letters), missing)


def columns_of(connection: Connection, rows: Rows, conditions: Conditions) -> Columns:
    """Read those of the rows that meet the conditions."""
    checked = holds_rules(connection)
    faults: list[Fault] = []
    texts = {name: Texts() for name in ("id", "data")}
    codes: dict[str, dict[str, int]] = {name: {} for name in NAMES}
    numbers: dict[str, list[Any]] = {
        **{name: [np.empty(0, np.int32)] for name in NAMES},
        **{name: [np.empty(0, np.int64)] for name in TIMES},
    }
    with reading_bytes(connection):
        for chunk in chunks_of(connection, rows, conditions, faults, checked=checked):
            for name, column in texts.items():
                column.add(chunk[name])
            for name in NAMES:
                numbers[name].append(numbered(chunk[name], codes[name]))
            for name in TIMES:
                numbers[name].append(chunk[name].to_numpy())
    values = {name: column.array() for name, column in texts.items()} | {
        name: np.concatenate(parts) for name, parts in numbers.items()
    }
    return Columns(values, {name: list(numbers) for name, numbers in codes.items()}, faults)


def changes_of(connection: Connection, trace_ids: Sequence[str], file: int, since: Mark | None) -> Changes:
    """Spans of these traces that are new or changed since a mark; all, where there is none, or it leads nowhere."""
    mark = mark_of(connection, trace_ids, file)
    if since is None or not since.leads_to(mark):
        return Changes(columns_of(connection, rows_of_traces(connection, trace_ids), []), mark, whole=True)
    rows = rowids(connection, [since.highest < ROWID, among(TRACE_BY_ROW, trace_ids)])
    return Changes(columns_of(connection, rows, []), mark, whole=False)


def mark_of(connection: Connection, trace_ids: Sequence[str], file: int) -> Mark:
    """How far the spans of these traces go now."""
    numbering = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    [highest] = connection.execute(select(func.coalesce(func.max(ROWID), literal_column("0"))).select_from(Span)).one()
    n_spans = connection.scalar(select(func.count()).where(among(Span.trace_id, trace_ids))) or 0
    return Mark(tuple(trace_ids), file, numbering, highest, n_spans)


def number_anew(connection: Connection) -> None:
    """Say that rows may have numbers again that others had: what follows a trace by such numbers reads it anew.

    The number is the schema's, which SQLite raises wherever it packs the rows anew, too.
    """
    numbering = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql(f"PRAGMA schema_version = {numbering % (2**31 - 1) + 1}")


def holds_rules(connection: Connection) -> bool:
    """Whether the table of spans is as our schema makes it, so that its rows keep the rules."""
    there = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = 'spans'").scalar()
    return isinstance(there, str) and there.split() == OURS


@contextmanager
def reading_bytes(connection: Connection) -> Iterator[None]:
    """Have texts come as the bytes that they are in the file."""
    driver: Any = connection.connection.driver_connection
    driver.text_factory = bytes
    try:
        yield
    finally:
        driver.text_factory = str


def numbered(values: pa.Array, numbers: dict[str, int]) -> Int64Array:
    """Each name's number; a new name gets the next one."""
    encoded = values.dictionary_encode()
    known = [numbers.setdefault(name, len(numbers)) for name in encoded.dictionary.to_pylist()]
    number: Int64Array = np.array(known, dtype=np.int32)[encoded.indices.to_numpy()]
    return number


def chunks_of(
    connection: Connection, rows: Rows, conditions: Conditions, faults: list[Fault], *, checked: bool
) -> Iterator[Arrays]:
    """The rows in chunks that grow to a size that memory hardly feels; ``checked`` where the table holds the rules itself."""
    done, width = 0, FIRST_ROWS
    while done < len(rows):
        part = rows[done : done + width]
        where = [lies_in(part), *conditions]
        packed = packed_rows(connection, where, checked=checked)
        if packed is None and len(part) > 1:  # too much for one text
            width = max(1, len(part) // 16)
            continue
        chunk = arrays_of(packed) if packed else None
        if chunk is None:
            chunk = plain_rows(connection, where, faults)
        yield chunk
        done += len(part)
        if isinstance(rows, range) and len(chunk["id"]) < len(part) // SPARSE and done < len(rows):
            rows, done = rowids(connection, [rows[done] <= ROWID, *conditions]), 0
        per_row = sum(values.nbytes for values in chunk.values()) // max(len(chunk["id"]), 1) + 1
        width = max(1, min(MOST_BYTES // per_row, 8 * width, MOST_ROWS))


def lies_in(part: Rows) -> ColumnElement[bool]:
    """The condition that a row is one of these, which are in order."""
    first, last = int(part[0]), int(part[-1])
    if last - first + 1 == len(part):
        return ROWID.between(bindparam("first", first), bindparam("last", last))
    return among(ROWID, [int(row) for row in part])


def among(column: Any, values: Iterable[str] | Iterable[int]) -> ColumnElement[bool]:
    """The condition that a column is one of the values, however many there are; SQLite's JSON ends at a null character."""
    every = {value for value in values if not isinstance(value, str) or encodable(value)}  # no database holds the others
    odd = {value for value in every if isinstance(value, str) and "\x00" in value}
    each = func.json_each(json.dumps(list(every - odd))).table_valued("value")
    listed: ColumnElement[bool] = column.in_(select(each.c.value))
    return or_(listed, column.in_(odd)) if odd else listed


def rowids(connection: Connection, conditions: Conditions) -> Int64Array:
    """Where the rows lie that meet the conditions, in order."""
    [every] = connection.execute(select(func.group_concat(ROWID, type_=NullType())).select_from(Span).where(*conditions)).one()
    if every is None:
        return np.empty(0, np.int64)
    found = split(every.encode() if isinstance(every, str) else every, ",")
    return np.sort(found.cast(pa.int64()).to_numpy())


def extent(connection: Connection) -> Rows:
    """All rowids that are in use, and those in between, as long as those can be counted."""
    [first] = connection.execute(select(func.min(ROWID)).select_from(Span)).one()
    [last] = connection.execute(select(func.max(ROWID)).select_from(Span)).one()
    if first is None:
        return range(0)
    return range(first, last + 1) if last - first < sys.maxsize else rowids(connection, [])


def rows_of_traces(connection: Connection, trace_ids: Sequence[str]) -> Rows:
    """Where the rows of these traces lie; all numbers in use, and the few in between, where no other trace has rows."""
    of_these = among(Span.trace_id, trace_ids)
    rows, count = extent(connection), select(func.count()).select_from(Span)
    n_spans = connection.scalar(count.where(of_these)) or 0
    are_all = n_spans == len(rows) or (2 * n_spans > len(rows) and n_spans == connection.scalar(count))
    return rows if are_all else rowids(connection, [of_these])


def packed_rows(connection: Connection, where: Conditions, *, checked: bool) -> Sequence[Any] | None:
    """How many rows there are, how many of them break a rule, and each column as one text; None where that is too long."""
    wrong: ColumnElement[int] = literal_column(f"count(CASE WHEN {NAME_RULE if checked else ROW_RULE} THEN NULL ELSE 1 END)")
    try:
        return connection.execute(select(func.count(), wrong, *JOINED).select_from(Span).where(*where)).one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_TOOBIG:
            raise
        return None


def arrays_of(packed: Sequence[Any]) -> Arrays | None:
    """The columns of a chunk; None unless each comes apart into as many values as there are rows, and all are sound."""
    count, wrong, *texts = packed
    if not count:
        return {name: pa.array([], pa.int64() if name in TIMES else pa.large_string()) for name in (*TEXTS, *TIMES)}
    if wrong or None in texts or b"\x00" in texts[TEXTS.index("data")]:  # where SQLite's own check of JSON ends
        return None
    try:
        columns = {name: split(joint) for name, joint in zip((*TEXTS, *TIMES), texts, strict=True)}
        columns |= {name: columns[name].cast(pa.int64()) for name in TIMES}
    except pa.ArrowInvalid:  # bytes that are no UTF-8, or a time that is no integer
        return None
    if {len(column) for column in columns.values()} != {count}:
        return None
    empty = pc.equal(pc.binary_length(columns["data"]), 0)
    if pc.any(empty).as_py():
        columns["data"] = pc.if_else(empty, None, columns["data"])
    return columns


def split(joint: bytes, separator: str = SEPARATOR) -> pa.Array:
    """The values of a column, of one text; `pyarrow.ArrowInvalid` where its bytes are no UTF-8."""
    ends = pa.py_buffer(np.array([0, len(joint)], dtype=np.int64))
    whole = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(joint))
    whole.validate(full=True)
    return pc.split_pattern(whole, separator).flatten()


def plain_rows(connection: Connection, where: Conditions, faults: list[Fault]) -> Arrays:
    """The same rows, one by one; those that break a rule become faults."""
    columns = [Span.__table__.c[name] for name in (*TEXTS, *TIMES)]
    kinds = [func.typeof(column) for column in columns]
    values = [type_coerce(column, NullType()) for column in columns]
    good = []
    for row in connection.execute(select(*kinds, *values).where(*where)):
        kind = [name.decode() for name in row[: len(kinds)]]
        value = [shown(one, what) for one, what in zip(row[len(kinds) :], kind, strict=True)]
        reason = reason_of(dict(zip((*TEXTS, *TIMES), value, strict=True)))
        if reason is None:
            good.append(value)
        else:
            faults.append(Fault(quoted(value[0]), reason))
    columns_of_good = zip(*good, strict=True) if good else [()] * len(columns)
    types = [pa.large_string()] * len(TEXTS) + [pa.int64()] * len(TIMES)
    return {
        name: pa.array(list(column), kind) for name, column, kind in zip((*TEXTS, *TIMES), columns_of_good, types, strict=True)
    }


def shown(value: Any, kind: str) -> Any:
    """A value as Python has it: a text where its bytes are one, else those bytes."""
    if kind != "text":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def reason_of(row: dict[str, Any]) -> str | None:
    """What is wrong with a row, by the rules of the schema; None where nothing is."""
    for name in TEXTS[:-1]:
        if not isinstance(row[name], str):
            return f"{name} is {quoted(row[name])} in the database, not a text"
    for name in TIMES:
        if type(row[name]) is not int:
            return f"{name} is {quoted(row[name])} in the database, not integer microseconds"
    start, end, data = row["start_time"], row["end_time"], row["data"]
    if end < start:
        return f"it ends at {end} before it starts at {start}"
    if data is None:
        return None
    if not isinstance(data, str):
        return f"data is {quoted(data)} in the database, not a text"
    try:
        parse(data)
    except (ValueError, RecursionError) as error:
        return f"data is not a JSON object: {quoted(data)} ({error})"
    return None
