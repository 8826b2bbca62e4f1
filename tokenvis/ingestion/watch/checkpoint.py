"""The checkpoint: what a watch has taken in, remembered in a small file beside the database, so that it is not read again.

A **stamp** tells whether a file is as it was: its size, the time of its last change, and its number in the file system. Where
the remembering is lost or damaged, or the database has less than it says, sessions are read once more, which changes nothing.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tokenvis.errors import BadOption
from tokenvis.output import replacing

SUFFIX = "-watched.json"
VERSION = 1
SAVING = 10.0  # seconds between two times at which the file is written

Stamp: TypeAlias = tuple[int, int, int]


def stamp_of(found: os.stat_result) -> Stamp:
    """What tells whether a file is as it was."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def stamp_at(path: str) -> Stamp | None:
    """The stamp of a file, None where it is not there."""
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116  (many a second)
    except (OSError, ValueError):
        return None


@dataclass
class Known:
    """A file that was looked at, and its stamp then; of a session's, its format, its family, and the family above that.

    A thread ``is_fork`` where it goes on from a copy of the one above it.
    """

    stamp: Stamp
    format: str | None = None
    family: str | None = None
    above: str | None = None
    is_fork: bool = False


def own_file(path: str, known: Known) -> str:
    """The session's own file, of a file that is one of its subagents'; of any other, that one itself."""
    names = (known.above, known.family)
    return next((name for name in names if name and os.path.isabs(name)), path)  # noqa: PTH117  (many a second)


@dataclass
class Taken:
    """A session that was taken in: the stamps of its files then, and how many spans it gave, by trace; how it was read."""

    stamps: dict[str, Stamp | None]
    traces: dict[str, int]
    manner: list[str | None]


@dataclass
class Record:
    """What was taken in: files by path, sessions by family; kept beside a database."""

    database: Path
    files: dict[str, Known] = field(default_factory=dict)
    sessions: dict[str, Taken] = field(default_factory=dict)
    saved_at: float = 0.0

    @property
    def path(self) -> Path:
        """The file beside the database."""
        return self.database.with_name(self.database.name + SUFFIX)

    def load(self, n_spans: Mapping[str, int]) -> None:
        """Read what is remembered, without sessions of which the database has fewer spans by now, or all files are gone.

        Of the other sessions, files that are gone stay known.
        """
        self.saved_at = time.monotonic()
        other = stored(self.path)
        for family, taken in other.sessions.items():
            whole = all(n_spans.get(trace, 0) >= count for trace, count in taken.traces.items())
            if whole and any(path in other.files and stamp_at(path) for path in taken.stamps):
                self.sessions[family] = taken
        taken_in = {path for taken in self.sessions.values() for path in taken.stamps}
        for path, known in other.files.items():
            if path in taken_in or (stamp_at(path) and stamp_at(own_file(path, known))):
                self.files[path] = known

    def save(self, *, now: bool = False) -> None:
        """Write the file, unless that was done a moment ago; what another watch remembers there stays, as far as it differs.

        Where it cannot be written, it is not: then more is read again, at the next time.
        """
        if not now and time.monotonic() - self.saved_at < SAVING:
            return
        self.saved_at = time.monotonic()
        other = stored(self.path)
        files = {path: asdict(known) for path, known in (other.files | self.files).items()}
        sessions = {family: asdict(taken) for family, taken in (other.sessions | self.sessions).items()}
        with suppress(OSError, BadOption), replacing(self.path) as file:
            file.write(json.dumps({"version": VERSION, "files": files, "sessions": sessions}).encode())


def stored(path: Path) -> Record:
    """What stands in the file; nothing where it is not there, or damaged."""
    record = Record(path)
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        content = json.loads(path.read_bytes())
        if content["version"] == VERSION:
            files = {name: Known(stamped(known.pop("stamp")), **known) for name, known in content["files"].items()}
            sessions = {family: taken_from(taken) for family, taken in content["sessions"].items()}
            record.files, record.sessions = files, sessions
    return record


def taken_from(taken: dict[str, Any]) -> Taken:
    """A session as it stands in the file; an error where it does not."""
    stamps = {path: None if stamp is None else stamped(stamp) for path, stamp in taken["stamps"].items()}
    return Taken(stamps, {trace: int(count) for trace, count in taken["traces"].items()}, list(taken["manner"]))


def stamped(values: list[int]) -> Stamp:
    """A stamp as it stands in the file; an error where it does not."""
    size, changed, inode = values
    return int(size), int(changed), int(inode)
