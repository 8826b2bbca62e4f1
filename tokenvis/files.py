"""Files that are written: as a whole or not at all, under another name beside their place, and put there when complete."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tokenvis.errors import BadOption, quoted


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
