"""Places: a folder of a fleet, on this machine or in an Arrow file system such as S3.

On this machine, files are read by their path, as bytes, so that a name may be no Unicode. Elsewhere, all goes through
`pyarrow.fs`; a file system of fsspec is wrapped.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from tokenvis.errors import BadOption, FleetError, escaped, quoted


@dataclass(frozen=True)
class Place:
    """A folder: its path, and its file system; ``local`` is its path on this machine. ``str`` gives it without a password."""

    path: str
    shown: str
    filesystem: Any = None

    def __str__(self) -> str:
        return escaped(self.shown)

    @property
    def local(self) -> Path | None:
        """The path on this machine, None if the folder is elsewhere."""
        return Path(self.path) if self.filesystem is None else None

    def absolute(self) -> "Place":
        """The same place in any working folder, such as that of another process."""
        return self if self.local is None else replace(self, path=str(self.local.absolute()))

    def parent(self) -> tuple["Place", str]:
        """The folder that has this path, and the name of this path in it."""
        path = self.path.rstrip("/" if self.local is None else f"/{os.sep}")
        folder = str(Path(path).parent) if self.local is not None else path.rpartition("/")[0]
        name = Path(path).name if self.local is not None else path.rpartition("/")[2]
        shown = self.shown.rstrip("/").removesuffix(name).rstrip("/")
        return Place(folder, shown or folder, self.filesystem), name

    def names(self) -> dict[str, bool] | None:
        """The names in the folder, sorted, and whether each is a folder; None for a file. `FleetError` if there is none."""
        try:
            entries = local_entries(Path(self.path)) if self.local is not None else remote_entries(self.filesystem, self.path)
        except FileNotFoundError:
            raise FleetError(f"There is no folder {self}. export(source, folder, format='fleet') writes one.") from None
        except OSError as error:
            raise FleetError(f"{self} cannot be listed: {reason_of(error)}.") from error
        return None if entries is None else dict(sorted(entries.items()))

    def exists(self) -> bool:
        """Whether there is such a folder or file; `FleetError` if the file system does not tell."""
        try:
            if self.local is not None:
                return self.local.exists()
            return bool(self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound)
        except OSError as error:
            raise FleetError(f"{self} cannot be listed: {reason_of(error)}.") from error

    def opened(self, name: str) -> pa.NativeFile:
        """A file of the folder; `OSError` if it cannot be opened."""
        if self.local is not None:
            return pa.OSFile(os.fsencode(self.local / name))
        return self.filesystem.open_input_file(f"{self.path.rstrip('/')}/{name}")


def local_entries(folder: Path) -> dict[str, bool] | None:
    """The names in a folder of this machine, and whether each is a folder; None for a file."""
    if folder.is_file():
        return None
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_dir() for entry in entries if entry.is_dir() or entry.is_file()}  # no pipes


def remote_entries(filesystem: Any, folder: str) -> dict[str, bool] | None:
    """The names in a folder of a file system, and whether each is a folder; None for a file."""
    if filesystem.get_file_info(folder).type == fs.FileType.File:
        return None
    infos = filesystem.get_file_info(fs.FileSelector(folder))
    return {info.base_name: info.type == fs.FileType.Directory for info in infos}


def place_of(path: str | os.PathLike[str], filesystem: Any = None) -> Place:
    """The folder that a caller names: by a path, by a URL such as ``s3://bucket/spans``, or by a path in a file system.

    `BadOption` if it cannot be one.
    """
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise BadOption(f"path={quoted(path)} is not a path.")
    text = os.fspath(path)
    if "\0" in text:
        raise BadOption(f"path={quoted(text)} contains a null character, which is not allowed in a path.")
    if filesystem is not None:
        return Place(text, text, arrow_filesystem(filesystem))
    if "://" in text:
        return place_of_url(text)
    try:
        return Place(str(Path(text).expanduser()), text or os.curdir)
    except RuntimeError as error:  # ~user does not exist
        raise BadOption(f"path={quoted(text)}: {error}") from None


def place_of_url(url: str) -> Place:
    """The folder of a URL; `BadOption` if Arrow has no file system for it."""
    shown = without_password(url)
    try:
        filesystem, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError, ImportError) as error:
        reason = reason_of(ValueError(str(error).replace(url, shown)))
        raise BadOption(f"path={quoted(shown)} is not a URL of an Arrow file system: {reason}.") from None
    return Place(path, shown, None if isinstance(filesystem, fs.LocalFileSystem) else filesystem)


def without_password(url: str) -> str:
    """A URL without the user and the password in it, and without options."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if "@" in host or ":" in host:  # a password may have a slash, though it should be encoded
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{rest.partition('?')[0].partition('#')[0]}"


def arrow_filesystem(filesystem: Any) -> Any:
    """An Arrow file system, also of one of fsspec; `BadOption` if it is neither."""
    if isinstance(filesystem, fs.LocalFileSystem):
        return None
    if isinstance(filesystem, fs.FileSystem):
        return filesystem
    if hasattr(filesystem, "protocol") and hasattr(filesystem, "open"):
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    raise BadOption(f"filesystem={quoted(filesystem)} is not a file system of pyarrow.fs or fsspec.")


def reason_of(error: BaseException) -> str:
    """Why a file cannot be used, on one line, without the full stop."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).removesuffix(".") or type(error).__name__


@contextmanager
def as_fleet_error(place: Place, name: str) -> Iterator[None]:
    """Convert errors of a file that is read to `FleetError`."""
    try:
        yield
    except FileNotFoundError:
        raise FleetError(
            f"{quoted(name)} was in {place} when the folder was listed, and is gone. Open the fleet again."
        ) from None
    except (pa.ArrowException, OSError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise FleetError(
            f"{quoted(name)} in {place} is damaged, or no Parquet file ({reason_of(error)}). "
            "Restore it, or remove it and export its traces again."
        ) from error
