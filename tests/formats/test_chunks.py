import json

import numpy as np
import orjson
import pandas as pd
import pytest
from conftest import spans_of, with_data

from tokenvis.formats.chunks import chunks_of, fragment, rows_of, said

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 6 lab", "eve 7 8 lab"), b={"label": "x"})


def ids(chunks):
    return [chunk["id"].tolist() for chunk in chunks]


def test_chunks_come_in_the_frames_order_or_in_that_of_the_rows(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.chunks.CHUNK", 2)
    assert ids(chunks_of(SPANS)) == [["a", "b"], ["c"]]
    assert ids(chunks_of(SPANS, np.array([2, 0, 1]))) == [["c", "a"], ["b"]]
    assert ids(chunks_of(SPANS[:0])) == []


def test_data_is_json_text_with_the_parent_in_it_or_missing():
    spans = SPANS.assign(data=pd.Series([{"n": 1}, None, '{"n":  2}'], dtype=object), parent_id=[None, "a", None])
    [chunk] = chunks_of(spans)
    assert [data for (data,) in rows_of(chunk, "data")] == ['{"n":1}', '{"parent_id":"a"}', '{"n":  2}']
    [chunk] = chunks_of(SPANS.drop(columns="data"))
    assert [data for (data,) in rows_of(chunk, "data")] == [None, None, None]


def test_rows_are_values_of_python_itself():
    [row] = rows_of(SPANS[:1], "id", "agent_id", "start_time", "data")
    assert row == ("a", "ann", 0, None)
    assert [type(value) for value in row] == [str, str, int, type(None)]


@pytest.mark.parametrize(("data", "line"), [('{\n"a":\r\n"x\\ny"}', '{ "a":  "x\\ny"}'), (None, "null")])
def test_a_fragment_is_json_on_one_line(data, line):
    assert orjson.dumps(fragment(data)).decode() == line
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
def test_what_a_payload_says(payload, text):
    assert said(payload, "label") == text
