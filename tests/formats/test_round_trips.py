"""Every frame is read back as it was, in every format, unless `export` refuses it."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, full_except, spans_of, with_data
from exports import NAMES, keys, texts, values
from files import reading_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenvis import BadSpan, IngestError, Store, export, ingest, load_spans, load_traces
from tokenvis.formats.files.head import head_of
from tokenvis.formats.registry import FORMATS, WRITERS
from tokenvis.spans.columns import COLUMNS, YEAR_10000

OWN_KEYS = ["label", "kind", "status", "parent_id", "links", "requested_by", "waits_for", "detached", "estimated", "task"]
SOURCE_KEYS = ["gen_ai.usage.prompt_tokens", "usage", "tokenvis", "tokenvis.id", "tokenvis.data", "id", "start_time", "data"]
SCALARS = [*(10**19, -(10**19), 2**63, 2**64, 10**308, -(10**400), 10**4_299), *(1e-320, 5e-324, 1e308, -0.0, 0.1), "NaN", "OK"]
EDGES = [-(2**63), -(2**63) + 1, -YEAR_10000, -1, 0, 1, 2**53 + 1, YEAR_10000 - 1, YEAR_10000, 2**62, 2**63 - 1]
LOCATIONS = ["tool:AskUserQuestion", "tool:ask_user", "elicitation/create"]
LAYOUTS = [{}, {"indent": 2}, {"separators": (" ,\r", "\t:\n")}, {"ensure_ascii": False}]
RAW = ['{"a": 1, "a": {"b": 2}}', "\n{ }", '{"e": 1E400, "half": "\\ud83d", "zero": -0}', '{"n":%s}' % ("1" * 4_300)]
nested = st.integers(1, 899).map(lambda levels: '{"a":' + "[" * levels + "]" * levels + "}")


@st.composite
def json_texts(draw) -> str:
    """A JSON object in any layout."""
    names = st.sampled_from(OWN_KEYS + SOURCE_KEYS) | keys
    payload = draw(st.dictionaries(names, st.sampled_from(SCALARS) | values, max_size=4))
    return json.dumps(payload, **draw(st.sampled_from(LAYOUTS)))


@st.composite
def frames(draw) -> pd.DataFrame:
    """Frames with names, times and data of every kind; ids are unique, as in a store."""
    names = st.sampled_from(["", " ", *LOCATIONS, *NAMES]) | texts
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    times = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10)
    bounds = [sorted([draw(times), draw(times)]) for _ in ids]
    data = st.none() | st.just("{}") | json_texts() | st.sampled_from(RAW) | nested
    traces = draw(st.lists(names.filter(bool), min_size=1, max_size=2))
    columns = {
        "id": ids,
        "trace_id": [draw(st.sampled_from(traces)) for _ in ids],
        "agent_id": pd.Categorical([draw(names) for _ in ids]).add_categories(["an agent without spans"]),
        "location_id": [draw(names) for _ in ids],
        "start_time": np.array([start for start, _ in bounds], dtype=np.int64),
        "end_time": np.array([end for _, end in bounds], dtype=np.int64),
        "data": pd.Series([draw(data) for _ in ids], dtype=object),
        "parent_id": pd.Series([draw(st.none() | st.sampled_from([*ids, "unknown"])) for _ in ids], dtype=object),
    }
    return pd.DataFrame(columns).drop(columns=draw(st.sampled_from([[], ["parent_id"], ["data"]])))


def rows_of(spans: pd.DataFrame) -> list[tuple]:
    """The rows of a loaded frame, their data as JSON values; -0.0 differs from 0."""
    shown = spans.reindex(columns=[*COLUMNS, "parent_id"]).astype(object)
    return [
        tuple(repr(json.loads(cell)) if name == "data" and isinstance(cell, str) else str(cell) for name, cell in row.items())
        for row in shown.to_dict("records")
    ]


def stored(spans: pd.DataFrame) -> pd.DataFrame:
    """The frame as the store returns it."""
    Path("before.db").unlink(missing_ok=True)
    store = Store("before.db")
    for trace, part in spans.assign(trace_id=spans["trace_id"].astype("str")).groupby("trace_id"):
        store.write_trace(trace, part)
    return load_spans(store=store)


def read_back(path: Path) -> pd.DataFrame:
    """The spans of a file, read into a new database."""
    Path("after.db").unlink(missing_ok=True)
    ingest(path, store="after.db")
    return load_spans(store="after.db")


def carried_times(kind: str) -> tuple[int, int]:
    """The first and the last time that a format carries, as the page says."""
    section = (ROOT / "docs" / "ingest.md").read_text().split("\n## Export\n")[1]
    [lost] = re.findall(rf"^\| `{kind}` \|.*\| ([^|]*) \|$", section, re.MULTILINE)
    return {
        "nothing": (-(2**63), 2**63 - 1),
        "nothing; times before 1970 or after 2554 are refused": (0, (2**64 - 1) // 1_000),
        "nothing; times beyond the year 9999 are refused": (-YEAR_10000 + 1, YEAR_10000 - 1),
    }[lost]


@pytest.mark.laws
@settings(max_examples=max(settings.default.max_examples // 4, 1))  # each is stored, written and read in every format
@given(spans=frames())
def test_a_frame_is_read_back_as_it_was_or_refused(spans):
    try:
        expected = rows_of(stored(spans))
    except BadSpan:  # an infinite number beside a parent that is only in the column
        for kind in WRITERS:
            with pytest.raises(BadSpan):
                export(spans, "made", format=kind)
        return
    first, last = int(spans["start_time"].min()), int(spans["end_time"].max())
    for kind in WRITERS:
        lowest, highest = carried_times(kind)
        if first < lowest or last > highest:
            with pytest.raises(BadSpan, match=r"^Span .* (starts|ends) at "):
                export(spans, "made", format=kind)
            continue
        path = export(spans, "made", format=kind)
        assert rows_of(read_back(path)) == expected, kind
        assert export(spans, "again", format=kind).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", full_except(WRITERS, "otlp"))
def test_a_file_keeps_the_order_of_the_frame(kind):
    spans = spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk").iloc[[2, 0, 1]]
    reading = reading_of(export(spans, "made", format=kind))
    [reader] = [reader for reader in FORMATS.values() if reader.recognises(head_of(reading.source))]
    assert [span.id for span in reader.read(reading)] == ["c", "a", "b"]


@pytest.mark.parametrize("kind", full_except(WRITERS, "parquet"))
def test_the_name_of_a_trace_is_kept_by_tables_only(kind):
    Store("named.db").write_trace("t", spans_of("ann 0 10 desk"), name="A walk")
    ingest(export(load_spans(store="named.db"), "made", format=kind), store="after.db")
    is_table = kind in ("parquet", "csv", "jsonl")
    assert load_traces(store="after.db")["name"].tolist() == ["A walk" if is_table else "made"]


@pytest.mark.parametrize("kind", full_except(WRITERS, "chrome"))
def test_one_id_in_two_traces_is_written_twice_and_stored_once_with_a_problem(kind):
    spans = spans_of("ann 0 10 desk", "ann 0 10 desk u").assign(id="a")
    path = export(spans, "made", format=kind)
    report = ingest(path)
    assert [problem.reason for problem in report.problems] == ["span 'a' already belongs to trace 't'"]
    assert report.spans()["trace_id"].tolist() == ["t"]


@pytest.mark.parametrize("kind", full_except(WRITERS, "chrome", "csv"))
def test_a_file_without_spans_has_a_format_unless_it_is_a_table_of_text(kind):
    path = export(spans_of(), "made", format=kind)
    if kind in ("csv", "jsonl"):
        with pytest.raises(IngestError, match=r"^made has no known format"):
            ingest(path)
    else:
        report = ingest(path)
        assert (report.n_spans, [problem.reason for problem in report.problems]) == (0, ["contains no spans"])


@pytest.mark.parametrize(("time", "verb"), [(YEAR_10000, "ends"), (-YEAR_10000, "starts")])
def test_a_time_that_a_table_of_text_cannot_carry_is_refused(time, verb):
    spans = spans_of("ann 0 1 desk").assign(start_time=min(time, 0), end_time=max(time, 0))
    with pytest.raises(BadSpan) as caught:
        export(spans, "a.csv")
    assert str(caught.value) == (
        f"Span 'a' of trace 't' {verb} at {time}: times in 'csv' end with the year 9999, because times beyond it "
        "are mostly in another unit. Shift the times, or export them as 'parquet' or 'chrome'."
    )
    assert not Path("a.csv").exists()


def test_a_table_that_another_program_saved_again_is_read_as_any_table():
    row = {"id": "a", "trace_id": "t", "agent_id": "ann", "location_id": "tool:ask_user", "start_time": 0, "end_time": 5}
    row |= {"data": {"status": "OK", "gen_ai.usage.prompt_tokens": 5}}
    told = {"status": "ok", "gen_ai.usage.input_tokens": 5, "waits_for": "user", "source_id": "a"}
    exported = export(pd.DataFrame([row]), "a.jsonl")
    assert json.loads(ingest(exported, store="a.db").spans()["data"][0]) == row["data"]
    Path("b.jsonl").write_text(json.dumps(row))
    assert json.loads(ingest("b.jsonl", store="b.db").spans()["data"][0]) == told
    pd.read_parquet(export(pd.DataFrame([row]), "a.parquet")).to_parquet("b.parquet")
    assert json.loads(ingest("b.parquet", store="c.db").spans()["data"][0]) == told


def test_rules_of_the_caller_apply_to_exported_spans():
    spans = with_data(spans_of("ann 0 10 tool:ask_user", "ann 1 2 desk"), b={"n": 10**30})
    report = ingest(export(spans, "a.parquet"), location="n", waits_for=lambda span: "eve" if span["id"] == "b" else None)
    assert report.spans()["data"].fillna("-").tolist() == ["-", '{"n":1000000000000000000000000000000,"waits_for":"eve"}']
    assert report.spans()["location_id"].tolist() == ["tool:ask_user", str(10**30)]
