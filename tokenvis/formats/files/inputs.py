"""Inputs: what a caller gives to `ingest`, as sources.

A folder stands for all files below it, an open stream is copied into the temporary folder, archives are unpacked there, and a
DataFrame is a source without a file.
"""

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tokenvis.errors import IngestError, quoted
from tokenvis.formats.files.archives import FIRST_BYTES, ProblemReporter, Unpacker, check_disk, first_bytes
from tokenvis.formats.files.sources import DATABASE_NAME, Source, existing_path, origin_of, refusal_reason
from tokenvis.private import create_private_file, new_private_folder, touch_private
from tokenvis.spans.text import REPLACEMENT
from tokenvis.temporary import HIDDEN_PREFIX

COPY_CHUNK_BYTES = 1 << 20
LOG_FOLDERS = {"_delta_log": "Delta", ".hoodie": "Hudi"}  # of tables whose log says which of the files count
BYTE_ORDER_MARKS = {  # of 32 bits first: the mark of UTF-16 is the beginning of one of them
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def sources_in(source_input: Any, folder: Path, report_problem: ProblemReporter) -> Iterator[Source]:
    """The sources in a caller's input, texts in UTF-8; unpacked, converted and copied files go into ``folder``."""
    unpacker = Unpacker(folder, report_problem)
    if isinstance(source_input, pd.DataFrame):
        yield Source(folder, "the DataFrame", "DataFrame", frame=source_input)
    elif hasattr(source_input, "read"):
        yield from utf8_sources(copied_stream(source_input, folder), unpacker)
    elif isinstance(source_input, str | os.PathLike):
        yield from files_at(existing_path(source_input), unpacker)
    else:
        raise IngestError(f"{quoted(source_input)} is not a path, an open file or a DataFrame.")


def utf8_sources(source: Source, unpacker: Unpacker) -> Iterator[Source]:
    """A source, or the sources unpacked from it; a text in UTF-16 or UTF-32, as PowerShell writes, is converted to UTF-8."""
    for unpacked in unpacker.sources(source):
        start = first_bytes(unpacked)
        encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), unmarked_encoding(start))
        yield unpacked if encoding is None else converted(unpacked, encoding, unpacker)


def unmarked_encoding(start: bytes) -> str | None:
    """UTF-16 without its mark: the first characters are ASCII, each with a null byte before or after it."""
    for place, name in ((0, "utf-16-le"), (1, "utf-16-be")):
        characters, nulls = start[place::2], start[1 - place :: 2]
        if len(start) == FIRST_BYTES and not any(nulls) and characters.isascii() and characters.decode().strip().isprintable():
            return name
    return None


def converted(source: Source, encoding: str, unpacker: Unpacker) -> Source:
    """A copy of a text in UTF-8; what is not valid in its encoding becomes U+FFFD, and is reported."""
    check_disk(unpacker.folder, 2 * source.size, source)
    path = new_private_folder(unpacker.folder) / (source.path.name or "file")
    is_valid = True
    with (
        source.path.open(encoding=encoding, errors="replace", newline="") as text,
        os.fdopen(create_private_file(path), "wb") as copy,
    ):
        while piece := text.read(COPY_CHUNK_BYTES):
            is_valid &= REPLACEMENT not in piece
            copy.write(piece.encode(errors="replace"))
    if not is_valid:
        unpacker.report_problem(source.name, f"invalid {encoding.upper()} was replaced by U+FFFD")
    return Source(path, source.name, source.origin)


def files_at(path: Path, unpacker: Unpacker) -> Iterator[Source]:
    """A file, or all files below a folder, without those that were not written completely.

    Databases are never opened, not even to inspect them: see `store.connections`.
    """
    if path.is_file():
        if DATABASE_NAME.search(path.name):
            raise IngestError(
                f"{path.name} is a SQLite database. If tokenvis wrote it, read it with load_spans(store={str(path)!r})."
            )
        yield from utf8_sources(Source(path.absolute(), path.name, origin_of(path)), unpacker)
        return
    files = sorted(path.rglob("*"))
    tables = {folder.parent: kind for folder in files if (kind := LOG_FOLDERS.get(folder.name)) and folder.is_dir()}
    for folder, kind in tables.items():
        unpacker.report_problem(
            folder.name, f"is a {kind} table, and was not read: some of its files have rows that were deleted"
        )
    for file in files:
        is_part = any(part.startswith(HIDDEN_PREFIX) for part in file.relative_to(path).parts)
        if file.is_file() and not is_part and tables.keys().isdisjoint(file.parents) and not DATABASE_NAME.search(file.name):
            try:
                yield from utf8_sources(Source(file.absolute(), file.name, origin_of(file)), unpacker)
            except IngestError as error:
                unpacker.report_problem(file.name, refusal_reason(error, file.name))


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
