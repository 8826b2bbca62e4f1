"""Diagnose: what to know about a trace before its results are interpreted, and what its agents do that loses time or money.

Doubts about the data are limits of all results. Behaviour is about the agents: it is certain as far as the data is.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import Behaviour
from tokenvis.findings.doubts import MEANING_OF_DOUBT, doubts, losses
from tokenvis.findings.finding import Finding
from tokenvis.findings.repeated_calls import repeated_calls
from tokenvis.findings.retries import retries
from tokenvis.findings.returns import returns
from tokenvis.findings.stalls import stalls
from tokenvis.spans.columns import id_lists, order_of, ranks_of, require, values_at
from tokenvis.spans.integers import Int64Array, sums
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices, price_lists_of

DOUBTS = tuple(MEANING_OF_DOUBT)
BEHAVIOUR = {"repeated call": repeated_calls, "retry": retries, "return": returns, "stall": stalls}


def diagnose(spans: pd.DataFrame, *, prices: Prices | None = None) -> pd.DataFrame:
    """What to keep in mind when interpreting results about these spans, and what their agents do that loses time or money.

    Parameters
    ----------
    spans
        A frame of spans.
    prices
        Prices of calls without a cost, as in `usage`.

    Returns
    -------
    DataFrame
        No rows if there is nothing to report, else ordered by trace_id. First a row for each kind of doubt about the data, in
        this order:

        "lost" (spans that could not be recorded; loss markers replace them), "duplicate id", "self-overlap", "unknown parent",
        "unknown link", "cycle", "outside parent", "clock offset" (of two hosts whose clocks contradict each other; ``meaning``
        has the bounds of the offset), "assumed wait" (a span that waits for a child of another agent, by nesting only),
        "assumed background" (a child of another agent that ends after its parent, which is assumed not to wait), "unknown wait"
        (``waits_for`` names no other agent of the trace), "ignored parent" (in ``data``, but not in the column ``parent_id``),
        "invalid usage", "silent call", "unexplained usage", "surplus usage" (token counts and costs that `usage` leaves out,
        misses or cannot explain), "open" (``status``), "estimated" (``estimated``), "disputed" (files say different things
        about the span), "orphan" (an agent whose spans have no link or parent to another agent, while others have one; its
        first span), "unconnected" (none of several agents has one; the first span of each), "idle" (nothing works or waits for
        a person for more than half of the wall time).

        Then a row for each kind of behaviour of an agent at a location, the longest time lost first:

        "repeated call" (the same call with the same known arguments at least three times, without failures), "retry" (attempts
        that failed and were tried again), "return" (an agent comes back to the location at least five times after work
        elsewhere, and the location has at least a third of its visits), "stall" (a span works without any child for far longer
        than is usual at its location).

        ``trace_id`` (category); ``kind`` (str); ``about`` (str): "data" or "behaviour";
        ``n_spans`` (int64), for "lost" the number of lost spans; ``time_us`` (Int64, µs): the time that loss markers cover, or
        during which spans work at once, run outside or beside their parent, wait, or nothing works; for "clock offset" the
        estimate of what to add to the times of a host; for behaviour the time lost: of all but the first of equal calls, of the
        failed attempts and the pauses after them, of stalls beyond the usual; else missing;
        ``cost`` (Float64): what is lost of it by repeated calls and retries, with all spans below; missing if it is not known;
        ``meaning`` (str): what it means for the results, or who does what where, and how often; ``span_ids`` (a list of ids, in
        the order of a frame): the spans that show it, ``diagnose(spans).explode("span_ids")`` has a row for each.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a duration or sum does not fit into a 64-bit integer.
    BadOption
        If ``prices`` has another form, or its package is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "lab", "lab"],
    ...     "start_time": [0, 5, 15], "end_time": [10, 12, 18],
    ...     "data": [None, '{"label": "test", "status": "error"}', '{"label": "test", "status": "open"}'],
    ... })
    >>> diagnose(spans)[["kind", "about", "n_spans", "time_us", "span_ids"]]
               kind      about  n_spans  time_us span_ids
    0  self-overlap       data        2        5   [a, b]
    1          open       data        1     <NA>      [c]
    2         retry  behaviour        1       10      [b]
    """
    lists = price_lists_of(prices)
    require(spans)
    trace, basis = ranks_of(spans["trace_id"]), Basis(recorded_spans(spans), lists)
    lost = losses(spans)
    kept = np.delete(np.arange(len(spans)), lost.rows)
    entries = [*doubt_entries(spans, lost, trace)]
    for doubt in doubts(basis):
        entries += doubt_entries(spans, doubt._replace(rows=kept[doubt.rows]), trace)
    for behaviour in chain.from_iterable(behaviour_of(basis) for behaviour_of in BEHAVIOUR.values()):
        entries += behaviour_entries(replace(behaviour, rows=kept[behaviour.rows]), trace)
    return table_of_entries(spans, sorted(entries, key=lambda entry: entry[:2]))


class Entry(NamedTuple):
    """A row of the table: where it is among those of its trace, and its values; ``rows`` are those of the frame of spans."""

    trace: int
    order: tuple[Any, ...]
    kind: str
    meaning: str
    rows: list[int]
    n_spans: int
    time: int | None
    cost: float | None

    @property
    def about(self) -> str:
        """Which group of findings the row belongs to."""
        return "data" if self.kind in MEANING_OF_DOUBT else "behaviour"


def table_of_entries(spans: pd.DataFrame, entries: list[Entry]) -> pd.DataFrame:
    """The entries as a table, in their order."""
    sizes = np.array([len(entry.rows) for entry in entries], dtype=np.int64)
    rows = np.array(list(chain.from_iterable(entry.rows for entry in entries)), dtype=np.int64)
    first = np.cumsum(sizes) - sizes
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", rows[first]),
            "kind": pd.array([entry.kind for entry in entries], dtype="str"),
            "about": pd.array([entry.about for entry in entries], dtype="str"),
            "n_spans": np.array([entry.n_spans for entry in entries], dtype=np.int64),
            "time_us": pd.array([entry.time for entry in entries], dtype="Int64"),
            "cost": pd.array([entry.cost for entry in entries], dtype="Float64"),
            "meaning": pd.array([entry.meaning for entry in entries], dtype="str"),
            "span_ids": id_lists(spans, rows, first),
        }
    )


def doubt_entries(spans: pd.DataFrame, doubt: Finding, trace: Int64Array) -> Iterator[Entry]:
    """An entry for each trace of a doubt: the rows in the order of a frame, the number of spans, the total time."""
    if not len(doubt.rows):
        return
    found = spans[["id", "trace_id", "agent_id", "start_time", "end_time"]].iloc[doubt.rows]
    sorted_rows = order_of(found, "trace_id")
    rows = doubt.rows[sorted_rows]
    trace_codes, first, part_of = np.unique(trace[rows], return_index=True, return_inverse=True)
    time, count = (
        None if values is None else sums(part_of.reshape(-1), values[sorted_rows], len(trace_codes))
        for values in (doubt.time, doubt.n_spans)
    )
    order, meaning = (0, DOUBTS.index(doubt.kind), doubt.detail), f"{MEANING_OF_DOUBT[doubt.kind]}{doubt.detail}"
    for part, trace_code in enumerate(trace_codes.tolist()):
        members = rows[first[part] : first[part + 1] if part + 1 < len(first) else len(rows)].tolist()
        n_spans = len(members) if count is None else int(count[part])
        yield Entry(trace_code, order, doubt.kind, meaning, members, n_spans, None if time is None else int(time[part]), None)


def behaviour_entries(behaviour: Behaviour, trace: Int64Array) -> Iterator[Entry]:
    """An entry for each agent at a location, most time first."""
    bounds = [*behaviour.first.tolist(), len(behaviour.rows)]
    times = [None] * len(behaviour.places) if behaviour.time is None else behaviour.time.tolist()
    costs = [np.nan] * len(behaviour.places) if behaviour.cost is None else behaviour.cost.tolist()
    kind = list(BEHAVIOUR).index(behaviour.kind)
    entries = zip(behaviour.places.tolist(), behaviour.meanings, times, costs, pairwise(bounds), strict=True)
    for place, meaning, time, cost, (begin, end) in entries:
        rows = behaviour.rows[begin:end].tolist()
        order = (1, 1 if time is None else -time, kind, place)
        known_cost = None if np.isnan(cost) else cost
        yield Entry(int(trace[rows[0]]), order, behaviour.kind, meaning, rows, len(rows), time, known_cost)
