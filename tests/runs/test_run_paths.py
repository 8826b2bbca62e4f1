import numpy as np
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given

from tokenvis import critical_path, self_spans
from tokenvis.runs.run_paths import run_paths
from tokenvis.spans.columns import ranks_of
from tokenvis.spans.losses import recorded_spans


def pieces_of(spans) -> list[str]:
    """Each piece: id (- for a gap), start, end."""
    path = run_paths(spans)
    ids = [*spans["id"].tolist(), "-"]
    return [
        f"{ids[row]} {start} {end}"
        for row, start, end in zip(path.row.tolist(), path.start.tolist(), path.end.tolist(), strict=True)
    ]


def test_without_links_the_time_goes_to_what_works_at_the_moment():
    spans = spans_of("ann 0 10 desk", "bob 10 15 lab", "eve 18 30 desk")
    assert critical_path(spans)["id"].isna().sum() == 1
    assert pieces_of(spans) == ["a 0 10", "b 10 15", "- 15 18", "c 18 30"]


def test_of_several_that_work_the_one_that_ends_last_has_the_time():
    assert pieces_of(spans_of("ann 0 10 desk", "bob 2 5 lab", "eve 12 30 desk")) == ["a 0 10", "- 10 12", "c 12 30"]
    assert pieces_of(spans_of("ann 0 5 desk", "bob 2 10 lab", "eve 10 30 desk")) == ["a 0 2", "b 2 10", "c 10 30"]


def test_of_several_with_the_same_times_the_order_of_rows_chooses_none():
    spans = spans_of("ann 6 8 desk", "ann 6 11 lab", "ann 7 11 desk")
    assert pieces_of(spans) == pieces_of(spans.iloc[::-1]) == ["b 6 7", "c 7 11"]


def test_a_wait_has_the_time_in_which_nothing_works():
    spans = with_data(spans_of("ann 0 10 desk", "bob 2 5 lab", "eve 10 30 desk"), a={"waits_for": "user"})
    assert pieces_of(spans) == ["a 0 2", "b 2 5", "a 5 10", "c 10 30"]


def test_linked_spans_have_the_critical_path():
    spans = with_data(spans_of("ann 0 10 desk", "bob 0 12 lab", "eve 12 30 desk"), c={"links": ["a"]})
    path = critical_path(spans)
    assert path["state"].tolist() == ["work", "agent", "work"]
    assert pieces_of(spans) == ["a 0 10", "- 10 12", "c 12 30"], "a link explains the time after it"


@pytest.mark.laws
@given(spans_frames(n_traces=2, parents=True, data=True))
def test_a_path_is_as_long_as_the_run_and_idle_only_where_nothing_runs(spans):
    spans = recorded_spans(spans).reset_index(drop=True)
    assert pieces_of(spans.iloc[::-1]) == pieces_of(spans)
    path = run_paths(spans)
    run = ranks_of(spans["trace_id"])
    pieces = self_spans(spans)
    for number in range(int(run.max(initial=-1)) + 1):
        of_run, rows = path.run == number, run == number
        start, end = path.start[of_run], path.end[of_run]
        assert start[0] == spans["start_time"][rows].min()
        assert end[-1] == spans["end_time"][rows].max()
        assert (start[1:] == end[:-1]).all()
        own = pieces[(pieces["trace_id"] == spans["trace_id"][rows].iloc[0]) & (pieces["end_time"] > pieces["start_time"])]
        for begin, stop, state in zip(start, end, path.state[of_run], strict=True):
            running = (own["start_time"] < stop) & (own["end_time"] > begin)
            assert state != 3 or not running.any()
    explained = critical_path(spans)
    if not (explained["state"] == "unexplained").any():
        assert (path.end - path.start).tolist() == explained["part_us"].tolist()
        assert np.array_equal(path.row == -1, explained["id"].isna())
