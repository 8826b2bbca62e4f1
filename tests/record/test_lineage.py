import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.record.lineage import Arrival, Lineage, RunningSpan


def arrival(span, parent=None, agent=None, service=None, name=None, *, trace="t", data="{}"):
    return Arrival((span, trace, "", "place", 0, 1, data), parent, agent, service, (0, name) if name else None)


def written(lineage, *arrivals, **options):
    """The rows that are written at each arrival, as "span agent"."""
    return [[f"{row[0]} {row[2]}" for row in lineage.add(arrival, **options)] for arrival in arrivals]


def test_a_child_arrives_before_its_agent():
    chat, tool, run = arrival("chat", "run", service="shop"), arrival("tool", "run"), arrival("run", "root", "Ann")
    assert written(Lineage(), chat, tool, run) == [["chat shop"], ["tool t"], ["chat Ann", "tool Ann", "run Ann"]]


def test_the_agent_may_be_that_of_a_distant_ancestor():
    spans = [arrival("chat", "step"), arrival("step", "run"), arrival("run", None, "Ann", name="Ann")]
    assert written(Lineage(), *spans) == [["chat t"], ["step t"], ["chat Ann", "step Ann", "run Ann"]]


def test_without_an_agent_the_service_or_the_trace_name_is_used():
    spans = [arrival("a", "root"), arrival("b", "root", service="shop"), arrival("root", name="GET /")]
    assert written(Lineage(), *spans) == [["a t"], ["b shop"], ["a GET /", "root GET /"]]


def test_a_span_that_arrives_after_its_ancestors_is_resolved_at_once():
    late = [arrival("late", "step"), arrival("later", "late"), arrival("other", "root")]
    earlier = [arrival("step", "run"), arrival("run", "root", "Ann"), arrival("root", name="main")]
    assert written(Lineage(), *earlier, *late)[3:] == [["late Ann"], ["later Ann"], ["other main"]]


def test_an_orphan_gets_the_name_of_the_trace():
    spans = [arrival("a", "lost"), arrival("root", name="main"), arrival("b", "lost")]
    assert written(Lineage(), *spans) == [["a t"], ["a main", "root main"], ["b main"]]


def test_traces_are_independent():
    spans = [arrival("a", "lost"), arrival("root", name="main", trace="u"), arrival("x", "lost2", trace="u")]
    assert written(Lineage(), *spans) == [["a t"], ["root main"], ["x main"]]


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}])
def test_a_cycle_of_parents_has_no_agent(parents):
    lineage = Lineage()
    rows = [row for span, parent in parents.items() for row in lineage.add(arrival(span, parent, service="s"))]
    assert {row[2] for row in rows} == {"s"}


def test_a_span_that_arrives_again_is_pending_once():
    lineage = Lineage()
    assert written(lineage, arrival("a", "run"), arrival("a", "run"), arrival("run", agent="Ann")) == [
        ["a t"],
        ["a t"],
        ["a Ann", "run Ann"],
    ]
    assert (len(lineage.pending), lineage.groups, lineage.n_characters) == (0, {}, 0)


def test_a_running_ancestor_determines_the_agent():
    running = {"step": RunningSpan(None, "run"), "run": RunningSpan("Ann", None)}
    assert written(Lineage(), arrival("chat", "step"), find_running=running.get) == [["chat Ann"]]
    assert written(Lineage(), arrival("chat", "step"), find_running={"step": RunningSpan(None, None)}.get) == [["chat t"]]


def test_the_agent_of_an_ancestor_at_its_end_wins():
    lineage = Lineage()
    assert written(lineage, arrival("chat", "run"), find_running={"run": RunningSpan("Ann", None)}.get) == [["chat Ann"]]
    assert written(lineage, arrival("run", agent="Bob")) == [["chat Bob", "run Bob"]]


def test_a_running_ancestor_may_be_inside_one_that_has_ended():
    lineage = Lineage()
    written(lineage, arrival("run", agent="Ann"))
    assert written(lineage, arrival("chat", "step"), find_running={"step": RunningSpan(None, "run")}.get) == [["chat Ann"]]


def test_a_running_root_gives_the_trace_its_name():
    lineage, running = Lineage(), {"step": RunningSpan(None, "root"), "root": RunningSpan(None, None, "main")}
    spans = arrival("chat", "step"), arrival("step", "root"), arrival("shopping", "root", service="shop")
    assert written(lineage, *spans, find_running=running.get) == [["chat main"], ["step main"], ["shopping shop"]]
    assert written(lineage, arrival("root", name="other")) == [["chat other", "step other", "root other"]]


def test_a_running_span_gets_its_likely_agent_and_is_not_remembered():
    lineage, running = Lineage(), {"run": RunningSpan("Ann", None)}
    written(lineage, arrival("ended", agent="Bob"))
    spans = [arrival("a", "run"), arrival("b", "ended"), arrival("c", name="main"), arrival("d", service="shop"), arrival("e")]
    assert [lineage.running_row(span, running.get)[2] for span in spans] == ["Ann", "Bob", "main", "shop", "t"]
    assert (len(lineage.resolutions), len(lineage.trace_names), len(lineage.pending)) == (1, 0, 0)


def named(span, agent, key=None, parent=None, start=0, end=9):
    return Arrival((span, "t", "", "place", start, end, "{}"), parent, agent, None, None, agent_key=key)


def test_agents_of_one_name_are_told_apart_by_their_ids():
    lineage = Lineage()
    runs = [named("run", "Ann", "a"), named("run 2", "Ann", "b", start=3), named("run 3", "Ann", "c", start=9, end=12)]
    assert written(lineage, arrival("chat", "run 2"), *runs) == [
        ["chat t"],
        ["run Ann"],
        ["chat Ann 2", "run 2 Ann 2"],
        ["run 3 Ann"],
    ]
    late = [named("tool", "Ann", parent="run 2"), arrival("late", "tool"), named("other", "Ann", parent="run")]
    assert written(lineage, *late, named("alone", "Ann")) == [["tool Ann 2"], ["late Ann 2"], ["other Ann"], ["alone Ann"]]


def test_a_running_namesake_is_told_apart_from_one_that_ends():
    lineage = Lineage()
    running = {"run": RunningSpan("Ann", None, agent_key="a", start=0), "step": RunningSpan(None, "run")}
    assert written(lineage, arrival("chat", "step"), find_running=running.get) == [["chat Ann"]]
    assert written(lineage, named("run 2", "Ann", "b", start=3), find_running=running.get) == [["run 2 Ann 2"]]
    assert written(lineage, named("tool", "Ann", parent="step"), find_running=running.get) == [["tool Ann"]]
    assert lineage.running_row(named("run 3", "Ann", "c", start=5, end=6), running.get)[2] == "Ann 3"


def test_the_lookup_of_running_ancestors_is_bounded():
    running = {f"s{n}": RunningSpan(None, f"s{n + 1}") for n in range(100_000)}
    assert written(Lineage(), arrival("chat", "s0"), find_running=running.get) == [["chat t"]]


def test_the_oldest_pending_row_is_evicted_beyond_the_row_limit():
    lineage = Lineage(max_rows=2)
    written(lineage, *(arrival(span, f"of {span}") for span in "abc"))
    assert list(lineage.pending) == ["b", "c"]
    assert written(lineage, *(arrival(f"of {span}", agent="Ann") for span in "abc")) == [
        ["of a Ann"],
        ["b Ann", "of b Ann"],
        ["c Ann", "of c Ann"],
    ]


def test_the_oldest_pending_row_is_evicted_beyond_the_character_limit():
    lineage = Lineage(max_characters=52)
    written(lineage, arrival("a", "run", data="123456"), arrival("b", "run", data="12345"), arrival("c", "run", data="12345"))
    assert (list(lineage.pending), lineage.n_characters) == (["b", "c"], 52)
    written(lineage, arrival("long", "run", data="1" * 53))
    assert (list(lineage.pending), lineage.n_characters, lineage.groups) == ([], 0, {})


def test_only_the_latest_resolutions_are_kept():
    lineage = Lineage(max_resolutions=2)
    spans = [arrival("run", agent="Ann"), arrival("x", agent="Bob"), arrival("y", agent="Bob"), arrival("late", "run")]
    assert written(lineage, *spans)[-1] == ["late t"]
    assert set(lineage.resolutions) == {"y", "late"}


@st.composite
def families(draw):
    """Spans of a trace in their order of arrival: with missing parents, cycles, and at most one root."""
    ids = [chr(ord("a") + number) for number in range(draw(st.integers(1, 9)))]
    parents = {span: draw(st.sampled_from([*ids, "missing", "lost"])) for span in ids}
    root = draw(st.sampled_from([None, *ids]))
    spans = []
    for span in draw(st.permutations(ids)):
        agent, service = draw(st.sampled_from([None, None, "Ann", "Bob"])), draw(st.sampled_from([None, None, "shop"]))
        of_root = {"parent": None, "name": agent or "main"} if span == root else {"parent": parents[span]}
        spans.append(arrival(span, agent=agent, service=service, **of_root))
    return spans


def agents_of(spans):
    """The agent of each span, given all spans."""
    by_id = {span.row[0]: span for span in spans}
    name = next((span.trace_name[1] for span in spans if span.trace_name), "t")
    agents = {}
    for span in spans:
        ancestor, visited = span, set()
        while ancestor and not ancestor.agent and ancestor.row[0] not in visited:
            visited.add(ancestor.row[0])
            ancestor = by_id.get(ancestor.parent)
        agents[span.row[0]] = (ancestor.agent if ancestor else None) or span.service or name
    return agents


@pytest.mark.laws
@given(families())
def test_in_any_order_of_arrival_each_span_gets_the_agent_of_the_full_trace(spans):
    lineage, agents = Lineage(), {}
    for span in spans:
        agents |= {row[0]: row[2] for row in lineage.add(span)}
        assert span.row[0] in agents
        assert lineage.pending.keys() == {
            row for groups in lineage.groups.values() for group in groups.values() for row in group.rows
        }
        assert all(group.rows for groups in lineage.groups.values() for group in groups.values())
    assert agents == agents_of(spans)


@pytest.mark.laws
@given(families(), st.integers(1, 4), st.integers(2, 12), st.integers(1, 4))
def test_limits_are_kept(spans, max_rows, max_characters, max_resolutions):
    lineage = Lineage(max_rows=max_rows, max_characters=max_characters, max_resolutions=max_resolutions)
    for span in [*spans, *spans]:
        assert lineage.add(span)
        assert len(lineage.pending) <= max_rows
        assert len(lineage.resolutions) <= max_resolutions
        assert lineage.n_characters == 2 * len(lineage.pending) <= max_characters
        assert sum(len(group.rows) for groups in lineage.groups.values() for group in groups.values()) == len(lineage.pending)
