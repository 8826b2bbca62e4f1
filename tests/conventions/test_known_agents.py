import json
import random

from tokenvis.conventions import known_agents
from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import span_of

AGENT = {"openinference.span.kind": "AGENT"}
TASKS = [{"id": "a", "agent_role": "Researcher\n"}, {"id": "b", "agent_role": "Writer"}, {"id": "c", "agent_role": "None"}, 5]


class Names:
    without_texts = False

    def name_trace(self, trace_id, name, start=None):
        pass


def span(id_, name="Task._execute_core", trace="t", **attributes):
    attributes = {key.replace("__", "."): value for key, value in attributes.items()}
    return span_of(Names(), trace, id_, "0" if id_ != "0" else None, name, 0, 9, AGENT | attributes)


def agents_of(*spans):
    told = []
    read = with_known_agents(spans, told.append)
    return {one.id: (one.agent, one.agent_from) for one in read}, told


def test_the_role_of_a_task_stands_on_the_span_of_the_crew_in_any_order():
    crew = span("0", "Crew.kickoff", crew_tasks=json.dumps(TASKS))
    tasks = [span(f"{number}", task_id=task) for number, task in enumerate("abcx", start=1)]
    elsewhere = span("1", trace="u", task_id="a")
    expected = {
        "t/0": (None, None), "t/1": ("Researcher", "task"), "t/2": ("Writer", "task"), "t/3": (None, None), "t/4": (None, None),
        "u/1": (None, None),
    }  # fmt: skip
    assert agents_of(crew, *tasks, elsewhere) == agents_of(elsewhere, *tasks, crew) == (expected, [])


def test_a_task_that_names_its_agent_keeps_the_name():
    crew = span("0", "Crew.kickoff", crew_tasks=TASKS)
    assert agents_of(crew, span("1", "Editor._execute_core", task_id="a"))[0]["t/1"] == ("Editor", "name")


def test_a_crew_inside_a_named_agent_knows_its_tasks():
    crew = span("0", "Crew.kickoff", crew_tasks=TASKS, gen_ai__agent__name="lead")
    assert agents_of(span("1", task_id="a"), crew)[0] == {"t/0": ("lead", "attribute"), "t/1": ("Researcher", "task")}


def test_damaged_tasks_name_no_agent():
    for damaged in ("[{", "{}", 5, None, [[]], [{"id": [], "agent_role": "x"}], [{"id": "a"}]):
        assert agents_of(span("0", crew_tasks=damaged), span("1", task_id="a"))[0]["t/1"] == (None, None)


def test_an_id_gets_the_name_that_another_span_gives_it():
    named = span("1", "run", gen_ai__agent__name="researcher", gen_ai__agent__id="r-0")
    inside, other = span("2", "chat", gen_ai__agent__id="r-0"), span("3", "chat", gen_ai__agent__id="r-1")
    expected = {"t/1": ("researcher", "attribute"), "t/2": ("researcher", "id"), "t/3": ("r-1", "id")}
    assert agents_of(named, inside, other) == (expected, [])
    assert inside.agent_key == "r-0"


def test_of_several_names_the_order_of_the_spans_does_not_choose():
    def spans():
        names = [span(name, "run", gen_ai__agent__name=name, gen_ai__agent__id="r") for name in ("b", "a", "c")]
        return [*names, span("x", "run", gen_ai__agent__id="r")]

    found = {agents_of(*random.Random(seed).sample(spans(), 4))[0]["t/x"] for seed in range(9)}
    assert found == {("a", "id")}


def test_spans_beyond_the_limit_are_told(monkeypatch):
    monkeypatch.setattr(known_agents, "MAX_WAITING", 2)
    tasks = [span(f"{number}", task_id="a") for number in range(1, 5)]
    found, told = agents_of(*tasks, span("0", crew_tasks=TASKS))
    assert [found[f"t/{number}"][0] for number in range(1, 5)] == ["Researcher", "Researcher", None, None]
    assert told == ["2 spans beyond the first 2 that name their agent by an id only did not get its name"]


def test_an_exported_span_with_something_else_under_attributes_knows_no_agents():
    odd = [span(f"{number}", "agent_call", "t") for number in range(3)]
    for one, value in zip(odd, (5, "crew_tasks", None), strict=True):
        one.data = {"kind": "agent", "attributes": value}
    assert agents_of(*odd)[1] == []
