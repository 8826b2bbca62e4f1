"""Turns: of all ingests into a database, in any process, one at a time merges its spans with those of the database.

What an ingest writes depends on what it has read there. Two of them side by side would each miss what the other writes: an
ended span could get the row of its open snapshot. So an ingest locks a file in the temporary folder, which is named after the
database and the user, for as long as it merges. The operating system releases the lock of a process that is killed.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import gettempdir

from tokenvis.private import create_private_file
from tokenvis.temporary import FOLDER_PREFIX, LOCK_SUFFIX, OPEN_FLAGS, lock_file

POLL_S = 0.02


@contextmanager
def turn(database: str | os.PathLike[str]) -> Iterator[None]:
    """Wait until no other ingest merges its spans with those of this database, and keep others waiting meanwhile."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    digest = blake2b(f"{user} {os.path.realpath(database)}".encode(errors="surrogateescape"), digest_size=12).hexdigest()
    path = Path(gettempdir()) / f"{FOLDER_PREFIX}{digest}{LOCK_SUFFIX}"
    while (lock := locked(path)) is None:
        time.sleep(POLL_S)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(lock)


def locked(path: Path) -> int | None:
    """The descriptor of a file, created if it is missing and locked if possible; None if another ingest has locked it."""
    try:
        descriptor = create_private_file(path)
    except FileExistsError:
        try:
            descriptor = os.open(path, OPEN_FLAGS)
        except FileNotFoundError:  # its ingest has ended
            return None
    if lock_file(descriptor) is False or not is_file_at(path, descriptor):
        os.close(descriptor)
        return None
    return descriptor


def is_file_at(path: Path, descriptor: int) -> bool:
    """Whether a path still is that of an open file: another ingest may have removed it before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
