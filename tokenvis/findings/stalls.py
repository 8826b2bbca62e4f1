"""Stalls: a span that works without any child for far longer than is usual at its location in its trace.

Durations of calls differ by factors, so their logarithms are compared: a stretch is far longer if its modified z-score, with
the median and the median absolute deviation instead of mean and standard deviation, is above 3.5 (B. Iglewicz, D. Hoaglin,
"How to detect and handle outliers", 1993). The data does not tell slow work from a wait for a lock, a server, or a person.
"""

from collections.abc import Iterator

import numpy as np

from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import Behaviour, shown, times_word
from tokenvis.spans.columns import TIMES
from tokenvis.spans.groups import dense_ranks, groups_of
from tokenvis.spans.integers import MAD_SCALE, Int64Array, Mask, counts, difference, highest_of, lowest_of, percentiles, sums

MIN_COMPARED = 8  # other stretches at the location
MAX_Z_SCORE = 3.5
MIN_RATIO_TO_MEDIAN = 3
MAX_SHARE = 1 / 4  # of the stretches at the location: what happens more often is usual
MIN_SHARE_OF_WORK = 0.01  # of the work of the agent
STEPS = 1 << 20  # in a factor of two: the unit of logarithms as integers


def stalls(basis: Basis) -> Iterator[Behaviour]:
    """The stretches of work that are far longer than usual, if there are any."""
    row, start, end = basis.states.work()
    duration = difference(end, start)
    of_agent = np.bincount(basis.agents.group[row], weights=duration, minlength=len(basis.agents))  # as floats: never too large
    measured = (duration > 0) & ~has_uncertain_times(basis)[row]
    row, duration = row[measured], duration[measured]
    location = groups_of(basis.spans, "trace_id", "location_id").group[row]
    possible = may_have_stalls(location, duration)[location]
    row, duration = row[possible], duration[possible]
    usual, is_long = compared(dense_ranks(location[possible], len(basis.spans))[0], duration)
    is_long &= duration - usual >= MIN_SHARE_OF_WORK * of_agent[basis.agents.group[row]]
    if is_long.any():
        yield found_stalls(basis, row[is_long], duration[is_long], usual[is_long])


def has_uncertain_times(basis: Basis) -> Mask:
    """The rows that are open, or whose start or end is estimated."""
    uncertain = np.zeros(len(basis.spans), dtype=bool)
    uncertain[basis.with_status("open")] = True
    rows, estimated = basis.fields["estimated"]
    uncertain[rows[[isinstance(names, list | str) and any(time in names for time in TIMES) for names in estimated]]] = True
    return uncertain


def may_have_stalls(location: Int64Array, duration: Int64Array) -> Mask:
    """The locations with enough stretches, of which more than half are less than a third of the longest; without a sort."""
    size = counts(location, 0)
    longest = highest_of(location, duration, len(size)).astype(np.float64)
    is_short = duration < longest[location] / MIN_RATIO_TO_MEDIAN
    possible: Mask = (size > MIN_COMPARED) & (2 * counts(location[is_short], len(size)) > size)
    return possible


def compared(location: Int64Array, duration: Int64Array) -> tuple[Int64Array, Mask]:
    """The usual duration at the location of each stretch, the median, and whether the stretch is far longer.

    Locations are numbered from 0 without gaps.
    """
    is_long = np.zeros(len(location), dtype=bool)
    if not len(location):
        return duration, is_long
    n_locations = int(location.max()) + 1
    usual = medians_of_groups(location, duration, n_locations)[location]
    longer = duration > MIN_RATIO_TO_MEDIAN * usual.astype(np.float64)
    rows = np.flatnonzero((counts(location[longer], n_locations) > 0)[location])
    if len(rows):
        group, n_groups = dense_ranks(location[rows], n_locations)
        above = np.rint(np.log2(duration[rows] / usual[rows]) * STEPS).astype(np.int64)
        deviation = MAD_SCALE * medians_of_groups(group, np.abs(above), n_groups)
        far = longer[rows] & (above > MAX_Z_SCORE * deviation[group])
        is_rare = counts(group[far], n_groups) <= MAX_SHARE * counts(group, n_groups)
        is_long[rows] = far & is_rare[group]
    return usual, is_long


def medians_of_groups(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """The median of each group: of two middle values the higher, so that nothing is far longer because few are compared."""
    [negated] = percentiles(group, -values, n_groups, (50,))  # which returns the lower one
    return -negated


def found_stalls(basis: Basis, row: Int64Array, duration: Int64Array, usual: Int64Array) -> Behaviour:
    """The behaviour that these stretches show; the time is what they took beyond the usual."""
    found = shown(basis, np.unique(basis.first[basis.number[row]]))
    n_entries = len(found.places)
    entry = np.searchsorted(found.places, basis.places.group[row])
    time = sums(entry, duration - usual, n_entries)
    shortest, usual_there = lowest_of(entry, duration, n_entries).tolist(), highest_of(entry, usual, n_entries).tolist()
    counted = zip(counts(entry, n_entries).tolist(), shortest, usual_there, strict=True)
    meanings = [
        f"{agent} worked at {location} {'for' if count == 1 else f'{times_word(count)} for at least'} {least:,} µs without a "
        f"child, where {median:,} µs is usual. The time is the excess. Slow work and a wait that is not recorded look the same."
        for (agent, location), (count, least, median) in zip(found.names(basis), counted, strict=True)
    ]
    return Behaviour("stall", found.places, found.rows, found.first, meanings, time)
