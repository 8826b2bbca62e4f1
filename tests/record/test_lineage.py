import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.record.lineage import Arrival, Lineage, Seen


def arrival(span, parent=None, agent=None, service=None, name=None, *, trace="t", data="{}"):
    return Arrival((span, trace, "", "place", 0, 1, data), parent, agent, service, (0, name) if name else None)


def told(lineage, *arrivals, **more):
    """What each arrival lets be written, as "span agent"."""
    return [[f"{row[0]} {row[2]}" for row in lineage.arrive(one, **more)] for one in arrivals]


def test_a_child_comes_before_the_agent_around_it():
    chat, tool, run = arrival("chat", "run", service="shop"), arrival("tool", "run"), arrival("run", "root", "Ann")
    assert told(Lineage(), chat, tool, run) == [["chat shop"], ["tool t"], ["chat Ann", "tool Ann", "run Ann"]]


def test_the_agent_may_be_further_up():
    spans = [arrival("chat", "step"), arrival("step", "run"), arrival("run", None, "Ann", name="Ann")]
    assert told(Lineage(), *spans) == [["chat t"], ["step t"], ["chat Ann", "step Ann", "run Ann"]]


def test_where_nobody_names_an_agent_it_is_the_service_or_the_name_of_the_trace():
    spans = [arrival("a", "root"), arrival("b", "root", service="shop"), arrival("root", name="GET /")]
    assert told(Lineage(), *spans) == [["a t"], ["b shop"], ["a GET /", "root GET /"]]


def test_a_span_that_comes_after_its_ancestors_is_at_once_theirs():
    late = [arrival("late", "step"), arrival("later", "late"), arrival("other", "root")]
    known = [arrival("step", "run"), arrival("run", "root", "Ann"), arrival("root", name="main")]
    assert told(Lineage(), *known, *late)[3:] == [["late Ann"], ["later Ann"], ["other main"]]


def test_what_waits_for_an_ancestor_that_never_comes_gets_the_name_of_the_trace():
    spans = [arrival("a", "lost"), arrival("root", name="main"), arrival("b", "lost")]
    assert told(Lineage(), *spans) == [["a t"], ["a main", "root main"], ["b main"]]


def test_traces_do_not_meet():
    spans = [arrival("a", "lost"), arrival("root", name="main", trace="u"), arrival("x", "lost2", trace="u")]
    assert told(Lineage(), *spans) == [["a t"], ["root main"], ["x main"]]


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}])
def test_a_circle_has_no_end_and_no_agent(parents):
    lineage = Lineage()
    rows = [row for span, parent in parents.items() for row in lineage.arrive(arrival(span, parent, service="s"))]
    assert {row[2] for row in rows} == {"s"}


def test_a_span_that_comes_again_is_there_once():
    lineage = Lineage()
    assert told(lineage, arrival("a", "run"), arrival("a", "run"), arrival("run", agent="Ann")) == [
        ["a t"],
        ["a t"],
        ["a Ann", "run Ann"],
    ]
    assert (len(lineage.waiting), lineage.groups, lineage.n_characters) == (0, {}, 0)


def test_an_ancestor_that_still_runs_tells_its_agent():
    running = {"step": Seen(None, "run"), "run": Seen("Ann", None)}
    assert told(Lineage(), arrival("chat", "step"), seen=running.get) == [["chat Ann"]]
    assert told(Lineage(), arrival("chat", "step"), seen={"step": Seen(None, None)}.get) == [["chat t"]]


def test_what_an_ancestor_names_at_its_end_counts():
    lineage = Lineage()
    assert told(lineage, arrival("chat", "run"), seen={"run": Seen("Ann", None)}.get) == [["chat Ann"]]
    assert told(lineage, arrival("run", agent="Bob")) == [["chat Bob", "run Bob"]]


def test_an_ancestor_that_runs_may_be_within_one_that_has_ended():
    lineage = Lineage()
    told(lineage, arrival("run", agent="Ann"))
    assert told(lineage, arrival("chat", "step"), seen={"step": Seen(None, "run")}.get) == [["chat Ann"]]


def test_a_trace_is_called_by_its_root_before_that_has_ended():
    lineage, running = Lineage(), {"step": Seen(None, "root"), "root": Seen(None, None, "main")}
    spans = arrival("chat", "step"), arrival("step", "root"), arrival("shopping", "root", service="shop")
    assert told(lineage, *spans, seen=running.get) == [["chat main"], ["step main"], ["shopping shop"]]
    assert told(lineage, arrival("root", name="other")) == [["chat other", "step other", "root other"]]


def test_a_span_that_runs_is_whose_it_seems_to_be_and_is_not_remembered():
    lineage, running = Lineage(), {"run": Seen("Ann", None)}
    told(lineage, arrival("ended", agent="Bob"))
    spans = [arrival("a", "run"), arrival("b", "ended"), arrival("c", name="main"), arrival("d", service="shop"), arrival("e")]
    assert [lineage.running(span, running.get)[2] for span in spans] == ["Ann", "Bob", "main", "shop", "t"]
    assert (len(lineage.known), len(lineage.names), len(lineage.waiting)) == (1, 0, 0)


def test_a_long_line_of_ancestors_is_asked_only_so_far():
    running = {f"s{n}": Seen(None, f"s{n + 1}") for n in range(100_000)}
    assert told(Lineage(), arrival("chat", "s0"), seen=running.get) == [["chat t"]]


def test_the_oldest_is_forgotten_where_too_many_wait():
    lineage = Lineage(most_waiting=2)
    told(lineage, *(arrival(span, f"of {span}") for span in "abc"))
    assert list(lineage.waiting) == ["b", "c"]
    assert told(lineage, *(arrival(f"of {span}", agent="Ann") for span in "abc")) == [
        ["of a Ann"],
        ["b Ann", "of b Ann"],
        ["c Ann", "of c Ann"],
    ]


def test_the_oldest_is_forgotten_where_they_have_too_much_text():
    lineage = Lineage(most_text=10)
    told(lineage, arrival("a", "run", data="123456"), arrival("b", "run", data="12345"), arrival("c", "run", data="12345"))
    assert (list(lineage.waiting), lineage.n_characters) == (["b", "c"], 10)
    told(lineage, arrival("long", "run", data="1" * 11))
    assert (list(lineage.waiting), lineage.n_characters, lineage.groups) == ([], 0, {})


def test_of_those_that_came_only_the_latest_are_known():
    lineage = Lineage(most_known=2)
    spans = [arrival("run", agent="Ann"), arrival("x", agent="Bob"), arrival("y", agent="Bob"), arrival("late", "run")]
    assert told(lineage, *spans)[-1] == ["late t"]
    assert set(lineage.known) == {"y", "late"}


@st.composite
def families(draw):
    """Spans of a trace in the order in which they come: with parents that may be missing, circles, and at most one root."""
    ids = [chr(ord("a") + number) for number in range(draw(st.integers(1, 9)))]
    parents = {span: draw(st.sampled_from([*ids, "nobody", "lost"])) for span in ids}
    root = draw(st.sampled_from([None, *ids]))
    spans = []
    for span in draw(st.permutations(ids)):
        agent, service = draw(st.sampled_from([None, None, "Ann", "Bob"])), draw(st.sampled_from([None, None, "shop"]))
        of_root = {"parent": None, "name": agent or "main"} if span == root else {"parent": parents[span]}
        spans.append(arrival(span, agent=agent, service=service, **of_root))
    return spans


def agents_of(spans):
    """Whose each span is, all spans being known."""
    by_id = {span.row[0]: span for span in spans}
    name = next((span.trace_name[1] for span in spans if span.trace_name), "t")
    agents = {}
    for span in spans:
        above, met = span, set()
        while above and not above.agent and above.row[0] not in met:
            met.add(above.row[0])
            above = by_id.get(above.parent)
        agents[span.row[0]] = (above.agent if above else None) or span.service or name
    return agents


@pytest.mark.laws
@given(families())
def test_in_whatever_order_they_come_each_is_whose_it_is_when_all_are_known(spans):
    lineage, agents = Lineage(), {}
    for span in spans:
        agents |= {row[0]: row[2] for row in lineage.arrive(span)}
        assert span.row[0] in agents
        assert lineage.waiting.keys() == {
            row for groups in lineage.groups.values() for group in groups.values() for row in group.rows
        }
        assert all(group.rows for groups in lineage.groups.values() for group in groups.values())
    assert agents == agents_of(spans)


@pytest.mark.laws
@given(families(), st.integers(1, 4), st.integers(2, 12), st.integers(1, 4))
def test_bounds_are_kept(spans, most_waiting, most_text, most_known):
    lineage = Lineage(most_waiting=most_waiting, most_text=most_text, most_known=most_known)
    for span in [*spans, *spans]:
        assert lineage.arrive(span)
        assert len(lineage.waiting) <= most_waiting
        assert len(lineage.known) <= most_known
        assert lineage.n_characters == 2 * len(lineage.waiting) <= most_text
        assert sum(len(group.rows) for groups in lineage.groups.values() for group in groups.values()) == len(lineage.waiting)
