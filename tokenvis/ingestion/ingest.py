"""Ingest: the one door through which traces come in.

A file is recognised by its content and read by the reader of its format; each span gets its agent and location by the rules, or
by what the caller put in their place; and what is kept of it goes into the store. The report says what was understood, and what
was not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from tokenvis.conventions.rules import Rule, chosen
from tokenvis.conventions.span import SpanRead, assign
from tokenvis.conventions.timestamps import UNITS, Unit
from tokenvis.errors import BadOption, IngestError, check_choice, plural, quoted
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.reading import Problem, Reading, Wishes
from tokenvis.formats.files.sources import Source, sources_in
from tokenvis.formats.registry import FORMATS, Reader
from tokenvis.ingestion.assembly import Gathering
from tokenvis.ingestion.report import Report
from tokenvis.spans.redaction import CONTENTS, Content, Keeper
from tokenvis.store.database import Target
from tokenvis.store.store import Store, opened

SLOW = 8 << 20  # bytes from which progress is shown


def ingest(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002  (the word that everybody uses)
    agent: Rule = None,
    location: Rule = None,
    content: Content = "full",
    columns: Mapping[str, str] | None = None,
    unit: Unit = "us",
    store: Store | Target = None,
) -> Report:
    """Read traces in any known format into the store.

    Spans are added by id: reading a file again changes nothing, and reading one that has grown adds what is new. Nothing is
    ever deleted. Formats are recognised by content.

    Parameters
    ----------
    source
        A file; a folder (all that is recognised below it); a .zip, .gz or .zst of those; an open file; a DataFrame.
    format
        One of the formats, by its short name (`"otlp"`), where it should not be guessed.
    agent, location
        What tells a span's agent and location, in place of the rules: the name of an attribute (or of a column), or a function
        of the span (a dict with ``id, trace_id, agent_id, location_id, start_time, end_time, data``) that returns a name, or
        None where it has none to say. For ``location`` also "tool", "file", "folder", "host" or "kind".
    content
        How much free text (prompts, answers, what tools were given and gave back) is kept: "full"; "short", the first 200
        characters of each; "none".
    columns
        For a table of your own: its name of each column of spans, such as ``{"start_time": "begin", "end_time": "stop"}``.
    unit
        For a table of your own: what its times count, "s", "ms", "us" or "ns" since 1970, where they are numbers.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.

    Returns
    -------
    Report
        What was recognised, added and skipped; ``report.spans()`` is the frame.

    Raises
    ------
    IngestError
        There is no such file, or it is of no known format.
    BadOption
        An option is none of its choices.
    StoreError
        The database cannot be written.
    """
    check_choice("content", content, CONTENTS)
    check_choice("unit", unit, UNITS)
    if format is not None:
        check_choice("format", format, FORMATS)
    entry = Entry(chosen("agent", agent), chosen("location", location), Keeper(content))
    wishes = Wishes(without_texts=content == "none", columns=checked_columns(columns), unit=unit)
    with TemporaryDirectory(prefix="tokenvis-", ignore_cleanup_errors=True) as folder:
        problems: list[Problem] = []
        place = Path(folder)
        sources = list(sources_in(source, place, lambda name, reason: problems.append(Problem(name, None, reason))))
        read = recognised(source, sources, "table" if columns and format is None else format, problems)
        entry.alone = len(sources) == 1
        report = Report(opened(store, create=True), problems=problems)
        if n_strange := len(sources) - sum(map(len, read.values())):
            report.skipped["files in no known format"] = n_strange
        size = sum(one.size for group in read.values() for one in group)
        with tqdm(total=size, desc="Reading", unit="B", unit_scale=True, disable=None if size > SLOW else True) as bar:
            for name, group in read.items():
                for one in group:
                    one.progress = bar.update
                try:
                    take_in(report, FORMATS[name], group, entry, wishes, place / f"{name}.gathered")
                except OSError as error:
                    raise IngestError(f"The temporary folder {place.parent} cannot be written: {error}.") from error
    report.n_cut = entry.keeper.n_cut
    return report


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Names of columns, by the names of the columns of spans."""
    if columns is not None and not isinstance(columns, Mapping):
        raise BadOption(f"columns={quoted(columns)} is no mapping of a span's columns to those of the table.")
    return dict(columns or {})


@dataclass
class Entry:
    """What happens to a span at the door: a caller's rules, and how much of its texts is kept; ``alone`` is a single source."""

    agent: Callable[[dict[str, Any]], str | None] | None
    location: Callable[[dict[str, Any]], str | None] | None
    keeper: Keeper
    alone: bool = True

    def bring(self, span: SpanRead, reading: Reading, gathering: Gathering) -> bool:
        """Let a span in, as far as it can be kept; whether it can."""
        assign(span, self.agent, self.location)
        try:
            self.cut(span)
            gathering.add(span)
        except (ValueError, TypeError, RecursionError) as error:
            reading.problem(span.line, f"span {quoted(span.id)} cannot be kept ({error})")
            return False
        return True

    def cut(self, span: SpanRead) -> None:
        """Keep as much of its texts as the caller wants."""
        if self.keeper.content != "full":
            span.data = self.keeper.kept(span.data, span.name)


def recognised(given: Any, sources: list[Source], format: str | None, problems: list[Problem]) -> dict[str, list[Source]]:  # noqa: A002
    """The sources by format; `IngestError` where there is none."""
    found: dict[str, list[Source]] = {}
    heads = []
    for source in sources:
        try:
            head = head_of(source)
        except OSError as error:
            problems.append(Problem(source.name, None, f"cannot be read ({error.strerror})"))
            continue
        heads.append(head)
        if name := format_of(head, format, alone=len(sources) == 1):
            found.setdefault(name, []).append(source)
    if not found:
        raise unknown(given, sources, heads, problems)
    return found


def format_of(head: Head, format: str | None, *, alone: bool) -> str | None:  # noqa: A002
    """The format of a source; one that is given is believed of a single file, and sought in a folder."""
    if format is not None:
        return format if alone or FORMATS[format].recognises(head) else None
    return next((name for name, reader in FORMATS.items() if reader.recognises(head)), None)


def unknown(given: Any, sources: list[Source], heads: list[Head], problems: list[Problem]) -> IngestError:
    """The error for what is in no known format."""
    known = f"Known are: {', '.join(f'{reader.NAME} ({name})' for name, reader in FORMATS.items())}."
    if not sources:
        reasons = "".join(f" {problem}" for problem in problems)
        return IngestError(f"There is no file in {given}.{reasons}")
    if not heads:
        return IngestError(" ".join(map(str, problems)))
    if len(sources) == 1:
        return IngestError(f"{sources[0].name} is in no known format: it looks like {heads[0]}. {known}")
    return IngestError(f"None of the {plural(len(sources), 'file')} in {given} is in a known format. {known}")


def take_in(report: Report, reader: Reader, sources: list[Source], entry: Entry, wishes: Wishes, place: Path) -> None:
    """Read sources of one format, and write their spans to the store."""
    gathering = Gathering(place)
    done: set[Path] = set()
    names: dict[str, tuple[int, str]] = {}
    readings = []
    for source in sources:
        if source.path in done and source.frame is None:
            continue
        reading = Reading(source, wishes, names=names)
        readings.append(reading)
        gathering.begin(reading)
        for span in spans_of(reader, reading, alone=entry.alone):
            entry.bring(span, reading, gathering)
        done.update(one.path for one in (source, *reading.files))
        report.formats |= dict.fromkeys([one.origin for one in (source, *reading.files)], reader.NAME)
    report.names |= {trace: name for trace, (_, name) in names.items()}
    for frame in gathering.frames(report.names):
        files, spans = frame["file"], frame.drop(columns="file")
        written, foreign = report.store.add_traces(spans, report.names)
        report.add(spans[~spans["id"].isin(foreign)], written)
        for refused, owner in foreign.items():
            reason = f"span {quoted(refused)} belongs to trace {quoted(owner)}, and cannot be one of another too"
            readings[int(files[spans["id"] == refused].iloc[0])].problem(None, reason)
    for reading in readings:
        report.problems += reading.problems
        report.skipped += reading.skipped
    report.count(gathering.counts)


def spans_of(reader: Reader, reading: Reading, *, alone: bool) -> Iterator[SpanRead]:
    """The spans of a source; where it cannot be read any further, that is a problem, and of a single one an error."""
    try:
        yield from reader.read(reading)
    except OSError as error:
        reading.problem(None, f"cannot be read ({error.strerror})")
    except IngestError as error:
        if alone:
            raise
        reading.problem(None, str(error).removesuffix("."))
