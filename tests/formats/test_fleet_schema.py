import base64
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import spans_of
from fleet_files import fleet_bytes
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.parquet import FLEET_KEY
from tokenvis.formats.fleet.schema import (
    INDEX_KEY,
    TRACES_SCHEMA,
    file_name_of,
    may_have,
    packed_index,
    trace_hash,
    unpacked_index,
    version_in,
)

INDEX = pa.table(
    [["t", "u"], ["A walk", ""], [2, 0], [0, None], [5, None], [1, 0], [2, 0], [0, -1]], schema=TRACES_SCHEMA
)  # fmt: skip


def test_an_index_is_unpacked_as_it_was():
    assert unpacked_index({INDEX_KEY: packed_index(INDEX)}) == INDEX


def packed_zeros(n_bytes):
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as output:
        output.write(bytes(n_bytes))
    return base64.b64encode(stream.getvalue().to_pybytes())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "it is missing"),
        ({INDEX_KEY: b"\xff"}, ""),
        ({INDEX_KEY: base64.b64encode(b"x")}, ""),
        ({INDEX_KEY: packed_index(INDEX)[:-40]}, ""),
        ({INDEX_KEY: packed_zeros(100)}, ""),
        ({INDEX_KEY: packed_zeros((256 << 20) + 1)}, "it unpacks to more than 268,435,456 bytes"),
    ],
)
def test_a_damaged_index_is_an_error(metadata, reason):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        unpacked_index(metadata)
    assert reason in str(caught.value)


def test_an_index_of_other_columns_is_an_error():
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as output, pa.ipc.new_stream(output, pa.schema([("id", pa.string())])):
        pass
    with pytest.raises(ValueError, match=r"^it has other columns$"):
        unpacked_index({INDEX_KEY: base64.b64encode(stream.getvalue().to_pybytes())})


@pytest.mark.parametrize(
    ("text", "version"), [(b'{"version":1}', 1), (b'{"version":7}', 7), (b"{", 0), (b"[]", 0), (b'{"version":"x"}', 0)]
)
def test_a_file_has_a_version(text, version):
    assert version_in({FLEET_KEY: text}) == version
    assert version_in({}) is None


@pytest.mark.laws
@given(ids=st.lists(st.text(), min_size=1), others=st.lists(st.text()))
def test_the_name_of_a_file_tells_that_it_may_have_its_traces(ids, others):
    name = file_name_of(ids)
    assert re.fullmatch(r"spans-[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{128}-[0-9a-f]{8}\.parquet", name)
    assert all(may_have(name, sorted(map(trace_hash, [each, *others]))) for each in ids)


def test_a_file_of_few_traces_may_have_hardly_any_other():
    few = [file_name_of(f"{file}/{number}" for number in range(10)) for file in range(1_000)]
    assert sum(may_have(name, [trace_hash("7/3")]) for name in few) <= 5
    many = file_name_of(map(str, range(129)))
    assert re.fullmatch(r"spans-[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{8}\.parquet", many)
    assert may_have(many, [trace_hash("other")])


def test_files_of_one_export_have_ranges_that_do_not_overlap():
    ids = sorted(map(str, range(1_000)), key=trace_hash)
    names = [file_name_of(ids[first : first + 200]) for first in range(0, 1_000, 200)]
    assert all([may_have(name, [trace_hash(each)]) for name in names].count(True) == 1 for each in ids)


def test_a_file_with_another_name_may_have_every_trace():
    assert may_have("part-0.parquet", [trace_hash("t")])
    assert may_have("spans-0-1-2.parquet", [trace_hash("t")])


def test_the_schema_is_in_the_file():
    with pq.ParquetFile(pa.BufferReader(fleet_bytes(spans_of("ann 0 10 desk")))) as file:
        assert file.schema_arrow.names == [
            *("id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data", "parent_id", "kind", "status"),
            *("model", "input_tokens", "cached_tokens", "output_tokens", "cost", "n_spans"),
        ]
        metadata = file.metadata.metadata
    assert metadata[FLEET_KEY] == b'{"version":1}'
    assert unpacked_index(metadata).to_pylist() == [
        {"id": "t", "name": "t", "n_spans": 1, "start_time": 0, "end_time": 10, "n_agents": 1, "n_locations": 1, "row_group": 0}
    ]
