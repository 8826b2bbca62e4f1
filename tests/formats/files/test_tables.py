import numpy as np
import pandas as pd
import pytest
from files import problem_texts, reading_of, source_of, write_file

from tokenvis.formats.files import tables
from tokenvis.formats.files.tables import csv_rows, frame_rows, parquet_rows


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
    frame = pd.DataFrame({"n": range(10)})
    frame.to_parquet("x.parquet")
    expected = [(number, {"n": number}) for number in range(10)]
    assert list(frame_rows(reading_of("x", b""), frame)) == expected
    assert list(parquet_rows(reading_of("x.parquet"))) == expected


def test_a_csv_row_with_too_many_cells_is_a_problem():
    reading = reading_of("x.csv", b'a,b\n1,2,3\n"x\ny",\n\n5')
    assert list(csv_rows(reading.source, reading)) == [(4, {"a": "x\ny", "b": None}), (6, {"a": "5"})]
    assert problem_texts(reading) == ["x.csv, line 2: 3 cells in a table of 2 columns."]


def test_a_truncated_parquet_file_is_a_problem():
    pd.DataFrame({"n": range(10)}).to_parquet("x.parquet")
    write_file("x.parquet", source_of("x.parquet").path.read_bytes()[:-8])
    reading = reading_of("x.parquet")
    assert list(parquet_rows(reading)) == []
    [problem] = problem_texts(reading)
    assert problem.startswith("x.parquet: is not a valid Parquet file (")


def test_any_damage_to_a_parquet_file_is_survived():
    pd.DataFrame({"n": range(10)}).to_parquet("x.parquet")
    whole = source_of("x.parquet").path.read_bytes()
    for first in range(4, len(whole) - 30, 30):
        write_file("x.parquet", whole[:first] + b"\0" * 30 + whole[first + 30 :])
        reading = reading_of("x.parquet")
        n_rows = len(list(parquet_rows(reading)))
        assert n_rows == 10 or len(problem_texts(reading)) == 1
