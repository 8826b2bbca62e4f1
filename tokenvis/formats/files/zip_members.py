"""Members of .zip files: their names, and their bytes, also if they are compressed with Zstandard.

Python's zipfile reads Zstandard from version 3.14 on, so pyarrow decompresses it here. All errors of a damaged member become
one kind, `zipfile.BadZipFile`.
"""

import zipfile
import zlib
from collections.abc import Iterator
from copy import copy

import pyarrow as pa

from tokenvis.formats.files.sources import Source

METHOD_ZSTD = 93
ENCRYPTED = 1  # a flag of a member
MEMBER_CHUNK_BYTES = 1 << 16


def member_names(source: Source) -> list[str]:
    """The names of an archive's members, none if it is damaged."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            return list(dict.fromkeys(archive.namelist()))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def member_pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member in pieces, as many as it declares; `zipfile.BadZipFile` if it cannot be read."""
    n_bytes = checksum = 0
    try:
        for piece in zstd_pieces(archive, entry) if entry.compress_type == METHOD_ZSTD else unpacked_pieces(archive, entry):
            n_bytes += len(piece)
            checksum = zlib.crc32(piece, checksum)
            if n_bytes > entry.file_size:
                break
            yield piece
    except Exception as error:  # zlib, bz2, lzma and pyarrow raise errors of no common kind
        raise zipfile.BadZipFile("it is encrypted" if entry.flag_bits & ENCRYPTED else damage_text(error)) from error
    if (n_bytes, checksum) != (entry.file_size, entry.CRC):
        raise zipfile.BadZipFile("its size or checksum is not the one that the archive declares")


def unpacked_pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member in pieces, as zipfile unpacks them."""
    with archive.open(entry) as file:
        while piece := file.read(MEMBER_CHUNK_BYTES):
            yield piece


def zstd_pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member that is compressed with Zstandard, in pieces."""
    stored = copy(entry)  # zipfile reads the compressed bytes of it, and does not decompress them
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, entry.compress_size
    del stored.CRC
    with archive.open(stored) as file, pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as stream:
        while piece := stream.read(MEMBER_CHUNK_BYTES):
            yield piece


def damage_text(error: BaseException) -> str:
    """The reason of a system's error, else the first line of an error's message, else its kind."""
    text = getattr(error, "strerror", None) or str(error)
    return next(iter(text.splitlines()), "").removesuffix(".") or type(error).__name__
