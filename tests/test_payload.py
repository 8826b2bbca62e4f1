import json
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from tokenvis import BadOption, BadSpan, MissingColumn, expand_data, payload
from tokenvis.payload import encoded, numbers_in, parents_of


def with_data(*payloads):
    """A frame with these payloads: JSON text, a mapping, or None."""
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(payloads))))
    spans["data"] = pd.Series(payloads, dtype="str" if all(p is None or isinstance(p, str) for p in payloads) else "object")
    return spans


def column(key, *values):
    """The column that a key becomes, where these are its values; `...` is a span that lacks it."""
    payloads = [None if value is ... else json.dumps({key: value}) for value in values]
    return expand_data(with_data(*payloads), key)[key]


def test_payloads_and_attributes_may_be_mappings_of_any_sort():
    payload = MappingProxyType({"attributes": MappingProxyType({"n": 1}), "label": "x"})
    spans = spans_of("ann 0 5 desk").assign(data=[payload])
    assert expand_data(spans, ["n", "label"])[["n", "label"]].to_numpy().tolist() == [[1, "x"]]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, ..., 3], "Int64", [1, pd.NA, 3]),
        ([1, 2.5, ...], "Float64", [1.0, 2.5, pd.NA]),
        ([2**60, 0.5], "Float64", [2.0**60, 0.5]),
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


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("[1]", "it is list"),
        ('"text"', "it is str"),
        ("7", "it is int"),
        ("null", "it is NoneType"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ([], "it is list"),
        ([None], "it is list"),
        ([1, 2], "it is list"),
        (np.array([]), "it is ndarray"),
        (7.5, "it is float"),
        (False, "it is bool"),
        (b"{}", "it is bytes"),
    ],
    ids=repr,
)
def test_what_is_no_object_is_named(data, why):
    spans = with_data(None).assign(data=pd.Series([data], dtype="object"))
    for read in (lambda: expand_data(spans, "label"), lambda: encoded(spans)):
        with pytest.raises(BadSpan) as error:
            read()
        assert str(error.value) == f"data of span 'a' is not a JSON object: {data!r} ({why})."


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT], ids=repr)
def test_what_is_missing_is_no_payload(nothing):
    spans = with_data({"n": 1}, None).assign(data=pd.Series([{"n": 1}, nothing], dtype="object"))
    assert expand_data(spans, "n")["n"].tolist() == [1, pd.NA]
    assert encoded(spans).isna().tolist() == [False, True]


def test_half_a_surrogate_pair_is_read_as_the_replacement_character():
    made = expand_data(with_data('{"label": "cut \\ud83d"}', '{"label": "\\ud83d\\ude00"}'), "label")["label"]
    assert (made.tolist(), str(made.dtype)) == (["cut \N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}"], "str")
    assert parents_of(with_data('{"parent_id": "\\ud83d"}')["data"]).tolist() == ["\N{REPLACEMENT CHARACTER}"]


def test_what_is_nested_too_deep_is_told():
    deep = '{"parent_id": "p", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(BadSpan, match=r"^data of span 'a' is not a JSON object: .*… \(200,025 characters\) \(.*\)\.$"):
        expand_data(with_data(deep), "label")
    assert parents_of(with_data(deep)["data"]) is None


def test_an_odd_text_that_json_allows_is_read():
    assert column("key", "\N{GRINNING FACE}\x00").tolist() == ["\N{GRINNING FACE}\x00"]
    assert expand_data(with_data('{"key": 1e400, "n": 123456789012345678901234567890}'), "n")["n"].tolist()[0] > 10**29


def test_a_required_column_is_not_replaced():
    with pytest.raises(BadOption, match=r"^keys: 'start_time' would replace a column that every frame of spans needs\.$"):
        expand_data(with_data("{}"), ["label", "start_time"])
    spans = spans_of("ann 0 1 desk").drop(columns="data")
    with pytest.raises(MissingColumn) as error:
        expand_data(spans, "label")
    assert str(error.value) == f"The spans have no column 'data'. They have: {', '.join(map(repr, spans.columns))}."


def test_a_parent_is_a_text_at_the_top():
    spans = with_data(
        '{"parent_id": "p"}',
        '{"parent_id": 7}',
        '{"label": "\\"parent_id\\""}',
        None,
        '{"attributes": {"parent_id": "q"}}',
        '["parent_id"]',
        '{"parent_id"',
    )
    assert parents_of(spans["data"]).fillna("-").tolist() == ["p", "-", "-", "-", "-", "-", "-"]


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
    assert encoded(with_data({"a": "\ud800"})).tolist() == ['{"a":"\\ud800"}']


def test_a_parent_column_goes_into_the_payload():
    spans = with_data({"label": "x"}, None, {"parent_id": "q"}, None).assign(parent_id=["p", "p", "q", None])
    assert encoded(spans).fillna("-").tolist() == [
        '{"label":"x","parent_id":"p"}',
        '{"parent_id":"p"}',
        '{"parent_id":"q"}',
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


@pytest.mark.laws
@given(st.lists(st.sampled_from([..., 1, 2**62 + 1, 0.5, True, "a", [1], 2**63]), max_size=6), st.integers(1, 3))
def test_it_makes_no_difference_how_many_payloads_are_in_memory_at_once(values, chunk):
    whole = column("key", *values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "CHUNK", chunk)
        assert_series_equal(column("key", *values), whole)


def test_numbers_come_from_payloads_that_are_no_text_too():
    spans = with_data({"n": 3}, None, {"n": 0.5}, {"attributes": {"n": 2**62}})
    large = numbers_in(spans.assign(data=[{"n": 3}, None, {"n": 0.5}, {"n": 2**62 + 1}]), ["n"])["n"]
    assert large.fillna(-1).tolist() == [3.0, -1.0, 0.5, 2.0**62]
    assert numbers_in(spans, ["n", "m"])["n"].fillna(-1).tolist() == [3.0, -1.0, 0.5, 2.0**62]
    assert numbers_in(spans, ["n", "m"])["m"].isna().all()
