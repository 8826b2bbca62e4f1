"""Temporary files: locked as long as their process lives, so that those of a killed process are recognised and removed.

The operating system releases a lock when its process ends, however it ends. So a file that can be locked is a **leftover**,
which no process uses; also if containers with separate process ids share the folder. A process may lose a file that it has
created and not locked yet to another process that clears leftovers; it then takes a new name.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

from tokenvis.private import create_private_file, create_private_folder, new_private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FOLDER_PREFIX, HIDDEN_PREFIX, PART_SUFFIX = "tokenvis-", ".tokenvis-", ".part"
LOCK_SUFFIX = ".lock"  # of files that processes lock in turn
LOCK_NAME, FILES_NAME = ".tokenvis-lock", "files"  # in a temporary folder
OPEN_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

LOCKED_BYTE = 0x7FFFFFFE  # Windows lets no other process read a locked byte, so it is one beyond the end


def lock_file(descriptor: int) -> bool | None:
    """Try to lock a file; return whether it is locked now, or None on a file system without locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return lock_byte(descriptor)
    except BlockingIOError:
        return False
    except OSError:
        return None


def lock_byte(descriptor: int) -> bool | None:
    """Try to lock a file on Windows; as `lock_file`."""
    if sys.platform != "win32":
        return None
    import msvcrt

    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except PermissionError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


def create_locked_file(path: Path) -> int | None:
    """Create a private file, locked if possible, and return its descriptor; None if another process has taken it already."""
    descriptor = create_private_file(path)
    if lock_file(descriptor) is False or not path.exists():
        os.close(descriptor)
        return None
    return descriptor


def create_part_file(folder: Path) -> tuple[Path, int]:
    """Create a locked file, which replaces a file of that folder once it is complete: its path and its descriptor."""
    while True:
        path = folder / f"{HIDDEN_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}"
        if (descriptor := create_locked_file(path)) is not None:
            return path, descriptor


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A private folder that is removed at the end: in the system's temporary folder, or hidden in ``parent``."""
    folder, lock = create_locked_folder(parent)
    try:
        create_private_folder(folder / FILES_NAME)
        yield folder / FILES_NAME
    finally:
        remove_folder(folder, lock)


def create_locked_folder(parent: Path | None) -> tuple[Path, int]:
    """Create a folder with a locked file: the folder, and the descriptor of that file."""
    while True:
        folder = new_private_folder(parent or Path(gettempdir()), HIDDEN_PREFIX if parent else FOLDER_PREFIX)
        try:
            lock = create_locked_file(folder / LOCK_NAME)
        except OSError:  # the disk is full
            folder.rmdir()
            raise
        if lock is not None:
            return folder, lock


def remove_folder(folder: Path, lock: int) -> None:
    """Remove a temporary folder and its lock, and close the lock; it is kept as long as a file cannot be removed."""
    shutil.rmtree(folder / FILES_NAME, ignore_errors=True)
    if sys.platform == "win32":  # it removes no open file, so none that another process is about to lock
        os.close(lock)
    if not (folder / FILES_NAME).exists():
        with suppress(OSError):
            (folder / LOCK_NAME).unlink()
            folder.rmdir()
    if sys.platform != "win32":
        os.close(lock)


def clear_leftovers(parent: Path | None = None) -> None:
    """Remove what killed processes of this user have left in a folder, by default the system's temporary folder.

    A file or folder stays if it belongs to another user or to a process that runs, or has no lock; and so does a link.
    """
    with suppress(OSError), os.scandir(parent or gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith((FOLDER_PREFIX, HIDDEN_PREFIX)):
                with suppress(OSError):
                    clear_leftover(entry)


def clear_leftover(entry: "os.DirEntry[str]") -> None:
    """Remove a temporary folder, a file that was not completed, or one that was locked, if it is a leftover of this user."""
    path, is_folder = Path(entry.path), entry.is_dir(follow_symlinks=False)
    is_file = (
        entry.is_file(follow_symlinks=False) and entry.name.endswith((PART_SUFFIX, LOCK_SUFFIX)) and sys.platform != "win32"
    )
    if not (is_folder or is_file) or not is_of_this_user(entry.stat(follow_symlinks=False)):
        return
    lock = claim(path / LOCK_NAME if is_folder else path)
    if lock is None:
        return
    if is_folder:
        remove_folder(path, lock)
    else:
        with suppress(OSError):
            path.unlink()
        os.close(lock)


def claim(path: Path) -> int | None:
    """The descriptor of a file of this user that no process had locked, locked now; None if it is another one."""
    descriptor = os.open(path, OPEN_FLAGS)
    if is_of_this_user(os.fstat(descriptor)) and lock_file(descriptor) and path.exists():
        return descriptor
    os.close(descriptor)
    return None


def is_of_this_user(status: os.stat_result) -> bool:
    """Whether a file belongs to the user of this process; Windows does not tell, but each user has a temporary folder there."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()
