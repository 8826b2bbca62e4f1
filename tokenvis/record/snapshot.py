"""Snapshots: convert the data of a span to JSON text at one moment, without ever raising an error in the program.

Nearly all data is plain JSON. orjson encodes it in one call that keeps the GIL, so no other thread can change it meanwhile.
All other values (objects, cycles, bytes), and those that are too long, are cut: a text that begins with ``CUT_MARK`` describes
the value, and the key ``tokenvis.cut`` lists the keys that are incomplete. Methods that a class may override are only called
inside a ``try``. Such objects are never passed to orjson, which ends the process if one of their methods raises.
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

from tokenvis.spans.encoding import COMPACT_SEPARATORS
from tokenvis.spans.integers import INT64_MAX, INT64_MIN
from tokenvis.spans.text import without_surrogates

CUT_MARK = "\N{BLACK SCISSORS} "  # starts the description of a value that is cut
MAX_NAME_CHARACTERS = 10_000
MAX_TEXT_CHARACTERS = 1 << 20  # of one text
MAX_SNAPSHOT_CHARACTERS = 4 << 20  # of all texts of one span
KEPT_CHARACTERS = 2_000  # of a text that is cut
MAX_REPR_CHARACTERS = 500
MAX_SNAPSHOT_DEPTH = 64  # levels
MAX_SNAPSHOT_ITEMS = 100_000  # of the data of one span that is cut
JSON_SCALAR_TYPES = frozenset([str, int, float, bool, type(None)])
JSON_CONTAINER_TYPES = frozenset([dict, list, tuple])
PRIORITY_KEYS = frozenset(  # encoded first, so that they are never cut for lack of room
    [
        *("label", "kind", "links", "requested_by", "parent_id", "waits_for", "waits_for_kind", "detached", "span_kind"),
        *("status", "status_message", "error.type", "exception.stacktrace", "cancelled"),
    ]
)
TYPE_NAME: Any = type.__dict__["__name__"]  # a descriptor that no metaclass can override


class StoredById:
    """An object that is stored as its id when it is a value in data."""

    __slots__ = ("id",)

    id: str

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled."""
        raise TypeError(f"{self!r} cannot be copied or sent to another process. Send its id instead.")


def name_text(value: Any) -> str:
    """The name of an agent or a location as a text that a database can store.

    Examples
    --------
    >>> name_text("Ann"), name_text(7)
    ('Ann', '7')
    """
    if type(value) is str and len(value) <= MAX_NAME_CHARACTERS and value.isascii():
        return value
    return storable_text(repr_text(value), MAX_NAME_CHARACTERS, KEPT_CHARACTERS)


def storable_time(time: Any, default: int) -> int:
    """A time that the program has set, as whole µs within the range of the database; the default if it is not a number."""
    try:
        whole: int = round(time)
        return min(max(whole, INT64_MIN), INT64_MAX)
    except Exception:
        return default


def json_text(data: Any, extra: Mapping[str, Any] | None = None) -> str:
    r"""Data as JSON text: a mapping as an object, anything else as an object with the key ``value``; NaN is null.

    ``extra`` is added, and overrides keys of the data.

    Examples
    --------
    >>> json_text({"label": "plan", "n": 3})
    '{"label":"plan","n":3}'
    >>> json_text({"thing": object}, {"status": "open"})
    '{"status":"open","thing":"✂ <class \'object\'>","tokenvis.cut":["thing"]}'
    """
    if type(data) is dict:
        try:
            if is_plain_json(data):
                text = orjson.dumps({**data, **extra} if extra else data)
                if len(text) <= MAX_TEXT_CHARACTERS:
                    return text.decode()
        except (TypeError, ValueError, RuntimeError, MemoryError):
            pass
    try:
        return json_text_with_cuts([*data_items(data), *(extra or {}).items()])
    except Exception as error:  # if the program itself runs out of stack or memory
        return json_text_with_cuts([("value", f"{CUT_MARK}{failure_text(data, 'items()', error)}"), *(extra or {}).items()])


def is_plain_json(value: Any, depth: int = 0) -> bool:
    """Whether all values in a mapping or a list have exactly the types of JSON, and are not nested too deeply."""
    items = value.values() if type(value) is dict else value
    if JSON_SCALAR_TYPES.issuperset(map(type, items)):
        return True
    if depth >= MAX_SNAPSHOT_DEPTH:
        return False
    return all(
        type(item) in JSON_SCALAR_TYPES or (type(item) in JSON_CONTAINER_TYPES and is_plain_json(item, depth + 1))
        for item in items
    )


def json_text_with_cuts(items: list[tuple[Any, Any]]) -> str:
    """JSON text of data that is not plain JSON, or too long, with the names of the keys that were cut."""
    encoder = CuttingEncoder()
    encoded: dict[str, Any] = {}
    cut: list[str] = []
    for key, value in sorted(items, key=lambda item: not is_priority_key(item[0])):
        if encoder.is_full:
            cut.append(f"{CUT_MARK}further keys")
            break
        n_cut_before = encoder.n_cut
        name = encoder.key(key, {} if is_priority_key(key) else encoded)
        encoded[name] = encoder.value(value, 0)
        if encoder.n_cut > n_cut_before:
            cut.append(name)
    parent = encoded.pop("parent_id", None)  # readers search for it from the end
    encoded |= ({"tokenvis.cut": cut} if cut else {}) | ({"parent_id": parent} if parent is not None else {})
    return json.dumps(encoded, ensure_ascii=False, allow_nan=False, separators=COMPACT_SEPARATORS)


def is_priority_key(key: Any) -> bool:
    """Whether a key of the data is one of those that are encoded first."""
    return type(key) is str and key in PRIORITY_KEYS


def data_items(data: Any) -> list[tuple[Any, Any]]:
    """The items of a mapping; anything else, or a mapping that cannot be read, as one item with the key ``value``."""
    if issubclass(type(data), Mapping):
        with suppress(Exception):
            return [(key, value) for key, value in first_items(data.items(), MAX_SNAPSHOT_ITEMS)]
    return [("value", data)]


def first_items(items: Iterable[Any], limit: int) -> list[Any]:
    """The first ``limit`` items and one more, copied in one step in which no other thread can change them."""
    return list(islice(items, limit + 1))


class CuttingEncoder:
    """Converts values to JSON types; values without a JSON form, or beyond the limits, are cut and counted."""

    def __init__(self) -> None:
        self.n_cut = 0
        self.characters_left, self.items_left = MAX_SNAPSHOT_CHARACTERS, MAX_SNAPSHOT_ITEMS
        self.ancestors: set[int] = set()  # the ids of the containers around the current value

    @property
    def is_full(self) -> bool:
        """Whether a limit is reached."""
        return self.items_left <= 0 or self.characters_left <= 0

    def key(self, key: Any, siblings: Mapping[str, Any]) -> str:
        """A key as a text; a key that is too long, or equals a sibling, counts as cut."""
        text = repr_text(key)
        name = storable_text(text, MAX_NAME_CHARACTERS, KEPT_CHARACTERS)
        self.characters_left -= len(name)
        self.n_cut += len(text) > MAX_NAME_CHARACTERS or name in siblings
        return name

    def value(self, value: Any, depth: int) -> Any:
        """A value, or the text that replaces it."""
        self.items_left -= 1
        try:
            return self.value_of_type(value, type(value), depth)
        except Exception as error:
            return self.cut(failure_text(value, "conversion", error))

    def value_of_type(self, value: Any, kind: type, depth: int) -> Any:
        """A value by its actual type, not by its ``__class__``."""
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return self.text(str.__str__(value))
        if issubclass(kind, int):
            return self.integer(int.__int__(value))
        if issubclass(kind, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else None
        if issubclass(kind, bytes | bytearray | memoryview):
            return self.cut(f"{memoryview(value).nbytes:,} bytes")
        if issubclass(kind, Mapping | list | tuple | AbstractSet):
            return self.container(value, kind, depth)
        return self.json_form_or_repr(value, depth)

    def text(self, text: str) -> str:
        """A text, cut if it exceeds its own limit or the limit of the span."""
        if len(text) <= min(MAX_TEXT_CHARACTERS, max(self.characters_left, 0)):
            self.characters_left -= len(text)
            return storable_text(text, MAX_TEXT_CHARACTERS, 0)
        self.n_cut += 1
        self.characters_left -= KEPT_CHARACTERS
        return storable_text(text, 0, KEPT_CHARACTERS)

    def integer(self, number: int) -> Any:
        """An integer, cut if it is very long."""
        n_bits = number.bit_length()
        self.characters_left -= n_bits // 3
        return number if n_bits <= 1_000 else self.cut(f"an integer of {n_bits:,} bits")

    def container(self, value: Any, kind: type, depth: int) -> Any:
        """A JSON object or list, with limits on depth and items; cut if it contains itself."""
        if id(value) in self.ancestors:
            return self.cut(f"a {type_name(kind)} that contains itself")
        if depth >= MAX_SNAPSHOT_DEPTH or self.is_full:
            return self.cut(
                f"a {type_name(kind)}, {'nested too deeply' if depth >= MAX_SNAPSHOT_DEPTH else 'past the size limit'}"
            )
        self.ancestors.add(id(value))
        try:
            if issubclass(kind, Mapping):
                encoded: dict[str, Any] = {}
                for key, item in self.up_to_limit(value.items()):
                    encoded[self.key(key, encoded)] = self.value(item, depth + 1)
                return encoded
            return [self.value(item, depth + 1) for item in self.up_to_limit(value)]
        except Exception as error:
            return self.cut(failure_text(value, "iter()", error))
        finally:
            self.ancestors.discard(id(value))

    def up_to_limit(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items up to the limit."""
        for item in first_items(items, self.items_left):
            if self.is_full:
                self.n_cut += 1
                return
            yield item

    def json_form_or_repr(self, value: Any, depth: int) -> Any:
        """A value that is not JSON, in its usual JSON form if it has one, or else its `repr`."""
        try:
            form = json_form(value, type(value)) if depth < MAX_SNAPSHOT_DEPTH else NO_JSON_FORM
        except Exception:
            form = NO_JSON_FORM
        return self.cut(repr_text(value)) if form is NO_JSON_FORM else self.value(form, depth + 1)

    def cut(self, text: str) -> str:
        """The text that replaces a value."""
        self.n_cut += 1
        self.characters_left -= min(len(text), MAX_REPR_CHARACTERS)
        return CUT_MARK + storable_text(text, MAX_REPR_CHARACTERS, MAX_REPR_CHARACTERS)


def json_form(value: Any, kind: type) -> Any:
    """The usual JSON form of a value that is not JSON; `NO_JSON_FORM` if there is none."""
    if issubclass(kind, StoredById):
        return value.id or NO_JSON_FORM
    if issubclass(kind, PathLike):
        return fspath(value)
    if issubclass(kind, Enum):
        return value._value_
    if issubclass(kind, date | time):
        return value.isoformat()
    if issubclass(kind, UUID):
        return str(value)
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return {name: getattr(value, name) for name in names if not name.startswith("_") and hasattr(value, name)}
    if kind.__module__ == "numpy":
        text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return orjson.loads(text) if len(text) <= MAX_TEXT_CHARACTERS else NO_JSON_FORM
    return NO_JSON_FORM


NO_JSON_FORM = object()


def repr_text(value: Any) -> str:
    """A text unchanged, or the `repr` of any other value; never raises."""
    try:
        return str.__str__(value if issubclass(type(value), str) else repr(value))
    except Exception as error:
        return failure_text(value, "repr()", error)


def failure_text(value: Any, step: str, error: Exception) -> str:
    """A description of a value with a method that raises."""
    return f"<{type_name(type(value))}, whose {step} raises {type_name(type(error))}>"


def type_name(kind: type) -> str:
    """The name of a class."""
    name: str = TYPE_NAME.__get__(kind)
    return name


def storable_text(text: str, limit: int, kept: int) -> str:
    """A text that can be encoded as UTF-8; above the limit, its first ``kept`` characters and its length."""
    shortened = text if len(text) <= limit else f"{CUT_MARK}{text[:kept]}… ({len(text):,} characters)"
    return shortened if shortened.isascii() else without_surrogates(shortened)
