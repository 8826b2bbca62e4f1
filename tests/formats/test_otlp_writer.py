import base64
import hashlib
import io
import json

import pytest
from conftest import payloads, spans_of, with_data
from exports import SPAN, TRACE, any_spans, hostile_spans
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from tokenvis import BadSpan
from tokenvis.formats.telemetry.otlp.writer import MAX_OTLP_DEPTH, otlp_value, write_otlp
from tokenvis.spans.columns import as_spans


def document_of(spans):
    file = io.BytesIO()
    write_otlp(spans, file)
    return json.loads(file.getvalue())


def records_of(spans):
    return [span for group in document_of(spans)["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]


def record_of(data, **names):
    """The record of one span with this payload."""
    return records_of(as_spans(with_data(spans_of("ann 3 8 desk"), a=data).assign(**names)))[0]


def attributes_of(record):
    return {pair["key"]: pair["value"] for pair in record["attributes"]}


def digest(text, size):
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def protobuf_of(document):
    """A document as the official definition reads it, which has ids as base64; an unknown field or a wrong type is an error."""

    def with_base64(value):
        if isinstance(value, list):
            return [with_base64(item) for item in value]
        if isinstance(value, dict):
            ids = {"traceId", "spanId", "parentSpanId"} & value.keys()
            raw = {key: base64.b64encode(bytes.fromhex(value[key])).decode() for key in ids}
            return {key: with_base64(item) for key, item in value.items()} | raw
        return value

    return ParseDict(with_base64(document), TracesData())


def test_the_text_of_a_written_file():
    data = {"label": "plan", "attributes": {"gen_ai.request.model": "opus"}}
    assert document_of(with_data(spans_of("ann 3 8 desk"), a=data)) == {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "t"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "tokenvis"},
                        "spans": [
                            {
                                "traceId": digest("t", 16),
                                "spanId": digest("a", 8),
                                "name": "plan",
                                "kind": 1,
                                "startTimeUnixNano": "3000",
                                "endTimeUnixNano": "8000",
                                "attributes": [
                                    {"key": key, "value": {"stringValue": value}}
                                    for key, value in {
                                        "gen_ai.agent.name": "ann",
                                        "gen_ai.request.model": "opus",
                                        "tokenvis.id": "a",
                                        "tokenvis.trace_id": "t",
                                        "tokenvis.agent_id": "ann",
                                        "tokenvis.location_id": "desk",
                                        "tokenvis.data": json.dumps(data),
                                    }.items()
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"span_kind": "producer"}, 4),
        ({"span_kind": "consumer", "kind": "model"}, 5),
        ({"span_kind": "client"}, 1),
        ({"span_kind": 4}, 1),
        ({"kind": "model"}, 3),
    ],
)
def test_the_kind_of_a_span(data, kind):
    assert record_of(data)["kind"] == kind


def test_a_resource_is_a_trace_with_its_spans_in_order():
    spans = spans_of("ann 0 1 desk u", "ann 1 2 desk t", "ann 2 3 desk u", "ann 3 4 desk t")
    groups = document_of(spans)["resourceSpans"]
    told = [
        (
            group["resource"]["attributes"][0]["value"]["stringValue"],
            [attributes_of(span)["tokenvis.id"]["stringValue"] for span in scope],
        )
        for group in groups
        for scope in [group["scopeSpans"][0]["spans"]]
    ]
    assert told == [("t", ["b", "d"]), ("u", ["a", "c"])]


def test_ids_from_opentelemetry_are_unchanged_and_others_are_digests():
    own = record_of({"parent_id": f"{TRACE}/{SPAN[::-1]}"}, id=f"{TRACE}/{SPAN}", trace_id=TRACE)
    assert (own["traceId"], own["spanId"], own["parentSpanId"]) == (TRACE, SPAN, SPAN[::-1])
    other = record_of({"parent_id": "b"}, id=f"{TRACE}/{SPAN}")
    assert (other["traceId"], other["spanId"]) == (digest("t", 16), digest(f"{TRACE}/{SPAN}", 8))
    assert other["parentSpanId"] == digest("b", 8)


@pytest.mark.parametrize(
    "span", [f"{TRACE}/{SPAN.upper()}", f"{TRACE}/{'0' * 16}", f"{TRACE}/{SPAN}0", f"{TRACE}/{SPAN}\n", SPAN]
)
def test_an_id_not_from_opentelemetry_is_a_digest(span):
    assert record_of({}, id=span, trace_id=TRACE)["spanId"] == digest(span, 8)
    assert record_of({}, trace_id="0" * 32)["traceId"] == digest("0" * 32, 16)
    assert record_of({}, trace_id=TRACE.upper())["traceId"] == digest(TRACE.upper(), 16)


def test_a_parent_is_taken_from_the_frames_column():
    records = records_of(spans_of("ann 0 9 desk", "ann 1 2 lab", parents={"b": "a"}))
    assert [record.get("parentSpanId") for record in records] == [None, records[0]["spanId"]]
    assert "parentSpanId" not in record_of({"parent_id": 5})


def test_links_target_the_same_trace_unless_they_name_another():
    own, other = {"traceId": digest("t", 16), "spanId": digest("b", 8)}, {"traceId": TRACE, "spanId": SPAN}
    assert record_of({"links": ["b", f"{TRACE}/{SPAN}"]})["links"] == [own, other]
    assert record_of({"links": "b"})["links"] == [own]
    assert record_of({"links": [f"{TRACE}/{SPAN}"]}, trace_id=TRACE)["links"] == [other]
    assert "links" not in record_of({"links": []})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"status": "ok"}, {"code": 1}),
        ({"status": "error", "status_message": "no"}, {"code": 2, "message": "no"}),
        ({"status": "open"}, None),
        ({"status": 2}, None),
        ({}, None),
    ],
)
def test_the_status(data, status):
    assert record_of(data).get("status") == status


def test_a_model_call_has_the_kind_client():
    assert [record_of({"kind": kind})["kind"] for kind in ("model", "tool")] == [3, 1]


def test_an_agent_in_the_attributes_is_kept():
    assert attributes_of(record_of({"attributes": {"gen_ai.agent.name": "Bob"}}))["gen_ai.agent.name"] == {"stringValue": "Bob"}
    assert attributes_of(record_of({"attributes": []}))["gen_ai.agent.name"] == {"stringValue": "ann"}


def test_forged_tokenvis_attributes_are_overwritten():
    record = record_of({"attributes": {"tokenvis.id": "z", "service.name": "x"}})
    assert [pair["value"] for pair in record["attributes"] if pair["key"] == "tokenvis.id"] == [{"stringValue": "a"}]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("x", {"stringValue": "x"}),
        ("a\ud800", {"stringValue": "a\ufffd"}),
        (True, {"boolValue": True}),
        (5, {"intValue": "5"}),
        (-(2**63), {"intValue": "-9223372036854775808"}),
        (2**63, {"stringValue": "9223372036854775808"}),
        (0.5, {"doubleValue": 0.5}),
        (float("inf"), {"doubleValue": "Infinity"}),
        (float("-inf"), {"doubleValue": "-Infinity"}),
        (None, {}),
        ([], {"arrayValue": {"values": []}}),
        ([1, None], {"arrayValue": {"values": [{"intValue": "1"}, {}]}}),
        ({"a": {}}, {"kvlistValue": {"values": [{"key": "a", "value": {"kvlistValue": {"values": []}}}]}}),
    ],
)
def test_a_value_is_typed(value, form):
    assert otlp_value(value) == form


def test_values_nested_too_deep_are_cut_but_complete_in_the_data():
    deep = json.loads("[" * 890 + "]" * 890)
    spans = spans_of("ann 3 8 desk").assign(data=json.dumps({"attributes": {"deep": deep}}))
    document = document_of(spans)
    protobuf_of(document)
    value = attributes_of(document["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
    assert json.loads(value["tokenvis.data"]["stringValue"]) == {"attributes": {"deep": deep}}
    inner = value["deep"]
    for _ in range(MAX_OTLP_DEPTH):
        [inner] = inner["arrayValue"]["values"]
    assert inner == {"stringValue": "…"}


@pytest.mark.parametrize(
    ("start", "end", "place"),
    [(-1, 5, "starts at -1"), (0, (2**64 - 1) // 1_000 + 1, "ends at 18446744073709552")],
)
def test_a_time_outside_of_otlps_range_is_refused(start, end, place):
    with pytest.raises(BadSpan) as caught:
        document_of(spans_of(f"ann {start} {end} desk"))
    assert str(caught.value) == (
        f"Span 'a' of trace 't' {place}: OTLP times range from 1970 to the year 2554 (ns in 64 bits). "
        "Shift the times, or export them as 'parquet'."
    )


def test_the_latest_otlp_time_is_written():
    [record] = records_of(spans_of(f"ann 0 {(2**64 - 1) // 1_000} desk"))
    assert int(record["endTimeUnixNano"]) < 2**64


def test_no_spans_give_no_resources():
    assert document_of(spans_of()) == {"resourceSpans": []}


def test_hostile_names_are_valid_by_the_official_definition():
    assert len(protobuf_of(document_of(hostile_spans())).resource_spans) == hostile_spans()["trace_id"].nunique()


@pytest.mark.laws
@given(spans=any_spans())
def test_any_file_is_valid_by_the_official_definition(spans):
    message = protobuf_of(document_of(as_spans(spans)))
    sent = [span for group in message.resource_spans for scope in group.scope_spans for span in scope.spans]
    assert len(sent) == len(spans)
    assert {(len(span.trace_id), len(span.span_id)) for span in sent} <= {(16, 8)}


@pytest.mark.laws
@given(data=payloads("a", "b") | st.just({}))
def test_attributes_mean_the_same_by_the_official_definition(data):
    message = protobuf_of(document_of(with_data(spans_of("ann 3 8 desk"), a=data)))
    attributes = MessageToDict(message.resource_spans[0].scope_spans[0].spans[0])["attributes"]
    told = {pair["key"]: next(iter(pair["value"].values())) for pair in attributes if not pair["key"].startswith("tokenvis.")}
    brought = {key: str(value) if isinstance(value, int) else value for key, value in data.get("attributes", {}).items()}
    assert told == {"gen_ai.agent.name": "ann"} | brought
