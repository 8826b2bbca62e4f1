import pytest

from tokenvis.conventions.agent_names import agent_named

ID = "1a2b3c4d-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("Planner", "Planner"),
        ("invoke_agent Planner", "Planner"),
        ("invoke_agent Task", "Task"),
        ("agent_run [ann]", "ann"),
        ("Planner run", "Planner"),
        ("planner.agent", "planner"),
        ("Senior Researcher._execute_core", "Senior Researcher"),
        ("CodeAgent.run", "CodeAgent"),
        ("AssistantAgent.on_messages", "AssistantAgent"),
        ("acme.research_agent", "acme.research_agent"),
        ("researcher-2", "researcher-2"),
        ("Agent 3", "Agent 3"),
        ("agent 3", "agent 3"),
        ("agent.planner", "planner"),
        ("planner.think", "planner"),
        ("Planner.forward", "Planner"),
        ("weather_agent.ainvoke_once", "weather_agent"),
        ("order_agent.process_order", "order_agent"),
        ("data.analyst", "data.analyst"),
        ("acme.step_writer", "acme.step_writer"),
        ("Senior Researcher\n._execute_core", "Senior Researcher"),
        ("Senior Writer\n.agent", "Senior Writer"),
        ("agent run: 'weather-agent'", "weather-agent"),
        ("agent run: 'weather-agent' (resumed)", "weather-agent"),
        ("研究员", "研究员"),
        ("🤖", "🤖"),
        ("$\\frac{", "$\\frac{"),
        ("<script>\nx", "<script>\nx"),
        (f"researcher-{ID}", "researcher"),
        (ID, "agent 1a2b3c4d"),
        (f"invoke_agent {ID}", "agent 1a2b3c4d"),
        (f"agent_{ID}", "agent 1a2b3c4d"),
    ],
)
def test_the_span_of_an_agent_has_its_name(name, agent):
    assert agent_named({}, "agent", name).name == agent
    assert agent_named({}, "chain", name).name is None


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Task._execute_core",
            "Crew.kickoff",
            f"Crew_{ID}.kickoff",
            "AgentExecutor.invoke",
            "AgentExecutor",
            "AgentExecutor_1",
            "agent_run_2",
            "Agent.execute_task",
        ),
        *(
            "agent.react.update-13",
            "agent.react.success",
            "agent.requirement.start",
            "run-7",
            "step_3",
            "Step 1",
            "turn #2",
            f"run-{ID}",
            "7",
            "--",
        ),
        *(
            "agent",
            "agent run",
            "invoke_agent",
            "invoke_agent  ",
            "agent.think",
            "agent.execute_task",
            "LangGraph",
            "call_model",
            "tools",
            "",
            "x" * 10_000,
        ),
    ],
)
def test_a_method_a_step_and_a_word_of_a_framework_name_no_agent(name):
    assert agent_named({}, "agent", name) == (None, None, None)


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"gen_ai.agent.name": "Ann", "gen_ai.agent.id": "a-1"}, ("Ann", "attribute", "a-1")),
        ({"gen_ai.agent.name": "Ann", "agent.id": 7}, ("Ann", "attribute", "7")),
        ({"gen_ai.agent.name": "Ann", "gen_ai.agent.id": " ", "agno.agent.id": "b"}, ("Ann", "attribute", "b")),
        ({"gen_ai.agent.name": "Ann", "gen_ai.agent.id": ["a"]}, ("Ann", "attribute", None)),
        ({"gen_ai.agent.name": "Ann", "gen_ai.agent.id": "Ann"}, ("Ann", "attribute", None)),
        ({"gen_ai.agent.name": ID}, ("Bob", "name", ID)),
        ({"gen_ai.agent.name": f"planner_{ID}/{ID}"}, ("planner", "attribute", ID)),
        ({"gen_ai.agent.id": ID}, ("Bob", "name", ID)),
        ({"gen_ai.agent.id": "b-1"}, ("Bob", "name", "b-1")),
        ({"agent.id": "b-1"}, ("Bob", "name", "b-1")),
        ({"metadata.lc_agent_name": "Writer"}, ("Writer", "attribute", None)),
        ({"crewai.agent.role": "Writer"}, ("Writer", "attribute", None)),
        ({"crewai.agent.role": "Writer\n"}, ("Writer", "attribute", None)),
        ({"graph.node.id": "Writer"}, ("Writer", "attribute", None)),
        ({"graph.node.id": "a1b2c3d4e5f60718", "graph.node.name": "Writer"}, ("Writer", "attribute", None)),
        ({"graph.node.id": "a1b2c3d4e5f60718"}, ("Bob", "name", "a1b2c3d4e5f60718")),
        ({"gen_ai.agent.name": ""}, ("Bob", "name", None)),
        ({"gen_ai.agent.name": ["x"]}, ("Bob", "name", None)),
    ],
)
def test_attributes_come_before_the_name_of_the_span(attributes, found):
    assert agent_named(attributes, "agent", "Bob run") == found


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"gen_ai.agent.id": "r-0"}, ("r-0", "id", None)),
        ({"gen_ai.agent.id": ID}, ("agent 1a2b3c4d", "id", ID)),
        ({"agent.id": "r-0"}, (None, None, None)),
        ({"graph.node.id": "router"}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_an_id_names_the_agent_of_any_span(attributes, found):
    assert agent_named(attributes, "model", "chat") == found
