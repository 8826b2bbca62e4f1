"""The recorder: the spans of a program are stored with the right times, parents and data."""

import asyncio
import gc
import json
import logging
import pickle
import random
import re
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import interrupted, locked, wait_until

from tokenvis import BadOption, BadSpan, Recorder, Store, StoreError, expand_data, export, ingest, load_spans, load_traces
from tokenvis.record import delivery, recorder, writer
from tokenvis.record.live import current_span
from tokenvis.record.recorder import new_trace_id


def data_of(spans) -> list[dict | None]:
    return [None if data != data else json.loads(data) for data in spans["data"]]


def test_spans_events_and_handoffs_are_stored():
    before = time.time_ns() // 1_000
    with Recorder("t", name="Trace") as own:
        with own.span("Ann", "desk", label="plan") as plan:
            plan.data["n"] = 1
            assert own.current is plan
            instant = own.event("Ann", "desk", label="saved")
        with own.span("Bob", "lab") as work:
            own.link(plan)
            own.link(plan)
            own.link("elsewhere/1")
        own.link(work, instant)
        assert own.current is None
    after = time.time_ns() // 1_000
    assert load_traces()[["id", "name", "n_spans"]].to_numpy().tolist() == [["t", "Trace", 3]]
    spans = load_spans("t").set_index("id")
    assert before - 1_000_000 <= spans["start_time"].min() <= spans["end_time"].max() <= after + 1_000_000
    ids = [plan.id, instant.id, work.id]
    assert [re.sub(r"/\w{10}-", "/…-", one) for one in ids] == ["t/…-000001", "t/…-000002", "t/…-000003"]
    assert data_of(spans.loc[ids]) == [
        {"label": "plan", "n": 1},
        {"label": "saved", "links": [work.id], "parent_id": plan.id},
        {"links": [plan.id, "elsewhere/1"]},
    ]
    assert (spans["start_time"][instant.id], spans["end_time"][instant.id]) == (instant.start_time, instant.start_time)
    assert repr(own) == f"Recorder('t', store='{own.store.path}')"


def told(spans) -> list[tuple]:
    """Each span as agent, location, and its data without the parent."""
    data = [{key: value for key, value in (one or {}).items() if key != "parent_id"} for one in data_of(spans)]
    return list(zip(spans["agent_id"], spans["location_id"], data, strict=True))


def test_an_agent_waits_where_it_is():
    with Recorder("t") as own, own.span("Ann", "desk") as around:
        with own.wait(label="May I?") as wait:
            assert own.current is wait
        own.wait("Eve", location="hall", waits_for_kind="agent").start().end()
    with own.wait(agent="Bob", location="lab", waits_for="Ann"):
        pass
    own.flush()
    spans = load_spans("t")
    assert told(spans[spans["id"] != around.id]) == [
        ("Ann", "desk", {"label": "May I?", "waits_for": "user"}),
        ("Ann", "hall", {"waits_for": "Eve", "waits_for_kind": "agent"}),
        ("Bob", "lab", {"waits_for": "Ann"}),
    ]
    assert spans["parent_id"].eq(around.id).sum() == 2


def test_the_span_of_another_recorder_does_not_say_who_waits():
    message = r"^There is no open span that waits\. Call wait\(\) inside a span, or pass agent= and location=\.$"
    with Recorder("t") as own, Recorder("u") as other, other.span("Ann", "desk"):
        for given in ({}, {"agent": "Bob"}, {"location": "lab"}):
            with pytest.raises(BadOption, match=message):
                own.wait(**given)
        with own.span("Bob", "lab"), other.span("Eve", "hall"), own.wait():
            pass
    assert told(load_spans("t"))[1] == ("Bob", "lab", {"waits_for": "user"})


def test_waits_around_functions_and_coroutines():
    with Recorder("t") as own, own.span("Ann", "desk"):

        @own.wait("Eve")
        def ask():
            return own.event("Ann", "desk")

        async def wait():
            async with own.wait():
                pass

        ask()
        asyncio.run(wait())
    assert told(load_spans("t"))[1:] == [
        ("Ann", "desk", {"waits_for": "Eve", "label": ask.__qualname__}),
        ("Ann", "desk", {}),
        ("Ann", "desk", {"waits_for": "user"}),
    ]


@pytest.mark.parametrize(
    ("given", "waits_for"),
    [("", "user"), (" \n", "user"), (True, "user"), (None, "user"), (7, "7"), (b"x", "b'x'"), ("é", "é")],
)
def test_whom_a_wait_is_for_is_text(given, waits_for):
    with Recorder("t") as own, own.wait(given, agent="Ann", location="desk"):
        pass
    assert data_of(load_spans("t")) == [{"waits_for": waits_for}]


@pytest.mark.parametrize("odd", ["", "yes", 5, [True], {"a": 1}, float("nan"), object])
def test_marks_with_odd_values_are_recorded(odd):
    with Recorder("t") as own, own.span("Ann", "desk", detached=odd, waits_for=odd):
        pass
    assert load_spans("t")["data"].notna().all()


class Hostile(str):
    def raising(self, *_):
        raise ZeroDivisionError

    endswith = rpartition = __eq__ = raising
    __hash__ = str.__hash__


def test_a_tool_that_asks_waits_for_the_user():
    with Recorder("t") as own:
        own.event("Ann", "tool:AskUserQuestion")
        own.event("Ann", "tool:AskUserQuestion", waits_for="Eve")
        own.event("Ann", "tool:AskUserQuestion", waits_for=None)
        own.event("Ann", "tool:Bash")
        own.event("Ann", "desk", label=Hostile("blocked_on_user"), attributes={"mcp.method.name": Hostile("x")})
        with own.span("Ann", "desk") as asked:
            asked.data["label"] = "tool.blocked_on_user"
    assert [data and data.get("waits_for") for data in data_of(load_spans("t"))] == ["user", "Eve", None, None, None, "user"]


@pytest.mark.laws
@settings(max_examples=settings.default.max_examples // 4)  # each example is a full recording
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tool:AskUserQuestion", "tool:Bash", "desk"]),
            st.dictionaries(
                st.sampled_from(["label", "waits_for", "waits_for_kind", "detached", "span_kind"]),
                st.sampled_from(["tool.blocked_on_user", "Eve", "", "agent", "producer", True, False, 0, None]),
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_reading_the_export_of_a_recording_changes_no_wait(tmp_path_factory, spans):
    folder = tmp_path_factory.mktemp("law")
    with Recorder("t", store=folder / "recorded.db") as own:
        for location, data in spans:
            own.event("Ann", location, **data)
    recorded = load_spans("t", store=own.store)
    ingest(export(recorded, folder / "t.jsonl"), store=folder / "read.db")
    assert load_spans("t", store=folder / "read.db")["data"].equals(recorded["data"])


def test_a_trace_without_a_name_is_named_by_the_time_and_stored_without_spans():
    with Recorder() as own:
        pass
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", own.trace_id)
    assert load_traces()[["id", "name"]].to_numpy().tolist() == [[own.trace_id] * 2]
    assert new_trace_id() != new_trace_id()


def test_a_trace_keeps_its_name_and_its_spans():
    Store(create=True).write_trace(
        "t", [{"id": "a", "agent_id": "x", "location_id": "y", "start_time": 0, "end_time": 5}], name="Old"
    )
    with Recorder("t") as own:
        own.event("Ann", "desk")
    assert load_traces()[["name", "n_spans"]].to_numpy().tolist() == [["Old", 2]]
    Recorder("t", name="New").close()
    assert load_traces()["name"].tolist() == ["New"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trace_id": 7}, "trace_id=7 is not a name. A trace's id must be a text."),
        ({"trace_id": ""}, "trace_id='' is not a name. A trace's id must be a text."),
        ({"trace_id": "\ud800"}, "trace_id='\\ud800' cannot be encoded as UTF-8."),
        ({"name": b"x"}, "name=b'x' is not a name. A trace's name must be a text."),
        ({"max_spans": 0}, "max_spans=0 is not a number of spans. Pass an integer of at least 1."),
        ({"max_seconds": "soon"}, "max_seconds='soon' is not a duration. Pass a positive number of seconds."),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises((BadSpan, BadOption)) as caught:
        Recorder(**options)
    assert str(caught.value) == message


def test_spans_with_their_own_times():
    with Recorder("t") as own, own.span("Ann", "desk") as around:
        own.add("Bob", "field", start_time=-5, end_time=0, weather="rain")
        own.add("Bob", "field", start_time=2**62, end_time=2**62, parent_id=around.id)
    spans = load_spans("t")
    assert spans.loc[spans["agent_id"] == "Bob", ["start_time", "end_time"]].to_numpy().tolist() == [[-5, 0], [2**62, 2**62]]
    assert data_of(spans[spans["agent_id"] == "Bob"]) == [{"weather": "rain"}, {"parent_id": around.id}]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((1.5, 2), "start_time=1.5 is not a 64-bit integer of microseconds. Convert seconds: round(seconds * 1_000_000)."),
        ((1, True), "end_time=True is not a 64-bit integer of microseconds."),
        ((1, 2**63), "end_time=9223372036854775808 is not a 64-bit integer of microseconds."),
        ((None, 2), "start_time=None is not a 64-bit integer of microseconds."),
        (
            (datetime(2026, 1, 1), 2),
            "start_time=datetime.datetime(2026, 1, 1, 0, 0) is not a 64-bit integer of microseconds. "
            "Convert it: round(time.timestamp() * 1_000_000).",
        ),
        ((5, 3), "A span of agent 'Ann' in trace 't' ends at 3 before it starts at 5."),
    ],
)
def test_invalid_times_are_refused_and_nothing_is_recorded(times, message):
    with Recorder("t") as own:
        with pytest.raises(BadSpan) as caught:
            own.add("Ann", "desk", start_time=times[0], end_time=times[1])
        assert str(caught.value) == message
    assert load_traces()["n_spans"].tolist() == [0]


def test_a_span_in_data_is_stored_as_its_id_and_keys_may_have_any_name():
    with Recorder("t") as own:
        first = own.event("Ann", "desk", self=1)
        own.event("Bob", "desk", parent_id=first, links=[first], requested_by=first)
        with pytest.raises(
            TypeError, match=r"^<LiveSpan of 'Ann' at 'desk', ended> cannot be copied or sent to another process\. Send its id"
        ):
            pickle.dumps(first)
    assert data_of(load_spans("t")) == [
        {"self": 1},
        {"links": [first.id], "requested_by": first.id, "parent_id": first.id},
    ]


def test_older_names_of_figures_count():
    with Recorder("t") as own:
        with own.span("Ann", "model:m", **{"gen_ai.usage.prompt_tokens": 1_000}) as call:
            call.data["gen_ai.usage.cache_read_tokens"] = 900
        own.event("Ann", "desk", **{"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.input_tokens": 6})
        own.event("Ann", "desk", **{"gen_ai.usage.estimated_cost_usd": 0.5, "estimated": ["start_time"]})
        own.event("Ann", "desk", **{"gen_ai.usage.cost": {"input": 0.25, "output": 0.5, "total": 0}})
    assert call.data == {"gen_ai.usage.prompt_tokens": 1_000, "gen_ai.usage.cache_read_tokens": 900}  # the program's own
    assert data_of(load_spans("t")) == [
        {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.cache_read.input_tokens": 900},
        {"gen_ai.usage.input_tokens": 6, "gen_ai.usage.prompt_tokens": 5},
        {"estimated": ["start_time", "gen_ai.usage.cost"], "gen_ai.usage.cost": 0.5},
        {"gen_ai.usage.cost": 0.75},
    ]


def test_figures_whose_methods_raise_are_recorded():
    class Odd:
        def __float__(self):
            raise RuntimeError

    with Recorder("t") as own:
        own.event("Ann", "desk", **{"gen_ai.usage.prompt_tokens": Odd(), "label": "x"})
    [data] = data_of(load_spans("t"))
    assert (data["label"], data["tokenvis.cut"]) == ("x", ["gen_ai.usage.prompt_tokens"])


def test_spans_that_are_open_when_the_recorder_closes_get_the_same_end():
    own = Recorder("t")
    for _ in range(9):
        own.span("Ann", "desk").__enter__()
    own.close()
    assert load_spans("t")["end_time"].nunique() == 1
    current_span.set(None)


def test_a_link_needs_two_spans():
    with Recorder("t") as own:
        with pytest.raises(BadOption) as caught:
            own.link("a")
        assert str(caught.value) == "There is no open span to link. Call link() inside a span, or pass target=."
        with own.span("Ann", "desk"), pytest.raises(BadOption) as caught:
            own.link(own.span("Bob", "lab"))
        assert str(caught.value) == (
            "source=<LiveSpan of 'Bob' at 'lab', not started> is neither a span that has started nor the id of a span."
        )


@pytest.mark.parametrize(
    ("data", "links"), [({"links": "a"}, ["a", "b"]), ({"links": ("b",)}, ["b"]), ([1], ["b"]), ({"links": None}, [None, "b"])]
)
def test_a_link_is_added_to_data_of_any_form(data, links):
    with Recorder("t") as own, own.span("Ann", "desk") as span:
        span.data = data
        own.link("b")
    assert data_of(load_spans("t"))[0]["links"] == links


def test_a_link_to_a_span_of_another_recorder_that_has_ended_is_stored():
    with Recorder("t") as own, Recorder("u") as other:
        span = other.event("Bob", "lab")
        other.flush()
        own.link("t/1", span)
    assert data_of(load_spans("u")) == [{"links": ["t/1"]}]


def test_recording_odd_values_never_raises():
    class Odd:
        __class__ = property(lambda self: 1 / 0)

        def __repr__(self):
            return 1 / 0

    with Recorder("t") as own:
        own.event(Odd(), None, label=Odd(), text="x" * 100_000_000)
        with own.span("a\0\ud800", "x" * 20_000, **{"": 1, "\ud800": 2}) as span:
            span.data[Odd()] = span
    spans = load_spans("t")
    assert len(spans) == 2
    assert data_of(spans)[0]["text"] == "✂ " + "x" * 2_000 + "… (100,000,000 characters)"


def test_if_the_wall_clock_goes_back_no_span_ends_before_its_start(monkeypatch):
    with Recorder("t") as own:
        with own.span("Ann", "desk") as span:
            monkeypatch.setattr(recorder, "time_ns", lambda: 0)
        own.event("Ann", "desk")
    spans = load_spans("t")
    assert spans["start_time"].tolist() == sorted(spans["start_time"])
    assert (spans["start_time"] <= spans["end_time"]).all()
    assert span.start_time > 10**15


def test_if_the_monotonic_clock_goes_back_no_span_ends_before_its_start(monkeypatch):
    own = Recorder("t", open_spans=True)
    ticks = iter(range(10**15, 0, -(10**6)))
    monkeypatch.setattr(recorder, "perf_counter_ns", lambda: next(ticks))
    with own.span("Ann", "desk"):
        own.flush()
        assert data_of(load_spans("t")) == [{"status": "open"}]
    own.close()
    spans = load_spans("t")
    assert (spans["start_time"] == spans["end_time"]).all()


def test_open_spans_are_stored_as_open_and_again_when_they_end():
    with Recorder("t", open_spans=True, max_seconds=0.02) as own:
        with own.span("Ann", "desk", label="plan", status="ok") as span:
            wait_until(lambda: load_traces()["n_spans"].tolist() == [1])
            first = load_spans("t")
            assert data_of(first) == [{"label": "plan", "status": "open"}]
            wait_until(lambda: load_spans("t")["end_time"].item() > first["end_time"].item())
        own.flush()
        assert data_of(load_spans("t")) == [{"label": "plan", "status": "ok"}]
        assert load_spans("t")["end_time"].item() == span.end_time


def test_closing_stores_open_spans_and_their_end_is_stored_later():
    own = Recorder("t")
    span = own.span("Ann", "desk").start()
    own.close()
    assert data_of(load_spans("t")) == [{"status": "open"}]
    span.end()
    own.close()
    assert data_of(load_spans("t")) == [None]
    assert own._open == {}


def test_a_span_that_ends_while_the_recorder_closes_is_stored_as_ended(monkeypatch):
    """On another thread, after `close` has found the span open and before it has put the row."""
    own = Recorder("t")
    span = own.span("Ann", "desk").start()
    put = own._writer.put

    def put_after_the_end(row):
        if span.end_time is None:
            span.end()
        put(row)

    monkeypatch.setattr(own._writer, "put", put_after_the_end)
    own.close()
    assert data_of(load_spans("t")) == [None]


def test_an_interrupt_while_a_span_ends_loses_nothing(monkeypatch):
    own = Recorder("t")
    span = own.span("Ann", "desk").start()
    put = own._writer.put

    def interrupted(row):
        monkeypatch.setattr(own._writer, "put", put)
        raise KeyboardInterrupt

    monkeypatch.setattr(own._writer, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        span.end()
    own.close()
    assert load_spans("t")[["start_time", "end_time"]].to_numpy().tolist() == [[span.start_time, span.end_time]]
    assert data_of(load_spans("t")) == [None]


def test_durable_calls_return_when_their_span_is_stored():
    def work(agent):
        for number in range(10):
            event = own.event(f"{agent}", "desk", number=number)
            with closing(sqlite3.connect(own.store.path)) as connection:
                found.append(connection.execute("SELECT count(*) FROM spans WHERE id = ?", [event.id]).fetchone()[0])

    found: list[int] = []
    with Recorder("t", durable=True) as own:
        threads = [threading.Thread(target=work, args=[agent]) for agent in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with own.span("Ann", "lab"):
            assert load_traces()["n_spans"].item() == 80
        assert load_traces()["n_spans"].item() == 81
    assert found == [1] * 80


def test_a_failing_store_blocks_durable_calls_once(monkeypatch):
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.05)
    own = Recorder("t", durable=True)
    own.event("Ann", "desk")
    flushes = []
    flush = own._writer.flush
    monkeypatch.setattr(own._writer, "flush", lambda *given: flushes.append(1) or flush(*given))
    with locked(own.store.path):
        for _ in range(20):
            own.event("Ann", "desk")
        assert len(flushes) == 1
    own.close()
    assert len(load_spans("t")) == 21


def test_a_flush_raises_if_the_database_is_locked(monkeypatch):
    monkeypatch.setattr(writer.Writer.flush, "__defaults__", (0.4,))
    own = Recorder("t")
    with locked(own.store.path):
        own.event("Ann", "desk")
        with pytest.raises(StoreError, match=r"^.*t?\.db stored no spans for 0\.4 s: .* The spans stay queued\.$"):
            own.flush()
    own.close()
    assert len(load_spans("t")) == 1


def test_interleaved_recorders_in_one_store_and_in_two():
    with Recorder("t") as one, Recorder("u") as two, Recorder("t", store="other.db") as three:
        with one.span("a", "outer") as outer, two.span("b", "outer") as beside:
            with three.span("c", "outer"):
                inner = one.event("a", "inner")
                assert (one.current, two.current) == (outer, beside)
            two.event("b", "inner")
        one.event("a", "after")
    spans = load_spans(["t", "u"]).set_index("id")
    [own_of_two] = spans.index[(spans["agent_id"] == "b") & (spans["location_id"] == "inner")]
    assert spans["parent_id"].dropna().to_dict() == {inner.id: outer.id, own_of_two: beside.id}
    assert len(spans) == 5
    assert load_spans("t", store="other.db")["agent_id"].tolist() == ["c"]


def test_a_decorated_generator_of_one_recorder_hides_no_spans_of_another():
    def steps():
        with own.span("Ann", "inner") as inner:
            yield inner.parent_id

    with Recorder("t") as own, Recorder("u") as other, own.span("Ann", "outer") as outer:
        assert list(other.span("Bob", "lab")(steps)()) == [outer.id]


def test_a_function_is_carried_into_other_threads():
    def work(number):
        with own.span("Ann", "inner", number=number) as span:
            parents.append(span.parent_id)
        if number == 3:
            raise ValueError(number)

    parents: list = []
    with Recorder("t") as own:
        with own.span("Ann", "outer") as outer:
            carried = own.carry(work)
        threads = [threading.Thread(target=carried, args=[number]) for number in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
        with own.span("Ann", "beside") as beside:
            with pytest.raises(ValueError, match="3"):
                carried(3)
            assert own.current is beside
    assert parents == [outer.id] * 4
    assert carried.__name__ == "work"


def test_a_garbage_collected_recorder_stores_all_spans_and_its_thread_ends():
    own = Recorder("t", max_seconds=3_000)
    for number in range(100):
        own.event("Ann", "desk", number=number)
    own.span("Ann", "never").start()
    del own
    gc.collect()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "tokenvis-writer"])
    spans = expand_data(load_spans("t"), "number")
    assert spans["number"].dropna().tolist() == list(range(100))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
@pytest.mark.parametrize("options", [{}, {"open_spans": True}, {"max_spans": 3}], ids=str)
def test_a_signal_handler_that_records_may_interrupt_any_step(options):
    n_handled = 0

    def handle():
        nonlocal n_handled
        n_handled += 1
        own.event("handler", "desk", number=n_handled)

    n_spans = 1_500 if options else 20_000
    with Recorder("t", **options) as own, interrupted(handle):
        for number in range(n_spans):
            with own.span("Ann", "desk", number=number):
                pass
            if number % 1_000 == 0:
                own.flush()
    spans = expand_data(load_spans("t"), ["number", "status"])
    assert spans["status"].isna().all()
    assert spans.loc[spans["agent_id"] == "Ann", "number"].tolist() == list(range(n_spans))
    assert sorted(spans.loc[spans["agent_id"] == "handler", "number"]) == list(range(1, n_handled + 1))


def test_a_recorder_may_record_its_own_log(monkeypatch):
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", 0.05)
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.05)

    class Recording(logging.Handler):
        def emit(self, record):
            own.event("log", record.name, message=record.getMessage())

    handler = Recording()
    deliver, errors = delivery.Delivery.deliver, []

    def deliver_or_fail(self, rows):
        if errors:
            raise StoreError("full")
        return deliver(self, rows)

    monkeypatch.setattr(delivery.Delivery, "deliver", deliver_or_fail)
    with Recorder("t", max_spans=8) as own:
        logging.getLogger("tokenvis").addHandler(handler)
        try:
            errors.append(1)
            for number in range(100):
                own.event("Ann", "desk", number=number)
            errors.clear()
            own.flush()
        finally:
            logging.getLogger("tokenvis").removeHandler(handler)
    spans = load_spans("t")
    assert spans["agent_id"].value_counts()["Ann"] == 100
    assert spans["agent_id"].value_counts()["log"] >= 1


def test_parents_are_right_in_interleaved_tasks_generators_and_threads():
    """Each piece of work opens spans inside its own; the path of a location contains the locations of its ancestors."""

    async def agent(name: str, chance: random.Random) -> None:
        @own.span(name, f"{name}/steps")
        def steps():
            for number in range(3):
                with own.span(name, f"{name}/steps/{number}"):
                    yield number

        @own.span(name, f"{name}/stream")
        async def stream():
            async with own.span(name, f"{name}/stream/inner"):
                for number in range(3):
                    await asyncio.sleep(chance.random() / 1_000)
                    own.event(name, f"{name}/stream/inner/event")
                    yield number

        with own.span(name, name):
            turns = steps()
            async for _ in stream():
                next(turns)
                own.event(name, f"{name}/between")
                await asyncio.to_thread(own.event, name, f"{name}/thread")
            turns.close()

    async def everything() -> None:
        await asyncio.gather(*(agent(f"agent {number}", random.Random(number)) for number in range(20)))

    with Recorder("t") as own:
        asyncio.run(everything())
    spans = load_spans("t").set_index("id")
    assert len(spans) == 20 * (1 + 1 + 3 + 1 + 1 + 3 + 3 + 3)
    above = spans["location_id"].astype(str).str.rpartition("/")[0]
    parents = spans["parent_id"].map(spans["location_id"].astype(str)).fillna("")
    assert parents.tolist() == above.tolist()
