import json

import pytest
from conftest import spans_with
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans import payload, text_lists
from tokenvis.spans.text_lists import text_lists_in
from tokenvis.tree.relations import references_in


@pytest.fixture(autouse=True)
def few_payloads_are_enough(monkeypatch):
    """Read even one payload with Arrow."""
    monkeypatch.setattr(text_lists, "FIRST_PAYLOADS", 0)


def test_each_text_of_a_list_has_the_row_of_its_list():
    spans = spans_with('{"links": ["a", "b"]}', None, '{"links": []}', '{"m": null}', '{"m": "links", "links": ["\\u00e9"]}')
    rows, texts = text_lists_in(spans, "links")
    assert (rows.tolist(), texts.tolist(), str(texts.dtype)) == ([0, 0, 4], ["a", "b", "é"], "str")


@pytest.mark.parametrize(
    "text",
    [
        '{"links": "a"}',
        '{"links": [1]}',
        '{"links": ["a", null]}',
        '{"links": ["\\ud83d"]}',
        '{"links": null}',
        '["links"]',
        '{"links": [["a"]]}',
    ],
)
def test_other_values_are_left_to_the_parser_of_payloads(text):
    assert text_lists_in(spans_with('{"links": ["a"]}', text), "links") is None


def test_few_payloads_and_mappings_are_left_to_the_parser_of_payloads(monkeypatch):
    assert text_lists_in(spans_with({"links": ["a"]}), "links") is None
    assert text_lists_in(spans_with('{"links": ["a"]}').drop(columns="data"), "links") is None
    monkeypatch.setattr(text_lists, "FIRST_PAYLOADS", 1)
    assert text_lists_in(spans_with('{"links": ["a"]}'), "links") is None


texts = st.sampled_from(["a", "", "é", "\N{GRINNING FACE}", "\x00", "\ud83d", '"', "\\", "x" * 50])
values = st.lists(texts, max_size=3) | st.lists(texts | st.integers(0, 9) | st.none(), max_size=2) | texts | st.none()


@pytest.mark.laws
@given(st.lists(values, min_size=1, max_size=4), st.sampled_from([20, 10_000]))
def test_arrow_finds_the_same_references_as_the_parser_of_payloads(links, chunk):
    spans = spans_with(*(json.dumps({"links": value}) for value in links))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "CHUNK_BYTES", chunk)
        rows, ids = references_in(spans, "links")
        patch.setattr(text_lists, "FIRST_PAYLOADS", 10)
        expected_rows, expected_ids = references_in(spans, "links")
    assert (rows.tolist(), ids.tolist()) == (expected_rows.tolist(), expected_ids.tolist())
