"""Export of a fleet: from every source, all or nothing, and never a trace twice."""

import os
import stat
from pathlib import Path

import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from exports import expected_rows, hostile_spans
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyarrow import fs
from test_round_trips import frames

from tokenvis import (
    BadOption,
    BadSpan,
    Fleet,
    FleetError,
    MissingColumn,
    Store,
    StoreNotFound,
    TraceNotFound,
    export,
    ingest,
    load_spans,
    load_traces,
    seed_demo,
    summary,
)
from tokenvis.__main__ import main
from tokenvis.errors import quoted
from tokenvis.fleet.sources.folder import FolderSource
from tokenvis.fleet.sources.stored import StoreSource
from tokenvis.fleet.writing.export import export_fleet
from tokenvis.spans.columns import as_spans

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk"), a={"label": "plan"})


def names_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


def message(error, *arguments, **options):
    with pytest.raises(error) as caught:
        export(*arguments, **{"format": "fleet", **options})
    return str(caught.value)


def spans_in(folder):
    source = FolderSource(folder)
    return as_spans(source.table_of(source.traces()["id"]).to_pandas().drop(columns="parent_id"))


def test_a_frame_is_written_and_a_second_one_appended():
    assert export(SPANS, "spans", format="fleet") == Path("spans")
    before = {path: path.read_bytes() for path in Path("spans").iterdir()}
    more = hostile_spans()
    export(more, "spans", format="fleet")
    assert expected_rows(spans_in("spans")) == expected_rows(pd.concat([SPANS, more]))
    assert {path: path.read_bytes() for path in before} == before
    assert len(names_in("spans")) == 2


@pytest.mark.parametrize("source", ["store", "path", "url", "folder", "source", "fleet"])
def test_every_source_gives_the_same_traces(source):
    seed_demo(store="a.db")
    store = Store("a.db")
    export(store, "other", format="fleet")

    class HasSource:
        source = FolderSource("other")

    sources = {"store": store, "path": "a.db", "url": "sqlite:///a.db", "folder": Path("other"), "source": StoreSource(store)}
    export(sources.get(source, HasSource()), "spans", format="fleet")
    assert_frame_equal(FolderSource("spans").traces(), load_traces(details=True, store=store))
    assert_frame_equal(ingest("spans", store="b.db").spans(), load_spans(store=store))


def test_a_fleet_of_the_folder_answers_as_the_store():
    seed_demo(store="a.db")
    export("a.db", "spans", format="fleet")
    fleet = Fleet("spans")
    assert_frame_equal(fleet.load_spans("kitchen-sink"), load_spans("kitchen-sink", store="a.db"))
    assert_frame_equal(fleet.map(summary, workers=1), Fleet(Store("a.db")).map(summary, workers=1))
    export(fleet, "joined", format="fleet")
    assert_frame_equal(Fleet("joined").traces(), fleet.traces())


def test_many_traces_are_divided_by_their_hashes(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.writing.writer.FILE_TRACES", 10)
    spans = pd.concat([spans_of("ann 0 10 desk").assign(id=f"{n}", trace_id=f"t{n}") for n in range(95)])
    written = export_fleet(spans, "spans")
    assert (len(written.files), written.n_traces, written.n_spans) == (10, 95, 95)
    bounds = sorted(name.split("-")[1:3] for name in written.files)
    assert all(high < low for (_, high), (low, _) in zip(bounds, bounds[1:], strict=False))
    assert expected_rows(spans_in("spans")) == expected_rows(spans)


def test_files_and_folders_are_private():
    export(SPANS, "spans", format="fleet")
    assert stat.S_IMODE(Path("spans").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in Path("spans").iterdir()] == [0o600]
    Path("spans").chmod(0o755)
    export(SPANS.assign(trace_id="v"), "spans", format="fleet")
    assert stat.S_IMODE(Path("spans").stat().st_mode) == 0o755


def test_a_trace_that_is_there_is_refused():
    export(SPANS, "spans", format="fleet")
    before = names_in("spans")
    more = SPANS.assign(trace_id=["new", "t", "u"])
    assert message(FleetError, more, "spans") == (
        f"spans already has trace 't', in {quoted(before[0])}, and 1 more of the traces to write. Nothing was written. "
        "Leave these traces out, or export all of them to a new folder."
    )
    assert names_in("spans") == before


def test_a_trace_that_another_process_adds_meanwhile_is_refused(monkeypatch):
    export(SPANS[:0], "spans", format="fleet")
    from tokenvis.fleet.writing import export as module

    def write_late(*arguments):
        monkeypatch.setattr(module, "write_fleet_file", write)
        export(SPANS, "spans", format="fleet")
        return write(*arguments)

    write = module.write_fleet_file
    monkeypatch.setattr(module, "write_fleet_file", write_late)
    assert message(FleetError, SPANS, "spans").startswith("spans already has trace 't', in 'spans-")
    assert len(FolderSource("spans").traces()) == 2


def test_an_error_half_way_leaves_nothing():
    bad = SPANS.assign(data=pd.Series([None, None, "{"], index=SPANS.index, dtype="str"))
    assert message(BadSpan, bad, "spans").startswith("data of span 'c' of trace 't' is not a JSON object: '{' (")
    assert names_in(".") == []
    export(SPANS, "spans", format="fleet")
    before = names_in("spans")
    assert message(BadSpan, bad.assign(trace_id="v"), "spans").startswith(
        "data of span 'c' of trace 'v' is not a JSON object: '{' ("
    )
    assert names_in("spans") == before


def test_a_rename_that_fails_leaves_nothing(monkeypatch):
    export(SPANS, "spans", format="fleet")
    before = names_in("spans")
    monkeypatch.setattr("tokenvis.fleet.writing.writer.FILE_TRACES", 1)
    rename = Path.rename

    def rename_once(self, target):
        monkeypatch.setattr(Path, "rename", refuse)
        return rename(self, target)

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", rename_once)
    more = SPANS.assign(trace_id=["v", "w", "w"])
    assert message(FleetError, more, "spans") == "spans cannot be written: No space left on device. Nothing was added to it."
    assert names_in("spans") == before


def test_an_interruption_between_two_files_leaves_nothing(monkeypatch):
    export(SPANS, "spans", format="fleet")
    before = names_in("spans")
    monkeypatch.setattr("tokenvis.fleet.writing.writer.FILE_TRACES", 1)
    rename, calls = Path.rename, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(SPANS.assign(trace_id=["v", "w", "w"]), "spans", format="fleet")
    assert names_in("spans") == before


def test_one_file_of_a_fleet_is_a_source():
    export(SPANS, "spans", format="fleet")
    [file] = Path("spans").iterdir()
    export(file, "copy", format="fleet")
    assert load_spans_of("copy") == load_spans_of("spans")


def load_spans_of(folder):
    fleet = Fleet(folder)
    return fleet.load_spans(fleet.traces()["id"]).to_csv()


def test_what_a_killed_export_left_is_removed():
    export(SPANS, "spans", format="fleet")
    Path("spans/.tokenvis-killed/files").mkdir(parents=True)
    Path("spans/.tokenvis-killed/.tokenvis-lock").touch()
    Path("spans/.tokenvis-killed/files/spans-0.parquet").write_bytes(b"half")
    assert len(FolderSource("spans").traces()) == 2
    export(SPANS.assign(trace_id="v"), "spans", format="fleet")
    assert not Path("spans/.tokenvis-killed").exists()


def test_the_columns_of_a_frame_without_data():
    export(SPANS.drop(columns="data"), "spans", format="fleet")
    assert FolderSource("spans").table_of(["t"])["data"].to_pylist() == [None, None]


@pytest.mark.parametrize("content", ["short", "none"])
def test_texts_are_cut_also_in_names(content):
    with Store("a.db") as store:
        spans = with_data(spans_of("ann 0 10 desk"), a={"label": "x" * 300, "kind": "tool"})
        store.write_trace("t", spans.drop(columns="trace_id"), name="p" * 300)
        written = export_fleet(store, "spans", content=content)
    ingest("spans", store="b.db")
    [name], [data] = load_traces(store="b.db")["name"], load_spans(store="b.db")["data"]
    if content == "short":
        assert (name, len(data), written.n_cut) == ("p" * 200 + "…", len('{"label":"","kind":"tool"}') + 201, 2)
    else:
        assert (name, written.n_cut, '"x' in data) == ("t", 2, False)


def test_a_file_system_is_not_of_this_machine():
    Path("bucket").mkdir()
    remote = fs.SubTreeFileSystem(str(Path("bucket").absolute()), fs.LocalFileSystem())
    assert export(SPANS, "runs/spans", format="fleet", filesystem=remote) == "runs/spans"
    export(SPANS.assign(trace_id="v"), "runs/spans", format="fleet", filesystem=remote)
    assert message(FleetError, SPANS, "runs/spans", filesystem=remote).startswith("runs/spans already has trace 't', in ")
    source = FolderSource("runs/spans", remote)
    assert source.traces()["id"].tolist() == ["u", "t", "v"]
    assert sum(len(source.read(part)) for part in source.parts()) == 6
    bad = SPANS.assign(trace_id="w", data=pd.Series([None, None, "{"], index=SPANS.index, dtype="str"))
    before = names_in("bucket")
    assert message(BadSpan, bad, "runs/spans", filesystem=remote).startswith(
        "data of span 'c' of trace 'w' is not a JSON object"
    )
    assert names_in("bucket") == before


def test_a_path_that_is_no_folder_is_refused():
    Path("file").touch()
    assert message(BadOption, SPANS, "file") == "path='file' is not a folder, as a fleet needs one."
    assert message(BadOption, SPANS, "no/spans") == "path='no/spans': the folder 'no' does not exist. Create it first."
    assert message(BadOption, SPANS, "s\0") == "path='s\\x00' contains a null character, which is not allowed in a path."
    assert message(BadOption, SPANS, 5) == "path=5 is not a path."


def test_what_is_no_source_is_refused():
    assert message(StoreNotFound, "no.db", "spans").startswith("There is no database at ")
    assert message(BadOption, 5, "spans") == (
        "5 is no place of traces. Pass a folder of fleet files, the path or URL of a database, a Store, a frame of spans, "
        "or a Fleet."
    )
    assert message(MissingColumn, SPANS.drop(columns="id"), "spans").startswith("The spans have no column 'id'.")
    assert message(BadSpan, pd.concat([SPANS, SPANS]), "spans").startswith("Span 'a' is in several rows of trace 't'.")
    assert names_in(".") == []


def test_other_formats_take_a_frame_only():
    assert message(BadOption, "a.db", "a.csv", format=None) == (
        "source='a.db' is not a frame of spans. Pass load_spans(...), or format='fleet', which takes a store."
    )
    assert message(BadOption, SPANS, "a.csv", format="csv", filesystem=fs.LocalFileSystem()) == (
        "filesystem= is for format='fleet' only. Other formats are written to a path on this machine."
    )


def test_the_command_writes_a_fleet(capsys):
    seed_demo()
    assert main(["export", "spans", "kitchen-sink", "--format", "fleet"]) == 0
    assert capsys.readouterr().out == "spans: 7 spans, 1 trace\n"
    assert main(["export", "all", "--format", "fleet", "--content", "none"]) == 0
    assert capsys.readouterr().out.splitlines() == ["all: 47 spans, 2 traces", "Texts shortened or removed: 87"]
    assert main(["export", "more", "kitchen", "--format", "fleet"]) == 1
    assert capsys.readouterr().err.startswith("tokenvis: No trace 'kitchen'. ")


def test_traces_are_chosen_by_id_or_name():
    with Store("a.db") as store:
        for trace in "tuv":
            store.write_trace(trace, [], name="t" if trace == "v" else "both")
    assert FolderSource(export_fleet("a.db", "one", traces=["t"]).place.path).traces()["id"].tolist() == ["t"]
    assert FolderSource(export_fleet("a.db", "two", traces=["both"]).place.path).traces()["id"].tolist() == ["t", "u"]
    with pytest.raises(TraceNotFound) as caught:
        export_fleet("a.db", "three", traces=["x", "y"])
    assert str(caught.value) == f"No trace 'x'. {Path('a.db').absolute()} has: 't', 'u', 'v'."


@pytest.mark.laws
@given(data=st.data())
def test_any_frame_comes_back_from_a_fleet_in_several_appends(data, tmp_path_factory):
    spans = data.draw(frames())
    os.chdir(tmp_path_factory.mktemp("law"))
    try:
        export(spans, "any.parquet")
    except BadSpan:
        return
    traces = sorted(set(spans["trace_id"]))
    cut = data.draw(st.integers(0, len(traces)))
    for group in filter(None, (traces[:cut], traces[cut:])):
        export(spans[spans["trace_id"].isin(group)], "spans", format="fleet")
    with Store("before.db") as store:
        store.add_traces(spans, {})
    problems = ingest("spans", store="after.db").problems
    assert [problem for problem in problems if "is its own ancestor" not in problem.reason] == []
    if problems:  # its parent is dropped
        return
    assert_frame_equal(load_spans(store="after.db"), load_spans(store="before.db"))
    assert_frame_equal(FolderSource("spans").traces(), load_traces(details=True, store="before.db"))


@pytest.mark.full
@pytest.mark.laws
@given(spans=spans_frames(parents=True, data=True).filter(len), n_spans=st.integers(1, 9))
def test_the_parts_of_a_store_and_of_its_fleet_have_the_same_spans(spans, n_spans, tmp_path_factory):
    os.chdir(tmp_path_factory.mktemp("law"))
    with Store("a.db") as store:
        store.add_traces(spans, {})
        export(store, "spans", format="fleet")
        for source in (StoreSource(store), FolderSource("spans")):
            tables = [source.read(part) for part in source.parts(n_spans)]
            rows = pd.concat([table.to_pandas().drop(columns="parent_id", errors="ignore") for table in tables])
            assert expected_rows(as_spans(rows)) == expected_rows(load_spans(store=store))
