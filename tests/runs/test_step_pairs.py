import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.runs.steps.step_pairs import sequences_of, step_pairs

STEPS = st.lists(st.sampled_from(["ann 1", "ann 2", "bob 1", "bob 2", "eve 1"]), max_size=10)


def rows_of(first, second, *, by_agent=False):
    """The rows of an alignment of steps "agent key", by their numbers in both runs: (a, b, instead), None for no step."""
    numbers = {step: number for number, step in enumerate(sorted({*first, *second}))}
    agents = {agent: number for number, agent in enumerate(sorted({step.split()[0] for step in numbers}))}
    runs, place = [], 0
    for steps in (first, second):
        key = np.array([numbers[step] for step in steps], dtype=np.int64)
        agent = np.array([agents[step.split()[0]] * by_agent for step in steps], dtype=np.int64)
        runs.append(sequences_of(place + np.arange(len(steps)), key, agent, max(len(agents), 1)))
        place += len(steps)
    pairs = step_pairs(*runs)
    return [
        (None if a < 0 else a, None if b < 0 else b - len(first), None if instead < 0 else instead - len(first) * (b < 0 <= a))
        for a, b, instead in zip(pairs.a.tolist(), pairs.b.tolist(), pairs.instead.tolist(), strict=True)
    ]


def test_a_step_of_one_run_has_the_step_of_the_other_at_its_place():
    first, second = ["ann 1", "ann 2", "ann 1"], ["ann 1", "bob 1", "ann 1", "bob 2"]
    assert rows_of(first, second) == [(0, 0, None), (1, None, 1), (None, 1, 1), (2, 2, None), (None, 3, None)]


def test_agents_may_alternate_in_another_way():
    first, second = ["ann 1", "bob 1", "bob 2", "ann 2"], ["ann 1", "ann 2", "bob 1", "bob 2"]
    assert rows_of(first, second, by_agent=True) == [(0, 0, None), (1, 2, None), (2, 3, None), (3, 1, None)]
    assert [row[:2] for row in rows_of(first, second)] == [(0, 0), (None, 1), (1, 2), (2, 3), (3, None)]


def test_a_step_of_the_second_run_stands_before_the_next_step_of_both_that_its_run_has():
    first, second = ["ann 1", "bob 1", "bob 2", "ann 2"], ["ann 1", "bob 1", "ann 1", "bob 2", "ann 2", "eve 1"]
    rows = [(0, 0, None), (1, 1, None), (None, 2, 3), (2, 3, None), (3, 4, None), (None, 5, None)]
    assert rows_of(first, second, by_agent=True) == rows
    assert [row[:2] for row in rows_of(["bob 1", "bob 2", "ann 1"], ["ann 1", "ann 2", "bob 1", "bob 2"], by_agent=True)] == [
        (0, 2),
        (1, 3),
        (2, 0),
        (None, 1),
    ]


@pytest.mark.laws
@given(STEPS, STEPS, st.booleans())
def test_each_step_is_in_one_row_and_each_sequence_is_in_order(first, second, by_agent):
    rows = rows_of(first, second, by_agent=by_agent)
    in_a, in_b = ([row[side] for row in rows if row[side] is not None] for side in (0, 1))
    assert in_a == list(range(len(first)))
    assert sorted(in_b) == list(range(len(second)))
    assert all(first[a] == second[b] for a, b, _ in rows if None not in (a, b))
    for agent in ("ann", "bob", "eve") if by_agent else ("",):
        of_agent = [step for step in in_b if second[step].startswith(agent)]
        assert of_agent == sorted(of_agent)
        alone = [[step for step in steps if step.startswith(agent)] for steps in (first, second)]
        cost = sum(None in row[:2] for row in rows_of(*alone))
        of_rows = [first[a] if b is None else second[b] for a, b, _ in rows if None in (a, b)]
        assert sum(step.startswith(agent) for step in of_rows) == cost


@pytest.mark.laws
@given(STEPS, STEPS, st.booleans())
def test_instead_is_the_first_step_after_the_last_that_both_have(first, second, by_agent):
    rows = rows_of(first, second, by_agent=by_agent)
    both = [(a, b) for a, b, _ in rows if None not in (a, b)]
    for a, b, instead in rows:
        own, other, steps = (a, 1, second) if b is None else (b, 0, first)
        if None not in (a, b):
            assert instead is None
            continue
        agent = (second[b] if a is None else first[a]).split()[0] if by_agent else ""
        of_agent = [pair for pair in both if first[pair[0]].startswith(agent) and pair[1 - other] < own]
        begin = max((pair[other] for pair in of_agent), default=-1) + 1
        later = [number for number in range(begin, len(steps)) if steps[number].startswith(agent)]
        assert instead == (later[0] if later else None)
