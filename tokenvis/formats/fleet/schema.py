"""The schema of a fleet file: its columns, its version, and the index of its traces.

A row is a span. The columns of a frame come first. Then come values that are in ``data`` too, as columns for engines that read
no JSON: ``parent_id``, ``kind``, ``status``, ``model``, and the tokens and cost that count for the span itself, so that a sum
over any rows is right although parents repeat them; and ``n_spans``, the number of spans of the row's trace.

Rows are sorted by trace, and a row group has whole traces. The file's metadata has the version (`FLEET_KEY`) and the index,
with a row for each trace in the order of the rows: an Arrow stream, compressed by zstd, in base 64. So a file tells its traces
without a look at its rows, also traces without spans. The name of a file has the range of the hashes of its trace ids, and
for up to `MAX_FILTERED` of them a Bloom filter, so that a reader opens only the files that may have a trace: large exports are
divided into ranges, and the ranges of small ones overlap.
"""

import base64
import binascii
import re
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import orjson
import pyarrow as pa

from tokenvis.formats.files.parquet import FLEET_KEY

FLEET_VERSION = 1
INDEX_KEY = b"tokenvis.fleet.traces"
MAX_INDEX_BYTES = 256 << 20  # unpacked
FILE_NAME = re.compile(r"spans-([0-9a-f]{16})-([0-9a-f]{16})(?:-([0-9a-f]{128}))?-[0-9a-f]{8}\.parquet")
FILTER_BITS, BITS_OF_TRACE = 512, 4  # of the Bloom filter: four parts of the hash are numbers of bits
MAX_FILTERED = 128  # traces of a file with a filter: one of six others passes it by chance, one of a thousand for ten traces
LABEL_TYPE = pa.dictionary(pa.int32(), pa.string())
FLEET_SCHEMA = pa.schema(
    [
        pa.field("id", pa.large_string(), nullable=False),
        pa.field("trace_id", LABEL_TYPE, nullable=False),
        pa.field("agent_id", LABEL_TYPE, nullable=False),
        pa.field("location_id", LABEL_TYPE, nullable=False),
        pa.field("start_time", pa.int64(), nullable=False),
        pa.field("end_time", pa.int64(), nullable=False),
        pa.field("data", pa.large_string()),
        pa.field("parent_id", pa.large_string()),
        pa.field("kind", LABEL_TYPE),
        pa.field("status", LABEL_TYPE),
        pa.field("model", LABEL_TYPE),
        pa.field("input_tokens", pa.int64()),
        pa.field("cached_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("cost", pa.float64()),
        pa.field("n_spans", pa.int64(), nullable=False),
    ],
    metadata={FLEET_KEY: orjson.dumps({"version": FLEET_VERSION})},
)
TRACES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("n_spans", pa.int64()),
        pa.field("start_time", pa.int64()),
        pa.field("end_time", pa.int64()),
        pa.field("n_agents", pa.int64()),
        pa.field("n_locations", pa.int64()),
        pa.field("row_group", pa.int32()),
    ]
)


def version_in(metadata: Mapping[bytes, bytes]) -> int | None:
    """The version of a fleet file, None if the metadata is not of a fleet file; 0 if the version cannot be read."""
    text = metadata.get(FLEET_KEY)
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return 0
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, int) and version > 0 else 0


def packed_index(index: pa.Table) -> bytes:
    """The index of the traces of a file, as its metadata has it."""
    stream, packed = pa.BufferOutputStream(), pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, TRACES_SCHEMA) as writer:
        writer.write_table(index)
    with pa.CompressedOutputStream(packed, "zstd") as output:
        output.write(stream.getvalue())
    return base64.b64encode(packed.getvalue())


def unpacked_index(metadata: Mapping[bytes, bytes]) -> pa.Table:
    """The index in the metadata of a file; `ValueError` if it is missing or damaged."""
    try:
        packed = base64.b64decode(metadata[INDEX_KEY], validate=True)
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            unpacked = stream.read(MAX_INDEX_BYTES + 1)
        if len(unpacked) > MAX_INDEX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_INDEX_BYTES:,} bytes")
        with pa.ipc.open_stream(unpacked) as reader:
            index = reader.read_all()
        index.validate(full=True)
    except KeyError:
        raise ValueError("it is missing") from None
    except (pa.ArrowException, OSError, MemoryError, binascii.Error) as error:
        raise ValueError(" ".join(str(error).split())) from None
    numbers_missing = any(
        index[name].null_count for name in ("id", "name", "n_spans", "row_group") if name in index.schema.names
    )
    if index.schema != TRACES_SCHEMA or numbers_missing:
        raise ValueError("it has other columns")
    return index.combine_chunks()


def trace_hash(trace_id: str) -> int:
    """The hash of a trace's id by which files are named: 64 bits of BLAKE2b of its UTF-8 bytes.

    Examples
    --------
    >>> f"{trace_hash('t'):016x}"
    'ca73dcf5e072d4d6'
    """
    return int.from_bytes(blake2b(trace_id.encode(), digest_size=8).digest(), "big")


def filter_of(hashes: Iterable[int]) -> int:
    """The bits of traces in a Bloom filter (Bloom, 1970), given by their hashes."""
    bits = 0
    for each in hashes:
        for part in range(BITS_OF_TRACE):
            bits |= 1 << (each >> 16 * part) % FILTER_BITS
    return bits


def file_name_of(trace_ids: Iterable[str]) -> str:
    """A new name for a file of these traces."""
    hashes = [trace_hash(trace_id) for trace_id in trace_ids] or [0]
    bits = f"{filter_of(hashes):0{FILTER_BITS // 4}x}-" if len(hashes) <= MAX_FILTERED else ""
    return f"spans-{min(hashes):016x}-{max(hashes):016x}-{bits}{secrets.token_hex(4)}.parquet"


def may_have(file_name: str, hashes: Sequence[int]) -> bool:
    """Whether a file of this name may have a trace of one of these sorted hashes; any file with another name may."""
    found = FILE_NAME.fullmatch(file_name)
    if found is None:
        return True
    first = bisect_left(hashes, int(found[1], 16))
    after = bisect_right(hashes, int(found[2], 16))
    if first == after or found[3] is None:
        return first < after
    bits = int(found[3], 16)
    return any(filter_of([each]) & ~bits == 0 for each in hashes[first:after])
