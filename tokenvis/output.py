"""Output: what leaves the process is whole, and harmless where it arrives.

Files are written as a whole or not at all: under another name beside their place, and put there when complete.

Cells of a CSV file that begin with one of ``= + - @``, a tab, a line break or a null character may be run as formulas by a
spreadsheet; an apostrophe before such a text makes it a text. So that this can be undone, a text that begins with an apostrophe
gets one more.

Texts from a trace are shown by a terminal, a list or a title on one line: line breaks, which would make lines of their own, and
characters that a terminal acts on, that turn the text around or that nobody sees become one that is seen; those that join
letters (U+200C, U+200D) stay.
"""

import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tokenvis.errors import BadOption, quoted

RUN = "=+-@\t\r\n\0"
LONGEST = 200
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # categories of Unicode
JOINERS = "\u200c\u200d"


def place_of(path: str | os.PathLike[str]) -> Path:
    """Where a file can be written; `BadOption` where it cannot."""
    if not isinstance(path, str | os.PathLike):
        raise BadOption(f"path={quoted(path)} is no path of a file.")
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:  # ~somebody who is not there
        raise BadOption(f"path={quoted(str(path))}: {error}") from None
    if "\0" in str(place):
        raise BadOption(f"path={quoted(str(path))} holds a null character, which no name of a file can.")
    if not place.parent.is_dir():
        raise BadOption(f"path={quoted(str(path))}: there is no folder {quoted(str(place.parent))}. Make it first.")
    if place.exists() and not place.is_file():
        raise BadOption(f"path={quoted(str(path))} is {'a folder' if place.is_dir() else 'no ordinary file'}.")
    return place


@contextmanager
def replacing(place: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which takes the place of the one that is there once all went well."""
    target = Path(os.path.realpath(place))  # not a link to it
    temporary = target.with_name(f".tokenvis-{secrets.token_hex(8)}.part")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise BadOption(f"path={quoted(str(place))} cannot be written: {error.strerror}.") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def defused(text: str) -> str:
    """A text as a cell that no spreadsheet runs.

    Examples
    --------
    >>> defused("=1+1"), defused("ann"), defused("'tis")
    ("'=1+1", 'ann', "''tis")
    """
    return f"'{text}" if text[:1] in {*RUN, "'"} else text


def restored(cell: str) -> str:
    """The text that `defused` made a cell of; any other cell as it is.

    Examples
    --------
    >>> restored("'=1+1"), restored("ann"), restored("'twas")
    ('=1+1', 'ann', "'twas")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {*RUN, "'"} else cell


def one_line(text: str, longest: int = LONGEST) -> str:
    r"""A text as one line without characters that act, cut where it is longer than ``longest`` characters.

    Examples
    --------
    >>> one_line("two\nlines"), one_line("\x1b[31mred"), one_line("x" * 300, 3)
    ('two lines', '�[31mred', 'xxx…')
    """
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    if cut.isprintable():
        return cut
    return "".join(seen(letter) for letter in cut)


def seen(letter: str) -> str:
    """A character as it is, a line break or a tab as a space, one that is not seen as U+FFFD."""
    if letter in "\n\r\t\v\f":
        return " "
    return "\ufffd" if unicodedata.category(letter) in UNSEEN and letter not in JOINERS else letter
