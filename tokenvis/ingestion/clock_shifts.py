"""Clock shifts: the times of a host whose clock is off, moved by an offset that the caller gives.

A span that was shifted has the offset in its data, so that an export of it is not shifted again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenvis.conventions.span import SpanRead
from tokenvis.errors import BadOption, quoted
from tokenvis.formats.files.reading import Problem
from tokenvis.tree.clocks import CLOCK_HOST_KEYS

CLOCK_OFFSET = "clock_offset_us"


class ClockShifts:
    """The offset of each host in µs, and the hosts that occurred."""

    def __init__(self, offsets: Mapping[str, int] | None = None) -> None:
        if offsets is not None and not isinstance(offsets, Mapping):
            raise BadOption(f"clock_offsets={quoted(offsets)} is not a mapping from hosts to µs.")
        for host, offset in (offsets or {}).items():
            if type(offset) is not int or not -(2**63) < offset < 2**63:
                raise BadOption(f"clock_offsets[{quoted(host)}]={quoted(offset)} is not a 64-bit integer of µs.")
        self.offsets = dict(offsets or {})
        self.found: set[str] = set()

    def shift(self, span: SpanRead) -> None:
        """Move the times of a span, and of its events, if its host has an offset and it was not moved before."""
        if not self.offsets or (host := clock_host_of(span.data)) not in self.offsets:
            return
        self.found.add(host)
        if CLOCK_OFFSET in span.data:
            return
        offset = self.offsets[host]
        span.start += offset
        span.end = None if span.end is None else span.end + offset
        events = span.data.get("events")
        for event in events if isinstance(events, list) else ():
            if isinstance(event, dict) and type(event.get("time")) is int:
                event["time"] += offset
        span.data[CLOCK_OFFSET], span.text = offset, None

    def unused(self) -> Iterator[Problem]:
        """A problem for each host that no span has: its name may be misspelled."""
        for host in sorted(self.offsets.keys() - self.found, key=str):
            yield Problem(f"clock_offsets[{quoted(host)}]", None, "no span is from this host")


def clock_host_of(data: Mapping[str, Any]) -> str | None:
    """The host in a span's data, None if there is none."""
    attributes = data.get("attributes")
    places = (data, attributes if isinstance(attributes, Mapping) else {})
    names = (place.get(key) for key in CLOCK_HOST_KEYS for place in places)
    return next((name for name in names if isinstance(name, str) and name), None)
