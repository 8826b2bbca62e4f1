from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ordering import orders_of, stories

from tokenvis.layout.storylines.blocks import count_crossings
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline
from tokenvis.layout.storylines.formula import OrderFormula, estimate_clauses


def some_order(blocks, draw):
    """Any order of each layer that splits no block."""
    ranks = np.full_like(blocks, -1)
    for layer, block in enumerate(blocks.tolist()):
        order = draw(st.sampled_from(list(orders_of(block))))
        ranks[layer, order] = np.arange(len(order))
    return ranks


@pytest.mark.laws
@given(stories(), st.data())
def test_an_order_is_a_model_whose_violated_soft_literals_weigh_its_crossings(blocks, data):
    ranks = some_order(blocks, data.draw)
    formula = OrderFormula(blocks, NO_DEADLINE)
    n_orders = len(formula.is_above.numbers)
    order = set(formula.literals_of(ranks)[:n_orders])
    n_violated = 0
    for soft, weight in formula.weights.items():
        upper, lower = next((-clause[1], clause[2]) for clause in formula.clauses if clause[0] == -soft)
        agrees = (upper in order) == (lower in order)
        order.add(soft if agrees else -soft)
        n_violated += 0 if agrees else weight
    assert all(order.intersection(clause) for clause in formula.clauses)
    assert n_violated == count_crossings(ranks)
    assert (formula.ranks_of(order) == ranks).all()


def test_a_cycle_is_no_order():
    formula = OrderFormula(np.array([[0, 1, 2]], dtype=np.int32), NO_DEADLINE)
    models = [
        values
        for values in product([1, -1], repeat=3)
        if all(any(values[abs(literal) - 1] * literal > 0 for literal in clause) for clause in formula.clauses)
    ]
    assert len(models) == 6


def test_a_formula_ends_at_its_deadline():
    blocks = np.array([[0, 0, 2], [0, 1, 1]], dtype=np.int32)
    assert OrderFormula(blocks, Deadline.after(-1)).clauses == []


@pytest.mark.laws
@given(stories(most_agents=9))
def test_there_are_no_more_clauses_than_estimated(blocks):
    assert len(OrderFormula(blocks, NO_DEADLINE).clauses) <= estimate_clauses(blocks) + len(blocks)
