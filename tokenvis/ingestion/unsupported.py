"""Unsupported tools: files that are recognised only to be named, and what to give instead."""

from collections.abc import Callable
from typing import Any, TypeAlias

from tokenvis.formats.files.head import Head

Objects: TypeAlias = list[dict[str, Any]]


def unsupported_tool(head: Head) -> str | None:
    """A sentence that names the tool that wrote a file, and what to do; None if it is not known."""
    items = head.objects
    return next((sentence for is_of_tool, sentence in TOOLS if items and is_of_tool(items)), None)


def has_keys(*keys: str) -> Callable[[Objects], bool]:
    """Whether one of the objects has all these keys."""
    return lambda items: any(set(keys) <= item.keys() for item in items)


def first_under(items: Objects, key: str) -> dict[str, Any]:
    """The first object in a list under a key of the first object; empty if there is none."""
    values = items[0].get(key)
    return values[0] if isinstance(values, list) and values and isinstance(values[0], dict) else {}


def listed_first(items: Objects) -> Objects:
    """The first object in each list of the first object."""
    return [first_under(items, key) for key in items[0]]


def is_qwen(items: Objects) -> bool:
    """Whether lines have messages with parts, as Gemini's API has them, in a session."""
    messages = [item.get("message") for item in items if "sessionId" in item]
    return any(isinstance(message, dict) and isinstance(message.get("parts"), list) for message in messages) or any(
        {"sessionId", "systemPayload"} <= item.keys() for item in items
    )


def is_gemini(items: Objects) -> bool:
    """Whether a document or lines are a chat, in a project that is named by a hash."""
    return {"sessionId", "projectHash"} <= items[0].keys() or any(item.get("type") == "gemini" for item in items)


def is_claude_stream(items: Objects) -> bool:
    """Whether lines are what Claude Code prints, without times."""
    return any(
        item.get("type") in ("system", "user", "assistant", "result") and "session_id" in item and "sessionId" not in item
        for item in items
    )


def is_cursor(items: Objects) -> bool:
    """Whether lines have a role and a message with contents, and nothing else that tells a time."""
    return any(
        item.get("role") in ("user", "assistant") and isinstance(message := item.get("message"), dict) and "content" in message
        for item in items
    )


def has_signal(name: str) -> Callable[[Objects], bool]:
    """Whether an object has the resources of one of OpenTelemetry's signals."""
    return lambda items: any(f"resource{name}" in item or f"resource_{name.lower()}" in item for item in items)


def is_langfuse_list(items: Objects) -> bool:
    """Whether a page of Langfuse's API lists traces, with the ids of their observations."""
    first = first_under(items, "data")
    return {"projectId", "timestamp", "observations"} <= first.keys()


def is_mlflow_list(items: Objects) -> bool:
    """Whether an answer of MLflow's API lists what is known about traces, without their spans."""
    first = first_under(items, "traces")
    return "trace_location" in first or {"request_id", "experiment_id"} <= first.keys()


def is_copilot(items: Objects) -> bool:
    """Whether lines are events of GitHub's agent: with a dotted type, data, and the event before."""
    return any({"type", "data", "parentId"} <= item.keys() and "." in str(item["type"]) for item in items)


TOOLS: list[tuple[Callable[[Objects], bool], str]] = [
    (is_qwen, "It is a session of Qwen Code, which tokenvis does not read."),
    (is_gemini, "It is a chat of Gemini CLI, which tokenvis does not read."),
    (
        is_claude_stream,
        "It is the output of claude with --output-format stream-json, which has no times. Ingest the session's file in "
        "~/.claude/projects instead.",
    ),
    (is_copilot, "It is a session of GitHub Copilot CLI, which tokenvis does not read."),
    (is_cursor, "It is a transcript of Cursor, which has no times."),
    (has_signal("Logs"), "It contains OpenTelemetry logs and no spans. Export the signal traces."),
    (has_signal("Metrics"), "It contains OpenTelemetry metrics and no spans. Export the signal traces."),
    (has_signal("Profiles"), "It contains OpenTelemetry profiles and no spans. Export the signal traces."),
    (
        lambda items: any({"traceId", "spanId", "startTimeUnixNano"} <= item.keys() for item in (*items, *listed_first(items))),
        'It contains spans of OTLP without their envelope. Write {"resourceSpans": [{"scopeSpans": [{"spans": [...]}]}]} '
        "around them.",
    ),
    (
        lambda items: {"traceID", "spans", "processes"} <= first_under(items, "data").keys(),
        "It is an answer of Jaeger's page, which tokenvis does not read. Its API has OTLP: GET /api/v3/traces/ID.",
    ),
    (
        has_keys("traceId", "id", "timestamp", "localEndpoint"),
        "It contains spans of Zipkin, which tokenvis does not read. Export them as OTLP through an OpenTelemetry collector.",
    ),
    (
        lambda items: "rootServiceName" in first_under(items, "traces") or "rootTraceName" in first_under(items, "traces"),
        "It is a list of traces that Tempo found, without their spans. Request each: GET /api/v2/traces/ID.",
    ),
    (
        is_langfuse_list,
        "It is a list of Langfuse's traces, without their observations. Request these: GET /api/public/observations.",
    ),
    (
        is_mlflow_list,
        "It is a list of MLflow's traces, without their spans. Save trace.to_json() of each, or ingest search_traces().",
    ),
    (
        lambda items: has_keys("run_type", "start_time")(items) or "run_type" in first_under(items, "runs"),
        "It contains runs of LangSmith. Load them as a DataFrame, and ingest it with columns={'parent_id': 'parent_run_id', "
        "'location_id': 'name'}.",
    ),
    (
        lambda items: any(item.get("object") in ("trace.span", "trace") and "started_at" in item for item in items),
        "It contains spans of the OpenAI Agents SDK. Load them as a DataFrame, and ingest it with columns=.",
    ),
]
