"""The words of events: which of them start something, which end it, and which start ends with which.

A family is a set of words for starts, and of words for their ends: an end never ends a start of another family, so that
"leave" does not end what "start" began. The known words are compared without case, blanks, "_" and "-".
Words that mean a start in some logs and an end in others ("arrival", "departure") are not known.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, listed, quoted
from tokenvis.spans.columns import codes_of
from tokenvis.spans.conversion.clock import check_complete
from tokenvis.spans.integers import Int64Array, Mask

FAMILIES: tuple[tuple[str, str], ...] = (  # the words of starts, and of their ends
    ("enter, entered, entered link, move, moved, move to, moved to", "leave, left, left link, exit, exited"),
    (
        "start, started, begin, began, begun, b, actstart",
        "stop, stopped, end, ended, e, finish, finished, complete, completed, done, actend, "
        "fail, failed, abort, aborted, cancel, canceled, cancelled",
    ),
    ("open, opened", "close, closed"),
    ("connect, connected", "disconnect, disconnected"),
    ("log in, logged in", "log out, logged out"),
    ("check in, checked in", "check out, checked out"),
    ("acquire, acquired", "release, released"),
)
STATUS_OF_END = {"fail": "error", "failed": "error", "abort": "error", "aborted": "error"} | dict.fromkeys(
    ("cancel", "canceled", "cancelled"), "cancelled"
)
MAX_NAMED_LABELS = 20  # of which an error names the pairs
MOVES = 0  # the family in which a start also ends the one before, if the events have no ends


@dataclass(frozen=True)
class Role:
    """The meaning of a word: its family, whether it ends or starts, and the status that it gives to the span."""

    family: int
    is_end: bool
    status: str | None = None


@dataclass(frozen=True)
class Roles:
    """The meaning of each event: its family, whether it is an end, and whether it is a move, which lasts until the next."""

    family: Int64Array
    is_end: Mask
    is_move: Mask
    status: "np.ndarray[tuple[int], np.dtype[np.object_]]"

    def in_order(self, order: Int64Array) -> "Roles":
        """The roles of the events in this order."""
        return Roles(self.family[order], self.is_end[order], self.is_move[order], self.status[order])


def word_key(word: str) -> str:
    """A word in lower case, without blanks, underscores and hyphens."""
    return re.sub(r"[\s_-]+", "", word.casefold())


def known_words() -> dict[str, Role]:
    """The role of each known word."""
    roles: dict[str, Role] = {}
    for family, sides in enumerate(FAMILIES):
        for is_end, words in enumerate(sides):
            roles |= {word_key(word): Role(family, bool(is_end), STATUS_OF_END.get(word)) for word in words.split(", ")}
    return roles


KNOWN_WORDS = known_words()


def known_role(word: object) -> Role | None:
    """The role of a known word, None for any other."""
    return KNOWN_WORDS.get(word_key(word)) if isinstance(word, str) else None


def status_of_end(word: object) -> str | None:
    """The status that an end gives to its span: "error" or "cancelled" if its name contains such a word."""
    return next((STATUS_OF_END[part] for part in parts_of(word) if part in STATUS_OF_END), None)


def parts_of(word: object) -> list[str]:
    """The words in the name of an event, such as ``task_started`` or ``TaskStarted``, in lower case."""
    return [part.casefold() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+", word)] if isinstance(word, str) else []


def named_pairs(labels: Iterable[object]) -> dict[Any, list[Any]]:
    """The starts and ends among names of events that contain a known word each: ``{"task_started": ["task_failed"]}``."""
    sides: dict[Any, tuple[list[Any], list[Any]]] = {}
    for label in labels:
        parts = parts_of(label)
        known = [(part, role) for part in parts if len(part) > 1 and (role := KNOWN_WORDS.get(part)) is not None]
        if len(known) == 1:
            [(part, role)] = known
            key = (role.family, *(other for other in parts if other != part))
            sides.setdefault(key, ([], []))[role.is_end].append(label)
    return {start: ends for starts, ends in sides.values() if ends for start in starts}


def pairs_text(pairs: Mapping[Any, list[Any]]) -> str:
    """Pairs as they are written in a call."""
    words = (
        (start, quoted(ends[0]) if len(ends) == 1 else f"[{', '.join(map(quoted, ends))}]") for start, ends in pairs.items()
    )
    return f"{{{', '.join(f'{quoted(start)}: {end}' for start, end in words)}}}"


def given_roles(pairs: object) -> dict[Any, Role]:
    """The role of each word of ``pairs``; `BadOption` if it is no mapping from starts to ends, or a word is both."""
    if not isinstance(pairs, Mapping) or not pairs:
        raise BadOption(f"pairs={quoted(pairs)} is not a mapping from starts to their ends, such as {{'arrive': 'depart'}}.")
    families: list[tuple[list[Any], list[Any]]] = []
    for start, end in pairs.items():
        ends = list(end) if isinstance(end, Iterable) and not isinstance(end, str) else [] if end is None else [end]
        same = [family for family in families if set(family[1]) & set(ends)]
        families = [family for family in families if family not in same]
        starts = [start, *(word for family in same for word in family[0])]
        families.append((starts, [*ends, *(word for family in same for word in family[1])]))
    both = {word for starts, _ in families for word in starts} & {word for _, ends in families for word in ends}
    if both:
        raise BadOption(f"pairs= has {listed(sorted(both, key=str))} as a start and as an end.")
    roles: dict[Any, Role] = {}
    for number, sides in enumerate(families):
        for is_end, words in enumerate(sides):
            for word in words:
                role = Role(number, bool(is_end), status_of_end(word) if is_end else None)
                roles |= {str(word): role, word: role}
    return roles


def event_roles(values: pd.Series, pairs: object) -> Roles:
    """The role of each event; `BadSpan` if one is neither a start nor an end.

    A family of moves has no ends: those of ``pairs`` that are given without ends, and `MOVES` if no event is one of its ends.
    """
    check_complete(values, "events")
    codes, labels = codes_of(values)
    given = None if pairs is None else given_roles(pairs)
    found = [known_role(label) if given is None else given.get(label, given.get(str(label))) for label in labels]
    if None in found:
        first = int((codes == found.index(None)).argmax())
        unknown = quoted(labels[codes[first]])
        example = pairs_text(named_pairs(labels[:MAX_NAMED_LABELS]) or {"arrive": ["depart"]})
        raise BadSpan(
            f"{values.name} contains {unknown} in row {first}, which is neither a start nor an end. It contains: "
            f"{listed(labels)}. Name the pairs, such as pairs={example}, and drop the rows of other events."
        )
    roles = [role for role in found if role is not None]
    with_ends = {role.family for role in (roles if given is None else given.values()) if role.is_end}
    if given is None:
        with_ends.update(family for family in range(len(FAMILIES)) if family != MOVES)
    return Roles(
        np.array([role.family for role in roles], dtype=np.int64)[codes],
        np.array([role.is_end for role in roles], dtype=bool)[codes],
        np.array([role.family not in with_ends for role in roles], dtype=bool)[codes],
        np.array([role.status for role in roles], dtype=object)[codes],
    )
