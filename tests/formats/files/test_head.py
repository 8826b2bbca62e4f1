import bz2
import gzip

import pytest
from files import reading_of, source_of, write_file
from hypothesis import example, given
from hypothesis import strategies as st

from tokenvis.errors import IngestError
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import head_of
from tokenvis.formats.files.lines import json_lines
from tokenvis.formats.files.rows import table_rows


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1}\n{"b": 2}', "JSON lines with the keys 'a', 'b'"),
        (b'{"a": 1}\n', "a JSON document with the keys 'a'"),
        (b'{"a": "cut\n{"b": 2}', "JSON lines with the keys 'b'"),
        (b"x\n5\n" + b'{"b": 2}', "JSON lines with the keys 'b'"),
        (b'{\n"a": 1,\n"b": {"c": 5}\n}', "a JSON document with the keys 'a', 'b'"),
        (b'{\n"a": 1,\n"b": {"c"', "a JSON document with the keys 'a', 'b'"),
        (b'[\n{"a": 1},\n{"b": 2}\n', "a JSON document with the keys 'a', 'b'"),
        (b"[]", "a JSON document"),
        (b'id,data\na,"x\n{}\ny"\n', "a table with the columns 'id', 'data'"),
        (b'cut, ...\n{"b": 2}\n{"b": 3}', "JSON lines with the keys 'b'"),
        (b"hello", "text"),
        (b"hello,you\n1,2", "a table with the columns 'hello', 'you'"),
        (b"\0\1", "binary"),
        (b"ARROW1\0\0\xff", "an Arrow (Feather) file. Write it as Parquet"),
        (bz2.compress(b"x"), "a bzip2 file. Unpack it"),
        (b"\xff\xfe\xfd", "binary"),
        (gzip.compress(b"x", mtime=0), "binary"),
    ],
)
def test_the_description_of_a_head(text, what):
    assert str(head_of(source_of(write_file("x", text)))) == what


def test_a_head_shows_the_beginning_of_a_long_document():
    text = b'{"trace": {"id": "t", "input": "' + b"x" * 2_000_000 + b'"}, "observations": []}'
    assert head_of(source_of(write_file("x", text))).values == [{"trace": {"id": "t"}}]


@pytest.mark.laws
@given(st.binary(max_size=60))
@example(b"PAR1")
@example(b"PK\x03\x04")
def test_any_bytes_have_a_head_and_are_read_to_their_end(tmp_path_factory, text):
    reading = reading_of(tmp_path_factory.mktemp("bytes") / "x", text)
    for read in (
        json_lines(reading),
        document_items(reading, "[*]"),
        document_items(reading, ""),
        document_items(reading, "a.b"),
    ):
        assert list(read) is not None
    try:
        assert str(head_of(reading.source))
        assert list(table_rows(reading)) is not None
    except IngestError:
        assert text.startswith(b"PAR1")


def test_a_head_of_a_long_text_does_not_read_all_of_it(monkeypatch):
    source = source_of(write_file("x", b"a,b\n" + "é,1\n".encode("cp1252") * 400_000))
    monkeypatch.setattr(type(source), "encoding", property(lambda _: pytest.fail("the whole file was read")))
    assert str(head_of(source)) == "a table with the columns 'a', 'b'"


def test_a_table_whose_only_row_is_cut_is_a_table():
    source = source_of(write_file("x", b"agent_id,start_time,end_time\nann,0"))
    assert str(head_of(source)) == "a table with the columns 'agent_id', 'start_time', 'end_time'"
