"""Snapshots: what a program says of a span, as the JSON text that it is at that moment; never an error in the program.

Nearly all data is plain JSON, and is written at once, while no other code can run, so nobody can change it meanwhile. What is
not (an object, a cycle, bytes), or is too long, is cut: a text in its place says what it was and begins with ``CUT``, and the
key ``tokenvis.cut`` of the data names the keys that are not whole. Nothing that is not plain is asked anything that its class
could answer in its own way, but in a ``try``; orjson is given none, since it ends the process where such an answer is an error.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from itertools import islice
from os import PathLike, fspath
from typing import Any
from uuid import UUID

import orjson

from tokenvis.spans.encoding import COMPACT
from tokenvis.spans.integers import INT64_MAX, INT64_MIN
from tokenvis.spans.text import without_surrogates

CUT = "\N{BLACK SCISSORS} "  # before what stands in the place of a value
LONGEST_NAME = 10_000  # characters
LONGEST_TEXT = 1 << 20  # characters of one text
MOST = 4 << 20  # characters of all texts of one span
KEPT = 2_000  # characters of a text that is cut
SHOWN = 500  # characters of the `repr` of what is no JSON
DEEPEST = 64  # levels
MOST_ITEMS = 100_000  # of the data of one span that is cut
PLAIN = frozenset([str, int, float, bool, type(None)])
CONTAINERS = frozenset([dict, list, tuple])
OURS = frozenset(  # there is room for them
    ["label", "kind", "links", "parent_id", "status", "status_message", "error.type", "exception.stacktrace", "cancelled"]
)
NAME_OF_TYPE: Any = type.__dict__["__name__"]  # which no metaclass hides


class Named:
    """What is stored as its id, where it stands in data."""

    __slots__ = ("id",)

    id: str

    def __reduce__(self) -> Any:
        """Refuse to be copied, or sent to another process."""
        raise TypeError(f"{self!r} belongs to its process: send its id, which is the same everywhere.")


def name_text(value: Any) -> str:
    """A name as a text that a database can hold: of an agent, a location.

    Examples
    --------
    >>> name_text("Ann"), name_text(7)
    ('Ann', '7')
    """
    if type(value) is str and len(value) <= LONGEST_NAME and value.isascii():
        return value
    return whole_text(text_of(value), LONGEST_NAME, KEPT)


def moment(time: Any, otherwise: int) -> int:
    """A time that somebody has set, as whole µs that a database can hold, if it is one."""
    try:
        whole: int = round(time)
        return min(max(whole, INT64_MIN), INT64_MAX)
    except Exception:
        return otherwise


def json_text(data: Any, more: Mapping[str, Any] | None = None) -> str:
    r"""Data as JSON text: a mapping as an object, anything else as an object with the key ``value``; NaN is null.

    ``more`` is added to it, in place of what it says itself.

    Examples
    --------
    >>> json_text({"label": "plan", "n": 3})
    '{"label":"plan","n":3}'
    >>> json_text({"thing": object}, {"status": "open"})
    '{"status":"open","thing":"✂ <class \'object\'>","tokenvis.cut":["thing"]}'
    """
    if type(data) is dict:
        try:
            if is_plain(data):
                text = orjson.dumps({**data, **more} if more else data)
                if len(text) <= LONGEST_TEXT:
                    return text.decode()
        except (TypeError, ValueError, RuntimeError, MemoryError):
            pass
    try:
        return careful_text([*pairs_of(data), *(more or {}).items()])
    except Exception as error:  # where the program itself has no room left: of the stack, of memory
        return careful_text([("value", f"{CUT}{failed(data, 'items', error)}"), *(more or {}).items()])


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether all that stands in a mapping, or a list, is JSON by its very class, and no deeper than JSON is read."""
    items = value.values() if type(value) is dict else value
    if PLAIN.issuperset(map(type, items)):
        return True
    if depth >= DEEPEST:
        return False
    return all(type(item) in PLAIN or (type(item) in CONTAINERS and is_plain(item, depth + 1)) for item in items)


def careful_text(pairs: list[tuple[Any, Any]]) -> str:
    """What is no JSON as it is, or too long, as JSON text, with what was cut named."""
    cutter = Cutter()
    made: dict[str, Any] = {}
    cut: list[str] = []
    for key, value in sorted(pairs, key=lambda pair: not is_ours(pair[0])):
        if cutter.is_full:
            cut.append(f"{CUT}further keys")
            break
        before = cutter.n_cut
        name = cutter.key(key, {} if is_ours(key) else made)
        made[name] = cutter.value(value, 0)
        if cutter.n_cut > before:
            cut.append(name)
    parent = made.pop("parent_id", None)  # which is sought at the end
    made |= ({"tokenvis.cut": cut} if cut else {}) | ({"parent_id": parent} if parent is not None else {})
    return json.dumps(made, ensure_ascii=False, allow_nan=False, separators=COMPACT)


def is_ours(key: Any) -> bool:
    """Whether a key of the data is one of ours, which come first: for them there is room."""
    return type(key) is str and key in OURS


def pairs_of(data: Any) -> list[tuple[Any, Any]]:
    """The pairs of a mapping; anything else, and one that fails as it is read, as a value."""
    if issubclass(type(data), Mapping):
        with suppress(Exception):
            return [(key, value) for key, value in some(data.items(), MOST_ITEMS)]
    return [("value", data)]


def some(items: Iterable[Any], most: int) -> list[Any]:
    """As many items as there is room for, and one more, in one step where nobody can change them meanwhile."""
    return list(islice(items, most + 1))


class Cutter:
    """Values as JSON has them; what cannot be is cut, and counted."""

    def __init__(self) -> None:
        self.n_cut = 0
        self.left, self.items = MOST, MOST_ITEMS  # of the data of this span
        self.above: set[int] = set()  # the containers that hold what is looked at

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more."""
        return self.items <= 0 or self.left <= 0

    def key(self, key: Any, beside: Mapping[str, Any]) -> str:
        """A key as a text; where one is cut, or takes the place of another one, something is cut."""
        text = text_of(key)
        name = whole_text(text, LONGEST_NAME, KEPT)
        self.left -= len(name)
        self.n_cut += len(text) > LONGEST_NAME or name in beside
        return name

    def value(self, value: Any, depth: int) -> Any:
        """A value, or what stands in its place."""
        self.items -= 1
        try:
            return self.looked_at(value, type(value), depth)
        except Exception as error:
            return self.cut(failed(value, "look", error))

    def looked_at(self, value: Any, kind: type, depth: int) -> Any:
        """A value by its class, whatever it says that it is."""
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return self.text(str.__str__(value))
        if issubclass(kind, int):
            return self.whole_number(int.__int__(value))
        if issubclass(kind, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else None
        if issubclass(kind, bytes | bytearray | memoryview):
            return self.cut(f"{memoryview(value).nbytes:,} bytes")
        if issubclass(kind, Mapping | list | tuple | AbstractSet):
            return self.container(value, kind, depth)
        return self.other(value, depth)

    def text(self, text: str) -> str:
        """A text, cut where it is too long, alone or with all before it."""
        if len(text) <= min(LONGEST_TEXT, max(self.left, 0)):
            self.left -= len(text)
            return whole_text(text, LONGEST_TEXT, 0)
        self.n_cut += 1
        self.left -= KEPT
        return whole_text(text, 0, KEPT)

    def whole_number(self, number: int) -> Any:
        """A whole number, unless it is a very long one."""
        n_bits = number.bit_length()
        self.left -= n_bits // 3
        return number if n_bits <= 1_000 else self.cut(f"a whole number of {n_bits:,} bits")

    def container(self, value: Any, kind: type, depth: int) -> Any:
        """An object or a list; no deeper than JSON is read, never in itself, and of so many items."""
        if id(value) in self.above:
            return self.cut(f"a {name_of(kind)} that holds itself")
        if depth >= DEEPEST or self.is_full:
            return self.cut(f"a {name_of(kind)}, {'nested too deep' if depth >= DEEPEST else 'too much of it'}")
        self.above.add(id(value))
        try:
            if issubclass(kind, Mapping):
                made: dict[str, Any] = {}
                for key, item in self.within(value.items()):
                    made[self.key(key, made)] = self.value(item, depth + 1)
                return made
            return [self.value(item, depth + 1) for item in self.within(value)]
        except Exception as error:
            return self.cut(failed(value, "iter", error))
        finally:
            self.above.discard(id(value))

    def within(self, items: Iterable[Any]) -> Iterator[Any]:
        """As many items as there is room for."""
        for item in some(items, self.items):
            if self.is_full:
                self.n_cut += 1
                return
            yield item

    def other(self, value: Any, depth: int) -> Any:
        """What is no JSON, in the form that is usual; else its `repr`."""
        try:
            usual = usual_form(value, type(value)) if depth < DEEPEST else MISSING
        except Exception:
            usual = MISSING
        return self.cut(text_of(value)) if usual is MISSING else self.value(usual, depth + 1)

    def cut(self, text: str) -> str:
        """A text in the place of a value."""
        self.n_cut += 1
        self.left -= min(len(text), SHOWN)
        return CUT + whole_text(text, SHOWN, SHOWN)


def usual_form(value: Any, kind: type) -> Any:
    """The form that JSON usually has for a value that is none, `MISSING` where there is none such."""
    if issubclass(kind, Named):
        return value.id or MISSING
    if issubclass(kind, PathLike):
        return fspath(value)
    if issubclass(kind, Enum):
        return value._value_
    if issubclass(kind, date | time):
        return value.isoformat()
    if issubclass(kind, UUID):
        return str(value)
    if is_dataclass(kind):
        names = [one.name for one in fields(kind)]
        return {name: getattr(value, name) for name in names if not name.startswith("_") and hasattr(value, name)}
    if kind.__module__ == "numpy":
        text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return orjson.loads(text) if len(text) <= LONGEST_TEXT else MISSING
    return MISSING


MISSING = object()


def text_of(value: Any) -> str:
    """A text as it is, and the `repr` of anything else, whatever that does."""
    try:
        return str.__str__(value if issubclass(type(value), str) else repr(value))
    except Exception as error:
        return failed(value, "repr", error)


def failed(value: Any, what: str, error: Exception) -> str:
    """What is said of a value that cannot be looked at."""
    return f"<{name_of(type(value))}, whose {what}() raises {name_of(type(error))}>"


def name_of(kind: type) -> str:
    """The name of a class."""
    name: str = NAME_OF_TYPE.__get__(kind)
    return name


def whole_text(text: str, longest: int, kept: int) -> str:
    """A text that can be written as UTF-8; of one that is too long, its first characters, and how many there were."""
    whole = text if len(text) <= longest else f"{CUT}{text[:kept]}… ({len(text):,} characters)"
    return whole if whole.isascii() else without_surrogates(whole)
