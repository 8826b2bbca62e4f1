"""Orders: the order of the lines of all traces, with few crossings, within one time limit.

Each part of a trace (`ordering`) starts with barycentre ranks. The proof works on both bounds; if it needs longer than its
first share of the time, a search continues from its best order, and the proof from that of the search. Parts that are likely
to be easy come first, so the time that they leave belongs to the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import LayerTable
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.ordering import barycenter_ranks, copy_orders, initial_ranks, model_layers, order_in_parts
from tokenvis.layout.storylines.proof import Proof
from tokenvis.layout.storylines.search import search_ranks

FIRST_PROOF_SHARE = 0.7  # of the time of a part; a search, which takes a second or two, and the rest of the proof follow


@dataclass(frozen=True)
class LineOrder:
    """``ranks`` with few crossings, and a ``lower_bound`` of the crossings of any order."""

    ranks: LayerTable
    lower_bound: int


def order_lines(tables: Sequence[LayerTable], deadline: Deadline | None) -> list[LineOrder]:
    """The order of the lines of each table of blocks; without a deadline, by the search alone."""
    parts_by_table = [separate_parts(blocks) for blocks in tables]
    parts = [part for own_parts in parts_by_table for part in own_parts]
    solved: dict[int, LineOrder] = {}
    for n_done, number in enumerate(np.argsort([part.size for part in parts], kind="stable").tolist()):
        part_deadline = None if deadline is None else deadline.share(1 / (len(parts) - n_done))
        solved[number] = order_part(parts[number], part_deadline)
    remaining = iter([solved[number] for number in range(len(parts))])
    return [
        combine_parts(blocks, [next(remaining) for _ in own_parts])
        for blocks, own_parts in zip(tables, parts_by_table, strict=True)
    ]


def separate_parts(blocks: LayerTable) -> list[LayerTable]:
    """The parts that are ordered separately."""
    parts: list[LayerTable] = []

    def collect(part: LayerTable) -> LayerTable:
        parts.append(part)
        return initial_ranks(part)

    order_in_parts(blocks, collect)
    return parts


def combine_parts(blocks: LayerTable, orders: list[LineOrder]) -> LineOrder:
    """The order of a table, from those of its parts."""
    remaining = iter(orders)
    ranks = order_in_parts(blocks, lambda _: next(remaining).ranks)
    return LineOrder(ranks, sum(order.lower_bound for order in orders))


def order_part(blocks: LayerTable, deadline: Deadline | None) -> LineOrder:
    """The order of one part; the solver needs only the layers that cannot have the order of a neighbour."""
    if deadline is None:
        return LineOrder(search_ranks(blocks), 0)
    model = model_layers(blocks)
    order = prove_order(blocks[np.unique(model)], deadline)
    return LineOrder(copy_orders(blocks, order.ranks, model), order.lower_bound)


def prove_order(blocks: LayerTable, deadline: Deadline) -> LineOrder:
    """The order of some layers, by the proof and the search."""
    with Proof(blocks, barycenter_ranks(blocks, deadline)) as proof:
        proof.improve(deadline.share(FIRST_PROOF_SHARE))
        if not proof.is_complete:
            proof.offer(search_ranks(blocks, start=proof.ranks, fewest=proof.lower_bound, deadline=deadline))
            proof.improve(deadline)
        return LineOrder(proof.ranks, proof.lower_bound)
