"""Tables: the rows of a DataFrame or a CSV file, as dicts of JSON values.

A cell that has no JSON value is left out, and is a problem. Of several columns with one name, the first is read.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, TextIO, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from tokenvis.errors import plural, quoted
from tokenvis.formats.files.encodings import INVALID_UTF8, READ_AS_LATIN, Encoding
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.spans.text import without_surrogates

ROWS_PER_BATCH = 4_096
MAX_CSV_CHARACTERS = 32 << 20  # of a line, and of a cell with line breaks, for which csv needs 8 bytes each

CellReporter: TypeAlias = Callable[[int, str], None]  # called with the number of a row and the reason
Named = TypeVar("Named")


def ignore_cell(_: int, __: str) -> None:
    """Ignore a cell that cannot be read, in a head."""


def frame_rows(reading: Reading, frame: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a DataFrame."""
    reading.record_noun = "row"
    report_repeated(list(map(column_name, frame.columns)), reading)
    for first in range(0, len(frame), ROWS_PER_BATCH):
        batch = frame.iloc[first : first + ROWS_PER_BATCH]
        yield from enumerate(frame_records(batch, reading.add_problem, first), first)


def frame_columns(frame: pd.DataFrame) -> dict[str, pd.Series | pd.Index]:
    """The levels of a named index, then the columns of a DataFrame, by name."""
    columns = [(column_name(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)]
    names = {name for name, _ in columns}
    levels = [
        (column_name(name), frame.index.get_level_values(level))
        for level, name in enumerate(frame.index.names)
        if name is not None and column_name(name) not in names
    ]
    return first_by_name([*levels, *columns])


def column_name(label: Any) -> str:
    """The label of a column as a name; its type for a label that has no text, such as an integer of too many digits."""
    try:
        return without_surrogates(str(label))
    except Exception:  # a label may be an object of any type
        return type(label).__name__


def first_by_name(named: Iterable[tuple[str, Named]]) -> dict[str, Named]:
    """The first value of each name."""
    first: dict[str, Named] = {}
    for name, value in named:
        first.setdefault(name, value)
    return first


def report_repeated(names: list[str], reading: Reading) -> None:
    """Report each name that several columns have."""
    for name, count in Counter(names).items():
        if count > 1:
            reading.add_problem(None, f"has {count} columns {quoted(name)}; the first is read")


def frame_records(frame: pd.DataFrame, report: CellReporter = ignore_cell, first: int = 0) -> list[dict[str, Any]]:
    """Rows of a DataFrame, numbered from ``first``, as dicts of JSON values, missing ones as None."""
    columns = frame_columns(frame)
    cells = [
        json_cells(name, column.tolist, column.array.__getitem__, range(first, first + len(frame)), report)
        for name, column in columns.items()
    ]
    return [dict(zip(columns, values, strict=True)) for values in zip(*cells, strict=True)]


def json_cells(
    name: str, cells: Callable[[], list[Any]], cell_at: Callable[[int], Any], rows: range, report: CellReporter
) -> list[Any]:
    """The cells of a column as JSON values; if that fails, cell by cell."""
    with suppress(Exception):  # a cell may be an object of any type
        return [cell_as_json(cell) for cell in cells()]
    values = []
    for place, row in enumerate(rows):
        try:
            values.append(cell_as_json(cell_at(place)))
        except Exception as error:
            report(row, f"a value in column {quoted(name)} cannot be read ({error_reason(error)}); it was left out")
            values.append(None)
    return values


def error_reason(error: BaseException) -> str:
    """The first line of an error's message, without its full stop; its kind if it has none."""
    return next(iter(str(error).splitlines()), "").removesuffix(".") or type(error).__name__


def cell_as_json(value: Any) -> Any:
    """A value of a table as a JSON value: times as ISO text, missing values as None."""
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bytes):
        return bytes_as_text(value)
    if isinstance(value, np.floating):
        return cell_as_json(float(value))  # of a long double, tolist() is a long double
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return cell_as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [cell_as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): cell_as_json(item) for key, item in value.items()}
    return value if isinstance(value, Decimal) else str(value)


def bytes_as_text(value: bytes) -> str:
    """Bytes as text: in UTF-8, as writers without a type for texts store it, else as Python shows them."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return str(value)


class BoundedLines:
    """The lines of a text file; `csv.Error` for a line that is too long, which is skipped. ``line`` is the last line."""

    def __init__(self, text: TextIO) -> None:
        self.text, self.ended, self.line = text, False, ""

    def __iter__(self) -> "BoundedLines":
        return self

    def __next__(self) -> str:
        line = piece = self.text.readline(MAX_CSV_CHARACTERS)
        while len(piece) == MAX_CSV_CHARACTERS and not piece.endswith(("\n", "\r")):
            piece = self.text.readline(MAX_CSV_CHARACTERS)
        if piece is not line:
            raise csv.Error(f"line longer than {MAX_CSV_CHARACTERS:,} characters")
        if not line:
            self.ended = True
            raise StopIteration
        self.line = line
        return line


def csv_rows(source: Source, reading: Reading, encoding: Encoding | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered rows of a CSV file, as texts; an empty cell is None. The first row names the columns.

    Without ``encoding``, the file is read once more to find it. A row with more or fewer cells than columns is skipped, because
    each of its cells may be another's, or cut; empty cells beyond the columns are ignored.
    """
    names: list[str] | None = None
    places: dict[str, int] = {}
    number, row, is_cut = 0, list[str](), False
    for number, row, is_cut in csv_records(source, reading, encoding or source.encoding):
        if names is None:
            names, places = row, first_by_name(zip(row, range(len(row)), strict=True))
            report_repeated(names, reading)
            continue
        if len(row) > len(names) and not any(row[len(names) :]):
            row = row[: len(names)]  # commas at the end of the line
        if len(row) == len(names):
            yield number, {name: row[place] or None for name, place in places.items()}
        elif len(row) > 1 or "".join(row).strip():
            cut = " and no line break, as in a file that is cut" if is_cut and len(row) < len(names) else ""
            n_cells, n_names = plural(len(row), "cell"), plural(len(names), "column")
            reading.add_problem(number, f"{n_cells} in a table of {n_names}{cut}; the row was skipped")
    if is_cut and names is not None and row is not names and len(row) == len(names):
        reading.add_problem(number, f"has no line break, so its last cell {quoted(row[-1])} may be cut; the row was read")


def csv_records(source: Source, reading: Reading, encoding: Encoding) -> Iterator[tuple[int, list[str], bool]]:
    """The number and cells of each row of a CSV file, and whether it may be cut: neither a line break nor a quote ends it."""
    csv.field_size_limit(MAX_CSV_CHARACTERS)
    with source.path.open("rb") as raw:
        if encoding != "utf-8":
            reading.add_once(READ_AS_LATIN if encoding == "cp1252" else INVALID_UTF8)
        codec = "cp1252" if encoding == "cp1252" else "utf-8-sig"
        text = BoundedLines(io.TextIOWrapper(raw, encoding=codec, errors="replace", newline=""))
        lines, n_lines = csv.reader(text), 0
        while True:
            try:
                row = next(lines, None)
            except csv.Error as error:
                reading.add_problem(lines.line_num, f"not CSV ({error})")
                continue
            if row is None:
                break
            if text.ended:  # csv has asked for more lines of this row
                reading.add_problem(n_lines + 1, "a quote is not closed; the rest of the file was read as one row")
            n_lines = lines.line_num
            if not n_lines % 1024:
                source.report_position(raw.tell())
            yield n_lines, row, not text.line.endswith(("\n", "\r", '"'))
    source.report_position(source.size)
