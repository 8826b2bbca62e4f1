from itertools import product

import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline
from tokenvis.layout.storylines.maxsat import MaxSat

N_VARIABLES = 5
LITERALS = st.integers(1, N_VARIABLES).flatmap(lambda variable: st.sampled_from([variable, -variable]))
CLAUSES = st.lists(st.lists(LITERALS, min_size=1, max_size=3), max_size=12)
WEIGHTS = st.dictionaries(st.integers(1, N_VARIABLES), st.tuples(st.sampled_from([1, -1]), st.integers(1, 4)))


def costs(clauses, weights):
    """The cost of each model of the clauses."""
    for values in product([False, True], repeat=N_VARIABLES):
        true = {number if value else -number for number, value in enumerate(values, start=1)}
        if all(true.intersection(clause) for clause in clauses):
            yield sum(weight for literal, weight in weights.items() if literal not in true)


@pytest.mark.laws
@given(CLAUSES, WEIGHTS, st.integers(0, 20))
def test_the_bounds_meet_at_the_cheapest_model_or_at_the_known_bound(clauses, signed, known):
    weights = {sign * number: weight for number, (sign, weight) in signed.items()}
    fewest = min([*costs(clauses, weights), known])
    with MaxSat(clauses, weights, N_VARIABLES, [], known) as problem:
        problem.improve(NO_DEADLINE)
        assert (problem.lower_bound, problem.upper_bound) == (fewest, fewest)
        if fewest < known:
            assert all(problem.model.intersection(clause) for clause in clauses)
            assert sum(weight for literal, weight in weights.items() if literal not in problem.model) == fewest


@pytest.mark.laws
@given(CLAUSES, WEIGHTS, st.integers(1, 12))
def test_an_interrupted_problem_has_valid_bounds_and_continues(clauses, signed, seconds):
    weights = {sign * number: weight for number, (sign, weight) in signed.items()}
    known = sum(weights.values()) + 1
    fewest = min([*costs(clauses, weights), known])
    with MaxSat(clauses, weights, N_VARIABLES, [], known) as problem:
        with FakeClock.patched():
            problem.improve(Deadline.after(seconds))
        assert problem.lower_bound <= fewest <= problem.upper_bound
        problem.improve(NO_DEADLINE)
        assert problem.lower_bound == fewest == problem.upper_bound
