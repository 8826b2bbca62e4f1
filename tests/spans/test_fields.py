import json

import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from pandas.testing import assert_frame_equal

import tokenvis as tv
from tokenvis.explorer.answers import facts, labels
from tokenvis.plot.artists.markers import marks_of
from tokenvis.spans.fields import field_columns, field_numbers, field_rows, field_values, has_column

INPUT, COST = "gen_ai.usage.input_tokens", "gen_ai.usage.cost"
OWN = ["label", "links", "status", "trigger", "estimated", INPUT, "gen_ai.usage.output_tokens", COST]


def two():
    """Two spans: one says that it failed and used 3 tokens, the other nothing."""
    spans = spans_of("ann 0 5 desk", "bob 2 9 lab")
    return with_data(spans, a={"status": "error", "label": "plan", "attributes": {INPUT: 3}})


def test_a_field_is_a_key_of_data():
    spans = two()
    assert not has_column(spans, "status")
    assert [list(found) for found in field_values(spans, "status")] == [[0], ["error"]]
    assert field_rows(spans, "status", INPUT).tolist() == [0]
    assert field_columns(spans, ["label", "phase"])["label"].tolist()[0] == "plan"
    assert field_numbers(spans, [INPUT])[INPUT].to_list() == [3, pd.NA]


def test_a_column_of_its_name_counts_before_data():
    spans = two().assign(status=[None, "open"], label=["a", "b"], **{INPUT: [np.nan, 7.0]})
    assert has_column(spans, "status")
    assert [list(found) for found in field_values(spans, "status")] == [[1], ["open"]]
    assert field_rows(spans, "status", COST).tolist() == [1]
    assert field_columns(spans, ["label"], np.array([1]))["label"].tolist() == ["b"]
    assert field_numbers(spans, [INPUT, COST])[INPUT].to_list() == [pd.NA, 7.0]


def test_what_every_frame_of_spans_has_is_no_field():
    spans = two().assign(parent_id=None)
    assert [name for name in (*spans.columns, 7) if has_column(spans, name)] == []
    twice = pd.concat([spans, spans[["agent_id", "location_id"]].set_axis(["status", "status"], axis=1)], axis=1)
    assert not has_column(twice, "status")


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
    ],
    ids=["Int64", "float64", "object", "category", "uint8"],
)
def test_numbers_may_have_any_type_that_holds_them(values):
    spans = two().assign(**{INPUT: values})
    numbers = field_numbers(spans, [INPUT])[INPUT]
    assert str(numbers.dtype) in ("Int64", "Float64")
    assert numbers[0] == 3
    assert tv.usage(spans)["input_tokens"].iloc[0] == 3


@pytest.mark.parametrize("value", ["many", True, [3]], ids=str)
def test_what_is_no_number_is_told(value):
    spans = two().assign(**{INPUT: pd.Series([None, value], dtype="object")})
    with pytest.raises(tv.BadSpan) as error:
        field_numbers(spans, [INPUT])
    assert str(error.value) == f"{INPUT} of span 'b' is {value!r}, not a number of 64 bits."


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=1))
def test_pictures_and_the_explorer_read_fields_wherever_they_stand(spans):
    payloads = [data if pd.isna(data) else json.dumps({**json.loads(data), "label": "x"}) for data in spans["data"]]
    named = spans.assign(data=pd.Series(payloads, index=spans.index, dtype="str"))
    own = tv.expand_data(named, OWN).assign(data=None)
    ours, theirs = marks_of(named), marks_of(own)
    assert {name: rows.tolist() for name, rows in ours.items()} == {name: rows.tolist() for name, rows in theirs.items()}
    assert labels(own).equals(labels(named))
    assert (facts(own).header, facts(own).buffers) == (facts(named).header, facts(named).buffers)


@pytest.mark.laws
@given(spans_frames(n_traces=2))
def test_lost_spans_are_counted_wherever_their_number_stands(spans):
    payloads = [json.dumps({"n_lost": number + 2}) for number in range(len(spans))]
    lost = spans.assign(location_id="tokenvis.lost", data=pd.Series(payloads, index=spans.index, dtype="str"))
    assert_frame_equal(tv.summary(tv.expand_data(lost, "n_lost").assign(data=None)), tv.summary(lost))
