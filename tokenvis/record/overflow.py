"""The overflow: where rows wait that the store does not take: a full disk, a database that somebody keeps locked.

They go to a file beside the database, else in the temporary folder; else they stay in memory. Both have bounds: what is beyond
them is lost, and counted, trace by trace. The file is JSON lines of spans, which `tokenvis ingest` reads too, and survives the
process; its owner holds a lock on it, so that whoever records next into this database knows which files nobody owns, and takes
their rows in.
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

from tokenvis.errors import quoted
from tokenvis.record.snapshot import moment
from tokenvis.store.append import Row

try:
    import fcntl
except ImportError:  # where files have no such locks, files that were left are not taken in by themselves
    fcntl = None  # type: ignore[assignment]

MOST_ON_DISK = 1 << 30  # bytes
MOST_IN_MEMORY = 64 << 20  # bytes
ROW_BYTES = 400  # of a row without its data, in memory
CHUNK = 512  # rows that are given back at once
LONG_CHUNK = 4 << 20  # bytes, after which they are fewer
COLUMNS = ("id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data")
KINDS = ((str, str, str, str, int, int, str), (str, str, str, str, int, int, type(None)))
SUFFIX = ".waiting.jsonl"
FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
PATIENCE = 1.0  # seconds

Lost: TypeAlias = dict[str, tuple[int, int, int]]

log = logging.getLogger("tokenvis")


class Overflow:
    """Rows that wait, in the order in which they came; used by one thread. ``losses`` counts those that are lost."""

    def __init__(self, database: Path, key: str) -> None:
        self.database, self.key = database, key
        self.file: Spill | None = None
        self.memory: deque[Row] = deque()  # newer than what is in the file
        self.n_bytes = 0  # of what is in memory
        self.losses = Losses()

    def __bool__(self) -> bool:
        return self.file is not None or bool(self.memory)

    def take(self, rows: Sequence[Row]) -> None:
        """Keep rows, in the file as far as it takes them, older ones first; those beyond all bounds are lost."""
        self.memory.extend(rows)
        self.n_bytes += sum(map(size_of, rows))
        while self.memory and self._write(chunk := self._first()):
            self._drop(len(chunk))
        while self.n_bytes > MOST_IN_MEMORY:
            self.losses.count(row := self.memory.pop())
            self.n_bytes -= size_of(row)

    def oldest(self) -> list[Row]:
        """Some rows, from the oldest on, which stay until they are said to be `done`."""
        return self.file.oldest() if self.file else self._first()

    def done(self, rows: Sequence[Row]) -> None:
        """Forget what `oldest` gave."""
        if self.file is None:
            self._drop(len(rows))
            return
        self.file.done()
        if self.file.is_empty:
            self.file.remove()
            self.file = None

    def _first(self) -> list[Row]:
        return list(islice(self.memory, CHUNK))

    def _drop(self, count: int) -> None:
        """Forget so many of those in memory, from the oldest on."""
        for _ in range(count):
            self.n_bytes -= size_of(self.memory.popleft())

    def _write(self, rows: Sequence[Row]) -> bool:
        """Write rows to the file, all or none."""
        if self.file:
            return self.file.write(rows)
        for path in places_of(self.database, self.key):
            file = Spill.made(path)
            if file and file.write(rows):
                self.file = file
                log.warning("Spans wait in %s until %s takes them.", path, self.database)
                return True
            if file:
                file.remove()
        return False


class Losses:
    """How many rows were lost in each trace, the first start and the last end of these.

    Any thread may count, and a signal may come in between, whose handler counts too: only one at a time sums up.
    """

    def __init__(self) -> None:
        self.new: deque[tuple[str, int, int, int]] = deque()
        self.sums: Lost = {}
        self.summing = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self.new or self.sums)

    def count(self, row: Row) -> None:
        """Count a row."""
        start, end = (moment(time, 0) for time in row[4:6])
        self.add({row[1]: (1, min(start, end), max(start, end))})

    def add(self, lost: Lost) -> None:
        """Count what was lost."""
        self.new.extend((trace, *told) for trace, told in lost.items())
        if self.summing.acquire(blocking=False):
            try:
                self._sum_up()
            finally:
                self.summing.release()

    def taken(self) -> Lost:
        """What was lost, which is forgotten here."""
        if not self.summing.acquire(timeout=PATIENCE):
            return {}
        try:
            self._sum_up()
            sums, self.sums = self.sums, {}
        finally:
            self.summing.release()
        return sums

    def _sum_up(self) -> None:
        while self.new:
            trace, n_more, first, last = self.new.popleft()
            count, start, end = self.sums.get(trace, (0, first, last))
            self.sums[trace] = count + n_more, min(start, first), max(end, last)


class Spill:
    """A file of rows that wait, which this process owns as long as it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self.size = self.n_rows = 0
        self.given = 0  # bytes of the rows that are done
        self.ahead, self.n_ahead = 0, 0  # where those end that were given last, and how many these are
        self.is_broken = False

    @classmethod
    def made(cls, path: Path) -> "Spill | None":
        """A new file; None where there can be none."""
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
        except OSError:
            return None
        if is_owned(descriptor) is False or not path.exists():  # somebody took it for one that was left
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    @classmethod
    def found(cls, path: Path, *, is_ours: bool = False) -> "Spill | None":
        """A file that a process left; None where its owner lives, or it is not this user's; ours needs no lock."""
        try:
            descriptor = os.open(path, FLAGS)
        except OSError:
            return None
        spill = cls(path, descriptor)
        look = os.fstat(descriptor)
        owned = is_owned(descriptor)
        if owned is False or not path.exists() or not (is_ours or (owned and look.st_uid == os.getuid())):
            os.close(descriptor)
            return None
        spill.size = look.st_size
        return spill

    @property
    def is_empty(self) -> bool:
        """Whether all is done."""
        return self.given >= self.size

    def write(self, rows: Sequence[Row], *, beyond: bool = False) -> bool:
        """Add rows, ``beyond`` the bound too; whether all of them are there. What was written of others is taken back."""
        text = memoryview(b"".join(map(line_of, rows)))
        if self.size + len(text) > MOST_ON_DISK and not beyond:
            return False
        try:
            self._put(self.size, text)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            return False
        self.size += len(text)
        self.n_rows += len(rows)
        return True

    def _put(self, place: int, text: memoryview) -> None:
        """Write bytes at a place."""
        os.lseek(self.descriptor, place, os.SEEK_SET)
        while text:
            text = text[os.write(self.descriptor, text) :]

    def oldest(self) -> list[Row]:
        """Some rows that are not done; a line that is no row is passed by, and a file that fails, which is logged."""
        try:
            lines = self._lines()
        except OSError as error:
            log.error("%s cannot be read: %s. What is in it stays there.", self.path, error)
            self.is_broken, lines = True, []
        self.ahead = self.given + sum(map(len, lines)) if lines else self.size
        rows = [row for line in lines if line.strip() and (row := self.row_of(line))]
        self.n_ahead = len(rows)
        return rows

    def _lines(self) -> list[bytes]:
        """Some lines; none where somebody has cut the file short."""
        lines: list[bytes] = []
        n_bytes = 0
        with open(self.descriptor, "rb", closefd=False) as file:
            file.seek(self.given)
            while len(lines) < CHUNK and n_bytes < LONG_CHUNK and (line := file.readline(self.size - self.given - n_bytes)):
                lines.append(line)
                n_bytes += len(line)
        return lines

    def done(self) -> None:
        """What was given last is done."""
        self.given = self.ahead
        self.n_rows = max(self.n_rows - self.n_ahead, 0)

    def row_of(self, line: bytes) -> Row | None:
        """The row of a line."""
        try:
            values = orjson.loads(line)
            row: Any = tuple(values[name] for name in COLUMNS)
        except (ValueError, KeyError, TypeError):
            row = ()
        if tuple(map(type, row)) in KINDS:
            whole: Row = row
            return whole
        log.error("%s holds a line that is no span: %s.", self.path, quoted(line[:60]))
        return None

    def remove(self) -> None:
        """Take the file away, unless it could not be read."""
        if self.is_broken:
            self.close()
            return
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)  # where it cannot be taken away, nobody takes the rows for new
        gone = False
        with suppress(OSError):
            self.path.unlink()
            gone = True
        self.close()
        if not gone:  # Windows removes no file that is open
            with suppress(OSError):
                self.path.unlink()

    def leave(self) -> None:
        """Let go of the file, which stays, with blanks for the rows that are done."""
        with suppress(OSError):
            for place in range(0, self.given, LONG_CHUNK):
                end = min(place + LONG_CHUNK, self.given)
                self._put(place, memoryview(b" " * (end - place - 1) + b"\n"))
        self.close()

    def reopened(self) -> "Spill | None":
        """The file, where nobody has taken it since this let go of it."""
        if again := Spill.found(self.path, is_ours=True):
            again.n_rows, again.given = self.n_rows, self.given
        return again

    def close(self) -> None:
        """Let go of the file, which stays."""
        with suppress(OSError):
            os.close(self.descriptor)


def places_of(database: Path, key: str) -> list[Path]:
    """Where a file of rows may be: beside the database, and in the temporary folder, where there is one."""
    places = [database.with_name(f"{database.name}.{key}{SUFFIX}")]
    with suppress(OSError):
        digest = hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:16]
        places.append(Path(tempfile.gettempdir()) / f"tokenvis-{digest}.{key}{SUFFIX}")
    return places


def left_behind(database: Path) -> Iterator[Spill]:
    """The files for a database that processes left which are gone."""
    if fcntl is None:
        return
    for pattern in places_of(database, "*"):
        for path in sorted(pattern.parent.glob(escaped(pattern.name))):
            if spill := Spill.found(path):
                yield spill


def escaped(name: str) -> str:
    """A name with one star as a pattern in which nothing else stands for something else."""
    return "*".join("".join(f"[{letter}]" if letter in "*?[" else letter for letter in part) for part in name.rsplit("*", 1))


def is_owned(descriptor: int) -> bool | None:
    """Try to become the owner of a file; None where nobody can."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def line_of(row: Row) -> bytes:
    """A row as a line of JSON."""
    values = dict(zip(COLUMNS, row, strict=True))
    try:
        return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # no UTF-8, or too large a number
        return json.dumps(values).encode() + b"\n"


def size_of(row: Row) -> int:
    """How many bytes a row takes in memory, about."""
    return ROW_BYTES + len(row[6] or "")
