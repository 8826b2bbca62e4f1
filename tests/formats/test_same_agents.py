"""One trace in each format of the OpenTelemetry family has the same agents and locations, in any order of its spans."""

import json

import pytest
from files import write_file

from tokenvis import ingest

TRACE, BEGIN = "a" * 32, 1_000_000_000
TASKS = json.dumps([{"id": "x", "agent_role": "Researcher"}, {"id": "y", "agent_role": "Writer"}])
SPANS = [  # id, parent, start, end, name, kind, attributes
    ("1", None, 0, 20, "Crew.kickoff", "CHAIN", {"gen_ai.agent.name": "crew", "crew_tasks": TASKS}),
    ("2", "1", 1, 5, "Task._execute_core", "AGENT", {"task_id": "x"}),
    ("3", "1", 5, 9, "Task._execute_core", "AGENT", {"task_id": "y"}),
    ("4", "2", 2, 3, "ChatOpenAI", "LLM", {"llm.model_name": "m"}),
    ("5", "1", 10, 15, "invoke_agent r", "AGENT", {"gen_ai.agent.name": "r", "gen_ai.agent.id": "r-1"}),
    ("6", "1", 11, 16, "invoke_agent r", "AGENT", {"gen_ai.agent.name": "r", "gen_ai.agent.id": "r-2", "tool.name": "ask"}),
    ("7", "1", 12, 13, "chat", "LLM", {"gen_ai.agent.id": "r-2", "llm.model_name": "m"}),
]
TOLD = {
    "1": "crew chain", "2": "Researcher agent", "3": "Writer agent", "4": "Researcher model:m",
    "5": "r agent", "6": "r 2 agent", "7": "r 2 model:m",
}  # fmt: skip


def own_id(number):
    return number * 16 if number else None


def stamp(seconds):
    return f"2001-09-09T01:{46 + (40 + seconds) // 60}:{(40 + seconds) % 60:02d}Z"


def otlp(number, parent, start, end, name, kind, attributes):
    pairs = {**attributes, "openinference.span.kind": kind}.items()
    ids = {"traceId": TRACE, "spanId": own_id(number), "parentSpanId": own_id(parent) or ""}
    times = {f"{key}TimeUnixNano": str((BEGIN + time) * 10**9) for key, time in (("start", start), ("end", end))}
    record = {**ids, **times, "name": name, "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in pairs]}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [record]}]}]}


def python_sdk(number, parent, start, end, name, kind, attributes):
    context, attributes = {"trace_id": TRACE, "span_id": own_id(number)}, {**attributes, "openinference.span.kind": kind}
    times = {"start_time": stamp(start), "end_time": stamp(end)}
    return {"name": name, "context": context, "parent_id": own_id(parent), **times, "attributes": attributes}


def phoenix(number, parent, start, end, name, kind, attributes):
    return {**python_sdk(number, parent, start, end, name, kind, attributes), "attributes": attributes, "span_kind": kind}


def langfuse(number, parent, start, end, name, kind, attributes):
    ids = {"id": own_id(number), "traceId": TRACE, "parentObservationId": own_id(parent)}
    times = {"startTime": stamp(start), "endTime": stamp(end)}
    kind = "GENERATION" if kind == "LLM" else kind
    return {**ids, **times, "type": kind, "name": name, "metadata": {"attributes": attributes}}


def mlflow(number, parent, start, end, name, kind, attributes):
    ids = {"trace_id": TRACE, "span_id": own_id(number), "parent_span_id": own_id(parent)}
    times = {f"{key}_time_unix_nano": (BEGIN + time) * 10**9 for key, time in (("start", start), ("end", end))}
    texts = {key: json.dumps(value) for key, value in {**attributes, "mlflow.spanType": kind}.items()}
    return {**ids, **times, "name": name, "attributes": texts}


def file_of(written, spans):
    records = [written(*span) for span in spans]
    if written is mlflow:
        return write_file("x.json", {"info": {"trace_id": f"tr-{TRACE}", "trace_location": {}}, "data": {"spans": records}})
    return write_file("x.jsonl", *records)


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
@pytest.mark.parametrize("written", [otlp, python_sdk, phoenix, langfuse, mlflow], ids=lambda written: written.__name__)
def test_the_same_agents_and_locations(written, order):
    report = ingest(file_of(written, SPANS[::order]))
    spans = report.spans()
    told = {
        id_[-1]: f"{agent} {place}"
        for id_, agent, place in zip(spans["id"], spans["agent_id"], spans["location_id"], strict=True)
    }
    assert (told, report.problems) == (TOLD, [])
