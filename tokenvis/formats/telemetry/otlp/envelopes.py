"""Envelopes of OTLP: the objects around resources, and what in them is not read.

A request has ``resourceSpans``. Grafana Tempo answers with ``{"batches": [...]}``, or, in its second version, with
``{"trace": {"resourceSpans": [...]}, "status", "message"}``, where the status "PARTIAL" says that spans are missing. The third
version of Jaeger's API answers with ``{"result": {"resourceSpans": [...]}}``. A list under an unknown key, such as "scopeSpan",
may be one of spans: it is told, not skipped in silence.

Source: Tempo's API, tempo.proto; Jaeger's API, api_v3.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenvis.errors import quoted
from tokenvis.formats.files.documents import document_envelopes, document_members
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.reading import Reading

RESOURCE_KEYS = ("resourceSpans", "resource_spans", "batches")
SCOPE_KEYS = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
RESOURCES = f"{'|'.join(RESOURCE_KEYS)}[*]"
SCOPES = f"{'|'.join(SCOPE_KEYS)}[*]"
SIGNALS = {"Logs": "logs", "Metrics": "metrics", "Profiles": "profiles"}
PARTIAL = ("PARTIAL", 1)
HOLDERS = ("trace", "result")


def has_resources(item: Mapping[str, Any]) -> bool:
    """Whether an object is a request, or an answer of Tempo."""
    if "resourceSpans" in item or "resource_spans" in item:
        return True
    batches = item.get("batches")
    if isinstance(batches, list) and batches:
        return isinstance(batches[0], dict) and any(key in batches[0] for key in (*SCOPE_KEYS, "resource"))
    return any(isinstance(inner := item.get(key), dict) and has_resources(inner) for key in HOLDERS)


def resources_path(head: Head) -> str:
    """The path of the resources in a document with this head."""
    first = next(iter(head.objects), {})
    array = "[*]." if head.values and isinstance(head.values[0], list) else ""
    holder = "" if set(RESOURCE_KEYS) & first.keys() else next((f"{key}." for key in HOLDERS if key in first), "")
    return f"{array}{holder}{RESOURCES}"


def resources_in(reading: Reading, number: int, record: Any) -> list[Any]:
    """The resources of a record; other signals are counted, and an answer that is partial is a problem."""
    if not isinstance(record, dict):
        return []
    report_partial(reading, record)
    for holder in (record, *(record.get(key) for key in HOLDERS)):
        if isinstance(holder, dict) and any(key in holder for key in RESOURCE_KEYS):
            return first_list(holder, RESOURCE_KEYS)
    signals = [signal for key, signal in SIGNALS.items() if f"resource{key}" in record or f"resource_{key.lower()}" in record]
    for signal in signals:
        reading.skipped[f"records of OpenTelemetry {signal}, which contain no spans"] += 1
    if not signals:
        report_unknown(reading, number, record, (), "resourceSpans")
    return []


def first_list(source: Any, keys: Iterable[str]) -> list[Any]:
    """The first list under one of these keys, empty if there is none."""
    for key in keys:
        value = source.get(key) if isinstance(source, dict) else None
        if isinstance(value, list):
            return value
    return []


def report_partial(reading: Reading, envelope: Mapping[str, Any]) -> None:
    """Report an answer of Tempo that says that spans are missing."""
    if envelope.get("status") in PARTIAL and type(envelope["status"]) in (str, int):
        message = f" ({envelope['message']})" if isinstance(envelope.get("message"), str) and envelope["message"] else ""
        reading.add_problem(
            None, f"is incomplete: its status is PARTIAL{message}. Request the trace again, with a higher limit of its size"
        )


def report_unknown(reading: Reading, number: int | None, record: Any, known: Iterable[str], expected: str) -> None:
    """Report each list of objects in a record that is not under one of the known keys: it may contain spans."""
    for key, value in record.items() if isinstance(record, dict) else ():
        if key not in known and isinstance(value, list) and any(isinstance(item, dict) for item in value):
            reason = f"has {quoted(key)} where {expected!r} is expected; what it contains was not read"
            if not any(problem.reason == reason for problem in reading.problems[-8:]):
                reading.add_problem(number, reason)


def report_status(reading: Reading, head: Head) -> None:
    """Report a document with this head that says that spans are missing, as Tempo does."""
    if any(key in item for item in head.objects[:1] for key in ("trace", "batches", "status")):
        array = "[*]." if isinstance(head.values[0], list) else ""
        for envelope in document_envelopes(reading, array, ("status", "message")):
            report_partial(reading, envelope)


def report_scopes(reading: Reading, path: str) -> None:
    """Report lists under unknown keys in the scopes of a document's resources."""
    for _, (key, value) in document_members(Reading(reading.source), f"{path}.{SCOPES}.!spans|scope|instrumentationLibrary"):
        report_unknown(reading, None, {key: value}, ("spans",), "spans")
