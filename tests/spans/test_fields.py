import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from pandas.testing import assert_frame_equal

import tokenvis as tv
from tokenvis.explorer.answers import facts_message, span_labels
from tokenvis.plot.artists.markers import marked_rows
from tokenvis.spans.fields import (
    field_columns,
    field_numbers,
    field_rows,
    field_values,
    has_column,
    several_field_values,
    valid_field_numbers,
)

INPUT, COST = "gen_ai.usage.input_tokens", "gen_ai.usage.cost"
OWN = ["label", "links", "status", "trigger", "estimated", INPUT, "gen_ai.usage.output_tokens", COST]


def two():
    """Two spans: one failed and used 3 tokens, the other has no data."""
    spans = spans_of("ann 0 5 desk", "bob 2 9 lab")
    return with_data(spans, a={"status": "error", "label": "plan", "attributes": {INPUT: 3}})


def test_a_field_is_a_key_of_data():
    spans = two()
    assert not has_column(spans, "status")
    assert [list(found) for found in field_values(spans, "status")] == [[0], ["error"]]
    assert field_rows(spans, "status", INPUT).tolist() == [0]
    assert field_columns(spans, ["label", "phase"])["label"].tolist()[0] == "plan"
    assert field_numbers(spans, [INPUT])[INPUT].to_list() == [3, pd.NA]


def test_a_column_takes_precedence_over_data():
    spans = two().assign(status=["ok", "open"], label=["a", "b"], **{INPUT: [5.0, np.nan]})
    assert has_column(spans, "status")
    assert [list(found) for found in field_values(spans, "status")] == [[0, 1], ["ok", "open"]]
    assert field_rows(spans, "status", COST).tolist() == [0, 1]
    assert field_columns(spans, ["label"], np.array([1]))["label"].tolist() == ["b"]
    assert field_numbers(spans, [INPUT, COST])[INPUT].to_list() == [5.0, pd.NA]


def test_data_is_used_if_the_column_is_missing():
    spans = two().assign(status=[None, "open"], label=[None, "b"], **{INPUT: [np.nan, 7.0]})
    assert [list(found) for found in field_values(spans, "status")] == [[0, 1], ["error", "open"]]
    assert field_columns(spans, ["label"])["label"].tolist() == ["plan", "b"]
    assert field_numbers(spans, [INPUT])[INPUT].to_list() == [3, 7]


def test_required_columns_are_not_fields():
    spans = two().assign(parent_id=None)
    assert [name for name in (*spans.columns, 7) if has_column(spans, name)] == []
    twice = pd.concat([spans, spans[["agent_id", "location_id"]].set_axis(["status", "status"], axis=1)], axis=1)
    with pytest.raises(tv.BadSpan, match=r"^The spans have 2 columns named 'status'\. Keep one of them\.$"):
        tv.summary(twice)


def test_without_data_a_field_is_missing():
    spans = two().drop(columns="data")
    assert field_columns(spans, ["label"])["label"].isna().all()
    assert field_values(spans, "status")[1] == []
    assert field_rows(spans, INPUT).tolist() == []


@pytest.mark.parametrize(
    "values",
    [
        pd.array([3, None], dtype="Int64"),
        np.array([3, np.nan]),
        np.array([3, np.nan], dtype=object),
        pd.Categorical([3, None]),
        np.array([3, 4], dtype=np.uint8),
        pd.array([3, None], dtype=pd.ArrowDtype(pa.uint64())),
        pd.array([Decimal(3), None], dtype=pd.ArrowDtype(pa.decimal128(20))),
        np.array([np.int64(3), Decimal("1.5")], dtype=object),
        pd.arrays.FloatingArray(np.array([3.0, np.nan]), np.array([False, False])),
    ],
    ids=["Int64", "float64", "object", "category", "uint8", "Arrow", "decimal", "scalars", "unmasked NaN"],
)
def test_numbers_may_have_any_numeric_type(values):
    spans = two().assign(**{INPUT: values})
    numbers = field_numbers(spans, [INPUT])[INPUT]
    assert str(numbers.dtype) in ("Int64", "Float64")
    assert numbers[0] == 3
    assert tv.summary(spans)["n_spans"].tolist() == [2]


@pytest.mark.parametrize(
    ("value", "kind"),
    [("many", "object"), (True, "object"), ([3], "object"), (2**63, "object"), (2**63, "UInt64"), (2**63, "uint64")],
    ids=str,
)
def test_a_value_that_is_not_a_number_is_refused(value, kind):
    spans = two().assign(**{INPUT: pd.Series([0, value], dtype=kind)})
    with pytest.raises(tv.BadSpan) as error:
        field_numbers(spans, [INPUT])
    assert str(error.value) == f"{INPUT} of span 'b' of trace 't' is {value!r}, not a 64-bit number."


def test_values_that_are_not_numbers_are_told_if_wanted():
    spans = two().assign(**{COST: ["free", 0.5]})
    numbers = valid_field_numbers(spans, [INPUT, COST])
    assert [numbers[name].column.tolist() for name in (INPUT, COST)] == [[3, pd.NA], [pd.NA, 0.5]]
    assert [(numbers[name].invalid_rows.tolist(), numbers[name].invalid_values) for name in (INPUT, COST)] == [
        ([], []),
        ([0], ["free"]),
    ]


def test_several_fields_are_read_at_once():
    spans = two().assign(status=[None, "open"])
    found = several_field_values(spans, "status", "label", "links")
    assert {name: (rows.tolist(), values) for name, (rows, values) in found.items()} == {
        "status": ([0, 1], ["error", "open"]),
        "label": ([0], ["plan"]),
        "links": ([], []),
    }


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=1))
def test_pictures_and_the_explorer_read_fields_from_columns_and_data(spans):
    payloads = [data if pd.isna(data) else json.dumps({**json.loads(data), "label": "x"}) for data in spans["data"]]
    named = spans.assign(data=pd.Series(payloads, index=spans.index, dtype="str"))
    own = tv.expand_data(named, OWN).assign(data=None)
    ours, theirs = marked_rows(named), marked_rows(own)
    assert {name: rows.tolist() for name, rows in ours.items()} == {name: rows.tolist() for name, rows in theirs.items()}
    assert span_labels(own).equals(span_labels(named))
    assert (facts_message(own).header, facts_message(own).buffers) == (
        facts_message(named).header,
        facts_message(named).buffers,
    )


@pytest.mark.laws
@given(spans_frames(n_traces=2))
def test_lost_spans_are_counted_from_columns_and_data(spans):
    payloads = [json.dumps({"n_lost": number + 2}) for number in range(len(spans))]
    lost = spans.assign(location_id="tokenvis.lost", data=pd.Series(payloads, index=spans.index, dtype="str"))
    assert_frame_equal(tv.summary(tv.expand_data(lost, "n_lost").assign(data=None)), tv.summary(lost))


def test_lists_of_a_parquet_file_are_lists(tmp_path):
    marked = {"links": ["b"], "estimated": ["start_time"], "status": "error"}
    spans = with_data(two(), a=marked, b={"links": ["a"], "requested_by": ["a"]})
    own = tv.expand_data(spans, ["links", "requested_by", "estimated", "status"]).assign(data=None)
    own.to_parquet(tmp_path / "own.parquet")
    back = pd.read_parquet(tmp_path / "own.parquet")
    assert field_values(back, "links")[1] == [["b"], ["a"]]
    assert field_values(back, "requested_by")[1] == [["a"]]
    assert_frame_equal(tv.handoffs(back, evidence="link"), tv.handoffs(spans, evidence="link"), check_dtype=False)
    assert tv.diagnose(back)["kind"].tolist() == tv.diagnose(spans)["kind"].tolist()


@pytest.mark.parametrize(
    "number", [np.array([40.0, np.nan]), np.array([np.int64(40), None], dtype=object)], ids=["float", "object"]
)
def test_the_number_of_lost_spans_may_have_any_type(number):
    spans = two().assign(location_id="tokenvis.lost", n_lost=number)
    assert tv.summary(spans)["n_lost"].tolist() == [41]
