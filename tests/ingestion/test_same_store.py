"""The same files give the same store: in any order, in one call or several, and read again."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenvis import Store, expand_data, export, ingest, load_spans
from tokenvis.conventions.marks import MARKS

TRACES = ("aa" * 16, "bb" * 16)
SERVICES = ("", "shop")


def kv(attributes):
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]


def record(span, start, end, name="work", parent=None, trace=TRACES[0], **attributes):
    """A span of OTLP; ``end`` is None while it runs."""
    above = {} if parent is None else {"parentSpanId": f"{parent:016x}"}
    ended = {} if end is None else {"endTimeUnixNano": end * 1000}
    ids = {"traceId": trace, "spanId": f"{span:016x}", **above, "name": name}
    return {**ids, "startTimeUnixNano": start * 1000, **ended, "attributes": kv(attributes)}


def write_lines(path, records, service=None):
    """A file of OTLP; without ``service``, each span has its own."""

    def line(one):
        name = SERVICES[int(one["spanId"], 16) % 2] if service is None else service
        resource = {"attributes": kv({"service.name": name} if name else {})}
        return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [one]}]}]})

    path.write_text("\n".join(map(line, records)))
    return path


def contents(store):
    """All rows of a store."""
    with store.engine.connect() as connection:
        return [
            sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}")), key=repr)
            for table in ("traces", "spans", "tokenvis_sources")
        ]


def stored_after(folder, name, *calls):
    """What a new store has after these calls of `ingest`."""
    store = Store(folder / f"{name}.db")
    for call in calls:
        ingest(call, store=store)
    return contents(store)


NAMES = st.sampled_from(["work", "chat", "invoke_agent Ann", "invoke_agent Bob"])
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "gen_ai.agent.name": st.sampled_from(["Ann", "Bob"]),
        "gen_ai.agent.id": st.sampled_from(["1", "2", "3"]),
        "gen_ai.operation.name": st.sampled_from(["chat", "execute_tool"]),
        "gen_ai.tool.call.id": st.sampled_from(["c1", "c2"]),
        "gen_ai.output.messages": st.just('[{"parts": [{"type": "tool_call", "id": "c1"}]}]'),
        "x": st.sampled_from(["1", "22"]),
    },
)
SPANS = st.dictionaries(
    st.tuples(st.sampled_from(TRACES), st.integers(1, 5)),
    st.tuples(st.integers(1, 6), st.integers(0, 6), NAMES, st.none() | st.integers(1, 6), ATTRIBUTES),
    min_size=1,
)


@st.composite
def files_of_spans(draw):
    """Files that tell of the same spans: each record is a whole span, or a snapshot that lacks some of its attributes.

    In a file, a later snapshot of a span has all that an earlier one had.
    """
    spans, files = draw(SPANS), []
    for _ in range(draw(st.integers(1, 4))):
        records, had = [], {}
        for trace, number in draw(st.lists(st.sampled_from(sorted(spans)), min_size=1, max_size=5)):
            start, length, name, parent, attributes = spans[trace, number]
            is_open = draw(st.booleans())
            if is_open:
                known = had.setdefault((trace, number), set())
                known |= {key for key in attributes if draw(st.booleans())}
                attributes = {key: attributes[key] for key in attributes if key in known}
            records.append(record(number, start, None if is_open else start + length, name, parent, trace, **attributes))
        files.append(records)
    return files


@pytest.mark.laws
@given(files_of_spans(), st.data())
@settings(max_examples=settings.default.max_examples // 2, derandomize=True)
def test_any_order_of_the_files_gives_the_same_store(files, data):
    with TemporaryDirectory(dir=".") as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        paths = [write_lines(folder / f"{number}.jsonl", records) for number, records in enumerate(files)]
        whole = stored_after(Path(temporary), "whole", folder)
        calls = data.draw(st.permutations(paths)) + data.draw(st.lists(st.sampled_from([*paths, folder]), max_size=3))
        assert stored_after(Path(temporary), "calls", *calls) == whole


@pytest.mark.parametrize("column", MARKS)
def test_a_column_with_the_name_of_a_mark_stays_as_it_is(tmp_path, column):
    for name, row in (("a", "1,t,Ann,desk,0,10,true"), ("b", "2,t,Bob,desk,20,30,trace")):
        (tmp_path / f"{name}.csv").write_text(f"id,trace_id,agent_id,location_id,start_time,end_time,{column}\n{row}\n")
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    store = Store(tmp_path / "one-by-one.db")
    for path in (a, b, a):
        ingest(path, store=store)
    assert contents(store) == stored_after(tmp_path, "other-order", b, a)
    spans = load_spans("t", store=store)
    assert spans["agent_id"].tolist() == ["Ann", "Bob"]
    assert expand_data(spans, [column])[column].notna().all()


def test_the_row_of_a_pending_span_that_an_earlier_version_stored_is_removed(tmp_path):
    mark = {"logfire.span_type": "pending_span"}
    path = write_lines(tmp_path / "a.jsonl", [record(3, 1, 1, "chat (pending)", 2, **mark), record(2, 1, 5, "chat")], "shop")
    trace, store = TRACES[0], Store(tmp_path / "of-0.1.db")
    old = {"trace_id": trace, "agent_id": "shop", "location_id": "span", "start_time": 1, "end_time": 1}
    store.write_trace(trace, [{**old, "id": f"{trace}/{3:016x}", "data": '{"kind":"pending_span"}'}], name="a")
    ingest(path, store=store)
    assert contents(store) == stored_after(tmp_path, "new", path)


def texts_of(store):
    """The data of all spans."""
    return [row[-1] for row in contents(store)[1]]


@pytest.mark.parametrize("copies", ["disputed", "moved"])
def test_without_texts_a_file_leaves_none_of_its_spans_in_the_store(tmp_path, copies):
    texts = {"a": "a long secret", "b": "secret" if copies == "disputed" else "a long secret"}
    for name, text in texts.items():
        prompt = {"gen_ai.prompt": text, "gen_ai.request.model": "m"}
        write_lines(tmp_path / f"{name}.jsonl", [record(1, 0, 5, "chat", **prompt)], "shop")
    a, b, store = tmp_path / "a.jsonl", tmp_path / "b.jsonl", Store(tmp_path / "texts.db")
    ingest(a, store=store)
    report = ingest(b, store=store, content="full" if copies == "disputed" else "none")
    if copies == "disputed":
        assert "secret" in texts_of(store)[0]
        for path in (a, b):
            ingest(path, store=store, content="none")
    assert "secret" not in texts_of(store)[0]
    assert ("disputed" in texts_of(store)[0]) == (copies == "disputed")
    assert (report.n_snapshots, report.n_duplicates, len(report.problems)) == (0, 0, int(copies == "disputed"))


@pytest.mark.parametrize("options", [{"agent": str}, {"location": str}, {"waits_for": str}, {"content": "none"}])
@pytest.mark.parametrize("ends", [(None,), (None, 9), (9,)])
def test_reading_the_same_file_again_replaces_what_the_options_did(tmp_path, options, ends):
    options = {name: (lambda span: "rule") if value is str else value for name, value in options.items()}
    records = [record(1, 0, end, "chat", 2, **{"gen_ai.prompt": "a secret"}) for end in ends] + [record(2, 0, 20)]
    path, store = write_lines(tmp_path / "a.jsonl", records, "shop"), Store(tmp_path / "rules.db")
    ingest(path, store=store, **options)
    with_options = contents(store)
    ingest(path, store=store)
    assert contents(store) == stored_after(tmp_path, "plain", path)
    ingest(path, store=store, **options)
    assert contents(store) == with_options


def test_a_span_of_an_export_without_its_parent_keeps_the_agent_that_it_inherited(tmp_path):
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Ann"}
    path = write_lines(tmp_path / "a.jsonl", [record(1, 0, 9, **agent), record(2, 1, 3, parent=1)], "")
    spans = ingest(path, store=tmp_path / "whole.db").spans()
    export(spans[spans["id"].str.endswith("2")], tmp_path / "part.parquet")
    store = Store(tmp_path / "part.db")
    ingest(tmp_path / "part.parquet", store=store)
    ingest(write_lines(tmp_path / "b.jsonl", [record(3, 20, 30)], "shop"), store=store)
    assert load_spans(TRACES[0], store=store)["agent_id"].tolist() == ["Ann", "shop"]


def test_traces_that_the_store_has_by_themselves_and_in_a_session_are_told(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [record(1, 0, 9, trace=trace, **{"session.id": "s"}) for trace in TRACES], "shop")
    store = Store(tmp_path / "twice.db")
    assert not ingest(path, store=store).problems
    [problem] = ingest(path, store=store, trace="session").problems
    twins = f"trace '{TRACES[0]}' and 1 more is also in the store by itself, so its spans count twice"
    assert problem.reason == f"{twins}; delete it with `delete_trace`"
    for trace in TRACES:
        store.delete_trace(trace)
    assert not ingest(path, store=store, trace="session").problems
