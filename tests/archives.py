"""Archives made by tests, and the sources in them."""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa

from tokenvis.formats.files.inputs import sources_in

ZEROS_MIB = gzip.compress(bytes(1 << 20), 9)


def found(given, folder):
    """Names and texts of the sources in an input, and the reported problems."""
    complaints = []
    sources = sources_in(given, folder, lambda name, reason: complaints.append(f"{name}: {reason}"))
    return [(source.name, source.path.read_bytes()) for source in sources], complaints


def zipped(path, method=zipfile.ZIP_DEFLATED, /, **members):
    """A .zip of members: names and texts."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return Path(path)


def zstd(text):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


def zipped_by_hand(path, members, *, method=93, flags=0, offset=None):
    """A .zip written byte by byte: for each member its name, its packed bytes, its unpacked size and its checksum.

    With an ``offset``, every member is the one at this place of the file.
    """
    body, directory = io.BytesIO(), io.BytesIO()
    for name, packed, size, checksum in members:
        place = body.tell() if offset is None else offset
        common = struct.pack("<HHHHHLLLHH", 63, flags, method, 0, 33, checksum, len(packed), size, len(name), 0)
        if offset is None or not body.tell():
            body.write(b"PK\x03\x04" + common + name.encode() + packed)
        directory.write(
            b"PK\x01\x02" + struct.pack("<H", 63) + common + struct.pack("<HHHLL", 0, 0, 0, 0, place) + name.encode()
        )
    start, index = body.tell(), directory.getvalue()
    end = struct.pack("<HHHHLLH", 0, 0, len(members), len(members), len(index), start, 0)
    Path(path).write_bytes(body.getvalue() + index + b"PK\x05\x06" + end)
    return Path(path)


def zstd_zipped(path, **members):
    """A .zip whose members are compressed with Zstandard, which zipfile writes only from Python 3.14 on."""
    return zipped_by_hand(path, [(name, zstd(text), len(text), zlib.crc32(text)) for name, text in members.items()])
