"""Plain tables of spans: a DataFrame, CSV, Parquet or JSON lines. For every source without a reader.

A row is a span. Its columns are the columns of a spans frame: ``id, trace_id, agent_id, location_id, start_time, end_time,
data, parent_id``, or the caller's names for them; ``duration`` may replace ``end_time``. Only ``start_time`` is required. Every
other column becomes a key of the span's data. Times are numbers in the caller's unit, or ISO 8601. Without a unit they are µs,
and a table whose times fit another unit is refused. The rows of a file that tokenvis exported, which has exactly the columns of
a frame, are kept as they are.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from tokenvis.conventions.agent_names import agent_key_in
from tokenvis.conventions.figures import with_figures
from tokenvis.conventions.rules import as_name
from tokenvis.conventions.source_times import SourceTimes
from tokenvis.conventions.span import SpanRead, escaped_trace, stored_id
from tokenvis.conventions.timestamps import is_number_text
from tokenvis.conventions.values import decode_json_text, json_text_value
from tokenvis.errors import IngestError, listed, quoted
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.parquet import FLEET_KEY, PARQUET_MAGIC, parquet_metadata
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.formats.files.rows import table_rows
from tokenvis.formats.files.sources import Source
from tokenvis.formats.restored import restored_span
from tokenvis.formats.table.writer import CSV_STARTS, JSONL_START, PARQUET_MARK
from tokenvis.output import unescape_cell
from tokenvis.spans.columns import COLUMNS, TIMES, TRACE_NAME, YEAR_10000
from tokenvis.spans.conversion.suggestion import suggested_call
from tokenvis.spans.endings import with_known_status

NAME = "tables of spans"
SPAN_FIELDS = (*COLUMNS, "parent_id", "duration", TRACE_NAME)
END_NAME = re.compile(
    r"(?:^|[_ ])(?i:(end|ended|finish|finished|stop|stopped)|duration|dur|elapsed|latency)(?:$|[_ ]|(?-i:[A-Z]))"
)
WHOLE_NUMBER = re.compile("-?[0-9]{1,19}")
MAX_HELD = 100_000  # spans that wait for a time in µs
TRUTH_KEYS = {"detached", "waits_for", "cancelled"}
TRUTHS = {"true": True, "false": False}


def recognises(head: Head) -> bool:
    """Whether rows have a start time, and an agent or a location; or are samples or events, which `read` refuses."""
    if FLEET_KEY in head.metadata:
        return False
    columns = head_columns(head)
    has_spans = "start_time" in columns and not {"agent_id", "location_id"}.isdisjoint(columns)
    return has_spans or ("start_time" not in columns and suggested_call(columns, head.objects) is not None)


def head_columns(head: Head) -> list[str]:
    """The columns of a table, or the keys of its first objects."""
    return head.names or list(dict.fromkeys(key for item in head.objects for key in item))


def read(reading: Reading) -> Iterator[SpanRead]:
    """A span for each row."""
    head = head_of(reading.source)
    columns = head_columns(head)
    reading.times.unit, reading.times.is_given = reading.options.unit or "us", reading.options.unit is not None
    advice = advice_on(suggested_call(columns, head.objects))
    by_field = columns_by_field(reading, columns, advice)
    if advice and not {"end_time", "duration"} & by_field.keys():
        reading.add_problem(None, advice)
    elif not {"end_time", "duration"} & by_field.keys():
        report_missing_end(reading, columns)
    converter = RowConverter(
        columns=by_field,
        times=reading.times,
        trace_id=table_trace_id(reading.source),
        all_text=head.kind == "table" and reading.source.frame is None and not head.start.startswith(PARQUET_MAGIC),
        written_by_tokenvis=columns[: len(COLUMNS)] == list(COLUMNS),
        is_export=is_export(reading, head, columns),
        has_any_time=head.start.startswith(PARQUET_MAGIC),
        name_trace=reading.name_trace,
    )
    records = ((number, (number, row)) for number, row in table_rows(reading))
    spans = spans_of_records(records, reading, converter.spans)
    yield from spans if reading.times.is_given else refused_in_another_unit(reading, spans)


def refused_in_another_unit(reading: Reading, spans: Iterator[SpanRead]) -> Iterator[SpanRead]:
    """The spans of a table without a given unit; `IngestError` if all of its times fit another unit than µs.

    Spans are kept until one of the times does not, or there are `MAX_HELD` of them.
    """
    held: list[SpanRead] = []
    n_problems = len(reading.problems)
    for span in spans:
        held.append(span)
        if reading.times.other_unit() is None or len(held) >= MAX_HELD:
            break
    if (other := reading.times.other_unit()) and not reading.times.n_zeros:
        del reading.problems[n_problems:]
        raise IngestError(
            f"{reading.source.name} has times in another unit: {reading.times.comparison()}. "
            f'Pass unit="{other}", or unit="us" if they are µs.'
        )
    yield from held
    yield from spans


def report_missing_end(reading: Reading, columns: list[str]) -> None:
    """Report a table without ends that has a column whose name says that it is one."""
    found = ((match, name) for name in columns if (match := END_NAME.search(name)))
    if match_and_name := next(found, None):
        match, name = match_and_name
        field = "end_time" if match[1] else "duration"
        reading.add_problem(
            None, f"has no 'end_time' or 'duration', but {quoted(name)}. Pass columns={{{field!r}: {quoted(name)}}}"
        )


def is_export(reading: Reading, head: Head, columns: list[str]) -> bool:
    """Whether tokenvis exported a table: it has the columns of a frame, in their order, and begins as tokenvis writes it."""
    optional = [name for name in ("parent_id", TRACE_NAME) if name in columns]
    if columns != [*COLUMNS, *optional] or reading.options.columns or reading.options.unit not in (None, "us"):
        return False
    if head.start.startswith(PARQUET_MAGIC):
        return PARQUET_MARK.items() <= parquet_metadata(reading.source).items()
    return head.start.startswith((*CSV_STARTS, JSONL_START))


def advice_on(call: str | None) -> str | None:
    """What to do with a table that this call converts."""
    return None if call is None else f"its rows look like samples or events, not spans. Convert them: {call}"


def columns_by_field(reading: Reading, available: list[str], advice: str | None) -> dict[str, str]:
    """The column of each span field; `IngestError` if a column that the caller names, or the start time, is missing."""
    names = reading.options.columns
    unknown = [field for field in names if field not in SPAN_FIELDS]
    missing = [name for name in (*names.values(), names.get("start_time", "start_time")) if name not in available]
    if unknown:
        raise IngestError(f"columns= has unknown keys: {listed(unknown)}. Allowed keys: {', '.join(SPAN_FIELDS)}.")
    if missing:
        text = f"{reading.source.name} has no column {listed(dict.fromkeys(missing))}. It has: {listed(available)}."
        raise IngestError(text if advice is None or names else f"{text} But {advice}.")
    columns = {field: names.get(field, field) for field in SPAN_FIELDS}
    return {field: name for field, name in columns.items() if name in available}


def table_trace_id(source: Source) -> str:
    """The trace id of rows without one: an id for each file or, without a file, for the content."""
    name, origin = PurePosixPath(source.name).stem, source.origin.encode()
    if source.frame is not None:
        name, origin = "table", frame_content(source.frame)
    return f"{name}-{blake2b(origin, digest_size=4).hexdigest()}"


def frame_content(frame: pd.DataFrame) -> bytes:
    """Bytes that are equal for frames of equal cells."""
    try:
        return pd.util.hash_pandas_object(frame.astype("str")).to_numpy().tobytes()
    except (ArithmeticError, TypeError, ValueError):  # a cell has no text, or none in UTF-8
        columns = (frame.iloc[:, number].tolist() for number in range(frame.shape[1]))
        return "\0".join(map(cell_text, chain.from_iterable(columns))).encode(errors="surrogatepass")


def cell_text(cell: Any) -> str:
    """The text of a cell; of an integer with too many digits in hex, which has no limit."""
    try:
        return str(cell)
    except ValueError:
        return hex(cell) if isinstance(cell, int) else type(cell).__name__


@dataclass(frozen=True)
class RowConverter:
    """Converts the rows of a table to spans.

    ``columns`` maps each span field to its column; ``all_text`` is set if all cells are texts; ``written_by_tokenvis`` if
    tokenvis wrote the table, with texts escaped that a spreadsheet would run as formulas; ``is_export`` if no other program has
    saved it since, and ``has_any_time`` if its times cannot be in another unit. ``name_trace`` takes the id and the name of a
    trace.
    """

    columns: dict[str, str]
    times: SourceTimes
    trace_id: str
    all_text: bool
    written_by_tokenvis: bool
    is_export: bool
    has_any_time: bool
    name_trace: Callable[[str, str], None]

    def spans(self, numbered_row: tuple[int, Any]) -> Iterator[SpanRead]:
        """The span of a numbered row; the number becomes its id if it has none."""
        number, row = numbered_row
        if not isinstance(row, dict):
            raise TypeError(f"a row is of type {type(row).__name__}")
        if self.all_text and self.written_by_tokenvis:
            row = {name: unescape_cell(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        if self.is_export and (span := self.exported_span(row)):
            self.name_trace(row["trace_id"], cell_name(row, TRACE_NAME) or "")
            yield span
            return
        cells = {field: row.get(name) for field, name in self.columns.items()}
        trace_id = cell_name(cells, "trace_id") or self.trace_id
        self.name_trace(trace_id, cell_name(cells, TRACE_NAME) or "")
        start = self.times.start(self.required_cell(cells, "start_time"))
        data = self.data_of(row, cells)
        parent, source_id = cell_name(cells, "parent_id") or data.get("parent_id"), cell_name(cells, "id")
        location = cell_name(cells, "location_id") or as_name(data.get("kind")) or "span"
        span_id = stored_id(trace_id, str(number)) if source_id is None else table_span_id(trace_id, source_id)
        if source_id is not None and span_id != source_id:
            data["source_id"] = source_id
        resolve_references(data, trace_id)
        agent = cell_name(cells, "agent_id")
        yield SpanRead(
            trace_id,
            span_id,
            start,
            self.end_of(cells, start),
            agent,
            location,
            location,
            data,
            table_span_id(trace_id, parent) if isinstance(parent, str) and parent else None,
            former_id=source_id if span_id != source_id else None,
            agent_key=agent_key_in(data, agent),
        )

    def exported_span(self, row: dict[str, Any]) -> SpanRead | None:
        """The span of an exported row; None if the row was changed, so that it is read like that of any other table."""
        if self.all_text:
            times = {name: row.get(name) or "" for name in TIMES}
            row = row | {name: int(time) for name, time in times.items() if WHOLE_NUMBER.fullmatch(time)}
        try:
            span = restored_span(row)
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        is_dated = all(abs(row[name]) < YEAR_10000 for name in TIMES)
        return span if (is_dated or self.has_any_time) and row.get("parent_id") in (None, span.data.get("parent_id")) else None

    def required_cell(self, cells: dict[str, Any], field: str) -> Any:
        """The cell of a required field; `KeyError` if it is empty."""
        if cells.get(field) is None:
            raise KeyError(self.columns[field])
        return cells[field]

    def end_of(self, cells: dict[str, Any], start: int) -> int | None:
        """The end time of a span, None if it has none."""
        if cells.get("end_time") is not None:
            return self.times.time(cells["end_time"])
        duration = cells.get("duration")
        if isinstance(duration, str) and not is_number_text(duration):
            return start + pd.Timedelta(duration) // pd.Timedelta(1, "us")
        return None if duration is None else start + self.times.duration(duration, cells["start_time"])

    def data_of(self, row: dict[str, Any], cells: dict[str, Any]) -> dict[str, Any]:
        """The ``data`` of a row, and every column that is not a span field."""
        data = decode_json_text(cells.get("data"))
        if data is not None and not isinstance(data, dict):
            raise TypeError(f"'data' is of type {type(data).__name__}, not an object")
        used = set(self.columns.values())
        others = {name: value for name, value in row.items() if name not in used and value is not None}
        values = {name: cell_value(name, cell) if self.all_text else cell for name, cell in others.items()}
        return with_known_status(with_figures({**values, **(data or {})}))


def resolve_references(data: dict[str, Any], trace_id: str) -> None:
    """Replace the ids of other spans of the trace, as the table has them, by their ids in the database."""
    for key in ("links", "requested_by"):
        if isinstance(found := data.get(key), list):
            data[key] = [table_span_id(trace_id, span) if isinstance(span, str) else span for span in found]
        elif isinstance(found, str):
            data[key] = table_span_id(trace_id, found)


def table_span_id(trace_id: str, source_id: str) -> str:
    """The id in the database of a span with this id in a table; one that begins with its trace's id is such an id already."""
    return source_id if source_id.startswith(f"{escaped_trace(trace_id)}/") else stored_id(trace_id, source_id)


def cell_name(cells: dict[str, Any], field: str) -> str | None:
    """A cell as a name, with blanks unchanged; None if it is empty."""
    value = cells.get(field)
    return value or None if isinstance(value, str) else as_name(value)


def cell_value(name: str, cell: str) -> Any:
    """A cell as the value of a key: true or false if tokenvis gives these a meaning there, else a number or text."""
    truth = TRUTHS.get(cell.strip().lower()) if name in TRUTH_KEYS else None
    return cell_number(cell) if truth is None else truth


def cell_number(cell: str) -> Any:
    """A cell as a number if its text is one, else its text."""
    if not is_number_text(cell):
        return cell
    try:
        return json_text_value(cell)
    except ValueError:
        return cell
