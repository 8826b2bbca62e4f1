import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from files import problem_texts, reading_of, source_of, write_file

from tokenvis import IngestError, ingest
from tokenvis.formats.files import parquet
from tokenvis.formats.files.parquet import parquet_batches, parquet_rows, parquet_start, unpacked_bytes

ROWS = {"agent_id": ["Ann", "Bob"], "location_id": "desk", "start_time": [0, 5], "end_time": [5, 9]}


def written(path="x.parquet", /, *, table=None, names=None, **columns):
    """A Parquet file of columns, Zstandard-compressed."""
    table = pa.table(list(columns.values()), names=names or list(columns)) if table is None else table
    pq.write_table(table, path, compression="zstd")
    return reading_of(path)


def rows_of(reading):
    return [row for _, row in parquet_rows(reading)]


@pytest.mark.parametrize("batch", [1, 3, 10, 11])
def test_rows_are_numbered_across_batches(batch, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_BATCH_ROWS", batch)
    assert list(parquet_rows(written(n=pa.array(range(10))))) == [(number, {"n": number}) for number in range(10)]


def test_a_truncated_file_is_a_problem():
    written(n=pa.array(range(10)))
    write_file("x.parquet", source_of("x.parquet").path.read_bytes()[:-8])
    reading = reading_of("x.parquet")
    assert rows_of(reading) == []
    [problem] = problem_texts(reading)
    assert problem.startswith("x.parquet: is not a valid Parquet file (Parquet magic bytes not found in footer.")


def test_any_damage_is_survived():
    pd.DataFrame(ROWS).to_parquet("x.parquet")
    whole = source_of("x.parquet").path.read_bytes()
    for first in range(4, len(whole) - 30, 30):
        write_file("x.parquet", whole[:first] + b"\xff" * 30 + whole[first + 30 :])
        reading = reading_of("x.parquet")
        assert len(rows_of(reading)) == 2 or len(problem_texts(reading)) == 1


@pytest.mark.parametrize("old", [b"agent_id", b"parquet-cpp-arrow"], ids=["name", "writer"])
def test_a_name_that_is_not_utf_8_makes_one_clear_error(old):
    pq.write_table(pa.table(pd.DataFrame(ROWS)).replace_schema_metadata(), "x.parquet", store_schema=False)
    whole = source_of("x.parquet").path.read_bytes()
    write_file("x.parquet", whole.replace(old, b"\xff" * len(old)))
    if old == b"agent_id":
        with pytest.raises(IngestError) as caught:
            ingest("x.parquet", store="x.db")
        assert str(caught.value) == (
            "x.parquet: is not a valid Parquet file ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)."
        )
    else:
        assert ingest("x.parquet", store="x.db").n_spans == 2


def test_in_a_folder_a_damaged_file_does_not_end_the_others():
    pd.DataFrame(ROWS).to_parquet("good.parquet")
    whole = source_of("good.parquet").path.read_bytes()
    write_file("in/good.parquet", whole)
    write_file("in/bad.parquet", whole[:-20] + b"\xff" * 12 + whole[-8:])
    report = ingest("in", store="x.db")
    assert report.n_spans == 2
    [problem] = map(str, report.problems)
    assert problem.startswith("bad.parquet: is not a valid Parquet file (")


def test_cells_that_cannot_be_read_are_left_out():
    reading = written(
        name=pa.array([b"Ann", b"\xff?"]).view(pa.string()),
        time=pa.array([0, 2**60], pa.timestamp("ms")),
        nested=pa.array([[b"Ann"], [b"\xff"]]).cast(pa.list_(pa.binary())),
    )
    assert rows_of(reading) == [
        {"name": "Ann", "time": "1970-01-01T00:00:00", "nested": ["Ann"]},
        {"name": "\ufffd?", "time": None, "nested": [r"b'\xff'"]},
    ]
    assert problem_texts(reading) == [
        "x.parquet, row 1: a value in column 'time' cannot be read (Python int too large to convert to C int); it was left out."
    ]


def test_of_columns_with_one_name_the_first_is_read():
    reading = written(names=["a", "a", "b"], x=[1], y=[2], z=[3])
    assert rows_of(reading) == [{"a": 1, "b": 3}]
    assert problem_texts(reading) == ["x.parquet: has 2 columns 'a'; the first is read."]


@pytest.mark.parametrize("table", [pa.table({}), pa.table({"n": pa.array([], pa.int64())})], ids=["no columns", "no rows"])
def test_an_empty_table(table):
    reading = written(table=table)
    assert (rows_of(reading), problem_texts(reading)) == ([], [])
    assert parquet_start(reading.source, 5) == (table.column_names, [])


def test_the_rows_of_a_table_without_columns_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("this call may end the process"))
    assert rows_of(written(table=pa.table({"n": [1]}).select([]))) == []


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}])
@pytest.mark.parametrize(("batch_bytes", "n_rows"), [(50_000_000, 20), (12_000_000, 11), (2_000_000, 1)])
def test_a_long_value_in_many_rows_is_unpacked_in_small_batches(options, batch_bytes, n_rows, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
    many = pa.DictionaryArray.from_arrays([0] * 20, ["x" * 1_000_000]).cast(pa.string())
    pq.write_table(pa.table({"a": many}), "x.parquet", compression="zstd", **options)
    source = source_of("x.parquet")
    assert source.size < 20_000
    assert max(len(batch) for batch in parquet_batches(source)) == n_rows


def dictionary(*codes):
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(["x" * 100, "y"]))


COLUMNS = {
    "text": dictionary(0, 1, 0),
    "list": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), dictionary(0, 1, 0)),
    "struct": pa.StructArray.from_arrays([dictionary(0, 1, 0)], ["a"]),
    "map": pa.MapArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), pa.array(["", "", ""]), dictionary(0, 1, 0)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_value_of_a_dictionary_counts_each_time_it_occurs(name):
    column = COLUMNS[name]
    assert 201 <= unpacked_bytes(column) <= 230
    assert 100 <= unpacked_bytes(column.slice(2, 1)) <= 120
    assert unpacked_bytes(column.slice(0, 0)) < 20


def test_a_dictionary_does_not_hide_how_much_a_file_unpacks_to(monkeypatch):
    monkeypatch.setattr(parquet, "MIN_UNPACKED_LIMIT_BYTES", 20 << 20)
    codes = pa.array([0] * 100, pa.int32())
    reading = written(a=pa.DictionaryArray.from_arrays(codes, pa.array(["x" * (1 << 20)])))
    assert len(rows_of(reading)) <= 20
    assert problem_texts(reading) == ["x.parquet: unpacks to more than 20,971,520 bytes; the rows before were read."]


def test_rows_that_are_far_larger_than_the_file_end_the_reading(monkeypatch):
    monkeypatch.setattr(parquet, "MIN_UNPACKED_LIMIT_BYTES", 300 * 512)
    reading = written(n=pa.nulls(200_000, pa.int64()))
    limit = reading.source.size * 2_000
    assert len(rows_of(reading)) == limit // 512 // 256 * 256
    assert problem_texts(reading) == [f"x.parquet: unpacks to more than {limit:,} bytes; the rows before were read."]


def test_a_file_that_declares_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(parquet, "SPARE_MIB", 0)
    reading = written(text=["x" * 1_000_000])
    assert rows_of(reading) == []
    [problem] = problem_texts(reading)
    assert problem.startswith("x.parquet: unpacks to more than 200 times its size, and to more than the 100 MiB that ")


def test_a_file_with_fewer_rows_than_its_footer_declares_is_a_problem(monkeypatch):
    pd.DataFrame({"a": range(500)}).to_parquet("x.parquet", row_group_size=100)
    whole = parquet.unpacked_batches
    monkeypatch.setattr(parquet, "unpacked_batches", lambda file, size: list(whole(file, size))[:-2])
    reading = reading_of("x.parquet")
    assert len(list(parquet_rows(reading))) == 300
    assert problem_texts(reading) == ["x.parquet: has 300 of the 500 rows that its footer declares."]
