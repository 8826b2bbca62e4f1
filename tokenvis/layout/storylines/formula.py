"""Formula: the orders of all layers as hard clauses, and their crossings as violated soft literals.

In each layer a variable states, for each pair of blocks and each pair of agents in one block, which of the two is above the
other; so no order can split a block. Hard clauses enforce transitivity (if a is above b and b above c, then a is above c). A
soft literal states that two agents keep their order from one layer to the next; each violated one is a crossing, or several if
it is that of several agents in one block. The formulation is similar to M. Gronemann et al., "Crossing minimization in
storyline visualization" (2016).
"""

from collections import Counter
from itertools import combinations, pairwise

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable
from tokenvis.layout.storylines.deadline import Deadline


class OrderVariables:
    """The variables: for each layer, which of two items is above the other."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int, int], int] = {}

    def __call__(self, layer: int, one: int, other: int) -> int:
        """The literal that is true if ``one`` is above ``other``."""
        if one > other:
            return -self(layer, other, one)
        return self.numbers.setdefault((layer, one, other), len(self.numbers) + 1)


class OrderFormula:
    """The formula of a story: ``clauses``, and the ``weights`` of soft literals; incomplete if ``deadline`` was too early."""

    def __init__(self, blocks: LayerTable, deadline: Deadline) -> None:
        self.blocks = blocks
        self.is_above = OrderVariables()
        self.groups_by_layer = [item_groups(row, blocks.shape[1]) for row in blocks.tolist()]
        self.clauses: list[list[int]] = []
        self.weights: dict[int, int] = {}
        for layer in range(len(blocks)):
            if deadline.is_over:
                return
            self.add_layer(layer)
        clauses = soft_clauses(blocks, self.is_above)
        for literal, ((upper, lower), weight) in enumerate(clauses.items(), start=len(self.is_above.numbers) + 1):
            self.clauses += [[-literal, -upper, lower], [-literal, upper, -lower]]
            self.weights[literal] = weight

    def add_layer(self, layer: int) -> None:
        """Make the variables of a layer transitive; every pair has a variable, even if no soft clause uses it."""
        for group in self.groups_by_layer[layer]:
            for one, two in combinations(group, 2):
                self.is_above(layer, one, two)
            for one, two, three in combinations(group, 3):
                first, second = self.is_above(layer, one, two), self.is_above(layer, two, three)
                both = self.is_above(layer, one, three)
                self.clauses += [[-first, -second, both], [first, second, -both]]

    @property
    def n_variables(self) -> int:
        """The number of variables."""
        return len(self.is_above.numbers) + len(self.weights)

    def literals_of(self, ranks: LayerTable) -> list[int]:
        """The literals of the order variables that are true for these ranks, and all soft literals."""
        n_agents = self.blocks.shape[1]
        table = ranks.tolist()
        order = [
            number if table[layer][one % n_agents] < table[layer][other % n_agents] else -number
            for (layer, one, other), number in self.is_above.numbers.items()
        ]
        return [*order, *self.weights]

    def ranks_of(self, model: set[int]) -> LayerTable:
        """The ranks that a model, the set of its true literals, represents."""
        n_agents = self.blocks.shape[1]
        ranks = np.full_like(self.blocks, ABSENT)
        for layer, (block_items, *groups) in enumerate(self.groups_by_layer):
            order: list[int] = []
            agents_of_block = {int(self.blocks[layer, group[0]]): group for group in groups}
            for item in self.sort_by_model(block_items, layer, model):
                order += self.sort_by_model(agents_of_block.get(item - n_agents, [item - n_agents]), layer, model)
            ranks[layer, order] = np.arange(len(order))
        return ranks

    def sort_by_model(self, items: list[int], layer: int, model: set[int]) -> list[int]:
        """Blocks, or agents, from the top."""

        def n_below(item: int) -> int:
            return sum(self.is_above(layer, item, other) in model for other in items if other != item)

        return sorted(items, key=lambda item: (-n_below(item), item))


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
