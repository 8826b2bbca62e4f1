import numpy as np
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import waiting_frames

from tokenvis import critical_path
from tokenvis.tree import path_search
from tokenvis.tree.path_search import Ends, Sources
from tokenvis.tree.relations import NO_ROW


def ends_of(*rows, group=None):
    spans = spans_of(*rows)
    group = np.zeros(len(spans), dtype=np.int64) if group is None else np.array(group)
    return Ends(spans, group, np.arange(len(spans)), int(group.max()) + 1, np.zeros(len(spans), dtype=np.int64))


def test_the_last_row_to_end_at_or_before_a_time():
    ends = ends_of("ann 0 5 desk", "ann 1 3 desk", "ann 2 9 desk", "ann 4 9 desk", group=[0, 0, 1, 1])
    groups, times = np.array([0, 0, 0, 1, 1]), np.array([2, 3, 7, 8, 9])
    assert ends.last_rows(groups, times).tolist() == [NO_ROW, 1, 0, NO_ROW, 3]
    found = [ends.last(group, time) for group, time in zip(groups.tolist(), times.tolist(), strict=True)]
    assert [position >= first for position, first in found] == [False, True, True, False, True]
    assert ends_of("ann 0 5 desk").last_rows(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []


def test_how_many_rows_a_row_names_and_the_first():
    sources = Sources(np.array([4, 5, 6]), np.array([1, 1, 3]), 4)
    assert [list(sources.of(row)) for row in range(4)] == [[], [4, 5], [], [6]]
    count, first = sources.single(4)
    assert (count.tolist(), first.tolist()) == ([0, 2, 0, 1], [NO_ROW, 4, NO_ROW, 6])
    count, first = Sources(np.array([]), np.array([]), 2).single(2)
    assert (count.tolist(), first.tolist()) == ([0, 0], [NO_ROW, NO_ROW])


def test_a_long_trace_has_no_shortcuts(monkeypatch):
    spans = with_data(spans_of("ann 0 5 desk", "bob 6 9 lab", "bob 9 12 lab"), b={"links": ["a"]})
    quick = critical_path(spans)
    monkeypatch.setattr(path_search, "MAX_SPANS_WITH_SHORTCUTS", 2)
    assert critical_path(spans).equals(quick)


@pytest.mark.laws
@given(
    waiting_frames() | spans_frames(parents=True, data=True, n_traces=3, max_spans=20),
    st.sampled_from([("link", "parent"), "link", "parent", ("parent", "location")]),
)
def test_shortcuts_change_no_path(spans, evidence):
    quick = critical_path(spans, evidence=evidence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_search, "MAX_SPANS_WITH_SHORTCUTS", -1)
        assert critical_path(spans, evidence=evidence).equals(quick)
