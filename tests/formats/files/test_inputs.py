import io
from pathlib import Path

import pandas as pd
import pytest
from archives import found
from files import write_file

from tokenvis import IngestError
from tokenvis.formats.files.inputs import sources_in
from tokenvis.formats.files.sources import origin_of


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unpacked")


def test_a_file_and_all_files_below_a_folder(folder):
    write_file("in/b.jsonl", "b")
    write_file("in/deep/a.json", "a")
    assert found("in/b.jsonl", folder) == ([("b.jsonl", b"b")], [])
    assert found(Path("in"), folder) == ([("b.jsonl", b"b"), ("a.json", b"a")], [])


def test_databases_are_not_opened(folder):
    for name in ("sqlite.db", "sqlite.db-wal", "x.SQLite3", "a.json"):
        (folder / name).write_bytes(b"a")
    assert found(folder, folder / "work") == ([("a.json", b"a")], [])
    with pytest.raises(
        IngestError,
        match=r"^sqlite\.db is a SQLite database\. If tokenvis wrote it, read it with load_spans\(store='.*sqlite\.db'\)",
    ):
        found(folder / "sqlite.db", folder / "work")


def test_an_open_file_and_a_frame(folder):
    assert found(io.BytesIO(b"x"), folder) == ([("stream", b"x")], [])
    assert found(io.StringIO("é"), folder) == ([("stream", "é".encode())], [])
    with write_file("in/a.jsonl", "line\nmore").open("rb") as file:
        file.readline()
        assert found(file, folder) == ([("a.jsonl", b"more")], [])
    frame = pd.DataFrame({"a": [1]})
    [source] = sources_in(frame, folder, print)
    assert source.frame is frame


@pytest.mark.parametrize("given", [None, 5, ["a"]])
def test_an_input_that_is_not_a_source(folder, given):
    with pytest.raises(IngestError, match=r" is not a path, an open file or a DataFrame\.$"):
        found(given, folder)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_text_in_utf_16_or_utf_32_is_converted(folder, encoding):
    text, problems = '{"a": "é🙂"}\r\n{"b": 2}\n', []
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    path = write_file("x.jsonl", (mark + text).encode(encoding))
    [source] = sources_in(path, folder, lambda *problem: problems.append(problem))
    assert (source.path.read_bytes(), source.name, source.origin) == (text.encode(), "x.jsonl", origin_of(path))
    assert problems == []
    path.write_bytes(path.read_bytes()[:-1])
    [source] = sources_in(path, folder, lambda *problem: problems.append(problem))
    assert source.path.read_bytes() == text[:-1].encode() + "\ufffd".encode()
    assert problems == [("x.jsonl", f"invalid {encoding[:6].upper()} was replaced by U+FFFD")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_text_in_utf_16_without_a_mark_is_converted(folder, encoding):
    for text in ('{"a": "é🙂"}\r\n{"b": 2}\n', "agent,start\nJosé,1\n", '\n\n{"a": "é"}'):
        [source] = sources_in(write_file("x", text.encode(encoding)), folder, print)
        assert source.path.read_bytes() == text.encode()


@pytest.mark.parametrize("start", [b"\0" * 8, b"a\0b\0", b"\x01\0\x02\0\x03\0\x04\0", b"a\0b\0c\0\xe9\0", b""])
def test_bytes_that_only_resemble_utf_16_are_unchanged(folder, start):
    [source] = sources_in(write_file("x", start), folder, print)
    assert source.path.read_bytes() == start
