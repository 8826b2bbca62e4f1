import gzip
import io
import os
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from files import source_of, write_file

from tokenvis import IngestError
from tokenvis.formats.files import sources
from tokenvis.formats.files.sources import MAX_UNPACK_RATIO, Source, sources_in


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unpacked")


def found(given, folder):
    """Names and texts of the sources, and the reported problems."""
    complaints = []
    made = [
        (source.name, source.path.read_bytes())
        for source in sources_in(given, folder, lambda name, reason: complaints.append(f"{name}: {reason}"))
    ]
    return made, complaints


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def zstd(text):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


def test_a_file_and_all_files_below_a_folder(folder):
    write_file("in/b.jsonl", "b")
    write_file("in/deep/a.json", "a")
    assert found("in/b.jsonl", folder) == ([("b.jsonl", b"b")], [])
    assert found(Path("in"), folder) == ([("b.jsonl", b"b"), ("a.json", b"a")], [])


def test_databases_are_not_opened(folder, monkeypatch):
    for name in ("sqlite.db", "sqlite.db-wal", "x.SQLite3", "a.json"):
        (folder / name).write_bytes(b"a")
    assert found(folder, folder / "work") == ([("a.json", b"a")], [])
    with pytest.raises(
        IngestError,
        match=r"^sqlite\.db is a SQLite database\. If tokenvis wrote it, read it with load_spans\(store='.*sqlite\.db'\)",
    ):
        found(folder / "sqlite.db", folder / "work")


def test_compressed_files_are_recognised_by_their_first_bytes(folder):
    write_file("one", gzip.compress(b"1"))
    write_file("two.jsonl.zst", zstd(b"2"))
    zipped("three", **{"x/a.jsonl": "3", "b.gz": gzip.compress(b"4")})
    assert found("one", folder) == ([("one", b"1")], [])
    assert found("two.jsonl.zst", folder) == ([("two.jsonl", b"2")], [])
    assert found("three", folder) == ([("three/b", b"4"), ("three/x/a.jsonl", b"3")], [])


def test_an_evaluation_log_stays_compressed(folder):
    zipped("log.eval", **{"header.json": "{}", "samples/1.json": "{}"})
    [(name, text)], _ = found("log.eval", folder)
    assert (name, text[:2]) == ("log.eval", b"PK")


def test_an_open_file_and_a_frame(folder):
    assert found(io.BytesIO(b"x"), folder) == ([("stream", b"x")], [])
    assert found(io.StringIO("é"), folder) == ([("stream", "é".encode())], [])
    with write_file("in/a.jsonl", "line\nmore").open("rb") as file:
        file.readline()
        assert found(file, folder) == ([("a.jsonl", b"more")], [])
    frame = pd.DataFrame({"a": [1]})
    [source] = sources_in(frame, folder, print)
    assert source.frame is frame


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "C:\\out", "..\\out"])
def test_a_path_that_leads_out_of_an_archive_is_skipped(folder, name):
    zipped("a.zip", **{name: "evil", "good.txt": "good"})
    made, complaints = found("a.zip", folder)
    assert made == [("a.zip/good.txt", b"good")]
    assert complaints == [f"a.zip/{name}: its path leads out of the archive; it was skipped"]
    assert not list(folder.parent.rglob("out"))


def test_a_bomb_is_not_unpacked(folder, monkeypatch):
    monkeypatch.setattr(sources, "MIN_UNPACK_LIMIT_BYTES", 1_000)
    size = len(gzip.compress(b"0" * 1_000_000))
    write_file("bomb.gz", gzip.compress(b"0" * 1_000_000))
    with pytest.raises(IngestError) as caught:
        found("bomb.gz", folder)
    assert str(caught.value) == (
        f"bomb.gz unpacks to more than the limit of {size * MAX_UNPACK_RATIO:,} bytes, or the disk is full. "
        "If you trust it, unpack it yourself."
    )
    Path("in").mkdir()
    zipped("in/bomb.zip", **{f"{number}": "0" * 100_000 for number in range(9)})
    write_file("in/good.txt", "good")
    made, complaints = found("in", folder)
    assert made == [("good.txt", b"good")]
    assert complaints[0].startswith("bomb.zip: bomb.zip unpacks to more than ")


def test_too_many_layers_of_compression_are_refused(folder):
    text = b"x"
    for _ in range(4):
        text = gzip.compress(text)
    write_file("x.gz", text)
    with pytest.raises(IngestError, match=r"^x is compressed in more than 3 layers\.$"):
        found("x.gz", folder)


def test_damaged_archives(folder):
    whole = Path(zipped("a.zip", a="1" * 500, b="2")).read_bytes()
    write_file("cut.zip", whole[:40])
    with pytest.raises(IngestError, match=r"^cut\.zip cannot be unpacked: File is not a zip file\.$"):
        found("cut.zip", folder)
    write_file("bad.zip", whole[:35] + b"\xff\xff\xff" + whole[38:])
    made, complaints = found("bad.zip", folder)
    assert made == [("bad.zip/b", b"2")]
    assert complaints[0].startswith("bad.zip/a: cannot be unpacked (")
    write_file("cut.gz", gzip.compress(os.urandom(100_000))[:50_000])
    [(_, text)], complaints = found("cut.gz", folder)
    assert 30_000 < len(text) < 50_000
    assert complaints == ["cut.gz: cannot be unpacked completely (Truncated compressed stream)"]
    write_file("bad.gz", b"\x1f\x8bxxxx")
    with pytest.raises(IngestError, match=r"^bad\.gz cannot be unpacked completely \(zlib"):
        found("bad.gz", folder)


@pytest.mark.parametrize("given", [None, 5, ["a"]])
def test_an_input_that_is_not_a_source(folder, given):
    with pytest.raises(IngestError, match=r" is not a path, an open file or a DataFrame\.$"):
        found(given, folder)


def test_progress_counts_each_byte_once():
    source, seen = source_of(write_file("x", "12345")), []
    source.progress = seen.append
    for position in (2, 1, 5, 5, 3):
        source.report_position(position)
    assert seen == [2, 3]


def test_a_file_beside_another_in_an_archive_keeps_its_folder(folder):
    write_file("in/a.jsonl", "")
    beside = write_file("in/b.jsonl", "")
    assert Source(beside, "x.zip/in/a.jsonl", "o").sibling(beside).name == "x.zip/in/b.jsonl"
    assert source_of("in/a.jsonl").sibling(beside).name == "b.jsonl"
