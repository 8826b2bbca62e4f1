import json

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, spans_with
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadSpan
from tokenvis.tree.arguments import ARGUMENT_KEYS, argument_codes

KEY = ARGUMENT_KEYS[0]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.sampled_from(["", "x", "7", "\ud800", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("payloads", "codes"),
    [
        ([{"arguments": {"a": 1, "b": 2}}, {"arguments": {"b": 2, "a": 1}}, {"arguments": {"a": 1}}], [0, 0, 1]),
        ([{"input": '{"b":2, "a": 1}'}, {"attributes": {KEY: {"a": 1, "b": 2}}}], [0, 0]),  # a text, under another key
        ([{"input": "ls -l"}, {"input": '"ls -l"'}, {"input": "ls"}], [0, 0, 1]),
        ([{"input": {}}, {"input": "{}"}, {"input": []}], [0, 0, 1]),  # no arguments are known arguments
        ([{"input": None}, {"input": " "}, {"label": "input"}, None], [-1, -1, -1, -1]),
        ([{"input": 1, "attributes": {KEY: 2}}, {KEY: 2}, {"input": " ", "arguments": 2}], [0, 0, 0]),  # the first key decides
        ([{"input": 12345678901234567890123}, {"input": 12345678901234567890124}], [0, 1]),  # no digit is lost
        ([{"input": "[12345678901234567890123]"}, {"input": [12345678901234567890123]}], [0, 0]),
        ([{"input": "a" * 200 + "…"}, {"input": {"a": ["✂ text of 9 MB"]}}, {"input": "a…b ✂ "}], [-1, -1, 0]),  # cut texts
        ([{"input": "[" * 2000}, {"input": "NaN"}], [0, 1]),  # no JSON
    ],
)
def test_equal_arguments_have_the_same_number(payloads, codes):
    texts = [None if payload is None else json.dumps(payload) for payload in payloads]
    assert argument_codes(spans_with(*texts)).tolist() == codes
    assert argument_codes(spans_with(*payloads)).tolist() == codes


def test_columns_take_precedence_and_are_filled_from_data():
    spans = spans_with('{"input": 1}', '{"input": 2}', None, '{"input": 2}')
    assert argument_codes(spans).tolist() == [0, 1, -1, 1]
    assert argument_codes(spans.assign(input=["2", None, "[7.5]", None])).tolist() == [0, 0, 1, 0]
    column = pd.Series([np.int64(1), [1, 2], np.array([1, 2]), None], dtype=object, index=spans.index)
    assert argument_codes(spans.assign(arguments=column, data=None)).tolist() == [0, 1, 1, -1]
    assert argument_codes(spans.drop(columns="data").assign(input=["{}", "[]", None, "{ }"])).tolist() == [0, 1, -1, 0]


def test_values_that_json_cannot_represent_are_not_known():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert argument_codes(spans_with({"input": {1: 2, "a": 3}}, {"input": {1, 2}}, {"input": deep})).tolist() == [-1] * 3


def test_frames_without_arguments():
    assert argument_codes(spans_of()).tolist() == []
    assert argument_codes(spans_of("ann 0 1 desk").drop(columns="data")).tolist() == [-1]


def test_data_that_is_no_object():
    with pytest.raises(BadSpan) as error:
        argument_codes(spans_with('["input"]', '"input"'))
    assert str(error.value) == "data of span 'a' of trace 't' is not a JSON object: '[\"input\"]' (it is of type list)."


@pytest.mark.laws
@given(st.lists(values, max_size=6))
def test_numbers_are_equal_as_values_are(arguments):
    spans = spans_with(*(json.dumps({"input": [value], "n": n}) for n, value in enumerate(arguments)))
    as_text = spans_with(*(json.dumps({"input": json.dumps([value])}) for value in arguments))
    keys = [json.dumps(value, sort_keys=True) for value in arguments]
    expected = [list(dict.fromkeys(keys)).index(key) for key in keys]
    assert argument_codes(spans).tolist() == argument_codes(as_text).tolist() == expected
