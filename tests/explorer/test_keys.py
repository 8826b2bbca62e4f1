import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, with_data

from tokenvis import BadOption, BadSpan, palette
from tokenvis.explorer.keys import KEY_SAMPLE_SPANS, key_column, keys_in

SPANS = with_data(
    spans_of("ann 0 10 desk", "bob 5 20 desk", "ann 12 12 lab", "eve 30 40 lab"),
    a={"kind": "tool", "attributes": {"gen_ai.request.model": "m", "tokens": 3}, "label": "find"},
    b={"kind": "model", "status": "error", "links": ["a"], "requested_by": "a"},
    c={"kind": "tool", "nested": {"x": 1}},
)


def test_a_column_of_the_frame_defines_bands():
    column = key_column(SPANS, "agent_id")
    assert (column.codes.tolist(), column.names) == ([0, 1, 0, 2], ["ann", "bob", "eve"])
    assert dict(zip(column.names, column.colors, strict=True)) == palette(["ann", "bob", "eve"])
    assert column.legend == [(color, name) for name, color in palette(["ann", "bob", "eve"]).items()]
    assert not column.missing


def test_a_key_of_data_defines_bands_with_one_for_spans_without_it():
    column = key_column(SPANS, "kind")
    assert (column.codes.tolist(), column.names, column.missing) == ([1, 0, 1, 2], ["model", "tool", "none"], True)
    assert len(column.colors) == 3
    assert key_column(SPANS, "gen_ai.request.model").names == ["m", "none"]


def test_names_keep_their_colours_if_others_are_filtered_out():
    some = SPANS[SPANS["agent_id"] != "ann"]
    assert key_column(some, "agent_id").colors == key_column(SPANS, "agent_id").colors[1:]


def test_many_numbers_are_ranges_of_a_colour_scale():
    spans = pd.concat([SPANS] * 8, ignore_index=True).assign(cost=np.arange(32) * 10)
    column = key_column(spans, "cost")
    assert 2 <= len(column.names) <= 8
    assert column.names[0] == "0 to 60"
    assert column.codes.tolist() == sorted(column.codes.tolist())
    missing = key_column(spans.assign(cost=spans["cost"].where(spans["cost"] > 0).astype("Float64")), "cost")
    assert (missing.names[-1], missing.codes[0], missing.missing) == ("none", len(missing.names) - 1, True)


def test_a_palette_gives_the_colours():
    assert key_column(SPANS, "agent_id", {"ann": "#ff0000", "bob": "#00ff00", "eve": "#0000ff"}).colors[:2] == [
        "#ff0000",
        "#00ff00",
    ]


def test_keys_are_listed_with_the_most_frequent_first():
    assert keys_in(SPANS) == ["agent_id", "location_id", "status", "kind", "gen_ai.request.model", "tokens"]
    assert keys_in(SPANS.assign(team="a")) == [*keys_in(SPANS)[:4], "team", *keys_in(SPANS)[4:]]
    assert keys_in(SPANS.drop(columns="data")) == ["agent_id", "location_id"]
    assert keys_in(SPANS.iloc[:0]) == ["agent_id", "location_id"]


def test_a_text_that_differs_for_each_span_is_not_a_key(monkeypatch):
    monkeypatch.setattr("tokenvis.explorer.keys.MAX_SAMPLED_TEXTS", 1)
    assert "kind" not in keys_in(SPANS)
    assert "tokens" in keys_in(SPANS)  # numbers make a scale
    assert KEY_SAMPLE_SPANS > 1


def test_a_key_that_no_span_has_is_refused():
    with pytest.raises(BadOption) as raised:
        key_column(SPANS, "colour")
    assert str(raised.value) == (
        "'colour' is neither a column nor a key of data. Available: "
        "'agent_id', 'location_id', 'status', 'kind', 'gen_ai.request.model', 'tokens'."
    )


def test_a_key_of_too_many_values_is_refused(monkeypatch):
    monkeypatch.setattr("tokenvis.explorer.keys.MAX_EXPLORER_BANDS", 1)
    with pytest.raises(BadOption, match=r"^'kind' has 2 values; the explorer shows at most 1\.$"):
        key_column(SPANS, "kind")


def test_an_empty_frame_has_no_values():
    column = key_column(SPANS.iloc[:0], "agent_id")
    assert (column.codes.tolist(), column.names) == ([], [])


def test_duplicate_and_non_text_column_names_are_not_keys():
    twice = pd.concat([SPANS, SPANS[["agent_id"]].set_axis(["x"], axis=1), SPANS[["id"]].set_axis(["x"], axis=1)], axis=1)
    assert "x" not in keys_in(twice)
    assert 7 not in keys_in(SPANS.assign(y=1).rename(columns={"y": 7}))
    with pytest.raises(BadSpan, match=r"^The spans have 2 columns named 'x'\. Keep one of them\.$"):
        key_column(twice, "x")


def test_mixed_types_and_lone_surrogates_become_texts():
    spans = SPANS.assign(x=pd.Series([1, "a", "\ud800", None], dtype=object, index=SPANS.index))
    assert key_column(spans, "x").names == ["1", "a", "\ufffd", "none"]
