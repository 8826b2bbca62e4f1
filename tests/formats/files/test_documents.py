import io
import json
from decimal import Decimal

import pytest
from files import problem_texts, reading_of, source_of, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.documents import DocumentStream, document_items


def items_of(text, prefix="item"):
    reading = reading_of("x.json", text)
    return [value for _, value in document_items(reading, prefix)], problem_texts(reading)


def test_the_items_of_a_document_with_exact_numbers():
    text = b'{"spans": [{"id": 273475590164507581703505203264503192396}, {"t": 81995849580.628}, 3]}'
    assert items_of(text, "spans.item") == (
        [{"id": 273475590164507581703505203264503192396}, {"t": Decimal("81995849580.628")}, 3],
        [],
    )


def test_several_documents_in_a_row():
    assert items_of(b'\xef\xbb\xbf{"a": 1}\n{\n"b": 2}', "") == ([{"a": 1}, {"b": 2}], [])


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        (b'[1, 2, {"a": 3', [1, 2], "x.json: is truncated; the complete part was read."),
        (b"[1,\n2, }, 3]", [1, 2], "x.json: not JSON from line 2, character 4 on; the part before was read."),
        (b"[1, NaN, 2]", [1, None, 2], "x.json: NaN is not valid JSON, replaced by null."),
        (b'["NaN", -Infinity, 2]', ["NaN", None, 2], "x.json: -Infinity is not valid JSON, replaced by null."),
        (b'["a\xff", 2]', ["a\ufffd", 2], "x.json: invalid UTF-8 was replaced by U+FFFD."),
    ],
)
def test_a_damaged_document_is_read_up_to_the_damage(text, values, problem):
    assert items_of(text) == (values, [problem])


def test_a_constant_split_between_two_reads_is_repaired():
    class Pieces(io.BytesIO):
        def read(self, _=None):
            return super().read(7)

    stream = DocumentStream(
        source_of(write_file("x.json", "")), Pieces(b'["NaN", NaN, "\xc3\xa9\\"NaN", [Infinity]]'), repair=True
    )
    text = b"".join(iter(lambda: stream.read(1), b""))
    assert json.loads(text) == ["NaN", None, 'é"NaN', [None]]


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
    assert [value for _, value in document_items(reading, "item")] == json.loads(json.dumps(values))
    assert problem_texts(reading) == []
