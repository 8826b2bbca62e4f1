import json

import pytest

from tokenvis.conventions.coding_agent_spans import agent_called
from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import span_of


class Names:
    without_texts = False

    def name_trace(self, trace_id, name, start=None):
        pass


def span(id_, name, parent=None, **attributes):
    attributes = {key.replace("__", "."): value for key, value in attributes.items()}
    return span_of(Names(), "t", id_, parent, name, 0, 9, attributes)


def told(*spans):
    return {one.id.removeprefix("t/"): (one.agent, one.location) for one in with_known_agents(spans, print)}


def gemini(id_, name, parent=None, agent="gemini-cli", **more):
    return span(id_, name, parent, gen_ai__operation__name=name, gen_ai__agent__name=agent, **more)


def test_a_subagent_of_gemini_cli_is_told_apart():
    call = json.dumps({"name": "invoke_agent", "args": {"agent_name": "reviewer", "prompt": "look"}})
    spans = [
        gemini("1", "user_prompt"),
        gemini("2", "llm_call", "1", gen_ai__request__model="gemini-3"),
        gemini("3", "tool_call", "1", gen_ai__tool__name="invoke_agent", gen_ai__input__messages=call),
        gemini("4", "agent_call", "3"),
        gemini("5", "llm_call", "4", gen_ai__request__model="gemini-3"),
        gemini("6", "agent_call", "1", agent="explorer"),
    ]
    expected = {
        "1": ("gemini-cli", "user_prompt"),
        "2": (None, "model:gemini-3"),
        "3": (None, "tool:invoke_agent"),
        "4": ("reviewer", "agent"),
        "5": (None, "model:gemini-3"),
        "6": ("explorer", "agent"),
    }
    assert told(*spans) == told(*spans[::-1]) == expected


@pytest.mark.parametrize("request_", [None, "x", "{", "[]", {"args": 5}, {"args": "{"}, {"agent_name": [1]}, {"args": {}}])
def test_an_input_that_starts_no_agent(request_):
    assert agent_called({"gen_ai.input.messages": request_}) is None


def test_the_requests_and_tools_of_codex():
    rust = {"busy_ns": 5, "thread.id": 2}
    spans = [
        span("1", "session_task.turn", model="gpt-5", **rust),
        span("2", "run_sampling_request", "1", model="gpt-5", **rust),
        span("3", "exec_command", "2", tool_name="exec_command", call_id="c1", **rust),
        span("4", "stream_request", "2", **rust),
    ]
    assert told(*spans) == {
        "1": (None, "span"), "2": (None, "model:gpt-5"), "3": (None, "tool:exec_command"), "4": (None, "span"),
    }  # fmt: skip
    assert spans[2].call == "c1"
