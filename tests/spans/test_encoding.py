import json

import pytest
from conftest import spans_with
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadSpan
from tokenvis.spans.encoding import encoded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.laws
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_encoded_payloads_are_read_back(payload):
    [text] = encoded(spans_with(payload)).tolist()
    assert json.loads(text) == payload
    assert text.encode()


def test_json_text_and_missing_data_are_unchanged():
    assert encoded(spans_with('{ "a":1 }', None)).fillna("-").tolist() == ['{ "a":1 }', "-"]


def test_a_lone_surrogate_is_escaped():
    assert encoded(spans_with({"a": "\ud800"})).tolist() == ['{"a":"\\ud800"}']


def test_a_parent_column_goes_into_the_payload():
    spans = spans_with({"label": "x"}, None, {"parent_id": "q"}, None).assign(parent_id=["p", "p", "q", None])
    assert encoded(spans).fillna("-").tolist() == [
        '{"label":"x","parent_id":"p"}',
        '{"parent_id":"p"}',
        '{"parent_id":"q"}',
        "-",
    ]


def test_values_that_json_cannot_represent_are_refused():
    loop: dict = {}
    loop["loop"] = loop
    for value in (float("nan"), float("inf"), {1, 2}, object(), loop):
        with pytest.raises(BadSpan, match=r"^data of span 'a' of trace 't' is not a JSON object: "):
            encoded(spans_with({"value": value}))
    with pytest.raises(BadSpan, match=r"^data of span 'a' of trace 't' is not a JSON object: \[1\] \(it is of type list\)\.$"):
        encoded(spans_with([1]))
