"""Discovery: finds the session files, their formats, and the files that belong together.

A file is inspected once to find its format, and again only if it was too short to recognise, or was replaced.

The name of a family is the path of a session's main file, or the id of a thread. A family is **lost** if a file that it needs
was deleted: its own main file, or the main file of an ancestor family. Reading the remaining files would then yield fewer spans
than before.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tokenvis.errors import IngestError
from tokenvis.formats.files.head import HEAD_BYTES, Head, head_of, text_start
from tokenvis.formats.files.lines import HEAD_LINES
from tokenvis.formats.files.reading import Problem
from tokenvis.formats.files.sources import DATABASE_NAME, Source
from tokenvis.formats.registry import FORMATS, GROWING_FORMATS
from tokenvis.ingestion.watch.checkpoint import CHECKPOINT_SUFFIX, FileEntry, FileStamp, file_stamp, main_file, stat_stamp

# without "table": almost any lines may be a table
OTHER_FORMATS = [reader for name, reader in FORMATS.items() if name not in {*GROWING_FORMATS, "table"}]


class Discovery:
    """Inspects ``paths``, which are files and folders; ``files`` has an entry for each file inspected so far."""

    def __init__(self, paths: list[Path], files: dict[str, FileEntry], report: Callable[[Problem], None]) -> None:
        self.paths, self.files, self.report_problem = paths, files, report

    def list_files(self) -> Iterator[tuple[str, FileStamp]]:
        """The files with their stamps; for a path that is a file, also the files that may belong to its session."""
        for path in self.paths:
            if not path.is_file():
                yield from walk_files(str(path))
                continue
            entry = self.identify(str(path), stat_stamp(path.stat()))
            main = Path(entry.family) if entry.format == "claude_code" and entry.family else path
            yield from walk_files(str(main.with_suffix("")))
            for file in {path, main, *main.parent.glob("agent-*.jsonl")}:
                if stamp := file_stamp(str(file)):
                    yield str(file), stamp

    def families(self, stamps: dict[str, FileStamp]) -> dict[str, list[str]]:
        """The files of each family that is not lost; those of a child family are listed under its topmost ancestor."""
        has_new_files = not stamps.keys() <= self.files.keys()
        entries = {path: self.identify(path, stamp, has_new_files=has_new_files) for path, stamp in stamps.items()}
        family_of = {path: entry.family for path, entry in entries.items() if entry.family is not None}
        parents = {entry.family: entry.above for entry in self.files.values() if entry.family and entry.above}
        ancestries = {family: ancestry_of(family, parents) for family in set(family_of.values())}
        lost = self.lost_families(ancestries, stamps)
        requested = [entries[str(path)].family if str(path) in entries else None for path in self.paths if not path.is_dir()]
        files_only = len(requested) == len(self.paths)  # then sibling files are inspected, but not followed
        families: dict[str, list[str]] = {}
        for path, family in family_of.items():
            if family not in lost and (not files_only or family in requested):
                families.setdefault(ancestries[family][-1], []).append(path)
        return families

    def lost_families(self, ancestries: dict[str, list[str]], stamps: dict[str, FileStamp]) -> set[str]:
        """The families that need a deleted file; ``ancestries`` lists each family with its ancestors.

        A forked thread does not need the topmost thread if it was forked from it: its trace is the same.
        """
        main_files: dict[str, set[str]] = {name: set() for ancestry in ancestries.values() for name in ancestry}
        for path, entry in self.files.items():
            if entry.family in main_files:
                main_files[entry.family].add(main_file(path, entry))
        missing = {
            name
            for name, files in main_files.items()
            if files and not any(file in stamps or file_stamp(file) for file in files)
        }
        forks = {entry.family for entry in self.files.values() if entry.is_fork}
        needed = {
            family: ancestry[:-1] if len(ancestry) > 1 and ancestry[-2] in forks else ancestry
            for family, ancestry in ancestries.items()
        }
        return {family for family, ancestry in needed.items() if not missing.isdisjoint(ancestry)}

    def identify(self, path: str, stamp: FileStamp, *, has_new_files: bool = False) -> FileEntry:
        """The entry of a file; the file is inspected if it is new, was too short before, or was replaced.

        ``has_new_files``: other files have appeared, so the main file of a session may exist now.
        """
        entry = self.files.get(path)
        if entry is None or was_replaced(entry, stamp):
            entry = self.files[path] = self.inspect(path, stamp)
            return entry
        if (
            entry.format
            and entry.family == path
            and (stamp != entry.stamp or has_new_files)
            and file_stamp(main_file(path, entry))
        ):
            with suppress(OSError):  # the file was just deleted
                entry.family, entry.above = GROWING_FORMATS[entry.format].session_key_of(Path(path))
        entry.stamp = stamp
        return entry

    def inspect(self, path: str, stamp: FileStamp) -> FileEntry:
        """A new entry for a file, from its first bytes."""
        try:
            source = Source(Path(path), os.path.basename(path), path)  # noqa: PTH119
            start = text_start(source)
            head = head_of(source) if start[:1] == b"{" else None
            for name, reader in GROWING_FORMATS.items():
                if head and reader.recognises(head):
                    family, parent_family = reader.session_key_of(Path(path))
                    if family == path:  # the main file of its session may have been deleted
                        mains = map(str, reader.main_file_candidates(Path(path), head.values[0]))
                        parent_family = next(
                            (main for main in mains if main in self.files and not file_stamp(main)), parent_family
                        )
                    return FileEntry(stamp, name, family, parent_family, reader.is_fork(head.values[0]))
            if Path(path) in self.paths and start and is_other_format(head, start):
                message = f"{source.name} is not a session of Claude Code or Codex: it looks like {head or head_of(source)}."
                raise IngestError(f"{message} `tokenvis watch` follows only these; `tokenvis ingest` reads other formats.")
        except OSError as error:
            self.report_problem(Problem(os.path.basename(path), None, f"cannot be read ({error.strerror})"))  # noqa: PTH119
            return FileEntry((-1, *stamp[1:]))
        return FileEntry(stamp)


def walk_files(folder: str) -> Iterator[tuple[str, FileStamp]]:
    """The readable files in a folder and its subfolders, with their stamps, except databases (see `store.connections`)."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        yield from walk_files(entry.path)
                    elif (
                        entry.is_file() and not DATABASE_NAME.search(entry.name) and not entry.name.endswith(CHECKPOINT_SUFFIX)
                    ):
                        yield entry.path, stat_stamp(entry.stat())
                except OSError:  # the file was just deleted
                    continue
    except OSError:
        return


def is_other_format(head: Head | None, start: bytes) -> bool:
    """Whether a file certainly has another format; False if it has too few lines to decide."""
    if head is None or any(reader.recognises(head) for reader in OTHER_FORMATS):
        return True
    return b"\n" in start and (head.kind != "lines" or len(head.values) == HEAD_LINES)


def was_replaced(entry: FileEntry, stamp: FileStamp) -> bool:
    """Whether a file may have another format than when it was inspected."""
    if entry.stamp[2] != stamp[2] or stamp[0] < entry.stamp[0]:
        return True
    return entry.format is None and entry.stamp != stamp and entry.stamp[0] < HEAD_BYTES


def ancestry_of(family: str, parents: dict[str, str]) -> list[str]:
    """A family and its known ancestors, the topmost last."""
    ancestry = [family]
    while (parent := parents.get(ancestry[-1])) and parent not in ancestry:
        ancestry.append(parent)
    return ancestry
