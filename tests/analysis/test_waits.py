import json

import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hostile import PAYLOADS, hostile_trace
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal
from waiting import callees_of, nodes_of, oracle, state_at, waiting_frames

from tokenvis import BadOption, BadSpan, MissingColumn, plot_waits, self_spans, waits

TIMES = ["start", "end", "wait_us", "overlap_us", "exclusive_us"]


def rows(table, *columns):
    """Rows as text, with these columns; a missing value is "-"."""
    return [
        " ".join("-" if pd.isna(value) else str(value) for value in row) for row in table[list(columns)].itertuples(index=False)
    ]


def who(table):
    """Rows as text: who waits for whom, and the callee, with all times."""
    return rows(table, "agent_id", "waits_for", "callee", *TIMES)


@pytest.fixture
def serial():
    """A lead delegates to w0, then to w1."""
    delegates = ["lead 1 11 delegate", "w0 1 11 work", "lead 11 21 delegate", "w1 11 21 work"]
    return spans_of("lead 0 22 desk", *delegates, parents={"b": "a", "c": "b", "d": "a", "e": "d"})


@pytest.fixture
def parallel():
    """A lead delegates to w0 and w1 at once."""
    delegates = ["lead 1 11 delegate", "w0 1 11 work", "lead 1 11 delegate", "w1 1 11 work"]
    return spans_of("lead 0 12 desk", *delegates, parents={"b": "a", "c": "b", "d": "a", "e": "d"})


def test_a_wait_for_each_serial_delegation(serial):
    table = waits(serial)
    assert who(table) == ["lead w0 c 1 11 10 10 10", "lead w1 e 11 21 10 10 10"]
    assert rows(table, "id", "location_id", "state", "evidence") == ["b delegate agent nested", "d delegate agent nested"]
    assert table["wrapper"].tolist() == [False, False]


def test_a_wait_for_each_parallel_delegation(parallel):
    assert who(waits(parallel)) == ["lead w0 c 1 11 10 10 10", "lead w1 e 1 11 10 10 10"]


def test_each_moment_goes_to_the_running_callee_that_ends_last():
    spans = spans_of("ann 0 20 desk", "bob 1 6 lab", "eve 4 9 lab", "dan 5 8 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(waits(spans)) == ["ann bob b 1 6 3 5 3", "ann eve c 4 9 5 5 5", "ann dan d 5 8 0 3 0"]


def test_of_callees_that_end_together_the_earlier_start_then_the_agent_counts():
    spans = spans_of("ann 0 9 desk", "eve 1 6 lab", "bob 2 6 lab", "dan 1 6 lab", parents=dict.fromkeys("bcd", "a"))
    assert rows(waits(spans), "waits_for", "start", "wait_us") == ["dan 1 5", "eve 1 0", "bob 2 0"]


def test_a_callee_has_a_row_for_each_stretch():
    spans = spans_of("ann 0 20 desk", "bob 2 16 lab", "ann 5 7 hall", "ann 9 9 hall", parents=dict.fromkeys("bcd", "a"))
    assert who(waits(spans)) == ["ann bob b 2 5 3 3 3", "ann bob b 7 16 9 9 9"]


def test_exclusive_is_the_time_in_which_the_agent_does_no_other_work():
    spans = spans_of("ann 0 10 desk", "bob 2 8 lab", "ann 4 5 hall", "ann 6 20 hall", "ann 3 4 hall u", parents={"b": "a"})
    assert who(waits(spans)) == ["ann bob b 2 8 6 6 3"]


def test_a_marked_wait_has_no_callee():
    spans = spans_of("ann 0 4 desk", "ann 5 7 desk", "ann 7 9 desk", "bob 1 3 lab", parents={"d": "a"})
    spans = with_data(spans, a={"waits_for": "Eve"}, b={"waits_for": True}, c={"waits_for": "bob"})
    table = waits(spans)
    assert who(table) == ["ann Eve - 0 4 4 4 4", "ann user - 5 7 2 2 2", "ann bob - 7 9 2 2 2"]
    assert rows(table, "state", "evidence") == ["person source", "person source", "agent source"]
    assert waits(spans.drop(columns="parent_id")).equals(table)
    assert table["waits_for"].cat.categories.tolist() == ["Eve", "ann", "bob", "user"]


def test_a_callee_is_stated_if_the_source_says_so_of_each_child():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "bob 3 6 lab", "eve 7 12 lab", parents=dict.fromkeys("bcd", "a"))
    stated = {"detached": False}
    assert rows(waits(with_data(spans, b=stated, d=stated)), "waits_for", "end", "evidence") == ["bob 6 nested", "eve 9 source"]
    assert rows(waits(with_data(spans, b=stated, c=stated)), "waits_for", "end", "evidence") == ["bob 6 source"]


def test_an_agent_without_any_work_is_a_wrapper():
    spans = spans_of("root 0 9 flow", "ann 0 9 desk", "bob 2 4 lab", "root 3 3 flow", parents={"b": "a", "c": "b"})
    assert rows(waits(spans), "agent_id", "waits_for", "wrapper") == ["root ann True", "ann bob False"]
    elsewhere = spans_of("root 0 9 flow", "ann 0 9 desk", "root 0 9 flow u", parents={"b": "a"})
    assert waits(elsewhere)["wrapper"].tolist() == [True]


def test_who_waited_for_whom_is_one_groupby(serial):
    assert waits(serial).groupby("waits_for", observed=True)["wait_us"].sum().to_dict() == {"w0": 10, "w1": 10}


def test_instants_and_loss_markers_wait_for_nobody():
    spans = spans_of("ann 3 3 desk", "bob 5 5 lab", "ann 4 8 desk", "tokenvis 0 9 tokenvis.lost", parents={"b": "c"})
    assert len(waits(with_data(spans, a={"waits_for": "user"}))) == 0
    assert len(waits(with_data(spans, d={"waits_for": "user"}))) == 0


def test_integers_as_ids_stay_integers():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "ann 9 12 desk").assign(id=[2**60, 2**60 + 1, 3])
    table = waits(spans.assign(parent_id=pd.array([None, 2**60, None], dtype="Int64"), waits_for=[None, None, "user"]))
    assert table["callee"].dtype == "Int64"
    assert rows(table, "id", "callee") == [f"{2**60} {2**60 + 1}", "3 -"]


def test_names_may_contain_any_character():
    spans = hostile_trace()
    names = [*PAYLOADS, *PAYLOADS][: len(spans)]
    marked = pd.concat([spans, spans.assign(id=spans["id"] + " 2", parent_id=None, data=None, waits_for=names)])
    table = waits(marked)
    assert set(names) <= set(table["waits_for"])
    assert set(table.loc[table["state"] == "agent", "waits_for"]) <= set(spans["agent_id"])


# Laws


def stretches_of(node, callees, nodes):
    """The maximal runs of a span's own microseconds in which it waits, and their states."""
    runs = []
    for time in node.own_times():
        state = state_at(node, time, callees, nodes)
        if state != "work" and runs and runs[-1][0][-1] == time - 1 and runs[-1][1] == state:
            runs[-1][0].append(time)
        elif state != "work":
            runs.append(([time], state))
    return runs


def selected_at(time, callees):
    """The running callee that ends last."""
    running = [callee for callee in callees if callee.runs_at(time)]
    return min(running, key=lambda callee: callee.waited_for(time))


def expected_waits(spans):
    """The table by brute force: a tuple for each row."""
    nodes, found = nodes_of(spans), []
    working = {}
    for node in nodes:
        callees = callees_of(node, nodes)
        at_work = {time for time in node.own_times() if state_at(node, time, callees, nodes) == "work"}
        working.setdefault((node.trace, node.agent), set()).update(at_work)
    for node in nodes:
        callees, at_work = callees_of(node, nodes), working[node.trace, node.agent]
        for times, state in stretches_of(node, callees, nodes):
            if node.mark:
                parts = [(node.mark, None, times, times, "source")]
            else:
                parts = []
                for callee in callees:
                    during = [time for time in times if callee.runs_at(time)]
                    counted = [time for time in during if selected_at(time, callees) is callee]
                    stated = all(child.data.get("detached") is False for child in callee.children)
                    evidence = "source" if stated else "nested"
                    parts.append((callee.agent, callee.children[0].id, during, counted, evidence))
            for name, callee_id, during, counted, evidence in parts:
                if during:
                    span = node.trace, node.id, node.agent, node.location, name, state, callee_id
                    took = len(counted), len(during), len(set(counted) - at_work)
                    found.append((*span, during[0], during[-1] + 1, *took, evidence, not at_work))
    return sorted(found, key=lambda row: (row[0], row[7], row[8], row[2], row[1], row[4], row[6] or ""))


def tuples(table):
    """A table as tuples; missing values are None."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in table.itertuples(index=False)]


@pytest.mark.laws
@oracle
@given(waiting_frames())
def test_it_equals_brute_force(spans):
    assert tuples(waits(spans)) == expected_waits(spans)


@pytest.mark.laws
@given(waiting_frames())
def test_waits_add_up_to_the_pieces_that_wait(spans):
    table, pieces = waits(spans), self_spans(spans)
    waiting = pieces[pieces["state"] != "work"]
    took = (waiting["end_time"] - waiting["start_time"]).groupby([waiting["trace_id"], waiting["id"]], observed=True).sum()
    summed = table.groupby(["trace_id", "id"], observed=True)["wait_us"].sum()
    assert summed.to_dict() == took[took > 0].to_dict()
    assert ((table["overlap_us"] >= table["wait_us"]) & (table["wait_us"] >= table["exclusive_us"])).all()
    assert (table["exclusive_us"] >= 0).all()
    assert (table["overlap_us"] == table["end"] - table["start"]).all()


@pytest.mark.laws
@given(waiting_frames(), st.sampled_from([100, -7, 1_700_000_000_000_000, 2**62, -(2**62)]))
def test_neither_time_nor_the_order_of_rows_nor_other_traces_matter(spans, shift):
    answer = waits(spans)
    assert_frame_equal(waits(spans.iloc[::-1]), answer)
    later = waits(spans.assign(start_time=spans["start_time"] + shift, end_time=spans["end_time"] + shift))
    assert_frame_equal(later, answer.assign(start=answer["start"] + shift, end=answer["end"] + shift))
    parts = [tuples(waits(part)) for _, part in spans.groupby("trace_id", observed=True)]
    assert tuples(answer) == [row for part in parts for row in part]


@pytest.mark.laws
@given(waiting_frames())
def test_renaming_agents_renames_them_in_the_answer(spans):
    new = {"ann": "Zoe 1", "bob": "Zoe 2", "eve": "Zoe 3"}

    def renamed(data):
        payload = json.loads(data) if isinstance(data, str) else {}
        name = payload.get("waits_for")
        return json.dumps(payload | {"waits_for": new.get(name, name)}) if payload else None

    data = pd.Series([renamed(data) for data in spans["data"]], index=spans.index, dtype="str") if "data" in spans else None
    after = waits(spans.assign(agent_id=spans["agent_id"].astype("str").map(new), data=data))
    before = tuples(waits(spans))
    assert tuples(after) == [(*row[:2], new[row[2]], row[3], new.get(row[4], row[4]), *row[5:]) for row in before]


@pytest.mark.laws
@given(spans_frames(data=True))
def test_without_parents_and_marks_nobody_waits(spans):
    assert len(waits(spans)) == 0


# Errors


def test_a_span_in_several_rows_is_refused_only_with_parents():
    twice = spans_of("ann 0 9 desk", "bob 1 3 lab", "ann 0 9 desk", parents={"b": "a"}).assign(id=["a", "a", "b"])
    message = r"^Span 'a' is in several rows of trace 't'\. Pass each span once, uncut: not the pieces of self_spans\(\)\.$"
    with pytest.raises(BadSpan, match=message):
        waits(twice)
    marked = with_data(twice.drop(columns="parent_id"), a={"waits_for": "user"})
    assert rows(waits(marked), "id", "waits_for", "wait_us") == ["a user 9", "a user 9"]


def test_pieces_are_refused():
    pieces = self_spans(spans_of("ann 0 9 desk", "bob 0 9 lab", parents={"b": "a"}))
    message = r"^The spans are pieces of self_spans\(\), which lack the times of callees\. Pass the uncut spans\.$"
    with pytest.raises(BadSpan, match=message):
        waits(pieces)


def test_too_many_rows_are_refused(monkeypatch, serial):
    monkeypatch.setattr("tokenvis.analysis.waits.MAX_WAIT_ROWS", 1)
    message = r"^The table of waits would have 2 rows; the limit is 1\. Pass fewer traces at once\.$"
    with pytest.raises(BadSpan, match=message):
        waits(serial)


def test_times_that_do_not_fit_are_refused():
    far = spans_of("ann 0 1 desk").assign(start_time=-(2**62) - 1, end_time=2**62, waits_for="user")
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        waits(far)


def test_errors_come_before_any_arithmetic():
    with pytest.raises(MissingColumn):
        waits(spans_of("ann 0 1 desk").drop(columns="end_time"))


def names_along(axis):
    """The names along an axis of a matrix."""
    return [label.get_text() for label in axis.get_ticklabels()]


def cells_of(ax):
    """The cells of a matrix: the amount of each, -1 for none; and the two lines of those that are drawn."""
    [mesh] = [collection for collection in ax.collections if collection.get_label() == "cells"]
    [labels] = [artist for artist in ax.get_children() if hasattr(artist, "cells")]
    return mesh.get_array().filled(-1).tolist(), labels.cells[["first", "second"]].to_numpy().tolist()


def test_the_picture_has_the_waits_of_each_agent_for_each_other_and_for_people_last(serial):
    spans = with_data(serial.assign(data=None), e={"waits_for": "Ann"})
    ax = plot_waits(spans)
    assert (names_along(ax.yaxis), names_along(ax.xaxis)) == (["lead", "w1"], ["w0", "w1", "Ann (person)"])
    amounts, texts = cells_of(ax)
    assert amounts == [[10, 10, -1], [-1, -1, 10]]
    assert texts == [["10 µs", "1 wait"]] * 3
    assert ax.get_title(loc="right") == "who waited for whom, and how long"
    assert ax.get_label() == "30 µs of waiting in t, by 2 agents; the most is lead for w0, 10 µs in 1 wait."
    assert sum(map(sum, amounts)) + 3 == waits(spans)["wait_us"].sum()


def test_the_picture_has_no_cell_for_a_wait_that_all_goes_to_another():
    spans = spans_of("lead 0 20 desk", "bob 2 5 lab", "eve 1 9 lab", parents={"b": "a", "c": "a"})
    assert sorted(waits(spans)["wait_us"]) == [0, 8]
    assert cells_of(plot_waits(spans))[1] == [["8 µs", "1 wait"]]


def test_the_picture_lists_agents_that_only_wait_last_and_adds_up_traces():
    rows = ["a-root 0 100 flow", "lead 0 100 desk", "bob 10 30 lab", "bob 40 50 lab"]
    parents = {"b": "a", "c": "b", "d": "b"}
    one = spans_of(*rows, parents=parents)
    both = pd.concat([one, one.assign(trace_id="u")], ignore_index=True)
    ax = plot_waits(both)
    assert (names_along(ax.yaxis), names_along(ax.xaxis)) == (["lead", "a-root"], ["bob", "lead"])
    assert cells_of(ax)[1] == [["80 µs", "2 waits"], ["200 µs", "2 waits"]]
    assert ax.get_title(loc="left") == "2 traces"


def test_the_picture_keeps_a_person_apart_from_an_agent_of_the_same_name():
    spans = spans_of(
        "ann 0 9 desk", "x 2 4 lab", "ann 10 14 ask", "ann 20 26 desk", "z 21 22 lab", parents={"b": "a", "e": "d"}
    )
    spans = spans.assign(agent_id=spans["agent_id"].astype("str").replace("z", "x (person)"))
    ax = plot_waits(with_data(spans, c={"waits_for": "x", "waits_for_kind": "person"}))
    assert names_along(ax.xaxis) == ["x", "x (person)", "x ((person))"]
    assert cells_of(ax)[0] == [[2, 1, 4]]


def test_a_picture_without_waits_says_whether_they_can_be_known():
    unknown = plot_waits(spans_of("ann 0 9 desk", "bob 2 4 lab"))
    assert [text.get_text() for text in unknown.texts] == ["No waits are known: no span has a parent."]
    assert unknown.get_label() == "t: No waits are known: no span has a parent."
    nested = spans_of("ann 0 9 desk", "ann 2 4 lab", parents={"b": "a"})
    assert plot_waits(nested).get_label() == "t: No span waits for an agent or a person."
    assert plot_waits(nested.iloc[:0]).get_label() == ("No span is left of trace 't': the frame is empty after a filter.")


def test_the_picture_of_waits_in_steps(serial):
    assert cells_of(plot_waits(serial, time_unit="step"))[1] == [["10 steps", "1 wait"]] * 2
    with pytest.raises(BadOption, match=r"^time_unit='s' is not one of 'auto', 'step'\.$"):
        plot_waits(serial, time_unit="s")


@pytest.mark.laws
@given(waiting_frames())
def test_the_picture_adds_up_to_the_time_that_spans_wait(spans):
    waiting = self_spans(spans).loc[lambda pieces: pieces["state"] != "work"]
    waited = (waiting["end_time"] - waiting["start_time"]).groupby(waiting["agent_id"].astype("str")).sum()
    ax = plot_waits(spans, ax=Figure(figsize=(8, 3)).subplots())
    drawn = {}
    if waited.sum():
        amounts, _ = cells_of(ax)
        drawn = dict(zip(names_along(ax.yaxis), (sum(row) + row.count(-1) for row in amounts), strict=True))
    assert drawn == waited[waited > 0].to_dict()
