"""Calls: which spans are the same call, which failed, and which were tried again.

A call is an agent at a location, with a label and with arguments. Two spans are the same call if agent, location and label are
the same, and the arguments too, where both are known. A span without a label and without arguments is the same call as no
other: nothing tells two different searches by one agent apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, times_of
from tokenvis.spans.fields import several_field_values
from tokenvis.spans.groups import dense_ranks, groups_of
from tokenvis.spans.integers import NO_ROWS, Int64Array, Mask, highest_of, lowest_of, rank_in
from tokenvis.tree.arguments import NO_CODE, argument_codes
from tokenvis.tree.relations import NO_ROW, Relations, have_descendant, identities


@dataclass(frozen=True)
class Calls:
    """The calls of a frame, with one entry for each row."""

    key: Int64Array  # the same number for the same trace, agent, location and label
    label: Int64Array  # the number of the label, -1 for none
    arguments: Int64Array  # the same number for equal arguments in all traces, -1 if they are not known
    failed: Mask  # `status` is "error"


@dataclass(frozen=True)
class Retries:
    """Attempts that failed and were tried again, in the order of the rows that failed."""

    failed: Int64Array  # the row of an attempt that failed
    again: Int64Array  # the row of the next attempt


def calls_of(spans: pd.DataFrame, arguments: Int64Array | None = None) -> Calls:
    """The calls of a frame; ``arguments`` are the result of `argument_codes`, if known."""
    fields = several_field_values(spans, "label", "status")
    label, failed = np.full(len(spans), NO_CODE, dtype=np.int64), np.zeros(len(spans), dtype=bool)
    rows, labels = fields["label"]
    label[rows] = pd.factorize(pd.Series(map(label_text, labels), dtype=object))[0]
    rows, statuses = fields["status"]
    failed[rows[[status == "error" for status in statuses]]] = True
    group = groups_of(spans, "trace_id", "agent_id", "location_id").group
    arguments = argument_codes(spans) if arguments is None else arguments
    return Calls(pair_numbers(group, label), label, arguments, failed)


def label_text(label: Any) -> str | None:
    """A label as text, None if it is blank."""
    text = label if isinstance(label, str) else str(label)
    return text if text.strip() else None


def retries_of(spans: pd.DataFrame, relations: Relations, calls: Calls) -> Retries:
    """The attempts that failed and were tried again.

    The retry is the next of the same calls to start, at or after the end of the failed one, below the same parent if that has
    one. The same arguments are required where both are known, so a failed call with other arguments is not tried again. Ties
    are in the order of a frame. A span in several rows counts once, by its first row.
    """
    may_match = calls.failed & ((calls.label != NO_CODE) | (calls.arguments != NO_CODE))
    if not may_match.any():
        return Retries(NO_ROWS, NO_ROWS)
    identity = relations.identity if relations.has_references else identities(spans)[0]
    rows, (start, end) = np.flatnonzero(np.isin(calls.key, calls.key[may_match])), extents(spans, identity)
    group = pair_numbers(calls.key[rows], relations.parent[rows])
    order = order_with_ids(spans, group, start[rows], end[rows], row=rows)
    order = order[np.sort(np.unique(identity[rows[order]], return_index=True)[1])]
    rows, group = rows[order], group[order]
    tried = np.flatnonzero(may_match[rows])
    again = next_attempts(tried, group, start[rows], end[rows], calls.arguments[rows], calls.label[rows])
    failed, again = rows[tried[again != NO_ROW]], rows[again[again != NO_ROW]]
    by_row = np.argsort(failed)
    return Retries(failed[by_row], again[by_row])


def extents(spans: pd.DataFrame, identity: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The first start and the last end of each row's span, over all rows of the span."""
    (start, end), n_ids = times_of(spans), int(identity.max(initial=-1)) + 1
    if n_ids == len(spans):
        return start, end
    return lowest_of(identity, start, n_ids)[identity], highest_of(identity, end, n_ids)[identity]


def next_attempts(
    tried: Int64Array, group: Int64Array, start: Int64Array, end: Int64Array, arguments: Int64Array, label: Int64Array
) -> Int64Array:
    """The position of the next attempt after each of the positions in ``tried``, or -1; all are sorted by group, start, end."""
    earliest = rank_in(group, start, group[tried], end[tried], side="left")
    earliest = np.maximum(earliest, tried + 1)  # an instant is not tried again by itself, nor by one before it
    n_arguments = int(arguments.max(initial=NO_CODE)) + 2
    key, of_others = group * n_arguments + arguments + 1, group[tried] * n_arguments
    with_same = first_from(key, key[tried], earliest)
    with_unknown = first_from(key, of_others, earliest)
    with_any = first_from(group, group[tried], earliest)
    with_unknown[label[tried] == NO_CODE] = len(group)
    found = np.where(arguments[tried] == NO_CODE, with_any, np.minimum(with_same, with_unknown))
    return np.where(found < len(group), found, NO_ROW)


def first_from(keys: Int64Array, key: Int64Array, position: Int64Array) -> Int64Array:
    """The first position at or after ``position`` that has the key, for each of them; the number of keys if there is none."""
    positions = np.argsort(keys, kind="stable")
    found = rank_in(keys[positions], positions, key, position, side="left")
    is_same = np.append(keys[positions], -1)[found] == key
    return np.where(is_same, np.append(positions, 0)[found], len(keys))


def failures_of(spans: pd.DataFrame, relations: Relations, calls: Calls) -> Int64Array:
    """The rows that failed without a failed span below them: where each failure began. A span in several rows counts once."""
    identity = relations.identity if relations.has_references else identities(spans)[0]
    rows = np.flatnonzero(calls.failed)
    rows = rows[np.sort(np.unique(identity[rows], return_index=True)[1])]
    if not len(rows) or not (relations.parent != NO_ROW).any():
        return rows
    child, failed = np.flatnonzero(relations.parent != NO_ROW), relations.by_identity(calls.failed)[:-1]
    parent = np.full(len(failed), NO_ROW, dtype=np.int64)
    parent[identity[child]] = relations.parent[child]
    failures: Int64Array = rows[~have_descendant(parent, failed)[identity[rows]]]
    return failures


def pair_numbers(first: Int64Array, second: Int64Array) -> Int64Array:
    """A number for each pair, from 0 without gaps; the values are at least -1."""
    n_second = int(second.max(initial=-1)) + 2
    return dense_ranks((first + 1) * n_second + second + 1, (int(first.max(initial=-1)) + 2) * n_second)[0]
