"""Clocks: by how much the clocks of two hosts differ, as far as parents and children on different hosts show it.

A child starts after its parent does, and ends before it, unless it is detached or longer than its parent. So each child on
another host bounds what has to be added to the times of one host; the bounds of all children of two hosts are an interval. If
it does not contain 0, the clocks contradict each other. The estimate is its middle, as NTP computes it for a request and its
answer.

A span's host is ``host.name``, else ``service.instance.id``, else ``service.name``.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, ranks_of, times_of
from tokenvis.spans.fields import field_columns, field_rows, several_field_values, truth_of
from tokenvis.spans.integers import INT64_MAX, INT64_MIN, Int64Array, Mask, difference
from tokenvis.tree.relations import NO_ROW, Relations

CLOCK_HOST_KEYS = ("host.name", "service.instance.id", "service.name")


class ClockOffset(NamedTuple):
    """The rows that contradict their parents on another host, and the µs to add to the times of ``host`` so that none does.

    ``lowest`` and ``highest`` are None if nothing bounds them; if the lowest is the higher one, no offset fits.
    """

    host: str
    reference: str
    rows: Int64Array
    lowest: int | None
    highest: int | None

    def estimate(self) -> int | None:
        """The middle of the interval, or its only bound; None if no offset fits."""
        bounds = [bound for bound in (self.lowest, self.highest) if bound is not None]
        fits = len(bounds) == 1 or bounds[0] <= bounds[1]
        return sum(bounds) // len(bounds) if fits else None


def hosts_of(spans: pd.DataFrame) -> tuple[Int64Array, list[str]]:
    """The number of each row's host, or -1, and the names of the hosts."""
    rows = field_rows(spans, *CLOCK_HOST_KEYS)
    host = np.full(len(spans), NO_ROW, dtype=np.int64)
    if not len(rows):
        return host, []
    columns = field_columns(spans, CLOCK_HOST_KEYS, rows)
    names = pd.Series(None, index=range(len(rows)), dtype="object")
    for key in CLOCK_HOST_KEYS:
        values = columns[key].reset_index(drop=True).astype("object")
        names = names.where(names.notna(), values.where(values.map(lambda value: isinstance(value, str) and value != "")))
    host[rows], labels = codes_of(names)
    return host, labels.tolist()


def clock_offsets(spans: pd.DataFrame, relations: Relations) -> Iterator[ClockOffset]:
    """The hosts of each trace whose clocks contradict each other, in pairs, each with the host that has more of the parents."""
    host, names = hosts_of(spans)
    if len(names) < 2:
        return
    parents = relations.parents()
    child = np.flatnonzero((parents >= 0) & (host != NO_ROW))
    child = child[(host[parents[child]] != NO_ROW) & (host[parents[child]] != host[child])]
    if not len(child):
        return
    own, other = host[child], host[parents[child]]
    lowest, highest = bounds_of(spans, child, parents[child])
    trace = ranks_of(spans["trace_id"])[child]
    pair = (trace * len(names) + np.minimum(own, other)) * len(names) + np.maximum(own, other)
    for number in np.unique(pair).tolist():
        members = np.flatnonzero(pair == number)
        hosts, times = np.unique(own[members], return_counts=True)
        shifted = int(hosts[times.argmax()])
        reference = int(other[members][own[members] == shifted][0])
        is_child = own[members] == shifted
        low = np.where(is_child, lowest[members], -highest[members])
        high = np.where(is_child, highest[members], -lowest[members])
        bounds = int(low.max()), int(high.min())
        contradicting = (low > 0) | (high < 0)
        if contradicting.any():
            low_bound, high_bound = (None if abs(bound) == INT64_MAX else bound for bound in bounds)
            yield ClockOffset(names[shifted], names[reference], child[members[contradicting]], low_bound, high_bound)


def bounds_of(spans: pd.DataFrame, child: Int64Array, parent: Int64Array) -> tuple[Int64Array, Int64Array]:
    """What has at least and at most to be added to the times of each child, so that it is within its parent."""
    start, end = times_of(spans)
    lowest, highest = difference(start[parent], start[child]), difference(end[parent], end[child])
    bounded = (lowest <= highest) & ~detached_rows(spans)[child]
    return np.maximum(lowest, INT64_MIN + 1), np.where(bounded, highest, INT64_MAX)


def detached_rows(spans: pd.DataFrame) -> Mask:
    """The rows that are marked as detached, or that consume a message."""
    detached = np.zeros(len(spans), dtype=bool)
    fields = several_field_values(spans, "detached", "span_kind")
    rows, values = fields["detached"]
    detached[rows[[truth_of(value) is True for value in values]]] = True
    rows, values = fields["span_kind"]
    detached[rows[[value == "consumer" for value in values]]] = True
    return detached
