import json

import pandas as pd
import pytest
from files import problem_texts, reading_of, span_text, write_file

from tokenvis import expand_data, ingest, load_spans
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.langfuse import read, recognises


def at(seconds):
    return f"1970-01-01T00:00:{seconds:02d}.000Z"


def observation(id_, start, end, name, kind, parent=None, **more):
    return {
        "id": id_, "traceId": "t1", "projectId": "p", "type": kind, "name": name, "parentObservationId": parent,
        "startTime": at(start), "endTime": None if end is None else at(end), "level": "DEFAULT", "latency": 7424, **more,
    }  # fmt: skip


OBSERVATIONS = [
    observation("a", 1, 9, "agent_run [ann]", "AGENT", metadata={"resourceAttributes": {"service.name": "shop"}}),
    observation(
        "b", 2, 3, "chat", "GENERATION", "a", model="opus", usageDetails={"input": 5, "output": 7, "total": 12}, totalCost=0.5
    ),
    observation("c", 3, 4, "search", "TOOL", "a", level="ERROR", statusMessage="no", input={"q": "x"}),
    observation("d", 5, None, "note", "EVENT", "a", metadata='{"attributes": {"gen_ai.agent.name": "bob"}, "plan": "b"}'),
]
TOLD = ["ann agent 1-9", "- model:opus 2-3 ^a", "- tool:search 3-4 error ^a", "bob event 5-5 ^a"]
TRACE = {"id": "t1", "projectId": "p", "name": "talk", "timestamp": at(1), "input": "x"}


def spans_of(*parts):
    reading = reading_of("x", *parts)
    assert recognises(head_of(reading.source))
    return [span_text(made) for made in read(reading)], problem_texts(reading)


@pytest.mark.parametrize("indent", [None, 1])
def test_observations_in_every_shape_of_file(indent):
    for whole in (
        {"trace": TRACE, "observations": OBSERVATIONS},
        {**TRACE, "observations": OBSERVATIONS},
        {"data": OBSERVATIONS},
    ):
        assert spans_of(json.dumps(whole, indent=indent)) == (TOLD, [])
    assert spans_of(json.dumps(OBSERVATIONS, indent=indent)) == (TOLD, [])
    assert spans_of(*OBSERVATIONS) == (TOLD, [])


def test_names_in_snake_case_and_tables():
    new = {
        "traceId": "trace_id",
        "parentObservationId": "parent_observation_id",
        "startTime": "start_time",
        "endTime": "end_time",
        "model": "provided_model_name",
    }
    kept = ("id", "type", "name", *new)
    snake = [{new.get(key, key): one.get(key) for key in kept} for one in OBSERVATIONS[:3]]
    expected = [TOLD[0], TOLD[1], TOLD[2].replace(" error", "")]
    assert spans_of(*snake) == (expected, [])
    pd.DataFrame(snake).to_csv("x.csv", index=False)
    assert [span_text(made) for made in read(reading_of("x.csv"))] == expected
    assert ingest(pd.DataFrame(snake)).n_spans == 3


def test_a_trace_has_its_name_and_its_spans_their_agents():
    write_file("x.json", {"trace": TRACE, "observations": OBSERVATIONS})
    report = ingest("x.json")
    assert report.names == {"t1": "talk"}
    assert load_spans("t1")["agent_id"].tolist() == ["ann", "ann", "ann", "bob"]


def test_the_data_of_an_observation_are_kept():
    _, model, tool, event = read(reading_of("x", *OBSERVATIONS))
    assert model.data["attributes"] == {
        "gen_ai.request.model": "opus",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cost": 0.5,
    }
    assert (tool.data["input"], tool.data["status_message"]) == ({"q": "x"}, "no")
    assert event.data["attributes"] == {"gen_ai.agent.name": "bob", "metadata.plan": "b"}
    assert "latency" not in model.data


@pytest.mark.parametrize(
    ("fields", "figures"),
    [
        ({"usageDetails": {"input": 5, "input_cached_tokens": 40}, "costDetails": {"total": 0.5}}, (45, 0.5)),
        ({"usageDetails": {}, "usage": {"input": 5, "output": 7, "unit": "TOKENS"}, "totalCost": 0}, (5, None)),
        ({"usageDetails": '{"input": 5}', "costDetails": '{"input": 0.25, "output": 0.5}'}, (5, 0.75)),
        ({"promptTokens": 5, "calculatedInputCost": 0.25, "calculatedOutputCost": 0.5}, (5, 0.75)),
        ({"usageDetails": {"input": 50, "cache_read": 40, "output": 7, "total": 97}}, (90, None)),
        ({"usage": {"input": 5, "unit": "CHARACTERS"}}, (None, None)),
        ({"usageDetails": {"input": "many"}, "totalCost": "n/a"}, ("many", "n/a")),
    ],
)
def test_figures_are_where_any_version_has_them(fields, figures):
    [span] = read(reading_of("x", observation("b", 2, 3, "chat", "GENERATION", **fields)))
    attributes = span.data.get("attributes", {})
    assert tuple(attributes.get(f"gen_ai.usage.{key}") for key in ("input_tokens", "cost")) == figures


def test_usage_in_another_unit_stays_under_its_own_name():
    usage = {"input": 5, "unit": "CHARACTERS"}
    [span] = read(reading_of("x", observation("b", 2, 3, "chat", "GENERATION", usage=usage)))
    assert span.data["attributes"] == {"langfuse.usage.input": 5, "langfuse.usage.unit": "CHARACTERS"}


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    good, *_ = OBSERVATIONS
    lines = [{**good, "id": 5}, {**good, "startTime": "noon"}, {**good, "startTime": None}, {**good, "metadata": "{x"}]
    assert spans_of(*lines) == (
        TOLD[:1],
        [
            "x, line 1: invalid value ('id' is of type int).",
            "x, line 2: invalid value (Invalid isoformat string: 'noon').",
            "x, line 3: 'startTime' is missing.",
        ],
    )


@pytest.mark.parametrize(
    "answer",
    [
        {"output": {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f"}}]}},
        {"output": json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1"}]}])},
        {"toolCalls": ['{"id": "c1", "name": "f"}']},
        {"metadata": {"attributes": {"llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1"}}},
    ],
)
@pytest.mark.parametrize(
    "made", [{"metadata": {"attributes": {"gen_ai.tool.call.id": "c1"}}}, {"output": {"type": "tool", "tool_call_id": "c1"}}]
)
def test_a_tool_call_is_requested_by_the_model_call_whose_answer_has_its_id(answer, made):
    tool = observation("c", 3, 4, "search", "TOOL", "a", **made)
    write_file("x.jsonl", tool, OBSERVATIONS[0], observation("b", 2, 3, "chat", "GENERATION", "a", model="opus", **answer))
    spans = expand_data(ingest("x.jsonl").spans(), ["requested_by"])
    assert dict(zip(spans["id"], spans["requested_by"].fillna(""), strict=True)) == {"t1/a": "", "t1/b": "", "t1/c": "t1/b"}


def test_agents_of_one_name_are_told_apart_by_their_ids():
    metadata = [{"attributes": {"gen_ai.agent.name": "Ann", "gen_ai.agent.id": id_}} for id_ in ("a", "b")]
    runs = [observation(str(number), 1, 5, "run", "AGENT", metadata=said) for number, said in enumerate(metadata)]
    write_file("x.json", json.dumps(runs))
    assert sorted(ingest("x.json").spans()["agent_id"]) == ["Ann", "Ann 2"]


def agent_observation(id_, start, end, name, parent=None, **attributes):
    metadata = {"attributes": {"openinference.span.kind": "AGENT", **attributes}}
    return observation(id_, start, end, name, "AGENT", parent, metadata=metadata)


def test_the_tasks_of_a_crew_have_the_roles_of_their_agents():
    tasks = json.dumps([{"id": "a", "agent_role": "Researcher"}, {"id": "b", "agent_role": "Writer"}])
    crew = observation("0", 0, 9, "Crew.kickoff", "SPAN", metadata={"attributes": {"crew_tasks": tasks}})
    runs = [agent_observation(str(n), n, n + 3, "Task._execute_core", "0", task_id=task) for n, task in ((1, "a"), (4, "b"))]
    inside = observation("5", 5, 6, "chat", "GENERATION", "4", model="opus")
    for order in ([crew, *runs, inside], [inside, *reversed(runs), crew]):
        write_file("x.json", {"trace": TRACE, "observations": order})
        spans = ingest("x.json", store=f"{order[0]['id']}.db").spans().set_index("id")["agent_id"]
        assert spans.to_dict() == {"t1/0": "talk", "t1/1": "Researcher", "t1/4": "Writer", "t1/5": "Writer"}


def test_the_counted_events_of_an_agent_are_one_agent():
    events = [agent_observation(str(n), n, n + 1, f"agent.react.update-{n}", "0") for n in range(1, 18)]
    write_file("x.json", {"trace": TRACE, "observations": [agent_observation("0", 0, 20, "react-agent"), *events]})
    report = ingest("x.json")
    assert (report.n_spans, set(report.spans()["agent_id"])) == (18, {"react-agent"})


def test_the_tool_that_starts_an_agent_is_not_where_the_agent_works():
    run = {"gen_ai.tool.name": "ask_researcher", "gen_ai.agent.name": "researcher"}
    assert spans_of(agent_observation("1", 1, 9, "run", **run))[0] == ["researcher agent 1-9"]
