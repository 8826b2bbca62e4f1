import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans.redaction import Redactor, payload_json, storable_name

DATA = {
    "label": "what is 2 + 2?",
    "kind": "model",
    "status": "ok",
    "links": ["t/a"],
    "events": [{"name": "said", "attributes": {"text": "secret"}}],
    "attributes": {
        "gen_ai.request.model": "opus",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.input.messages": "secret",
        "my.prompt": "secret",
        "service.name": "shop",
        "temperature": Decimal("0.5"),
        "stream": True,
    },
}


def test_full_content_is_unchanged():
    redactor = Redactor("full")
    assert redactor.redacted(DATA, "chat") is DATA
    assert redactor.n_cut == 0


def test_without_content_only_names_and_numbers_remain():
    redactor = Redactor("none")
    assert redactor.redacted(DATA, "chat") == {
        "label": "chat",
        "kind": "model",
        "status": "ok",
        "links": ["t/a"],
        "attributes": {
            "gen_ai.request.model": "opus",
            "gen_ai.usage.input_tokens": 5,
            "service.name": "shop",
            "temperature": Decimal("0.5"),
            "stream": True,
        },
    }
    assert redactor.n_cut == 3  # the events, the messages, the prompt


@pytest.mark.parametrize("content", ["none", "short"])
def test_waits_are_kept_whole(content):
    waits = {"waits_for": "Eve\n" * 100, "waits_for_kind": "agent", "detached": False, "span_kind": "producer"}
    redactor = Redactor(content)
    assert redactor.redacted(waits, "x") == waits
    for value in (True, 7, 1.0, None):
        assert redactor.redacted({"waits_for": value}, "x") == {"waits_for": value}
    assert redactor.n_cut == 0


def test_ids_of_other_spans_are_kept_whole():
    references = {"links": ["a" * 300, "b"], "requested_by": "c" * 300, "parent_id": "d" * 300}
    redactor = Redactor("short")
    assert redactor.redacted(references, "x") == references
    assert redactor.n_cut == 0
    asked = {"requested_by": ["a", "b"], "task": "secret", "label": "x"}
    assert Redactor("none").redacted(asked, "x") == {"requested_by": ["a", "b"], "label": "x"}
    assert Redactor("short").redacted({"task": "x" * 201}, "x") == {"task": "x" * 200 + "…"}


def test_without_content_a_mark_of_another_type_is_omitted():
    assert Redactor("none").redacted({"waits_for": {"who": "secret"}, "detached": "secret"}, "x") == {}


def test_long_texts_are_cut_at_any_depth():
    redactor = Redactor("short")
    data = {"label": "x", "attributes": {"a": ["x" * 201, "y"], "b": {"c": "é" * 300}, "n": 5}}
    assert redactor.redacted(data, "x")["attributes"] == {"a": ["x" * 200 + "…", "y"], "b": {"c": "é" * 200 + "…"}, "n": 5}
    assert redactor.n_cut == 2


def texts_in(value):
    """All texts in a value, except keys."""
    if isinstance(value, dict | list):
        return [text for inner in (value.values() if isinstance(value, dict) else value) for text in texts_in(inner)]
    return [value] if isinstance(value, str) else []


TEXTS = st.text(alphabet="xé🙂", max_size=3).map(lambda text: text * 90)
VALUES = st.recursive(st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


@pytest.mark.laws
@given(VALUES)
def test_each_long_text_is_cut_once(value):
    once = Redactor("short")
    cut = once.shortened(value)
    assert (cut == value) == (once.n_cut == 0)
    assert sum(text.endswith("…") for text in texts_in(cut)) == once.n_cut
    assert max(map(len, texts_in(cut)), default=0) <= 201


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, None),
        ({"a": Decimal("0.5"), "b": Decimal("1E+400"), "c": 2**70}, {"a": 0.5, "b": None, "c": 2**70}),
        ({"a": float("nan"), "b": float("inf")}, {"a": None, "b": None}),
        ({"a\ud800": "b\udfff"}, {"a\ufffd": "b\ufffd"}),
        ({"🙂": 'é"\n'}, {"🙂": 'é"\n'}),
        ({"a": 2**64, "b": float("nan")}, {"a": 2**64, "b": None}),
    ],
)
def test_a_payload_as_text(data, text):
    assert (payload_json(data) and json.loads(payload_json(data))) == text


def test_values_that_json_cannot_represent_are_refused():
    with pytest.raises(TypeError, match=r"set"):
        payload_json({"a": {1}})
    deep = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises((RecursionError, ValueError)):
        payload_json(deep)


def test_names_are_made_storable():
    assert [storable_name(name) for name in (None, "a", "é", "a\ud800")] == [None, "a", "é", "a\ufffd"]
    with pytest.raises(TypeError, match=r"^a name is of type int$"):
        storable_name(5)
