import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import presence_of, waiting_frames, work_of

from tokenvis import BadOption, occupancy, plot_occupancy
from tokenvis.plot.artists.notes import Note
from tokenvis.spans.losses import LOST_LOCATION


def as_text(spans):
    """Rows as text: "agent location visits busy active share"."""
    table = occupancy(spans)
    columns = ("agent_id", "location_id", "n_visits", "busy_us", "active_us", "share_of_agent")
    return [" ".join(map(str, row)) for row in zip(*(table[column] for column in columns), strict=True)]


def test_a_return_is_another_visit_and_a_pause_is_not():
    spans = spans_of("ann 0 10 desk", "ann 10 15 lab", "ann 15 18 desk", "ann 30 32 desk")
    assert as_text(spans) == ["ann desk 2 15 15 0.75", "ann lab 1 5 5 0.25"]


def test_parallel_spans_of_an_agent_are_busy_twice_and_active_once():
    assert as_text(spans_of("ann 0 10 desk", "ann 5 15 desk", "bob 0 4 desk")) == ["ann desk 1 20 15 1.0", "bob desk 1 4 4 1.0"]


def test_an_instant_is_a_visit_that_takes_no_time():
    assert as_text(spans_of("ann 0 10 desk", "ann 10 10 lab")) == ["ann desk 1 10 10 1.0", "ann lab 1 0 0 0.0"]
    assert as_text(spans_of("ann 3 3 desk")) == ["ann desk 1 0 0 <NA>"]


def test_a_fully_covered_parent_has_no_visit():
    assert as_text(spans_of("ann 0 10 desk", "ann 0 10 lab", parents={"b": "a"})) == ["ann lab 1 10 10 1.0"]


def test_an_agent_that_waits_visits_but_is_not_busy():
    spans = spans_of("ann 0 10 kitchen", "bob 2 6 desk", parents={"b": "a"})
    assert as_text(spans) == ["ann kitchen 1 6 6 1.0", "bob desk 1 4 4 1.0"]
    assert as_text(with_data(spans, a={"waits_for": "user"}))[0] == "ann kitchen 1 0 0 <NA>"


@pytest.mark.laws
@given(waiting_frames())
def test_it_equals_brute_force(spans):
    pieces, work = presence_of(spans).sort_values(["start_time", "end_time", "id"]), work_of(spans)
    expected = []
    for (trace, agent), rows in pieces.groupby(["trace_id", "agent_id"], observed=True):
        path, worked = rows["location_id"].tolist(), work[(work["trace_id"] == trace) & (work["agent_id"] == agent)]
        busy = (worked["end_time"] - worked["start_time"]).sum()
        for place in sorted(set(path)):
            here = worked[worked["location_id"] == place]
            took = (here["end_time"] - here["start_time"]).sum()
            active = sum(any(here["start_time"].le(t) & here["end_time"].gt(t)) for t in range(14))
            visits = sum(now == place and before != place for before, now in zip([None, *path], path, strict=False))
            expected.append((trace, agent, place, visits, took, active, took / busy if busy else pd.NA))
    found = occupancy(spans)
    assert list(zip(*(found[column] for column in found), strict=True)) == expected


def test_the_picture_has_the_times_of_the_table():
    spans = spans_of("ann 0 10 desk", "bob 5 20 desk", "ann 12 14 lab")
    ax = plot_occupancy(spans)
    [mesh] = ax.collections
    assert mesh.get_array().filled(-1).tolist() == [[10, 2], [15, -1]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ann", "bob"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["desk", "lab"]


def test_the_picture_of_a_simulation_is_in_steps():
    assert plot_occupancy(spans_of("ann 0 10 desk"), time_unit="step").get_label().endswith("ann at desk, 10 steps.")
    with pytest.raises(BadOption, match=r"^time_unit='s' is not one of 'auto', 'step'\.$"):
        plot_occupancy(spans_of("ann 0 10 desk"), time_unit="s")


def test_the_picture_of_a_trace_with_waits_shows_work_and_lists_agents_that_only_wait_last():
    spans = spans_of("a-root 0 10 flow", "bob 0 10 lab", parents={"b": "a"})
    ax = plot_occupancy(spans)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["bob", "a-root"]
    assert ax.get_title(loc="right") == "working time of each agent at each location"
    assert ax.get_label().startswith("Working time of 2 agents at 2 locations in t; the maximum is bob at lab, ")


def test_the_times_of_several_traces_are_summed_in_the_cells_and_in_the_words():
    spans = spans_of("ann 0 10 desk t", "bob 0 6 desk t", "bob 0 6 desk u")
    ax = plot_occupancy(spans)
    assert ax.get_title(loc="right") == "time of each agent at each location, summed"
    assert ax.get_label() == "Time of 2 agents at 1 location in 2 traces, summed; the maximum is bob at desk, 12 µs."


def test_the_picture_reports_lost_spans():
    spans = with_data(spans_of("ann 0 10 desk", f"ann 10 11 {LOST_LOCATION}"), b={"n_lost": 3})
    ax = plot_occupancy(spans)
    [note] = [text for text in ax.texts if isinstance(text, Note)]
    assert note.messages() == ["3 spans were lost while recording"]
    assert ax.get_label().endswith("ann at desk, 10 µs. 3 spans were lost while recording.")
