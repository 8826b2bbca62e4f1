import gzip
import os
import stat
import zipfile
import zlib
from collections import namedtuple
from pathlib import Path

import pytest
from archives import ZEROS_MIB, found, zipped, zipped_by_hand, zstd
from files import source_of, write_file

from tokenvis import IngestError
from tokenvis.formats.files import archives
from tokenvis.formats.files.archives import Unpacker, path_inside

MIB = 1 << 20
TOO_LARGE = (
    "{} unpacks to more than 200 times its size, and to more than the 100 MiB that an ingest has to spare. "
    "If you trust it, unpack it yourself."
)


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unpacked")


def refusal(path, folder, spare_bytes=100 * MIB):
    """The message with which an archive is refused, and the bytes that are left in the folder."""
    with pytest.raises(IngestError) as caught:
        list(Unpacker(folder, pytest.fail, spare_bytes=spare_bytes).sources(source_of(path)))
    return str(caught.value), sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


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


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "C:\\out", "..\\out", "a/" * 64 + "out"])
def test_a_path_that_leads_out_of_an_archive_is_skipped(folder, name):
    zipped("a.zip", **{name: "evil", "good.txt": "good"})
    made, complaints = found("a.zip", folder)
    assert made == [("a.zip/good.txt", b"good")]
    assert complaints == [f"a.zip/{name}: its path leads out of the archive; it was skipped"]
    assert not list(folder.parent.rglob("out"))


@pytest.mark.parametrize("name", ["CON", "a/nul.txt", "com1 .json", "a/b.jsonl:stream"])
def test_devices_of_windows_are_not_opened_there(folder, name, monkeypatch):
    assert path_inside(folder, name) == folder / name
    monkeypatch.setattr(archives.os, "name", "nt")
    assert path_inside(folder, name) is None
    assert path_inside(folder, "a/console.txt") is not None


def test_strange_members_are_told_and_the_others_are_read(folder):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [(link, "/etc/passwd"), *((name, "") for name in ("twice", "file", "file/inside", "n" * 300, "good", "Good"))]
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name, text in members:
            archive.writestr(name, text)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("twice", "last")
    made, complaints = found("a.zip", folder)
    assert made == [("a.zip/Good", b""), ("a.zip/file", b""), ("a.zip/good", b""), ("a.zip/twice", b"last")]
    assert complaints == [
        "a.zip/link: is a symbolic link; it was skipped",
        "a.zip/twice: occurs again in the archive; the last is read",
        "a.zip/file/inside: cannot be unpacked (File exists)",
        f"a.zip/{'n' * 300}: cannot be unpacked (File name too long)",
    ]


def test_a_zip_that_declares_too_much_is_refused_before_it_is_unpacked(folder):
    bomb = zipped_by_hand("bomb.zip", [(str(number), b"?" * 10_000, 1 << 28, 0) for number in range(16)])
    assert refusal(bomb, folder) == (TOO_LARGE.format("bomb.zip"), 0)


def test_a_zip_of_overlapping_members_is_refused(folder):
    kernel = zlib.compress(bytes(MIB), wbits=-15)
    bomb = zipped_by_hand("bomb.zip", [("a", kernel, MIB, 0)] * 40, method=8, offset=0)
    assert refusal(bomb, folder) == ("bomb.zip cannot be unpacked: its members overlap.", 0)


@pytest.mark.parametrize("packed", [ZEROS_MIB * 20, zstd(bytes(20 * MIB))], ids=["gzip", "zstd"])
def test_a_compressed_file_is_refused_while_it_is_unpacked(folder, packed):
    write_file("bomb", packed)
    assert refusal("bomb", folder, spare_bytes=MIB) == (TOO_LARGE.format("bomb"), 0)


def test_the_spare_bytes_are_those_of_the_ingest(folder):
    for number in range(4):
        write_file(f"in/{number}.gz", ZEROS_MIB * 3)
    unpacker = Unpacker(folder, pytest.fail, spare_bytes=8 * MIB)
    sizes, refused = [], []
    for path in sorted(Path("in").iterdir()):
        try:
            sizes += [source.size for source in unpacker.sources(source_of(path))]
        except IngestError as error:
            refused.append(str(error))
    assert sizes == [3 * MIB] * 3
    assert refused == [TOO_LARGE.format("3.gz")]


def test_all_layers_count(folder):
    layers = gzip.compress(zipped("inner.zip", a=bytes(8 * MIB)).read_bytes())  # each of them is within the ratio
    assert len(layers) * 200 < 8 * MIB
    zipped("outer.zip", **{"inner.zip.gz": layers, "good": "x"})
    complaints = []
    unpacker = Unpacker(folder, lambda name, reason: complaints.append(f"{name}: {reason}"), spare_bytes=MIB)
    assert [source.name for source in unpacker.sources(source_of("outer.zip"))] == ["outer.zip/good"]
    assert complaints == [f"outer.zip/inner.zip.gz: {TOO_LARGE.format('outer.zip/inner.zip').removesuffix('.')}"]


def test_one_refused_archive_does_not_end_the_others(folder):
    write_file("in/good.txt", "good")
    zipped_by_hand("in/bomb.zip", [("a", b"?", 1 << 30, 0)])
    assert found("in", folder) == ([("good.txt", b"good")], [TOO_LARGE.format("bomb.zip:").removesuffix(".")])


def test_traces_of_common_compression_are_unpacked(folder):
    text = b"".join(b'{"id": %d, "agent": "Ann", "text": "the same words as ever"}\n' % number for number in range(20_000))
    assert len(text) > 10 * len(gzip.compress(text))
    write_file("a.gz", gzip.compress(text))
    assert [source.size for source in Unpacker(folder, pytest.fail, spare_bytes=0).sources(source_of("a.gz"))] == [len(text)]


def test_a_full_disk_is_told_apart(folder, monkeypatch):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: Usage(5 * MIB))
    write_file("a.gz", gzip.compress(b"1"))
    zipped("a.zip", a=bytes(2 * MIB))
    assert found("a.gz", folder) == ([("a", b"1")], [])
    message = (
        "a.zip cannot be unpacked: it needs 2,097,152 bytes or more, and the disk of the temporary folder "
        f"{folder.parent} has 5,242,880 left. Free space, or set TMPDIR to another folder."
    )
    assert refusal("a.zip", folder) == (message, 1)


def test_many_files_are_refused(folder):
    zipped("a.zip", **dict.fromkeys("abc", ""))
    unpacker = Unpacker(folder, pytest.fail, n_files=2)
    with pytest.raises(IngestError) as caught:
        list(unpacker.sources(source_of("a.zip")))
    assert str(caught.value) == (
        "a.zip contains 3 files; at most 10,000 are unpacked in an ingest. If you trust it, unpack it yourself."
    )


def test_too_many_layers_of_compression_are_refused(folder):
    text = b"x"
    for _ in range(4):
        text = gzip.compress(text)
    write_file("x.gz", text)
    with pytest.raises(IngestError, match=r"^x is compressed in more than 3 layers\.$"):
        found("x.gz", folder)


def test_damaged_archives(folder):
    whole = zipped("a.zip", a="1" * 500, b="2").read_bytes()
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


def test_a_zstandard_file_that_needs_a_huge_window_is_refused(folder):
    write_file("a.zst", b"\x28\xb5\x2f\xfd\x00\xa8" + zstd(b"12345")[6:])  # a window of 2 GiB
    with pytest.raises(
        IngestError, match=r"^a\.zst cannot be unpacked completely \(ZSTD decompress failed: Frame requires too much memory"
    ):
        found("a.zst", folder)
