"""Watching: sessions of Claude Code and Codex, followed into the store while an agent works on them.

A **look** lists the files, reads what is new in those that have changed, and writes the spans that this changed. Files of one
session, or of threads that started each other, are a **family**, and are read together. What was read of it stays in memory
while it grows, so that each line is read once; of a family at **rest** only the stamps of its files are kept, and it is read
from its start should it grow after all.
"""

import os
import time
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from tokenvis.conventions.rules import Rule, chosen
from tokenvis.errors import StoreError, TraceNotFound, check_choice, quoted
from tokenvis.formats.files.lines import Changed
from tokenvis.formats.files.reading import Problem, Reading, Wishes
from tokenvis.formats.files.sources import Source, checked
from tokenvis.formats.registry import GROWING, Follower
from tokenvis.ingestion.assembly import Gathering
from tokenvis.ingestion.ingest import Entry
from tokenvis.ingestion.sessions import moment_of, session_folders
from tokenvis.ingestion.watch.checkpoint import Record, Stamp, Taken, stamp_at
from tokenvis.ingestion.watch.discovery import Lookout
from tokenvis.spans.redaction import CONTENTS, Content, Keeper
from tokenvis.store.database import Target
from tokenvis.store.load import load_traces
from tokenvis.store.store import Store, Written, opened

RECENT = "1d"  # what is taken in of the usual folders, where nothing else is said
REST = 3_600.0  # seconds after which a family that does not grow is forgotten
ROW = ["trace_id", "agent_id", "location_id", "start_time", "end_time", "data"]


class Change(NamedTuple):
    """What a look has changed in a trace: spans added, updated and taken back; how many it has by now, and without an end."""

    trace_id: str
    name: str
    added: int
    updated: int
    removed: int
    n_spans: int
    n_open: int


@dataclass
class Family:
    """A family that is followed: what was read of it, and what of that is in the store.

    ``digests`` are of the rows that were written, by id; ``added`` are the traces of the spans that were not there before.
    """

    following: Follower
    names: dict[str, tuple[int, str]]
    told_names: dict[str, str] = field(default_factory=dict)
    n_open: Counter[str] = field(default_factory=Counter)
    digests: dict[str, int | None] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    changed_at: float = field(default_factory=time.monotonic)


class Watch:
    """Follow sessions of Claude Code and Codex into a store, a look at a time.

    Parameters
    ----------
    paths
        Files or folders; by default those in which Claude Code and Codex keep their sessions on this machine.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.
    since
        Only files changed since then: an age ("12h", "7d"), or an ISO 8601 date or time; and those that were taken in before.
        By default all of a path that is given, and of the usual folders the last day.
    agent, location, content
        As for `tokenvis.ingest`.

    Attributes
    ----------
    problems : list of Problem
        What could not be read, as far as the last look found it; each is there once.

    Raises
    ------
    IngestError
        There is no such file or folder.
    BadOption
        An option is none of its choices.
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
        content: Content = "full",
    ) -> None:
        check_choice("content", content, CONTENTS)
        self.places = [checked(path).absolute() for path in paths] or session_folders()
        since = since if since or paths else RECENT
        self.since = moment_of(since).timestamp() * 1e9 if since else None
        self.entry = Entry(chosen("agent", agent), chosen("location", location), Keeper(content))
        self.wishes = Wishes(without_texts=content == "none")
        functions = f"function {time.time_ns()}"  # of which nobody knows later whether they are the same
        self.manner = [content, *(rule if rule is None or isinstance(rule, str) else functions for rule in (agent, location))]
        self.store = opened(store, create=True)
        self.record = Record(self.store.path)
        traces = load_traces(store=self.store)
        self.record.load(dict(zip(traces["id"].tolist(), traces["n_spans"].tolist(), strict=True)))
        self.lookout = Lookout(self.places, self.record.files, self.complain)
        self.families: dict[str, Family] = {}
        self.problems: list[Problem] = []
        self.told: set[Problem] = set()
        self.news: list[Change] = []
        self.belonged: dict[str, str] = {}
        self.rested: set[str] = set()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remember what was taken in, so that the next watch goes on from there."""
        self.record.save(now=True)

    def look(self) -> list[Change]:
        """Take in what is new; what that changed, by trace. After a `StoreError`, the next look takes in what is missing.

        Raises
        ------
        StoreError
            The database, or the folder of temporary files, cannot be written: it is locked, or the disk is full.
        IngestError
            A file that was given is of another format.
        """
        return list(self.changes())

    def changes(self) -> Iterator[Change]:
        """Take in what is new, as `look` does, and tell what that changed as it is written."""
        self.problems = []
        stamps = dict(sorted(self.lookout.listed()))
        for family, files in self.lookout.families(stamps).items():
            if self.is_due(family, files, stamps):
                self.take(family, files, stamps)
                self.record.save()
                yield from self.news
                self.news.clear()
        for family in [name for name, one in self.families.items() if time.monotonic() - one.changed_at > REST]:
            del self.families[family]

    def is_due(self, name: str, files: list[str], stamps: dict[str, Stamp]) -> bool:
        """Whether a family has changed since it was taken in; one that never was is due unless it is too old."""
        taken = self.record.sessions.get(name)
        if taken is None or taken.manner != self.manner:
            return taken is not None or self.since is None or any(stamps[file][1] >= self.since for file in files)
        now = {path: stamps.get(path) or stamp_at(path) for path in (*taken.stamps, *files)}
        if now == taken.stamps:
            return False
        if all(stamp in (None, taken.stamps.get(path)) for path, stamp in now.items()):  # files that are gone tell nothing new
            taken.stamps = now
            self.families.pop(name, None)
            return False
        return True

    def take(self, name: str, files: list[str], stamps: dict[str, Stamp]) -> None:
        """Read what is new in the files of a family, and write what that changed."""
        is_new = name not in self.families
        family = self.joined(name, files)
        taken = self.record.sessions.get(name)
        paths = (*(taken.stamps if taken else ()), *files, *map(str, family.following.paths()))
        before = {path: stamps.get(path) or stamp_at(path) for path in paths}
        try:
            if family.following.advance():
                family.added.clear()  # of files that were cut or replaced, what was read stays
        except (OSError, Changed) as error:  # a file went, or was replaced, as it was read
            del self.families[name]
            if isinstance(error, OSError):
                self.complain(Problem(os.path.basename(files[0]), None, f"cannot be read ({error.strerror})"))  # noqa: PTH119
            return
        rows = self.gathered(family)
        self.write(family, rows)
        n_spans = {str(trace): len(part) for trace, part in rows.groupby("trace_id")}
        found = {path: stamps.get(path) for path in map(str, family.following.paths())}
        for path in found.keys() - stamps.keys():  # of threads above those that were given
            if stamp := stamp_at(path):
                self.lookout.identified(path, stamp)
        self.record.sessions[name] = Taken(found | before, n_spans, self.manner)
        family.changed_at = time.monotonic()
        if is_new and name not in self.rested and all(stamps[file][1] < (time.time() - REST) * 1e9 for file in files):
            self.rested.add(name)
            del self.families[name]

    def joined(self, name: str, files: list[str]) -> Family:
        """The family with all its files; what those that now belong to it have written, it has."""
        family = self.families.get(name)
        own = name if Path(name).is_absolute() else files[0]
        if family is None or not {str(reading.source.path) for reading in family.following.readings} <= {own, *files}:
            names: dict[str, tuple[int, str]] = {}
            reader = GROWING[self.record.files[files[0]].format or ""]
            family = self.families[name] = Family(reader.Following(self.reading(own, names)), names)
        there = {str(reading.source.path) for reading in family.following.readings}
        for file in files:
            if file not in there:
                family.following.follow(self.reading(file, family.names))
            before = self.belonged.get(file, name)
            if before != name and (other := self.families.pop(before, None)):
                family.digests |= dict.fromkeys(other.digests)  # another of them may have written over these
                family.added |= other.added
                self.record.sessions.pop(before, None)
            self.belonged[file] = name
        return family

    def reading(self, path: str, names: dict[str, tuple[int, str]]) -> Reading:
        """A reading of a file, which gives names to traces."""
        return Reading(Source(Path(path), os.path.basename(path), path), self.wishes, names=names)  # noqa: PTH119

    def gathered(self, family: Family) -> pd.DataFrame:
        """The spans of a family as they stand now, by id."""
        opens = Counter[str]()
        family.names.clear()
        [reading, *_] = readings = family.following.readings
        try:
            with TemporaryDirectory(prefix="tokenvis-", ignore_cleanup_errors=True) as folder:
                gathering = Gathering(Path(folder, "gathered"))
                gathering.begin(reading)
                for span in family.following.spans():
                    if self.entry.bring(span, reading, gathering) and span.data.get("status") == "open":
                        opens[span.trace_id] += 1
                names = {trace: name for trace, (_, name) in family.names.items()}
                frames = list(gathering.frames(names))
        except OSError as error:
            raise StoreError(f"The folder of temporary files cannot be written: {error}.") from error
        family.n_open = opens
        for each in readings:
            for problem in each.problems:
                self.complain(problem)
            each.problems.clear()
        return pd.concat(frames).set_index("id", drop=False) if frames else pd.DataFrame(columns=["id", *ROW])

    def write(self, family: Family, rows: pd.DataFrame) -> None:
        """Write the rows that are not as they were written before, and take back those of ours that are not there any more."""
        names = {trace: name for trace, (_, name) in family.names.items()}
        values = zip(*(rows[column].tolist() for column in ROW), strict=True)
        digests = dict(zip(rows["id"].tolist(), map(hash, values), strict=True))
        send = [span for span, digest in digests.items() if family.digests.get(span) != digest]
        for trace in (trace for trace, name in names.items() if family.told_names.get(trace) != name):
            send += rows["id"][rows["trace_id"] == trace].head(1).tolist()  # which tells the store the name
        written, all_there = self.send(family, rows.loc[list(dict.fromkeys(send))], names)
        if not all_there:
            written, _ = self.send(family, rows, names)
        removed = self.take_back(family, digests)
        if left := set(family.told_names) - set(names):
            self.leave(family, left)
        family.digests, family.told_names = dict(digests), names
        family.added = {span: trace for span, trace in family.added.items() if span in digests}
        counts = {one.trace_id: (one.added, one.updated) for one in written}
        for trace in dict.fromkeys([*counts, *removed]):
            added, updated = counts.get(trace, (0, 0))
            if added or updated or removed.get(trace):
                sizes = int((rows["trace_id"] == trace).sum()), family.n_open[trace]
                self.news.append(Change(trace, names.get(trace, trace), added, updated, removed.get(trace, 0), *sizes))

    def take_back(self, family: Family, ids: Container[str]) -> dict[str, int]:
        """Delete what a family had written too early, which is no span of any; how many were there, by trace."""
        gone = {span: trace for span, trace in family.added.items() if span not in ids}
        for other in self.families.values() if gone else ():
            if other is not family:
                gone = {span: trace for span, trace in gone.items() if span not in other.digests}
        traces: dict[str, list[str]] = {}
        for span, trace in gone.items():
            traces.setdefault(trace, []).append(span)
        return {trace: self.delete(trace, spans) for trace, spans in traces.items()}

    def delete(self, trace: str, spans: list[str]) -> int:
        """Delete spans, and their trace where it has no others; how many were there."""
        try:
            return self.store.delete_spans(trace, spans, drop_empty=True).removed
        except TraceNotFound:
            return 0

    def leave(self, family: Family, traces: set[str]) -> None:
        """Have traces that a family was taken for a part of, and is not, written again by those whose they are."""
        for name, taken in list(self.record.sessions.items()):
            other = self.families.get(name)
            if other is not family and traces & taken.traces.keys():
                del self.record.sessions[name]
                if other:
                    other.digests, other.told_names = {}, {}

    def send(self, family: Family, rows: pd.DataFrame, names: dict[str, str]) -> tuple[list[Written], bool]:
        """Add rows to the store; what that did, and whether all that was written before was still there."""
        if rows.empty:
            return [], True
        written, foreign = self.store.add_traces(rows.drop(columns="file"), names)
        for span, owner in foreign.items():
            reason = f"span {quoted(span)} belongs to trace {quoted(owner)}, and cannot be one of another too"
            self.complain(Problem(family.following.readings[0].source.name, None, reason))
        pairs = zip(rows["id"].tolist(), rows["trace_id"].tolist(), strict=True)
        traces = {span: trace for span, trace in pairs if span not in family.digests}
        n_new = Counter(traces.values())
        ours = {one.trace_id for one in written if one.added == n_new[one.trace_id]}
        family.added |= {span: trace for span, trace in traces.items() if trace in ours}
        return written, all(one.added <= n_new[one.trace_id] for one in written)

    def complain(self, problem: Problem) -> None:
        """Note what could not be read, unless that was done before."""
        if problem not in self.told:
            self.told.add(problem)
            self.problems.append(problem)
