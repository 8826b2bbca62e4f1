import json

import pytest
from files import problem_texts, reading_of, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import ingest
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.chrome_trace.reader import read, recognises


def event(phase, time, name="work", tid=1, pid=1, **more):
    return {"ph": phase, "ts": time, "name": name, "pid": pid, "tid": tid, **more}


def complete(time, lasts, name="work", **more):
    return event("X", time, name, dur=lasts, **more)


def spans_of(*events, text=None):
    """Each span as text: "name start-end", "^" and its parent's name, "<" and those that it follows; and the problems."""
    reading = reading_of("x.json", text or json.dumps({"traceEvents": events}))
    spans = {span.id: span for span in read(reading)}
    name = {id_: span.data["label"] for id_, span in spans.items()}
    texts = []
    for span in spans.values():
        parent = f" ^{name[span.parent]}" if span.parent else ""
        links = "".join(f" <{name[link]}" for link in span.data.get("links", ()))
        texts.append(f"{span.data['label']} {span.start}-{'?' if span.end is None else span.end}{parent}{links}")
    return sorted(texts), problem_texts(reading)


def test_slices_that_enclose_each_other():
    assert spans_of(
        complete(2, 3, "b"), complete(0, 9, "a"), complete(3, 1, "c"), complete(9, 1, "d"), complete(2, 3, "e", tid=2)
    ) == (
        ["a 0-9", "b 2-5 ^a", "c 3-4 ^b", "d 9-10", "e 2-5"],
        [],
    )


def test_begins_and_ends():
    assert spans_of(
        event("B", 0, "a", args={"x": 1}), event("B", 1, "b"), event("B", 1, "other", tid=2),
        event("E", 3, args={"y": 2}), event("E", 4, tid=2), event("E", 9), event("E", 9), event("B", 10, "open"),
    ) == (
        ["a 0-9", "b 1-3 ^a", "open 10-?", "other 1-4"],
        ["x.json, item 7: invalid value (it ends a slice that never began)."],
    )  # fmt: skip


def test_a_slice_of_a_growing_file_keeps_its_id():
    begun = [event("B", 0, "a"), event("B", 1, "b")]
    ids = [
        {span.data["label"]: span.id for span in read(reading_of("x.json", json.dumps(events)))}
        for events in (begun, [*begun, event("E", 3), event("E", 9)])
    ]
    assert ids[0] == ids[1]


def test_asynchronous_slices_nest_by_their_id_alone():
    assert spans_of(
        event("b", 0, "a", cat="net", id="1"), event("b", 2, "b", cat="net", id="1"), event("b", 1, "c", cat="net", id="2"),
        event("e", 3, cat="net", id="1", tid=7), event("e", 9, cat="net", id="1"), event("e", 4, cat="net", id="2"),
        event("S", 5, "old", id="3"), event("F", 6, "old", id="3"), event("n", 7, "instant", cat="net", id="1"),
    ) == (["a 0-9", "b 2-3 ^a", "c 1-4", "instant 7-7", "old 5-6"], [])  # fmt: skip


def test_flows_link_slices():
    assert spans_of(
        complete(0, 5, "send"), complete(1, 2, "inner"), complete(6, 4, "receive", tid=2), complete(20, 5, "last", tid=3),
        event("s", 2, "flow", id=1), event("f", 7, "flow", tid=2, id=1, bp="e"),
        event("s", 8, "two", tid=2, id=2), event("f", 15, "two", tid=3, id=2),
    ) == (["inner 1-3 ^send", "last 20-25 <receive", "receive 6-10 <inner", "send 0-5"], [])  # fmt: skip


def test_a_flow_with_steps_and_a_flow_without_a_start():
    assert spans_of(
        complete(0, 5, "a"), complete(6, 4, "b", tid=2), complete(20, 5, "c", tid=3),
        event("s", 1, "f", id=1), event("t", 7, "f", tid=2, id=1), event("f", 21, "f", tid=3, id=1, bp="e"),
        event("s", 50, "g", id=2), event("f", 21, "g", tid=3, id=2, bp="e"),
    ) == (["a 0-5", "b 6-10 <a", "c 20-25 <b"], [])  # fmt: skip


def test_times_are_floored_and_exact():
    text = '[{"ph":"X","pid":1,"tid":1,"name":"a","ts":81995849580.999,"dur":1.001},{"ph":"X","pid":1,"tid":"1","name":"b",'
    text += '"ts":"11550183666","dur":"0"},{"ph":"X","pid":1,"tid":1,"name":"c","ts":-0.5,"dur":1},'
    assert spans_of(text=text) == (
        ["a 81995849580-81995849582", "b 11550183666-11550183666", "c -1-0"],
        [],
    )


def test_an_array_truncated_in_an_event_is_a_problem():
    text = json.dumps([complete(0, 1, "a"), complete(1, 1, "b")])
    assert spans_of(text=text[:-1]) == (["a 0-1", "b 1-2"], [])
    assert spans_of(text=text[:-5]) == (["a 0-1"], ["x.json: is truncated; the complete part was read."])


def test_instants_and_skipped_events():
    reading = reading_of(
        "x.json", json.dumps([event("i", 5, "tick"), event("C", 5), event("C", 6), event("P", 5), event("??", 1)])
    )
    assert [(span.start, span.end) for span in read(reading)] == [(5, 5)]
    assert reading.skipped == {"events of phase 'C'": 2, "events of phase 'P'": 1, "events of phase '?'": 1}


def test_a_complete_event_without_a_duration():
    assert spans_of(event("X", 7, "by the thread's clock", tdur=4), event("X", 8, "none")) == (
        ["by the thread's clock 7-11", "none 8-?"],
        [],
    )


NAMES = [
    event("M", 0, "process_name", args={"name": "shop"}),
    event("M", 0, "thread_name", args={"name": "till"}),
    complete(0, 5, "sell", args={"price": 1.5}, cat="trade"),
    complete(0, 5, "wait", tid=2),
    complete(0, 5, "else", pid="x", tid=-1),
]


def test_process_and_thread_are_agent_and_location_either_way_round():
    write_file("x.json", json.dumps([*NAMES[2:], *NAMES[:2]]))
    columns = ["agent_id", "location_id"]
    one = ingest("x.json").spans()[columns].astype(str).to_numpy().tolist()
    other = ingest("x.json", agent="thread", location="process", store="y.db").spans()[columns].astype(str).to_numpy().tolist()
    assert sorted(one) == [["process x", "thread -1"], ["shop", "thread 2"], ["shop", "till"]]
    assert sorted(other) == sorted([location, agent] for agent, location in one)


def test_the_data_of_an_event_are_kept():
    [span, *_] = read(reading_of("x.json", json.dumps(NAMES)))
    assert json.loads(json.dumps(span.data, default=float)) == {
        "label": "sell", "kind": "trade", "process": "shop", "thread": "till", "attributes": {"price": 1.5},
    }  # fmt: skip


def test_figures_in_arguments_have_opentelemetrys_names():
    arguments = {"llm.token_count.prompt": 5, "gen_ai.usage.cache_read_tokens": 40.0, "gen_ai.usage.estimated": True}
    [span] = read(reading_of("x.json", json.dumps([complete(0, 5, "chat", args=arguments)])))
    assert span.data["attributes"] == {
        "gen_ai.usage.estimated": True,
        "gen_ai.usage.input_tokens": 45,
        "gen_ai.usage.cache_read.input_tokens": 40,
    }
    assert span.data["estimated"] == ["gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ts": None}, "invalid value (a time is of type NoneType)"),
        ({"ts": "noon"}, "invalid value ('noon' is not a time in µs)"),
        ({"ts": 1e300}, None),
        ({"pid": []}, "invalid value (an id is of type list)"),
        ({"ph": 5}, "invalid value ('ph' is of type int)"),
        ({"ph": None}, "'ph' is missing"),
        ({"dur": -5}, "invalid value (a duration of -5 µs)"),
    ],
)
def test_a_bad_event_is_a_problem_and_the_others_are_kept(change, reason):
    found, wrong = spans_of({**complete(0, 5, "bad"), **change}, complete(1, 2, "good"))
    assert found == ["good 1-3"]
    assert wrong == [f"x.json, item 1: {reason}."] if reason else wrong[0].endswith(" is not a time in µs).")


def test_two_files_with_one_name_are_two_traces():
    one, other = (ingest(write_file(f"{folder}/x.json", json.dumps(NAMES)), store="x.db") for folder in "ab")
    assert one.written[0].trace_id != other.written[0].trace_id
    assert {one.written[0].added, other.written[0].added} == {3}
    assert set(one.names.values()) == {"x"}


def test_a_file_that_is_not_a_chrome_trace():
    for text in ('{"traceEvents": 5}', '[{"ph": 5, "ts": 1}]', '[{"ph": "X"}]', "[]"):
        assert not recognises(head_of(reading_of("x", text).source))


SLICES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5), st.integers(1, 2)), max_size=8)


@pytest.mark.laws
@given(SLICES)
def test_a_parent_is_the_enclosing_slice_that_begins_last(tmp_path_factory, rows):
    events = [complete(start, lasts, f"{row}", tid=tid) for row, (start, lasts, tid) in enumerate(rows)]
    reading = reading_of(tmp_path_factory.mktemp("law") / "x.json", json.dumps(events))
    spans = list(read(reading))
    by_id = {span.id: span for span in spans}
    for row, (start, lasts, tid) in enumerate(rows):
        around = [
            (other_start, -other_lasts)
            for other, (other_start, other_lasts, other_tid) in enumerate(rows)
            if other_tid == tid
            and (other_start, -other_lasts, other) < (start, -lasts, row)
            and start < other_start + other_lasts
            and start + lasts <= other_start + other_lasts
        ]
        parent = by_id.get(spans[row].parent)
        found = None if parent is None else (parent.start, parent.start - parent.end)
        assert found == max(around, default=None)


def named(phase, time, name=None, **more):
    return {"ph": phase, "ts": time, "pid": 1, "tid": 1, **({"name": name} if name else {}), **more}


@pytest.mark.parametrize(
    ("events", "spans"),
    [
        ([named("E", 90), complete(10, 10, "late"), named("B", 5, "A")], ["A 5-90", "late 10-20 ^A"]),
        ([named("E", 9, "a"), named("E", 7, "b"), named("B", 3, "b"), named("B", 1, "a")], ["a 1-9", "b 3-7 ^a"]),
        ([named("B", 1, "a"), named("B", 3, "b"), named("E", 5, "a"), named("E", 7, "b")], ["a 1-5", "b 3-7"]),
        ([named("B", 1, "a"), named("B", 5, "b"), named("E", 5, "a"), named("E", 9, "b")], ["a 1-5", "b 5-9"]),
        ([named("B", 1, "a"), named("E", 5), named("B", 5, "b"), named("E", 9)], ["a 1-5", "b 5-9"]),
        ([named("B", 1, "a"), named("B", 5, "b"), named("E", 5), named("E", 9)], ["a 1-9", "b 5-5 ^a"]),
        ([named("E", 5, "b"), named("B", 5, "b"), named("B", 1, "a"), named("E", 9, "a")], ["a 1-9", "b 5-5 ^a"]),
        ([named("E", 5), named("B", 5, "b")], ["b 5-5"]),
        ([named("E", 5.7), named("B", 5.2, "b"), named("E", 5.1), named("B", 4, "a")], ["a 4-5", "b 5-5"]),
        ([named("e", 9, id=1), named("e", 4, id=1), named("b", 2, "in", id=1), named("b", 1, "out", id=1)],
         ["in 2-4 ^out", "out 1-9"]),
        ([named("E", 5, "?"), named("B", 3, "b")], ["b 3-5"]),
        ([named("B", 5, "a"), named("E", 9, "a"), named("E", 5, "a"), named("B", 1, "a")], ["a 1-5", "a 5-9"]),
        ([named("E", 9, "a"), named("B", 5, "a"), named("B", 1, "a"), named("E", 5, "a")], ["a 1-5", "a 5-9"]),
        ([named("E", 9), named("B", 5, "b"), named("E", 5), named("B", 1, "a")], ["a 1-5", "b 5-9"]),
        ([named("B", 1, "a"), named("B", 5, "a"), named("E", 5, "a"), named("E", 9, "a")], ["a 1-9", "a 5-5 ^a"]),
    ],
)  # fmt: skip
def test_pairs_are_matched_by_time_and_name_in_any_order(events, spans):
    assert spans_of(*events) == (spans, [])


def test_an_end_before_its_begin_adds_its_arguments_to_it():
    [span] = read(reading_of("x.json", json.dumps([named("E", 9, args={"y": 2}), named("B", 5, "a", args={"x": 1, "y": 1})])))
    assert (span.data["attributes"], span.line) == ({"x": 1, "y": 2}, 2)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_flows_are_bound_by_time_in_any_order(order):
    flows = [named("s", 1, id=1), named("f", 7, id=1, bp="e", tid=2), named("s", 7, id=1, tid=2), named("f", 21, id=1, tid=3)]
    slices = [complete(0, 5, "a"), complete(6, 4, "b", tid=2), complete(22, 5, "c", tid=3)]
    assert spans_of(*slices, *(flows[place] for place in order))[0] == ["a 0-5", "b 6-10 <a", "c 22-27 <b"]


def brute_force_pairs(events):
    """Each begin and its end, by the rules of pairs, one event after the other; names are unique, so that no tie is left."""
    opened, ended = {}, {}
    for event in events:
        if event["ph"] in "Bb":
            opened[event["name"]] = event["ts"]
        else:
            ended[event["name"]] = event["ts"]
    return sorted(f"{name} {start}-{ended.get(name, '?')}" for name, start in opened.items())


PAIRS = st.lists(st.tuples(st.integers(0, 6), st.none() | st.integers(0, 4), st.integers(1, 2), st.booleans()), max_size=7)


@pytest.mark.laws
@given(PAIRS, st.randoms(use_true_random=False))
def test_a_shuffled_file_gives_the_same_pairs(rows, random):
    events = []
    for row, (start, lasts, tid, is_async) in enumerate(rows):
        begin, end = "be" if is_async else "BE"
        events.append(named(begin, start, f"n{row}", tid=tid, id=tid))
        if lasts is not None:
            events.append(named(end, start + lasts, f"n{row}", tid=tid, id=tid))
    expected = brute_force_pairs(events)
    random.shuffle(events)
    found, problems = spans_of(*events) if events else ([], [])
    assert ([text.split(" ^")[0] for text in found], problems) == (expected, [])


@pytest.mark.laws
@given(st.lists(st.tuples(st.sampled_from("BE"), st.integers(1, 3)), max_size=12), st.randoms(use_true_random=False))
def test_a_shuffled_file_gives_the_same_stack(moves, random):
    """Without names and without ties in time, a stack in the order of time is the oracle."""
    events, stack, expected, time, n_wrong = [], [], [], 0, 0
    for row, (phase, wait) in enumerate(moves):
        time += wait
        events.append(named(phase, time, f"n{row}" if phase == "B" else None))
        if phase == "B":
            stack.append((f"n{row}", time))
        elif stack:
            name, start = stack.pop()
            expected.append(f"{name} {start}-{time}")
        else:
            n_wrong += 1
    expected += [f"{name} {start}-?" for name, start in stack]
    random.shuffle(events)
    found, problems = spans_of(*events) if events else ([], [])
    assert ([text.split(" ^")[0] for text in found], len(problems)) == (sorted(expected), n_wrong)


def test_processes_of_one_name_are_told_apart_if_they_run_at_once():
    named = [event("M", 0, "process_name", pid=pid, args={"name": "worker"}) for pid in (1, 2, 3)]
    events = [complete(0, 5, "a"), complete(2, 5, "b", pid=2), complete(8, 1, "c", pid=3)]
    write_file("x.json", json.dumps({"traceEvents": [*named, *events]}))
    assert ingest("x.json").spans()["agent_id"].tolist() == ["worker", "worker 2", "worker"]
