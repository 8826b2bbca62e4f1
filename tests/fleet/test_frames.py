"""Tables of engines as frames: types, order, parents, and what is refused."""

import pyarrow as pa
import pytest
from conftest import spans_of, with_data
from fleets import table_of
from pandas.testing import assert_frame_equal

import tokenvis as tv
from tokenvis.fleet.frames import spans_in


@pytest.fixture
def spans():
    """Two traces, one of them with a parent, in frame order."""
    return with_data(spans_of("ann 0 10 desk t", "bob 2 5 lab t", "ann 3 4 desk u"), b={"parent_id": "a", "label": "x"})


@pytest.fixture
def loaded(spans):
    """The frame that the store returns for these spans."""
    with tv.Store("s.db") as store:
        for trace_id, part in spans.groupby("trace_id", observed=True):
            store.write_trace(trace_id, part)
    return tv.load_spans(store="s.db")


def test_a_table_becomes_the_frame_that_the_store_returns(loaded):
    assert_frame_equal(spans_in(table_of(loaded)), loaded)
    assert_frame_equal(spans_in(table_of(loaded, parents=False)), loaded)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_texts_of_any_arrow_type_are_read(loaded, kind):
    table = table_of(loaded)
    types = dict.fromkeys(("id", "trace_id", "agent_id", "location_id", "data", "parent_id"), kind)
    columns = [
        table.column(name).cast(pa.string()).cast(types.get(name, table.column(name).type))
        if name in types
        else table.column(name)
        for name in table.schema.names
    ]
    assert_frame_equal(spans_in(pa.table(columns, names=table.schema.names)), loaded)


def test_integers_of_other_types_are_read(loaded):
    table = table_of(loaded)
    start, trace = table.column("start_time").cast(pa.uint32()), pa.array([7, 7, 8])
    frame = spans_in(table_of(loaded, start_time=start, trace_id=trace))
    assert frame["start_time"].dtype == "int64"
    assert frame["trace_id"].tolist() == ["7", "7", "8"]


def test_missing_parents_are_taken_from_data(loaded):
    nothing = pa.nulls(3, pa.string())
    assert spans_in(table_of(loaded, parent_id=nothing))["parent_id"].dropna().tolist() == ["a"]
    assert "parent_id" not in spans_in(table_of(loaded, parent_id=nothing, data=nothing))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "start_time",
            pa.array([0, 2, 3], pa.timestamp("us")),
            "start_time has type timestamp[us], not integer microseconds. "
            "Convert it: unix_micros(start_time) in Spark, epoch_us(start_time) in DuckDB.",
        ),
        (
            "end_time",
            pa.array([10.0, 5.0, 4.0]),
            "end_time has type double, not integer microseconds. "
            "Convert it: CAST(round(end_time * 1000000) AS BIGINT), if it is in seconds.",
        ),
        ("end_time", pa.array(["10", "5", "4"]), "end_time has type string, not integer microseconds."),
        ("agent_id", pa.array([1.0, 2.0, 3.0]), "agent_id has type double, not text. Convert it: CAST(agent_id AS STRING)."),
        ("data", pa.array([{"label": "x"}] * 3), "data has type struct<label: string>, not text. Convert it: to_json(data)."),
        ("data", pa.array([1, 2, 3]), "data has type int64, not text. Convert it: CAST(data AS STRING)."),
    ],
    ids=["timestamps", "floats", "texts", "numbers as names", "objects", "numbers as data"],
)
def test_columns_of_other_types_are_refused(loaded, column, values, message):
    with pytest.raises(tv.BadSpan) as error:
        spans_in(table_of(loaded, **{column: values}))
    assert str(error.value) == message


def test_a_column_that_is_missing_or_there_twice_is_refused(loaded):
    table = table_of(loaded)
    with pytest.raises(tv.MissingColumn, match=r"^The spans have no column 'agent_id'\. They have: 'id', 'trace_id', "):
        spans_in(table.drop_columns("agent_id"))
    with pytest.raises(tv.BadSpan, match=r"^The spans have several columns 'id'\. Select all but one\.$"):
        spans_in(table.append_column("id", table.column("id")))


def test_a_span_that_was_delivered_twice_is_named(loaded):
    table = table_of(loaded)
    with pytest.raises(tv.BadSpan, match=r"^Span 'b' of trace 't' is in several rows\. Pass each span once\.$"):
        spans_in(pa.concat_tables([table, table.slice(1, 1)]))


def test_one_id_in_two_traces_is_no_repetition():
    spans = spans_of("ann 0 10 desk t", "ann 3 4 desk u").assign(id="a")
    assert len(spans_in(table_of(spans))) == 2


def test_missing_names_and_times_are_refused(loaded):
    with pytest.raises(tv.BadSpan, match=r"trace_id"):
        spans_in(table_of(loaded, trace_id=pa.array(["t", None, "u"])))
    with pytest.raises(tv.BadSpan, match=r"end_time"):
        spans_in(table_of(loaded, end_time=pa.array([10, None, 4])))


def test_an_empty_table_is_an_empty_frame(loaded):
    frame = spans_in(table_of(loaded).slice(0, 0))
    assert len(frame) == 0
    assert frame.dtypes.astype(str).to_dict() == loaded.drop(columns="parent_id").dtypes.astype(str).to_dict()


def test_a_selection_without_data_is_refused():
    table = table_of(spans_of("ann 0 10 desk"))
    table = table.drop_columns([name for name in ("data",) if name in table.column_names])
    with pytest.raises(tv.MissingColumn) as error:
        spans_in(table)
    assert str(error.value) == (
        "The spans have no column 'data'. Parents, errors, tokens and waits are read from it: select it too. For spans "
        "that have none: SELECT NULL AS data."
    )
    assert len(spans_in(table.append_column("data", pa.nulls(1)))) == 1
