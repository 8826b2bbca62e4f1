import zipfile
import zlib

import pytest
from archives import found, zipped, zipped_by_hand, zstd, zstd_zipped


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unpacked")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip_is_read(folder, method):
    assert found(zipped("a.zip", method, a="1" * 1_000), folder) == ([("a.zip/a", b"1" * 1_000)], [])


def test_zstandard_in_a_zip_is_read_on_every_version_of_python(folder):
    assert found(zstd_zipped("a.zip", a=b"1" * 1_000, b=b""), folder) == ([("a.zip/a", b"1" * 1_000), ("a.zip/b", b"")], [])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"flags": 1}, "it is encrypted"),
        ({"flags": 1 << 6}, "strong encryption (flag bit 6)"),
        ({"method": 9}, "That compression method is not supported"),
        ({"method": 93}, "ZSTD decompress failed"),
        ({"method": 14}, "its size or checksum is not the one that the archive declares"),
        ({"method": 12}, "Invalid data stream"),
        ({"method": 8}, "Error -3 while decompressing data"),
    ],
)
def test_a_member_that_cannot_be_unpacked_is_told(folder, options, reason):
    zipped_by_hand("a.zip", [("a", b"?", 1, 0)], **{"method": 8, **options})
    made, [complaint] = found("a.zip", folder)
    assert made == []
    assert complaint.startswith(f"a.zip/a: cannot be unpacked ({reason}")


@pytest.mark.parametrize(("size", "checksum"), [(5, 0), (4, None), (6, None)])
def test_a_zstandard_member_that_lies_about_its_content_is_told(folder, size, checksum):
    text = b"12345"
    zipped_by_hand("a.zip", [("a", zstd(text), size, zlib.crc32(text) if checksum is None else checksum)])
    reason = "its size or checksum is not the one that the archive declares"
    assert found("a.zip", folder) == ([], [f"a.zip/a: cannot be unpacked ({reason})"])
