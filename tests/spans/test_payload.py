import json
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, spans_with
from pandas.testing import assert_frame_equal

from tokenvis import BadSpan, expand_data
from tokenvis.spans.encoding import encoded
from tokenvis.spans.parents import parents_of


def test_payloads_and_attributes_may_be_mappings_of_any_type():
    payload = MappingProxyType({"attributes": MappingProxyType({"n": 1}), "label": "x"})
    spans = spans_of("ann 0 5 desk").assign(data=[payload])
    assert expand_data(spans, ["n", "label"])[["n", "label"]].to_numpy().tolist() == [[1, "x"]]


def test_the_top_level_comes_before_attributes_and_dots_are_literal():
    payload = {"kind": "top", "attributes": {"kind": "below", "a.b": 1, "a": {"b": 2}}, "c": {"d": 3}}
    made = expand_data(spans_with(json.dumps(payload)), ["kind", "a.b", "c.d"])
    assert made[["kind", "a.b", "c.d"]].iloc[0].tolist() == ["top", 1, None]


def test_data_may_be_mappings_and_rows_may_have_any_index():
    spans = spans_with({"n": 1}, None).set_index(pd.Index(["x", "x"]))
    assert expand_data(spans, "n")["n"].tolist() == [1, pd.NA]
    assert_frame_equal(expand_data(spans, []), spans)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("[1]", "it is of type list"),
        ('"text"', "it is of type str"),
        ("7", "it is of type int"),
        ("null", "it is of type NoneType"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ([], "it is of type list"),
        ([None], "it is of type list"),
        ([1, 2], "it is of type list"),
        (np.array([]), "it is of type ndarray"),
        (7.5, "it is of type float"),
        (False, "it is of type bool"),
        (b"{}", "it is of type bytes"),
    ],
    ids=repr,
)
def test_a_payload_that_is_not_an_object_is_refused(data, why):
    spans = spans_with(None).assign(data=pd.Series([data], dtype="object"))
    for read in (lambda: expand_data(spans, "label"), lambda: encoded(spans)):
        with pytest.raises(BadSpan) as error:
            read()
        assert str(error.value) == f"data of span 'a' of trace 't' is not a JSON object: {data!r} ({why})."


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT], ids=repr)
def test_a_missing_value_is_an_empty_payload(nothing):
    spans = spans_with({"n": 1}, None).assign(data=pd.Series([{"n": 1}, nothing], dtype="object"))
    assert expand_data(spans, "n")["n"].tolist() == [1, pd.NA]
    assert encoded(spans).isna().tolist() == [False, True]


def test_a_payload_nested_too_deeply_is_refused():
    deep = '{"parent_id": "p", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(
        BadSpan, match=r"^data of span 'a' of trace 't' is not a JSON object: .*… \(200,025 characters\) \(.*\)\.$"
    ):
        expand_data(spans_with(deep), "label")
    assert parents_of(spans_with(deep)["data"]) is None


def test_an_unusual_text_that_json_allows_is_read():
    spans = spans_with(json.dumps({"key": "\N{GRINNING FACE}\x00"}))
    assert expand_data(spans, "key")["key"].tolist() == ["\N{GRINNING FACE}\x00"]
    assert expand_data(spans_with('{"key": 1e400, "n": 123456789012345678901234567890}'), "n")["n"].tolist()[0] > 10**29
