import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hostile import PAYLOADS
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from test_subsequence import table_of_lengths

from tokenvis import BadOption, BadSpan, MissingColumn, TokenvisError
from tokenvis.runs import alignment as module
from tokenvis.runs.alignment import alignment

COLUMNS = ["step", "agent_id", "location_id", "label", "difference", "id_a", "id_b", "instead"]
COLUMNS += ["start_a", "start_b", "duration_a_us", "duration_b_us", "duration_change_us", "first_divergence"]
RUN = spans_frames(n_traces=1, parents=True, data=True)


def shown(table, *columns):
    """Columns of an alignment as rows of plain values, None where missing."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in table[[*columns]].itertuples(index=False)]


def steps_in(table):
    """The kind of each row, and the ids in both runs."""
    return shown(table, "step", "id_a", "id_b")


def divergence(table):
    """The ids at the first divergence: of the runs' own steps, and of the step of the other run there."""
    return shown(table[table["first_divergence"]], "id_a", "id_b", "instead")


def named(spans, prefix):
    """The spans with other ids, and in another trace."""
    parents = {"parent_id": prefix + spans["parent_id"]} if "parent_id" in spans else {}
    return spans.assign(id=(prefix + spans["id"].astype("str")), trace_id=prefix, **parents)


def test_the_first_divergence_has_the_spans_of_both_runs():
    a = spans_of("ann 0 10 desk", "bob 5 20 lab", "ann 12 20 desk")
    b = spans_of("ann 100 110 desk", "bob 105 150 lab", "ann 110 115 web", "ann 115 123 desk").assign(trace_id="u")
    table = alignment(a, b)
    assert table.columns.tolist() == COLUMNS
    assert steps_in(table) == [("same", "a", "a"), ("changed", "b", "b"), ("only in b", None, "c"), ("same", "c", "d")]
    assert shown(table, "agent_id", "location_id", "label", "difference")[1:3] == [
        ("bob", "lab", None, "slower"),
        ("ann", "web", None, None),
    ]
    assert shown(table, *COLUMNS[8:-1]) == [
        (0, 100, 10, 10, 0),
        (5, 105, 15, 45, 30),
        (None, 110, None, 5, None),
        (12, 115, 8, 8, 0),
    ]
    assert divergence(table) == [(None, "c", "c")]


def test_without_another_difference_the_first_step_that_took_longer_is_the_first_divergence():
    a = spans_of("ann 0 10 desk", "ann 10 14 web", "ann 20 20 desk")
    b = spans_of("ann 0 20 desk", "ann 20 29 web", "ann 30 31 desk").assign(trace_id="u")
    table = alignment(a, b)
    assert shown(table, "step", "difference") == [("same", None), ("changed", "slower"), ("changed", "slower")]
    assert divergence(table) == [("b", "b", None)]
    assert alignment(b, a)["difference"].tolist()[1:] == ["faster", "faster"]
    assert alignment(a, b, ratio=1)["difference"].tolist() == ["slower"] * 3
    assert alignment(a, b, ratio=float("inf"))["difference"].isna().all()


def test_a_step_that_changed_tells_what_changed():
    a = with_data(spans_of("ann 0 5 web", "ann 5 9 web", "ann 9 10 web"), a={"input": {"q": 1, "r": 2}}, b={"status": "error"})
    data = {"a": {"input": '{"r": 2, "q": 1}', "status": "error"}, "b": {"input": {"q": 1}}, "c": {"input": {"q": 7}}}
    b = with_data(spans_of("ann 0 50 web", "ann 50 51 web", "ann 51 52 web"), **data)
    assert shown(alignment(a, b), "step", "difference") == [
        ("changed", "failed, slower"),
        ("changed", "succeeded, faster"),
        ("same", None),
    ]
    c = with_data(spans_of("ann 0 5 web", "ann 5 9 web", "ann 9 10 web"), a={"input": {"q": 2}}, b={"status": "error"})
    assert shown(alignment(a, c), "step", "difference")[0] == ("changed", "arguments")
    assert divergence(alignment(a, c)) == [("a", "a", None)]


def test_identical_runs_have_no_divergence():
    spans = spans_of("ann 0 10 desk", "bob 5 20 lab", "bob 5 20 lab", "eve 30 30 desk")
    for table in (alignment(spans, spans), alignment(spans, named(spans, "later"), order="agent")):
        assert set(table["step"]) == {"same"}
        assert not table["first_divergence"].any()
    ids_reversed = spans.assign(id=["z", "y", "x", "w"], trace_id="u")
    assert set(alignment(spans, ids_reversed.iloc[::-1])["step"]) == {"same"}


def test_agents_that_are_renamed_take_the_same_steps():
    a = spans_of("planner 0 10 desk", "coder-1 10 40 editor", "coder-1 40 50 tests")
    b = spans_of("planner 0 10 desk", "coder-2 10 40 editor", "coder-2 40 50 tests").assign(trace_id="u")
    table = alignment(a, b)
    assert set(table["step"]) == {"same"}
    assert table["agent_id"].tolist() == ["planner", "coder-1", "coder-1"]
    assert set(alignment(a, b, match={"coder-2": "coder-1"})["step"]) == {"same"}
    assert alignment(a, b, match=lambda agent: agent.split("-")[0])["agent_id"].tolist() == ["planner", "coder", "coder"]
    assert steps_in(alignment(a, b, match="agent_id"))[1:] == [
        ("only in a", "b", None),
        ("only in a", "c", None),
        ("only in b", None, "b"),
        ("only in b", None, "c"),
    ]


def test_another_order_is_told():
    a = spans_of("ann 0 1 desk", "ann 1 2 web", "ann 2 3 lab", "ann 4 5 web")
    b = spans_of("ann 0 1 desk", "ann 2 3 lab", "ann 3 4 web", "ann 4 5 hall").assign(trace_id="u")
    assert shown(alignment(a, b), "step", "location_id", "difference", "instead") == [
        ("same", "desk", None, None),
        ("only in a", "web", None, "b"),
        ("same", "lab", None, None),
        ("same", "web", None, None),
        ("only in b", "hall", None, None),
    ]
    swapped = spans_of("ann 0 1 web", "ann 1 2 desk", "ann 2 3 lab", "ann 4 5 web").assign(trace_id="u")
    rows = shown(alignment(a, swapped), "step", "location_id", "difference")
    assert sorted(row for row in rows if row[0] != "same") == [("only in a", "web", "order"), ("only in b", "web", "order")]


def test_agents_at_once_may_alternate_in_another_way():
    a = spans_of("ann 0 4 desk", "bob 1 3 lab", "bob 3 9 web", "ann 4 8 web")
    b = spans_of("ann 0 4 desk", "ann 4 8 web", "bob 5 7 lab", "bob 8 14 web").assign(trace_id="u")
    assert "only in a" in alignment(a, b)["step"].tolist()
    assert steps_in(alignment(a, b, order="agent")) == [
        ("same", "a", "a"),
        ("same", "b", "c"),
        ("same", "c", "d"),
        ("same", "d", "b"),
    ]
    table = alignment(a, b, by="location_id", order="agent")
    assert table.columns.tolist()[:3] == ["step", "agent_id", "location_id"]
    assert set(table["step"]) == {"same"}


def test_a_step_out_of_order_among_other_agents_is_compared_too():
    a = spans_of("ann 0 4 desk", "bob 1 3 lab", "bob 3 9 web", "ann 4 8 web")
    b = spans_of("ann 0 4 desk", "ann 4 8 web", "bob 5 7 lab", "bob 8 14 web").assign(trace_id="u")
    rows = [
        row for row in shown(alignment(a, b), "step", "agent_id", "location_id", "difference", "instead") if row[0] != "same"
    ]
    assert rows == [("only in b", "ann", "web", "order", "d"), ("only in a", "ann", "web", "order", "b")]
    failed = with_data(b, b={"status": "error"})
    table = alignment(a, failed)
    assert shown(table[table["first_divergence"]], "step", "difference", "id_b", "instead") == [
        ("only in b", "failed, order", "b", "d")
    ]
    late = with_data(b, d={"status": "error"})
    table = alignment(a, late)
    assert shown(table[table["first_divergence"]], "step", "difference", "id_a", "id_b") == [("changed", "failed", "c", "d")]


def turns(trace, order, failed=None):
    """A run in which agents of one letter take turns, each with the steps "0", "1", "0", ...; ids are trace, agent, number."""
    numbers = [order[:place].count(agent) for place, agent in enumerate(order)]
    names = [f"{agent}{number}" for agent, number in zip(order, numbers, strict=True)]
    spans = spans_of(*(f"{agent} {place} {place + 1} desk" for place, agent in enumerate(order)))
    status = ["error" if name == failed else "ok" for name in names]
    return spans.assign(id=[trace + name for name in names], trace_id=trace, label=[f"{n % 2}" for n in numbers], status=status)


@pytest.mark.parametrize("failed", ["p0", "p2", "q0", "q1", "q2"])
@pytest.mark.parametrize("order", ["pqpqpq", "qqqppp", "qpppqq", "pqqppq"])
def test_the_runs_part_at_the_step_that_failed_in_any_order_of_the_agents(order, failed):
    table = alignment(turns("a", "pppqqq"), turns("b", order, failed))
    [row] = shown(table[table["first_divergence"]], "difference", "id_a", "id_b", "instead")
    assert "failed" in row[0]
    assert {f"a{failed}", f"b{failed}"} <= set(row[1:])


def test_columns_and_keys_of_data_make_a_step():
    a = with_data(spans_of("ann 0 1 desk", "ann 1 2 desk"), a={"phase": 1, "label": "x"}, b={"phase": 2, "label": "y"})
    b = spans_of("bob 0 1 lab", "bob 1 2 lab").assign(trace_id="u", phase=[1, 3], label=["y", "y"])
    assert steps_in(alignment(a, b, by="phase")) == [("same", "a", "a"), ("only in a", "b", None), ("only in b", None, "b")]
    assert alignment(a, b, by="phase").columns.tolist()[:3] == ["step", "phase", "difference"]
    assert alignment(a, b, by="phase")["phase"].tolist() == [1, 2, 3]
    assert steps_in(alignment(a, b, by=["label"])) == [("only in a", "a", None), ("same", "b", "a"), ("only in b", None, "b")]
    assert alignment(a, b, by=["label"])["label"].tolist() == ["x", "y", "y"]


def test_lost_spans_are_no_steps():
    a = spans_of("ann 0 1 desk", "ann 1 2 lab")
    b = spans_of("ann 0 1 desk", "recorder 1 2 tokenvis.lost", "ann 2 3 lab").assign(trace_id="u")
    assert steps_in(alignment(a, b)) == [("same", "a", "a"), ("same", "b", "c")]


def test_an_empty_run_has_no_steps():
    spans = spans_of("ann 0 10 desk", "ann 10 20 lab")
    assert steps_in(alignment(spans, spans.iloc[:0])) == [("only in a", "a", None), ("only in a", "b", None)]
    assert divergence(alignment(spans.iloc[:0], spans)) == [(None, "a", None)]
    nothing = alignment(spans.iloc[:0], spans.iloc[:0])
    assert nothing.columns.tolist() == COLUMNS
    assert nothing.dtypes.astype("str").equals(alignment(spans, spans).dtypes.astype("str"))
    assert len(nothing) == 0


def test_integers_are_ids_and_names():
    a = spans_of("1 0 10 7", "1 10 20 8").drop(columns="data").astype({"agent_id": int, "location_id": int})
    a = a.assign(id=[10, 11], trace_id=1)
    b = a.assign(id=[20, 21], trace_id=2, location_id=[7, 9])
    table = alignment(a, b)
    assert table.dtypes[["id_a", "id_b", "instead"]].astype("str").tolist() == ["Int64"] * 3
    assert steps_in(table) == [("same", 10, 20), ("only in a", 11, None), ("only in b", None, 21)]
    assert divergence(table) == [(11, None, 21)]
    assert table["location_id"].tolist() == ["7", "8", "9"]
    texts = alignment(a, b.assign(id=["x", "y"]))
    assert steps_in(texts) == [("same", 10, "x"), ("only in a", 11, None), ("only in b", None, "y")]
    assert alignment(a.iloc[:0], b)["id_b"].dtype == "Int64"


def test_an_id_in_two_rows_is_refused_only_with_parents():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk", "ann 2 3 desk").assign(id=["a", "a", "b"])
    assert len(alignment(spans, spans)) == 3
    with pytest.raises(BadSpan, match=r"^Span 'a' is in several rows of trace 't'\. Pass each span once, uncut: "):
        alignment(spans.assign(parent_id=[None, None, "a"]), spans.iloc[:1])


@pytest.mark.parametrize("name", PAYLOADS)
def test_hostile_names_are_names(name):
    a = spans_of("ann 0 1 desk", "bob 1 2 desk").assign(agent_id=name, location_id=[name, "desk"], label=name)
    table = alignment(a, a.assign(trace_id="u", location_id=name, id=name))
    assert steps_in(table) == [("same", "a", name), ("only in a", "b", None), ("only in b", None, name)]
    assert set(table["agent_id"]) == set(table["label"]) == {name}


def test_what_cannot_be_aligned_is_refused(monkeypatch):
    spans = spans_of("ann 0 1 desk t", "ann 0 1 desk u")
    one = spans.iloc[:1]
    message = r"^alignment accepts one trace on each side, but a frame has 't', 'u'\. Filter by trace_id\.$"
    with pytest.raises(BadSpan, match=message):
        alignment(one, spans)
    with pytest.raises(BadSpan, match=r"^Spans must be a DataFrame, not str\. load_spans\(\) returns one\.$"):
        alignment(one, "t")
    with pytest.raises(BadSpan, match=r"^The spans have several columns 'x'\. Drop all but one\.$"):
        alignment(one, pd.concat([one.assign(x=1), pd.Series([2], name="x")], axis=1))
    with pytest.raises(BadOption, match=r"^order='time' is not one of 'run', 'agent'\.$"):
        alignment(one, one, order="time")
    for ratio in (0.5, True, "2", float("nan"), None):
        with pytest.raises(BadOption, match=r"^ratio=.* is not a factor of at least 1, such as 2\.0\.$"):
            alignment(one, one, ratio=ratio)
    with pytest.raises(BadOption, match=r"^by='step' is also a column of the result\. Rename it in the spans first\.$"):
        alignment(one, one, by="step")
    with pytest.raises(BadOption, match=r"^by=3 is neither a name nor a list of names\.$"):
        alignment(one, one, by=3)
    with pytest.raises(
        MissingColumn, match=r"^The spans have no column 'phase', and no such key in data\. The columns: 'id', 'trace_id', "
    ):
        alignment(one, one, by=["agent_id", "phase"])
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'team'\. They have: "):
        alignment(one.assign(team="x"), one, match="team")
    with pytest.raises(MissingColumn, match=r"^The spans have parents in data, but no column 'parent_id'\."):
        alignment(one.assign(parent_id="x"), with_data(one, a={"parent_id": "x"}))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(TokenvisError, match=r"^alignment\(\) needs the extra: pip install 'tokenvis\[alignment\]'\.$"):
        alignment(one, one)


def keys_in_order(spans):
    """Agent and location of each step, by start, then nesting, end and names: as the documentation says, in a loop."""
    rows = {row["id"]: row for row in spans.to_dict("records")}
    parents = {span: row.get("parent_id") for span, row in rows.items() if row.get("parent_id") in rows}

    def ancestors(span):
        """The spans around a span, as far as they are known, up to one that is its own ancestor."""
        found = []
        while span in parents and parents[span] not in found:
            span = parents[span]
            found.append(span)
        return found

    parents = {span: parent for span, parent in parents.items() if span not in ancestors(span)}

    def place(row):
        same_start = [rows[span]["start_time"] == row["start_time"] for span in ancestors(row["id"])]
        around = [*same_start, False].index(False)
        return row["start_time"], around, row["end_time"], row["agent_id"], row["location_id"]

    return [(row["agent_id"], row["location_id"]) for row in sorted(rows.values(), key=place)]


def cost_of(first, second):
    """The number of steps that one run has alone, by dynamic programming."""
    return len(first) + len(second) - 2 * table_of_lengths(first, second)[-1][-1]


def n_alone(table):
    """The number of rows of steps that one run has alone."""
    return int(table["step"].str.startswith("only").sum())


@pytest.mark.laws
@given(RUN, RUN)
def test_the_cost_is_the_lowest_and_each_span_has_one_row(a, b):
    table = alignment(a, b, match="agent_id")
    assert n_alone(table) == cost_of(keys_in_order(a), keys_in_order(b))
    assert sorted(table["id_a"].dropna()) == sorted(a["id"])
    assert sorted(table["id_b"].dropna()) == sorted(b["id"])
    assert shown(table[table["id_a"].notna()], "agent_id", "location_id") == keys_in_order(a)
    assert shown(table[table["id_b"].notna()], "agent_id", "location_id") == keys_in_order(b)
    assert n_alone(alignment(b, a, match="agent_id")) == n_alone(table)
    assert (table["step"] == "same").equals(table["difference"].isna() & ~table["step"].str.startswith("only"))
    assert table["first_divergence"].sum() == (table["step"] != "same").any()


@pytest.mark.laws
@given(RUN, RUN)
def test_the_cost_by_agent_is_the_sum_over_agents(a, b):
    table = alignment(a, b, order="agent", match="agent_id")
    costs = []
    for agent in ("ann", "bob", "eve"):
        of_agent = [[key for key in keys_in_order(spans) if key[0] == agent] for spans in (a, b)]
        costs.append(cost_of(*of_agent))
        assert n_alone(table[table["agent_id"] == agent]) == costs[-1]
    assert n_alone(table) == sum(costs)
    assert shown(table[table["id_a"].notna()], "agent_id", "location_id") == keys_in_order(a)


@pytest.mark.laws
@given(RUN, st.sampled_from(["run", "agent"]), st.sampled_from(["role", "agent_id"]))
def test_a_run_is_the_same_as_itself_under_other_ids(spans, order, match):
    for other in (spans, named(spans, "z"), named(spans, "z").iloc[::-1]):
        table = alignment(spans, other, order=order, match=match)
        assert set(table["step"]) <= {"same"}
        assert table["instead"].isna().all()


@pytest.mark.laws
@given(RUN, RUN, st.sampled_from(["run", "agent"]))
def test_the_order_of_rows_does_not_matter_and_the_frames_are_not_changed(a, b, order):
    before = a.copy(deep=True), b.copy(deep=True)
    table = alignment(a, b, order=order)
    assert_frame_equal(alignment(a.iloc[::-1], b.sort_values("id"), order=order), table)
    assert_frame_equal(a, before[0])
    assert_frame_equal(b, before[1])
    plain = [spans.astype({"agent_id": "object", "location_id": "str", "trace_id": "object"}) for spans in (a, b)]
    assert_frame_equal(alignment(*plain, order=order), table)


@pytest.mark.full
def test_the_cost_of_1_000_random_pairs_is_the_lowest():
    random = np.random.default_rng(30)
    agents, places = ["ann", "bob", "eve"], ["desk", "lab", "web"]
    for _ in range(1_000):
        steps = [random.integers(0, (3, 20, 3), (random.integers(0, 25), 3)).tolist() for _ in range(2)]
        runs = [
            spans_of(*(f"{agents[agent]} {start} {start + 3} {places[place]}" for agent, start, place in of_run))
            for of_run in steps
        ]
        assert n_alone(alignment(*runs, match="agent_id")) == cost_of(*map(keys_in_order, runs))
