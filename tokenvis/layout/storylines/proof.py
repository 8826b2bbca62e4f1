"""Proof: the fewest crossings there can be, and an order that has them, as a question to a MaxSAT solver.

In each layer a variable says of two blocks, or of two members of one block, which of them stands above the other; so no
order of them can part a block. That such answers make one order (if a is above b and b above c, then a is above c) must hold;
that two agents keep their order from a layer to the next is wished for, and each wish that fails is a crossing. The solver,
RC2 (A. Ignatiev, A. Morgado, J. Marques-Silva, 2019), of python-sat, finds the most wishes that can hold. The formulation is
near that of M. Gronemann et al., "Crossing minimization in storyline visualization" (2016).
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, pairwise
from threading import Timer

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, Table

MOST_CLAUSES = 2_000_000  # a larger question takes too much memory, and would not be answered
CLAUSES_A_SECOND = 500_000  # nor would one that is not even asked in the time that there is


@dataclass(frozen=True)
class Proof:
    """``ranks`` with the fewest crossings, None where the time did not suffice; ``at_least``: no order has fewer."""

    ranks: Table | None
    at_least: int


class Above:
    """The variables: for each layer, which of two things stands above the other."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int, int], int] = {}

    def __call__(self, layer: int, one: int, other: int) -> int:
        """The literal that says that the one stands above the other."""
        if one > other:
            return -self(layer, other, one)
        return self.numbers.setdefault((layer, one, other), len(self.numbers) + 1)


def prove(blocks: Table, *, seconds: float) -> Proof:
    """The order of all layers with the fewest crossings; needs python-sat."""
    from pysat.examples.rc2 import RC2Stratified
    from pysat.formula import WCNF

    n_agents = blocks.shape[1]
    if n_clauses(blocks) > min(MOST_CLAUSES, seconds * CLAUSES_A_SECOND):
        return Proof(None, 0)
    above, formula = Above(), WCNF()
    layers = [things_of(row, n_agents) for row in blocks.tolist()]
    for layer, things in enumerate(layers):
        for group in things:
            for one, two in combinations(group, 2):
                above(layer, one, two)  # every pair has a variable, also where nothing is asked about it
            for one, two, three in combinations(group, 3):
                first, second, both = above(layer, one, two), above(layer, two, three), above(layer, one, three)
                formula.extend([[-first, -second, both], [first, second, -both]])
    wishes = wishes_of(blocks, above)
    for wish, ((upper, lower), weight) in enumerate(wishes.items(), start=len(above.numbers) + 1):
        formula.extend([[-wish, -upper, lower], [-wish, upper, -lower]])
        formula.append([wish], weight=weight)
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
        return Proof(ranks_of(blocks, layers, above, set(model)), int(solver.cost))


def n_clauses(blocks: Table) -> int:
    """About how many clauses there will be."""
    present = (blocks >= 0).sum(axis=1).astype(float)
    return int((present**3 / 3 + present**2).sum())


def things_of(row: list[int], n_agents: int) -> list[list[int]]:
    """What is ordered in a layer: its blocks, and the members of each; a block's number stands behind those of the agents."""
    members: dict[int, list[int]] = {}
    for agent, block in enumerate(row):
        if block != ABSENT:
            members.setdefault(block, []).append(agent)
    return [[n_agents + block for block in members], *(group for group in members.values() if len(group) > 1)]


def pair_in(row: list[int], one: int, other: int) -> tuple[int, int]:
    """The things whose order is that of two agents: their blocks, or within one block themselves."""
    return (one, other) if row[one] == row[other] else (len(row) + row[one], len(row) + row[other])


def wishes_of(blocks: Table, above: Above) -> Counter[tuple[int, int]]:
    """Pairs of literals that had better agree, and how many pairs of agents wish so."""
    wishes: Counter[tuple[int, int]] = Counter()
    rows = blocks.tolist()
    for layer, (row, following) in enumerate(pairwise(rows)):
        both = [agent for agent, block in enumerate(row) if block != ABSENT and following[agent] != ABSENT]
        for one, other in combinations(both, 2):
            upper = above(layer, *pair_in(row, one, other))
            lower = above(layer + 1, *pair_in(following, one, other))
            wishes[(upper, lower) if upper > 0 else (-upper, -lower)] += 1
    return wishes


def ranks_of(blocks: Table, layers: list[list[list[int]]], above: Above, true: set[int]) -> Table:
    """The ranks that the solver's answer means."""
    n_agents = blocks.shape[1]
    ranks = np.full_like(blocks, ABSENT)
    for layer, (tops, *groups) in enumerate(layers):
        order: list[int] = []
        inner = {int(blocks[layer, group[0]]): group for group in groups}
        for top in in_order(tops, layer, above, true):
            order += in_order(inner.get(top - n_agents, [top - n_agents]), layer, above, true)
        ranks[layer, order] = np.arange(len(order))
    return ranks


def in_order(things: list[int], layer: int, above: Above, true: set[int]) -> list[int]:
    """Blocks, or agents, from the top."""

    def n_below(thing: int) -> int:
        literals = [above(layer, thing, other) for other in things if other != thing]
        return sum(literal in true if literal > 0 else -literal not in true for literal in literals)

    return sorted(things, key=lambda thing: (-n_below(thing), thing))
