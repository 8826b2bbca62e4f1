"""Data at one moment: JSON is unchanged, all else is cut and marked, and nothing ever raises."""

import json
import math
import pickle
import random
import sqlite3
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import Enum, IntEnum
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.record import snapshot
from tokenvis.record.snapshot import CUT_MARK, StoredById, json_text, name_text

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12
)


@given(st.dictionaries(TEXTS, VALUES), st.booleans())
def test_json_is_unchanged(data, long):
    """In one step, and value by value, as for long data."""
    with pytest.MonkeyPatch.context() as patch:
        if long:
            patch.setattr(snapshot.orjson, "dumps", None)
        text = json_text(data)
    assert json.loads(text) == data
    assert is_valid(text)


def is_valid(text: str) -> bool:
    """Whether the database accepts the text as data."""
    query = "SELECT json_valid(?1) AND json_type(?1) = 'object'"
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(query, [text]).fetchone() == (1,)


class Color(str, Enum):  # noqa: UP042  (whose `str` is another text than its value)
    RED = "red"


class Size(IntEnum):
    SMALL = 1


@dataclass
class Step:
    name: str
    number: int


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, None),
        (-math.inf, None),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3}, [3]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Point(1, 2), [1, 2]),
        ({1: "one", None: 0}, {"1": "one", "None": 0}),
        (Color.RED, "red"),
        (Size.SMALL, 1),
        (Step("a", 1), {"name": "a", "number": 1}),
        (Path("a") / "b", str(Path("a") / "b")),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (np.arange(3), [0, 1, 2]),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (2**63, 2**63),
        (-(10**200), -(10**200)),
        ("a\0b\ud800", "a\0b\N{REPLACEMENT CHARACTER}"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"path": Path("x")}], ids=["", "next to a value that is not JSON"])
def test_values_with_a_json_form_are_stored_in_it(value, kept, beside):
    expected = {"value": kept} | ({"path": "x"} if beside else {})
    assert json.loads(json_text({"value": value, **beside})) == expected


class Hostile:
    """Every method raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = lambda self: 1 / 0


class Unbound:
    """Like the proxies of web frameworks outside of a request."""

    __class__ = property(lambda self: 1 / 0)


class HostileText(str):
    __str__ = __repr__ = __len__ = isascii = encode = lambda self, *given: 1 / 0


class HostileNumber(int):
    __int__ = __abs__ = __repr__ = __index__ = bit_length = lambda self: 1 / 0


class HostileFloat(float):
    __float__ = __repr__ = __eq__ = lambda self, *given: 1 / 0


class HostileMapping(Mapping):
    __getitem__ = __iter__ = __len__ = items = lambda self, *given: 1 / 0


class HostileList(list):
    __iter__ = __len__ = __repr__ = lambda self: 1 / 0


class Endless(Mapping):
    def __len__(self):
        return 3

    def __iter__(self):
        return iter(range(10**12))

    def __getitem__(self, key):
        return key


class Meta(type):
    __name__ = property(lambda cls: 1 / 0)

    def __repr__(cls):
        return 1 / 0


class OddClass(metaclass=Meta):
    def __repr__(self):
        raise OddError


class OddError(Exception, metaclass=Meta):
    pass


@dataclass
class Around:
    inner: object


@dataclass(slots=True)
class Unfinished:
    question: str
    answer: str = field(init=False)
    _own: int = 7


@dataclass
class HostileStep:
    name: str
    __getattribute__ = __repr__ = lambda self, *given: 1 / 0


class Timeless(tzinfo):
    utcoffset = __repr__ = lambda self, *given: 1 / 0


class HostileEnum(Enum):
    ONE = 1
    value = property(lambda self: 1 / 0)


class Itself(Enum):
    ONE = 1


Itself.ONE._value_ = Itself.ONE


def cycle() -> list:
    own: list = [1]
    own.append({"own": own})
    return own


def deep(levels: int) -> list:
    made: list = []
    for _ in range(levels):
        made = [made]
    return made


CUTS = [
    (object, "✂ <class 'object'>"),
    (b"\0\xff", "✂ 2 bytes"),
    (memoryview(b"123"), "✂ 3 bytes"),
    (Hostile(), "✂ <Hostile, whose repr() raises ZeroDivisionError>"),
    (HostileMapping(), "✂ <HostileMapping, whose iter() raises ZeroDivisionError>"),
    (OddClass(), "✂ <OddClass, whose repr() raises OddError>"),
    (10**400, "✂ an integer of 1,329 bits"),
    (cycle(), [1, {"own": "✂ a list that contains itself"}]),
    (Around(b"1"), {"inner": "✂ 1 bytes"}),
    ("x" * 2_000_000, "✂ " + "x" * 2_000 + "… (2,000,000 characters)"),
    ([1 + 2j], ["✂ (1+2j)"]),
]


@pytest.mark.parametrize("number", range(len(CUTS)))
def test_values_that_are_not_json_are_cut_and_marked(number):
    value, expected = CUTS[number]
    data = json.loads(json_text({"label": "it", "value": value, "beside": 1}))
    assert data == {"label": "it", "value": expected, "beside": 1, "tokenvis.cut": ["value"]}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Unfinished("why?"), {"question": "why?"}),
        (HostileStep("a"), "✂ <HostileStep, whose repr() raises ZeroDivisionError>"),
        (datetime(2026, 1, 2, tzinfo=Timeless()), "✂ <datetime, whose repr() raises ZeroDivisionError>"),
        (HostileEnum.ONE, 1),
        (Itself.ONE, "✂ <Itself, whose repr() raises RecursionError>"),
    ],
    ids=range(5),
)
@pytest.mark.parametrize("within", [lambda value: value, lambda value: [{"inner": (value,)}]], ids=["", "in others"])
def test_values_that_would_crash_orjson_are_encoded_in_python(value, kept, within):
    data = json.loads(json_text({"value": within(value)}))
    assert data["value"] == (kept if within(0) == 0 else [{"inner": [kept]}])
    assert ("tokenvis.cut" in data) == str(kept).startswith("✂")


def test_an_orjson_fragment_is_cut():
    data = json.loads(json_text({"value": orjson.Fragment(b"{")}))
    assert data["value"].startswith("✂ <orjson.Fragment object")


def test_a_span_is_stored_as_its_id():
    class Span(StoredById):
        def __repr__(self):
            return "a span"

    span = Span()
    span.id = "t/7"
    assert json.loads(json_text({"parent_id": span, "links": [span, "t/8"]})) == {"parent_id": "t/7", "links": ["t/7", "t/8"]}
    span.id = ""
    assert json.loads(json_text({"value": span}))["value"] == "✂ a span"
    with pytest.raises(TypeError, match=r"^a span cannot be copied or sent to another process\. Send its id instead\.$"):
        pickle.dumps(span)


SUBCLASSES = [
    (HostileText("a"), "a"),
    (HostileNumber(3), 3),
    (HostileFloat(0.5), 0.5),
    ({HostileText("k"): 1}, {"k": 1}),
]


@pytest.mark.parametrize("number", range(len(SUBCLASSES)))
def test_subclasses_cannot_hide_the_type_of_a_value(number):
    value, kept = SUBCLASSES[number]
    assert json.loads(json_text({"value": value, "path": Path("x")}))["value"] == kept


PRETENDERS = [Unbound(), Mock(spec=str), Mock(spec=dict), sys, Endless(), deep(300), deep(50_000)]


@pytest.mark.parametrize("number", range(len(PRETENDERS)))
def test_pretenders_and_endless_values_are_cut(number):
    text = json_text({"value": PRETENDERS[number]})
    assert json.loads(text)["tokenvis.cut"] == ["value"]
    assert is_valid(text)
    assert len(text) < 3_000_000


WHOLES = [Hostile(), Unbound(), HostileMapping(), Endless(), [1, 2], "text", None, {1: Hostile()}, 3]


@pytest.mark.parametrize("number", range(len(WHOLES)))
def test_data_that_is_not_an_object_becomes_one(number):
    text = json_text(WHOLES[number], {"status": "error"})
    assert is_valid(text)
    assert json.loads(text)["status"] == "error"


def test_extra_keys_override_keys_of_the_data():
    assert json_text({"status": "ok", "n": 1}, {"status": "open"}) == '{"status":"open","n":1}'
    assert json_text({"n": Path("x"), "status": "ok"}, {"status": "open"}) == '{"status":"open","n":"x"}'


def test_the_parent_is_the_last_key_and_priority_keys_always_fit():
    data = {f"text {number}": "x" * 1_000_000 for number in range(9)} | {"label": "it", "parent_id": "p"}
    text = json_text(data, {"status": "error"})
    assert text.endswith(',"parent_id":"p"}')
    kept = json.loads(text)
    assert (kept["label"], kept["status"]) == ("it", "error")
    assert kept["tokenvis.cut"] == [f"text {number}" for number in range(4, 9)]
    assert len(text) < 4_300_000


def test_two_keys_with_one_name_are_marked():
    assert json.loads(json_text({"a": {1: "x", "1": "y"}})) == {"a": {"1": "y"}, "tokenvis.cut": ["a"]}


@dataclass(frozen=True)
class Odd:
    """A placeholder for a value that hypothesis could not print."""

    number: int


ODDITIES = [Hostile, Unbound, HostileMapping, OddClass, object, cycle, Endless, bytes, lambda: HostileText("hidden")]
ODD = st.integers(0, len(ODDITIES) - 1).map(Odd)
ODD_TEXTS = st.text(max_size=60) | st.just("\0" * 99) | st.just("\ud800")
KEYS = ODD_TEXTS | st.integers() | st.none() | st.tuples(st.integers())
WILD = st.recursive(
    ODD | ODD_TEXTS | st.integers() | st.floats() | st.just(10**500),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(KEYS, inner, max_size=9) | st.tuples(inner),
    max_leaves=60,
)


def made(plan):
    """The plan with its placeholders replaced by odd values."""
    if isinstance(plan, dict):
        return {key: made(item) for key, item in plan.items()}
    if isinstance(plan, list):
        return [made(item) for item in plan]
    if isinstance(plan, tuple):
        return Around(made(plan[0]))
    return ODDITIES[plan.number]() if isinstance(plan, Odd) else plan


@given(st.dictionaries(KEYS, WILD) | WILD, st.integers(2, 30), st.integers(20, 300))
def test_any_data_becomes_a_valid_object_below_a_limit(plan, items, most):
    with pytest.MonkeyPatch.context() as patch:
        limits = {"MAX_SNAPSHOT_ITEMS": items, "MAX_SNAPSHOT_CHARACTERS": most, "MAX_TEXT_CHARACTERS": 40}
        for name, value in {**limits, "MAX_REPR_CHARACTERS": 10, "KEPT_CHARACTERS": 5}.items():
            patch.setattr(snapshot, name, value)
        text = json_text(made(plan), {"parent_id": "p"})
    assert is_valid(text)
    assert json.loads(text).get("parent_id") == "p"
    text.encode()
    assert len(text) < 6 * (most + 60 * 4) + 40 * items + 2_000


def test_data_is_encoded_even_if_the_stack_is_almost_full():
    texts = []

    def recurse(levels):
        try:
            recurse(levels + 1)
        finally:
            if len(texts) < 100:
                with suppress(RecursionError):
                    texts.append(json_text({"value": Path("x"), "inner": [[{1: 2}]]}))

    with pytest.raises(RecursionError):
        recurse(0)
    assert all(map(is_valid, texts))


NAMES = [
    ("Ann", "Ann"),
    ("Zoë 🦊", "Zoë 🦊"),
    (7, "7"),
    (None, "None"),
    (Color.RED, "red"),
    (HostileText("a"), "a"),
    ("a\ud800", "a\N{REPLACEMENT CHARACTER}"),
    (Unbound, "<class 'test_snapshot.Unbound'>"),
    (Hostile(), "<Hostile, whose repr() raises ZeroDivisionError>"),
    ("x" * 20_000, CUT_MARK + "x" * 2_000 + "… (20,000 characters)"),
]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_name_is_a_text(number):
    value, name = NAMES[number]
    made = name_text(value)
    assert (made, type(made)) == (name, str)


def test_data_that_changes_during_encoding_is_complete(monkeypatch):
    """A mapping is copied in one step, so a change in between is no error."""
    monkeypatch.setattr(snapshot, "MAX_TEXT_CHARACTERS", 100)
    data = {"value": {number: number for number in range(1_000)}}

    class Changing:
        def __repr__(self):
            data["value"][random.random()] = 1
            return "changed"

    data["value"][5] = Changing()
    kept = json.loads(json_text(data))
    assert kept["value"]["5"] == "✂ changed"
    assert len(kept["value"]) == 1_000
