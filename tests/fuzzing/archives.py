"""Archives: compressed and packed files, nested, damaged, with hostile names and sizes."""

import gzip
import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.mutations import flipped_bits, mutated

GIGABYTE = 1 << 30
NAMES = [
    "a.jsonl", "deep/er/a.jsonl", "../a", "/etc/a", "C:\\a", "a\\b", "..\\a", "con", "a:b", ".", "..", "./a", "a/../b",
    "a//b", "a/", "", " ", "-rf", "~/a", "x" * 250, "x" * 300, "x" * 10_000, "/".join(["d"] * 2_000), "\N{SNOWMAN}", "a\nb",
    "\x1b[2J", "<script>", "a\0b", "sqlite.db", "header.json", "a.gz", "a.zip", "samples/1.json", "\u202e", "a.jsonl/b.jsonl",
    "A.JSONL",
]  # fmt: skip


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    """A .zip of names and bytes."""
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", compression) as archive:
        warnings.simplefilter("ignore")  # names may occur twice
        for name, text in members:
            archive.writestr(zipfile.ZipInfo(name), text, compression)
    return packed.getvalue()


def zstd(text):
    """A .zst of bytes."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


def packed(text: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Bytes compressed or packed, in one of the ways in use."""
    kind = chance.randrange(6)
    if kind == 0:
        return gzip.compress(text, mtime=0)
    if kind == 1:
        return zstd(text)
    if kind == 2:
        half = len(text) // 2
        pack = chance.choice([lambda part: gzip.compress(part, mtime=0), zstd])
        return pack(text[:half]) + pack(text[half:])
    names = chance.sample(NAMES, chance.randint(1, 6))
    compression = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    return zipped([(name, chance.choice([text, text, *others])) for name in names], compression)


def with_lies(archive: bytes, chance: random.Random) -> bytes:
    """An archive in whose headers a field of four or two bytes has another value."""
    signature = chance.choice([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"])
    start = archive.find(signature)
    if start < 0:
        return archive
    place, size = start + 4 + chance.randrange(38), chance.choice([2, 4])
    value = chance.choice([0, 1, 5, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]) & (256**size - 1)
    return archive[:place] + value.to_bytes(size, "little") + archive[place + size :]


def archived(text: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """A valid or mutated file, compressed one to four times, and perhaps damaged."""
    if chance.random() < 0.5:
        text = mutated(text, chance, others)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 4])):
        text = packed(text, chance, others)
        damage = chance.random()
        if damage < 0.15:
            text = with_lies(text, chance)
        elif damage < 0.25:
            text = flipped_bits(text, chance, others)
        elif damage < 0.35:
            text = text[: chance.randrange(len(text) + 1)]
        elif damage < 0.4:
            text += chance.choice([b"\0" * 100, b"x", text[:50], b"PK\x05\x06" + bytes(18)])
    return text


def deflated_zeros(size, piece=b"\0"):
    """Many bytes, all alike, deflated; a megabyte is repeated, so that it takes no time."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = engine.compress(piece * (1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    return block * (size >> 20) + b"\x03\x00"


def zip_entry(name, stream, crc, size, offset):
    """The header of a deflated member, its bytes, and its entry in the directory."""
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(stream), min(size, 0xFFFFFFFF), len(name), 0)
    local = b"PK\x03\x04" + fields + name + stream
    return local, b"PK\x01\x02\x14\x00" + fields + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name


def zip_of(stream, size, names=(b"a.jsonl",), *, overlap=False):
    """A .zip of members with one deflated stream; they may share its bytes, which is the trick of a small bomb."""
    body, directory = b"", b""
    for name in names:
        offset = 0 if overlap else len(body)
        local, entry = zip_entry(name, stream, 0, size, offset)
        body += b"" if overlap and body else local
        directory += entry
    return (
        body + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    )


def gzip_zeros(size):
    """A .gz that unpacks to many bytes."""
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + deflated_zeros(size) + struct.pack("<II", 0, size & 0xFFFFFFFF)


def layers(size, count):
    """Bytes packed in one .gz in another."""
    text = b"{}\n" * size
    for _ in range(count):
        text = gzip.compress(text, mtime=0)
    return text


def members(count, text=b"", names="%d.jsonl"):
    """A .zip of many members."""
    return zipped([(names % number, text) for number in range(count)])


def parquet(**columns):
    """A Parquet file of a table of spans with these columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def parquet_rows(count, text="x"):
    """A Parquet file of rows that are alike, each with a text."""
    sink, at_once = pa.BufferOutputStream(), min(count, 1_000_000)
    texts = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), at_once), pa.array([text]))
    rows = pa.table({"start_time": pa.repeat(pa.scalar(0), at_once), "agent_id": texts})
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        for _ in range(count // at_once):
            writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def parquet_lists(rows, items, text):
    """A Parquet file with a list in each row that has a text many times."""
    texts = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows * items), pa.array([text]))
    lists = pa.ListArray.from_arrays(pa.array(range(0, rows * items + 1, items), pa.int32()), texts)
    return parquet(start_time=pa.array([0] * rows), agent_id=pa.array(["ann"] * rows), note=lists)


def parquet_nested(depth):
    """A Parquet file with a column of lists in lists."""
    column = pa.array([1])
    for _ in range(depth):
        column = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), column)
    return parquet(start_time=pa.array([0]), agent_id=pa.array(["ann"]), note=column)


def inspect_log(sample: bytes) -> bytes:
    """A log of Inspect with one sample."""
    header = b'{"eval": {"task": "t", "task_id": "t", "run_id": "r"}}'
    return zipped([("header.json", header), ("samples/1_epoch_1.json", sample)])


ARCHIVE_BOMBS: dict[str, Callable[[], bytes]] = {
    "zip-of-4GB": lambda: zip_of(deflated_zeros(4 * GIGABYTE), 4 * GIGABYTE),
    "zip-of-4GB-that-tells-5-bytes": lambda: zip_of(deflated_zeros(4 * GIGABYTE), 5),
    "zip-of-1GB-in-a-zip": lambda: zipped([("a.zip", zip_of(deflated_zeros(GIGABYTE), GIGABYTE))]),
    "zip-of-zips-of-1GB": lambda: members(50, zip_of(deflated_zeros(GIGABYTE), GIGABYTE), "%d.zip"),
    "zip-that-overlaps": lambda: zip_of(deflated_zeros(64 << 20), 64 << 20, [b"%d" % n for n in range(10_000)], overlap=True),
    "gz-of-4GB": lambda: gzip_zeros(4 * GIGABYTE),
    "gz-of-a-gz-of-4GB": lambda: gzip.compress(gzip_zeros(4 * GIGABYTE), mtime=0),
    "gz-of-90MB": lambda: gzip_zeros(90 << 20),
    "gz-members": lambda: gzip.compress(b"{}\n", mtime=0) * 100_000,
    "zst-of-1GB": lambda: zstd(bytes(64 << 20)) * 16,
    "zst-frames": lambda: zstd(b"{}\n") * 100_000,
    "layers-4": lambda: layers(10, 4),
    "layers-100": lambda: layers(10, 100),
    "members-10000": lambda: members(10_000),
    "members-100001": lambda: members(100_001),
    "members-alike": lambda: members(10_000, b"{}", "a%.0s"),
    "members-in-folders": lambda: members(2_000, b"{}", "d/" * 1_000 + "%d"),
    "parquet-of-a-long-text": lambda: parquet_rows(100_000, "x" * (1 << 20)),
    "parquet-of-a-long-text-in-lists": lambda: parquet_lists(100, 10_000, "x" * (1 << 20)),
    "parquet-of-rows": lambda: parquet_rows(200_000),
    "parquet-of-depth-150": lambda: parquet_nested(150),
    "parquet-of-depth-2000": lambda: parquet_nested(2_000),
    "parquet-of-columns": lambda: parquet(start_time=[0], agent_id=["ann"], **{f"c{number}": [1] for number in range(20_000)}),
    "log-of-4GB": lambda: zip_of(deflated_zeros(4 * GIGABYTE), 4 * GIGABYTE, [b"header.json", b"samples/1.json"]),
    "log-of-90MB": lambda: zip_of(deflated_zeros(90 << 20, b" "), 90 << 20, [b"header.json", b"samples/1.json"]),
    "log-that-overlaps": lambda: zip_of(
        deflated_zeros(64 << 20), 64 << 20, [b"header.json", *(b"samples/%d.json" % n for n in range(10_000))], overlap=True
    ),
    "log-of-samples": lambda: zipped(
        [("header.json", b"{}"), *((f"samples/{n}.json", b'{"events": []}') for n in range(10_000))]
    ),
    "log-of-digits": lambda: inspect_log(b'{"events": [{"event": "x", "timestamp": ' + b"9" * 100_000 + b"}]}"),
    "log-of-depth": lambda: inspect_log(b'{"events": [{"event": "x", "timestamp": ' + b"[" * 500_000 + b"]" * 500_000 + b"}]}"),
    "log-of-text": lambda: inspect_log(b'{"events": [{"event": "x", "timestamp": "' + b"x" * (64 << 20) + b'"}]}'),
}
