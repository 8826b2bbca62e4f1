"""Differences: what is different in each row of an alignment, and where the two runs part.

A step often changes only because of a step below it: it fails because that failed, and takes longer because that did. The runs
do not part at such a step, but at the innermost one. Nor do they part where agents that run at once alternate in another way.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenvis.runs.steps.run_steps import RunSteps
from tokenvis.runs.steps.step_pairs import NO_STEP, StepPairs
from tokenvis.spans.integers import NO_ROWS, Int64Array, Mask, count_ranks, counts, run_starts
from tokenvis.spans.intervals import number_in_run
from tokenvis.tree.arguments import NO_CODE
from tokenvis.tree.relations import have_descendant

DIFFERENCES = ("failed", "succeeded", "arguments", "slower", "faster", "order")


@dataclass(frozen=True)
class StepDifferences:
    """What is different in each row of an alignment."""

    names: Any  # of the differences, as a text; None for none
    any: Mask
    divergence: Mask  # one row at most


def step_differences(
    steps: RunSteps, pairs: StepPairs, compared: StepPairs, duration: Int64Array, ratio: float
) -> StepDifferences:
    """The differences of each row; durations are slower or faster if they differ by more than the ratio.

    ``compared`` has the steps that are compared in each row (`with_counterparts`): also those out of order in ``pairs``.
    """
    in_both = (compared.a != NO_STEP) & (compared.b != NO_STEP)
    a, b = compared.a[in_both], compared.b[in_both]
    known = (steps.arguments[a] != NO_CODE) & (steps.arguments[b] != NO_CODE)
    took_a, took_b = duration[a].astype(np.float64), duration[b].astype(np.float64)
    marks = {
        "failed": steps.failed[b] & ~steps.failed[a],
        "succeeded": steps.failed[a] & ~steps.failed[b],
        "arguments": known & (steps.arguments[a] != steps.arguments[b]),
        "slower": took_b / ratio > took_a,
        "faster": took_a / ratio > took_b,
    }
    number, in_more_than_time, in_time = np.zeros(len(in_both), dtype=np.int64), ~in_both, np.zeros(len(in_both), dtype=bool)
    number[in_both] = sum(marked.astype(np.int64) << DIFFERENCES.index(name) for name, marked in marks.items())
    number[out_of_order(steps.key, pairs)] |= 1 << DIFFERENCES.index("order")
    in_more_than_time[in_both] = marks["arguments"] | new_failures(steps, a, b)
    in_time[in_both] = innermost_of(steps, a, b, marks["slower"]) | innermost_of(steps, a, b, marks["faster"])
    names = np.array([joined_names(code) for code in range(1 << len(DIFFERENCES))], dtype=object)[number]
    return StepDifferences(names, number > 0, first_marked(in_more_than_time, in_time, number > 0))


def with_divergence(
    key: Int64Array, found: StepDifferences, pairs: StepPairs, of_agents: StepDifferences, own: StepPairs
) -> tuple[StepDifferences, StepPairs]:
    """The differences and the pairs, where the runs part as soon as any agent does something else (``of_agents``).

    ``own`` has the pairs of each agent's steps, ``key`` which steps are the same. If the row of such a step has another partner
    or none, it names the right one. Of equal steps of which one is too many, the row is that of the first without a partner.
    """
    if not of_agents.divergence.any():
        return found, pairs
    place = int(of_agents.divergence.argmax())
    a, b, difference = own.a[place], own.b[place], of_agents.names[place]
    if NO_STEP in (a, b):
        steps, others = (pairs.a, pairs.b) if b == NO_STEP else (pairs.b, pairs.a)
        alone = (others == NO_STEP) & (key[steps] == key[max(a, b)])
        if alone.any():
            return StepDifferences(found.names, found.any, np.arange(len(alone)) == alone.argmax()), pairs
    row = row_of_steps(pairs, a, b)
    divergence = np.zeros(len(pairs.a), dtype=bool)
    divergence[row] = True
    if pairs.a[row] == a and pairs.b[row] == b:
        return StepDifferences(found.names, found.any, divergence), pairs
    names, instead = found.names.copy(), pairs.instead.copy()
    is_moved = NO_STEP in (pairs.a[row], pairs.b[row]) and NO_STEP not in (a, b)
    names[row] = ", ".join([difference, DIFFERENCES[-1]] if is_moved else [difference]) if difference else found.names[row]
    counterpart = b if pairs.a[row] == a and a != NO_STEP else a
    instead[row] = own.instead[place] if counterpart == NO_STEP else counterpart
    return StepDifferences(names, found.any | divergence, divergence), StepPairs(pairs.a, pairs.b, instead)


def row_of_steps(pairs: StepPairs, a: int, b: int) -> int:
    """The row of two steps, of which one may be `NO_STEP`: of both, else of one of them alone, else the first with one."""
    has_a, has_b = (pairs.a == a) & (a != NO_STEP), (pairs.b == b) & (b != NO_STEP)
    is_alone = (pairs.a == NO_STEP) | (pairs.b == NO_STEP)
    rows = has_a & has_b, (has_a | has_b) & is_alone, has_a | has_b
    return next(int(found.argmax()) for found in rows if found.any())


def joined_names(code: int) -> str | None:
    """The names of the differences whose bits are set; None for 0."""
    return ", ".join(name for bit, name in enumerate(DIFFERENCES) if code >> bit & 1) or None


def new_failures(steps: RunSteps, a: Int64Array, b: Int64Array) -> Mask:
    """Mark the pairs of which one failed, and no step below it that failed in this run only."""
    failed_a, failed_b = steps.failed[a], steps.failed[b]
    in_one_run = steps.failed.copy()
    in_one_run[a[failed_b]] = in_one_run[b[failed_a]] = False
    below = have_descendant(steps.parent, in_one_run)
    marked: Mask = (failed_b & ~failed_a & ~below[b]) | (failed_a & ~failed_b & ~below[a])
    return marked


def innermost_of(steps: RunSteps, a: Int64Array, b: Int64Array, marked: Mask) -> Mask:
    """Keep the marks of the pairs without a marked one below, in either run."""
    rows = np.zeros(len(steps.parent), dtype=bool)
    rows[a[marked]] = rows[b[marked]] = True
    below = have_descendant(steps.parent, rows)
    result: Mask = marked & ~below[a] & ~below[b]
    return result


def out_of_order(key: Int64Array, pairs: StepPairs) -> Int64Array:
    """The rows of steps that each run has alone, though the other has the same step alone too; the first ones, in pairs."""
    only_a, only_b = np.flatnonzero(pairs.b == NO_STEP), np.flatnonzero(pairs.a == NO_STEP)
    key_a, key_b = key[pairs.a[only_a]], key[pairs.b[only_b]]
    n_a, n_b = (counts(keys, count_ranks(key)) for keys in (key_a, key_b))
    return np.concatenate([only_a[occurrences(key_a) < n_b[key_a]], only_b[occurrences(key_b) < n_a[key_b]]])


def occurrences(key: Int64Array) -> Int64Array:
    """How many earlier rows have the key of each row."""
    order = np.argsort(key, kind="stable")
    number = np.empty_like(key)
    number[order] = number_in_run(np.diff(np.append(np.flatnonzero(run_starts(key[order])), len(key))))
    return number


def first_marked(*marks: Mask) -> Mask:
    """Mark the first row that has the first of these marks, if any row has it, or else the next."""
    found = next((rows for rows in map(np.flatnonzero, marks) if len(rows)), NO_ROWS)
    first = np.zeros(len(marks[0]), dtype=bool)
    first[found[:1]] = True
    return first
