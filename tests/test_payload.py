import json

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import BadOption, BadSpan, MissingColumn, expand_data
from tokenvis.payload import encoded, parents_of


def with_data(*payloads):
    """A frame with these payloads: JSON text, a mapping, or None."""
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(payloads))))
    spans["data"] = pd.Series(payloads, dtype="str" if all(p is None or isinstance(p, str) for p in payloads) else "object")
    return spans


def column(key, *values):
    """The column that a key becomes, where these are its values; `...` is a span that lacks it."""
    payloads = [None if value is ... else json.dumps({key: value}) for value in values]
    return expand_data(with_data(*payloads), key)[key]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, ..., 3], "Int64", [1, pd.NA, 3]),
        ([1, 2.5, ...], "Float64", [1.0, 2.5, pd.NA]),
        ([True, ..., False], "boolean", [True, pd.NA, False]),
        (["a", ..., ""], "str", ["a", np.nan, ""]),
        ([True, 1], "object", [True, 1]),
        ([1, "a"], "object", [1, "a"]),
        ([[1], {"b": 2}], "object", [[1], {"b": 2}]),
        ([2**63, 1], "object", [2**63, 1]),
        ([2**62 + 1, 0.5], "object", [2**62 + 1, 0.5]),
        ([-(2**63), 2**63 - 1], "Int64", [-(2**63), 2**63 - 1]),
        ([..., None], "object", [None, None]),
    ],
    ids=str,
)
def test_a_column_has_the_narrowest_type_that_holds_all_values(values, dtype, expected):
    made = column("key", *values)
    assert str(made.dtype) == dtype
    assert [value for value in made if not np.any(pd.isna(value))] == [
        value for value in expected if not np.any(pd.isna(value))
    ]
    assert made.isna().tolist() == [value is None or value is pd.NA or value is np.nan for value in expected]


def test_the_top_comes_before_attributes_and_dots_are_literal():
    payload = {"kind": "top", "attributes": {"kind": "below", "a.b": 1, "a": {"b": 2}}, "c": {"d": 3}}
    made = expand_data(with_data(json.dumps(payload)), ["kind", "a.b", "c.d"])
    assert made[["kind", "a.b", "c.d"]].iloc[0].tolist() == ["top", 1, None]


def test_columns_are_added_and_one_of_that_name_is_replaced():
    spans = with_data('{"label": "new"}').assign(label="old")
    made = expand_data(spans, ["label", "phase"])
    assert made.columns.tolist() == [*spans.columns, "phase"]
    assert made["label"].tolist() == ["new"]
    assert spans["label"].tolist() == ["old"]


def test_data_may_be_mappings_and_rows_may_have_any_index():
    spans = with_data({"n": 1}, None).set_index(pd.Index(["x", "x"]))
    assert expand_data(spans, "n")["n"].tolist() == [1, pd.NA]
    assert_frame_equal(expand_data(spans, []), spans)


def test_what_is_no_object_is_named():
    for data in ("[1]", "{", '"text"', "7", '{"a": NaN}'):
        with pytest.raises(BadSpan, match=r"^data of span 'a' is not a JSON object: .*\)\.$"):
            expand_data(with_data(data), "label")


def test_an_odd_text_that_json_allows_is_read():
    assert column("key", "\N{GRINNING FACE}\x00").tolist() == ["\N{GRINNING FACE}\x00"]
    assert expand_data(with_data('{"key": 1e400, "n": 123456789012345678901234567890}'), "n")["n"].tolist()[0] > 10**29


def test_a_required_column_is_not_replaced():
    with pytest.raises(BadOption, match=r"^keys: 'start_time' would replace a column that every frame of spans needs\.$"):
        expand_data(with_data("{}"), ["label", "start_time"])
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'data'\. They have: "):
        expand_data(spans_of("ann 0 1 desk").drop(columns="data"), "label")


def test_a_parent_is_a_text_at_the_top():
    spans = with_data(
        '{"parent_id": "p"}', '{"parent_id": 7}', '{"label": "\\"parent_id\\""}', None, '{"attributes": {"parent_id": "q"}}'
    )
    assert parents_of(spans["data"]).fillna("-").tolist() == ["p", "-", "-", "-", "-"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.laws
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_encoded_reads_back(payload):
    [text] = encoded(with_data(payload)).tolist()
    assert json.loads(text) == payload
    assert text.encode()


def test_json_text_stays_as_it_is_and_nothing_stays_nothing():
    assert encoded(with_data('{ "a":1 }', None)).fillna("-").tolist() == ['{ "a":1 }', "-"]


def test_half_a_surrogate_pair_is_escaped():
    assert encoded(with_data({"a": "\ud800"})).tolist() == ['{"a": "\\ud800"}']


def test_a_parent_column_goes_into_the_payload():
    spans = with_data({"label": "x"}, None, {"parent_id": "q"}, None).assign(parent_id=["p", "p", "q", None])
    assert encoded(spans).fillna("-").tolist() == [
        '{"label": "x", "parent_id": "p"}',
        '{"parent_id": "p"}',
        '{"parent_id": "q"}',
        "-",
    ]


def test_what_json_has_no_form_for_is_refused():
    loop: dict = {}
    loop["loop"] = loop
    for value in (float("nan"), float("inf"), {1, 2}, object(), loop):
        with pytest.raises(BadSpan, match=r"^data of span 'a' is not a JSON object: "):
            encoded(with_data({"value": value}))
    with pytest.raises(BadSpan, match=r"^data of span 'a' is not a JSON object: \[1\] \(it is list\)\.$"):
        encoded(with_data([1]))
