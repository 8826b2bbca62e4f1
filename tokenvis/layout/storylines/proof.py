"""Proof: the minimum number of crossings, and an order that attains it, from a MaxSAT solver.

In each layer a variable states, for each pair of blocks and each pair of agents in one block, which of the two is above the
other; so no order can split a block. Hard clauses enforce transitivity (if a is above b and b above c, then a is above c). Soft
clauses state that two agents keep their order from one layer to the next; each violated soft clause is a crossing. The solver,
RC2 of python-sat (A. Ignatiev, A. Morgado, J. Marques-Silva, 2019), maximizes the satisfied soft clauses. The formulation is
similar to M. Gronemann et al., "Crossing minimization in storyline visualization" (2016).
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, pairwise
from threading import Timer

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable

MAX_CLAUSES = 2_000_000  # larger formulas take too much memory, and would not be solved
CLAUSES_PER_SECOND = 500_000  # formulas that take longer to build than the time limit are not tried


@dataclass(frozen=True)
class Proof:
    """``ranks`` with the fewest crossings, None after a timeout or for a formula that is too large.

    No order has fewer crossings than ``lower_bound``.
    """

    ranks: LayerTable | None
    lower_bound: int


class OrderVariables:
    """The variables: for each layer, which of two items is above the other."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int, int], int] = {}

    def __call__(self, layer: int, one: int, other: int) -> int:
        """The literal that is true if ``one`` is above ``other``."""
        if one > other:
            return -self(layer, other, one)
        return self.numbers.setdefault((layer, one, other), len(self.numbers) + 1)


def prove_fewest_crossings(blocks: LayerTable, *, seconds: float) -> Proof:
    """The order of all layers with the fewest crossings; needs python-sat."""
    from pysat.examples.rc2 import RC2Stratified
    from pysat.formula import WCNF

    n_agents = blocks.shape[1]
    if estimate_clauses(blocks) > min(MAX_CLAUSES, seconds * CLAUSES_PER_SECOND):
        return Proof(None, 0)
    is_above, formula = OrderVariables(), WCNF()
    groups_by_layer = [item_groups(row, n_agents) for row in blocks.tolist()]
    for layer, groups in enumerate(groups_by_layer):
        for group in groups:
            for one, two in combinations(group, 2):
                is_above(layer, one, two)  # every pair has a variable, even if no soft clause uses it
            for one, two, three in combinations(group, 3):
                first, second, combined = is_above(layer, one, two), is_above(layer, two, three), is_above(layer, one, three)
                formula.extend([[-first, -second, combined], [first, second, -combined]])
    clauses = soft_clauses(blocks, is_above)
    for clause, ((upper, lower), weight) in enumerate(clauses.items(), start=len(is_above.numbers) + 1):
        formula.extend([[-clause, -upper, lower], [-clause, upper, -lower]])
        formula.append([clause], weight=weight)
    with RC2Stratified(formula) as solver:
        timer = Timer(seconds, solver.interrupt)
        timer.start()
        try:
            model = solver.compute(expect_interrupt=True)
        finally:
            timer.cancel()
            timer.join()
        if model is None:
            return Proof(None, int(solver.cost))
        return Proof(ranks_from_model(blocks, groups_by_layer, is_above, set(model)), int(solver.cost))


def estimate_clauses(blocks: LayerTable) -> int:
    """The approximate number of clauses."""
    present = (blocks >= 0).sum(axis=1).astype(float)
    return int((present**3 / 3 + present**2).sum())


def item_groups(row: list[int], n_agents: int) -> list[list[int]]:
    """The items to order in a layer: its blocks, then the agents of each block; numbers of blocks follow those of agents."""
    agents_of_block: dict[int, list[int]] = {}
    for agent, block in enumerate(row):
        if block != ABSENT:
            agents_of_block.setdefault(block, []).append(agent)
    return [[n_agents + block for block in agents_of_block], *(group for group in agents_of_block.values() if len(group) > 1)]


def items_of_pair(row: list[int], one: int, other: int) -> tuple[int, int]:
    """The items that determine the order of two agents: their blocks, or the agents themselves within one block."""
    return (one, other) if row[one] == row[other] else (len(row) + row[one], len(row) + row[other])


def soft_clauses(blocks: LayerTable, is_above: OrderVariables) -> Counter[tuple[int, int]]:
    """Pairs of literals that should agree, and the number of pairs of agents for which they should."""
    clauses: Counter[tuple[int, int]] = Counter()
    rows = blocks.tolist()
    for layer, (row, following) in enumerate(pairwise(rows)):
        in_both = [agent for agent, block in enumerate(row) if block != ABSENT and following[agent] != ABSENT]
        for one, other in combinations(in_both, 2):
            upper = is_above(layer, *items_of_pair(row, one, other))
            lower = is_above(layer + 1, *items_of_pair(following, one, other))
            clauses[(upper, lower) if upper > 0 else (-upper, -lower)] += 1
    return clauses


def ranks_from_model(
    blocks: LayerTable, groups_by_layer: list[list[list[int]]], is_above: OrderVariables, true_literals: set[int]
) -> LayerTable:
    """The ranks that the solver's model represents."""
    n_agents = blocks.shape[1]
    ranks = np.full_like(blocks, ABSENT)
    for layer, (block_items, *groups) in enumerate(groups_by_layer):
        order: list[int] = []
        agents_of_block = {int(blocks[layer, group[0]]): group for group in groups}
        for block_item in sort_by_model(block_items, layer, is_above, true_literals):
            order += sort_by_model(
                agents_of_block.get(block_item - n_agents, [block_item - n_agents]), layer, is_above, true_literals
            )
        ranks[layer, order] = np.arange(len(order))
    return ranks


def sort_by_model(items: list[int], layer: int, is_above: OrderVariables, true_literals: set[int]) -> list[int]:
    """Blocks, or agents, from the top."""

    def n_below(item: int) -> int:
        literals = [is_above(layer, item, other) for other in items if other != item]
        return sum(literal in true_literals if literal > 0 else -literal not in true_literals for literal in literals)

    return sorted(items, key=lambda item: (-n_below(item), item))
