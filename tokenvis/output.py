"""Output: complete files, and texts from traces that are safe in spreadsheets and terminals.

Files are written atomically: to a temporary file in the same folder, which replaces the target once it is complete. A new file
is private; a file that exists keeps its mode, its group and its access list.

A spreadsheet may run a CSV cell as a formula if it begins with one of ``= + - @``, a tab, a line break or a null character. An
apostrophe is put in front of it. A text that begins with an apostrophe gets another one, and an empty text becomes one, so that
it is not a missing value: escaping is reversible.

Terminals, lists and titles show a text from a trace on one line. Line breaks become spaces; control characters, direction marks
and invisible characters become U+FFFD; joiners (U+200C, U+200D) stay, because some scripts need them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tokenvis.errors import BadOption, is_invisible, quoted
from tokenvis.private import copy_access
from tokenvis.temporary import clear_leftovers, create_part_file

FORMULA_STARTS = "=+-@\t\r\n\0"
MAX_LINE_LENGTH = 200


def writable_path(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be written; `BadOption` if it cannot."""
    if not isinstance(path, str | os.PathLike):
        raise BadOption(f"path={quoted(path)} is not a path.")
    try:
        target = Path(path).expanduser()
    except RuntimeError as error:  # ~user does not exist
        raise BadOption(f"path={quoted(str(path))}: {error}") from None
    if "\0" in str(target):
        raise BadOption(f"path={quoted(str(path))} contains a null character, which is not allowed in a path.")
    if not target.parent.is_dir():
        raise BadOption(f"path={quoted(str(path))}: the folder {quoted(str(target.parent))} does not exist. Create it first.")
    if target.exists() and not target.is_file():
        raise BadOption(f"path={quoted(str(path))} is {'a folder' if target.is_dir() else 'not a regular file'}.")
    return target


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file to write to, which replaces ``path`` if no error is raised; a new file is private."""
    target = Path(os.path.realpath(path))  # the file that a link points to
    clear_leftovers(target.parent)
    try:
        temporary, descriptor = create_part_file(target.parent)
    except OSError as error:
        raise BadOption(f"path={quoted(str(path))} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            copy_access(target, file.fileno())
            if sys.platform != "win32":
                temporary.replace(target)  # while it is locked
        if sys.platform == "win32":  # it replaces no open file
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def escape_cell(text: str) -> str:
    """A text as a CSV cell that is not empty, and that a spreadsheet does not run as a formula.

    Examples
    --------
    >>> escape_cell("=1+1"), escape_cell("ann"), escape_cell("'90s"), escape_cell("")
    ("'=1+1", 'ann', "''90s", "'")
    """
    return f"'{text}" if text[:1] in {*FORMULA_STARTS, "'", ""} else text


def unescape_cell(cell: str) -> str:
    """The text of a cell written by `escape_cell`; any other cell unchanged.

    Examples
    --------
    >>> unescape_cell("'=1+1"), unescape_cell("ann"), unescape_cell("'80s"), unescape_cell("'")
    ('=1+1', 'ann', "'80s", '')
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {*FORMULA_STARTS, "'", ""} else cell


def one_line(text: str, max_length: int = MAX_LINE_LENGTH) -> str:
    r"""A text as one line without control characters, cut to ``max_length`` characters.

    Examples
    --------
    >>> one_line("two\nlines"), one_line("\x1b[31mred"), one_line("x" * 300, 3)
    ('two lines', '�[31mred', 'xxx…')
    """
    cut = text if len(text) <= max_length else f"{text[:max_length]}…"
    if cut.isprintable():
        return cut
    return "".join(visible_character(character) for character in cut)


def visible_character(character: str) -> str:
    """A space for a line break or tab, U+FFFD for an invisible character, any other character unchanged."""
    if character in "\n\r\t\v\f":
        return " "
    return "\ufffd" if is_invisible(character) else character
