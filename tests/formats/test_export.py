import os
import stat
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from exports import any_spans, expected_rows, exported_rows, hostile_spans, ordered
from files import problem_texts, reading_of
from hypothesis import given, settings
from pandas.testing import assert_frame_equal

from tokenvis import BadOption, BadSpan, MissingColumn, export, ingest, load_spans, seed_demo
from tokenvis.formats.export import Format
from tokenvis.formats.files.head import head_of
from tokenvis.formats.registry import FORMATS, SUFFIXES, WRITERS
from tokenvis.spans.columns import COLUMNS, NAMES

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk"), a={"label": "plan"}, c={"links": ["a"]})


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_contains_every_span(kind):
    path = export(SPANS, Path("made"), format=kind)
    assert path == Path("made")
    assert exported_rows(path, kind) == expected_rows(SPANS)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_contains_hostile_names(kind):
    spans = hostile_spans()
    assert exported_rows(export(spans, "made", format=kind), kind) == expected_rows(spans)


@pytest.mark.parametrize("kind", WRITERS)
def test_waits_are_written_and_read_back(kind):
    waits = {
        "a": {"waits_for": "eve", "waits_for_kind": "agent"},
        "b": {"detached": False, "span_kind": "producer"},
        "c": {"waits_for": None},
    }
    path = export(with_data(SPANS, **waits), "made", format=kind)
    assert {row["id"]: row["data"] for row in read_back(path)} == waits


@pytest.mark.parametrize("kind", WRITERS)
def test_no_spans_give_a_file_without_spans(kind):
    assert exported_rows(export(SPANS[:0], "made", format=kind), kind) == []
    assert exported_rows(export(SPANS[:0].drop(columns="data"), "made", format=kind), kind) == []


@pytest.mark.laws
@given(spans=any_spans())
def test_any_names_and_payloads_are_written_exactly(spans):
    for kind in WRITERS:
        assert exported_rows(export(spans, "made", format=kind), kind) == expected_rows(spans)


def read_back(path):
    """The rows that the recognised format reads from a file, by trace and id."""
    reading = reading_of(path)
    [reader] = [reader for reader in FORMATS.values() if reader.recognises(head_of(reading.source))]
    rows = [row_of(span) for span in reader.read(reading)]
    assert (problem_texts(reading), dict(reading.skipped)) == ([], {})
    return ordered(rows)


def row_of(span):
    data = {**span.data, "parent_id": span.parent} if span.parent else span.data
    values = (span.id, span.trace_id, span.agent, span.location, span.start, span.end, data)
    return dict(zip(COLUMNS, values, strict=True))


def with_empty_payloads(rows):
    """Rows with an empty payload in place of none."""
    return [row | {"data": row["data"] or {}} for row in rows]


@pytest.mark.laws
@settings(max_examples=max(settings.default.max_examples // 2, 1))  # each is written and read in every format
@given(spans=spans_frames(parents=True, data=True).filter(len))
def test_ties_instants_parents_and_links_are_written_and_read_back_exactly(spans):
    before = spans.copy(deep=True)
    for kind in WRITERS:
        path = export(spans, "made", format=kind)
        assert exported_rows(path, kind) == expected_rows(spans)
        assert read_back(path) == with_empty_payloads(expected_rows(spans))
    assert_frame_equal(spans, before)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_reader_finds_hostile_names(kind):
    spans = hostile_spans()
    names = spans[["id", *NAMES]].itertuples(index=False)
    refused = {"\0"} if kind == "csv" else set()  # a null character is not text, a blank is not a name
    spans = spans[[not any(refused & set(name) or name.isspace() for name in row) for row in names]]
    assert read_back(export(spans, "made", format=kind)) == expected_rows(spans)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_demo_is_read_back_unchanged(kind):
    seed_demo(store="demo.db")
    spans = load_spans(store="demo.db")
    report = ingest(export(spans, "made", format=kind), store="back.db")
    assert expected_rows(report.spans()) == expected_rows(spans)
    assert_frame_equal(report.spans().drop(columns="data"), spans.drop(columns="data"))
    assert (report.problems, report.skipped) == ([], {})


@pytest.mark.parametrize("kind", WRITERS)
def test_chunks_leave_no_seam(kind, monkeypatch):
    spans = hostile_spans()
    whole = export(spans, "whole", format=kind)
    monkeypatch.setattr("tokenvis.formats.chunks.PAYLOADS_PER_CHUNK", 2)
    monkeypatch.setattr("tokenvis.formats.telemetry.chrome_trace.writer.PAYLOADS_PER_CHUNK", 2)
    parts = export(spans, "parts", format=kind)
    assert exported_rows(parts, kind) == expected_rows(spans)
    assert kind == "parquet" or parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_spans_give_the_same_bytes_with_any_types(kind):
    spans = hostile_spans()
    plain = spans.astype(dict.fromkeys(("id", "trace_id", "agent_id", "location_id"), "object")).set_index(spans.index[::-1])
    assert export(spans, "one", format=kind).read_bytes() == export(plain, "other", format=kind).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.parquet", "parquet"),
        ("a.csv", "csv"),
        ("a.jsonl", "jsonl"),
        ("a.json", "chrome"),
        ("a.otlp.json", "otlp"),
        ("A.OTLP.JSON", "otlp"),
        ("otlp.json", "chrome"),
        ("b.csv.json", "chrome"),
    ],
)
def test_the_format_is_chosen_by_the_suffix(name, kind):
    assert exported_rows(export(SPANS, name), kind) == expected_rows(SPANS)


def test_every_format_has_a_suffix():
    assert set(SUFFIXES.values()) == set(WRITERS) == set(get_args(Format))


def test_an_explicit_format_overrides_the_suffix():
    assert exported_rows(export(SPANS, "a.csv", format="jsonl"), "jsonl") == expected_rows(SPANS)


def there():
    return sorted(path.name for path in Path().iterdir())


def message(error, *arguments, **options):
    with pytest.raises(error) as caught:
        export(*arguments, **options)
    return str(caught.value)


def test_a_name_without_a_known_suffix_is_refused():
    assert message(BadOption, SPANS, "a.txt") == (
        "path='a.txt' has none of the suffixes '.parquet', '.csv', '.jsonl', '.otlp.json', '.json'. "
        "Use one of them, or pass format=, one of: 'chrome', 'otlp', 'parquet', 'csv', 'jsonl'."
    )
    choices = "'chrome', 'otlp', 'parquet', 'csv', 'jsonl', 'fleet'"
    assert message(BadOption, SPANS, "a.csv", format="xlsx") == f"format='xlsx' is not one of {choices}."


def test_an_impossible_path_is_refused():
    Path("folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    assert message(BadOption, SPANS, "folder.csv") == "path='folder.csv' is a folder."
    assert message(BadOption, SPANS, "pipe.csv") == "path='pipe.csv' is not a regular file."
    assert message(BadOption, SPANS, "no/a.csv") == "path='no/a.csv': the folder 'no' does not exist. Create it first."
    assert (
        message(BadOption, SPANS, "a\0.csv") == "path='a\\x00.csv' contains a null character, which is not allowed in a path."
    )
    assert message(BadOption, SPANS, "~no-such-user/a.csv").startswith("path='~no-such-user/a.csv': ")
    assert message(BadOption, SPANS, 5) == "path=5 is not a path."
    assert there() == ["folder.csv", "pipe.csv"]


@pytest.mark.parametrize(
    ("spans", "error", "expected_message"),
    [
        ([{"id": "a"}], BadSpan, "Spans must be a DataFrame, not list. load_spans() returns one."),
        (
            SPANS.drop(columns="agent_id"),
            MissingColumn,
            "The spans have no column 'agent_id'. "
            "They have: 'id', 'trace_id', 'location_id', 'start_time', 'end_time', 'data'.",
        ),
        (
            SPANS.assign(cost=1),
            BadSpan,
            "A span has no column 'cost'. Put it into data, or drop it. Columns: 'id', 'trace_id', 'agent_id', "
            "'location_id', 'start_time', 'end_time', 'data'.",
        ),
        (
            pd.concat([SPANS, SPANS]),
            BadSpan,
            "Span 'a' is in several rows of trace 't'. Pass each span once, uncut: not the pieces of self_spans().",
        ),
        (
            SPANS.assign(end_time=-1),
            BadSpan,
            "Span 'a' of trace 't' ends at -1 before it starts at 0. The same holds for 2 more spans.",
        ),
        (
            SPANS.assign(id=pd.Series(["\ud800", "b", "c"], dtype=object)),
            BadSpan,
            "id of span '\\ud800' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8.",
        ),
        (
            SPANS.assign(agent_id=pd.Series(["\ud800", "b", "c"], dtype=object)),
            BadSpan,
            "agent_id of span 'a' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8.",
        ),
    ],
)
def test_spans_that_break_a_rule_leave_no_file(spans, error, expected_message):
    assert message(error, spans, "a.csv") == expected_message
    assert there() == []


@pytest.mark.parametrize("kind", WRITERS)
def test_an_invalid_payload_leaves_no_file(kind):
    wrong = SPANS.assign(data="[]")
    assert (
        message(BadSpan, wrong, "made", format=kind)
        == "data of span 'a' of trace 't' is not a JSON object: '[]' (it is of type list)."
    )
    assert there() == []


def test_the_same_id_may_be_in_two_traces():
    spans = spans_of("ann 0 10 desk", "bob 5 5 lab u").assign(id="a")
    assert [row["id"] for row in exported_rows(export(spans, "a.csv"), "csv")] == ["a", "a"]


@pytest.mark.parametrize("kind", WRITERS)
def test_an_error_half_way_keeps_the_existing_file(kind, monkeypatch):
    monkeypatch.setattr("tokenvis.formats.chunks.PAYLOADS_PER_CHUNK", 1)
    path = Path("made")
    path.write_text("before")
    bad = SPANS.assign(data=pd.Series([None, None, "{"], index=SPANS.index, dtype="str"))
    assert message(BadSpan, bad, path, format=kind).startswith("data of span 'c' of trace 't' is not a JSON object: '{' (")
    assert (path.read_text(), there()) == ("before", ["made"])


def test_an_interruption_keeps_the_existing_file(monkeypatch):
    def interrupted(spans, file, redactor):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setitem(WRITERS, "csv", interrupted)
    Path("a.csv").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        export(SPANS, "a.csv")
    assert (Path("a.csv").read_text(), there()) == ("before", ["a.csv"])


def test_an_existing_file_is_replaced_and_keeps_its_mode():
    Path("a.csv").write_text("before")
    Path("a.csv").chmod(0o640)
    export(SPANS, "a.csv")
    assert stat.S_IMODE(Path("a.csv").stat().st_mode) == 0o640
    assert exported_rows(Path("a.csv"), "csv") == expected_rows(SPANS)
    assert there() == ["a.csv"]


def test_a_link_stays_a_link():
    Path("folder").mkdir()
    Path("a.csv").symlink_to("folder/real.csv")
    assert export(SPANS, "a.csv") == Path("a.csv")
    assert Path("a.csv").is_symlink()
    assert exported_rows(Path("folder/real.csv"), "csv") == expected_rows(SPANS)


def test_a_name_of_the_longest_length_is_written():
    assert export(SPANS, "x" * 251 + ".csv").exists()
