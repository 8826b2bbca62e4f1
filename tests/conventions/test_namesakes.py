import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions import namesakes
from tokenvis.conventions.namesakes import LiveNamesakes, namesake_numbers


def numbers_of(*spans):
    """The number of each id of the only agent; spans are texts such as "a 0 5"."""
    rows = [text.split() for text in spans]
    ids = sorted({name for name, _, _ in rows})
    who = np.array([ids.index(name) for name, _, _ in rows])
    times = np.array([[int(start), int(end)] for _, start, end in rows])
    return dict(zip(ids, namesake_numbers(np.zeros_like(who), who, times[:, 0], times[:, 1]).tolist(), strict=True))


def test_ids_that_run_at_the_same_time_are_numbered_by_their_start():
    assert numbers_of("c 1 9", "a 2 9", "b 3 9") == {"c": 0, "a": 1, "b": 2}
    assert numbers_of("b 1 9", "a 1 9") == {"a": 0, "b": 1}


def test_a_new_id_at_each_run_is_still_one_agent():
    assert numbers_of("a 0 5", "b 5 9", "c 20 30", "c 25 27") == {"a": 0, "b": 0, "c": 0}


def test_instants_meet_nobody():
    assert numbers_of("a 0 5", "b 3 3") == {"a": 0, "b": 0}


def test_later_rounds_use_the_numbers_again():
    assert numbers_of("a 0 5", "b 0 7", "c 10 15", "d 10 15", "e 12 19") == {"a": 0, "b": 1, "c": 0, "d": 1, "e": 2}


def test_an_id_keeps_its_number_until_its_last_end():
    assert numbers_of("a 0 5", "b 0 5", "a 20 25", "c 10 15") == {"a": 0, "b": 1, "c": 1}
    assert numbers_of("a 0 5", "a 20 25", "c 10 15") == {"a": 0, "c": 0}


def test_there_is_nothing_to_tell_apart():
    nothing = np.empty(0, dtype=np.int64)
    assert namesake_numbers(nothing, nothing, nothing, nothing).tolist() == []


def overlap(one, other):
    return one[2] < other[3] and other[2] < one[3]


def brute_force(spans):
    """The number of each (agent, id) from spans (agent, id, start, end)."""
    numbers = {}
    for agent in {span[0] for span in spans}:
        own = [span for span in spans if span[0] == agent]
        if not any(overlap(a, b) and min(a[3] - a[2], b[3] - b[2]) > 0 for a in own for b in own if a[1] != b[1]):
            numbers |= {(agent, span[1]): 0 for span in own}
            continue
        lives = sorted(
            (min(s[2] for s in own if s[1] == i), i, max(s[3] for s in own if s[1] == i)) for i in {s[1] for s in own}
        )
        for start, name, _ in lives:
            taken = {numbers[agent, other] for _, other, end in lives if (agent, other) in numbers and start < end}
            numbers[agent, name] = min(set(range(len(lives))) - taken)
    return numbers


spans_of_agents = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 9), st.integers(0, 5)).map(
        lambda row: (row[0], row[1], row[2], row[2] + row[3])
    ),
    max_size=12,
)


@pytest.mark.laws
@given(spans_of_agents)
def test_numbers_are_those_of_an_oracle(spans):
    pairs = sorted({span[:2] for span in spans})
    columns = np.array(spans, dtype=np.int64).reshape(-1, 4)
    identity = np.array([pairs.index(span[:2]) for span in spans], dtype=np.int64)
    numbers = namesake_numbers(columns[:, 0], identity, columns[:, 2], columns[:, 3])
    assert dict(zip(pairs, numbers.tolist(), strict=True)) == brute_force(spans)


def events_of(lives):
    """The starts and ends of lives (id, start, end) as (id, start, end or None), in order of time, ends first."""
    ends = [(end, 0, name, start, end) for name, start, end in lives]
    starts = [(start, 1, name, start, None) for name, start, _ in lives]
    return [event[2:] for event in sorted(ends + starts, key=lambda event: event[:3])]


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), max_size=8))
def test_a_running_program_gets_the_same_names_as_a_file_if_each_id_runs_once(times):
    lives = [(f"id-{number}", start, start + length) for number, (start, length) in enumerate(times)]
    live, names = LiveNamesakes(), {}
    for name, start, end in events_of(lives):
        told = live.name_of("t", "Ann", name, f"span {name}", start, end)
        assert names.setdefault(name, told) == told
    numbers = brute_force([("Ann", *life) for life in lives])
    assert names == {name: f"Ann {number + 1}" if number else "Ann" for (_, name), number in numbers.items()}


def test_spans_that_are_known_only_when_they_end_are_told_apart_too():
    live = LiveNamesakes()
    ended = [("a", 0, 5), ("b", 3, 7), ("c", 6, 9), ("a", 5, 10)]
    assert [live.name_of("t", "Ann", name, str(end), start, end) for name, start, end in ended] == [
        "Ann", "Ann 2", "Ann", "Ann 3",
    ]  # fmt: skip


def test_which_names_are_namesakes():
    live = LiveNamesakes()
    live.name_of("t", "Ann", "a", "1", 0, None)
    assert not live.has_several("t", "Ann")
    live.name_of("t", "Ann", "b", "2", 0, None)
    assert live.has_several("t", "Ann")
    assert not live.has_several("u", "Ann")
    assert [live.is_namesake("t", "Ann", name) for name in ("Ann", "Ann 2", "Ann 3", "Bob")] == [True, True, False, False]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(namesakes, "MAX_AGENTS", 2)
    monkeypatch.setattr(namesakes, "MAX_IDS", 2)
    live = LiveNamesakes()
    for number in range(5):
        live.name_of("t", "Ann", f"id-{number}", f"span {number}", 0, 9 - number)
        live.name_of("t", f"agent {number}", "a", "span", 0, 1)
    assert len(live.lives) == 2
    assert all(len(lives) <= 2 for lives in live.lives.values())
