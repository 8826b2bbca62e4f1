"""Sources: whatever was given, as files on disk that can be read from their start, as often as a reader likes.

A folder is all files below it. What is packed (.zip, .gz, .zst, told by the first bytes) is unpacked into a temporary folder,
within a bound, and never outside of it; an open stream is copied there. A DataFrame is a source without a file.
"""

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import IO, Any, TypeAlias

import pandas as pd
import pyarrow as pa

from tokenvis.errors import IngestError, plural, quoted

DATABASE = re.compile(r"\.(db|sqlite3?)(-wal|-shm|-journal|-watched\.json)?$", re.IGNORECASE)
ZIP, GZIP, ZSTD = b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PIECE = 1 << 20
SMALL_PIECE = 1 << 14  # what is lost at most where something packed is cut off
FREELY = 100 << 20  # bytes that anything may unpack to;
RATIO = 200  # beyond them, this many times its own size: real traces pack to a hundredth at best
MOST_MEMBERS = 100_000
DEEPEST_PACKING = 3  # a .gz in a .zip in a .zip

Complaint: TypeAlias = Callable[[str, str], None]  # told the name of a source, and what is wrong with it


def ignored(_: int) -> None:
    """A count of bytes that nobody asked for."""


@dataclass(eq=False)
class Source:
    """Something to read: its bytes' place, its name in reports, and what tells it from every other source."""

    path: Path
    name: str
    origin: str
    frame: pd.DataFrame | None = None
    progress: Callable[[int], object] = field(default=ignored, repr=False)
    n_read: int = 0

    def __post_init__(self) -> None:
        self.size = 0 if self.frame is not None else self.path.stat().st_size

    def beside(self, path: Path) -> "Source":
        """Another file of the same place."""
        folder = self.name.rpartition("/")[0]
        return Source(path, f"{folder}/{path.name}" if folder else path.name, origin_of(path), progress=self.progress)

    def told(self, position: int) -> None:
        """Report how far it was read; a second reading does not count."""
        if position > self.n_read:
            self.progress(position - self.n_read)
            self.n_read = position


def origin_of(path: Path) -> str:
    """What tells a file from every other."""
    return path.absolute().as_posix()


def sources_in(given: Any, folder: Path, complain: Complaint) -> Iterator[Source]:
    """The sources in what a caller gave; what has to be unpacked or copied goes into ``folder``."""
    if isinstance(given, pd.DataFrame):
        yield Source(folder, "the DataFrame", "DataFrame", frame=given)
    elif hasattr(given, "read"):
        yield from unpacked(copied(given, folder), folder, complain)
    elif isinstance(given, str | os.PathLike):
        yield from files_at(checked(given), folder, complain)
    else:
        raise IngestError(f"{quoted(given)} is no path, open file or DataFrame.")


def checked(given: str | os.PathLike[str]) -> Path:
    """A path of something that is there."""
    try:
        path = Path(given).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a ValueError where it holds a null character
        raise IngestError(f"There is no file or folder {Path(given)}.") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).removesuffix(".")
        raise IngestError(f"{quoted(str(given))} cannot be read: {reason}.") from None
    return path


def files_at(path: Path, folder: Path, complain: Complaint) -> Iterator[Source]:
    """A file, or all files below a folder.

    Databases are not opened, not even to look at them: see `store.connections`.
    """
    if path.is_file():
        if DATABASE.search(path.name):
            raise IngestError(f"{path.name} is a SQLite database. load_spans(store={str(path)!r}) reads one of tokenvis.")
        yield from unpacked(Source(path.absolute(), path.name, origin_of(path)), folder, complain)
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not DATABASE.search(file.name):
            try:
                yield from unpacked(Source(file.absolute(), file.name, origin_of(file)), folder, complain)
            except IngestError as error:
                complain(file.name, str(error).removesuffix("."))


def copied(stream: Any, folder: Path) -> Source:
    """An open file, from where it stands to its end."""
    name = getattr(stream, "name", None)
    name = Path(name).name if isinstance(name, str) and name else "stream"
    path = folder / "stream"
    with path.open("wb") as file:
        while piece := stream.read(PIECE):
            file.write(piece.encode() if isinstance(piece, str) else piece)
    return Source(path, name, f"stream {name}")


def unpacked(source: Source, folder: Path, complain: Complaint, depth: int = 0) -> Iterator[Source]:
    """A source as it is, or what was packed in it."""
    start = first_bytes(source)
    if start.startswith(ZIP) and not is_evaluation(source):
        members = archived(source, folder, complain)
    elif start.startswith((GZIP, ZSTD)):
        members = decompressed(source, folder, complain, "gzip" if start.startswith(GZIP) else "zstd")
    else:
        yield source
        return
    if depth == DEEPEST_PACKING:
        raise IngestError(f"{source.name} is packed more than {DEEPEST_PACKING} times.")
    for member in members:
        yield from unpacked(member, folder, complain, depth + 1)


def first_bytes(source: Source) -> bytes:
    """Enough to tell what a file is."""
    try:
        with source.path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise IngestError(f"{source.name} cannot be read: {error.strerror}.") from error


def is_evaluation(source: Source) -> bool:
    """Whether an archive is the log of an evaluation, which is one thing: its reader unpacks it."""
    return any(name in ("header.json", "_journal/start.json") for name in members_of(source))


def members_of(source: Source) -> list[str]:
    """The names in an archive, none where it is damaged."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def bound_of(source: Source) -> int:
    """How many bytes a source may unpack to."""
    return max(FREELY, RATIO * source.size)


def archived(source: Source, folder: Path, complain: Complaint) -> Iterator[Source]:
    """The files of a .zip, one after another in the order of their names."""
    place = new_folder(folder)
    left = bound_of(source)
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = sorted((entry for entry in archive.infolist() if not entry.is_dir()), key=lambda entry: entry.filename)
            if len(members) > MOST_MEMBERS:
                raise IngestError(f"{source.name} holds {plural(len(members), 'file')}; at most {MOST_MEMBERS:,} are unpacked.")
            made = []
            for entry in members:
                name = f"{source.name}/{entry.filename}"
                path = inside(place, entry.filename)
                if path is None:
                    complain(name, "its path leads out of the archive; it is left out")
                    continue
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as packed:
                        left -= copy_within(packed, path, left, source)
                except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                    complain(name, f"cannot be unpacked ({str(error).removesuffix('.')})")
                    continue
                made.append(Source(path, name, f"{source.origin}/{entry.filename}"))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise IngestError(f"{source.name} cannot be unpacked: {str(error).removesuffix('.')}.") from None
    yield from made


def new_folder(folder: Path) -> Path:
    """A folder of its own for what is unpacked."""
    return Path(mkdtemp(dir=folder))


def inside(place: Path, name: str) -> Path | None:
    """Where a member of an archive goes, None where that would be elsewhere."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    return place.joinpath(*parts)


def decompressed(source: Source, folder: Path, complain: Complaint, codec: str) -> Iterator[Source]:
    """The one file in a .gz or .zst; what stands before a damage is kept."""
    path = new_folder(folder) / (source.path.stem or "file")
    name = source.name.removesuffix(".gz").removesuffix(".zst")
    try:
        with pa.CompressedInputStream(pa.OSFile(str(source.path)), codec) as packed:
            copy_within(packed, path, bound_of(source), source)
    except (OSError, pa.ArrowException) as error:
        reason = f"cannot be unpacked to its end ({str(error).removesuffix('.')})"
        if not path.exists() or not path.stat().st_size:
            raise IngestError(f"{source.name} {reason}.") from None
        complain(source.name, reason)
    yield Source(path, name, source.origin.removesuffix(".gz").removesuffix(".zst"))


def copy_within(packed: IO[bytes], path: Path, most: int, source: Source) -> int:
    """Write a stream to a file; `IngestError` where it is longer than the bound. How many bytes it had."""
    total = 0
    with path.open("wb") as file:
        while piece := packed.read(SMALL_PIECE):
            total += len(piece)
            if total > most or shutil.disk_usage(path.parent).free < 2 * PIECE:
                file.close()
                path.unlink()
                raise IngestError(
                    f"{source.name} unpacks to more than {bound_of(source):,} bytes, {RATIO} times its size. "
                    f"Unpack it yourself if you trust it."
                )
            file.write(piece)
    return total
