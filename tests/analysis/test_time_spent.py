import json

import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from waiting import callees_of, nodes_of, oracle, state_at, waiting_frames

from tokenvis import BadOption, BadSpan, MissingColumn, self_spans, summary, time_spent

TIMES = ["model_us", "tool_us", "other_us", "agent_us", "person_us", "idle_us", "wall_us"]


def spent(table, *columns):
    """Rows as text: these columns, then all times."""
    return [" ".join(map(str, row)) for row in table[[*columns, *TIMES]].itertuples(index=False)]


def test_a_lead_that_delegates_waits_and_its_workers_call_a_model():
    rows = ["lead 0 22 desk", "w0 1 11 desk", "w0 1 11 model:m", "w1 11 21 desk", "w1 11 20 model:m"]
    spans = spans_of(*rows, parents={"b": "a", "c": "b", "d": "a", "e": "d"})
    assert spent(time_spent(spans), "agent_id") == [
        "lead 0 0 2 20 0 0 22",
        "w0 10 0 0 0 0 12 22",
        "w1 9 0 1 0 0 12 22",
    ]
    assert spent(time_spent(spans, by="trace_id"), "trace_id") == ["t 19 0 3 0 0 0 22"]


def test_a_moment_counts_for_the_first_of_model_tool_other_person_agent():
    rows = "ann 0 2 model:m", "ann 1 4 tool:Bash", "ann 3 6 desk", "ann 5 8 phone", "ann 7 10 queue", "bob 0 1 lab"
    spans = with_data(spans_of(*rows), d={"waits_for": "user"}, e={"waits_for": "bob"})
    assert spent(time_spent(spans), "agent_id") == ["ann 2 2 2 2 2 0 10", "bob 0 0 1 0 0 9 10"]
    assert spent(time_spent(spans, by="location_id"), "location_id")[-3:] == [
        "phone 0 0 0 0 3 7 10",
        "queue 0 0 0 3 0 7 10",
        "tool:Bash 0 3 0 0 0 7 10",
    ]


def test_the_kind_in_data_counts_where_the_location_has_no_prefix():
    spans = spans_of("ann 0 2 desk", "ann 2 4 desk", "ann 4 6 desk", "ann 6 7 tool:x")
    spans = with_data(spans, a={"kind": "model"}, b={"kind": "tool"}, c={"kind": "embedding"})
    assert spent(time_spent(spans)) == ["4 3 0 0 0 0 7"]


def test_the_wall_time_is_that_of_the_trace_and_a_missing_value_forms_a_group():
    spans = spans_of("ann 0 4 desk", "bob 6 9 desk", "ann 2 3 desk u")
    assert spent(time_spent(spans), "trace_id", "agent_id") == [
        "t ann 0 0 4 0 0 5 9",
        "t bob 0 0 3 0 0 6 9",
        "u ann 0 0 1 0 0 0 1",
    ]
    phased = spans.assign(phase=spans["id"].map({"a": "late"}).astype("str"))
    assert spent(time_spent(phased, by="phase").fillna({"phase": "none"}), "trace_id", "phase") == [
        "t late 0 0 4 0 0 5 9",
        "t none 0 0 3 0 0 6 9",
        "u none 0 0 1 0 0 0 1",
    ]
    assert spent(time_spent(spans, by=["location_id", "agent_id"])) == spent(time_spent(spans))


def test_parallel_work_counts_once_and_instants_take_no_time():
    spans = spans_of("ann 0 4 tool:a", "ann 2 6 tool:b", "ann 7 7 tool:c", "bob 8 8 desk")
    assert spent(time_spent(spans), "agent_id") == ["ann 0 6 0 0 0 2 8", "bob 0 0 0 0 0 8 8"]
    assert spent(time_spent(spans_of("ann 3 3 desk"))) == ["0 0 0 0 0 0 0"]


def test_loss_markers_take_no_part():
    spans = spans_of("ann 0 4 desk", "tokenvis 1 90 tokenvis.lost", "tokenvis 0 9 tokenvis.lost u")
    assert spent(time_spent(spans), "agent_id") == ["ann 0 0 4 0 0 0 4"]


def test_names_may_contain_any_character():
    names = ["$\\frac{", "<script>", "a\nb", "\N{PILE OF POO}", "tool:" + "x" * 10_000, "nan", ""]
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(names)))).assign(agent_id=names, location_id=names)
    table = time_spent(spans).set_index("agent_id")
    assert set(table.index) == set(names)
    assert table["tool_us"].sum() == table.loc[names[4], "tool_us"] == 1


# Laws


def activity(node, time, callees, nodes):
    """What a span does at one of its own microseconds."""
    state = state_at(node, time, callees, nodes)
    if state != "work":
        return state
    prefix, kind = node.location.split(":")[0], node.data["kind"]
    return {"tool": "tool", "model": "model", "embedding": "model"}.get(kind if prefix == "desk" else prefix, "other")


def expected_times(spans, key):
    """The times of each group by brute force, for groups of nodes by a function."""
    nodes, doing = nodes_of(spans), {}
    for node in nodes:
        callees, group = callees_of(node, nodes), (node.trace, key(node))
        doing.setdefault(group, {})
        for time in node.own_times():
            doing[group].setdefault(time, set()).add(activity(node, time, callees, nodes))
    table = {}
    for (trace, value), at in sorted(doing.items()):
        members = [node for node in nodes if node.trace == trace]
        times = range(min(node.start for node in members), max(node.end for node in members))
        counted = dict.fromkeys(("model", "tool", "other", "agent", "person", "idle"), 0)
        for time in times:
            order = ("model", "tool", "other", "person", "agent", "idle")
            counted[next(name for name in order if name in at.get(time, {"idle"}))] += 1
        table[trace, value] = [*counted.values(), len(times)]
    return table


@st.composite
def frames_with_kinds(draw):
    """Frames of waits, in which some locations are models and tools, and some spans have a kind."""
    spans = draw(waiting_frames())
    payloads = {
        span: json.loads(data) if isinstance(data, str) else {} for span, data in zip(spans["id"], spans["data"], strict=True)
    }
    for payload in payloads.values():
        payload["kind"] = draw(st.sampled_from([None, "model", "embedding", "tool", "step"]))
    places = {"lab": "model:m", "attic": "tool:x"}
    return with_data(spans, **payloads).assign(location_id=spans["location_id"].astype("str").replace(places))


@pytest.mark.laws
@oracle
@given(frames_with_kinds())
def test_it_equals_brute_force(spans):
    for by, key in (("agent_id", "agent"), ("location_id", "location"), ("trace_id", "trace")):
        table = time_spent(spans, by=by)
        found = {(row["trace_id"], row[by]): [row[name] for name in TIMES] for row in table.to_dict("records")}
        assert found == expected_times(spans, lambda node, key=key: getattr(node, key))
        assert list(found) == sorted(found)


@pytest.mark.laws
@given(frames_with_kinds())
def test_the_times_of_a_group_add_up_to_the_wall_time(spans):
    for by in ("agent_id", "location_id", "trace_id", ["agent_id", "location_id"]):
        table = time_spent(spans, by=by)
        assert (table[TIMES[:-1]].sum(axis=1) == table["wall_us"]).all()
        assert (table[TIMES] >= 0).all(axis=None)


@pytest.mark.laws
@given(frames_with_kinds(), st.sampled_from([100, -7, 1_700_000_000_000_000, 2**62, -(2**62)]))
def test_neither_time_nor_the_order_of_rows_nor_names_nor_other_traces_matter(spans, shift):
    answer = time_spent(spans)
    later = spans.assign(start_time=spans["start_time"] + shift, end_time=spans["end_time"] + shift)
    assert_frame_equal(time_spent(later.iloc[::-1]), answer)
    parts = [spent(time_spent(part), "agent_id") for _, part in spans.groupby("trace_id", observed=True)]
    assert spent(answer, "agent_id") == [row for part in parts for row in part]


@pytest.mark.laws
@given(frames_with_kinds())
def test_it_agrees_with_the_summary(spans):
    for by in ("agent_id", "location_id"):
        size, spent = summary(spans, by=by), time_spent(spans, by=by)
        assert size["active_us"].tolist() == spent[["model_us", "tool_us", "other_us"]].sum(axis=1).tolist()
        assert size["waiting_us"].tolist() == spent[["agent_us", "person_us"]].sum(axis=1).tolist()
    assert summary(spans)["person_us"].tolist() == time_spent(spans, by="trace_id")["person_us"].tolist()


@pytest.mark.laws
@given(waiting_frames())
def test_pieces_give_the_same_answer(spans):
    assert_frame_equal(time_spent(self_spans(spans)), time_spent(spans), check_categorical=False)


@pytest.mark.laws
@given(spans_frames(data=True))
def test_without_parents_and_marks_nobody_waits(spans):
    assert not time_spent(spans)[["agent_us", "person_us"]].any(axis=None)


# Errors


def test_by_must_be_a_column_and_not_a_column_of_the_result():
    spans = spans_of("ann 0 1 desk")
    with pytest.raises(BadOption, match=r"^by='idle_us' is also a column of the result\. Rename it in the spans first\.$"):
        time_spent(spans.assign(idle_us=1), by="idle_us")
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'phase'\. They have: "):
        time_spent(spans, by="phase")


def test_times_that_do_not_fit_are_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62), 2**62 + 1])
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        time_spent(far)
