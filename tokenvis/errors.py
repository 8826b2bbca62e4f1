"""The errors of tokenvis. A message gives the bad value, what was expected, and what to do.

TokenvisError
├── StoreNotFound      the database does not exist, and reading does not create it
├── StoreError         the file is not usable as a database, or a write failed
├── TraceNotFound      no trace has that id or name
├── BadOption          an argument has an invalid value                   (a ValueError)
├── SpanError          the given spans are invalid                        (a ValueError)
│   ├── BadSpan        a row is invalid: its times, its id, its data
│   └── MissingColumn  the table lacks a column
├── IngestError        a file of traces cannot be read
└── FleetError         a fleet cannot be read, or some of its traces have no answer
"""

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Any

MAX_QUOTED_LENGTH = 60
MAX_LISTED_VALUES = 8
INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # categories of Unicode
JOINERS = "\u200c\u200d"


class TokenvisError(Exception):
    """The base class of all errors that tokenvis raises on purpose; its message is `escaped`."""

    def __init__(self, message: object = "") -> None:
        super().__init__(escaped(message))


class StoreNotFound(TokenvisError):
    """The database does not exist, and a call that only reads does not create it."""


class StoreError(TokenvisError):
    """The file is not a database of traces, cannot be opened, or a write to it failed."""


class TraceNotFound(TokenvisError):
    """No trace has that id or name."""


class BadOption(TokenvisError, ValueError):
    """An argument has an invalid value."""


class SpanError(TokenvisError, ValueError):
    """The given spans are invalid."""


class BadSpan(SpanError):
    """A span breaks a rule: its times, its id, its data."""


class MissingColumn(SpanError):
    """A table of spans lacks a column."""


class IngestError(TokenvisError):
    """A file of traces cannot be read."""


class FleetError(TokenvisError):
    """A fleet cannot be read, or some of its traces have no answer.

    Raised by `Fleet.map` because of traces without an answer, it has the ``answers`` to the other traces, and ``failures``, a
    table of those without: what the call returns with ``errors="return"``.
    """

    answers: Any = None
    failures: Any = None


def quoted(value: object) -> str:
    """``repr`` of a value, shortened: names in traces may have 10,000 characters."""
    try:
        shown = value if isinstance(value, str) else repr(value)
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply to show"
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"a value of type {type(value).__name__} with too many digits to show"
    if len(shown) > MAX_QUOTED_LENGTH:
        return f"{shown[:MAX_QUOTED_LENGTH]!r}… ({len(shown):,} characters)"
    return repr(value)


def escaped(value: object, max_length: int | None = None) -> str:
    r"""A path, or a message that contains one, as a text that is safe to print, cut to ``max_length`` characters.

    Control characters, line breaks, direction marks, invisible characters and bytes that are not Unicode are escaped, as in
    `quoted`; joiners (U+200C, U+200D) stay, because some scripts need them.

    Examples
    --------
    >>> print(escaped("run.json"), escaped("run\x1b[31m.json"), escaped("two\nlines", 4))
    run.json run\x1b[31m.json two\n…
    """
    text = str(value)
    cut = text if max_length is None or len(text) <= max_length else f"{text[:max_length]}…"
    if cut.isprintable():
        return cut
    return "".join(repr(character)[1:-1] if is_invisible(character) else character for character in cut)


def is_invisible(character: str) -> bool:
    """Whether a character controls a terminal or the direction of text, breaks a line, is invisible, or not Unicode."""
    return unicodedata.category(character) in INVISIBLE_CATEGORIES and character not in JOINERS


def listed(values: Iterable[object]) -> str:
    """Values in a sentence: ``'a', 'b' and 3 more``."""
    items = list(values)
    shown = ", ".join(quoted(value) for value in items[:MAX_LISTED_VALUES])
    return f"{shown} and {len(items) - MAX_LISTED_VALUES:,} more" if len(items) > MAX_LISTED_VALUES else shown or "none"


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """The names that are similar to a name, most similar first; only the beginnings of long names are compared."""
    by_beginning = {other[:MAX_QUOTED_LENGTH]: other for other in names}
    similar = difflib.get_close_matches(name[:MAX_QUOTED_LENGTH], by_beginning, n=MAX_LISTED_VALUES, cutoff=0.4)
    return [by_beginning[beginning] for beginning in similar]


def plural(count: int, noun: str) -> str:
    """A count and its noun: ``1 span``, ``2,000 spans``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def name_list(option: str, names: object) -> list[str]:
    """One or several names as a list; `BadOption` if they are not names."""
    if isinstance(names, str):
        return [names]
    items = list(names) if isinstance(names, Iterable) else []
    texts = [name for name in items if isinstance(name, str)]
    if len(texts) < len(items) or not isinstance(names, Iterable):
        raise BadOption(f"{option}={quoted(names)} is neither a name nor a list of names.")
    return texts


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise `BadOption` unless ``value`` is one of the choices."""
    items = list(choices)
    if value not in items:
        raise BadOption(f"{name}={quoted(value)} is not one of {listed(items)}.")
