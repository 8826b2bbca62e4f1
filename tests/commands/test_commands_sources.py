import shutil
from pathlib import Path

import pytest
from command_line import session
from conftest import spans_of

import tokenvis as tv
from tokenvis.commands.sources import read_runs
from tokenvis.errors import IngestError


def test_runs_are_in_the_order_of_sources_and_starts():
    tv.export(spans_of("ann 5 9 desk u", "ann 0 4 desk t"), "b.jsonl")
    tv.export(spans_of("ann 0 9 desk s"), "a.jsonl")
    runs = read_runs(["b.jsonl", "a.jsonl"], None)
    assert runs.table[["trace_id", "source"]].to_numpy().tolist() == [["t", 0], ["u", 0], ["s", 1]]
    assert (len(runs.spans), runs.problems, runs.notes) == (3, [], [])
    assert not Path("sqlite.db").exists()


def test_runs_of_different_sources_with_one_id_stay_apart():
    tv.export(spans_of("ann 0 9 desk"), "a.jsonl")
    tv.export(spans_of("ann 0 5 desk"), "b.jsonl")
    runs = read_runs(["a.jsonl", "b.jsonl", "b.jsonl"], None)
    assert runs.table["trace_id"].tolist() == ["t", "t (2)", "t (3)"]
    assert runs.table["id_in_source"].tolist() == ["t", "t", "t"]
    assert tv.summary(runs.spans)["wall_us"].tolist() == [9, 5, 5]


def test_a_database_is_a_source_of_all_its_traces():
    tv.seed_demo(store="runs.db")
    assert read_runs(["runs.db"], None).table["name"].tolist() == ["kitchen-sink", "multi-agent-workflow"]
    shutil.copy("runs.db", "other.db")
    runs = read_runs(["runs.db", "other.db"], None)
    assert runs.table["trace_id"].tolist()[2:] == ["kitchen-sink (2)", "multi-agent-workflow (2)"]


def test_other_files_in_a_folder_are_noted():
    Path("runs").mkdir()
    session().rename("runs/s1.jsonl")
    Path("runs/README.md").write_text("what these are")
    runs = read_runs(["runs"], None)
    assert (runs.problems, runs.notes) == ([], ["runs: skipped files of unknown format: 1."])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone", "'gone' is neither a file nor a trace. There is no database at "),
        ("empty", "No file in empty can be read: the folder is empty."),
    ],
)
def test_a_source_that_cannot_be_read(source, message):
    Path("empty").mkdir()
    with pytest.raises(IngestError) as error:
        read_runs([source], None)
    assert str(error.value).startswith(message)


def test_a_stored_trace_without_spans():
    tv.Store().write_trace("nothing", [])
    with pytest.raises(IngestError) as error:
        read_runs(["nothing"], None)
    assert str(error.value) == "'nothing' has no spans."
