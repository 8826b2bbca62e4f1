import gzip
import io
import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from files import problems, reading_of, source_of, written
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.reading import Reading
from tokenvis.records import Bytes, Changed, Place, Replaced, head_of, items, json_lines, rows
from tokenvis.sources import Source


def lines_of(text):
    reading = reading_of("x.jsonl", text)
    return list(json_lines(reading)), problems(reading)


def items_of(text, prefix="item"):
    reading = reading_of("x.json", text)
    return [value for _, value in items(reading, prefix)], problems(reading)


# Lines.


def test_each_line_with_its_number():
    assert lines_of(b'{"a": 1}\n\n  {"b": 2}\r\n{"c": 3}') == ([(1, {"a": 1}), (3, {"b": 2}), (4, {"c": 3})], [])


def test_an_empty_file_has_no_lines():
    assert lines_of(b"") == ([], [])
    assert lines_of(b"\xef\xbb\xbf\n \n") == ([], [])


def test_a_line_that_is_no_object_is_a_problem_and_the_rest_goes_on():
    assert lines_of(b'5\n{"a": 1}\n"x\n{"b": 2') == (
        [(2, {"a": 1})],
        [
            "x.jsonl, line 1: not an object, but int.",
            "x.jsonl, line 3: not JSON from character 3 on.",
            "x.jsonl, line 4: not JSON from character 8 on.",
        ],
    )


# Documents.


def test_the_items_of_a_document_with_exact_numbers():
    text = b'{"spans": [{"id": 273475590164507581703505203264503192396}, {"t": 81995849580.628}, 3]}'
    assert items_of(text, "spans.item") == (
        [{"id": 273475590164507581703505203264503192396}, {"t": Decimal("81995849580.628")}, 3],
        [],
    )


def test_several_documents_one_after_another():
    assert items_of(b'\xef\xbb\xbf{"a": 1}\n{\n"b": 2}', "") == ([{"a": 1}, {"b": 2}], [])


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        (b'[1, 2, {"a": 3', [1, 2], "x.json: ends in the middle; what stands before that was read."),
        (b"[1,\n2, }, 3]", [1, 2], "x.json: not JSON from line 2, character 4 on; what stands before that was read."),
        (b"[1, NaN, 2]", [1, None, 2], "x.json: NaN is no number of JSON, and became null."),
        (b'["NaN", -Infinity, 2]', ["NaN", None, 2], "x.json: -Infinity is no number of JSON, and became null."),
        (b'["a\xff", 2]', ["a\ufffd", 2], "x.json: bytes that are no UTF-8 became U+FFFD."),
    ],
)
def test_a_damaged_document_gives_what_can_be_read(text, values, problem):
    assert items_of(text) == (values, [problem])


def test_a_number_that_is_cut_between_two_pieces_is_mended():
    class Pieces(io.BytesIO):
        def read(self, _=None):
            return super().read(7)

    stream = Bytes(source_of(written("x.json", "")), Pieces(b'["NaN", NaN, "\xc3\xa9\\"NaN", [Infinity]]'), mend=True)
    text = b"".join(iter(lambda: stream.read(1), b""))
    assert json.loads(text) == ["NaN", None, 'é"NaN', [None]]


# Tables.


def test_the_rows_of_every_kind_of_table():
    frame = pd.DataFrame({"who": ["ann", None], "n": [1, 2]})
    frame.to_parquet("x.parquet")
    frame.to_csv("x.csv", index=False)
    written("x.jsonl", {"who": "ann", "n": 1}, {"who": None, "n": 2})
    written("x.json", [{"who": "ann", "n": 1}, {"who": None, "n": 2}])
    expected = [{"who": "ann", "n": 1}, {"who": None, "n": 2}]
    for path in ("x.parquet", "x.jsonl", "x.json"):
        assert [row for _, row in rows(reading_of(path))] == expected
    assert [row for _, row in rows(reading_of("x.csv"))] == [{"who": "ann", "n": "1"}, {"who": None, "n": "2"}]
    source = Source(written("nothing", ""), "the DataFrame", "DataFrame", frame=frame)
    assert list(rows(Reading(source))) == list(enumerate(expected))


# Heads.


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1}\n{"b": 2}', "JSON lines with the keys 'a', 'b'"),
        (b'{"a": 1}', "JSON lines with the keys 'a'"),
        (b'{"a": "cut\n{"b": 2}', "JSON lines with the keys 'b'"),
        (b"x\n5\n" + b'{"b": 2}', "JSON lines with the keys 'b'"),
        (b'{\n"a": 1,\n"b": {"c": 5}\n}', "a JSON document with the keys 'a', 'b'"),
        (b'{\n"a": 1,\n"b": {"c"', "a JSON document with the keys 'a', 'b'"),
        (b'[\n{"a": 1},\n{"b": 2}\n', "a JSON document with the keys 'a', 'b'"),
        (b"[]", "a JSON document"),
        (b"hello", "text"),
        (b"hello,you\n1,2", "a table with the columns 'hello', 'you'"),
        (b"\0\1", "binary"),
        (b"\xff\xfe\xfd", "binary"),
        (gzip.compress(b"x", mtime=0), "binary"),
    ],
)
def test_what_a_file_looks_like(text, what):
    assert str(head_of(source_of(written("x", text)))) == what


def test_a_head_shows_what_is_read_of_a_long_document():
    text = b'{"trace": {"id": "t", "input": "' + b"x" * 2_000_000 + b'"}, "observations": []}'
    assert head_of(source_of(written("x", text))).values == [{"trace": {"id": "t"}}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["NaN", '"Infinity', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.laws
@given(st.lists(JSON, max_size=4), st.booleans())
def test_a_document_is_read_as_json_is(tmp_path_factory, values, indent):
    folder = tmp_path_factory.mktemp("documents")
    reading = reading_of(folder / "x.json", json.dumps(values, indent=2 if indent else None))
    assert [value for _, value in items(reading, "item")] == json.loads(json.dumps(values))
    assert problems(reading) == []


@pytest.mark.laws
@given(st.binary(max_size=60))
def test_any_bytes_have_a_head_and_are_read_to_their_end(tmp_path_factory, text):
    reading = reading_of(tmp_path_factory.mktemp("bytes") / "x", text)
    assert str(head_of(reading.source))
    for read in (json_lines(reading), items(reading, "item"), rows(reading)):
        assert list(read) is not None


# Files that grow.


def added(place, *pieces):
    """The lines, by number, that reading finds after each piece that a file grows by."""
    found, source = [], source_of(written("x.jsonl", b""))
    for piece in pieces:
        with Path("x.jsonl").open("ab") as file:
            file.write(piece)
        found.append(list(json_lines(Reading(source), place=place, growing=True)))
    return found


def test_a_file_that_grows_is_read_on_from_its_place():
    place = Place()
    found = added(place, b'{"a": 1}\n\n{"b"', b": 2", b'}\r\n{"c": 3}\n5', b"\n")
    assert found == [[(1, {"a": 1})], [], [(3, {"b": 2}), (4, {"c": 3})], []]
    assert (place.number, place.offset) == (5, 31)


def test_an_object_that_is_closed_needs_no_line_break_until_more_follows_it():
    place = Place()
    assert added(place, b'{"a": 1}', b" ", b"\n", b'{"b": NaN}') == [[(1, {"a": 1})], [], [], [(2, {"b": None})]]
    with Path("x.jsonl").open("ab") as file:
        file.write(b"}")
    with pytest.raises(Changed):
        list(json_lines(reading_of("x.jsonl"), place=place, growing=True))


@pytest.mark.parametrize("change", ["cut", "written over", "replaced"])
def test_a_file_that_is_another_one_is_noticed(change):
    place = Place()
    added(place, b'{"a": 1}\n{"b": 2}\n')
    if change == "replaced":
        written("y.jsonl", b'{"a": 1}\n{"b": 2}\n{"c": 3}\n').replace("x.jsonl")
    else:
        with Path("x.jsonl").open("r+b") as file:
            file.truncate(0)
            file.write(b'{"a": 1}\n' if change == "cut" else b'{"a": 1}\n{"b": 3}\n{"c": 3}\n')
    with pytest.raises(Replaced):
        list(json_lines(reading_of("x.jsonl"), place=place, growing=True))
