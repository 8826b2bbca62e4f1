"""What the spans of a trace have under a key of data, as a column of `load_traces`."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from databases import ORIGINAL, with_sql
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, Store, expand_data, load_spans, load_traces


def store_of(**payloads):
    """A new store with a trace for each name; each of its payloads is that of a span."""
    store = Store(f"{len(list(Path().iterdir()))}.db")
    for trace in (trace for trace, data in payloads.items() if not data):
        store.write_trace(trace, [])
    place = {"agent_id": "ann", "location_id": "desk"}
    rows = [
        {"id": f"{trace}/{span}", "trace_id": trace, **place, "start_time": -number, "end_time": 5, "data": payload}
        for number, (trace, data) in enumerate(payloads.items())  # in this order
        for span, payload in enumerate(data)
    ]
    store.add_traces(rows, {})
    return store


def column(key, **payloads):
    """The type of a column, and its values."""
    found = load_traces(attributes=key, store=store_of(**payloads))[key]
    return str(found.dtype), found.tolist()


def test_a_value_on_which_the_spans_of_a_trace_agree():
    assert column("seed", a=[{"seed": 1}], b=[{"seed": 2}, {}, None, {"seed": 2}]) == ("Int64", [1, 2])
    assert column("share", a=[{"share": 0.5}], b=[{"share": 2}]) == ("Float64", [0.5, 2.0])
    assert column("done", a=[{"done": True}], b=[{"done": False}]) == ("boolean", [True, False])
    assert column("model", a=[{"model": "opus"}], b=[{"model": "ü\n"}]) == ("str", ["opus", "ü\n"])
    assert column("x", a=[{"x": 1}], b=[{"x": "1"}]) == ("object", [1, "1"])
    assert column("x", a=[{"x": {"y": [1, None]}}], b=[{"x": []}]) == ("object", [{"y": [1, None]}, []])
    assert column("big", a=[{"big": 2**70}]) == ("object", [2**70])


def test_a_trace_whose_spans_differ_has_the_sorted_list_of_their_values():
    assert column("model", a=[{"model": "opus"}, {"model": "haiku"}, {"model": "opus"}], b=[{"model": "opus"}]) == (
        "object",
        [["haiku", "opus"], "opus"],
    )
    assert column("x", a=[{"x": value} for value in ("b", 10, {"k": 1}, True, 9.5, False, "a")]) == (
        "object",
        [[False, True, 9.5, 10, "a", "b", {"k": 1}]],
    )


def test_equal_numbers_are_one_value_and_a_truth_is_no_number():
    assert column("x", a=[{"x": 1.0}, {"x": 1}]) == ("Int64", [1])
    assert column("x", a=[{"x": 1}, {"x": True}]) == ("object", [[True, 1]])


def test_a_trace_without_the_key_or_with_null_has_no_value():
    assert column("seed", a=[{"seed": 1}], b=[{"seed": None}, {"other": 2}], c=[]) == ("Int64", [1, pd.NA, pd.NA])
    assert column("nowhere", a=[{"seed": 1}]) == ("object", [None])


@pytest.mark.parametrize("key", ["a.b", "gen_ai.request.model", 'a"b', "a\\b", "größe", "a/b", " ", "attributes", "[0]", "$"])
def test_a_key_is_looked_up_literally_at_the_top_then_under_attributes(key):
    top, nested = {key: 1, "attributes": {key: 2}} if key != "attributes" else {key: {key: 2}}, {"attributes": {key: 3}}
    dtype, values = column(
        key, a=[top], b=[nested], c=[{"a": {"b": 4}, "gen_ai": {"request": {"model": 5}}}], d=[{key: None, **nested}]
    )
    expected = [{key: 2}, {key: 3}, None, {key: 3}] if key == "attributes" else [1, 3, pd.NA, pd.NA]
    assert (dtype, values) == ("object" if key == "attributes" else "Int64", expected)


def test_a_key_is_found_however_json_writes_it():
    escaped = json.dumps({"größe": 7})
    assert "\\u" in escaped
    assert column("größe", a=[escaped], b=[{"größe": 8}]) == ("Int64", [7, 8])


def test_attributes_that_are_no_object_have_no_keys():
    assert column("x", a=[{"attributes": [{"x": 1}]}], b=[{"attributes": "x"}], c=[{"attributes": {"x": 2}}]) == (
        "Int64",
        [pd.NA, pd.NA, 2],
    )


def test_several_keys_are_columns_after_those_of_the_list():
    store = store_of(a=[{"seed": 1}], b=[{"model": "opus"}])
    assert list(load_traces(attributes=["seed", "model", "seed"], details=True, store=store)) == [
        *("id", "name", "n_spans", "start_time", "end_time", "n_agents", "n_locations", "seed", "model"),
    ]
    assert list(load_traces(attributes=[], store=store)) == ["id", "name", "n_spans", "start_time"]


def test_an_empty_store_has_the_columns():
    assert {name: str(dtype) for name, dtype in load_traces(attributes="seed", store=Store("x.db")).dtypes.items()} == {
        "id": "str",
        "name": "str",
        "n_spans": "int64",
        "start_time": "Int64",
        "seed": "object",
    }


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("name", "attributes= contains 'name', a column that every list of traces has."),
        (["x", "n_agents", "id"], "attributes= contains 'n_agents', 'id', a column that every list of traces has."),
        (["\ud800"], "attributes= contains '\\ud800', which cannot be encoded as UTF-8."),
        (5, "attributes=5 is neither a name nor a list of names."),
    ],
)
def test_the_names_of_other_columns_are_refused(attributes, message):
    with pytest.raises(BadOption) as error:
        load_traces(attributes=attributes, store=Store("x.db"))
    assert str(error.value) == message


def test_runs_are_chosen_by_their_values():
    store = store_of(**{f"r{number}": [{"seed": number % 5, "n": number}] for number in range(600)})
    traces = load_traces(attributes=["seed", "n"], store=store)
    chosen = traces[(traces["seed"] != 3) | (traces["n"] < 50)]
    assert len(chosen) == 490
    spans = load_spans(chosen["id"], store=store)
    assert set(spans["trace_id"]) == set(chosen["id"])
    assert load_spans(traces[traces["seed"] == 9]["id"], store=store).empty


def test_rows_of_other_programs_with_invalid_data_are_an_error_or_skipped():
    update = """UPDATE spans SET data = CASE id WHEN 'old/2' THEN '{"seed"' ELSE '{"seed": 3}' END"""
    with_sql(Path("sqlite.db"), *ORIGINAL, update)
    path = Path("sqlite.db").absolute()
    why = "Expecting ':' delimiter: line 1 column 8 (char 7)"
    reason = f"""span 'old/2' of trace 'old': data is not a JSON object: '{{"seed"' ({why})"""
    with pytest.raises(BadSpan) as error:
        load_traces(attributes="seed")
    assert (
        str(error.value) == f"{path} has 1 row with invalid values: {reason}. load_traces(..., skip_bad=True) skips such rows."
    )
    with pytest.warns(UserWarning, match=re.escape(f"{path}: 1 row skipped: {reason}.")):
        traces = load_traces(attributes=["seed", "größe"], skip_bad=True)
    assert traces[["seed", "größe"]].to_numpy().tolist() == [[3, None]]
    assert list(load_traces(skip_bad=True)) == ["id", "name", "n_spans", "start_time"]


def test_values_that_are_not_utf_8_and_traces_that_are_not_texts_do_not_stop_the_list():
    update = """UPDATE spans SET data = CAST(x'7b2273656564223a22ff227d' AS TEXT) WHERE id = 'old/1'"""
    with_sql(Path("sqlite.db"), *ORIGINAL, update)
    assert load_traces(attributes="seed")["seed"].tolist() == ["\ufffd"]


KEYS = ["seed", "a.b", "größe", 'a"b']
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, 2.0**60, "", "x", "ü"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=3,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)
PAYLOADS = st.none() | st.builds(lambda top, nested: {**top, "attributes": nested}, OBJECTS, OBJECTS | VALUES) | OBJECTS


def same(value, other):
    """Whether two JSON values are the same: a truth is no number."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        type(value) in (int, float) and type(other) in (int, float) and value == other
    )


@pytest.mark.laws
@given(st.lists(st.lists(PAYLOADS, max_size=4), min_size=1, max_size=3))
def test_the_values_are_those_of_expand_data(payloads):
    store = store_of(**{f"t{number}": data for number, data in enumerate(payloads)})
    traces = load_traces(attributes=KEYS, store=store).set_index("id")
    expanded = expand_data(load_spans(store=store), KEYS)
    values = defaultdict(list)
    for key in KEYS:
        for trace, value in zip(expanded["trace_id"], expanded[key].astype(object), strict=True):
            is_missing = value is None or value is pd.NA or (isinstance(value, float) and value != value)
            if not is_missing and not any(same(value, other) for other in values[trace, key]):
                values[trace, key].append(value)
        for trace in traces.index:
            found, expected = traces.loc[trace, key], values[trace, key]
            if len(expected) > 1:
                assert isinstance(found, list)
                assert len(found) == len(expected)
                assert all(any(same(value, other) for other in expected) for value in found)
            elif expected:
                assert same(found.item() if hasattr(found, "item") else found, expected[0])
            else:
                assert found is None or pd.isna(found)
