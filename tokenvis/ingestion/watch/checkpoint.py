"""The checkpoint: a small file beside the database that records which sessions a watch has already read.

A **stamp** detects that a file has changed: its size, modification time and inode. If the checkpoint is missing or damaged, or
the database has fewer spans than it records, the sessions are read again, which changes nothing in the store.
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
from tokenvis.output import atomic_write

CHECKPOINT_SUFFIX = "-watched.json"
CHECKPOINT_VERSION = 3  # 3: first spans have the version of the program; sessions read before are read again
SAVE_INTERVAL_S = 10.0  # minimum time between two writes of the checkpoint

FileStamp: TypeAlias = tuple[int, int, int]


def stat_stamp(status: os.stat_result) -> FileStamp:
    """The stamp of a file from its status."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def file_stamp(path: str) -> FileStamp | None:
    """The stamp of the file at a path, None if there is none."""
    try:
        return stat_stamp(os.stat(path))  # noqa: PTH116  (called often)
    except (OSError, ValueError):
        return None


@dataclass
class FileEntry:
    """An inspected file: its stamp and, for a session file, its format, its family and the parent family (``above``).

    ``is_fork`` is set for a thread that continues a copy of its parent thread.
    """

    stamp: FileStamp
    format: str | None = None
    family: str | None = None
    above: str | None = None
    is_fork: bool = False


def main_file(path: str, entry: FileEntry) -> str:
    """The main file of the session that a subagent's file belongs to; any other path unchanged."""
    names = (entry.above, entry.family)
    return next((name for name in names if name and os.path.isabs(name)), path)  # noqa: PTH117  (called often)


@dataclass
class SessionEntry:
    """A session that was read: the stamps of its files, its spans by trace, and the values of its options."""

    stamps: dict[str, FileStamp | None]
    traces: dict[str, int]
    manner: list[str | None]


@dataclass
class Checkpoint:
    """Files by path and sessions by family, as they were last read into a database."""

    database: Path
    files: dict[str, FileEntry] = field(default_factory=dict)
    sessions: dict[str, SessionEntry] = field(default_factory=dict)
    saved_at: float = 0.0

    @property
    def path(self) -> Path:
        """The checkpoint file beside the database."""
        return self.database.with_name(self.database.name + CHECKPOINT_SUFFIX)

    def load(self, n_spans: Mapping[str, int]) -> None:
        """Read the saved checkpoint, except sessions with fewer spans in the database, or without any remaining file.

        Missing files of the remaining sessions stay in the checkpoint.
        """
        self.saved_at = time.monotonic()
        saved = saved_checkpoint(self.path)
        for family, session in saved.sessions.items():
            is_complete = all(n_spans.get(trace, 0) >= count for trace, count in session.traces.items())
            if is_complete and any(path in saved.files and file_stamp(path) for path in session.stamps):
                self.sessions[family] = session
        session_paths = {path for session in self.sessions.values() for path in session.stamps}
        for path, entry in saved.files.items():
            if path in session_paths or (file_stamp(path) and file_stamp(main_file(path, entry))):
                self.files[path] = entry

    def is_due(self) -> bool:
        """Whether the checkpoint was not written for a while."""
        return time.monotonic() - self.saved_at >= SAVE_INTERVAL_S

    def save(self, *, force: bool = False) -> None:
        """Write the checkpoint, at most once per `SAVE_INTERVAL_S` unless ``force``; entries of another watch are merged.

        A failed write is ignored: the next watch then reads some sessions again.
        """
        if not force and not self.is_due():
            return
        self.saved_at = time.monotonic()
        saved = saved_checkpoint(self.path)
        files = {path: asdict(entry) for path, entry in (saved.files | self.files).items()}
        sessions = {family: asdict(session) for family, session in (saved.sessions | self.sessions).items()}
        with suppress(OSError, BadOption), atomic_write(self.path) as file:
            file.write(json.dumps({"version": CHECKPOINT_VERSION, "files": files, "sessions": sessions}).encode())


def saved_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint saved in a file; an empty one if the file is missing or damaged."""
    checkpoint = Checkpoint(path)
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        content = json.loads(path.read_bytes())
        if content["version"] == CHECKPOINT_VERSION:
            files = {name: FileEntry(file_stamp_from(entry.pop("stamp")), **entry) for name, entry in content["files"].items()}
            sessions = {family: session_entry_from(session) for family, session in content["sessions"].items()}
            checkpoint.files, checkpoint.sessions = files, sessions
    return checkpoint


def session_entry_from(session: dict[str, Any]) -> SessionEntry:
    """A session from its JSON form; an error if it is malformed."""
    stamps = {path: None if stamp is None else file_stamp_from(stamp) for path, stamp in session["stamps"].items()}
    return SessionEntry(stamps, {trace: int(count) for trace, count in session["traces"].items()}, list(session["manner"]))


def file_stamp_from(values: list[int]) -> FileStamp:
    """A stamp from its JSON form; an error if it is malformed."""
    size, modified, inode = values
    return int(size), int(modified), int(inode)
