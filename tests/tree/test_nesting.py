import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from pandas.testing import assert_frame_equal

from tokenvis import BadSpan, MissingColumn, self_spans
from tokenvis.tree.nesting import nested_parts
from tokenvis.tree.relations import relations_of


def pieces(spans):
    """Pieces as text: "id.piece start end"."""
    columns = zip(*(spans[name] for name in ("id", "piece", "start_time", "end_time")), strict=True)
    return [f"{span}.{piece} {start} {end}" for span, piece, start, end in columns]


def test_a_parent_counts_only_while_none_of_its_children_runs():
    spans = spans_of("ann 0 10 desk", "ann 2 4 lab", "ann 6 7 lab", parents={"b": "a", "c": "a"})
    assert pieces(self_spans(spans)) == ["a.0 0 2", "b.0 2 4", "a.1 4 6", "c.0 6 7", "a.2 7 10"]


def test_without_parent_id_spans_are_uncut():
    assert pieces(self_spans(spans_of("ann 0 10 desk", "ann 2 4 desk"))) == ["a.0 0 10", "b.0 2 4"]


def test_an_instant_is_unchanged_and_does_not_cut_its_parent():
    spans = spans_of("ann 0 10 desk", "ann 5 5 lab", "ann 3 3 lab", "ann 2 4 lab", parents={"b": "a", "d": "c"})
    assert pieces(self_spans(spans)) == ["a.0 0 10", "d.0 2 4", "c.0 3 3", "b.0 5 5"]


def test_a_fully_covered_parent_has_no_piece():
    spans = spans_of("ann 2 8 desk", "ann 0 5 lab", "ann 5 9 lab", parents={"b": "a", "c": "a"})
    assert pieces(self_spans(spans)) == ["b.0 0 5", "c.0 5 9"]


def test_a_parent_that_is_not_in_the_trace_is_ignored():
    spans = spans_of("ann 0 9 desk t", "ann 2 4 lab u", "ann 5 6 lab t", parents={"b": "a", "c": "gone"})
    assert pieces(self_spans(spans)) == ["a.0 0 9", "b.0 2 4", "c.0 5 6"]


def test_spans_that_are_their_own_ancestors_do_not_cut_each_other():
    spans = spans_of(
        "ann 0 9 desk", "ann 0 9 lab", "ann 1 9 attic", "ann 2 3 den", parents={"a": "b", "b": "a", "c": "c", "d": "c"}
    )
    assert pieces(self_spans(spans)) == ["a.0 0 9", "b.0 0 9", "c.0 1 2", "d.0 2 3", "c.1 3 9"]


def test_a_cycle_of_two_agents_cuts_nothing():
    spans = spans_of("ann 0 9 desk", "eve 0 9 desk", "eve 0 5 lab", parents={"a": "c", "b": "a", "c": "b"})
    assert pieces(self_spans(spans)) == ["c.0 0 5", "a.0 0 9", "b.0 0 9"]


def test_a_part_of_a_span_has_the_time_of_each_descendant_of_its_agent():
    rows = "ann 0 20 desk", "ann 2 8 lab", "ann 4 12 hall", "ann 5 6 attic", "bob 5 9 hall"
    spans = spans_of(*rows, parents={"b": "a", "c": "a", "d": "c", "e": "c"})
    parts = nested_parts(spans, relations_of(spans).parents(), (np.array([0]), np.array([3]), np.array([10])))
    ids = spans["id"].iloc[parts.row]
    columns = ids, *(column.tolist() for column in (parts.level, parts.start, parts.end))
    assert list(zip(*columns, strict=True)) == [("a", 0, 3, 10), ("b", 1, 3, 4), ("c", 1, 4, 10), ("d", 2, 5, 6)]


def brute_force(spans: pd.DataFrame) -> set[tuple]:
    """Where each span is the innermost one of its agent, microsecond by microsecond."""
    rows = {(row.trace_id, row.id): row for row in spans.itertuples()}

    def any_parent_of(row):
        return rows.get((row.trace_id, row.parent_id))

    def parent_of(row):
        parent = any_parent_of(row)
        return parent if parent is not None and parent.agent_id == row.agent_id else None

    def in_cycle(row):  # of any agents: a span that is its own ancestor has no parent
        step = any_parent_of(row)
        for _ in rows:
            if step is None or step.id == row.id:
                break
            step = any_parent_of(step)
        return step is not None and step.id == row.id

    cells = set()
    for key, row in rows.items():
        children = [r for r in rows.values() if parent_of(r) is row and not in_cycle(r)]
        for time in range(row.start_time, row.end_time):
            if not any(child.start_time <= time < child.end_time for child in children):
                cells.add((*key, time))
        if row.start_time == row.end_time:
            cells.add((*key, "instant"))
    return cells


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_pieces_are_the_time_without_children(spans):
    found = set()
    for piece in self_spans(spans).itertuples():
        times = range(piece.start_time, piece.end_time) or ["instant"]
        for time in times:
            assert (piece.trace_id, piece.id, time) not in found
            found.add((piece.trace_id, piece.id, time))
    assert found == brute_force(spans)


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_the_order_of_rows_does_not_matter_and_the_frame_is_not_changed(spans):
    before = spans.copy(deep=True)
    assert_frame_equal(self_spans(spans), self_spans(spans.iloc[::-1]))
    assert_frame_equal(spans, before)


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_traces_are_independent(spans):
    whole = self_spans(spans)
    for trace, part in spans.groupby("trace_id", observed=True):
        assert pieces(self_spans(part)) == pieces(whole[whole["trace_id"] == trace])


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_pieces_of_pieces_are_the_same(spans):
    once = self_spans(spans)
    again = self_spans(once)
    assert_frame_equal(once.drop(columns="piece"), again.drop(columns="piece"))


def test_an_empty_frame_has_no_pieces():
    empty = spans_of("ann 0 1 desk", parents={}).iloc[:0]
    assert_frame_equal(self_spans(empty), empty.assign(piece=pd.Series(dtype="int64"), state=pd.Series(dtype="str")))


def test_other_objects_than_frames_of_spans_are_refused():
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'end_time'\. They have: 'id', 'trace_id', "):
        self_spans(spans_of("ann 0 1 desk").drop(columns="end_time"))
    with pytest.raises(BadSpan, match=r"^Spans must be a DataFrame, not list\. load_spans\(\) returns one\.$"):
        self_spans([])
