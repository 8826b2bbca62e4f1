from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from files import problem_texts, reading_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files import tables
from tokenvis.formats.files.tables import csv_rows, frame_records, frame_rows


def test_values_of_a_frame_become_json_values():
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2026-06-21T10:00:00.25Z", None]),
            "array": [np.array([1.5, np.nan]), {"a": np.int64(1)}],
            "float": [np.nan, 1.5],
        },
        index=pd.Index(["x", "y"], name="context.span_id"),
    )
    assert list(frame_rows(reading_of("x", b""), frame)) == [
        (0, {"context.span_id": "x", "time": "2026-06-21T10:00:00.250000+00:00", "array": [1.5, None], "float": None}),
        (1, {"context.span_id": "y", "time": None, "array": {"a": 1}, "float": 1.5}),
    ]


@pytest.mark.parametrize("batch", [1, 3, 10, 11])
def test_rows_are_numbered_across_batches(batch, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_PER_BATCH", batch)
    assert list(frame_rows(reading_of("x", b""), pd.DataFrame({"n": range(10)}))) == [(n, {"n": n}) for n in range(10)]


LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (pd.Categorical(["x", None]), ["x", None]),
        (pd.array([1, None], "Int64"), [1, None]),
        (pd.array([1, None], "timestamp[ns, UTC][pyarrow]"), ["1970-01-01T00:00:00.000000001+00:00", None]),
        (np.array([1.5, np.nan], "longdouble"), [1.5, None]),
        (np.array(["20000-01-01", "NaT"], "datetime64[s]"), ["20000-01-01T00:00:00", None]),
        ([b"ann", b"\xff"], ["ann", r"b'\xff'"]),
        ([1j, {2}], ["1j", "{2}"]),
        (pd.period_range("2026", periods=2, freq="D"), ["2026-01-01", "2026-01-02"]),
        (pd.arrays.SparseArray([0, 1]), [0, 1]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_cells_of_unusual_types(column, cells):
    reading = reading_of("x", b"")
    assert [row["a"] for _, row in frame_rows(reading, pd.DataFrame({"a": column}))] == cells
    assert problem_texts(reading) == []


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([1, 2, LOOP], "maximum recursion depth exceeded"),
        ([1, 2, datetime], "unbound method datetime.isoformat() needs an argument"),
        (pd.array([1, 2, 2**60], pd.ArrowDtype(pa.timestamp("s"))), "Python int too large to convert to C int"),
    ],
    ids=["loop", "class", "time"],
)
def test_a_cell_that_cannot_be_read_is_left_out(column, reason, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_PER_BATCH", 2)
    frame = pd.DataFrame({"n": range(3), "a": pd.Series(column, dtype=getattr(column, "dtype", object))})
    reading = reading_of("x", b"")
    rows = [row for _, row in frame_rows(reading, frame)]
    assert [row["n"] for row in rows] == [0, 1, 2]
    assert rows[2]["a"] is None
    [problem] = problem_texts(reading)
    assert problem.startswith(f"x, row 2: a value in column 'a' cannot be read ({reason}")
    assert problem.endswith("); it was left out.")


def test_of_columns_with_one_name_the_first_is_read():
    reading = reading_of("x", b"")
    levels = pd.MultiIndex.from_tuples([(5, 6, 7)], names=["i", "i", "a"])
    assert list(frame_rows(reading, pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"], index=levels))) == [
        (0, {"i": 5, "a": 1, "b": 2})
    ]
    assert problem_texts(reading) == ["x: has 2 columns 'a'; the first is read."]
    reading = reading_of("x.csv", b"a,b,a\n1,2,3\n4,,5\n")
    assert [row for _, row in csv_rows(reading.source, reading)] == [{"a": "1", "b": "2"}, {"a": "4", "b": None}]
    assert problem_texts(reading) == ["x.csv: has 2 columns 'a'; the first is read."]


@pytest.mark.parametrize(
    ("text", "rows", "problems"),
    [
        ("1,2,\n3,4,,\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], []),
        ('1,2,3\n"x\ny",\n\n \n', [{"a": "x\ny", "b": None}], ["2: 3 cells in a table of 2 columns; the row was skipped"]),
        ("1\n3,4\n", [{"a": "3", "b": "4"}], ["2: 1 cell in a table of 2 columns; the row was skipped"]),
        ("1,2\n3", [{"a": "1", "b": "2"}],
         ["3: 1 cell in a table of 2 columns and no line break, as in a file that is cut; the row was skipped"]),
        ("1,2\n3,4", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
         ["3: has no line break, so its last cell '4' may be cut; the row was read"]),
        ("1,2\n3,", [{"a": "1", "b": "2"}, {"a": "3", "b": None}],
         ["3: has no line break, so its last cell '' may be cut; the row was read"]),
        ('1,2\n3,"4"', [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], []),
        ("1,2\r\n3,4\r\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], []),
        ("", [], []),
    ],
)  # fmt: skip
def test_a_csv_row_that_may_be_cut_is_a_problem(text, rows, problems):
    reading = reading_of("x.csv", f"a,b\n{text}".encode())
    assert [row for _, row in csv_rows(reading.source, reading)] == rows
    assert problem_texts(reading) == [f"x.csv, line {problem}." for problem in problems]


def test_a_csv_file_in_latin_1_is_read_as_such_and_told_once():
    text = "name,place\nJosé,Café “Zoë”\nÅse,Straße\n"
    for encoding, problems in (
        ("utf-8", []),
        ("utf-8-sig", []),
        ("cp1252", ["x.csv: is not UTF-8; it was read as Windows-1252, which contains Latin-1."]),
    ):
        reading = reading_of("x.csv", text.encode(encoding))
        assert [tuple(row.values()) for _, row in csv_rows(reading.source, reading)] == [
            ("José", "Café “Zoë”"),
            ("Åse", "Straße"),
        ]
        assert problem_texts(reading) == problems


@pytest.mark.laws
@given(st.lists(st.integers(0, 999), min_size=2, max_size=6), st.integers(0, 99))
def test_a_csv_file_that_is_cut_anywhere_loses_no_row_silently(numbers, cut):
    whole = "start,end\n" + "".join(f"{number},{number * 7}\n" for number in numbers)
    text = whole[: len("start,end\n") + cut % (len(whole) - len("start,end\n") + 1)]
    reading = reading_of("cut.csv", text.encode())
    rows = [(int(row["start"]), int(row["end"])) for _, row in csv_rows(reading.source, reading) if row["end"]]
    wrong = [row for row in rows if row not in [(number, number * 7) for number in numbers]]
    assert len(wrong) <= len(reading.problems) <= 1


@pytest.mark.parametrize(
    ("text", "rows", "problems"),
    [
        (b"a,b\n" + b"x" * 50 + b",1\n2,3\n", [{"a": "2", "b": "3"}], ["line 1: not CSV (line longer than 20 characters)"]),
        (b"a,b\n" + b"x" * 50, [], ["line 1: not CSV (line longer than 20 characters)"]),
        (b'a,b\n"' + b"x,\n" * 15 + b"1,2\n", [{"a": "1", "b": "2"}], ["field larger than field limit (20)"]),
        (b"a,b\n\0,\xff\n", [{"a": "\0", "b": "\ufffd"}], ["x.csv: invalid UTF-8 was replaced by U+FFFD."]),
        (
            b'a,b\n1,2\n3,"4\n5,6\n',
            [{"a": "1", "b": "2"}, {"a": "3", "b": "4\n5,6\n"}],
            ["x.csv, line 3: a quote is not closed; the rest of the file was read as one row."],
        ),
        (b'a,b\n1,2\n3,"4\n5"', [{"a": "1", "b": "2"}, {"a": "3", "b": "4\n5"}], []),
    ],
)
def test_long_lines_and_cells_of_a_csv_file_are_problems(text, rows, problems, monkeypatch):
    monkeypatch.setattr(tables, "MAX_CSV_CHARACTERS", 20)
    reading = reading_of("x.csv", text)
    found = [row for _, row in csv_rows(reading.source, reading)]
    assert found[-len(rows) :] == rows if rows else not found
    assert [problem in text for problem, text in zip(problems, problem_texts(reading), strict=True)] == [True] * len(problems)


def test_a_column_with_a_label_that_has_no_text_is_named_after_its_type():
    class Mute:
        def __str__(self):
            raise RuntimeError("mute")

    frame = pd.DataFrame([[1, 2, 3, 4]], columns=pd.Index([10**5_000, Mute(), "half \ud83d", 5], dtype=object))
    assert frame_records(frame) == [{"int": 1, "Mute": 2, "half \ufffd": 3, "5": 4}]
