"""Pipelines: branches that link to each other, which are no fan-out.

Two branches of a batch are linked if they run one after the other, and a span of one links to a span of the other. A chain, in
which each branch is linked to one earlier and to one later branch, is one branch: three stages are no fan-out, two chains of
two stages are a fan-out of two. All other links separate: a new batch begins at a branch that is linked to one of the batch
before it. So a planner, three workers that link to it, and a reducer that links to them are a fan-out of the three workers.
"""

import numpy as np
import pandas as pd

from tokenvis.spans.integers import Int64Array, Mask, counts, highest_of, run_starts, running_max
from tokenvis.tree.branches import Branches, Nodes, enclosing_branches
from tokenvis.tree.relations import NO_ROW, depths


def without_pipelines(nodes: Nodes, branches: Branches) -> Branches:
    """The branches, with each chain as one branch, and each batch split where branches are linked."""
    earlier, later = linked_branches(nodes, branches)
    if not len(earlier):
        return branches
    n_branches = len(branches.node)
    in_chain = (counts(earlier, n_branches)[earlier] == 1) & (counts(later, n_branches)[later] == 1)
    head = np.arange(n_branches)
    head[later[in_chain]] = earlier[in_chain]
    while (head[head] != head).any():
        head = head[head]
    is_first = run_starts(branches.batch)
    is_first[separating(head[earlier[~in_chain]], later[~in_chain])] = True
    end, is_call = highest_of(head, branches.end, n_branches), counts(head[~branches.is_call], n_branches) == 0
    split = branches._replace(batch=np.cumsum(is_first), end=end, is_call=is_call)
    split = split.where(head == np.arange(n_branches)).of_several()
    return split.where(overlapping_if_calls(split))


def separating(earlier: Int64Array, later: Int64Array) -> list[int]:
    """Branches at which a new batch begins, so that no batch has two linked branches; each as late as possible.

    Whether a link still has to separate depends on where the batch before it began, so this is a loop over linked branches.
    """
    found, begin = [], NO_ROW
    nearest = np.full(int(later.max(initial=-1)) + 1, NO_ROW)
    np.maximum.at(nearest, later, earlier)
    linked = np.flatnonzero(nearest != NO_ROW)
    for branch, before in zip(linked.tolist(), nearest[linked].tolist(), strict=True):
        if before >= begin:
            found.append(branch)
            begin = branch
    return found


def overlapping_if_calls(branches: Branches) -> Mask:
    """The branches of batches that are not only calls that were beside others, or in which two branches overlap."""
    batch, n_batches = branches.batch, int(branches.batch.max(initial=-1)) + 1
    beside_earlier = np.append(False, running_max(batch, branches.end)[:-1] > branches.start[1:])[: len(batch)]
    counted = ~branches.is_call | (beside_earlier & ~run_starts(batch))
    kept: Mask = (counts(batch[counted], n_batches) > 0)[batch]
    return kept


def linked_branches(nodes: Nodes, branches: Branches) -> tuple[Int64Array, Int64Array]:
    """Distinct pairs of linked branches of a batch, (the earlier, the later); the later one starts after the earlier ends."""
    source, target = nodes.relations.links()
    if not len(source) or not len(branches.node):
        return source[:0], target[:0]
    innermost, above = enclosing_branches(nodes, branches)
    one, other = innermost[source], innermost[target]
    between = (one != NO_ROW) & (other != NO_ROW) & (one != other)
    earlier, later = pairs_in_batches(branches.batch, above, one[between], other[between])
    one_after_other = branches.start[later] >= branches.end[earlier]
    return earlier[one_after_other], later[one_after_other]


def pairs_in_batches(batch: Int64Array, above: Int64Array, one: Int64Array, other: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The distinct pairs of different branches of one batch that enclose the two branches of a pair, or are these.

    ``above`` is the branch that encloses each branch, or -1.
    """
    pairs = pd.DataFrame({"one": one, "other": other}).drop_duplicates()
    sides = enclosing_until_common(above, pairs["one"].to_numpy(), pairs["other"].to_numpy())
    tables = [pd.DataFrame({"pair": pair, "batch": batch[branch], "branch": branch}) for pair, branch in sides]
    both = tables[0].merge(tables[1], on=["pair", "batch"])
    one, other = both["branch_x"].to_numpy(), both["branch_y"].to_numpy()
    found = pd.DataFrame({"earlier": np.minimum(one, other), "later": np.maximum(one, other)}).drop_duplicates()
    return found["earlier"].to_numpy(), found["later"].to_numpy()


def enclosing_until_common(above: Int64Array, one: Int64Array, other: Int64Array) -> list[tuple[Int64Array, Int64Array]]:
    """For each side of the pairs: (number of the pair, branch), for the branch and all around it that enclose only this side.

    The deeper side is followed upwards, both if they are equally deep, until they meet.
    """
    depth = np.append(depths(above), NO_ROW)
    above = np.append(above, NO_ROW)
    pair = np.arange(len(one))
    found: list[list[tuple[Int64Array, Int64Array]]] = [[(pair, one)], [(pair, other)]]
    while len(pair):
        moves = depth[one] >= depth[other], depth[other] >= depth[one]
        one, other = np.where(moves[0], above[one], one), np.where(moves[1], above[other], other)
        apart = one != other
        pair, one, other = pair[apart], one[apart], other[apart]
        for side, branch, moved in zip(found, (one, other), moves, strict=True):
            new = moved[apart] & (branch != NO_ROW)
            side.append((pair[new], branch[new]))
    return [
        (np.concatenate(pairs), np.concatenate(branches)) for pairs, branches in (zip(*side, strict=True) for side in found)
    ]
