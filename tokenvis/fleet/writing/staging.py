"""Staging: the files of an export appear together once all of them are complete.

On this machine they are written into a hidden, locked folder, which engines and readers ignore, flushed to the disk, and
renamed at the end: a new folder in one step, several files in an existing folder one after the other. What a killed export
leaves is removed by the next one. In another file system, each file appears when it is complete, and the files of an export
that fails are deleted; those of one that is killed stay.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tokenvis.errors import BadOption, FleetError, quoted
from tokenvis.fleet.sources.places import Place, reason_of
from tokenvis.private import create_private_file
from tokenvis.temporary import clear_leftovers, lock_file, temporary_folder

MAX_WAIT_S, PUBLISH_POLL_S = 60.0, 0.02  # for another export to publish its files


class Stage:
    """The files of an export: `file` writes one, `publish` shows all of them."""

    def __init__(self, place: Place, folder: Path | None) -> None:
        self.place, self.folder = place, folder
        self.names: list[str] = []

    @contextmanager
    def file(self, name: str) -> Iterator[Any]:
        """A file to write to."""
        self.names.append(name)
        if self.folder is None:
            with self.place.filesystem.open_output_stream(f"{self.place.path.rstrip('/')}/{name}") as stream:
                yield stream
            return
        with os.fdopen(create_private_file(self.folder / name), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for other exports to this folder that publish, and let others wait; not in a bucket, nor on Windows."""
        target = self.place.local
        try:
            descriptor = None if target is None else os.open(target.resolve().parent, os.O_RDONLY)
        except OSError:
            descriptor = None
        try:
            last = time.monotonic() + MAX_WAIT_S
            while descriptor is not None and lock_file(descriptor) is False and time.monotonic() < last:
                time.sleep(PUBLISH_POLL_S)
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def publish(self) -> None:
        """Show the files, all or none."""
        target = self.place.local
        if self.folder is None or target is None:
            return
        flush_folder(self.folder)
        if not target.exists():
            with suppress(OSError):  # another process has created the folder just now
                self.folder.rename(target)
                flush_folder(target.parent)
                return
        moved: list[Path] = []
        try:
            for name in self.names:
                (self.folder / name).rename(target / name)
                moved.append(target / name)
        except BaseException:  # also an interruption
            for path in moved:
                path.unlink(missing_ok=True)
            raise
        flush_folder(target)

    def discard(self) -> None:
        """Delete the files of a failed export from a file system that shows them."""
        for name in self.names:
            with suppress(OSError):
                self.place.filesystem.delete_file(f"{self.place.path.rstrip('/')}/{name}")


@contextmanager
def staged_files(place: Place) -> Iterator[Stage]:
    """A stage for new files of a folder, which is created if it does not exist; `FleetError` if it cannot be written."""
    try:
        if (target := place.local) is None:
            place.filesystem.create_dir(place.path, recursive=True)
            stage = Stage(place, None)
            try:
                yield stage
            except BaseException:
                stage.discard()
                raise
            return
        parent = target if target.exists() else target.parent
        clear_leftovers(parent)
        with temporary_folder(parent) as folder:
            yield Stage(place, folder)
    except OSError as error:
        raise FleetError(f"{place} cannot be written: {reason_of(error)}. Nothing was added to it.") from error


def check_target(place: Place) -> None:
    """Raise `BadOption` unless a place on this machine is a folder, or can be created in one."""
    target = place.local
    if target is None or target.is_dir():
        return
    if target.exists():
        raise BadOption(f"path={quoted(place.shown)} is not a folder, as a fleet needs one.")
    if not target.parent.is_dir():
        raise BadOption(f"path={quoted(place.shown)}: the folder {quoted(str(target.parent))} does not exist. Create it first.")


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
