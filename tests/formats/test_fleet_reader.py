from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import spans_of, with_data
from exports import expected_rows
from files import problem_texts, reading_of
from fleet_files import fleet_bytes
from pandas.testing import assert_frame_equal

from tokenvis import IngestError, Store, export, ingest, load_spans, load_traces
from tokenvis.formats.files.parquet import FLEET_KEY
from tokenvis.formats.fleet import read

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk"), a={"label": "plan"}, c={"parent_id": "a"})


def stores_are_equal(one, other):
    assert_frame_equal(load_traces(details=True, store=one), load_traces(details=True, store=other))
    assert_frame_equal(load_spans(store=one), load_spans(store=other))


def test_spans_names_and_empty_traces_are_read():
    Path("any.name").write_bytes(fleet_bytes(SPANS, u="A walk"))
    report = ingest("any.name")
    assert (report.formats.popitem()[1], report.problems, report.n_spans) == ("files of a fleet", [], 3)
    assert expected_rows(report.spans()) == expected_rows(SPANS)
    assert load_traces()[["id", "name"]].values.tolist() == [["u", "A walk"], ["t", "t"]]


def test_a_store_comes_back_equal():
    with Store("before.db") as store:
        for number, trace in enumerate(["t", "a/b", "ü\n"]):
            spans = spans_of("ann 0 10 desk", "bob 5 5 lab").assign(id=[f"{number}/a", f"{number}/b"])
            store.write_trace(trace, spans.drop(columns="trace_id"), name=["", "one name", "one name"][number])
        store.add_spans("empty", [], name="nothing happened")
        export(store, "spans", format="fleet")
    report = ingest("spans", store="after.db")
    assert report.problems == []
    stores_are_equal("before.db", "after.db")
    assert ingest("spans", store="after.db").written[0].added == 0
    stores_are_equal("before.db", "after.db")


def test_a_folder_of_empty_traces_is_read():
    with Store("before.db") as store:
        store.add_spans("empty", [])
        export(store, "spans", format="fleet")
    assert (ingest("spans", store="after.db").problems, load_traces(store="after.db")["id"].tolist()) == ([], ["empty"])


def test_names_are_no_texts_to_keep():
    Path("a.parquet").write_bytes(fleet_bytes(SPANS, u="a prompt"))
    ingest("a.parquet", content="none")
    assert load_traces()["name"].tolist() == ["u", "t"]


def with_metadata(text, **changes):
    """A file of a fleet with other metadata."""
    table = pq.read_table(pa.BufferReader(fleet_bytes(SPANS)))
    pq.write_table(table.replace_schema_metadata({FLEET_KEY: text, **changes}), "changed.parquet")
    return "changed.parquet"


def test_a_newer_version_is_refused():
    with pytest.raises(IngestError) as caught:
        ingest(with_metadata(b'{"version":2}'))
    assert str(caught.value) == (
        "changed.parquet is a file of a fleet of version 2; this tokenvis reads version 1. Update tokenvis."
    )


def test_without_an_index_the_spans_are_read():
    reading = reading_of(with_metadata(b'{"version":1}'))
    assert len(list(read(reading))) == 3
    assert problem_texts(reading) == [
        "changed.parquet: its index of traces cannot be read (it is missing); the names of traces are lost."
    ]


def test_what_a_killed_export_left_is_not_read():
    export(SPANS, "spans", format="fleet")
    Path("spans/.tokenvis-x/files").mkdir(parents=True)
    Path("spans/.tokenvis-x/files/spans-0.parquet").write_bytes(fleet_bytes(SPANS.assign(trace_id="left")))
    assert ingest("spans").n_spans == 3
    assert sorted(load_traces()["id"]) == ["t", "u"]
