"""Pairs: the end event of each begin event, by time, for events in any order.

Events with one key (a thread, or the id of an asynchronous slice) are one stack. In the order of their times, a begin event
opens a slice, and an end event closes the innermost open one of its name, else the innermost one. At equal times the order in
the file counts, but an end waits for a begin of its name at the same time if no open slice has its name, and for any if no
slice is open. If the events of a stack are not in the order of their times, that order says nothing: slices that began earlier
end first.

Only begin and end events are kept, as five integers each.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, groupby
from typing import NamedTuple, TypeAlias

import numpy as np

from tokenvis.formats.telemetry.chrome_trace.events import floor

NO_NAME, IS_END = -1, -1
BLOCK = 1 << 16  # events that are Python objects at one time
PARTS_OF_MICROSECOND = 10**9
IntArray: TypeAlias = "array[int]"


class PairEvent(NamedTuple):
    """A begin event, with the row of its slice, or an end event, with `IS_END`; ``number`` counts all of them in file order."""

    number: int
    time: int
    part: int
    row: int
    name: int


class Pair(NamedTuple):
    """A slice, its end event and its time (None if it never ends), and the innermost slice open at its begin, or None.

    ``end_number`` counts begin and end events in the order of the file.
    """

    row: int
    end_number: int | None
    end: int | None
    around: int | None


@dataclass
class PairEvents:
    """The begin and end events of a file, as integers, in the order of the file."""

    keys: dict[tuple[str, ...], int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    columns: dict[str, IntArray] = field(
        default_factory=lambda: {name: array("q") for name in ("key", "time", "part", "row", "name")}
    )

    def add(self, key: tuple[str, ...], time: Decimal, name: object, row: int = IS_END) -> None:
        """Add an event: the begin of the slice of a row, or an end."""
        whole = floor(time)
        number = self.names.setdefault(name, len(self.names)) if isinstance(name, str) and name else NO_NAME
        part = int((time - whole) * PARTS_OF_MICROSECOND)
        values = self.keys.setdefault(key, len(self.keys)), whole, part, row, number
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)

    def n_events(self) -> int:
        """The number of events."""
        return len(self.columns["row"])

    def end_numbers(self) -> Iterator[int]:
        """The numbers of the end events."""
        return (number for number, row in enumerate(self.columns["row"]) if row == IS_END)

    def pairs(self) -> Iterator[Pair]:
        """The pairs, each when it is complete; slices that never end after the others of their key."""
        key, time, part, row, name = (np.frombuffer(column, dtype=np.int64) for column in self.columns.values())
        order = np.lexsort((part, time, key))
        is_back = (order[1:] < order[:-1]) & (key[order[1:]] == key[order[:-1]])
        unordered = set(key[order[1:][is_back]].tolist())
        blocks = (order[first : first + BLOCK] for first in range(0, len(order), BLOCK))
        columns = ((key[block], block, time[block], part[block], row[block], name[block]) for block in blocks)
        rows = chain.from_iterable(zip(*(values.tolist() for values in block), strict=True) for block in columns)
        for stack_key, stack in groupby(rows, key=lambda values: values[0]):
            yield from pairs_of_stack((PairEvent(*values) for _, *values in stack), in_order=stack_key not in unordered)


class OpenSlices:
    """The open slices of a stack: all, innermost last, and those of each name; closed ones are removed when they are last."""

    def __init__(self) -> None:
        self.all: list[PairEvent] = []
        self.by_name: dict[int, list[PairEvent]] = {}
        self.around: dict[int, int | None] = {}  # by the row of an open slice: the innermost slice open at its begin

    def begin(self, event: PairEvent) -> None:
        """Open a slice."""
        innermost = self.last(self.all)
        self.around[event.row] = innermost.row if innermost else None
        self.all.append(event)
        self.by_name.setdefault(event.name, []).append(event)

    def last(self, events: list[PairEvent]) -> PairEvent | None:
        """The last open slice of a list, None if none is open."""
        while events and events[-1].row not in self.around:
            events.pop()
        return events[-1] if events else None

    def match(self, event: PairEvent, later_names: Counter[int]) -> PairEvent | None:
        """The slice that an end closes, None if there is none yet; ``later_names`` are those of begins at the same time."""
        named = self.last(self.by_name.get(event.name, [])) if event.name != NO_NAME else None
        return named or (None if event.name != NO_NAME and later_names[event.name] else self.last(self.all))

    def close(self, begin: PairEvent, end: PairEvent | None) -> Pair:
        """Close a slice, or give it up if it never ends."""
        around = self.around.pop(begin.row)
        return Pair(begin.row, end.number if end else None, end.time if end else None, around)


def pairs_of_stack(events: Iterator[PairEvent], *, in_order: bool) -> Iterator[Pair]:
    """The pairs of one key, from its events by time; ``in_order`` if the file has them in this order."""
    slices = OpenSlices()
    for _, simultaneous in groupby(events, key=lambda event: (event.time, event.part)):
        group = list(simultaneous)
        if not in_order:
            group.sort(key=lambda event: event.row != IS_END)
        later_names = Counter(event.name for event in group if event.row != IS_END)
        early: list[PairEvent] = []
        for event in group:
            if event.row != IS_END:
                later_names[event.name] -= 1
                slices.begin(event)
            elif begin := slices.match(event, later_names):
                yield slices.close(begin, event)
            else:
                early.append(event)
        for event in early:
            if begin := slices.match(event, Counter()):
                yield slices.close(begin, event)
    for begin in slices.all:
        if begin.row in slices.around:
            yield slices.close(begin, None)
