import gc
import io
import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import tokenvis as tv
from tokenvis.record.exporter import LiveSpanProcessor, TokenvisSpanExporter
from tokenvis.store.append import Appender

AGENT = {"gen_ai.operation.name": "invoke_agent"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "opus"}
SECOND = 1_000_000_000
CONTEXT = SpanContext(0xA, 0xB, is_remote=False, trace_flags=TraceFlags(1))


@pytest.fixture
def exporter():
    exporter = TokenvisSpanExporter(store="run.db")
    yield exporter
    exporter.shutdown()


def tracer_of(exporter, *, resource=None, sampler=None, processor=LiveSpanProcessor):
    provider = TracerProvider(resource=Resource(resource or {}), sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(processor(exporter))
    return provider.get_tracer("test")


def stored(exporter):
    """The stored spans as (agent, location, label), in order of their starts."""
    assert exporter.force_flush()
    frame = tv.expand_data(tv.load_spans(store="run.db"), "label")
    return list(zip(frame["agent_id"], frame["location_id"], frame["label"], strict=True))


def capture_put(exporter, monkeypatch):
    """A list of the rows that are put from now on, as (agent, label)."""
    rows = []
    monkeypatch.setattr(exporter.writer, "put", lambda row: rows.append((row[2], json.loads(row[6])["label"])))
    return rows


def in_thread(action):
    """Run an action in another thread, and wait for it."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


@contextmanager
def busy(exporter):
    """Another thread is processing spans."""
    started, is_over = threading.Event(), threading.Event()

    def hold():
        with exporter.lock:
            started.set()
            is_over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    started.wait()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def is_soon_processed(exporter):
    """Whether the queue of arrivals is empty within ten seconds."""
    deadline = time.monotonic() + 10
    while exporter.arrivals and time.monotonic() < deadline:
        time.sleep(0.01)
    return not exporter.arrivals


class Lock:
    """An exporter's lock that runs an action once, after it is acquired or before it is released."""

    def __init__(self, exporter, *, after_acquire=None, before_release=None):
        self.lock, self.after_acquire, self.before_release = exporter.lock, after_acquire, before_release
        exporter.lock = self

    def acquire(self, **options):
        is_acquired = self.lock.acquire(**options)
        action, self.after_acquire = self.after_acquire, None
        if action:
            action()
        return is_acquired

    def release(self):
        action, self.before_release = self.before_release, None
        if action:
            action()
        self.lock.release()


def interrupt():
    raise KeyboardInterrupt


def test_spans_get_their_agents_and_locations(exporter):
    tracer = tracer_of(exporter)
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
        with tracer.start_as_current_span("step"), tracer.start_as_current_span("chat opus", attributes=CHAT):
            pass
        with tracer.start_as_current_span("run", attributes={"openinference.span.kind": "TOOL", "tool.name": "search"}):
            pass
    assert stored(exporter) == [
        ("Ann", "agent", "invoke_agent Ann"),
        ("Ann", "span", "step"),
        ("Ann", "model:opus", "chat opus"),
        ("Ann", "tool:search", "run"),
    ]
    assert tv.load_traces(store="run.db")["name"].tolist() == ["Ann"]


def test_all_fields_of_a_stored_span(exporter):
    tracer = tracer_of(exporter, resource={"service.name": "shop"})
    link = Link(SpanContext(0xAB, 0xCD, is_remote=True))
    span = tracer.start_span(
        "chat", kind=SpanKind.CLIENT, links=[link], start_time=5 * SECOND + 1_999, attributes={"llm.token_count.prompt": 7}
    )
    span.set_attribute("gen_ai.response.finish_reasons", ["stop"])
    span.add_event("noted", {"n": 1}, timestamp=6 * SECOND)
    span.set_status(Status(StatusCode.ERROR, "no"))
    span.end(7 * SECOND)
    exporter.force_flush()
    [row] = tv.load_spans(store="run.db").to_dict("records")
    context = span.get_span_context()
    assert row["id"] == f"{context.trace_id:032x}/{context.span_id:016x}"
    assert (row["trace_id"], row["agent_id"], row["location_id"]) == (f"{context.trace_id:032x}", "shop", "client")
    assert (row["start_time"], row["end_time"]) == (5_000_001, 7_000_000)
    assert json.loads(row["data"]) == {
        "agent_from": "service",
        "label": "chat",
        "kind": "client",
        "status": "error",
        "status_message": "no",
        "events": [{"name": "noted", "time": 6_000_000, "attributes": {"n": 1}}],
        "links": [f"{0xAB:032x}/{0xCD:016x}"],
        "attributes": {"gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 7},
    }


def test_attributes_of_any_type(exporter):
    attributes = {"raw": b"hi", "pair": (1, (True, b"")), "inner": {"a": {"b": [b"\xff"]}}, "huge": 2**70, "nan": float("nan")}
    span = ReadableSpan("x", context=CONTEXT, attributes=attributes, start_time=1_000, end_time=2_000)
    assert exporter.export([span]) is SpanExportResult.SUCCESS
    exporter.force_flush()
    assert json.loads(tv.load_spans(store="run.db")["data"].iloc[0])["attributes"] == {
        "raw": "aGk=",
        "pair": [1, [True, ""]],
        "inner": {"a": {"b": ["/w=="]}},
        "huge": 2**70,
        "nan": None,
    }


def test_an_error_is_an_event_with_its_stack_trace(exporter):
    tracer = tracer_of(exporter)
    with suppress(ZeroDivisionError), tracer.start_as_current_span("divide"):
        1 / 0  # noqa: B018
    exporter.force_flush()
    data = json.loads(tv.load_spans(store="run.db")["data"].iloc[0])
    [event] = data["events"]
    assert (data["status"], data["status_message"]) == ("error", "ZeroDivisionError: division by zero")
    assert (event["name"], event["attributes"]["exception.type"]) == ("exception", "ZeroDivisionError")
    assert "Traceback" in event["attributes"]["exception.stacktrace"]


def test_a_child_is_put_at_once_with_the_agent_of_a_running_ancestor(exporter, monkeypatch):
    rows, tracer = capture_put(exporter, monkeypatch), tracer_of(exporter)
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
        with tracer.start_as_current_span("chat"):
            pass
        assert rows == [("Ann", "chat")]
    assert rows == [("Ann", "chat"), ("Ann", "invoke_agent Ann")]


def test_a_child_is_put_again_when_its_agent_is_known(exporter, monkeypatch):
    rows, tracer = capture_put(exporter, monkeypatch), tracer_of(exporter)
    with tracer.start_as_current_span("root") as root:
        with tracer.start_as_current_span("chat"):
            pass
        root.set_attribute("gen_ai.agent.name", "Ann")
    assert rows == [("root", "chat"), ("Ann", "chat"), ("Ann", "root")]


def test_the_sdks_simple_processor_gives_the_same_result(exporter, monkeypatch):
    rows, tracer = capture_put(exporter, monkeypatch), tracer_of(exporter, processor=SimpleSpanProcessor)
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT) as root, tracer.start_as_current_span("chat"):
        pass
    assert rows == [(f"{root.get_span_context().trace_id:032x}", "chat"), ("Ann", "chat"), ("Ann", "invoke_agent Ann")]


def test_the_sdks_batch_processor_works_too(exporter):
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("x").start_as_current_span("invoke_agent Ann", attributes=AGENT):
        pass
    provider.shutdown()
    assert tv.load_spans(store="run.db")["agent_id"].tolist() == ["Ann"]


def test_work_that_outlives_its_agents_span_keeps_the_agent(exporter):
    tracer = tracer_of(exporter)
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
        late = tracer.start_span("late")
    with trace.use_span(late, end_on_exit=True), tracer.start_as_current_span("later"):
        pass
    assert [agent for agent, _, _ in stored(exporter)] == ["Ann"] * 3


def researcher(number):
    return AGENT | {"gen_ai.agent.name": "Ann", "gen_ai.agent.id": f"a-{number}"}


def test_agents_of_one_name_that_run_at_once_are_told_apart_when_they_start(exporter):
    tracer = tracer_of(exporter)
    context = trace.set_span_in_context(tracer.start_span("root", start_time=0))
    runs = [tracer.start_span("run", context, attributes=researcher(number), start_time=number * SECOND) for number in range(3)]
    for number in (2, 1, 0):  # the last to start ends first
        inside = trace.set_span_in_context(runs[number])
        named = tracer.start_span("named", inside, attributes={"gen_ai.agent.name": "Ann"}, start_time=5 * SECOND)
        tracer.start_span("chat", trace.set_span_in_context(named), attributes=CHAT, start_time=6 * SECOND).end(7 * SECOND)
        named.end(8 * SECOND)
        runs[number].end((9 - number) * SECOND)
    frame_order = ["Ann", "Ann 2", "Ann 3"]
    agents = [(agent, label) for agent, _, label in stored(exporter)]
    assert {label: sorted(agent for agent, other in agents if other == label) for label in ("run", "named", "chat")} == {
        "run": frame_order,
        "named": frame_order,
        "chat": frame_order,
    }
    assert [agent for agent, label in agents if label == "run"] == frame_order


def test_a_new_id_at_each_run_does_not_make_a_new_agent(exporter):
    tracer = tracer_of(exporter)
    context = trace.set_span_in_context(tracer.start_span("root", start_time=0))
    for number in range(3):
        run = tracer.start_span("run", context, attributes=researcher(number), start_time=number * SECOND)
        run.end((number + 1) * SECOND)
    assert [agent for agent, *_ in stored(exporter)] == ["Ann"] * 3


def test_a_rule_for_agents_goes_before_their_ids():
    exporter = TokenvisSpanExporter(store="run.db", agent=lambda span: span["agent_id"])
    tracer = tracer_of(exporter)
    context = trace.set_span_in_context(tracer.start_span("root"))
    for run in [tracer.start_span("run", context, attributes=researcher(number)) for number in range(2)]:
        run.end()
    assert [agent for agent, *_ in stored(exporter)] == ["Ann", "Ann"]
    exporter.shutdown()


def test_custom_rules():
    exporter = TokenvisSpanExporter(store="run.db", agent="crew.role", location=lambda span: span["data"]["label"].upper())
    tracer = tracer_of(exporter)
    with tracer.start_as_current_span("crew", attributes={"crew.role": "Boss"}), tracer.start_as_current_span("chat"):
        pass
    assert stored(exporter) == [("Boss", "CREW", "crew"), ("Boss", "CHAT", "chat")]
    exporter.shutdown()


def test_if_a_rule_fails_the_default_rules_apply(exporter, caplog):
    exporter.configure(agent=lambda span: span["data"]["nothing"])
    tracer = tracer_of(exporter)
    for _ in range(2):
        with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
            pass
    assert [agent for agent, _, _ in stored(exporter)] == ["Ann", "Ann"]
    assert [record.message for record in caplog.records] == [
        "A rule (agent=, location= or waits_for=) failed, and the default rules apply to that span (KeyError: 'nothing'); "
        "further failures of this kind are not logged."
    ]


ASKS = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "AskUserQuestion"}


def test_if_a_rule_fails_a_tool_that_asks_still_waits(exporter):
    exporter.configure(agent=lambda span: "Boss", waits_for=lambda span: 1 / 0)
    with tracer_of(exporter).start_as_current_span("ask", attributes=ASKS):
        pass
    assert exporter.force_flush()
    spans = tv.expand_data(tv.load_spans(store="run.db"), "waits_for")
    assert spans[["agent_id", "waits_for"]].astype(str).to_numpy().tolist() == [["ask", "user"]]


def test_whom_a_recorded_span_waits_for(exporter):
    tracer = tracer_of(exporter)
    for rule in (None, "reviewer", lambda span: span["data"]["label"], lambda span: None, lambda span: ""):
        exporter.configure(waits_for=rule)
        with tracer.start_as_current_span("ask", attributes={**ASKS, "reviewer": "Eve"}):
            pass
    assert exporter.force_flush()
    assert tv.expand_data(tv.load_spans(store="run.db"), "waits_for")["waits_for"].fillna("work").tolist() == [
        "user",
        "Eve",
        "ask",
        "user",
        "work",
    ]


def test_an_invalid_rule_is_refused_at_once():
    with pytest.raises(tv.BadOption, match=r"^agent=5 is neither the name of an attribute nor a function of the span\.$"):
        TokenvisSpanExporter(store="run.db", agent=5)


@pytest.mark.parametrize(
    "span",
    [
        ReadableSpan("no ids", start_time=1, end_time=2),
        ReadableSpan("no start", context=CONTEXT),
        ReadableSpan("late", context=CONTEXT, start_time=10**30, end_time=10**30),
        "no span",
    ],
    ids=["no ids", "no start", "late", "no span"],
)
def test_an_invalid_span_is_a_failure_and_no_error(exporter, caplog, span):
    good = ReadableSpan("good", context=CONTEXT, start_time=1_000, end_time=2_000)
    assert exporter.export([span, good]) is SpanExportResult.FAILURE
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert [label for _, _, label in stored(exporter)] == ["good"]


def test_a_span_that_ends_before_it_starts_is_an_instant(exporter):
    tracer_of(exporter).start_span("back", start_time=9_000).end(2_000)
    exporter.force_flush()
    [row] = tv.load_spans(store="run.db").to_dict("records")
    assert (row["start_time"], row["end_time"], json.loads(row["data"])["estimated"]) == (9, 9, ["end_time"])


def test_names_with_any_characters(exporter):
    tracer = tracer_of(exporter)
    with tracer.start_as_current_span("\ud83d $\\frac{", attributes=AGENT | {"gen_ai.agent.name": "\udc00" * 3}):
        pass
    assert [agent for agent, _, _ in stored(exporter)] == ["\ufffd" * 3]


def test_unsampled_spans_are_not_stored(exporter):
    tracer = tracer_of(exporter, sampler=ALWAYS_OFF)
    with tracer.start_as_current_span("unseen"):
        pass
    assert stored(exporter) == []


def test_after_shutdown_it_accepts_no_spans(exporter):
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export([ReadableSpan("late", context=CONTEXT, start_time=1, end_time=2)]) is SpanExportResult.FAILURE
    assert repr(exporter).endswith("run.db')")


def test_a_failing_store_is_no_error_and_a_flush_keeps_its_timeout(exporter, caplog):
    tracer = tracer_of(exporter)
    with closing(sqlite3.connect("run.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tracer.start_span("work").end()
        started = time.monotonic()
        assert exporter.force_flush(500) is False
        assert 0.5 <= time.monotonic() - started < 5
    path = exporter.writer.store.path
    assert [record.message for record in caplog.records] == [
        f"Spans could not be stored (StoreError: {path} did not store the spans in time. They stay queued.); "
        "further failures of this kind are not logged."
    ]
    assert [label for _, _, label in stored(exporter)] == ["work"]


def test_a_flush_of_a_slow_store_keeps_its_timeout(exporter, monkeypatch):
    tracer, append, writes = tracer_of(exporter), Appender.append, []

    def slow(appender, *arguments):
        writes.append(len(writes))
        time.sleep(0.2)
        return append(appender, *arguments)

    monkeypatch.setattr(Appender, "append", slow)
    tracer.start_span("first").end()
    while not writes:
        time.sleep(0.01)
    tracer.start_span("second").end()
    assert exporter.force_flush(270) is False  # the second batch ends later
    assert [label for _, _, label in stored(exporter)] == ["first", "second"]


def test_open_spans_are_stored_on_request():
    exporter = TokenvisSpanExporter(store="run.db", open_spans=True)
    tracer = tracer_of(exporter)
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT), tracer.start_as_current_span("chat"):
        assert stored(exporter) == [("Ann", "agent", "invoke_agent Ann"), ("Ann", "span", "chat")]
        first = tv.expand_data(tv.load_spans(store="run.db"), "status")
        assert first["status"].tolist() == ["open", "open"]
        assert tv.load_traces(store="run.db")["name"].tolist() == ["Ann"]
        while (tv.load_spans(store="run.db")["end_time"] <= first["end_time"]).any():
            threading.Event().wait(0.05)  # until the next batch has stored later ends
    exporter.shutdown()
    assert tv.expand_data(tv.load_spans(store="run.db"), "status")["status"].isna().all()


def test_a_garbage_collected_open_span_stays_open():
    exporter = TokenvisSpanExporter(store="run.db", open_spans=True)
    tracer = tracer_of(exporter)
    dropped = tracer.start_span("dropped")
    del dropped
    gc.collect()
    assert exporter.open_rows() == []
    exporter.shutdown()
    assert tv.expand_data(tv.load_spans(store="run.db"), "status")["status"].tolist() == ["open"]


def test_a_span_that_ends_while_spans_are_put_is_put_after_them(exporter, monkeypatch):
    tracer, rows = tracer_of(exporter), []
    inner = tracer.start_span("inner")

    def put(row):
        rows.append(json.loads(row[6])["label"])
        inner.end()  # as the garbage collector may do at any point

    monkeypatch.setattr(exporter.writer, "put", put)
    tracer.start_span("outer").end()
    assert rows == ["outer", "inner"]


def test_a_thread_with_too_many_arrivals_waits_for_the_busy_thread(exporter, monkeypatch):
    tracer = tracer_of(exporter)
    monkeypatch.setattr("tokenvis.record.exporter.MAX_QUEUED_ARRIVALS", 2)
    monkeypatch.setattr("tokenvis.record.exporter.EXPORT_TIMEOUT_S", 30)
    with busy(exporter):
        for _ in range(2):
            tracer.start_span("early").end()
        blocked = threading.Thread(target=lambda: tracer.start_span("late").end())
        blocked.start()
        while len(exporter.arrivals) < 3:
            threading.Event().wait(0.01)
        assert blocked.is_alive()
    blocked.join()
    assert not exporter.arrivals


PROCESSING_CALLS = {
    "a span ends": lambda exporter: tracer_of(exporter).start_span("processing").end(),
    "flush": lambda exporter: exporter.force_flush(),
    "batch": lambda exporter: exporter.open_rows(),
}


@pytest.mark.parametrize("call", PROCESSING_CALLS.values(), ids=PROCESSING_CALLS)
def test_a_span_that_arrives_before_the_release_is_processed_by_the_same_thread(call):
    exporter = TokenvisSpanExporter(store="run.db", open_spans=True)
    late = tracer_of(exporter).start_span("late")
    with busy(exporter):
        tracer_of(exporter).start_span("early").end()
    Lock(exporter, before_release=lambda: in_thread(late.end))
    call(exporter)
    assert late.end_time
    assert not exporter.arrivals
    exporter.shutdown()


def test_the_writer_thread_writes_even_if_spans_arrive_without_end(exporter, monkeypatch):
    monkeypatch.setattr("tokenvis.record.exporter.PROCESSING_TIME_S", 0.05)
    tracer, rows = tracer_of(exporter), capture_put(exporter, monkeypatch)
    with busy(exporter):
        tracer.start_span("first").end()

    def put(row):
        rows.append(row)
        if len(rows) < 30:
            time.sleep(0.01)
            in_thread(lambda: tracer.start_span("next").end())

    monkeypatch.setattr(exporter.writer, "put", put)
    exporter.open_rows()
    assert 1 <= len(rows) < 30
    assert is_soon_processed(exporter)  # by the next batch
    assert len(rows) == 30


@pytest.mark.parametrize("processor", [LiveSpanProcessor, SimpleSpanProcessor])
def test_of_the_spans_that_end_on_the_writer_thread_only_its_own_are_skipped(processor, exporter):
    """The writer's work has spans if SQLite is instrumented; the garbage collector may end any other span there."""
    tracer = tracer_of(exporter, processor=processor)
    others = tracer.start_span("others")

    def work():
        own = tracer.start_span("own")
        others.end()
        own.end()

    writer = threading.Thread(target=work, name="tokenvis-writer")
    writer.start()
    writer.join()
    tracer.start_span("last").end()
    seen = processor is LiveSpanProcessor  # the other processor passes no starts
    assert [label for _, _, label in stored(exporter)] == (["others", "last"] if seen else ["last"])
    assert exporter.own_span_ids == set()


def test_queued_spans_are_put_at_the_end_of_the_process(exporter, monkeypatch):
    rows, tracer = capture_put(exporter, monkeypatch), tracer_of(exporter)
    with busy(exporter):
        tracer.start_span("work").end()
    assert not rows
    exporter.close()
    assert [label for _, label in rows] == ["work"]


def test_a_signal_handler_on_the_busy_thread_never_blocks(exporter, monkeypatch):
    tracer, rows, flushed, put = tracer_of(exporter), [], [], exporter.writer.put

    def interrupted(row):
        rows.append(json.loads(row[6])["label"])
        put(row)
        if len(rows) == 1:
            tracer.start_span("handler").end()
            flushed.append(exporter.force_flush(20_000))
            exporter.close()

    monkeypatch.setattr(exporter.writer, "put", interrupted)
    started = time.monotonic()
    tracer.start_span("work").end()
    assert time.monotonic() - started < 10
    assert flushed == [False]
    assert rows == ["work", "handler"]
    assert [label for _, _, label in stored(exporter)] == ["work", "handler"]


@pytest.mark.parametrize("call", PROCESSING_CALLS.values(), ids=PROCESSING_CALLS)
def test_an_interrupt_right_after_acquire_releases_the_lock(call):
    exporter = TokenvisSpanExporter(store="run.db", open_spans=True)
    with busy(exporter):
        tracer_of(exporter).start_span("early").end()
    Lock(exporter, after_acquire=interrupt)
    with pytest.raises(KeyboardInterrupt):
        call(exporter)
    in_thread(lambda: tracer_of(exporter).start_span("late").end())
    assert is_soon_processed(exporter)
    exporter.shutdown()


def test_spans_left_by_an_interrupt_are_stored_soon_without_further_spans(exporter):
    Lock(exporter, after_acquire=interrupt)
    with pytest.raises(KeyboardInterrupt):
        tracer_of(exporter).start_span("work").end()
    assert is_soon_processed(exporter)
    assert [label for _, _, label in stored(exporter)] == ["work"]


def test_an_interrupt_of_a_waiting_thread_leaves_the_lock_to_its_owner(exporter):
    with busy(exporter):
        tracer_of(exporter).start_span("early").end()
        Lock(exporter, after_acquire=interrupt)
        with pytest.raises(KeyboardInterrupt):
            exporter.force_flush(10)
        tracer_of(exporter).start_span("late").end()
        assert len(exporter.arrivals) == 2
    assert [label for _, _, label in stored(exporter)] == ["early", "late"]


def test_an_interrupt_during_processing_loses_no_span(exporter, monkeypatch):
    tracer = tracer_of(exporter)
    add = exporter.lineage.add

    def interrupted(*arguments):
        monkeypatch.setattr(exporter.lineage, "add", add)
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter.lineage, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tracer.start_span("first").end()
    tracer.start_span("second").end()
    assert [label for _, _, label in stored(exporter)] == ["first", "second"]


def test_a_failing_writer_raises_no_error_in_the_program(exporter, monkeypatch, caplog):
    tracer = tracer_of(exporter)
    with monkeypatch.context() as broken:
        broken.setattr(exporter.writer, "put", lambda row: 1 / 0)
        for _ in range(2):
            tracer.start_span("work").end()
    assert [label for _, _, label in stored(exporter)] == ["work", "work"]
    assert [record.message for record in caplog.records] == [
        "Spans stay queued because they could not be processed (ZeroDivisionError: division by zero); "
        "further failures of this kind are not logged."
    ]


def test_an_inconsistent_lineage_is_reset(exporter, caplog):
    tracer = tracer_of(exporter)
    exporter.lineage.resolutions = None
    with tracer.start_as_current_span("root"), tracer.start_as_current_span("child"):
        pass
    assert [label for _, _, label in stored(exporter)] == ["root", "child"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_the_writers_own_work_creates_no_spans(exporter, monkeypatch):
    tracer, append, threads = tracer_of(exporter), Appender.append, []

    def instrumented(appender, *arguments):
        threads.append(threading.current_thread().name)
        with tracer.start_as_current_span("INSERT"):
            return append(appender, *arguments)

    monkeypatch.setattr(Appender, "append", instrumented)
    tracer.start_span("work").end()
    for _ in range(3):
        assert [label for _, _, label in stored(exporter)] == ["work"]
    assert threads
    assert threading.current_thread().name not in threads


def test_concurrent_threads_lose_no_spans(exporter):
    tracer = tracer_of(exporter)

    def work(number):
        with tracer.start_as_current_span("run", attributes={"gen_ai.agent.name": f"agent {number}"}):
            for _ in range(200):
                with tracer.start_as_current_span("chat"):
                    pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exporter.force_flush()
    assert tv.load_spans(store="run.db")["agent_id"].value_counts().to_dict() == {f"agent {n}": 201 for n in range(8)}


@pytest.mark.full
@pytest.mark.parametrize("processor", [SimpleSpanProcessor, LiveSpanProcessor])
def test_twenty_thousand_spans_are_all_stored(exporter, processor):
    tracer = tracer_of(exporter, processor=processor)
    with tracer.start_as_current_span("run", attributes={"gen_ai.agent.name": "Ann"}):
        for _ in range(20_000):
            tracer.start_span("tiny").end()
    exporter.force_flush()
    with sqlite3.connect("run.db") as connection:
        counts = connection.execute("SELECT agent_id, count(*) FROM spans GROUP BY agent_id").fetchall()
    if processor is LiveSpanProcessor:
        assert counts == [("Ann", 20_001)]
    else:  # evicted rows keep the trace as their agent
        assert sum(count for _, count in counts) == 20_001
        assert dict(counts)["Ann"] >= 10_001


FORKED = """
import os, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
import tokenvis as tv
provider = TracerProvider(resource=Resource({}))
exporter = tv.record_opentelemetry(store="run.db", provider=provider, open_spans=True)
tracer = provider.get_tracer("x")
with tracer.start_as_current_span("invoke_agent Ann", attributes={"gen_ai.operation.name": "invoke_agent"}):
    with tracer.start_as_current_span("before"):
        pass
    child = os.fork()
    with tracer.start_as_current_span("within"):
        pass
    if not child:
        provider.force_flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_stores_only_its_own_spans():
    subprocess.run([sys.executable, "-c", FORKED], check=True)
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "status"])
    assert sorted(spans["label"]) == ["before", "invoke_agent Ann", "within", "within"]
    assert set(spans["agent_id"]) == {"Ann"}
    assert spans["status"].isna().all()


INTERRUPTED = """
import random, signal
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
import tokenvis as tv
provider = TracerProvider(resource=Resource({}))
exporter = tv.record_opentelemetry(store="run.db", provider=provider)
tracer = provider.get_tracer("x")
signal.signal(signal.SIGALRM, signal.default_int_handler)
ended = 0
for _ in range(1_000):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.002))
        for _ in range(10_000):
            tracer.start_span("work").end()
            ended += 1
    except KeyboardInterrupt:
        pass
tracer.start_span("last").end()
print(ended, provider.force_flush(), len(exporter.arrivals))
"""


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="no signal timers")
def test_a_thousand_interrupts_lose_nothing():
    program = subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, capture_output=True, text=True)
    ended, is_flushed, n_arrived = program.stdout.split()
    assert (is_flushed, n_arrived) == ("True", "0")
    with sqlite3.connect("run.db") as connection:
        [[count]] = connection.execute("SELECT count(*) FROM spans").fetchall()
    assert count > int(ended)


HASTY = """
import multiprocessing, os, signal, sys, time
from opentelemetry.sdk.trace import TracerProvider
import tokenvis as tv

def work():
    provider = TracerProvider()
    tv.record_opentelemetry(store="run.db", provider=provider, open_spans=True)
    tracer = provider.get_tracer("x")
    spans = [tracer.start_span(f"span {number}") for number in range(300)]
    provider.force_flush()
    spans[0].end()
    if sys.argv[1] == "killed":
        time.sleep(3)
        os.kill(os.getpid(), signal.SIGKILL)

worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join()
"""


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("end", ["killed", "done"])
def test_a_span_that_ends_while_open_rows_are_collected_is_stored_as_ended(end):
    subprocess.run([sys.executable, "-c", HASTY, end], check=True)
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "status"])
    assert spans.loc[spans["status"].isna(), "label"].tolist() == ["span 0"]


KILLED = """
import time
from opentelemetry.sdk.trace import TracerProvider
import tokenvis as tv
provider = TracerProvider()
tv.record_opentelemetry(store="run.db", provider=provider, open_spans=True)
tracer = provider.get_tracer("x")
with tracer.start_as_current_span("invoke_agent Ann", attributes={"gen_ai.operation.name": "invoke_agent"}):
    with tracer.start_as_current_span("ended"):
        pass
    with tracer.start_as_current_span("running"):
        time.sleep(600)
"""


@pytest.mark.full
def test_a_killed_program_leaves_its_ended_and_its_open_spans():
    tv.Store("run.db")
    with subprocess.Popen([sys.executable, "-c", KILLED]) as program:
        while len(tv.load_spans(store="run.db")) < 3 and program.poll() is None:
            threading.Event().wait(0.05)
        program.kill()
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "status"]).set_index("label")
    assert spans["agent_id"].to_dict() == {"invoke_agent Ann": "Ann", "ended": "Ann", "running": "Ann"}
    assert spans["status"].fillna("").to_dict() == {"invoke_agent Ann": "open", "ended": "", "running": "open"}


ASKING = {**CHAT, "gen_ai.output.messages": json.dumps([{"parts": [{"type": "tool_call", "id": "c1"}]}])}
CALLED = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "sh", "gen_ai.tool.call.id": "c1"}


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, LiveSpanProcessor])
def test_a_tool_call_names_the_model_call_that_asked_for_it(processor):
    exporter, memory = TokenvisSpanExporter(store="run.db", open_spans=True), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor(exporter))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
        with tracer.start_as_current_span("chat opus", attributes=ASKING):
            pass
        with tracer.start_as_current_span("execute_tool sh", attributes=CALLED):
            with tracer.start_as_current_span("other", attributes={**CALLED, "gen_ai.tool.call.id": "c2"}):
                pass
            exporter.force_flush()
            running = tv.expand_data(tv.load_spans(store="run.db"), ["label", "requested_by"]).set_index("label")
    provider.shutdown()
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "requested_by"]).set_index("label")
    assert spans["requested_by"].dropna().to_dict() == {"execute_tool sh": spans.loc["chat opus", "id"]}
    assert processor is SimpleSpanProcessor or running.loc["execute_tool sh", "requested_by"] == spans.loc["chat opus", "id"]
    Path("dump.json").write_text("\n".join(span.to_json() for span in memory.get_finished_spans()))
    read = tv.expand_data(tv.ingest("dump.json", store="read.db").spans(), "requested_by").set_index("id")["requested_by"]
    assert read.dropna().to_dict() == spans.set_index("id")["requested_by"].dropna().to_dict()


@pytest.mark.parametrize("processor", [LiveSpanProcessor, SimpleSpanProcessor])
def test_two_agents_at_once_with_the_same_ids_ask_for_their_own_calls(processor):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor(TokenvisSpanExporter(store="run.db")))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("root"):
        agents = [tracer.start_span("invoke_agent", attributes={**AGENT, "gen_ai.agent.name": name}) for name in ("Ann", "Bob")]
        for name, attributes in (("chat", ASKING), ("execute_tool", CALLED)):
            for agent, number in zip(agents, "12", strict=True):
                tracer.start_span(name + number, attributes=attributes, context=trace.set_span_in_context(agent)).end()
        for agent in agents:
            agent.end()
    provider.shutdown()
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "requested_by"])
    labels = spans.set_index("id")["label"]
    asked = spans.dropna(subset="requested_by").set_index("label")["requested_by"].map(labels)
    assert asked.to_dict() == {"execute_tool1": "chat1", "execute_tool2": "chat2"}


def test_a_part_of_a_running_call_names_nobody():
    exporter = TokenvisSpanExporter(store="run.db")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LiveSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("invoke_agent Ann", attributes=AGENT):
        with tracer.start_as_current_span("chat opus", attributes=ASKING):
            pass
        tool = tracer.start_as_current_span("execute_tool sh", attributes=CALLED)
        with tool, tracer.start_as_current_span("step"), tracer.start_as_current_span("mcp sh", attributes=CALLED):
            pass
    provider.shutdown()
    spans = tv.expand_data(tv.load_spans(store="run.db"), ["label", "requested_by"]).set_index("label")
    assert spans["requested_by"].dropna().index.tolist() == ["execute_tool sh"]


KINDS = ["chat", "execute_tool", "invoke_agent"]
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "gen_ai.operation.name": st.sampled_from(KINDS),
        "openinference.span.kind": st.sampled_from(["LLM", "TOOL", "AGENT", "CHAIN"]),
        "gen_ai.agent.name": st.sampled_from(["Ann", "Bob"]),
        "llm.system": st.just("openai"),
        "llm.provider": st.just("azure"),
        "llm.model_name": st.sampled_from(["opus", "gpt"]),
        "tool.name": st.sampled_from(["search", "é\U0001f600", "AskUserQuestion"]),
        "span.type": st.sampled_from(["tool.execution", "tool.blocked_on_user"]),
        "tokenvis.waits_for": st.sampled_from(["Ann", ""]),
        "tokenvis.waits_for_kind": st.sampled_from(["agent", "person"]),
        "tokenvis.detached": st.booleans(),
        "llm.token_count.prompt": st.integers(0, 9),
        "gen_ai.usage.output_tokens": st.integers(0, 9) | st.just("7"),
        "session.id": st.just("s"),
        "mine": st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers(-5, 5)) | st.text(),
    },
)
STATUS = st.sampled_from([None, Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "no")])


@st.composite
def plans(draw):
    """Spans to create: name, parent (an earlier one or none), attributes, times, status; and the order of their ends."""
    spans = []
    for number in range(draw(st.integers(1, 8))):
        above = draw(st.sampled_from([None, *range(number)]))
        name, start, length = (
            draw(st.sampled_from(["run", "invoke_agent Eve", "a\nb", "tool.blocked_on_user"])),
            draw(st.integers(1, 9)),
            draw(st.integers(0, 9)),
        )
        spans.append((name, above, draw(ATTRIBUTES), start, start + length, draw(STATUS), draw(st.booleans())))
    return spans, draw(st.permutations(range(len(spans))))


def made(tracer, plan):
    """Create the spans of a plan with the SDK."""
    spans, order = [], plan[1]
    for name, above, attributes, start, _, status, more in plan[0]:
        context = trace.set_span_in_context(trace.INVALID_SPAN if above is None else spans[above])
        kind, links = (list(SpanKind)[start % 5], [Link(CONTEXT)]) if more else (SpanKind.INTERNAL, ())
        spans.append(tracer.start_span(name, context, kind, attributes, links, start_time=start * 1_000))
        if more:
            spans[-1].add_event("noted", attributes, timestamp=start * 1_000)
        if status is not None:
            spans[-1].set_status(status)
    for number in order:
        spans[number].end(plan[0][number][4] * 1_000)


@pytest.mark.laws
@settings(max_examples=settings.default.max_examples // 4)  # each example is a full recording
@given(
    plans(),
    st.sampled_from([{}, {"service.name": "shop"}]),
    st.sampled_from([SimpleSpanProcessor, LiveSpanProcessor]),
    st.booleans(),
)
def test_recording_gives_the_same_as_reading_the_sdks_own_dump(tmp_path_factory, plan, resource, processor, open_spans):
    folder, memory = tmp_path_factory.mktemp("law"), InMemorySpanExporter()
    exporter = TokenvisSpanExporter(store=folder / "recorded.db", open_spans=open_spans)
    provider = TracerProvider(resource=Resource(resource), shutdown_on_exit=False)
    provider.add_span_processor(processor(exporter))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    made(provider.get_tracer("law"), plan)
    provider.shutdown()
    dump = "\n".join(span.to_json() for span in memory.get_finished_spans())
    report = tv.ingest(io.StringIO(dump), store=folder / "read.db")  # no file, so that no trace is named by it
    recorded, read = (tv.load_spans(store=folder / name) for name in ("recorded.db", "read.db"))
    assert recorded.to_dict("records") == read.to_dict("records")
    assert tv.load_traces(store=folder / "recorded.db").equals(tv.load_traces(store=folder / "read.db"))
    assert not report.problems
    again = tv.ingest(io.StringIO(dump), store=folder / "recorded.db")
    assert {(written.added, written.updated) for written in again.written} == {(0, 0)}
