import json

import pytest

from tokenvis.record.lineage import Arrival, Lineage, RunningSpan
from tokenvis.record.requests import Asker, Requests


def nothing(span):
    return None


def asked(requests, call, start=9, trace="t", parent=None, running=nothing):
    return requests.requesting_span(trace, call, Asker(start, parent), running)


def test_the_last_model_call_to_start_before_the_call_asked_for_it():
    requests = Requests()
    requests.add("t", "a", Asker(0), ("c1", "c2"))
    requests.add("t", "b", Asker(5), ("c1",))
    requests.add("t", "b", Asker(5), ("c1",))
    assert [asked(requests, "c1", start) for start in (-1, 0, 4, 5, 9)] == [None, "a", "a", "b", "b"]
    assert (asked(requests, "c2"), asked(requests, "c3"), asked(requests, "c1", trace="u")) == ("a", None, None)


@pytest.mark.parametrize(
    ("running", "span"),
    [
        ({"p": ("c", None)}, None),
        ({"p": (None, "q"), "q": ("c", None)}, None),
        ({"p": ("d", "q"), "q": ("c", None)}, "a"),
        ({"p": (None, "q")}, "a"),
        ({"p": (None, None)}, "a"),
        ({"p": (None, "p")}, "a"),
    ],
)
def test_a_span_inside_a_running_span_with_the_same_call_is_a_part_of_it(running, span):
    requests = Requests()
    requests.add("t", "a", Asker(0), ("c",))
    assert asked(requests, "c", parent="p", running=running.get) == span


@pytest.mark.parametrize(
    ("parent", "agent", "span"),
    [
        ("p", "Ann", "a"),  # the last of its parent
        ("q", "Ann", "b"),
        ("q", "Eve", "b"),
        (None, "Ann", "a"),
        ("r", "Bob", "b"),
        ("r", "Eve", None),  # two other agents may have asked
    ],
)
def test_of_two_agents_with_one_id_the_parent_then_the_agent_counts(parent, agent, span):
    requests = Requests()
    for name, asker in {"z": Asker(0, "p", "Ann"), "a": Asker(1, "p", "Ann"), "b": Asker(2, "q", "Bob")}.items():
        requests.add("t", name, asker, ("c",))
    assert requests.requesting_span("t", "c", Asker(5, parent, agent), nothing) == span


def test_the_only_agent_with_the_id_counts():
    requests = Requests()
    for name, asker in {"z": Asker(0, "p", "Ann"), "a": Asker(1, "p", "Ann")}.items():
        requests.add("t", name, asker, ("c",))
    assert requests.requesting_span("t", "c", Asker(5, "r", "Eve"), nothing) == "a"


def test_the_oldest_answers_are_forgotten():
    requests = Requests(max_calls=2)
    for number in range(4):
        requests.add("t", f"m{number}", Asker(0), (f"c{number}",))
        requests.add("t", "m0", Asker(0), ("c0",))
    assert [asked(requests, f"c{number}") for number in range(4)] == ["m0", None, None, "m3"]


def arrival(span, start, parent=None, calls=(), call=None):
    return Arrival((span, "t", "", "place", start, start + 1, '{"kind":"x"}'), parent, "Ann", None, None, calls, call)


def test_a_row_names_the_model_call_that_asked_for_it():
    lineage, running = Lineage(), {"p": RunningSpan("Ann", None, None, "c")}
    lineage.add(arrival("m", 0, calls=("c",)))
    rows = [
        *lineage.add(arrival("a", 2, call="c")),
        lineage.running_row(arrival("b", 2, call="c"), lambda _: None),
        *lineage.add(arrival("d", 2, "p", call="c"), running.get),
        *lineage.add(arrival("e", 2)),
    ]
    assert [json.loads(row[-1]) for row in rows] == [
        {"requested_by": "m", "kind": "x"},
        {"requested_by": "m", "kind": "x"},
        {"kind": "x"},
        {"kind": "x"},
    ]


def test_a_row_that_is_written_again_with_its_agent_keeps_its_request():
    lineage = Lineage()
    lineage.add(arrival("m", 0, calls=("c",)))
    [row] = lineage.add(arrival("a", 2, "run", call="c")._replace(agent=None))
    again, run = lineage.add(arrival("run", 0))
    assert (row[2], again[2], run[2]) == ("t", "Ann", "Ann")
    assert json.loads(row[-1]) == {"agent_from": "trace", "requested_by": "m", "kind": "x"}
    assert json.loads(again[-1]) == {"agent_from": "ancestor", "requested_by": "m", "kind": "x"}
