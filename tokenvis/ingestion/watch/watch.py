"""The watch: follows session files of Claude Code and Codex into the store while an agent writes them.

A **poll** lists the files, reads the new lines of those that have changed, and writes the spans that are new or changed. The
files of one session, or of threads that started each other, are a **family** and are read together. A family stays in memory
while it grows, so each line is read once. A family that has not grown for an hour is dropped from memory; only the stamps of
its files are kept, and it is read from the start if it grows again.
"""

import os
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tokenvis.conventions.rules import Rule, rule_functions
from tokenvis.errors import StoreError, TraceNotFound, check_choice, quoted
from tokenvis.formats.files.lines import FilesChanged
from tokenvis.formats.files.reading import Continuation, Problem, Reading, ReadOptions
from tokenvis.formats.files.sources import Source, existing_path
from tokenvis.formats.registry import GROWING_FORMATS, SessionFollower
from tokenvis.ingestion.assembly import Assembly
from tokenvis.ingestion.copies import delete_copies, outdated_sources
from tokenvis.ingestion.ingest import SpanRules
from tokenvis.ingestion.run_names import names_of_runs
from tokenvis.ingestion.sessions import session_folders, since_time
from tokenvis.ingestion.stored import source_of
from tokenvis.ingestion.watch.checkpoint import Checkpoint, FileStamp, SessionEntry, file_stamp
from tokenvis.ingestion.watch.discovery import Discovery
from tokenvis.spans.redaction import CONTENTS, Content, Redactor
from tokenvis.store.database import Target
from tokenvis.store.ingested import put_sources
from tokenvis.store.load import load_traces
from tokenvis.store.sources import TraceSource
from tokenvis.store.store import Store, Written, as_store
from tokenvis.temporary import clear_leftovers, temporary_folder

DEFAULT_SINCE = "1d"  # for the default folders
FAMILY_IDLE_TIMEOUT_S = 3_600.0  # a family that has not grown for this long is dropped from memory
DIGEST_COLUMNS = ["trace_id", "agent_id", "location_id", "start_time", "end_time", "data"]


class Change(NamedTuple):
    """The changes of one poll to a trace: spans added, updated and removed; and its number of spans and of open spans now."""

    trace_id: str
    name: str
    added: int
    updated: int
    removed: int
    n_spans: int
    n_open: int


@dataclass
class Family:
    """A family in memory: its follower, and the state of its rows in the store.

    ``digests`` are hashes of the stored rows, by span id; ``added`` has the trace id of each span that this watch added, by
    span id; ``copies`` are those of its readings when copies were last deleted; ``sources`` are its files as stored.
    """

    follower: SessionFollower
    names: dict[str, tuple[int, str]]
    stored_names: dict[str, str] = field(default_factory=dict)
    n_open: Counter[str] = field(default_factory=Counter)
    digests: dict[str, int | None] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    copies: list[tuple[dict[str, tuple[str, str]], list[Continuation]]] = field(default_factory=list)
    sources: list[TraceSource] = field(default_factory=list)
    changed_at: float = field(default_factory=time.monotonic)


class Watch:
    """Follow sessions of Claude Code and Codex into a store, one poll at a time.

    Parameters
    ----------
    paths
        Files or folders; by default the session folders of Claude Code and Codex on this machine.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.
    since
        Only files changed since then: an age ("12h", "7d"), or an ISO 8601 date or time; sessions that were read before are
        always followed. By default everything in the given paths, or the last day of the default folders.
    agent, location, waits_for, content
        As for `tokenvis.ingest`: a function returns None to keep the default, and that of ``waits_for`` returns "" for a span
        that does not wait.

    Attributes
    ----------
    problems : list of Problem
        Problems that the last poll found; each problem is reported once.

    Raises
    ------
    IngestError
        A path does not exist.
    BadOption
        An option has an invalid value.
    StoreError
        The database cannot be used.

    Examples
    --------
    >>> with Watch(".", store="traces.db") as watch:
    ...     watch.look()
    []
    """

    def __init__(
        self,
        *paths: str | os.PathLike[str],
        store: Store | Target = None,
        since: str | None = None,
        agent: Rule = None,
        location: Rule = None,
        waits_for: Rule = None,
        content: Content = "full",
    ) -> None:
        check_choice("content", content, CONTENTS)
        self.paths = [existing_path(path).absolute() for path in paths] or session_folders()
        since = since if since or paths else DEFAULT_SINCE
        self.since_ns = since_time(since).timestamp() * 1e9 if since else None
        self.rules = SpanRules(*rule_functions(agent, location, waits_for), Redactor(content))
        self.read_options = ReadOptions(without_texts=content == "none")
        function_marker = f"function {time.time_ns()}"  # unique: a later watch cannot compare functions
        self.option_values = [
            content,
            *(rule if rule is None or isinstance(rule, str) else function_marker for rule in (agent, location, waits_for)),
        ]
        clear_leftovers()
        self.store = as_store(store, create=True)
        self.checkpoint = Checkpoint(self.store.path)
        traces = load_traces(store=self.store)
        self.checkpoint.load(dict(zip(traces["id"].tolist(), traces["n_spans"].tolist(), strict=True)))
        self.discovery = Discovery(self.paths, self.checkpoint.files, self.report_problem)
        self.families: dict[str, Family] = {}
        self.problems: list[Problem] = []
        self.reported: set[Problem] = set()
        self.pending_changes: list[Change] = []
        self.family_of_file: dict[str, str] = {}
        self.dropped: set[str] = set()
        self.outdated: set[str] = set()
        self.new_sources: list[TraceSource] = []
        self.forgotten_traces: set[str] = set()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save the checkpoint, so that the next watch continues from here."""
        with suppress(StoreError):
            self.name_traces()
            self.checkpoint.save(force=True)

    def look(self) -> list[Change]:
        """Read the new lines and return the changes by trace. After a `StoreError`, the next poll writes the missing spans.

        Raises
        ------
        StoreError
            The database or the temporary folder cannot be written: it is locked, or the disk is full.
        IngestError
            A given file has another format.
        """
        return list(self.changes())

    def changes(self) -> Iterator[Change]:
        """Read the new lines, as `look` does, and yield each change once it is written."""
        self.problems = []
        stamps = dict(sorted(self.discovery.list_files()))
        for family, files in self.discovery.families(stamps).items():
            if self.is_due(family, files, stamps):
                self.read_family(family, files, stamps)
                if self.checkpoint.is_due():
                    self.name_traces()
                    self.checkpoint.save()
                yield from self.pending_changes
                self.pending_changes.clear()
        for idle in [
            name for name, family in self.families.items() if time.monotonic() - family.changed_at > FAMILY_IDLE_TIMEOUT_S
        ]:
            del self.families[idle]
        self.name_traces()

    def name_traces(self) -> None:
        """Name the traces of files that tell something new, as an ingest of all files does."""
        if self.new_sources or self.forgotten_traces:
            new = {source.trace_id for source in self.new_sources}
            put_sources(self.store, self.new_sources, names_of_runs, new=new, outdated=self.forgotten_traces)
            self.new_sources, self.forgotten_traces = [], set()

    def is_due(self, name: str, files: list[str], stamps: dict[str, FileStamp]) -> bool:
        """Whether a family has changed since it was read; a family never read is due unless it is older than ``since``."""
        session = self.checkpoint.sessions.get(name)
        if name in self.outdated:
            return True
        if session is None or session.manner != self.option_values:
            return session is not None or self.since_ns is None or any(stamps[file][1] >= self.since_ns for file in files)
        current = {path: stamps.get(path) or file_stamp(path) for path in (*session.stamps, *files)}
        if current == session.stamps:
            return False
        if all(stamp in (None, session.stamps.get(path)) for path, stamp in current.items()):  # files were only deleted
            session.stamps = current
            self.families.pop(name, None)
            return False
        return True

    def read_family(self, name: str, files: list[str], stamps: dict[str, FileStamp]) -> None:
        """Read the new lines of a family's files, and write the changed spans."""
        is_new = name not in self.families
        outdated = self.families.pop(name, None) if name in self.outdated else None
        family = self.open_family(name, files)
        if outdated:
            family.added, family.digests, family.stored_names = outdated.added, outdated.digests, outdated.stored_names
        session = self.checkpoint.sessions.get(name)
        paths = (*(session.stamps if session else ()), *files, *map(str, family.follower.paths()))
        stamps_before = {path: stamps.get(path) or file_stamp(path) for path in paths}
        try:
            if family.follower.advance():
                family.added.clear()  # spans of a truncated or replaced file stay in the store
        except (OSError, FilesChanged) as error:  # a file was deleted or replaced during the read
            del self.families[name]
            if isinstance(error, OSError):
                self.report_problem(Problem(os.path.basename(files[0]), None, f"cannot be read ({error.strerror})"))  # noqa: PTH119
            return
        rows = self.assemble(family)
        self.write(family, rows)
        self.outdated.discard(name)
        self.delete_copies(family)
        n_spans = {str(trace): len(part) for trace, part in rows.groupby("trace_id")}
        read_stamps = {path: stamps.get(path) for path in map(str, family.follower.paths())}
        for path in read_stamps.keys() - stamps.keys():  # files of parent threads
            if stamp := file_stamp(path):
                self.discovery.identify(path, stamp)
        self.checkpoint.sessions[name] = SessionEntry(read_stamps | stamps_before, n_spans, self.option_values)
        family.changed_at = time.monotonic()
        if (
            is_new
            and name not in self.dropped
            and all(stamps[file][1] < (time.time() - FAMILY_IDLE_TIMEOUT_S) * 1e9 for file in files)
        ):
            self.dropped.add(name)
            del self.families[name]

    def open_family(self, name: str, files: list[str]) -> Family:
        """The family with all its files; families that turned out to be part of it are merged into it."""
        family = self.families.get(name)
        main = name if Path(name).is_absolute() else files[0]
        if family is None or not {str(reading.source.path) for reading in family.follower.readings} <= {main, *files}:
            names: dict[str, tuple[int, str]] = {}
            reader = GROWING_FORMATS[self.checkpoint.files[files[0]].format or ""]
            family = self.families[name] = Family(reader.SessionFollower(self.reading(main, names)), names)
        open_paths = {str(reading.source.path) for reading in family.follower.readings}
        for file in files:
            if file not in open_paths:
                family.follower.add_file(self.reading(file, family.names))
            old_name = self.family_of_file.get(file, name)
            if old_name != name and (old_family := self.families.pop(old_name, None)):
                family.digests |= dict.fromkeys(old_family.digests)  # no digest: the other family may have written other rows
                family.added |= old_family.added
                family.sources.clear()
                self.new_sources = [source for source in self.new_sources if source not in old_family.sources]
                self.forgotten_traces |= old_family.names.keys()
                self.checkpoint.sessions.pop(old_name, None)
            self.family_of_file[file] = name
        return family

    def reading(self, path: str, names: dict[str, tuple[int, str]]) -> Reading:
        """A reading of a file, which collects the names of traces in ``names``."""
        return Reading(Source(Path(path), os.path.basename(path), path), self.read_options, names=names)  # noqa: PTH119

    def assemble(self, family: Family) -> pd.DataFrame:
        """The current spans of a family, by id."""
        opens = Counter[str]()
        family.names.clear()
        [main_reading, *_] = readings = family.follower.readings
        try:
            with temporary_folder() as folder:
                assembly = Assembly(folder / "spool")
                assembly.begin(main_reading)
                for span in family.follower.spans():
                    if self.rules.process(span, main_reading, assembly) and span.data.get("status") == "open":
                        opens[span.trace_id] += 1
                names = {trace: name for trace, (_, name) in family.names.items()}
                frames = list(assembly.frames(names))
        except OSError as error:
            raise StoreError(f"The temporary folder cannot be written: {error}.") from error
        family.n_open = opens
        for reading in readings:
            for problem in reading.problems:
                self.report_problem(problem)
            reading.problems.clear()
        return pd.concat(frames).set_index("id", drop=False) if frames else pd.DataFrame(columns=["id", *DIGEST_COLUMNS])

    def write(self, family: Family, rows: pd.DataFrame) -> None:
        """Write the rows that differ from the stored ones, and delete the spans of this watch that no longer exist."""
        names = {trace: name for trace, (_, name) in family.names.items()}
        values = zip(*(rows[column].tolist() for column in DIGEST_COLUMNS), strict=True)
        digests = dict(zip(rows["id"].tolist(), map(hash, values), strict=True))
        changed = [span for span, digest in digests.items() if family.digests.get(span) != digest]
        written, is_complete = self.add_rows(family, rows.loc[changed])
        if not is_complete:
            written, _ = self.add_rows(family, rows)
            family.sources.clear()
        removed = self.delete_retracted(family, digests)
        if foreign := set(family.stored_names) - set(names):
            self.rewrite_traces(family, foreign)
        self.note_sources(family, foreign)
        family.digests, family.stored_names = dict(digests), names
        family.added = {span: trace for span, trace in family.added.items() if span in digests}
        counts = {total.trace_id: (total.added, total.updated) for total in written}
        for trace in dict.fromkeys([*counts, *removed]):
            added, updated = counts.get(trace, (0, 0))
            if added or updated or removed.get(trace):
                sizes = int((rows["trace_id"] == trace).sum()), family.n_open[trace]
                self.pending_changes.append(
                    Change(trace, names.get(trace, trace), added, updated, removed.get(trace, 0), *sizes)
                )

    def delete_retracted(self, family: Family, ids: Container[str]) -> dict[str, int]:
        """Delete spans that this watch added and no family contains any more; returns the number deleted, by trace."""
        retracted = {span: trace for span, trace in family.added.items() if span not in ids}
        for other in self.families.values() if retracted else ():
            if other is not family:
                retracted = {span: trace for span, trace in retracted.items() if span not in other.digests}
        traces: dict[str, list[str]] = {}
        for span, trace in retracted.items():
            traces.setdefault(trace, []).append(span)
        return {trace: self.delete(trace, spans) for trace, spans in traces.items()}

    def delete(self, trace: str, spans: list[str]) -> int:
        """Delete spans, and their trace if it is then empty; returns the number deleted."""
        try:
            return self.store.delete_spans(trace, spans, drop_empty=True).removed
        except TraceNotFound:
            return 0

    def delete_copies(self, family: Family) -> None:
        """Delete the family's copies of spans of another session, and read the sessions again that have copied its own."""
        copies = [(reading.copies, reading.continued_by) for reading in family.follower.readings]
        if copies == family.copies:
            return
        family.copies = copies
        delete_copies(self.store, family.follower.readings)
        for reading in family.follower.readings:
            outdated = outdated_sources(self.store, reading, ())
            self.outdated |= {str(source.path) for source in outdated} & self.checkpoint.sessions.keys()

    def note_sources(self, family: Family, foreign: set[str]) -> None:
        """Note which files tell of which traces, and the ``foreign`` ones of which they do so no longer."""
        readings = [reading for reading in family.follower.readings if reading.trace_id in family.names]
        sources = [source_of(reading.trace_id, reading) for reading in readings]
        if sources != family.sources or foreign:
            family.sources = sources
            self.new_sources += sources
            self.forgotten_traces |= foreign | {reading.trace_id for reading in readings if reading.copies}

    def rewrite_traces(self, family: Family, traces: set[str]) -> None:
        """Make other families write these traces again, because this family no longer contains them."""
        for name, session in list(self.checkpoint.sessions.items()):
            other = self.families.get(name)
            if other is not family and traces & session.traces.keys():
                del self.checkpoint.sessions[name]
                if other:
                    other.digests, other.stored_names = {}, {}

    def add_rows(self, family: Family, rows: pd.DataFrame) -> tuple[list[Written], bool]:
        """Add rows to the store; returns the counts, and whether all earlier rows were still stored."""
        if rows.empty:
            return [], True
        written, foreign = self.store.add_traces(rows.drop(columns="file"), {})
        for span, owner in foreign.items():
            reason = f"span {quoted(span)} already belongs to trace {quoted(owner)}"
            self.report_problem(Problem(family.follower.readings[0].source.name, None, reason))
        pairs = zip(rows["id"].tolist(), rows["trace_id"].tolist(), strict=True)
        traces = {span: trace for span, trace in pairs if span not in family.digests}
        n_new = Counter(traces.values())
        all_new = {counts.trace_id for counts in written if counts.added == n_new[counts.trace_id]}
        family.added |= {span: trace for span, trace in traces.items() if trace in all_new}
        return written, all(counts.added <= n_new[counts.trace_id] for counts in written)

    def report_problem(self, problem: Problem) -> None:
        """Add a problem, unless it was reported before."""
        if problem not in self.reported:
            self.reported.add(problem)
            self.problems.append(problem)
