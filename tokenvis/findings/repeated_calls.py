"""Repeated calls: the same call with the same arguments, again and again.

Only calls that did not fail count, because attempts that failed are retries. A call within the same call, as instrumentations
at two levels record it, does not count. The data cannot tell whether something has changed in between, so that the call was
worth repeating, as a test after an edit.
"""

from collections.abc import Iterator

import numpy as np

from tokenvis.errors import plural
from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import Behaviour, costs_below, covered_time, outermost, shown, times_word
from tokenvis.spans.columns import order_with_ids
from tokenvis.spans.integers import Int64Array, Mask, counts, highest_of, run_starts, sums
from tokenvis.tree.calls import pair_numbers

MIN_CALLS = 3


def repeated_calls(basis: Basis) -> Iterator[Behaviour]:
    """The calls that are made at least three times, if there are any."""
    if int(counts(basis.arguments + 1, 1)[1:].max(initial=0)) < MIN_CALLS:
        return
    rows = rows_of_known_calls(basis)
    call = pair_numbers(basis.calls.key[rows], basis.calls.arguments[rows])
    is_often = made_often(call)
    rows, call = rows[is_often], call[is_often]
    is_outer = outermost(basis, rows, call)
    rows, call = rows[is_outer], call[is_outer]
    is_often = made_often(call)
    rows, call = rows[is_often], call[is_often]
    if not len(rows):
        return
    found, (start, end) = shown(basis, rows), basis.times
    of_row = np.zeros(len(basis.spans), dtype=np.int64)
    of_row[rows] = call
    repetition = is_repetition(basis, found.rows, of_row[found.rows])
    rows, entry, n_entries = found.rows[repetition], found.entry[repetition], len(found.places)
    time = covered_time(entry, start[rows], end[rows], n_entries)
    cost = costs_below(basis, rows, entry, n_entries)
    n_calls = sums(found.entry, (~repetition).astype(np.int64), n_entries)
    most = highest_of(found.entry, counts(of_row[found.rows], 0)[of_row[found.rows]], n_entries)
    meanings = [
        f"{sentence(*names, *numbers)} The time is that of all but the first, and something may have changed between them."
        for names, *numbers in zip(found.names(basis), n_calls.tolist(), found.sizes.tolist(), most.tolist(), strict=True)
    ]
    yield Behaviour("repeated call", found.places, found.rows, found.first, meanings, time, cost)


def rows_of_known_calls(basis: Basis) -> Int64Array:
    """The calls with known arguments that did not fail and are no marked waits, by the first row of each span."""
    is_call = (basis.arguments >= 0) & ~basis.calls.failed
    is_call[basis.states.marks.rows] = False
    rows = np.flatnonzero(is_call)
    first_rows: Int64Array = rows[basis.first[basis.number[rows]] == rows]
    return first_rows


def made_often(call: Int64Array) -> Mask:
    """Whether each call is made at least three times."""
    often: Mask = counts(call, 0)[call] >= MIN_CALLS
    return often


def is_repetition(basis: Basis, rows: Int64Array, call: Int64Array) -> Mask:
    """Whether each row is not the first with its call."""
    start, end = basis.times
    order = order_with_ids(basis.spans, call, start[rows], end[rows], row=rows)
    result = np.empty(len(rows), dtype=bool)
    result[order] = ~run_starts(call[order])
    return result


def sentence(agent: str, location: str, n_calls: int, n_spans: int, most: int) -> str:
    """How often an agent has made calls at a location."""
    if n_calls == 1:
        return f"{agent} made the same call at {location} {times_word(n_spans)} with the same arguments."
    in_all = f"{agent} made {plural(n_calls, 'call')} at {location} again and again with the same arguments"
    return f"{in_all}, {n_spans:,} times in all, and one of them {times_word(most)}."
