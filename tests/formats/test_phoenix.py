import json

import pandas as pd
from files import problem_texts, reading_of, span_text

from tokenvis import expand_data, ingest, load_spans
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.phoenix import read, recognises

TRACE, A, B = "aa" * 16, "01" * 8, "02" * 8


def at(seconds):
    return f"1970-01-01T00:00:{seconds:02d}Z"


def row(span_id, start, end, name, kind, parent=None, **attributes):
    return {
        "context.trace_id": TRACE,
        "context.span_id": span_id,
        "parent_id": parent,
        "name": name,
        "span_kind": kind,
        "start_time": at(start),
        "end_time": at(end) if end else None,
        "status_code": "OK",
        "status_message": "",
        "events": [],
        **{f"attributes.{key}": value for key, value in attributes.items()},
    }


ROWS = [
    row(A, 1, 9, "Planner", "AGENT"),
    row(B, 2, 3, "ChatOpenAI", "LLM", A, **{"llm.model_name": "opus", "llm.token_count": {"prompt": 5, "completion": 7}}),
]
TOLD = ["Planner agent 1-9", f"- model:opus 2-3 ^{A}"]


def spans_of(*parts):
    reading = reading_of("x", *parts)
    assert recognises(head_of(reading.source))
    return [span_text(made) for made in read(reading)], problem_texts(reading)


def test_the_frame_in_every_kind_of_file():
    frame = pd.DataFrame(ROWS).assign(start_time=lambda rows: pd.to_datetime(rows["start_time"]))
    frame.to_parquet("x.parquet")
    for source in (frame, frame.set_index("context.span_id"), "x.parquet"):
        report = ingest(source)
        assert list(report.formats.values()) == ["Phoenix / OpenInference spans"]
        assert [str(problem) for problem in report.problems] == []
        assert load_spans(TRACE)["location_id"].tolist() == ["agent", "model:opus"]
        assert set(load_spans(TRACE)["agent_id"]) == {"Planner"}


def test_lines_and_responses_of_the_api():
    assert spans_of(*ROWS) == (TOLD, [])
    rest = [
        {
            "id": "1", "context": {"trace_id": row["context.trace_id"], "span_id": row["context.span_id"]},
            "attributes": {"llm.model_name": "opus"} if row["span_kind"] == "LLM" else {},
            **{key: row[key] for key in ("name", "span_kind", "parent_id", "start_time", "end_time", "status_code")},
        }
        for row in ROWS
    ]  # fmt: skip
    assert spans_of(json.dumps({"data": rest, "next_cursor": None})) == (TOLD, [])
    assert spans_of(json.dumps({"next_cursor": None, "data": rest}, indent=1)) == (TOLD, [])
    assert spans_of(json.dumps(rest)) == (TOLD, [])


def test_nested_attributes_are_flattened_and_renamed():
    _, model = read(reading_of("x", *ROWS))
    assert model.data["attributes"] == {
        "gen_ai.request.model": "opus",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 7,
        "openinference.span.kind": "LLM",
    }


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    lines = [{**ROWS[0], "context.span_id": None}, {**ROWS[0], "start_time": "noon"}, {**ROWS[0], "start_time": None}, ROWS[0]]
    assert spans_of(*lines) == (
        TOLD[:1],
        [
            "x, line 1: 'context.span_id' is missing.",
            "x, line 2: invalid value (Invalid isoformat string: 'noon').",
            "x, line 3: 'start_time' is missing.",
        ],
    )


def test_a_tool_call_is_requested_by_the_model_call_whose_answer_has_its_id():
    nested = {"llm.output_messages": [{"message": {"role": "assistant", "tool_calls": [{"tool_call": {"id": "c1"}}]}}]}
    tool = row("03" * 8, 3, 4, "sh", "TOOL", A, **{"tool.name": "sh", "tool.id": "c1"})
    asking = row(B, 2, 3, "ChatOpenAI", "LLM", A, **nested)
    pd.DataFrame([ROWS[0], tool, asking]).to_parquet("asked.parquet")
    for number, source in enumerate((pd.DataFrame([ROWS[0], tool, asking]), "asked.parquet")):
        spans = expand_data(ingest(source, store=f"{number}.db").spans(), ["requested_by"])
        assert spans["requested_by"].dropna().tolist() == [f"{TRACE}/{B}"]
        assert spans.loc[spans["requested_by"].notna(), "id"].tolist() == [f"{TRACE}/{'03' * 8}"]


def test_agents_of_one_name_are_told_apart_by_their_ids():
    named = {"agent": {"name": "Ann"}, "agno": {"agent": {"id": "a-1"}}}
    runs = [row(A, 1, 5, "run", "AGENT", **named), row(B, 2, 6, "run", "AGENT", **{"agent.name": "Ann", "agent.id": "a-2"})]
    assert ingest(pd.DataFrame(runs)).spans()["agent_id"].tolist() == ["Ann", "Ann 2"]
