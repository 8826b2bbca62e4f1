"""Frames: DataFrames of valid rows with columns, types and cells that are unusual."""

import random
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

CELLS = [
    None, True, -1, 0, 2**63, -(2**70), 10**4_300, 10**5_000, 1.5, float("nan"), float("inf"), -float("inf"), 1e308,
    complex(1, 2), "", "x", "\ud800", "\0", b"\xff", bytearray(b"x"), Decimal("1e400"), Decimal("NaN"), Decimal("sNaN"),
    Decimal("1E+999999999"), Decimal("0." + "1" * 5_000), Fraction(1, 3), pd.NA, pd.NaT, np.datetime64("NaT"), np.float16(1),
    np.int8(1), np.array([1, 2]), np.array(["x", None], dtype=object), np.array(5), [1, [2]], (1,), {1: 2}, {"a": {3}},
    {1, 2}, frozenset(), object(), datetime(2026, 6, 21), datetime(2026, 6, 21, tzinfo=UTC), datetime.max, date(1, 1, 1),
    time(1), timedelta(1), pd.Timestamp("2026", tz="Asia/Kolkata"), pd.Timestamp.max, pd.Timedelta(5),
    pd.Period("2026-06", "M"), pd.Interval(0, 1), UUID(int=5), range(3), type, len, Ellipsis, slice(1), "1e400", "9" * 4_301,
    "[" * 300, '{"a": [1]}', {"a": float("nan")}, {"\ud800": "\ud800"}, [float("inf")], {"": None}, pd.Series([1]),
    pd.DataFrame({"a": [1]}), 1 << 64,
]  # fmt: skip
TYPES = [
    "object", "str", "string", "string[pyarrow]", "category", "Int8", "Int64", "UInt64", "Float32", "float16", "boolean",
    "bool", "complex128", "datetime64[ns]", "datetime64[s]", "datetime64[ns, UTC]", "timedelta64[ns]", "Sparse[int]",
    "Sparse[float]", "period[D]", "int64[pyarrow]",
]  # fmt: skip
ARROW_TYPES = [
    pa.decimal128(38, 5), pa.decimal256(76, 5), pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.int64()),
    pa.struct([("a", pa.int64())]), pa.large_binary(), pa.duration("ns"), pa.date32(), pa.time64("ns"),
    pa.timestamp("ns", "UTC"), pa.timestamp("s"), pa.map_(pa.string(), pa.int64()), pa.null(), pa.bool_(), pa.float16(),
    pa.uint64(),
]  # fmt: skip
NAMES = [
    0,
    -1,
    1.5,
    None,
    "",
    " ",
    "\ud800",
    "\0",
    ("a", "b"),
    True,
    float("nan"),
    pd.Timestamp("2026"),
    "start_time",
    "id",
    "data",
    "x" * 10_000,
    b"id",
]


def strange_frame(rows: list[dict], chance: random.Random) -> pd.DataFrame:
    """A frame of valid rows after a few changes."""
    frame = pd.DataFrame(rows)
    for _ in range(chance.choice([1, 1, 2, 3])):
        change = chance.choice([with_cell, with_cell, with_type, with_type, with_name, with_index, with_shape])
        with suppress(Exception):  # pandas refuses many of them
            frame = change(frame, chance)
    return frame


def column_of(frame, chance):
    """The place of a column."""
    return chance.randrange(frame.shape[1])


def replaced(frame, place, column):
    """A frame with another column at a place."""
    columns = [column if number == place else frame.iloc[:, number] for number in range(frame.shape[1])]
    changed = pd.concat([pd.Series(list(values), dtype=values.dtype) for values in columns], axis=1)
    changed.columns = frame.columns
    return changed


def with_cell(frame, chance):
    """A cell, or all cells of a column, of another type."""
    place, cell = column_of(frame, chance), chance.choice(CELLS)
    cells = frame.iloc[:, place].astype(object).tolist()
    for row in range(len(cells)) if chance.random() < 0.3 else [chance.randrange(len(cells))]:
        cells[row] = cell
    column = pd.Series([None] * len(cells), dtype=object)
    for row, value in enumerate(cells):
        column.array[row] = value
    return replaced(frame, place, column)


def with_type(frame, chance):
    """A column of another type, of missing values if Arrow cannot convert it."""
    place, dtype = column_of(frame, chance), chance.choice([*TYPES, *map(pd.ArrowDtype, ARROW_TYPES)])
    try:
        return replaced(frame, place, frame.iloc[:, place].astype(dtype))
    except pa.ArrowException:
        return replaced(frame, place, pd.Series([None] * len(frame), dtype=dtype))


def with_name(frame, chance):
    """A column with another name, perhaps that of another column."""
    names = list(frame.columns)
    names[column_of(frame, chance)] = chance.choice([*NAMES, *names])
    frame = frame.copy()
    frame.columns = pd.Index(names, dtype=object, tupleize_cols=False)
    return frame


def with_index(frame, chance):
    """A frame with another index, or with two levels of columns."""
    frame, kind = frame.copy(), chance.randrange(5)
    if kind == 0:
        return frame.set_index(frame.columns[column_of(frame, chance)])
    if kind == 1:
        return frame.set_index(list(frame.columns[:2]))
    if kind == 2:
        frame.columns = pd.MultiIndex.from_tuples([(str(name), "x") for name in frame.columns])
    elif kind == 3:
        frame.index = pd.Index(chance.choices(CELLS[:12], k=len(frame)), dtype=object, name=chance.choice(NAMES[:6]))
    else:
        frame.index = pd.date_range("2026", periods=len(frame), tz="UTC", name=chance.choice(["start_time", None]))
    return frame


def with_shape(frame, chance):
    """Other rows or columns: none, repeated, many."""
    kind = chance.randrange(6)
    if kind == 0:
        return frame.iloc[:0]
    if kind == 1:
        return frame.iloc[:, :0]
    if kind == 2:
        return pd.concat([frame] * 3)
    if kind == 3:
        return pd.concat([frame, frame], axis=1)
    if kind == 4:
        return frame.reindex(columns=[*frame.columns, *(f"c{n}" for n in range(500))])
    return frame.T
