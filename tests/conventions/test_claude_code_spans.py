import itertools

import pytest

from tokenvis.conventions import claude_code_spans
from tokenvis.conventions.claude_code_spans import agent_type, with_parent_tools
from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import span_of


class Names:
    without_texts = False

    def name_trace(self, trace_id, name, start=None):
        pass


def span(id_, name, parent=None, **attributes):
    return span_of(Names(), "t", id_, parent, f"claude_code.{name}", 0, 9, attributes)


def told(spans):
    return {one.id.removeprefix("t/"): (one.agent, one.location, one.data["kind"]) for one in spans}


def session():
    """An agent that explores, started by a tool call; only its model call tells its type."""
    return [
        span("1", "interaction"),
        span("2", "llm_request", "1", model="opus", query_source="repl_main_thread", output_tokens=5),
        span("3", "tool", "1", tool_name="Agent"),
        span("4", "llm_request", "3", model="haiku", query_source="agent:builtin:Explore", agent_id="a1"),
        span("5", "tool", "3", tool_name="Bash", agent_id="a1"),
        span("6", "tool.blocked_on_user", "5", decision="accept", source="user_temporary"),
        span("7", "tool.execution", "5", success=True),
        span("8", "hook", "1", hook_name="x"),
    ]


TOLD = {
    "1": (None, "interaction", "interaction"),
    "2": (None, "model:opus", "model"),
    "3": (None, "tool:Agent", "tool"),
    "4": ("Explore", "model:haiku", "model"),
    "5": ("Explore", "tool:Bash", "tool"),
    "6": (None, "tool:Bash", "permission"),
    "7": (None, "tool:Bash", "execution"),
    "8": (None, "hook", "hook"),
}


def test_models_tools_and_agents_in_any_order():
    for order in itertools.islice(itertools.permutations(range(8)), 0, None, 999):
        spans = session()
        assert told(with_known_agents([spans[number] for number in order], print)) == TOLD


def test_the_type_of_a_subagent_stands_on_the_tool_call_that_started_it():
    outside = span("3", "tool", tool_name="Agent", subagent_type="reviewer")
    inside = span("4", "llm_request", "3", model="haiku", query_source="agent:custom", agent_id="a1b2c3d4e5f6a7b8c")
    assert told(with_known_agents([inside, outside], print))["4"][0] == "reviewer"
    assert told(with_known_agents([span("4", "tool", "9", tool_name="Bash", agent_id="a1b2c3d4e5f6a7b8c")], print)) == {
        "4": ("agent a1b2c3d4", "tool:Bash", "tool")
    }


@pytest.mark.parametrize(
    ("source", "agent"),
    [
        ("agent:builtin:Explore", "Explore"),
        ("agent:custom:reviewer", "reviewer"),
        ("agent:reviewer", "reviewer"),
        ("agent:custom", None),
        ("agent:", None),
        ("repl_main_thread", None),
        ("sdk", None),
        (None, None),
        (["agent:x"], None),
    ],
)
def test_the_type_of_an_agent_in_the_source_of_a_request(source, agent):
    assert agent_type(source) == agent


def test_a_part_whose_tool_call_is_missing_is_kept(monkeypatch):
    monkeypatch.setattr(claude_code_spans, "MAX_PARTS", 2)
    parts = [span(str(number), "tool.execution", f"x{number % 2}") for number in range(5)]
    found = told(with_parent_tools([*parts, span("x0", "tool", tool_name="Bash"), span("x1", "tool", tool_name=["no"])]))
    assert sorted(found) == ["0", "1", "2", "3", "4", "x0", "x1"]
    assert found["3"] == (None, "execution", "execution")
