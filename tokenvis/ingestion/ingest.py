"""Ingest: reads files of traces into the store.

A file is recognised by its content and parsed by the reader of its format. Each span gets its agent and location by the default
rules, or by those of the caller; its texts are kept or redacted; and it is added to the store. The report lists what was read,
what was skipped, and why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from tqdm import tqdm

from tokenvis.conventions.rules import AttributeRule, Rule, RuleFunction, rule_functions
from tokenvis.conventions.span import SpanRead, assign_by_rules, error_text
from tokenvis.conventions.timestamps import UNITS, Unit
from tokenvis.errors import BadOption, IngestError, check_choice, quoted
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.inputs import sources_in
from tokenvis.formats.files.pages import missing_pages
from tokenvis.formats.files.reading import Problem, Reading, ReadOptions
from tokenvis.formats.files.sources import Source, refusal_reason
from tokenvis.formats.registry import FORMATS, FormatReader
from tokenvis.ingestion.assembly import Assembly
from tokenvis.ingestion.clock_shifts import ClockShifts
from tokenvis.ingestion.conversations import TRACE_CHOICES, Conversations, TraceChoice, moved_spans
from tokenvis.ingestion.copies import REMOVED_COPIES, delete_copies, outdated_sources
from tokenvis.ingestion.report import Report
from tokenvis.ingestion.run_names import names_of_runs
from tokenvis.ingestion.stored import StoredTraces, source_of
from tokenvis.ingestion.turns import turn
from tokenvis.ingestion.unknown_format import unknown_format, unknown_format_name
from tokenvis.spans.redaction import CONTENTS, Content, Redactor
from tokenvis.store.database import Target
from tokenvis.store.ingested import put_sources, revise_spans
from tokenvis.store.store import Store, as_store
from tokenvis.temporary import clear_leftovers, temporary_folder

PROGRESS_FROM_BYTES = 8 << 20  # size of the input from which a progress bar is shown


def ingest(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002  (the usual name)
    agent: Rule = None,
    location: Rule = None,
    waits_for: Rule = None,
    content: Content = "full",
    columns: Mapping[str, str] | None = None,
    unit: Unit | None = None,
    clock_offsets: Mapping[str, int] | None = None,
    trace: TraceChoice = "trace",
    store: Store | Target = None,
) -> Report:
    """Read traces in any known format into the store.

    The same files give the same store, in any order and any number of calls: reading a file again changes nothing, and reading
    a file that has grown or was corrected adds and updates its spans. Nothing is ever deleted, except copies of a session's
    spans whose originals are in the store. Formats are recognised by content.

    Parameters
    ----------
    source
        A file; a folder (every file in it that is recognised); a .zip, .gz or .zst of these; an open file; a DataFrame.
    format
        The short name of a format (`"otlp"`), to skip the detection.
    agent, location
        How to find the agent and the location of a span, instead of the default rules: the name of an attribute (or column), or
        a function of the span (a dict with ``id, trace_id, agent_id, location_id, start_time, end_time, data``) that returns a
        name, or None to keep the default. For ``location`` also "tool", "file", "folder", "host" or "kind".
    waits_for
        How to find whom a span waits for: an attribute or a function, as for ``agent``. The name of a person ("user") or of an
        agent becomes ``waits_for`` in the span's data; "" says that the span does not wait, and removes the source's mark. If
        the function returns None, or the attribute is missing, the default applies: the source's mark, else "user" for tools
        that ask the user. An attribute or column may also contain truths: true and 1 mean "user", false and 0 mean "".
    content
        How much free text (prompts, answers, inputs and outputs of tools) is kept: "full"; "short", the first 200 characters of
        each text; "none".
    columns
        For a table: its name for each column of spans, such as ``{"start_time": "begin", "end_time": "stop"}``.
    unit
        For a table with numeric times: their unit since 1970, "s", "ms", "us" or "ns". By default "us", and a table is refused
        if all its times are in the years 2000 to 2100 in another unit.
    clock_offsets
        µs to add to the times of each host (``host.name``, else ``service.instance.id``, else ``service.name``) whose clock is
        off, such as ``{"host-b": -250_000}``; `diagnose` estimates them. A shifted span has ``clock_offset_us`` in its data.
    trace
        What becomes a trace: "trace", as in the source; "session", all traces of a session or conversation, which their spans
        name (`gen_ai.conversation.id`, `session.id`, ...). Traces without a session stay as they are.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.

    Returns
    -------
    Report
        What was recognised, added and skipped; ``report.spans()`` is the frame.

    Raises
    ------
    IngestError
        The file does not exist, or its format is unknown.
    BadOption
        An option has an invalid value.
    StoreError
        The database cannot be written.
    """
    check_choice("content", content, CONTENTS)
    if unit is not None:
        check_choice("unit", unit, UNITS)
    check_choice("trace", trace, TRACE_CHOICES)
    if format is not None and format not in list(FORMATS):
        raise BadOption(f"format={unknown_format_name(format)}")
    rules = SpanRules(*rule_functions(agent, location, waits_for), Redactor(content), ClockShifts(clock_offsets))
    read_options = ReadOptions(without_texts=content == "none", columns=checked_columns(columns), unit=unit)
    clear_leftovers()
    with temporary_folder() as temporary:
        problems: list[Problem] = []
        sources = list(sources_in(source, temporary, lambda name, reason: problems.append(Problem(name, None, reason))))
        by_format = sources_by_format(source, sources, "table" if columns and format is None else format, problems)
        rules.is_only_source = len(sources) == 1
        report = Report(as_store(store, create=True), problems=problems)
        if n_unknown := len(sources) - sum(map(len, by_format.values())):
            report.skipped["files of unknown format"] = n_unknown
        size = sum(file.size for group in by_format.values() for file in group)
        with tqdm(
            total=size, desc="Reading", unit="B", unit_scale=True, disable=None if size > PROGRESS_FROM_BYTES else True
        ) as bar:
            for name, group in by_format.items():
                rules.conversations = conversations_in(FORMATS[name], group, read_options) if trace == "session" else None
                for file in group:
                    file.progress = bar.update
                try:
                    read_into_store(report, FORMATS[name], group, rules, read_options, temporary / f"{name}.spool")
                except OSError as error:
                    raise IngestError(f"The temporary folder {gettempdir()} cannot be written: {error}.") from error
    report.n_cut = rules.redactor.n_cut
    report.problems.extend([*unused_rules(rules), *rules.clocks.unused()] if report.n_spans else [])
    return report


def unused_rules(rules: "SpanRules") -> Iterator[Problem]:
    """A problem for each attribute that a caller's rule names and no span has: its name may be misspelled."""
    for rule in (rules.agent, rules.location, rules.waits_for):
        if isinstance(rule, AttributeRule) and not rule.n_found:
            yield Problem(f"{rule.option}={quoted(rule.key)}", None, "no span has a name in this attribute or column")


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """The table's name of each column of spans, as a dict."""
    if columns is not None and not isinstance(columns, Mapping):
        raise BadOption(f"columns={quoted(columns)} is not a mapping from columns of spans to columns of the table.")
    return dict(columns or {})


@dataclass
class SpanRules:
    """The caller's rules for each span: agent, location, waits, how much text is kept; single source; sessions as traces."""

    agent: RuleFunction
    location: RuleFunction
    waits_for: RuleFunction
    redactor: Redactor
    clocks: ClockShifts = field(default_factory=ClockShifts)
    is_only_source: bool = True
    conversations: Conversations | None = None

    def process(self, span: SpanRead, reading: Reading, assembly: Assembly) -> bool:
        """Apply the rules to a span and add it to the assembly; False, and a problem, if it cannot be stored."""
        self.clocks.shift(span)
        assign_by_rules(span, self.agent, self.location, self.waits_for)
        try:
            self.redact(span)
            assembly.add(span)
        except (ValueError, TypeError, RecursionError) as error:
            reading.add_problem(span.line, f"span {quoted(span.id)} cannot be stored ({error_text(error)})")
            return False
        return True

    def redact(self, span: SpanRead) -> None:
        """Keep as much of the texts as the caller asked for."""
        if self.redactor.content != "full":
            span.data, span.text = self.redactor.redacted(span.data, span.name), None


def sources_by_format(
    source_input: Any,
    sources: list[Source],
    format: str | None,  # noqa: A002
    problems: list[Problem],
) -> dict[str, list[Source]]:
    """The sources by format; `IngestError` if no source is recognised."""
    by_format: dict[str, list[Source]] = {}
    heads = []
    for source in sources:
        try:
            head = head_of(source)
        except OSError as error:
            problems.append(Problem(source.name, None, f"cannot be read ({error.strerror})"))
            continue
        except IngestError as error:
            problems.append(Problem(source.name, None, refusal_reason(error, source.name)))
            continue
        heads.append((source, head))
        if name := recognised_format(head, format, is_only_source=len(sources) == 1):
            by_format.setdefault(name, []).append(source)
    if not by_format:
        raise unknown_format(source_input, heads, len(sources), problems)
    return by_format


def recognised_format(head: Head, format: str | None, *, is_only_source: bool) -> str | None:  # noqa: A002
    """The format of a source; a ``format`` option is not checked for a single file, and selects the files of a folder."""
    if format is not None:
        return format if is_only_source or FORMATS[format].recognises(head) else None
    return next((name for name, reader in FORMATS.items() if reader.recognises(head)), None)


def conversations_in(reader: FormatReader, sources: list[Source], read_options: ReadOptions) -> Conversations:
    """The session of each trace in sources of one format; what cannot be read is told when they are read again."""
    conversations = Conversations()
    for source in sources:
        for span in readable_spans(reader, Reading(source, read_options), is_only_source=False):
            conversations.add(span)
    return conversations


def read_into_store(
    report: Report, reader: FormatReader, sources: list[Source], rules: SpanRules, read_options: ReadOptions, spool: Path
) -> None:
    """Read sources of one format, and add their spans to the store."""
    assembly = Assembly(spool, rules.redactor)
    read_paths: set[Path] = set()
    folders: dict[Path, Any] = {}
    readings = []
    for source in sources:
        if source.path in read_paths and source.frame is None:
            continue
        reading = Reading(source, read_options, folders=folders)
        readings.append(reading)
        assembly.begin(reading)
        read = readable_spans(reader, reading, is_only_source=rules.is_only_source)
        n_read = 0
        for span in moved_spans(read, rules.conversations, reading) if rules.conversations else read:
            rules.process(span, reading, assembly)
            n_read += 1
        if not (n_read or reading.problems or reading.skipped or reading.pages or reading.empty_traces):
            reading.add_problem(None, "contains no spans")
        if rules.conversations:
            reading.names = rules.conversations.names(reading.names)
        read_paths.update(file.path for file in (source, *reading.files))
        report.formats |= dict.fromkeys([file.origin for file in (source, *reading.files)], reader.NAME)
        if reading.continued_by:
            sources += outdated_sources(report.store, reading, {*read_paths, *(other.path for other in sources)})
    with turn(report.store.path):
        write_spans(report, assembly, readings)
    if rules.conversations and (twins := rules.conversations.twins(row[0] for row in report.store.select_traces())):
        readings[0].add_problem(None, twins)
    for reading, reason in missing_pages(readings):
        reading.add_problem(None, reason)
    report_readings(report, readings)
    report.count(assembly.counts)


def report_readings(report: Report, readings: list[Reading]) -> None:
    """Delete the copies that the readings found, and report what they could not use."""
    if n_deleted := delete_copies(report.store, readings):
        report.skipped[REMOVED_COPIES] += n_deleted
        report.add_names(put_sources(report.store, [], names_of_runs))
    for reading in readings:
        report.problems += reading.problems
        report.skipped += reading.skipped


def write_spans(report: Report, assembly: Assembly, readings: list[Reading]) -> None:
    """Write the spans of an assembly, the stored spans that change because of them, and which files they came from."""
    stored = StoredTraces(report.store, assembly.traces.array().tolist(), readings)
    for frame in assembly.frames(stored.names(), stored):
        files, spans = frame["file"], frame.drop(columns="file")
        written, foreign = report.store.add_traces(spans, {}, former=assembly.former)
        assembly.former.clear()
        report.add(spans[~spans["id"].isin(foreign)], written)
        for refused, owner in foreign.items():
            reason = f"span {quoted(refused)} already belongs to trace {quoted(owner)}"
            readings[int(files[spans["id"] == refused].iloc[0])].add_problem(None, reason)
    for rows, before in assembly.changes:
        report.add_written(revise_spans(report.store, rows, before))
    report.add_kept(assembly.kept)
    add_empty_traces(report, readings)
    sources = [source_of(trace, readings[file]) for trace, file in assembly.told_by]
    outdated = {reading.trace_id for reading in readings if reading.copies}
    report.add_names(put_sources(report.store, sources, names_of_runs, new=stored.nameless, outdated=outdated))


def add_empty_traces(report: Report, readings: list[Reading]) -> None:
    """Add the traces to the store of which the readings say that they have no spans."""
    names = {trace_id: reading.names.get(trace_id, (0, None))[1] for reading in readings for trace_id in reading.empty_traces}
    for trace_id, name in names.items():
        if trace_id not in report.totals:
            report.add_written([report.store.add_spans(trace_id, [], name=name)])
            report.names[trace_id] = name or trace_id


def readable_spans(reader: FormatReader, reading: Reading, *, is_only_source: bool) -> Iterator[SpanRead]:
    """The spans of a source up to a read error, which becomes a problem, or an `IngestError` if ``is_only_source``."""
    try:
        yield from reader.read(reading)
    except OSError as error:
        reading.add_problem(None, f"cannot be read ({error.strerror})")
    except IngestError as error:
        if is_only_source:
            raise
        reading.add_problem(None, refusal_reason(error, reading.source.name))
