"""Strips: where the time of each run went, on one axis of elapsed time, for a picture with a row for each run.

A strip is the path of a run (`run_paths`). At each moment it has one span, or a gap, so the stretches of a strip are disjoint,
and add up to the wall time of the run. A stretch is as long as the state and the value that gives the colour stay the same.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.runs.baseline import distinct_run_names
from tokenvis.runs.outcomes import outcomes_of
from tokenvis.runs.robust import above_usual
from tokenvis.runs.run_paths import IDLE, run_paths
from tokenvis.spans.columns import codes_of, ranks_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import NO_ROWS, Int64Array, Mask, counts, run_ends, run_starts
from tokenvis.tree.calls import calls_of, failures_of
from tokenvis.tree.prices import Prices
from tokenvis.tree.relations import NO_ROW, relations_of
from tokenvis.tree.states import Marks, States

NO_MARKS = Marks(NO_ROWS, [], NO_ROWS.astype(bool), NO_ROWS.astype(bool))


@dataclass(frozen=True)
class Strips:
    """The runs, the stretches of their paths, and where these failed. Times are µs since the start of the run.

    ``runs`` has a row for each run, by trace_id: ``trace_id``, ``name`` (str), ``start``, ``wall_us``, ``n_errors`` (int64: as
    in `summary`), ``is_slow``, ``is_failed`` (bool), and maybe ``cost`` (Float64), ``tokens`` (Int64), ``n_silent``
    and ``n_unpriced`` (int64), as in `outcomes_of`.

    ``run`` is the number of each stretch's run, ``span`` the row of its first span, for a gap that of the span after it, and
    ``state`` a position in `PATH_STATES`. An instant is a stretch only beside no other span.
    """

    runs: pd.DataFrame
    run: Int64Array
    span: Int64Array
    start: Int64Array
    end: Int64Array
    state: Int64Array
    failed_run: Int64Array
    failed_at: Int64Array

    def of_runs(self, runs: Int64Array) -> "Strips":
        """The strips of some of the runs, which have numbers in this order."""
        number = np.full(len(self.runs), -1, dtype=np.int64)
        number[runs] = np.arange(len(runs))
        kept, failed = number[self.run] >= 0, number[self.failed_run] >= 0
        pieces = (values[kept] for values in (number[self.run], self.span, self.start, self.end, self.state))
        failures = (values[failed] for values in (number[self.failed_run], self.failed_at))
        return Strips(self.runs.iloc[runs].reset_index(drop=True), *pieces, *failures)

    def explained(self) -> Int64Array:
        """The stretches other than idle gaps."""
        return np.flatnonzero(self.state != IDLE)

    def states(self) -> States:
        """The states of the stretches, without idle gaps; a stretch is a row."""
        rows = self.explained()
        return States(rows, self.start[rows], self.end[rows], self.state[rows].astype(np.int8), NO_MARKS)


def strips_of(spans: pd.DataFrame, values: pd.Series, *, usage: bool = False, prices: Prices | None = None) -> Strips:
    """The strips of recorded spans; ``values`` has the value of each span that gives its colour.

    The table has cost, tokens, and the calls without them only with ``usage``, because they take as long as the rest.
    """
    run, *_ = pieces = run_paths(spans)
    origin = pieces.start[run_starts(run)]
    start, end, span = pieces.start - origin[run], pieces.end - origin[run], spans_or_next(pieces.row)
    kept = np.flatnonzero((end > start) | lone_instants(run, pieces.row, end > start))
    value = ranks_of(values)[span[kept]]
    begins = run_starts(run[kept], pieces.state[kept], value)
    first, final = kept[begins], kept[np.append(begins[1:], True)[: len(kept)]]
    table = run_table(spans, origin, pieces.end[run_ends(run)])
    if usage:
        table = table.assign(**outcomes_of(spans, prices=prices)[["cost", "tokens", "n_silent", "n_unpriced"]])
    failed = np.zeros(len(spans) + 1, dtype=bool)  # the last is that of gaps
    if table["is_failed"].any():
        failed[failures_of(spans, relations_of(spans, links=False), calls_of(spans))] = True
    failures = last_pieces_of_spans(pieces.row, failed[pieces.row])
    return Strips(
        table,
        run[first],
        span[first],
        start[first],
        end[final],
        pieces.state[first],
        run[failures],
        end[failures],
    )


def spans_or_next(row: Int64Array) -> Int64Array:
    """The row of the span of each piece of a path; for a gap, that of the next piece with one: a path ends with a span."""
    piece = np.where(row == NO_ROW, len(row), np.arange(len(row)))
    following: Int64Array = np.minimum.accumulate(piece[::-1])[::-1]
    return row[following]


def lone_instants(run: Int64Array, row: Int64Array, lasts: Mask) -> Mask:
    """The instants of each run between gaps, or with nothing else in the run: no span beside them would show them."""
    piece = np.arange(len(run))
    before = np.maximum.accumulate(np.where(lasts, piece, NO_ROW))
    after = np.minimum.accumulate(np.where(lasts, piece, len(run))[::-1])[::-1]
    is_span, of_run = np.append((row != NO_ROW) & lasts, False), np.append(run, NO_ROW)
    beside_span = [is_span[near] & (of_run[near] == run) for near in (before, after)]
    alone: Mask = ~lasts & ~beside_span[0] & ~beside_span[1]
    return alone


def last_pieces_of_spans(row: Int64Array, wanted: Mask) -> Int64Array:
    """The last of the wanted pieces of each span, in order."""
    pieces = np.flatnonzero(wanted)[::-1]
    return np.sort(pieces[np.unique(row[pieces], return_index=True)[1]])


def run_table(spans: pd.DataFrame, origin: Int64Array, last: Int64Array) -> pd.DataFrame:
    """The table of the runs, as in `Strips`; ``origin`` is the first start of each, ``last`` its last end."""
    run, ids = codes_of(spans["trace_id"])
    with_status, status = field_values(spans, "status")
    n_errors = counts(run[with_status[[value == "error" for value in status]]], len(ids))
    wall = last - origin
    names = pd.array(distinct_run_names(spans), dtype="str")
    sizes = {"trace_id": ids.astype("str"), "name": names, "start": origin, "wall_us": wall, "n_errors": n_errors}
    return pd.DataFrame({**sizes, "is_slow": above_usual(wall.astype(float)), "is_failed": n_errors > 0})
