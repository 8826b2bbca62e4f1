"""The errors of tokenvis: what is wrong with which value, what is there, what to do.

TokenvisError
├── StoreNotFound      there is no database at that place, and reading does not create one
├── StoreError         the file cannot be used, or the database refused a write
├── TraceNotFound      no trace of that id or name
├── BadOption          an argument that is none of the choices            (a ValueError)
├── SpanError          something is wrong with the spans given            (a ValueError)
│   ├── BadSpan        with a row: its times, its id, its data
│   └── MissingColumn  with the table: a column is not there
└── IngestError        a file of traces cannot be read
"""

from collections.abc import Iterable

LONGEST = 60
MOST = 8


class TokenvisError(Exception):
    """The root of the tree: every error that tokenvis raises on purpose."""


class StoreNotFound(TokenvisError):
    """There is no database at that place, and a call that only reads does not create one."""


class StoreError(TokenvisError):
    """The file is not a database of traces, cannot be used as one, or refused a write."""


class TraceNotFound(TokenvisError):
    """No trace has that id or name."""


class BadOption(TokenvisError, ValueError):
    """An argument is none of the choices there are."""


class SpanError(TokenvisError, ValueError):
    """Something is wrong with the spans that were given."""


class BadSpan(SpanError):
    """A span breaks a rule: its times, its id, its data."""


class MissingColumn(SpanError):
    """A table of spans lacks a column."""


class IngestError(TokenvisError):
    """A file of traces cannot be read."""


def quoted(value: object) -> str:
    """``repr`` of a value, cut where it is long: names from traces may hold 10,000 characters."""
    try:
        shown = value if isinstance(value, str) else repr(value)
    except RecursionError:
        return f"a {type(value).__name__} nested too deep to show"
    if len(shown) > LONGEST:
        return f"{shown[:LONGEST]!r}… ({len(shown):,} characters)"
    return repr(value)


def listed(values: Iterable[object]) -> str:
    """Values in a sentence: ``'a', 'b' and 3 more``."""
    every = list(values)
    shown = ", ".join(quoted(value) for value in every[:MOST])
    return f"{shown} and {len(every) - MOST:,} more" if len(every) > MOST else shown or "none"


def plural(count: int, noun: str) -> str:
    """A count and its noun: ``1 span``, ``2,000 spans``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def several(option: str, names: object) -> list[str]:
    """One name, or several, as a list; `BadOption` where they are no names."""
    if isinstance(names, str):
        return [names]
    every = list(names) if isinstance(names, Iterable) else []
    texts = [name for name in every if isinstance(name, str)]
    if len(texts) < len(every) or not isinstance(names, Iterable):
        raise BadOption(f"{option}={quoted(names)} is neither a name nor a list of names.")
    return texts


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise `BadOption` unless ``value`` is one of the choices."""
    every = list(choices)
    if value not in every:
        raise BadOption(f"{name}={quoted(value)} is none of the choices: {listed(every)}.")
