"""Pairs of steps: two runs aligned, as the rows of one table in order.

Steps are aligned in sequences: one of all steps of a run, or one for each agent. The steps of the first run stand in their own
order. A step that only the second run has stands before the next of its steps that both have, as far as this keeps the order of
its own sequence.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.runs.steps.subsequence import common_subsequence
from tokenvis.spans.integers import Int64Array, Mask, counts, running_max

NO_STEP = -1


@dataclass(frozen=True)
class Sequences:
    """The steps of one run by sequence, each in order."""

    step: Int64Array  # the row of each step
    key: Int64Array
    sequence: Int64Array
    first: Int64Array  # the position of the first step of each sequence, and the number of steps

    def slices(self, sequence: int) -> slice:
        """The positions of a sequence."""
        return slice(self.first[sequence], self.first[sequence + 1])


def sequences_of(step: Int64Array, key: Int64Array, sequence: Int64Array, n_sequences: int) -> Sequences:
    """The steps of one run, given in order, as sequences."""
    order = np.argsort(sequence, kind="stable")
    first = np.append(0, np.cumsum(counts(sequence, n_sequences)))
    return Sequences(step[order], key[order], sequence[order], first)


@dataclass(frozen=True)
class StepPairs:
    """An alignment, in order: the row of the step of each run, or -1."""

    a: Int64Array
    b: Int64Array
    instead: Int64Array  # for a step of one run, the first of the other run at this point, or -1


def step_pairs(a: Sequences, b: Sequences) -> StepPairs:
    """The rows of the cheapest alignment of each sequence."""
    partner_a, partner_b = partners(a, b)
    both, only_a, only_b = np.flatnonzero(partner_a >= 0), np.flatnonzero(partner_a < 0), np.flatnonzero(partner_b < 0)
    row_a = np.concatenate([a.step[both], a.step[only_a], np.full(len(only_b), NO_STEP)])
    row_b = np.concatenate([b.step[partner_a[both]], np.full(len(only_a), NO_STEP), b.step[only_b]])
    instead = np.concatenate(
        [np.full(len(both), NO_STEP), next_steps(a, b, partner_a)[only_a], next_steps(b, a, partner_b)[only_b]]
    )
    place = np.concatenate([a.step[both], a.step[only_a], places_in_a(a, b, partner_b)[only_b]])
    order = np.lexsort((row_b, row_a == NO_STEP, place))
    return StepPairs(row_a[order], row_b[order], instead[order])


def with_counterparts(pairs: StepPairs, own: StepPairs) -> StepPairs:
    """The pairs, where a step that only one run has stands beside its partner in ``own``, if that is alone too.

    ``own`` has the pairs of each agent's steps: such a step differs in its place among the steps of other agents only.
    """
    n_steps = int(max(pairs.a.max(initial=NO_STEP), pairs.b.max(initial=NO_STEP))) + 1
    partner, is_alone = np.full(n_steps + 1, NO_STEP), np.zeros(n_steps + 1, dtype=bool)
    both, in_both = (own.a != NO_STEP) & (own.b != NO_STEP), (pairs.a != NO_STEP) & (pairs.b != NO_STEP)
    partner[own.a[both]], partner[own.b[both]] = own.b[both], own.a[both]
    is_alone[pairs.a[~in_both]] = is_alone[pairs.b[~in_both]] = True
    partner[~is_alone[partner] | (partner == NO_STEP)] = NO_STEP
    partner[NO_STEP] = NO_STEP
    a = np.where(pairs.a == NO_STEP, partner[pairs.b], pairs.a)
    b = np.where(pairs.b == NO_STEP, partner[pairs.a], pairs.b)
    moved = (a != NO_STEP) & (b != NO_STEP) & ~in_both
    return StepPairs(a, b, np.where(moved, np.where(pairs.a == NO_STEP, a, b), pairs.instead))


def partners(a: Sequences, b: Sequences) -> tuple[Int64Array, Int64Array]:
    """For each position of each run, the position of the same step in the other run, or -1."""
    partner_a, partner_b = np.full(len(a.key), NO_STEP), np.full(len(b.key), NO_STEP)
    for sequence in np.intersect1d(a.sequence, b.sequence).tolist():
        in_a, in_b = a.slices(sequence), b.slices(sequence)
        left, right = common_subsequence(a.key[in_a], b.key[in_b])
        partner_a[in_a.start + left] = in_b.start + right
        partner_b[in_b.start + right] = in_a.start + left
    return partner_a, partner_b


def next_steps(own: Sequences, other: Sequences, partner: Int64Array) -> Int64Array:
    """The first step of the other run after the last that both have, in the sequence of each step; -1 if there is none."""
    position = np.maximum(np.maximum.accumulate(partner), other.first[own.sequence] - 1) + 1
    exists = position < other.first[own.sequence + 1]
    return np.where(exists, np.append(other.step, NO_STEP)[position], NO_STEP)


def places_in_a(a: Sequences, b: Sequences, partner: Int64Array) -> Int64Array:
    """The step of the first run after which each position of the second stands; -1 for before all."""
    in_a = np.where(partner >= 0, np.append(a.step, NO_STEP)[partner], NO_STEP)
    position, first, after = np.arange(len(in_a)), b.first[b.sequence], b.first[b.sequence + 1]
    previous = np.maximum.accumulate(np.where(in_a >= 0, position, NO_STEP))
    after_step = np.where(previous >= first, np.append(in_a, NO_STEP)[previous], NO_STEP)
    following = next_marked(in_a >= 0)
    in_sequence = np.where(following < after, np.append(in_a, len(a.key))[following], len(a.key))
    order = np.argsort(b.step)
    in_run = np.empty_like(in_a)
    in_run[order] = np.append(in_a[order], len(a.key))[next_marked(in_a[order] >= 0)]
    return running_max(b.sequence, np.maximum(np.minimum(in_sequence, in_run) - 1, after_step))


def next_marked(marked: Mask) -> Int64Array:
    """The position of the first marked value at or after each; the number of values if there is none."""
    position = np.where(marked, np.arange(len(marked)), len(marked))
    following: Int64Array = np.minimum.accumulate(position[::-1])[::-1]
    return following
