"""Real instrumentation of OpenAI's client, which calls a local model server; agents are plain spans."""

import asyncio
import importlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from model_server import model_server
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

import tokenvis as tv

INSTRUMENTATIONS = {
    "OpenInference": "openinference.instrumentation.openai",
    "GenAI": "opentelemetry.instrumentation.genai.openai",
}


@pytest.fixture(scope="module")
def openai():
    """The client's package: it takes a second to import, so only the process that uses it does."""
    return importlib.import_module("openai")


@pytest.fixture(scope="module")
def address():
    with model_server() as address:
        yield address


@pytest.fixture(params=INSTRUMENTATIONS)
def provider(request, monkeypatch):
    """A provider that is recorded into run.db; `seen` has the spans that it passes to other exporters."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.seen = InMemorySpanExporter()
    tv.record_opentelemetry(store="run.db", provider=provider)
    provider.add_span_processor(SimpleSpanProcessor(provider.seen))
    instrumentor = importlib.import_module(INSTRUMENTATIONS[request.param]).OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield provider
    instrumentor.uninstrument()
    provider.shutdown()


def agent(provider, name):
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    return provider.get_tracer("test").start_as_current_span(f"invoke_agent {name}", attributes=attributes)


def tool(provider, name):
    return provider.get_tracer("test").start_as_current_span(
        f"execute_tool {name}", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    )


def request(text, **options):
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **options}


def recorded(provider):
    assert provider.force_flush()
    return tv.expand_data(tv.load_spans(store="run.db"), ["kind", "status", "label"])


def tree(spans):
    """Each span as (agent, location, location of the parent)."""
    places = spans.set_index("id")["location_id"]
    return [(row.agent_id, row.location_id, places.get(row.parent_id)) for row in spans.itertuples()]


def test_an_agent_calls_a_model_that_calls_a_tool(openai, provider, address):
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0) as client, agent(provider, "Ann"):
        answer = client.chat.completions.create(**request("use a tool"))
        call = answer.choices[0].message.tool_calls[0].function
        with tool(provider, call.name), agent(provider, "Bob"):
            client.chat.completions.create(**request("look for tea"))
        stream = client.chat.completions.create(**request("go on", stream=True, stream_options={"include_usage": True}))
        assert "".join(part.choices[0].delta.content or "" for part in stream if part.choices) == "well then"
    spans = recorded(provider)
    assert tree(spans) == [
        ("Ann", "agent", None),
        ("Ann", "model:tiny", "agent"),
        ("Ann", "tool:search", "agent"),
        ("Bob", "agent", "tool:search"),
        ("Bob", "model:tiny", "agent"),
        ("Ann", "model:tiny", "agent"),
    ]
    used = tv.usage(spans, by="agent_id").set_index("agent_id")
    assert used[["input_tokens", "output_tokens", "cached_tokens"]].to_dict("index") == {
        "Ann": {"input_tokens": 24, "output_tokens": 10, "cached_tokens": 8},
        "Bob": {"input_tokens": 12, "output_tokens": 5, "cached_tokens": 4},
    }
    assert tv.load_traces(store="run.db")["name"].tolist() == ["Ann"]


def test_an_error_of_the_model(openai, provider, address):
    client, refused = openai.OpenAI(base_url=address, api_key="none", max_retries=0), pytest.raises(openai.InternalServerError)
    with client, agent(provider, "Ann"), refused:
        client.chat.completions.create(**request("fail"))
    [failed] = [row for row in recorded(provider).to_dict("records") if row["status"] == "error"]
    assert (failed["agent_id"], failed["kind"]) == ("Ann", "model")
    assert "no model today" in json.loads(failed["data"])["status_message"]


def test_agents_in_threads(openai, provider, address):
    def work(name):
        with openai.OpenAI(base_url=address, api_key="none") as client, agent(provider, name):
            for _ in range(5):
                client.chat.completions.create(**request("hello"))

    with provider.get_tracer("test").start_as_current_span("crew"), ThreadPoolExecutor(4) as pool:
        for running in [pool.submit(copy_context().run, work, f"agent {number}") for number in range(4)]:
            running.result()
    spans = recorded(provider)
    assert spans["agent_id"].value_counts().to_dict() == {f"agent {number}": 6 for number in range(4)} | {"shop": 1}
    assert spans["trace_id"].nunique() == 1
    assert spans["location_id"].value_counts().to_dict() == {"model:tiny": 20, "agent": 4, "span": 1}


def test_agents_in_tasks_of_asyncio(openai, provider, address):
    async def work(client, name):
        with agent(provider, name):
            await asyncio.gather(*(client.chat.completions.create(**request("hello")) for _ in range(3)))

    async def main():
        async with openai.AsyncOpenAI(base_url=address, api_key="none") as client:
            await asyncio.gather(*(work(client, f"agent {number}") for number in range(4)))

    asyncio.run(main())
    spans = recorded(provider)
    assert spans["agent_id"].value_counts().to_dict() == {f"agent {number}": 4 for number in range(4)}
    assert spans["trace_id"].nunique() == 4
    assert sorted(tv.load_traces(store="run.db")["name"]) == [f"agent {number}" for number in range(4)]


def test_reading_an_otlp_export_of_the_same_run_later_changes_nothing(openai, provider, address, tmp_path):
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0) as client, agent(provider, "Ann") as span:
        span.set_attributes({"raw": b"\x00\xff", "shares": [0.5, 1.5], "flags": [True, False], "none": 0})
        client.chat.completions.create(**request("use a tool"))
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**request("fail"))
    before = recorded(provider)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(in_otlp(provider.seen.get_finished_spans())))
    report = tv.ingest(path, format="otlp", store="run.db")
    assert [(written.added, written.updated, written.unchanged) for written in report.written] == [(0, 0, 3)]
    assert recorded(provider).equals(before)


def in_otlp(spans):
    """Spans as OTLP in JSON, as the collector's file exporter writes them."""
    resource = {"attributes": pairs(spans[0].resource.attributes)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [record_of(span) for span in spans]}]}]}


def record_of(span):
    ids = {"traceId": format_trace_id(span.context.trace_id), "spanId": format_span_id(span.context.span_id)}
    return ids | {
        "parentSpanId": format_span_id(span.parent.span_id) if span.parent else "",
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": pairs(span.attributes),
        "events": [
            {"name": event.name, "timeUnixNano": str(event.timestamp), "attributes": pairs(event.attributes)}
            for event in span.events
        ],
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }


def pairs(attributes):
    return [{"key": key, "value": typed(value)} for key, value in attributes.items()]


def typed(value):
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": "AP8="}
        case str():
            return {"stringValue": value}
    return {"arrayValue": {"values": [typed(item) for item in value]}}
