"""Sources: any input as files on disk that can be read from the start any number of times.

A folder stands for all files below it. Compressed files (.zip, .gz, .zst, recognised by their first bytes) are unpacked into a
temporary folder, up to a size limit and never outside of it; an open stream is copied there. A DataFrame is a source without a
file.
"""

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

import pandas as pd
import pyarrow as pa

from tokenvis.errors import IngestError, escaped, plural, quoted
from tokenvis.private import create_private_folder, new_private_folder, touch_private

DATABASE_NAME = re.compile(r"\.(db|sqlite3?)(-wal|-shm|-journal|-watched\.json)?$", re.IGNORECASE)
ZIP_MAGIC, GZIP_MAGIC, ZSTD_MAGIC = b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
COPY_CHUNK_BYTES = 1 << 20
UNPACK_CHUNK_BYTES = 1 << 14  # the most that is lost when a compressed file is truncated
MIN_UNPACK_LIMIT_BYTES = 100 << 20  # a source of any size may unpack to this
MAX_UNPACK_RATIO = 200  # a large source may unpack to this multiple of its size: real traces compress to 1/100 at best
MAX_ARCHIVE_MEMBERS = 100_000
MAX_ARCHIVE_DEPTH = 3  # a .gz in a .zip in a .zip

ProblemReporter: TypeAlias = Callable[[str, str], None]  # called with the name of a source and the reason


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

    def sibling(self, path: Path) -> "Source":
        """Another file in the same folder."""
        folder = self.name.rpartition("/")[0]
        return Source(path, f"{folder}/{path.name}" if folder else path.name, origin_of(path), progress=self.progress)

    def arrow_file(self) -> pa.NativeFile:
        """The file, opened by Arrow, which takes a name that is not Unicode only as bytes."""
        return pa.OSFile(os.fsencode(self.path))

    def report_position(self, position: int) -> None:
        """Report how far the source was read; reading the same bytes again does not count."""
        if position > self.n_bytes_read:
            self.progress(position - self.n_bytes_read)
            self.n_bytes_read = position


def origin_of(path: Path) -> str:
    """A text that identifies a file among all files; bytes that are not Unicode are escaped."""
    return path.absolute().as_posix().encode(errors="backslashreplace").decode()


def sources_in(source_input: Any, folder: Path, report_problem: ProblemReporter) -> Iterator[Source]:
    """The sources in a caller's input; unpacked and copied files go into ``folder``."""
    if isinstance(source_input, pd.DataFrame):
        yield Source(folder, "the DataFrame", "DataFrame", frame=source_input)
    elif hasattr(source_input, "read"):
        yield from unpacked(copied_stream(source_input, folder), folder, report_problem)
    elif isinstance(source_input, str | os.PathLike):
        yield from files_at(existing_path(source_input), folder, report_problem)
    else:
        raise IngestError(f"{quoted(source_input)} is not a path, an open file or a DataFrame.")


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


def files_at(path: Path, folder: Path, report_problem: ProblemReporter) -> Iterator[Source]:
    """A file, or all files below a folder.

    Databases are never opened, not even to inspect them: see `store.connections`.
    """
    if path.is_file():
        if DATABASE_NAME.search(path.name):
            raise IngestError(
                f"{path.name} is a SQLite database. If tokenvis wrote it, read it with load_spans(store={str(path)!r})."
            )
        yield from unpacked(Source(path.absolute(), path.name, origin_of(path)), folder, report_problem)
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not DATABASE_NAME.search(file.name):
            try:
                yield from unpacked(Source(file.absolute(), file.name, origin_of(file)), folder, report_problem)
            except IngestError as error:
                report_problem(file.name, str(error).removesuffix("."))


def copied_stream(stream: Any, folder: Path) -> Source:
    """A copy of an open file, from its current position to its end."""
    name = getattr(stream, "name", None)
    name = Path(name).name if isinstance(name, str) and name else "stream"
    path = folder / "stream"
    touch_private(path)
    with path.open("wb") as file:
        while piece := stream.read(COPY_CHUNK_BYTES):
            file.write(piece.encode() if isinstance(piece, str) else piece)
    return Source(path, name, f"stream {name}")


def unpacked(source: Source, folder: Path, report_problem: ProblemReporter, depth: int = 0) -> Iterator[Source]:
    """A source unchanged, or the sources unpacked from it."""
    start = first_bytes(source)
    if start.startswith(ZIP_MAGIC) and not is_evaluation(source):
        members = zip_members(source, folder, report_problem)
    elif start.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        members = decompressed(source, folder, report_problem, "gzip" if start.startswith(GZIP_MAGIC) else "zstd")
    else:
        yield source
        return
    if depth == MAX_ARCHIVE_DEPTH:
        raise IngestError(f"{source.name} is compressed in more than {MAX_ARCHIVE_DEPTH} layers.")
    for member in members:
        yield from unpacked(member, folder, report_problem, depth + 1)


def first_bytes(source: Source) -> bytes:
    """The first bytes of a file, enough to recognise its kind."""
    try:
        with source.path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise IngestError(f"{source.name} cannot be read: {error.strerror}.") from error


def is_evaluation(source: Source) -> bool:
    """Whether an archive is an evaluation log, which its own reader unpacks."""
    return any(name in ("header.json", "_journal/start.json") for name in member_names(source))


def member_names(source: Source) -> list[str]:
    """The names of an archive's members, none if it is damaged."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def unpack_limit(source: Source) -> int:
    """The number of bytes that a source may unpack to."""
    return max(MIN_UNPACK_LIMIT_BYTES, MAX_UNPACK_RATIO * source.size)


def zip_members(source: Source, folder: Path, report_problem: ProblemReporter) -> Iterator[Source]:
    """The files of a .zip, in the order of their names."""
    target = new_private_folder(folder)
    bytes_left = unpack_limit(source)
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = sorted((entry for entry in archive.infolist() if not entry.is_dir()), key=lambda entry: entry.filename)
            if len(members) > MAX_ARCHIVE_MEMBERS:
                raise IngestError(
                    f"{source.name} contains {plural(len(members), 'file')}; at most {MAX_ARCHIVE_MEMBERS:,} are unpacked."
                )
            sources = []
            for entry in members:
                name = f"{source.name}/{entry.filename}"
                path = path_inside(target, entry.filename)
                if path is None:
                    report_problem(name, "its path leads out of the archive; it was skipped")
                    continue
                try:
                    create_private_folder(path.parent)
                    with archive.open(entry) as packed:
                        bytes_left -= copy_limited(packed, path, bytes_left, source)
                except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                    report_problem(name, f"cannot be unpacked ({str(error).removesuffix('.')})")
                    continue
                sources.append(Source(path, name, f"{source.origin}/{entry.filename}"))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise IngestError(f"{source.name} cannot be unpacked: {str(error).removesuffix('.')}.") from None
    yield from sources


def path_inside(folder: Path, name: str) -> Path | None:
    """The path for a member of an archive, None if it would be outside of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    return folder.joinpath(*parts)


def decompressed(source: Source, folder: Path, report_problem: ProblemReporter, codec: str) -> Iterator[Source]:
    """The one file in a .gz or .zst; a damaged file is unpacked up to the damage."""
    path = new_private_folder(folder) / (source.path.stem or "file")
    name = source.name.removesuffix(".gz").removesuffix(".zst")
    try:
        with source.arrow_file() as raw, pa.CompressedInputStream(raw, codec) as packed:
            copy_limited(packed, path, unpack_limit(source), source)
    except (OSError, pa.ArrowException) as error:
        reason = f"cannot be unpacked completely ({str(error).removesuffix('.')})"
        if not path.exists() or not path.stat().st_size:
            raise IngestError(f"{source.name} {reason}.") from None
        report_problem(source.name, reason)
    yield Source(path, name, source.origin.removesuffix(".gz").removesuffix(".zst"))


def copy_limited(packed: IO[bytes], path: Path, limit: int, source: Source) -> int:
    """Write a stream to a file and return its number of bytes; `IngestError` if it exceeds the limit."""
    total = 0
    touch_private(path)
    with path.open("wb") as file:
        while piece := packed.read(UNPACK_CHUNK_BYTES):
            total += len(piece)
            if total > limit or shutil.disk_usage(path.parent).free < 2 * COPY_CHUNK_BYTES:
                file.close()
                path.unlink()
                raise IngestError(
                    f"{source.name} unpacks to more than the limit of {unpack_limit(source):,} bytes, or the disk is full. "
                    f"If you trust it, unpack it yourself."
                )
            file.write(piece)
    return total
