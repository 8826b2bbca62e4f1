import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from files import problem_texts, reading_of, source_of, span_text, write_file

from tokenvis import IngestError, ingest, load_spans
from tokenvis.formats.files.head import head_of
from tokenvis.formats.files.reading import Reading, ReadOptions
from tokenvis.formats.files.sources import Source
from tokenvis.formats.table.reader import read, recognises, table_trace_id
from tokenvis.tree.relations import requests_in

COLUMNS = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data")
ROWS = [
    dict(zip(COLUMNS, ("t/1", "t", "ann", "desk", 1_000_000, 3_000_000, {"label": "x"}), strict=True)),
    dict(zip(COLUMNS, ("t/2", "t", "bob", "lab", 2_000_000, 2_000_000, None), strict=True)),
]
TOLD = ["ann desk 1-3", "bob lab 2-2"]


def spans_of(path, *parts, **options):
    reading = reading_of(path, *parts, **options)
    return [span_text(span) for span in read(reading)], problem_texts(reading)


def test_every_kind_of_table():
    frame = pd.DataFrame(ROWS)
    texts = frame.assign(data=[json.dumps(row["data"]) if row["data"] else None for row in ROWS])
    texts.to_csv("x.csv", index=False)
    texts.to_parquet("x.parquet")
    assert spans_of("x.jsonl", *ROWS) == (TOLD, [])
    assert spans_of("x.json", json.dumps(ROWS)) == (TOLD, [])
    for path in ("x.csv", "x.parquet"):
        assert recognises(head_of(source_of(path)))
        assert spans_of(path) == (TOLD, [])
    for source in (frame, texts, "x.csv", "x.parquet", "x.jsonl", "x.json"):
        report = ingest(source, store="one.db")
        assert (report.n_spans, report.problems) == (2, [])
    loaded = load_spans("t", store="one.db")
    assert loaded["id"].tolist() == ["t/1", "t/2"]
    assert [json.loads(data) for data in loaded["data"].dropna()] == [{"label": "x"}]


def test_columns_named_by_the_caller_and_times_of_a_unit():
    frame = pd.DataFrame({"who": ["ann", "bob"], "room": ["desk", "lab"], "t0": [1.0, 2.5], "t1": [3.0, 2.5], "n": [7, 8]})
    columns = {"agent_id": "who", "location_id": "room", "start_time": "t0", "end_time": "t1"}
    report = ingest(frame, columns=columns, unit="s")
    spans = report.spans()
    assert spans[["agent_id", "location_id", "start_time", "end_time", "data"]].astype(str).to_numpy().tolist() == [
        ["ann", "desk", "1000000", "3000000", '{"n":7}'],
        ["bob", "lab", "2500000", "2500000", '{"n":8}'],
    ]


def test_waits_and_what_nobody_waits_for():
    rows = [{**ROWS[0], "waits_for": "eve", "detached": True}, {**ROWS[1], "waits_for": None, "detached": False}]
    told = [{"waits_for": "eve", "detached": True, "label": "x"}, {"detached": False}]
    frame = pd.DataFrame(rows)
    frame.drop(columns="data").to_csv("x.csv", index=False)
    frame.drop(columns="data").to_parquet("x.parquet")
    for path, parts in (("x.jsonl", rows), ("x.csv", []), ("x.parquet", [])):
        data = [span.data for span in read(reading_of(path, *parts))]
        assert data == (told if parts else [{key: value for key, value in one.items() if key != "label"} for one in told])
    assert [json.loads(data) for data in ingest(frame).spans()["data"]] == told
    texts = "agent_id,start_time,end_time,detached,waits_for,done\nann,0,5,TRUE,true,true\n"
    [span] = read(reading_of("y.csv", texts))
    assert span.data == {"detached": True, "waits_for": True, "done": "true"}


def test_a_column_may_be_named_as_the_agent_or_the_location():
    frame = pd.DataFrame({"who": ["ann"], "room": ["desk"], "begin": ["2026-06-21T10:00:00Z"], "lasts": [5]})
    report = ingest(frame, columns={"start_time": "begin", "duration": "lasts"}, agent="who", location="room", unit="ms")
    [span] = report.spans().to_dict("records")
    assert (span["agent_id"], span["location_id"], span["end_time"] - span["start_time"]) == ("ann", "desk", 5_000)


def test_pandas_times_are_times():
    frame = pd.DataFrame({"agent_id": ["a"], "start_time": pd.to_datetime(["2026-06-21T10:00:00.25Z"]), "end_time": [pd.NaT]})
    report = ingest(frame)
    assert report.n_open == 1
    assert report.spans()["start_time"].tolist() == [1_782_036_000_250_000]


def test_rows_without_ids_are_numbered_and_traces_named_by_their_file():
    lines = [{"agent_id": "ann", "start_time": 0, "end_time": 1}, {"agent_id": "ann", "start_time": 0, "end_time": 1}]
    one, other = (ingest(write_file(f"{folder}/x.jsonl", *lines), store="x.db") for folder in "ab")
    assert [written.added for written in one.written + other.written] == [2, 2]
    assert one.written[0].trace_id.startswith("x-")
    assert one.written[0].trace_id != other.written[0].trace_id
    assert ingest("a/x.jsonl", store="x.db").written[0].unchanged == 2
    assert one.spans()["location_id"].tolist() == ["span", "span"]


def test_a_frame_without_traces_is_identified_by_its_content():
    frames = [pd.DataFrame({"agent_id": ["a"], "start_time": [number]}) for number in (1, 1, 2)]
    names = [table_trace_id(Source(write_file("x", ""), "the DataFrame", "DataFrame", frame=frame)) for frame in frames]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    "cell", [10**5_000, Decimal("sNaN"), "\ud800", [10**5_000]], ids=["digits", "sNaN", "surrogate", "list"]
)
def test_a_frame_is_identified_by_its_content_if_a_cell_has_no_text(cell):
    frames = [pd.DataFrame({"start_time": [number], "note": [cell]}, dtype=object) for number in (1, 1, 2)]
    names = [table_trace_id(Source(Path.cwd(), "the DataFrame", "DataFrame", frame=frame)) for frame in frames]
    assert names[0] == names[1] != names[2]
    report = ingest(frames[0].assign(agent_id="ann"))
    assert report.n_spans + len(report.problems) == 1


def test_formulas_that_tokenvis_escaped_are_restored():
    write_file("x.csv", "id,trace_id,agent_id,location_id,start_time,end_time,data\n", "t/1,t,'=1+1,''desk,0,1,")
    assert spans_of("x.csv") == (["=1+1 'desk 0-1e-06"], [])
    write_file("y.csv", "agent_id,location_id,start_time,end_time\n", "'=1+1,desk,0,1")
    assert spans_of("y.csv") == (["'=1+1 desk 0-1e-06"], [])


def test_numbers_in_other_columns_of_a_csv_are_numbers():
    write_file("x.csv", "agent_id,start_time,end_time,tokens,cost,note,code", "ann,0,1,5,0.5,hello,007")
    [span] = read(reading_of("x.csv"))
    assert span.data == {"tokens": 5, "cost": 0.5, "note": "hello", "code": "007"}


def test_columns_with_older_names_of_figures_count():
    names = ["gen_ai.usage.prompt_tokens", "gen_ai.usage.cache_read_tokens", "gen_ai.usage.estimated_cost_usd", "estimated"]
    write_file("x.csv", f"agent_id,start_time,end_time,{','.join(names)}", "ann,0,1,1000,900,0.5,start_time", "ann,1,2,7,,,")
    told = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 900, "gen_ai.usage.cost": 0.5}
    assert [span.data for span in read(reading_of("x.csv"))] == [
        told | {"estimated": ["start_time", "gen_ai.usage.cost"]},
        {"gen_ai.usage.input_tokens": 7},
    ]
    frame = pd.DataFrame({"agent_id": ["ann"], "start_time": [0], names[0]: [5], "gen_ai.usage.input_tokens": [6]})
    assert json.loads(ingest(frame).spans()["data"][0])["gen_ai.usage.input_tokens"] == 6  # OpenTelemetry's own name


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        *[("ERROR", "error"), ("Cancelled", "cancelled"), ("OK", "ok"), ("Canceled", "cancelled"), (" open ", "open")],
        *[("In Review", "In Review"), (5, 5), (True, True)],
    ],
)
def test_a_status_in_any_case(status, stored):
    row = {"agent_id": "ann", "start_time": 0, "end_time": 1}
    for fields in ({"status": status}, {"data": {"status": status}}):
        [span] = read(reading_of("x.jsonl", {**row, **fields}))
        assert span.data["status"] == stored


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start_time": None}, "'start_time' is missing"),
        ({"start_time": "noon"}, "invalid value (Invalid isoformat string: 'noon')"),
        ({"start_time": True}, "invalid value (a time is of type bool)"),
        (
            {"start_time": 1_781_293_600_000_000_000},
            "invalid value ('1781293600000000000' in 'us' would be in the year 58,416; in 'ns' it is 2026-06-12)",
        ),
        ({"data": "[1]"}, "invalid value ('data' is of type list, not an object)"),
        ({"data": "{x"}, "invalid value ('data' is of type str, not an object)"),
    ],
)
def test_a_bad_row_is_a_problem_and_the_others_are_kept(change, reason):
    assert spans_of("x.jsonl", {**ROWS[0], **change}, ROWS[1]) == (TOLD[1:], [f"x.jsonl, line 1: {reason}."])


def test_missing_columns():
    write_file("x.csv", "who,when,till\nann,0,1")

    def error_of(**options):
        with pytest.raises(IngestError) as caught:
            ingest("x.csv", **options)
        return str(caught.value)

    assert error_of(columns={"start_time": "begin"}) == "x.csv has no column 'begin'. It has: 'who', 'when', 'till'."
    assert error_of(format="table") == "x.csv has no column 'start_time'. It has: 'who', 'when', 'till'."
    assert error_of(columns={"start": "when"}) == (
        "columns= has unknown keys: 'start'. Allowed keys: id, trace_id, agent_id, location_id, "
        "start_time, end_time, data, parent_id, duration, trace_name."
    )
    assert ingest("x.csv", columns={"start_time": "when", "end_time": "till", "agent_id": "who"}).n_spans == 1


def test_a_file_that_is_not_a_table_of_spans():
    for text in ("a,b\n1,2", '{"agent_id": "x"}', '{"start_time": 5}'):
        assert not recognises(head_of(source_of(write_file("x", text))))


def test_a_frame_is_not_changed():
    frame = pd.DataFrame(ROWS)
    before = frame.copy(deep=True)
    list(read(Reading(Source(write_file("x", ""), "the DataFrame", "DataFrame", frame=frame), ReadOptions())))
    pd.testing.assert_frame_equal(frame, before)


def test_who_asked_for_a_call_may_be_a_column():
    table = pd.DataFrame({"id": ["a", "b", "c"], "start_time": 0, "end_time": 5, "agent_id": "ann"})
    spans = ingest(table.assign(requested_by=[None, "a", ["a", "b"]]), store="x.db").spans()
    assert [rows.tolist() for rows in requests_in(spans)] == [[1, 2, 2], [0, 0, 1]]
    table.assign(requested_by=[None, "a", "a"]).to_csv("x.csv", index=False)
    spans = ingest("x.csv", store="y.db").spans()
    assert [rows.tolist() for rows in requests_in(spans)] == [[1, 2], [0, 0]]


def refusal_of(source, **options):
    with pytest.raises(IngestError) as caught:
        ingest(source, **options)
    return str(caught.value)


HINT = 'or unit="us" if they are µs.'
IN_2026 = 1_772_442_000


@pytest.mark.parametrize(
    ("times", "unit", "seen"),
    [
        (
            [(IN_2026 + 0.25, IN_2026 + 3.75), (IN_2026 + 2.5, IN_2026 + 9.0)],
            "s",
            "'1772442000.25' in 'us' would be 1970-01-01",
        ),
        (
            [(IN_2026 * 1_000, IN_2026 * 1_000 + 9), (IN_2026 * 1_000, None)],
            "ms",
            "'1772442000000' in 'us' would be 1970-01-21",
        ),
        (
            [(IN_2026 * 10**9, IN_2026 * 10**9 + 9), (IN_2026 * 10**9, None)],
            "ns",
            "'1772442000000000000' in 'us' would be after 2100",
        ),
    ],
)
def test_a_table_in_another_unit_is_refused_with_the_unit(times, unit, seen):
    rows = [{"agent_id": "ann", "start_time": start, "end_time": end} for start, end in times]
    frame = pd.DataFrame(rows)
    frame.to_csv("x.csv", index=False)
    frame.to_parquet("x.parquet")
    for source in (write_file("x.jsonl", *rows), "x.csv", "x.parquet", frame):
        name = "the DataFrame" if source is frame else str(source)
        message = f'{name} has times in another unit: {seen}; in {unit!r} it is 2026-03-02. Pass unit="{unit}", {HINT}'
        assert refusal_of(source).replace(".0'", "'") == message
        report = ingest(source, unit=unit, store="right.db")
        assert (report.problems, report.spans()["start_time"].min() // 10**6) == ([], IN_2026)
    if unit != "ns":
        assert "Pass unit=" in str(ingest(frame, unit="us", store="us.db").problems[0])


def test_a_file_in_another_unit_beside_others_is_one_problem():
    rows = [{"agent_id": "ann", "start_time": IN_2026 + second} for second in range(3)]
    write_file("in/a.jsonl", *rows)
    write_file("in/b.jsonl", {"agent_id": "bob", "start_time": 0})
    report = ingest("in")
    assert (report.n_spans, [str(problem) for problem in report.problems]) == (
        1,
        [
            "a.jsonl: has times in another unit: '1772442000' in 'us' would be 1970-01-01; in 's' it is 2026-03-02. "
            f'Pass unit="s", {HINT}'
        ],
    )


def test_simulated_times_and_times_in_microseconds_are_read_as_they_are():
    for starts in ([0, 10, 20], [0.0, 10.0], [0, IN_2026], [IN_2026 * 10**6], [1, IN_2026 * 10**6]):
        rows = [{"agent_id": "ann", "start_time": start} for start in starts]
        reading = reading_of("x.jsonl", *rows)
        assert [span.start for span in read(reading)] == starts
        assert problem_texts(reading) == []


def test_numbers_after_dates_in_another_unit_are_told():
    rows = [{"agent_id": "ann", "start_time": start} for start in ("2026-03-02", IN_2026, IN_2026)]
    assert spans_of("x.jsonl", *rows)[1] == [
        "x.jsonl: 2 times may be in another unit: '1772442000' in 'us' would be 1970-01-01; in 's' it is 2026-03-02. "
        "Pass unit='s' for that."
    ]


def test_fractions_and_durations_without_a_unit_are_told_once():
    rows = [{"agent_id": "ann", "start_time": 0, "end_time": 1.5}, {"agent_id": "ann", "start_time": 0.5, "end_time": 2}]
    told = 'x.jsonl: 2 numbers with a fraction counted as µs. Pass unit="s" for seconds, "ms" for ms, "us" for µs.'
    assert spans_of("x.jsonl", *rows)[1] == [told]
    assert spans_of("x.jsonl", *rows, unit="us")[1] == spans_of("x.jsonl", *rows, unit="s")[1] == []
    dated = [{"agent_id": "ann", "start_time": "2026-03-02T10:00Z", "duration": 5}]
    assert spans_of("x.jsonl", *dated)[1] == [
        'x.jsonl: 1 duration beside dates counted as µs. Pass unit="s" for seconds, "ms" for ms, "us" for µs.'
    ]
    assert spans_of("x.jsonl", *dated, unit="ms")[1] == []


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("duration_ms", "duration"),
        ("end", "end_time"),
        ("Finished At", "end_time"),
        ("endTime", "end_time"),
        ("legend", None),
        ("endpoint", None),
    ],
)
def test_a_table_whose_end_has_another_name_is_told(column, field):
    told = f"x.jsonl: has no 'end_time' or 'duration', but '{column}'. Pass columns={{'{field}': '{column}'}}."
    rows = [{"agent_id": "ann", "start_time": 0, column: 5}]
    assert spans_of("x.jsonl", *rows)[1] == ([told] if field else [])


def test_durations_of_a_frame_and_of_its_csv_file_are_read():
    frame = pd.DataFrame({"agent_id": ["ann"], "start_time": ["2026-03-02T10:00Z"], "duration": [pd.Timedelta("1.5s")]})
    frame.to_csv("x.csv", index=False)
    for source in (frame, "x.csv"):
        report = ingest(source)
        assert (report.spans().eval("end_time - start_time").tolist(), report.problems) == ([1_500_000], [])


def test_times_without_a_zone_beside_others_are_told_once():
    told = "2 of 4 times have no zone, and UTC was assumed. Add the zone, such as +02:00."
    naive, aware = ["2026-07-23T10:00:00", "2026-07-23T10:00:05"], ["2026-07-23T13:00:05+02:00", "2026-07-23T13:00:09+02:00"]
    rows = "\n".join(["agent_id,start_time,end_time", "a," + ",".join(naive), "b," + ",".join(aware)])
    assert spans_of("x.csv", rows)[1] == [f"x.csv: {told}"]
    frame = pd.DataFrame({"agent_id": "a", "start_time": pd.to_datetime(naive), "end_time": pd.to_datetime(aware)})
    assert [str(problem) for problem in ingest(frame).problems] == [f"the DataFrame: {told}"]


def test_agents_of_one_name_are_told_apart_by_a_column_of_ids():
    times = {"start_time": [0, 1, 20], "end_time": [9, 9, 30]}
    frame = pd.DataFrame({"who": ["ann", "ann", "ann"], "agent_id": ["a", "b", "c"], **times})
    assert ingest(frame, columns={"agent_id": "who"}, store="1.db").spans()["agent_id"].tolist() == ["ann", "ann 2", "ann"]
    named = pd.DataFrame({"agent_id": ["ann", "ann", "bob"], "gen_ai.agent.id": ["a", "b", None], **times})
    assert ingest(named, store="2.db").spans()["agent_id"].tolist() == ["ann", "ann 2", "bob"]
    assert ingest(named[["agent_id", *times]], store="3.db").spans()["agent_id"].tolist() == ["ann", "ann", "bob"]


def test_tables_of_events_and_samples_are_refused_with_the_call_that_converts_them():
    events = pd.DataFrame({"time": [0, 4], "who": ["ann", "ann"], "room": ["a", "a"], "action": ["enter", "leave"]})
    events.to_csv("events.csv", index=False)
    samples = [{"step": step, "agent": "ann", "location": "a"} for step in range(3)]
    Path("samples.jsonl").write_text("\n".join(map(json.dumps, samples)))
    with pytest.raises(IngestError) as error:
        ingest("events.csv")
    assert str(error.value) == (
        "events.csv has no column 'start_time'. It has: 'time', 'who', 'room', 'action'. "
        "But its rows look like samples or events, not spans. Convert them: "
        "tv.spans_from_events(events, time='time', agent='who', location='room', event='action')."
    )
    with pytest.raises(
        IngestError, match=r"tv\.spans_from_samples\(samples, time='step', agent='agent', location='location'\)\.$"
    ):
        ingest("samples.jsonl")
    with pytest.raises(IngestError, match=r"^the DataFrame has no column 'start_time'.* tv\.spans_from_events\(events, time="):
        ingest(events)


def test_events_that_are_read_as_spans_are_told():
    events = pd.DataFrame({"time": [0, 4], "who": "ann", "room": "a", "action": ["enter", "leave"]})
    report = ingest(events, columns={"start_time": "time", "agent_id": "who", "location_id": "room"})
    assert [str(problem) for problem in report.problems] == [
        "the DataFrame: its rows look like samples or events, not spans. Convert them: "
        "tv.spans_from_events(events, time='time', agent='who', location='room', event='action')."
    ]
