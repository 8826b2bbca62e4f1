import io

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import spans_of, with_data
from fleet_files import fleet_bytes
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.fleet.sources.stored import FrameSource
from tokenvis.fleet.writing.writer import files_of_traces, groups_of_traces
from tokenvis.formats.export import checked_spans
from tokenvis.formats.fleet.schema import trace_hash

SPANS = spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk", "eve 7 8 lab v")


def rows_in(content):
    with pq.ParquetFile(io.BytesIO(content)) as file:
        return [file.read_row_group(number) for number in range(file.metadata.num_row_groups)]


def listed(**sizes):
    return pd.DataFrame({"id": list(sizes), "name": list(sizes), "n_spans": list(sizes.values())})


def test_rows_are_sorted_by_trace_then_as_in_a_frame():
    [rows] = rows_in(fleet_bytes(SPANS.iloc[::-1]))
    assert rows["id"].to_pylist() == ["a", "c", "b", "d"]
    assert rows["n_spans"].to_pylist() == [2, 2, 1, 1]


def test_a_row_group_has_whole_traces(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.writing.writer.GROUP_SPANS", 2)
    groups = rows_in(fleet_bytes(SPANS))
    assert [group["trace_id"].to_pylist() for group in groups] == [["t", "t"], ["u", "v"]]
    monkeypatch.setattr("tokenvis.fleet.writing.writer.GROUP_SPANS", 1)
    assert [len(group) for group in rows_in(fleet_bytes(SPANS))] == [2, 1, 1]


def test_groups_are_smaller_after_large_spans(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.writing.writer.GROUP_BYTES", 3_000)
    spans = pd.concat([spans_of("ann 0 10 desk").assign(id=f"{n}", trace_id=f"t{n}") for n in range(6)], ignore_index=True)
    large = with_data(spans, **{f"{n}": {"text": "x" * 1_400} for n in range(6)})
    traces = next(files_of_traces(FrameSource(checked_spans(large)).sizes()))
    assert [len(group) for group in groups_of_traces(FrameSource(checked_spans(large)), traces)] == [3, 2, 1]


@pytest.mark.laws
@given(sizes=st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=12))
def test_files_have_ranges_of_hashes_and_every_trace_once(sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokenvis.fleet.writing.writer.FILE_SPANS", 10)
        patch.setattr("tokenvis.fleet.writing.writer.FILE_TRACES", 4)
        files = [[trace.id for trace in file] for file in files_of_traces(listed(**sizes))]
    assert sorted(trace for file in files for trace in file) == sorted(sizes)
    for file in files:
        assert file == sorted(file)
        assert len(file) <= 4
        assert len(file) == 1 or sum(sizes[trace] for trace in file) <= 10
    for before, after in zip(files, files[1:], strict=False):
        assert max(map(trace_hash, before)) < min(map(trace_hash, after))


def test_a_file_has_few_characters_of_names(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.writing.writer.FILE_CHARACTERS", 30)
    files = list(files_of_traces(listed(**{"a" * 14: 1, "b" * 14: 1, "c": 1})))
    assert max(sum(len(trace.id + trace.name) for trace in file) for file in files) <= 30
