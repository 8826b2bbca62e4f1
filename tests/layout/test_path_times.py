import numpy as np
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import waiting_frames

from tokenvis import critical_path, summary
from tokenvis.layout.path_times import idle_times, path_times, whole_percentages
from tokenvis.spans.columns import codes_of
from tokenvis.tree.states import states_of

ORDER = ("work", "agent", "person", "unexplained")


def times_of_agents(spans):
    """The times of the path: of agents, of waits, and idle."""
    path = critical_path(spans)
    codes, agents = codes_of(path["agent_id"])
    times = path_times(path, codes % (len(agents) + 1), states_of(spans), ORDER)
    return dict(zip(agents[times.group], times.work_us.tolist(), strict=True)), times.waits_us, times.idle_us


def test_work_is_by_agent_the_largest_first_and_idle_time_is_apart_from_waits():
    spans = spans_of("ann 0 4 desk", "bob 2 6 lab", "eve 10 30 desk", "ann 30 35 desk")
    spans = with_data(spans, c={"links": ["a"]}, d={"links": ["c"]})
    assert times_of_agents(spans) == ({"eve": 20, "ann": 9}, {"agent": 2}, {"agent": 4})


def test_a_wait_for_a_person_is_not_idle_but_a_gap_is():
    spans = with_data(spans_of("ann 0 4 desk", "ann 4 9 ask", "ann 12 13 desk"), b={"waits_for": "user"}, c={"trigger": "user"})
    assert times_of_agents(spans) == ({"ann": 5}, {"person": 5}, {"person": 3})


def test_a_wait_while_nothing_works_is_idle():
    rows = ["lead 0 30 desk", "bob 2 5 lab", "bob 20 24 lab"]
    spans = spans_of(*rows, parents={"b": "a", "c": "a"})
    assert times_of_agents(spans) == ({"lead": 8, "bob": 7}, {}, {"agent": 15})


@pytest.mark.laws
@given(waiting_frames())
def test_idle_time_is_that_of_the_summary(spans):
    for trace in sorted(spans["trace_id"].unique()):
        one = spans[spans["trace_id"] == trace]
        idle = idle_times(critical_path(one), states_of(one))
        assert idle.sum() == summary(one)["idle_us"].iloc[0]
        assert not idle[(critical_path(one)["state"] == "work").to_numpy()].any()


@pytest.mark.parametrize(
    ("times", "percentages"),
    [
        ([], []),
        ([0, 0], [0, 0]),
        ([7], [100]),
        ([1, 1, 1], [34, 33, 33]),
        ([996, 4], [100, 0]),
        ([2**62, 2**62, 1], [50, 50, 0]),
        ([305, 305, 390], [31, 30, 39]),
    ],
)
def test_percentages_add_up_to_100(times, percentages):
    assert whole_percentages(times) == percentages


@pytest.mark.laws
@given(st.lists(st.integers(0, 2**62), max_size=12))
def test_percentages_are_within_one_of_the_share(times):
    found = whole_percentages(times)
    assert sum(found) == (100 if sum(times) else 0)
    assert all(
        abs(percentage - 100 * time / sum(times)) < 1 for percentage, time in zip(found, times, strict=True) if sum(times)
    )
    assert np.all(np.array(found) >= 0)
