import io
import itertools
import json

import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given

from tokenvis.formats.telemetry.chrome_trace.writer import write_chrome_trace


def document_of(spans):
    file = io.BytesIO()
    write_chrome_trace(spans, file)
    return json.loads(file.getvalue())


def events_of(spans, phase):
    return [event for event in document_of(spans)["traceEvents"] if event["ph"] == phase]


def threads_of(spans):
    """The slices as text: "process/thread name ts+dur", by id."""
    names = {(event["pid"], event.get("tid")): event["args"]["name"] for event in events_of(spans, "M")}
    return {
        event["args"]["tokenvis"]["id"]: f"{names[event['pid'], None]}/{names[event['pid'], event['tid']]} {event['tid']} "
        f"{event['ts']}+{event['dur']}"
        for event in events_of(spans, "X")
    }


def arrows(spans):
    """The flows as text: "source ts > target ts", the spans named by their threads."""
    slices = {event["tid"]: event["args"]["tokenvis"]["id"] for event in events_of(spans, "X")}
    ends = zip(events_of(spans, "s"), events_of(spans, "f"), strict=True)
    return [f"{slices[out['tid']]} {out['ts']} > {slices[into['tid']]} {into['ts']}" for out, into in ends]


def test_the_text_of_a_written_file():
    spans = with_data(spans_of("ann 3 8 desk"), a={"label": "plan", "kind": "model", "status": "ok", "attributes": {}})
    span = {"id": "a", "trace_id": "t", "agent_id": "ann", "location_id": "desk", "start_time": 3, "end_time": 8}
    span["data"] = {"label": "plan", "kind": "model", "status": "ok", "attributes": {}}
    assert document_of(spans) == {
        "traceEvents": [
            {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "ann"}},
            {"ph": "M", "pid": 1, "tid": 2, "name": "thread_name", "args": {"name": "desk"}},
            {"ph": "X", "pid": 1, "tid": 2, "ts": 3, "dur": 5, "name": "plan", "cat": "model"}
            | {"args": {"label": "plan", "status": "ok", "tokenvis": span}},
        ],
        "displayTimeUnit": "ms",
        "otherData": {"writer": "tokenvis", "version": 1},
    }


def test_each_event_is_on_its_own_line():
    file = io.BytesIO()
    write_chrome_trace(
        with_data(spans_of("ann 3 8 desk", "bob 4 4 lab"), a={"text": "two\nlines"}).assign(data='{"a":\r\n1}'), file
    )
    lines = file.getvalue().decode().splitlines()
    assert [line[:6] for line in lines] == ['{"trac', *['{"ph":'] * 6, '],"dis']


def test_an_agent_is_a_process_and_a_location_is_a_thread():
    spans = spans_of("ann 0 5 desk", "ann 5 9 lab", "bob 0 5 desk", "ann 9 12 desk")
    assert threads_of(spans) == {"a": "ann/desk 3 0+5", "d": "ann/desk 3 9+3", "b": "ann/lab 4 5+4", "c": "bob/desk 5 0+5"}


def test_overlapping_spans_of_a_location_go_into_more_threads_of_its_name():
    spans = spans_of("ann 0 10 desk", "ann 5 15 desk", "ann 2 3 desk", "ann 10 20 desk")
    assert threads_of(spans) == {
        "a": "ann/desk 2 0+10",
        "c": "ann/desk 3 2+1",
        "b": "ann/desk 3 5+10",
        "d": "ann/desk 2 10+10",
    }


def test_an_instant_takes_its_own_microsecond():
    spans = spans_of("ann 5 5 desk", "ann 5 5 desk", "ann 5 9 desk", "ann 6 6 desk", "ann 9 9 desk")
    threads = threads_of(spans)
    assert [threads[span] for span in "abcde"] == [
        "ann/desk 2 5+0",
        "ann/desk 3 5+0",
        "ann/desk 4 5+4",
        "ann/desk 2 6+0",
        "ann/desk 2 9+0",
    ]


def test_several_traces_appear_in_the_names_of_processes():
    spans = spans_of("ann 0 5 desk", "ann 0 5 desk u")
    assert threads_of(spans) == {"a": "t · ann/desk 3 0+5", "b": "u · ann/desk 4 0+5"}


def test_a_slice_is_named_by_its_label_else_by_its_location():
    spans = with_data(spans_of("ann 0 1 desk", "ann 1 2 lab", "ann 2 3 hut"), a={"label": "plan"}, b={"label": 5, "kind": ""})
    assert [(event["name"], event["cat"]) for event in events_of(spans, "X")] == [
        ("plan", "span"),
        ("lab", "span"),
        ("hut", "span"),
    ]


def test_tokens_are_arguments_of_the_slice():
    used = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}
    odd = {"gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": True}
    spans = with_data(spans_of("ann 0 1 desk", "ann 1 2 desk"), a={"attributes": used}, b={"attributes": odd})
    assert [event["args"].get("tokens") for event in events_of(spans, "X")] == [{"input": 12, "output": 3}, None]


def test_a_parent_is_beside_the_data_if_the_frame_has_it():
    spans = spans_of("ann 0 5 desk", "ann 1 2 lab", parents={"b": "a"})
    assert [event["args"]["tokenvis"]["parent_id"] for event in events_of(spans, "X")] == [None, "a"]
    assert "parent_id" not in events_of(spans_of("ann 0 5 desk"), "X")[0]["args"]["tokenvis"]


@pytest.mark.parametrize(
    ("source", "target", "arrow"),
    [
        ("0 10", "20 30", "a 9 > b 20"),
        ("0 10", "10 30", "a 9 > b 10"),
        ("0 10", "4 30", "a 4 > b 4"),
        ("0 10", "0 30", "a 0 > b 0"),
        ("5 5", "9 9", "a 5 > b 9"),
        ("5 5", "5 5", "a 5 > b 5"),
        ("5 9", "2 3", "a 5 > b 2"),
    ],
)
def test_a_link_is_an_arrow_from_inside_the_source_to_the_targets_start(source, target, arrow):
    spans = spans_of(f"ann {source} desk", f"bob {target} lab")
    assert arrows(with_data(spans, b={"links": ["a", "unknown", "a"]})) == [arrow]


def test_the_two_ends_of_an_arrow_share_a_number_and_come_after_all_slices():
    spans = spans_of("ann 0 5 desk", "bob 5 9 lab", "eve 9 12 attic")
    document = document_of(with_data(spans, b={"links": ["a"]}, c={"links": ["a", "b"]}))
    events = document["traceEvents"]
    assert [event["ph"] for event in events] == [*"MMMMMM", *"XXX", *"sfsfsf"]
    assert [event["id"] for event in events[9:]] == [1, 1, 2, 2, 3, 3]
    assert {(event["cat"], event["name"], event.get("bp")) for event in events[9:]} == {
        ("link", "link", None),
        ("link", "link", "e"),
    }


def test_a_link_targets_a_span_of_its_own_trace():
    spans = spans_of("ann 0 5 desk u", "bob 5 9 lab t")
    assert arrows(with_data(spans, b={"links": ["a"]})) == []


def test_times_of_63_bits_are_kept():
    low, high = -(2**63), 2**63 - 1
    [event] = events_of(spans_of("ann 0 1 desk").assign(start_time=low, end_time=high), "X")
    assert (event["ts"], event["dur"]) == (low, high - low)


def test_no_spans_give_no_events():
    assert document_of(spans_of())["traceEvents"] == []


@pytest.mark.laws
@given(spans=spans_frames(data=True))
def test_slices_of_a_thread_never_overlap_and_ids_are_unique(spans):
    slices = events_of(spans, "X")
    taken = [(event["tid"], event["ts"], event["ts"] + max(event["dur"], 1)) for event in slices]
    for (one, start, end), (other, other_start, other_end) in itertools.combinations(taken, 2):
        assert one != other or end <= other_start or other_end <= start
    owners = pd.DataFrame(
        [
            (e["tid"], e["pid"], *(e["args"]["tokenvis"][name] for name in ("trace_id", "agent_id", "location_id")))
            for e in slices
        ],
        columns=["tid", "pid", "trace", "agent", "location"],
    )
    distinct = {name: len(owners.drop_duplicates(name)) for name in ("tid", "pid")}
    assert len(owners.drop_duplicates(["tid", "pid", "trace", "agent", "location"])) == distinct["tid"]
    assert len(owners.drop_duplicates(["pid", "trace", "agent"])) == distinct["pid"]
    assert len(owners.drop_duplicates(["trace", "agent"])) == distinct["pid"]
    assert not set(owners["tid"]) & set(owners["pid"])


@pytest.mark.laws
@given(spans=spans_frames(data=True))
def test_every_link_within_a_trace_is_an_arrow_between_its_spans(spans):
    slices = {(e["args"]["tokenvis"]["trace_id"], e["args"]["tokenvis"]["id"]): e for e in events_of(spans, "X")}
    links = set()
    for (trace, span), event in slices.items():
        for link in (event["args"]["tokenvis"]["data"] or {}).get("links", []):
            if (trace, link) in slices:
                links.add((trace, link, span))
    found = set()
    for out, into in zip(events_of(spans, "s"), events_of(spans, "f"), strict=True):
        [source] = [key for key, event in slices.items() if event["tid"] == out["tid"] and is_within(out["ts"], event)]
        [target] = [key for key, event in slices.items() if event["tid"] == into["tid"] and event["ts"] == into["ts"]]
        assert out["ts"] <= into["ts"] or slices[target]["ts"] < slices[source]["ts"]
        found.add((*source, target[1]))
    assert found == links


def is_within(time, event):
    return event["ts"] <= time < event["ts"] + max(event["dur"], 1)
