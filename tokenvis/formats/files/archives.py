"""Archives: the files in a .zip, .gz or .zst, recognised by its first bytes and unpacked into a temporary folder.

An archive may be hostile, so the bytes that it unpacks to are bounded: by the sizes that a .zip declares, before anything is
unpacked, and while a .gz or .zst is unpacked, which declares none. A byte of the input may become `MAX_UNPACK_RATIO` bytes,
counted over all layers of archives in archives; what exceeds that is taken from the spare bytes, which all archives of one
ingest share. No file is written outside of the folder.
"""

import os
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pyarrow as pa

from tokenvis.errors import IngestError, plural
from tokenvis.formats.files.sources import Source, refusal_reason
from tokenvis.formats.files.zip_members import damage_text, member_names, member_pieces
from tokenvis.private import create_private_file, create_private_folder, new_private_folder

ZIP_MAGIC, GZIP_MAGIC, ZSTD_MAGIC = b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
UNPACKED_CHUNK_BYTES = 1 << 14  # the most that is lost when a compressed file is truncated
MIN_FREE_BYTES = 4 << 20  # on the disk with the temporary folder
MAX_UNPACK_RATIO = 200  # real traces compress to 1/100 at best
SPARE_MIB = 100
MAX_ARCHIVE_FILES = 10_000  # a file costs milliseconds, whatever its size
FIRST_BYTES = 8
MAX_ARCHIVE_DEPTH = 3  # a .gz in a .zip in a .zip
MAX_FOLDER_DEPTH = 64
DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com\d|lpt\d) *(\.|$)|.*:", re.IGNORECASE)  # a device or a stream of Windows

ProblemReporter: TypeAlias = Callable[[str, str], None]  # called with the name of a source and the reason


@dataclass
class Unpacker:
    """Unpacks the archives of an ingest into ``folder``; a part that cannot be unpacked is reported.

    ``spare_bytes`` and ``n_files`` are what the archives may still use together.
    """

    folder: Path
    report_problem: ProblemReporter
    spare_bytes: float = SPARE_MIB << 20
    n_files: int = MAX_ARCHIVE_FILES

    def sources(self, source: Source, input_share: float = 1.0, depth: int = 0) -> Iterator[Source]:
        """A source unchanged, or the sources unpacked from it; `IngestError` if it must not be unpacked.

        ``input_share`` is the number of bytes of the caller's input for each byte of the source.
        """
        start = first_bytes(source)
        is_zip = start.startswith(ZIP_MAGIC) and not is_evaluation(source)
        if not is_zip and not start.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
            yield source
            return
        if depth == MAX_ARCHIVE_DEPTH:
            raise IngestError(f"{source.name} is compressed in more than {MAX_ARCHIVE_DEPTH} layers.")
        members = (
            self.zip_members(source, input_share)
            if is_zip
            else [self.decompressed(source, input_share, "gzip" if start.startswith(GZIP_MAGIC) else "zstd")]
        )
        if depth:
            source.path.unlink()
        for member, share in members:
            try:
                yield from self.sources(member, share, depth + 1)
            except IngestError as error:
                if not is_zip:
                    raise
                self.report_problem(member.name, refusal_reason(error, member.name))

    def zip_members(self, source: Source, input_share: float) -> list[tuple[Source, float]]:
        """The files of a .zip, in the order of their names, each with its share of the input."""
        unpacked = []
        try:
            with zipfile.ZipFile(source.path) as archive:
                for path, entry in self.accepted_entries(archive, source, input_share).items():
                    name = f"{source.name}/{entry.filename}"
                    try:
                        create_private_folder(path.parent)
                        with os.fdopen(create_private_file(path), "wb") as file:
                            file.writelines(member_pieces(archive, entry))
                    except (zipfile.BadZipFile, OSError) as error:
                        self.report_problem(name, f"cannot be unpacked ({damage_text(error)})")
                        continue
                    share = input_share * entry.compress_size / max(entry.file_size, 1)
                    unpacked.append((Source(path, name, f"{source.origin}/{entry.filename}"), share))
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise IngestError(f"{source.name} cannot be unpacked: {damage_text(error)}.") from None
        return unpacked

    def accepted_entries(self, archive: zipfile.ZipFile, source: Source, input_share: float) -> dict[Path, zipfile.ZipInfo]:
        """The files of a .zip that may be unpacked, by their paths; `IngestError` if they are too many or too large."""
        files = (entry for entry in archive.infolist() if not entry.filename.endswith("/"))
        entries = sorted(files, key=lambda entry: entry.filename)
        self.take_files(len(entries), source)
        excess = excess_bytes(entries, source, input_share)
        check_excess(excess, self.spare_bytes, source)
        self.spare_bytes -= excess
        check_disk(self.folder, sum(entry.file_size for entry in entries), source)
        target, accepted = new_private_folder(self.folder), dict[Path, zipfile.ZipInfo]()
        for entry in entries:
            path, refusal = path_inside(target, entry.filename), "its path leads out of the archive; it was skipped"
            if stat.S_ISLNK(entry.external_attr >> 16):
                path, refusal = None, "is a symbolic link; it was skipped"
            if path is None or path in accepted:
                refusal = refusal if path is None else "occurs again in the archive; the last is read"
                self.report_problem(f"{source.name}/{entry.filename}", refusal)
            if path is not None:
                accepted[path] = entry
        return accepted

    def decompressed(self, source: Source, input_share: float, codec: str) -> tuple[Source, float]:
        """The one file in a .gz or .zst, and its share of the input; a damaged file is unpacked up to the damage."""
        self.take_files(1, source)
        path = new_private_folder(self.folder) / (source.path.stem or "file")
        name, origin = (text.removesuffix(".gz").removesuffix(".zst") for text in (source.name, source.origin))
        excess = 0.0
        try:
            with (
                os.fdopen(create_private_file(path), "wb") as file,
                source.arrow_file() as packed,
                pa.CompressedInputStream(packed, codec) as stream,
            ):
                while piece := stream.read(UNPACKED_CHUNK_BYTES):
                    check_disk(self.folder, len(piece), source)
                    file.write(piece)
                    excess = max(file.tell() - MAX_UNPACK_RATIO * input_share * packed.tell(), 0)
                    check_excess(excess, self.spare_bytes, source)
        except (OSError, MemoryError, pa.ArrowException) as error:
            reason = f"cannot be unpacked completely ({damage_text(error)})"
            if not path.exists() or not path.stat().st_size:
                raise IngestError(f"{source.name} {reason}.") from None
            self.report_problem(source.name, reason)
        except IngestError:
            path.unlink()
            raise
        self.spare_bytes -= excess
        return Source(path, name, origin), input_share * source.size / path.stat().st_size if path.stat().st_size else 1.0

    def take_files(self, n_files: int, source: Source) -> None:
        """Count files that are unpacked; `IngestError` if there are too many."""
        if n_files > self.n_files:
            raise IngestError(
                f"{source.name} contains {plural(n_files, 'file')}; at most {MAX_ARCHIVE_FILES:,} are unpacked in an ingest. "
                f"If you trust it, unpack it yourself."
            )
        self.n_files -= n_files


def first_bytes(source: Source) -> bytes:
    """The first bytes of a file, enough to recognise its kind."""
    try:
        with source.path.open("rb") as file:
            return file.read(FIRST_BYTES)
    except OSError as error:
        raise IngestError(f"{source.name} cannot be read: {error.strerror}.") from error


def is_evaluation(source: Source) -> bool:
    """Whether an archive is an evaluation log, which its own reader unpacks."""
    return any(name in ("header.json", "_journal/start.json") for name in member_names(source))


def path_inside(folder: Path, name: str) -> Path | None:
    """The path for a member of an archive, None if it would be outside of the folder, or a device."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not 0 < len(parts) <= MAX_FOLDER_DEPTH or name.startswith(("/", "\\")) or ".." in parts or "\0" in name:
        return None
    if ":" in parts[0] or (os.name == "nt" and any(map(DEVICE_NAME.match, parts))):
        return None
    return folder.joinpath(*parts)


def excess_bytes(entries: Iterable[zipfile.ZipInfo], source: Source, input_share: float = 1.0) -> float:
    """How much the members of a .zip declare to unpack to beyond the ratio; `IngestError` if they overlap."""
    sizes = [(entry.file_size, entry.compress_size) for entry in entries]
    if sum(packed for _, packed in sizes) > source.size:
        raise IngestError(f"{source.name} cannot be unpacked: its members overlap.")
    return sum(max(unpacked - MAX_UNPACK_RATIO * input_share * packed, 0) for unpacked, packed in sizes)


def check_excess(excess: float, spare_bytes: float, source: Source) -> None:
    """Raise `IngestError` if a source unpacks to more than the ratio and the spare bytes allow."""
    if excess > spare_bytes:
        raise IngestError(
            f"{source.name} unpacks to more than {MAX_UNPACK_RATIO} times its size, and to more than the {SPARE_MIB} MiB that "
            f"an ingest has to spare. If you trust it, unpack it yourself."
        )


def check_disk(folder: Path, n_bytes: int, source: Source) -> None:
    """Raise `IngestError` if the disk of the temporary folder has not enough space for the bytes."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes + MIN_FREE_BYTES:
        raise IngestError(
            f"{source.name} cannot be unpacked: it needs {n_bytes:,} bytes or more, and the disk of the temporary folder "
            f"{folder.parent} has {free:,} left. Free space, or set TMPDIR to another folder."
        )
