"""Folders of fleet files: what is found in them, and every way in which a folder may be wrong."""

import os
import pickle
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import spans_of
from exports import expected_rows, hostile_spans
from fleet_files import fleet_bytes
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import FleetError, Store, TraceNotFound, export, load_traces
from tokenvis.errors import SpanError, quoted
from tokenvis.fleet.frames import spans_in
from tokenvis.fleet.sources.folder import FolderSource
from tokenvis.formats.files.parquet import FLEET_KEY

SPANS = spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk", "eve 7 8 lab v")
CONTENT = fleet_bytes(SPANS)


def rows_of(table):
    return expected_rows(table.to_pandas().drop(columns="parent_id"))


@pytest.fixture
def spans_folder():
    export(SPANS, "spans", format="fleet")
    return Path("spans")


def refusal(path="spans", call=lambda source: source.traces(), error=FleetError):
    with pytest.raises(error) as caught:
        call(FolderSource(path))
    return str(caught.value)


def test_the_traces_are_those_of_a_store():
    with Store("a.db") as store:
        store.write_trace("t", spans_of("ann 0 10 desk", "bob 5 25 lab").drop(columns="trace_id"), name="A walk")
        store.write_trace("u", spans_of("eve 7 8 lab").assign(id="z").drop(columns="trace_id"))
        store.add_spans("empty", [])
        export(store, "spans", format="fleet")
        assert_frame_equal(FolderSource("spans").traces(), load_traces(details=True, store=store))


def test_a_folder_without_traces_has_an_empty_list():
    export(SPANS[:0], "spans", format="fleet")
    source = FolderSource("spans")
    assert_frame_equal(source.traces(), load_traces(details=True, store=Store("a.db")))
    assert (source.parts(), len(source.table_of([]))) == ([], 0)
    assert refusal(call=lambda source: source.table_of(["t"]), error=TraceNotFound) == (
        "No trace 't'. spans has, among others: none."
    )


@pytest.mark.parametrize("n_spans", [1, 2, 3, 100])
@pytest.mark.parametrize("group_spans", [1, 2, 100])
def test_parts_have_whole_traces_and_every_span_once(n_spans, group_spans, monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.writing.writer.GROUP_SPANS", group_spans)
    spans = hostile_spans()
    rest = spans.iloc[1::2]
    others = rest.assign(trace_id=rest["trace_id"].astype("str") + "#")
    export(spans.iloc[::2], "spans", format="fleet")
    export(others, "spans", format="fleet")
    source = FolderSource("spans")
    parts = source.parts(n_spans)
    tables = [pickle.loads(pickle.dumps(source)).read(part) for part in parts]
    assert [len(table) for table in tables] == [part.n_spans for part in parts]
    for part, table in zip(parts, tables, strict=True):
        assert part.trace_ids == sorted(set(table["trace_id"].to_pylist()))
        assert part.n_spans <= n_spans or len(part.trace_ids) == 1
    every = [trace_id for part in parts for trace_id in part.trace_ids]
    assert len(every) == len(set(every))
    assert rows_of(pa.concat_tables(tables)) == expected_rows(pd.concat([spans.iloc[::2], others]))


def test_some_traces_of_several_files(spans_folder):
    export(SPANS.assign(trace_id=SPANS["trace_id"].astype("str") + "2"), "spans", format="fleet")
    table = FolderSource("spans").table_of(["v2", "t", "u2", "t"])
    assert table["trace_id"].to_pylist() == ["t", "t", "u2", "v2"]
    assert table["id"].to_pylist() == ["a", "c", "b", "d"]


def test_a_trace_is_looked_for_in_few_files(spans_folder):
    for number in range(20):
        export(spans_of("ann 0 10 desk").assign(trace_id=f"t{number}"), "spans", format="fleet")
    source = FolderSource("spans")
    source.table_of(["t7"])
    assert len(source._indexes) <= 3


def test_an_id_that_is_no_unicode_is_in_no_folder_and_the_list_of_others_claims_no_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(spans_of(*(f"ann {number} 9 desk t{number}" for number in range(9))), "spans", format="fleet")
    assert refusal(call=lambda source: source.table_of(["\ud800"]), error=TraceNotFound) == (
        "No trace '\\ud800'. spans has, among others: 't0', 't1', 't2', 't3', 't4', 't5', 't6', 't7'."
    )


def test_a_trace_that_is_not_there(spans_folder):
    assert refusal(call=lambda source: source.table_of(["t", "tt"]), error=TraceNotFound) == (
        "No trace 'tt'. spans has, among others: 't', 'u', 'v'."
    )


def test_one_file_is_a_source(spans_folder):
    [file] = spans_folder.iterdir()
    assert FolderSource(file).traces()["id"].tolist() == ["v", "u", "t"]


def test_other_files_beside_do_not_count(spans_folder):
    Path("spans/_SUCCESS").touch()
    Path("spans/README.md").write_text("ours")
    Path("spans/_other.parquet").write_text("no Parquet")
    Path("spans/.hidden.parquet").write_text("no Parquet")
    os.mkfifo("spans/pipe.parquet")
    assert len(FolderSource("spans").traces()) == 3


def test_files_in_folders_below_are_told(spans_folder):
    Path("spans/more").mkdir()
    message = r"^spans has folders, whose files are not part of the fleet: 'more'\.$"
    with pytest.warns(UserWarning, match=message):
        assert len(FolderSource("spans").traces()) == 3


def test_no_folder():
    assert refusal() == "There is no folder spans. export(source, folder, format='fleet') writes one."


def test_an_empty_folder():
    Path("spans").mkdir()
    assert refusal() == "spans has no Parquet files. export(source, folder, format='fleet') writes them."
    Path("spans/README").touch()
    assert refusal() == ("spans has no Parquet files. It has: 'README'. export(source, folder, format='fleet') writes them.")


@pytest.mark.parametrize(("log", "kind"), [("_delta_log", "Delta"), (".hoodie", "Hudi")])
def test_a_table_with_a_log_is_refused(spans_folder, log, kind):
    Path("spans", log).mkdir()
    expected = (
        f"spans is a {kind} table: its log says which of its files count, and the others have deleted rows. "
        f"Read it with a reader of {kind} tables, and pass its batches to tokenvis.fleet.mapper."
    )
    assert refusal() == expected
    with pytest.raises(FleetError) as caught:
        export(SPANS, "spans", format="fleet")
    assert str(caught.value) == expected


def test_parquet_of_another_schema_is_refused(spans_folder):
    pd.DataFrame({"x": [1]}).to_parquet("spans/other.parquet")
    assert refusal() == (
        "'other.parquet' in spans is not a file of a fleet: it has the columns 'x'. ingest(...) reads tables of spans into a "
        "store, and export(store, folder, format='fleet') writes a fleet."
    )


def test_a_newer_version_is_refused(spans_folder):
    [file] = spans_folder.iterdir()
    table = pq.ParquetFile(file).read().replace_schema_metadata({FLEET_KEY: b'{"version":2}'})
    pq.write_table(table, file)
    assert refusal() == (
        f"{quoted(file.name)} in spans has version 2 of the fleet format; this tokenvis reads version 1. Update tokenvis."
    )


@pytest.mark.parametrize("length", [0, 3, 100, -8])
def test_a_damaged_file_is_refused(spans_folder, length):
    [file] = spans_folder.iterdir()
    file.write_bytes(file.read_bytes()[:length])
    text = refusal()
    assert text.startswith(f"{quoted(file.name)} in spans is damaged, or no Parquet file (")
    assert text.endswith("). Restore it, or remove it and export its traces again.")


def test_a_changed_byte_is_found(spans_folder):
    [file] = spans_folder.iterdir()
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    assert "is damaged" in refusal(call=lambda source: [source.read(part) for part in source.parts()])


def test_an_index_that_does_not_fit_is_found(spans_folder):
    [file] = spans_folder.iterdir()
    with pq.ParquetFile(file) as parquet:
        metadata, table = parquet.metadata.metadata, parquet.read()
    del metadata[b"ARROW:schema"]
    pq.write_table(table.slice(1).replace_schema_metadata(metadata), file)
    assert "is damaged, or no Parquet file (its index does not fit its rows)" in refusal()


def test_a_file_that_vanishes_is_named(spans_folder):
    source = FolderSource("spans")
    [file] = spans_folder.iterdir()
    parts = source.parts()
    file.unlink()
    with pytest.raises(FleetError) as caught:
        source.read(parts[0])
    expected = f"{quoted(file.name)} was in spans when the folder was listed, and is gone. Open the fleet again."
    assert str(caught.value) == expected


def test_a_file_that_is_replaced_is_found(spans_folder):
    source = FolderSource("spans")
    [file] = spans_folder.iterdir()
    parts = source.parts()
    file.write_bytes(fleet_bytes(SPANS.assign(trace_id="t")))
    with pytest.raises(FleetError) as caught:
        source.read(parts[0])
    expected = f"{quoted(file.name)} in spans was replaced since it was listed. Open the fleet again."
    assert str(caught.value) == expected


@pytest.mark.parametrize("spans", [SPANS.assign(trace_id="t"), SPANS[1:], pd.concat([SPANS, SPANS[:1].assign(id="z")])])
def test_a_file_that_is_replaced_gives_no_rows_of_another_place(spans_folder, spans):
    source = FolderSource("spans")
    [file] = spans_folder.iterdir()
    parts = source.parts()
    file.write_bytes(fleet_bytes(spans))
    for call in (lambda: source.table_of(["t"]), lambda: source.table_of([]), lambda: source.read(parts[0])):
        with pytest.raises(FleetError) as caught:
            call()
        assert str(caught.value) == f"{quoted(file.name)} in spans was replaced since it was listed. Open the fleet again."


@pytest.mark.parametrize("call", [FolderSource.traces, FolderSource.parts, lambda source: source.table_of(["v"])])
def test_a_name_that_hides_the_traces_is_found(spans_folder, call):
    [file] = spans_folder.iterdir()
    hidden = file.rename(f"spans/spans-{0:016x}-{1:016x}-00000000.parquet")
    assert refusal(call=call) == (
        f"{quoted(hidden.name)} in spans has the name of a file with other traces: its trace 't' would not be found. "
        "Give it its old name, or a free one, such as 'renamed.parquet'."
    )
    hidden.rename("spans/renamed.parquet")
    call(FolderSource("spans"))


@pytest.mark.parametrize("column", ["data", "parent_id", "trace_id"])
def test_a_file_without_a_column_is_damaged(spans_folder, column):
    [file] = spans_folder.iterdir()
    with pq.ParquetFile(file) as parquet:
        metadata, table = parquet.metadata.metadata, parquet.read()
    del metadata[b"ARROW:schema"]
    pq.write_table(table.drop_columns(column).replace_schema_metadata(metadata), file)
    expected = f"is damaged, or no Parquet file (it has no column '{column}')"
    assert expected in refusal(call=lambda source: source.table_of(["t"]))
    assert expected in refusal(call=lambda source: source.read(source.parts()[0]))


@pytest.mark.laws
@given(position=st.integers(0, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_a_changed_bit_changes_no_answer(position, bit):
    content = bytearray(CONTENT)
    content[position] ^= 1 << bit
    with TemporaryDirectory() as folder:
        Path(folder, "whole.parquet").write_bytes(CONTENT)
        whole = FolderSource(folder)
        expected = whole.traces(), spans_in(whole.table_of(["t", "u", "v"]))
        Path(folder, "whole.parquet").rename(f"{folder}/changed.parquet").write_bytes(content)
        with suppress(FleetError, SpanError):
            changed = FolderSource(folder)
            assert_frame_equal(changed.traces(), expected[0])
            assert_frame_equal(spans_in(changed.table_of(["t", "u", "v"])), expected[1])


def test_a_trace_in_two_files_is_named(spans_folder):
    [file] = spans_folder.iterdir()
    shutil.copy(file, "spans/copy.parquet")
    for call in (FolderSource.traces, FolderSource.parts, lambda source: source.table_of(["t"])):
        assert refusal(call=call) == (
            f"Trace 't' is in spans twice: in 'copy.parquet' and in {quoted(file.name)}. Remove the file that was written by "
            "mistake."
        )
