import json

import pytest
from files import source_of, write_file

from tokenvis.formats.files.head import head_of
from tokenvis.formats.registry import FORMATS
from tokenvis.ingestion.unsupported import unsupported_tool

QWEN = {"uuid": "u", "parentUuid": None, "sessionId": "s", "timestamp": "2026-01-01T00:00:00Z", "type": "user"}
STREAM = {"type": "system", "subtype": "init", "session_id": "s", "uuid": "u", "tools": []}


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([QWEN | {"message": {"role": "user", "parts": [{"text": "hi"}]}},
          QWEN | {"type": "assistant", "message": {"role": "model", "parts": [{"text": "hi"}]}}], "Qwen Code"),
        ([QWEN | {"type": "system", "subtype": "ui_telemetry", "systemPayload": {}}], "Qwen Code"),
        ([{"sessionId": "s", "projectHash": "h", "startTime": "t", "lastUpdated": "t", "messages": []}], "Gemini CLI"),
        ([{"id": "1", "timestamp": "t", "type": "user", "content": "a"},
          {"id": "2", "timestamp": "t", "type": "gemini", "content": "a"}], "Gemini CLI"),
        ([STREAM, {"type": "assistant", "message": {"content": []}, "session_id": "s", "uuid": "v"}], "stream-json"),
        ([{"type": "session.start", "data": {}, "id": "1", "parentId": None}], "GitHub Copilot CLI"),
        ([{"role": "user", "message": {"content": [{"type": "text", "text": "a"}]}}], "Cursor"),
        ([{"resourceLogs": [{}]}], "OpenTelemetry logs"),
        ([{"resource_metrics": []}], "OpenTelemetry metrics"),
        ([{"resourceProfiles": []}], "OpenTelemetry profiles"),
        ([{"spans": [{"traceId": "a", "spanId": "b", "startTimeUnixNano": "1"}]}], "spans of OTLP without their envelope"),
        ([[{"traceId": "a", "spanId": "b", "startTimeUnixNano": "1"}]], "spans of OTLP without their envelope"),
        ([{"data": [{"traceID": "a", "spans": [], "processes": {}}]}], "Jaeger"),
        ([[{"traceId": "a", "id": "b", "timestamp": 1, "duration": 2, "localEndpoint": {}}]], "Zipkin"),
        ([{"traces": [{"traceID": "a", "rootServiceName": "s"}]}], "Tempo"),
        ([{"data": [{"id": "a", "projectId": "p", "timestamp": "t", "observations": ["o"]}], "meta": {}}], "Langfuse"),
        ([{"traces": [{"trace_id": "tr-1", "trace_location": {}}]}], "MLflow"),
        ([{"runs": [{"id": "a", "run_type": "llm"}], "cursors": {"next": "n"}}], "LangSmith"),
        ([{"object": "trace.span", "started_at": "t"}], "OpenAI Agents SDK"),
    ],
)  # fmt: skip
def test_a_file_of_a_tool_that_is_not_read_is_named_and_read_by_no_format(lines, name):
    head = head_of(source_of(write_file("x", *map(json.dumps, lines))))
    assert name in (unsupported_tool(head) or "")
    assert [format_ for format_, reader in FORMATS.items() if reader.recognises(head)] == []


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", "[1]", '{"data": 5}', '{"data": [5]}', '{"type": {}, "message": 5}'])
def test_other_files_are_of_no_tool(text):
    assert unsupported_tool(head_of(source_of(write_file("x", text)))) is None
