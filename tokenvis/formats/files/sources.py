"""Sources: files on disk that can be read from the start any number of times; a DataFrame is a source without a file."""

import os
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tokenvis.errors import IngestError, escaped, quoted
from tokenvis.formats.files.encodings import Encoding, file_encoding
from tokenvis.formats.files.file_places import place_text

DATABASE_NAME = re.compile(r"\.(db|sqlite3?)(-wal|-shm|-journal|-watched\.json)?$", re.IGNORECASE)


def ignore_progress(_: int) -> None:
    """Ignore a count of bytes: the default of ``Source.progress``."""


@dataclass(eq=False)
class Source:
    """Something to read: its path, its name in reports (`escaped`), and an origin that identifies it among all sources."""

    path: Path
    name: str
    origin: str
    frame: pd.DataFrame | None = None
    progress: Callable[[int], object] = field(default=ignore_progress, repr=False)
    n_bytes_read: int = 0

    def __post_init__(self) -> None:
        self.name = escaped(self.name)
        self.size = 0 if self.frame is not None else self.path.stat().st_size

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the file; the whole file is read for it, once."""
        return file_encoding(self.path)

    @cached_property
    def place(self) -> str | None:
        """The names of the file and of its nearest folders, None if the source is not a file."""
        return place_text(self.origin)

    def sibling(self, path: Path) -> "Source":
        """Another file in the same folder, or near it; of an archive, if this file was unpacked from one."""
        folder, origin = self.name.rpartition("/")[0], origin_of(path)
        if self.origin != origin_of(self.path):
            way = Path(os.path.relpath(path, self.path.parent)).as_posix().encode(errors="backslashreplace").decode()
            origin = posixpath.normpath(posixpath.join(posixpath.dirname(self.origin), way))
        return Source(path, f"{folder}/{path.name}" if folder else path.name, origin, progress=self.progress)

    def arrow_file(self) -> pa.NativeFile:
        """The file, opened by Arrow, which takes a name that is not Unicode only as bytes."""
        return pa.OSFile(os.fsencode(self.path))

    def report_position(self, position: int) -> None:
        """Report how far the source was read; reading the same bytes again does not count."""
        if position > self.n_bytes_read:
            self.progress(position - self.n_bytes_read)
            self.n_bytes_read = position


def refusal_reason(error: IngestError, name: str) -> str:
    """The message of an error about a source, without the source's name and the full stop: the reason of a problem."""
    return str(error).removeprefix(f"{name} ").removesuffix(".")


def origin_of(path: Path) -> str:
    """A text that identifies a file among all files; bytes that are not Unicode are escaped."""
    return path.absolute().as_posix().encode(errors="backslashreplace").decode()


def existing_path(requested_path: str | os.PathLike[str]) -> Path:
    """The path of an existing file or folder; `IngestError` if there is none."""
    try:
        path = Path(requested_path).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: the path contains a null character
        raise IngestError(f"There is no file or folder {Path(requested_path)}.") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).removesuffix(".")
        raise IngestError(f"{quoted(str(requested_path))} cannot be read: {reason}.") from None
    return path
