import json

import pandas as pd
import pytest
from files import problem_texts, reading_of, span_text, write_file

from tokenvis import expand_data, ingest, load_spans
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.mlflow import read, recognises

TRACE = "kearU7xuqJDk2W88JSJaZg=="
HEX = "91e6ab53bc6ea890e4d96f3c25225a66"


def span(id_, start, end, name, kind, parent=None, **attributes):
    said = {"mlflow.spanType": kind, "mlflow.spanFunctionName": name, **attributes}
    return {
        "trace_id": TRACE,
        "span_id": id_,
        "parent_span_id": parent,
        "name": name,
        "start_time_unix_nano": start * 10**9,
        "end_time_unix_nano": end and end * 10**9,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {key: json.dumps(value) for key, value in said.items()},
        "links": [],
    }


A, B, C = "7IFAP3p3JC4=", "1qiViBUiQD8=", "cwne3rXjD50="
USAGE = {"mlflow.chat.tokenUsage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}, "mlflow.llm.model": "opus"}
SPANS = [
    span(A, 1, 9, "planner", "AGENT"),
    span(B, 2, 4, "ask", "CHAT_MODEL", A, **USAGE),
    span(C, 4, 5, "search", "TOOL", A, **{"mlflow.spanInputs": {"q": "x"}}),
]
INFO = {
    "trace_id": f"tr-{HEX}",
    "trace_location": {},
    "request_time": "2026-11-23T04:54:28Z",
    "tags": {"mlflow.traceName": "plan"},
}
WHOLE = {"info": INFO, "data": {"spans": SPANS}}
PARENT = "ec81403f7a77242e"
TOLD = ["planner agent 1-9", f"- model:opus 2-4 ^{PARENT}", f"- tool:search 4-5 ^{PARENT}"]


def spans_of(*parts):
    reading = reading_of("x", *parts)
    assert recognises(head_of(reading.source))
    return [span_text(made) for made in read(reading)], problem_texts(reading)


def test_a_trace_as_a_document_a_line_and_in_an_array():
    for text in (
        json.dumps(WHOLE),
        json.dumps(WHOLE, indent=2),
        json.dumps([WHOLE]),
        json.dumps(WHOLE) + "\n" + json.dumps(WHOLE),
    ):
        found, wrong = spans_of(text)
        assert (found[:3], wrong) == (TOLD, [])


def test_the_frame_from_search_traces():
    frame = pd.DataFrame({"trace_id": [f"tr-{HEX}"], "trace": [json.dumps(WHOLE)], "spans": [SPANS]})
    for columns in (["trace_id", "trace"], ["trace_id", "spans"]):
        report = ingest(frame[columns])
        assert list(report.formats.values()) == ["MLflow traces"]
        assert load_spans(HEX)["agent_id"].tolist() == ["planner"] * 3


def test_values_are_decoded_and_tokens_renamed():
    _, model, tool = read(reading_of("x", WHOLE))
    attributes = model.data["attributes"]
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (5, 7)
    assert attributes["gen_ai.request.model"] == "opus"
    assert tool.data["attributes"]["input.value"] == {"q": "x"}
    assert tool.data["status"] == "ok"


def test_the_trace_has_its_own_name():
    reading = reading_of("x", WHOLE)
    list(read(reading))
    assert reading.names[HEX][1] == "plan"


def test_a_trace_of_mlflow_2():
    old = {
        "name": "planner", "context": {"span_id": "0x01", "trace_id": f"0x{HEX}"}, "parent_id": None,
        "start_time": 10**9, "end_time": 2 * 10**9, "status_code": "OK", "status_message": "",
        "attributes": {"mlflow.spanType": '"AGENT"'},
    }  # fmt: skip
    whole = {"info": {"request_id": HEX, "experiment_id": "0"}, "data": {"spans": [old]}}
    assert spans_of(json.dumps(whole)) == (["planner agent 1-2"], [])


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    bad = {**SPANS[1], "start_time_unix_nano": None}
    text = [{"info": INFO, "data": {"spans": [bad, SPANS[0], "x", 5]}}, {"info": INFO, "data": {}}, {"info": INFO, "data": 5}]
    assert spans_of(json.dumps(text)) == (
        TOLD[:1],
        [
            "x, item 1: 'start_time_unix_nano' is missing.",
            "x, item 1: invalid value (a span is of type str).",
            "x, item 1: invalid value (a span is of type int).",
            "x, item 2: 'spans' is missing.",
            "x, item 3: invalid value ('data' is of type int).",
        ],
    )


def test_a_span_that_never_ended_is_open():
    write_file("x.json", {"info": INFO, "data": {"spans": [SPANS[0], {**SPANS[1], "end_time_unix_nano": None}]}})
    assert ingest("x.json").n_open == 1


def test_a_tool_call_is_requested_by_the_model_call_whose_answer_has_its_id():
    answer = {"choices": [{"message": {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function"}]}}]}
    asking = span(B, 2, 4, "ask", "CHAT_MODEL", A, **USAGE, **{"mlflow.spanOutputs": answer})
    tool = span(C, 4, 5, "search", "TOOL", A, **{"mlflow.spanOutputs": {"content": "x", "type": "tool", "tool_call_id": "c1"}})
    write_file("x.json", json.dumps({"info": INFO, "data": {"spans": [SPANS[0], tool, asking]}}))
    spans = expand_data(ingest("x.json").spans(), ["requested_by"]).set_index("location_id")
    assert spans["requested_by"].dropna().to_dict() == {"tool:search": spans.loc["model:opus", "id"]}


def test_agents_of_one_name_are_told_apart_by_their_ids():
    named = {"gen_ai.agent.name": "Ann"}
    runs = [span(id_, 1, 5, "run", "AGENT", **named, **{"gen_ai.agent.id": id_}) for id_ in (A, B)]
    write_file("x.json", {"info": INFO, "data": {"spans": runs}})
    assert sorted(ingest("x.json").spans()["agent_id"]) == ["Ann", "Ann 2"]


def test_the_figures_of_a_span():
    usage = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 2}
    cost = {"input_cost": 0.25, "output_cost": 0.5, "total_cost": 0.75}
    [read_span] = read(
        reading_of(
            "x",
            {
                "info": INFO,
                "data": {"spans": [span(A, 1, 5, "run", "LLM", **{"mlflow.chat.tokenUsage": usage, "mlflow.llm.cost": cost})]},
            },
        )
    )
    names = ("input_tokens", "cache_read.input_tokens", "output_tokens", "cache_creation.input_tokens", "cost")
    assert [read_span.data["attributes"][f"gen_ai.usage.{name}"] for name in names] == [47, 40, 7, 2, 0.75]


@pytest.mark.parametrize(("n_spans", "n_told"), [(1, 0), (3, 1), ("3", 0)])
def test_a_trace_without_all_its_spans_is_told(n_spans, n_told):
    sizes = {"mlflow.trace.sizeStats": json.dumps({"num_spans": n_spans})}
    write_file("x.json", {"info": {"trace_location": {}, "trace_metadata": sizes}, "data": {"spans": SPANS[:1]}})
    told = "x.json, line 1: a trace has 1 of 3 spans. Load it again with its spans: mlflow.get_trace(ID)."
    assert [str(problem) for problem in ingest("x.json").problems] == [told] * n_told
