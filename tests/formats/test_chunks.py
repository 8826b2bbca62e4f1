import json

import numpy as np
import orjson
import pandas as pd
import pytest
from conftest import spans_of, with_data

from tokenvis import BadSpan
from tokenvis.formats.chunks import chunk_bounds, chunk_rows, data_in_json, export_chunks, json_fragment, payload_text

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 6 lab", "eve 7 8 lab"), b={"label": "x"})


def ids(chunks):
    return [chunk["id"].tolist() for chunk in chunks]


def test_chunks_follow_the_order_of_the_frame_or_of_the_rows(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.chunks.PAYLOADS_PER_CHUNK", 2)
    assert ids(export_chunks(SPANS)) == [["a", "b"], ["c"]]
    assert ids(export_chunks(SPANS, rows=np.array([2, 0, 1]))) == [["c", "a"], ["b"]]
    assert ids(export_chunks(SPANS[:0])) == []


def test_data_is_missing_or_json_text_with_the_parent():
    spans = SPANS.assign(data=pd.Series([{"n": 1}, None, '{"n":  2}'], dtype=object), parent_id=[None, "a", None])
    [chunk] = export_chunks(spans)
    assert [data for (data,) in chunk_rows(chunk, "data")] == ['{"n":1}', '{"parent_id":"a"}', '{"n":  2}']
    [chunk] = export_chunks(SPANS.drop(columns="data"))
    assert [data for (data,) in chunk_rows(chunk, "data")] == [None, None, None]


def test_rows_contain_python_values():
    [row] = chunk_rows(SPANS[:1], "id", "agent_id", "start_time", "data")
    assert row == ("a", "ann", 0, None)
    assert [type(value) for value in row] == [str, str, int, type(None)]


@pytest.mark.parametrize(("data", "line"), [('{\n"a":\r\n"x\\ny"}', '{ "a":  "x\\ny"}'), (None, "null")])
def test_a_fragment_is_json_on_one_line(data, line):
    assert orjson.dumps(json_fragment(data)).decode() == line
    assert json.loads(line) == (None if data is None else json.loads(data))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"label": "x"}, "x"),
        ({"label": ""}, None),
        ({"label": 5}, None),
        ({}, None),
        ({"label": "a\ud800"}, "a\ufffd"),
        ({"attributes": {"label": "x"}}, None),
    ],
)
def test_the_text_under_a_key_of_a_payload(payload, text):
    assert payload_text(payload, "label") == text


def test_chunks_are_smaller_where_data_is_large(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.chunks.CHUNK_BYTES", 10)
    assert list(chunk_bounds(np.array([4, 4, 4, 30, 1, 1]), 4)) == [(0, 3), (3, 4), (4, 6)]
    assert list(chunk_bounds(np.array([], dtype=np.int64), 4)) == []


@pytest.mark.parametrize(
    "text",
    ['{"half":"\\ud83d"}', '{"huge":1e400}', f'{{"digits":{"9" * 400}}}', '{"a":' + "[" * 151 + "]" * 151 + "}"],
)
def test_json_that_other_parsers_refuse_stays_a_text(text):
    [chunk] = export_chunks(SPANS.assign(data=['{"e":"1e400 [\\\\ud83d"}', text, None]))
    values = list(data_in_json(chunk))
    assert [value if isinstance(value, str) else type(value).__name__ for value in values] == ["Fragment", text, "NoneType"]


def test_data_that_no_reader_accepts_is_refused():
    deep = '{"a":' + "[" * 900 + "]" * 900 + "}"
    with pytest.raises(BadSpan) as caught:
        list(export_chunks(SPANS.assign(data=deep)))
    assert str(caught.value) == (
        "data of span 'a' of trace 't' is nested 901 levels deep; a file may have at most 900, in any format. Flatten it."
    )
    assert len(list(export_chunks(SPANS.assign(data='{"a":"' + "[" * 900 + '"}')))) == 1


def test_an_integer_of_too_many_digits_is_refused():
    with pytest.raises(BadSpan) as caught:
        list(export_chunks(SPANS[:1].assign(data='{"a":' + "9" * 4_301 + "}")))
    assert str(caught.value).endswith("(it has an integer of 4,301 digits; at most 4,300 are read).")
