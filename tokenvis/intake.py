"""The intake: the one door through which files of traces come in.

A file is recognised by its content, read by the reader of its format, and its spans are added to the store. The report says
what was understood, and what was not.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from tokenvis.database import Target
from tokenvis.errors import IngestError, SpanError, check_choice, plural, quoted
from tokenvis.frame import load_spans
from tokenvis.readers.formats import FORMATS, Reader
from tokenvis.reading import CONTENTS, Content, Problem, Reading
from tokenvis.store import Store, Written, opened

MOST_LINES = 12  # of each list, in a report


@dataclass
class Report:
    """What came in: by file and trace, with what was skipped, and why.

    Attributes
    ----------
    store : Store
        Where it went.
    formats : dict
        Name of the format, by file.
    written : list of Written
        What was written, by trace: spans added, updated, unchanged.
    n_spans, n_agents, n_locations : int
        Of all that was read. Agents and locations are counted by name, apart in each trace.
    problems : list of Problem
        Places that could not be read: file, line, reason.
    skipped : Counter
        What was left out on purpose, by reason.
    n_cut : int
        Texts that were cut or left out, as ``content`` asked.
    """

    store: Store
    formats: dict[Path, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    n_spans: int = 0
    n_agents: int = 0
    n_locations: int = 0
    n_estimated: int = 0
    n_open: int = 0
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    n_cut: int = 0

    def spans(self) -> pd.DataFrame:
        """The spans of these traces, as `tokenvis.load_spans` gives them."""
        return load_spans([written.trace_id for written in self.written], store=self.store)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"Database: {self.store.path}"
        for name, count in Counter(self.formats.values()).items():
            yield f"Read: {name}, {plural(count, 'file')}"
        for written in self.written:
            yield (
                f"Trace {written.trace_id!r} ({self.names[written.trace_id]}): {plural(written.added, 'span')} added, "
                f"{written.updated:,} updated, {written.unchanged:,} unchanged"
            )
        yield f"{plural(self.n_spans, 'span')}, {plural(self.n_agents, 'agent')}, {plural(self.n_locations, 'location')}"
        if self.n_estimated:
            yield f"Estimated times: {self.n_estimated:,} (the source does not give them; see `estimated` in data)"
        if self.n_open:
            yield f'Without an end: {self.n_open:,} (closed where last seen; `status` is "open")'
        if self.n_cut:
            yield f"Texts cut or left out: {self.n_cut:,}"
        yield from shortlist("Skipped:", [f"{reason}: {count:,}" for reason, count in sorted(self.skipped.items())])
        yield from shortlist("Problems:", [str(problem) for problem in self.problems])


def ingest(path: str | PathLike[str], *, content: Content = "full", store: Store | Target = None) -> Report:
    """Read a file of traces, or a folder of them, into the store.

    Spans are added by id: reading a file again changes nothing, and reading one that has grown adds what is new.

    Parameters
    ----------
    path
        A Claude Code session (``<session>.jsonl``, or any file of its subagents, which come with it), or a folder of sessions.
    content
        How much free text (prompts, answers, what tools were given and gave back) is kept: "full"; "short", the first 200
        characters of each; "none".
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
        ``content`` is none of its choices.
    StoreError
        The database cannot be written.
    """
    check_choice("content", content, CONTENTS)
    if not isinstance(path, str | PathLike):
        raise IngestError(f"{quoted(path)} is no path of a file or folder.")
    sources, n_strange = sources_of(Path(path))
    report = Report(opened(store, create=True))
    if n_strange:
        report.skipped["files in no known format"] = n_strange
    done: set[Path] = set()
    for file, reader in tqdm(sources, desc="Reading", unit="file", disable=None if len(sources) > 1 else True):
        if file not in done:
            reading = reader.read(file, content=content)
            done.update(reading.files)
            take_in(report, file, reading, reader.NAME)
    return report


def sources_of(path: Path) -> tuple[list[tuple[Path, Reader]], int]:
    """The files at a path that a reader recognises, and how many others there are; `IngestError` where none is recognised."""
    try:
        path = path.expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a ValueError where it holds a null character
        raise IngestError(f"There is no file or folder {path}.") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).removesuffix(".")
        raise IngestError(f"{quoted(str(path))} cannot be read: {reason}.") from None
    is_file = path.is_file()
    files = [path] if is_file else sorted(file for file in path.rglob("*.jsonl") if file.is_file())
    sources = [(file.absolute(), reader) for file in files if (reader := reader_of(file))]
    if not sources:
        known = " or ".join(reader.NAME for reader in FORMATS)
        what = f"{path} is not" if is_file else f"None of the {plural(len(files), 'file')} (*.jsonl) in {path} is"
        raise IngestError(f"{what} in a known format: a {known}.")
    return sources, len(files) - len(sources)


def reader_of(file: Path) -> Reader | None:
    """The reader that recognises a file."""
    try:
        return next((reader for reader in FORMATS if reader.recognises(file)), None)
    except OSError as error:
        raise IngestError(f"{file} cannot be read: {error.strerror}.") from error


def take_in(report: Report, file: Path, reading: Reading, name: str) -> None:
    """Write what was read to the store, and into the report."""
    report.formats |= dict.fromkeys(reading.files, name)
    report.problems += reading.problems
    report.skipped += reading.skipped
    report.n_cut += reading.n_cut
    for trace in reading.traces:
        try:
            report.written.append(report.store.add_spans(trace.id, trace.spans, name=trace.name))
        except SpanError as error:
            report.problems.append(Problem(file, None, str(error).removesuffix(".")))
            continue
        report.names[trace.id] = trace.name
        report.n_spans += len(trace.spans)
        report.n_agents += len({span["agent_id"] for span in trace.spans})
        report.n_locations += len({span["location_id"] for span in trace.spans})
        report.n_estimated += sum("estimated" in span["data"] for span in trace.spans)
        report.n_open += sum(span["data"].get("status") == "open" for span in trace.spans)


def shortlist(title: str, entries: list[str]) -> Iterator[str]:
    """A titled list, cut where it is long."""
    if entries:
        yield title
        yield from (f"  {entry}" for entry in entries[:MOST_LINES])
        if len(entries) > MOST_LINES:
            yield f"  and {len(entries) - MOST_LINES:,} more"
