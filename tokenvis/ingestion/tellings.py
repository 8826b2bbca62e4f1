"""Tellings: which of several rows with one id says what the span is, in whatever order the rows are read.

A row without an end is a snapshot of a span: the row that has the end replaces it, and takes from it only what it lacks. Within
a file, the last row counts: a later line corrects an earlier one. A file that is read again replaces what it told. Between
files that say different things about a span that has ended, the one with the longer data counts (then the one that is greater),
and the row is marked as ``disputed``, so that reading one of the files again does not change it.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask, inverse_permutation, run_ends, run_starts, sort_order


@dataclass(frozen=True)
class Tellings:
    """The rows of spans that have several: the span's number, the file (-1: the store), and what they say.

    ``row`` are the numbers of the rows, ascending. ``content`` are keys that are equal for rows of equal content, and of which
    the greater, key by key, wins. ``is_replaced`` marks stored rows that the file which is read told itself, and
    ``is_disputed`` and ``is_mixed`` stored rows, and snapshots, about which files said different things.
    """

    row: Int64Array
    span: Int64Array
    file: Int64Array
    is_open: Mask
    is_replaced: Mask
    is_disputed: Mask
    is_mixed: Mask
    content: tuple[Int64Array, ...]

    @property
    def has_ended(self) -> Int64Array:
        """1 for each row of a span that has ended, 0 for a snapshot."""
        return (~self.is_open).astype(np.int64)

    def differ(self, first: Int64Array, second: Int64Array) -> Mask:
        """Mark the pairs of positions whose content differs."""
        differs: Mask = np.zeros(len(first), dtype=bool)
        for key in self.content:
            differs |= key[first] != key[second]
        return differs


@dataclass(frozen=True)
class Winners:
    """The row that counts for each row's span, and what became of the others, as row numbers.

    ``snapshots`` are pairs of a row that counts and a snapshot that it replaced; of several, the last counts: of files, the
    one whose last snapshot has the greater content, and in a file the last. ``identical`` are rows of files that another one
    repeats, and ``corrected`` those that a later row of the same file corrects; ``disputed`` are rows that count although
    another file differs, and ``mixed`` are such rows of snapshots; ``overruled`` are rows that do not count because of another
    file.
    """

    winner: Int64Array
    snapshots: tuple[Int64Array, Int64Array]
    identical: Int64Array
    corrected: Int64Array
    disputed: Int64Array
    mixed: Int64Array
    overruled: Int64Array


def winners_of(told: Tellings) -> Winners:
    """The rows that count. All keys are integers, so that only the order of the contents decides."""
    n_rows = len(told.row)
    order = sort_order(told.span, told.file, told.has_ended, np.arange(n_rows))
    last = order[run_ends_of(told.span[order], told.file[order])]  # of each span and file
    best_of_file = np.empty(n_rows, dtype=np.int64)
    best_of_file[order] = last[np.cumsum(run_starts(told.span[order], told.file[order])) - 1]
    winner_of_span, contested, overruled = between_files(told, last)
    winner = winner_of_span[np.cumsum(run_starts(told.span[last])) - 1]
    by_span = np.empty(n_rows, dtype=np.int64)
    by_span[last] = winner
    winner = by_span[best_of_file]
    rows = np.arange(n_rows)
    by = np.where(best_of_file != rows, best_of_file, winner)  # the row that replaced each row
    is_alike = (by != rows) & (told.is_open == told.is_open[by])
    differs = told.differ(rows, by)
    snapshots = np.flatnonzero(told.is_open & (winner != rows))
    rank = inverse_permutation(np.lexsort(told.content[::-1]))
    snapshots = snapshots[np.lexsort((snapshots, rank[best_of_file[snapshots]]))]
    return Winners(
        told.row[winner],
        (told.row[winner[snapshots]], told.row[snapshots]),
        told.row[is_alike & ~differs & (told.file >= 0)],
        told.row[is_alike & differs & ~told.is_open & (best_of_file != rows)],
        told.row[contested[~told.is_open[contested]]],
        told.row[contested[told.is_open[contested]]],
        told.row[overruled],
    )


def between_files(told: Tellings, best: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Of the best row of each span in each file, as positions: the winner of each span, the contested, and the overruled."""
    file_rank = np.where(told.file[best] < 0, 0, 1)
    is_replaced = told.is_replaced & ~told.is_disputed & ~told.is_mixed
    weight = (~is_replaced[best]).astype(np.int64)
    order = best[sort_order(told.span[best], told.has_ended[best], weight, *(key[best] for key in told.content), file_rank)]
    winner = order[run_ends(told.span[order])]
    winner_of = winner[np.cumsum(run_starts(told.span[order])) - 1]
    rivals = (order != winner_of) & (told.is_open[order] == told.is_open[winner_of]) & ~is_replaced[order]
    rivals[rivals] &= told.differ(order[rivals], winner_of[rivals])
    was_contested = order[np.where(told.is_open[winner_of], told.is_mixed[order], told.is_disputed[order])]
    is_contested = np.isin(told.span[winner], told.span[np.append(order[rivals], was_contested)])
    return winner, winner[is_contested], order[rivals & ~told.is_open[order] & (told.file[order] >= 0)]


def run_ends_of(first: Int64Array, second: Int64Array) -> Mask:
    """Mark each row that differs from the next row in either key, and the last row."""
    starts = run_starts(first, second)
    return np.append(starts[1:], True) if len(starts) else starts
