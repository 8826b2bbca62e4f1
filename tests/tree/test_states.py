import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from waiting import oracle, states_of, waiting_frames

from tokenvis import BadSpan, MissingColumn, self_spans
from tokenvis.tree import states as package


def states(spans):
    """Pieces as text: "id start end state"."""
    columns = zip(*(spans[name] for name in ("id", "start_time", "end_time", "state")), strict=True)
    return [" ".join(map(str, piece)) for piece in columns]


def test_a_span_waits_while_a_child_of_another_agent_runs():
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"})
    assert states(self_spans(spans)) == ["a 0 2 work", "a 2 4 agent", "b 2 4 work", "a 4 10 work"]


def test_children_of_one_agent_are_one_callee_until_the_parent_starts_something():
    rows = "ann 0 20 desk", "bob 2 4 lab", "bob 6 8 lab", "ann 10 11 hall", "bob 14 16 lab"
    spans = spans_of(*rows, parents=dict.fromkeys("bcde", "a"))
    assert [piece for piece in states(self_spans(spans)) if piece.endswith("agent")] == ["a 2 8 agent", "a 14 16 agent"]


def test_nobody_waits_for_a_detached_child():
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"})
    assert states(self_spans(with_data(spans, b={"detached": True})))[0] == "a 0 10 work"


def test_a_child_that_ends_after_its_parent_is_detached_unless_an_end_is_uncertain():
    spans = spans_of("ann 0 10 desk", "bob 2 14 lab", parents={"b": "a"})
    assert states(self_spans(spans)) == ["a 0 10 work", "b 2 14 work"]
    for payload in ({"status": "open"}, {"estimated": ["end_time"]}, {"detached": False}):
        assert states(self_spans(with_data(spans, b=payload))) == ["a 0 2 work", "a 2 10 agent", "b 2 14 work"]
    for payload in ({"status": "open"}, {"estimated": ["end_time"]}):
        assert states(self_spans(with_data(spans, a=payload)))[1] == "a 2 10 agent"


def test_a_consumer_below_a_producer_is_detached():
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"})
    kinds = {"a": {"span_kind": "producer"}, "b": {"span_kind": "consumer"}}
    assert states(self_spans(with_data(spans, **kinds)))[0] == "a 0 10 work"
    assert states(self_spans(with_data(spans, b=kinds["b"])))[1] == "a 2 4 agent"


def test_a_marked_span_waits_for_a_person_or_for_an_agent_of_its_trace():
    spans = spans_of("ann 0 4 desk", "ann 4 6 desk", "ann 6 8 desk", "bob 0 1 lab")
    marked = with_data(spans, a={"waits_for": "user"}, b={"waits_for": "bob"}, c={"waits_for": "Eve"})
    assert states(self_spans(marked)) == ["d 0 1 work", "a 0 4 person", "b 4 6 agent", "c 6 8 person"]


def test_a_mark_wins_over_a_callee_and_may_be_a_column():
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"})
    assert states(self_spans(spans.assign(waits_for=["Eve", None]))) == ["a 0 10 person", "b 2 4 work"]


def test_the_kind_of_a_name_may_be_given():
    spans = spans_of("ann 0 4 desk", "ann 4 6 desk", "bob 0 1 lab")
    kinds = {"a": {"waits_for": "gone", "waits_for_kind": "agent"}, "b": {"waits_for": "bob", "waits_for_kind": "person"}}
    assert states(self_spans(with_data(spans, **kinds)))[1:] == ["a 0 4 agent", "b 4 6 person"]


@pytest.mark.parametrize(("true", "false"), [(True, False), (1, 0), (1.0, 0.0), ("true", "false"), ("True", " FALSE ")])
def test_a_true_value_is_the_user_and_a_false_one_nobody(true, false):
    spans = with_data(spans_of("ann 0 4 desk", "ann 4 6 desk"), a={"waits_for": true}, b={"waits_for": false})
    assert states(self_spans(spans)) == ["a 0 4 person", "b 4 6 work"]


@pytest.mark.parametrize("column", [[1, 0], [1.0, None], ["true", "false"], [True, None]])
def test_detached_may_be_any_truth_of_a_table(column):
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"}).assign(detached=column[::-1])
    assert states(self_spans(spans))[0] == "a 0 10 work"


def test_data_may_be_categorical_or_all_missing():
    spans = with_data(spans_of("ann 0 4 desk", "ann 4 6 desk"), a={"waits_for": "user"})
    assert states(self_spans(spans.astype({"data": "category"}))) == ["a 0 4 person", "b 4 6 work"]
    assert states(self_spans(spans.assign(data=float("nan")))) == ["a 0 4 work", "b 4 6 work"]


def test_the_agent_of_another_trace_is_a_person():
    spans = with_data(spans_of("ann 0 4 desk t", "bob 0 4 desk u"), a={"waits_for": "bob"})
    assert states(self_spans(spans)) == ["a 0 4 person", "b 0 4 work"]


def test_a_column_state_of_other_meaning_is_refused():
    with pytest.raises(BadSpan, match=r"^The spans have a column 'state', which self_spans\(\) adds. Rename it first.$"):
        self_spans(spans_of("ann 0 4 desk").assign(state="busy"))
    pieces = self_spans(spans_of("ann 0 4 desk")).assign(state="busy")
    with pytest.raises(
        BadSpan, match=r"^state of span 'a' of trace 't' is 'busy'\. The states of pieces are 'work', 'agent', 'person'.$"
    ):
        self_spans(pieces)


@pytest.mark.laws
@oracle
@given(waiting_frames())
def test_each_moment_has_the_state_of_the_rules(spans):
    found = {}
    for piece in self_spans(spans).itertuples():
        moments = {(piece.trace_id, piece.id, time): piece.state for time in range(piece.start_time, piece.end_time)}
        assert not moments.keys() & found.keys()
        found |= moments
    assert found == states_of(spans)


@pytest.mark.laws
@given(waiting_frames())
def test_pieces_are_maximal_and_numbered_by_time(spans):
    pieces = self_spans(spans)
    for _, own in pieces.groupby(["trace_id", "id"], observed=True):
        own = own.sort_values("start_time")
        assert own["piece"].tolist() == list(range(len(own)))
        meets = own["start_time"].to_numpy()[1:] == own["end_time"].to_numpy()[:-1]
        assert not (meets & (own["state"].to_numpy()[1:] == own["state"].to_numpy()[:-1])).any()


@pytest.mark.laws
@given(waiting_frames())
def test_pieces_of_pieces_are_the_same(spans):
    once = self_spans(spans)
    assert_frame_equal(once, self_spans(once))


@pytest.mark.laws
@given(waiting_frames())
def test_neither_the_order_of_rows_nor_another_trace_matters(spans):
    before = spans.copy(deep=True)
    whole = self_spans(spans)
    assert_frame_equal(whole, self_spans(spans.iloc[::-1]))
    for trace, part in spans.groupby("trace_id", observed=True):
        assert states(self_spans(part)) == states(whole[whole["trace_id"] == trace])
    assert_frame_equal(spans, before)


@pytest.mark.laws
@given(waiting_frames(), st.sets(st.integers(0, 11)))
def test_some_spans_have_the_same_states_as_among_all(spans, chosen):
    rows = np.array(sorted(row for row in chosen if row < len(spans)), dtype=np.int64)
    every, some = package.states_of(spans), package.states_of(spans, rows=rows)
    wanted = np.isin(every.row, rows)
    for column in ("row", "start", "end", "state"):
        assert getattr(some, column).tolist() == getattr(every, column)[wanted].tolist()


@pytest.mark.laws
@given(spans_frames(data=True))
def test_without_parents_and_marks_all_time_is_work(spans):
    assert states(self_spans(spans)) == [f"{piece} work" for piece in pieces_without_states(spans)]


def pieces_without_states(spans: pd.DataFrame) -> list[str]:
    """The spans as text: "id start end", in the order of a frame."""
    ordered = spans.sort_values(["start_time", "end_time", "agent_id", "id", "trace_id"])
    return [f"{row.id} {row.start_time} {row.end_time}" for row in ordered.itertuples()]


def test_errors_come_before_any_arithmetic():
    with pytest.raises(MissingColumn):
        self_spans(spans_of("ann 0 1 desk").drop(columns="end_time"))
