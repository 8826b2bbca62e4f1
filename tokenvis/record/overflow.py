"""The overflow: rows that cannot be stored now, because the disk is full or another program keeps the database locked.

Rows go to a file next to the database, or else in the temporary folder, or else they stay in memory. Both have limits: rows
beyond these are lost and counted by trace. The file contains spans as JSON lines, which `tokenvis ingest` reads too, and it
survives the process. Its owner holds a lock on it; files without a lock are abandoned, and the next recording into this
database stores them.
"""

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from tokenvis.errors import escaped, quoted
from tokenvis.record.snapshot import storable_time
from tokenvis.store.append import SpanRow
from tokenvis.temporary import OPEN_FLAGS, create_locked_file, is_of_this_user, lock_file

MAX_OVERFLOW_FILE_BYTES = 1 << 30
MAX_UNSTORED_BYTES = 64 << 20  # of rows in memory
ROW_OVERHEAD_BYTES = 400  # of a row in memory, without its data
MAX_OVERFLOW_CHUNK_ROWS = 512
MAX_OVERFLOW_CHUNK_BYTES = 4 << 20  # a chunk ends with the row that exceeds this
OVERFLOW_COLUMNS = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data")
OVERFLOW_COLUMN_TYPES = ((str, str, str, str, int, int, str), (str, str, str, str, int, int, type(None)))
OVERFLOW_SUFFIX = ".waiting.jsonl"
LOSSES_LOCK_TIMEOUT_S = 1.0

LossesByTrace: TypeAlias = dict[str, tuple[int, int, int]]  # number of rows, first start, last end

log = logging.getLogger("tokenvis")


class Overflow:
    """Rows that cannot be stored now, in their order of arrival; used by one thread. ``losses`` counts the lost rows."""

    def __init__(self, database: Path, key: str) -> None:
        self.database, self.key = database, key
        self.file: OverflowFile | None = None
        self.memory: deque[SpanRow] = deque()  # newer than the rows in the file
        self.n_bytes = 0  # of the rows in memory
        self.losses = LossCounter()

    def __bool__(self) -> bool:
        return self.file is not None or bool(self.memory)

    def add(self, rows: Sequence[SpanRow]) -> None:
        """Add rows; write as many as possible to the file, oldest first, and count those beyond all limits as lost."""
        self.memory.extend(rows)
        self.n_bytes += sum(map(size_of, rows))
        while self.memory and self._write(chunk := self._oldest_in_memory()):
            self._drop(len(chunk))
        while self.n_bytes > MAX_UNSTORED_BYTES:
            self.losses.count(row := self.memory.pop())
            self.n_bytes -= size_of(row)

    def oldest(self) -> list[SpanRow]:
        """A chunk of the oldest rows, which stay until `discard`."""
        return self.file.oldest() if self.file else self._oldest_in_memory()

    def discard(self, rows: Sequence[SpanRow]) -> None:
        """Remove the rows that `oldest` returned."""
        if self.file is None:
            self._drop(len(rows))
            return
        self.file.advance()
        if self.file.is_empty:
            self.file.remove()
            self.file = None

    def _oldest_in_memory(self) -> list[SpanRow]:
        return list(islice(self.memory, MAX_OVERFLOW_CHUNK_ROWS))

    def _drop(self, count: int) -> None:
        """Remove the oldest ``count`` rows from memory."""
        for _ in range(count):
            self.n_bytes -= size_of(self.memory.popleft())

    def _write(self, rows: Sequence[SpanRow]) -> bool:
        """Write all rows to the file, or none."""
        if self.file:
            return self.file.write(rows)
        for path in overflow_paths(self.database, self.key):
            file = OverflowFile.create(path)
            if file and file.write(rows):
                self.file = file
                log.warning("Spans are buffered in %s until %s can be written.", escaped(path), escaped(self.database))
                return True
            if file:
                file.remove()
        return False


class LossCounter:
    """The number of lost rows in each trace, with their first start and last end.

    Any thread may count, and so may a signal handler that interrupts it: only one thread at a time adds up the counts.
    """

    def __init__(self) -> None:
        self.uncounted: deque[tuple[str, int, int, int]] = deque()
        self.totals: LossesByTrace = {}
        self.lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self.uncounted or self.totals)

    def count(self, row: SpanRow) -> None:
        """Count a row."""
        start, end = (storable_time(time, 0) for time in row[4:6])
        self.add({row[1]: (1, min(start, end), max(start, end))})

    def add(self, losses: LossesByTrace) -> None:
        """Add counts."""
        self.uncounted.extend((trace, *loss) for trace, loss in losses.items())
        if self.lock.acquire(blocking=False):
            try:
                self._sum_up()
            finally:
                self.lock.release()

    def drain(self) -> LossesByTrace:
        """Return the counts and reset them."""
        if not self.lock.acquire(timeout=LOSSES_LOCK_TIMEOUT_S):
            return {}
        try:
            self._sum_up()
            totals, self.totals = self.totals, {}
        finally:
            self.lock.release()
        return totals

    def _sum_up(self) -> None:
        while self.uncounted:
            trace, n_more, first, last = self.uncounted.popleft()
            count, start, end = self.totals.get(trace, (0, first, last))
            self.totals[trace] = count + n_more, min(start, first), max(end, last)


class OverflowFile:
    """A file of unstored rows, which this process owns while it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self.size = self.n_rows = 0
        self.offset = 0  # of the oldest unstored row
        self.next_offset, self.n_read = 0, 0  # the end of the last chunk that was read, and its number of rows
        self.is_unreadable = False

    @classmethod
    def create(cls, path: Path) -> "OverflowFile | None":
        """A new file; None if it cannot be created."""
        try:
            descriptor = create_locked_file(path)
        except OSError:
            return None
        return None if descriptor is None else cls(path, descriptor)

    @classmethod
    def claim(cls, path: Path, *, is_own: bool = False) -> "OverflowFile | None":
        """An abandoned file; None if its owner is alive or it belongs to another user. Our own file needs no lock."""
        try:
            descriptor = os.open(path, OPEN_FLAGS)
        except OSError:
            return None
        file = cls(path, descriptor)
        file_stat = os.fstat(descriptor)
        is_locked = lock_file(descriptor)
        if is_locked is False or not path.exists() or not (is_own or (is_locked and is_of_this_user(file_stat))):
            os.close(descriptor)
            return None
        file.size = file_stat.st_size
        return file

    @property
    def is_empty(self) -> bool:
        """Whether the file has no unstored rows."""
        return self.offset >= self.size

    def write(self, rows: Sequence[SpanRow], *, ignore_limit: bool = False) -> bool:
        """Append all rows and return True, or none: a partial write is truncated. ``ignore_limit`` allows a larger file."""
        text = memoryview(b"".join(map(row_line, rows)))
        if self.size + len(text) > MAX_OVERFLOW_FILE_BYTES and not ignore_limit:
            return False
        try:
            self._write_at(self.size, text)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            return False
        self.size += len(text)
        self.n_rows += len(rows)
        return True

    def _write_at(self, offset: int, text: memoryview) -> None:
        """Write bytes at an offset."""
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        while text:
            text = text[os.write(self.descriptor, text) :]

    def oldest(self) -> list[SpanRow]:
        """A chunk of the oldest unstored rows; lines without a row, and a file that cannot be read, are logged and skipped."""
        try:
            lines = self._lines()
        except OSError as error:
            log.error("%s cannot be read: %s. The file is kept.", escaped(self.path), error)
            self.is_unreadable, lines = True, []
        self.next_offset = self.offset + sum(map(len, lines)) if lines else self.size
        rows = [row for line in lines if line.strip() and (row := self.parse_row(line))]
        self.n_read = len(rows)
        return rows

    def _lines(self) -> list[bytes]:
        """The lines of a chunk; none if another program has truncated the file."""
        lines: list[bytes] = []
        n_bytes = 0
        with open(self.descriptor, "rb", closefd=False) as file:
            file.seek(self.offset)
            while (
                len(lines) < MAX_OVERFLOW_CHUNK_ROWS
                and n_bytes < MAX_OVERFLOW_CHUNK_BYTES
                and (line := file.readline(self.size - self.offset - n_bytes))
            ):
                lines.append(line)
                n_bytes += len(line)
        return lines

    def advance(self) -> None:
        """Move past the chunk that was read last."""
        self.offset = self.next_offset
        self.n_rows = max(self.n_rows - self.n_read, 0)

    def parse_row(self, line: bytes) -> SpanRow | None:
        """The row in a line; None, and a log entry, if there is none."""
        try:
            values = orjson.loads(line)
            row: Any = tuple(values[name] for name in OVERFLOW_COLUMNS)
        except (ValueError, KeyError, TypeError):
            row = ()
        if tuple(map(type, row)) in OVERFLOW_COLUMN_TYPES:
            parsed: SpanRow = row
            return parsed
        log.error("%s contains a line that is not a span: %s.", escaped(self.path), quoted(line[:60]))
        return None

    def remove(self) -> None:
        """Delete the file, unless it could not be read."""
        if self.is_unreadable:
            self.close()
            return
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)  # if the file cannot be deleted, its rows must not be stored again
        is_removed = False
        with suppress(OSError):
            self.path.unlink()
            is_removed = True
        self.close()
        if not is_removed:  # Windows deletes no open file
            with suppress(OSError):
                self.path.unlink()

    def release(self) -> None:
        """Blank out the rows that are done, and close the file without deleting it."""
        with suppress(OSError):
            for start in range(0, self.offset, MAX_OVERFLOW_CHUNK_BYTES):
                end = min(start + MAX_OVERFLOW_CHUNK_BYTES, self.offset)
                self._write_at(start, memoryview(b" " * (end - start - 1) + b"\n"))
        self.close()

    def reopen(self) -> "OverflowFile | None":
        """The file, if no other process has claimed it since `release`."""
        if file := OverflowFile.claim(self.path, is_own=True):
            file.n_rows, file.offset = self.n_rows, self.offset
        return file

    def close(self) -> None:
        """Close the file without deleting it."""
        with suppress(OSError):
            os.close(self.descriptor)


def overflow_paths(database: Path, key: str) -> list[Path]:
    """The paths for an overflow file: next to the database, and in the temporary folder if there is one."""
    paths = [database.with_name(f"{database.name}.{key}{OVERFLOW_SUFFIX}")]
    with suppress(OSError):
        digest = hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:16]
        paths.append(Path(tempfile.gettempdir()) / f"tokenvis-{digest}.{key}{OVERFLOW_SUFFIX}")
    return paths


def abandoned_files(database: Path) -> Iterator[OverflowFile]:
    """The overflow files for a database whose processes have ended."""
    if not hasattr(os, "getuid"):  # Windows does not tell whose a file is
        return
    for pattern in overflow_paths(database, "*"):
        for path in sorted(pattern.parent.glob(glob_pattern(pattern.name))):
            if file := OverflowFile.claim(path):
                yield file


def glob_pattern(name: str) -> str:
    """A glob pattern in which only the last star of the name is a wildcard."""
    return "*".join("".join(f"[{letter}]" if letter in "*?[" else letter for letter in part) for part in name.rsplit("*", 1))


def row_line(row: SpanRow) -> bytes:
    """A row as a line of JSON."""
    values = dict(zip(OVERFLOW_COLUMNS, row, strict=True))
    try:
        return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return json.dumps(values).encode() + b"\n"


def size_of(row: SpanRow) -> int:
    """The approximate size of a row in memory, in bytes."""
    return ROW_OVERHEAD_BYTES + len(row[6] or "")
