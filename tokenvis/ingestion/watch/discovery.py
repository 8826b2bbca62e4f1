"""Discovery: which files there are, what each of them is, and which belong together.

A file is looked at once to tell what it is, and again only where it was too short for that, or is another one by now.

A family is named by a session's own file, or by a thread. It is **lost** where it needs a file that was there, and is gone: its
own, or that of a family above it. Without that, the others would say less than they did before.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tokenvis.errors import IngestError
from tokenvis.formats.files.head import HEAD, Head, beginning, head_of
from tokenvis.formats.files.lines import HEAD_LINES
from tokenvis.formats.files.reading import Problem
from tokenvis.formats.files.sources import DATABASE, Source
from tokenvis.formats.registry import FORMATS, GROWING
from tokenvis.ingestion.watch.checkpoint import SUFFIX, Known, Stamp, own_file, stamp_at, stamp_of

OTHERS = [reader for name, reader in FORMATS.items() if name not in {*GROWING, "table"}]  # a table may have almost any lines


class Lookout:
    """Looks at places, which are files and folders; ``files`` are those that it knows, by path."""

    def __init__(self, places: list[Path], files: dict[str, Known], complain: Callable[[Problem], None]) -> None:
        self.places, self.files, self.complain = places, files, complain

    def listed(self) -> Iterator[tuple[str, Stamp]]:
        """The files with their stamps; with a file that is given, those that may belong to it."""
        for place in self.places:
            if not place.is_file():
                yield from walked(str(place))
                continue
            known = self.identified(str(place), stamp_of(place.stat()))
            own = Path(known.family) if known.format == "claude_code" and known.family else place
            yield from walked(str(own.with_suffix("")))
            for file in {place, own, *own.parent.glob("agent-*.jsonl")}:
                if stamp := stamp_at(str(file)):
                    yield str(file), stamp

    def families(self, stamps: dict[str, Stamp]) -> dict[str, list[str]]:
        """The files of each family that is not lost; of one that belongs to another, under that one."""
        news = not stamps.keys() <= self.files.keys()
        known = {path: self.identified(path, stamp, news=news) for path, stamp in stamps.items()}
        sessions = {path: one.family for path, one in known.items() if one.family is not None}
        above = {one.family: one.above for one in self.files.values() if one.family and one.above}
        lines = {family: line_of(family, above) for family in set(sessions.values())}
        lost = self.lost(lines, stamps)
        given = [known[str(place)].family if str(place) in known else None for place in self.places if not place.is_dir()]
        alone = len(given) == len(self.places)  # then what lies beside the files is looked at, but not meant
        families: dict[str, list[str]] = {}
        for path, family in sessions.items():
            if family not in lost and (not alone or family in given):
                families.setdefault(lines[family][-1], []).append(path)
        return families

    def lost(self, lines: dict[str, list[str]], stamps: dict[str, Stamp]) -> set[str]:
        """The families that need a file which was there, and is gone; each is given with those above it.

        A thread that was forked does without the one that it was forked from, where that is the highest: its trace is the same.
        """
        own: dict[str, set[str]] = {name: set() for line in lines.values() for name in line}
        for path, one in self.files.items():
            if one.family in own:
                own[one.family].add(own_file(path, one))
        gone = {name for name, files in own.items() if files and not any(file in stamps or stamp_at(file) for file in files)}
        forks = {one.family for one in self.files.values() if one.is_fork}
        needed = {family: line[:-1] if len(line) > 1 and line[-2] in forks else line for family, line in lines.items()}
        return {family for family, line in needed.items() if not gone.isdisjoint(line)}

    def identified(self, path: str, stamp: Stamp, *, news: bool = False) -> Known:
        """What a file is: looked at once, and again where it was too short to tell, or is another one by now.

        One that belongs to no other may do so where there are ``news``, which are other files.
        """
        known = self.files.get(path)
        if known is None or is_another(known, stamp):
            known = self.files[path] = self.seen(path, stamp)
            return known
        if known.format and known.family == path and (stamp != known.stamp or news) and stamp_at(own_file(path, known)):
            with suppress(OSError):  # it has just gone
                known.family, known.above = GROWING[known.format].family_of(Path(path))
        known.stamp = stamp
        return known

    def seen(self, path: str, stamp: Stamp) -> Known:
        """A file that is looked at."""
        try:
            source = Source(Path(path), os.path.basename(path), path)  # noqa: PTH119
            start = beginning(source)
            head = head_of(source) if start[:1] == b"{" else None
            for name, reader in GROWING.items():
                if head and reader.recognises(head):
                    family, above = reader.family_of(Path(path))
                    if family == path:  # it may be of a session whose own file was there, and is gone
                        mains = map(str, reader.mains_of(Path(path), head.values[0]))
                        above = next((main for main in mains if main in self.files and not stamp_at(main)), above)
                    return Known(stamp, name, family, above, reader.is_fork(head.values[0]))
            if Path(path) in self.places and start and is_foreign(head, start):
                what = f"{source.name} is no session that grows: it looks like {head or head_of(source)}."
                raise IngestError(f"{what} `tokenvis watch` follows Claude Code and Codex; `tokenvis ingest` reads the rest.")
        except OSError as error:
            self.complain(Problem(os.path.basename(path), None, f"cannot be read ({error.strerror})"))  # noqa: PTH119
            return Known((-1, *stamp[1:]))
        return Known(stamp)


def walked(folder: str) -> Iterator[tuple[str, Stamp]]:
    """The files in a folder and below it, as far as they can be seen; databases are not looked at, see `store.connections`."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        yield from walked(entry.path)
                    elif entry.is_file() and not DATABASE.search(entry.name) and not entry.name.endswith(SUFFIX):
                        yield entry.path, stamp_of(entry.stat())
                except OSError:  # it has just gone
                    continue
    except OSError:
        return


def is_foreign(head: Head | None, start: bytes) -> bool:
    """Whether a file is of another format for certain, and not just too short to tell."""
    if head is None or any(reader.recognises(head) for reader in OTHERS):
        return True
    return b"\n" in start and (head.kind != "lines" or len(head.values) == HEAD_LINES)


def is_another(known: Known, stamp: Stamp) -> bool:
    """Whether a file may be something else than it was taken for."""
    if known.stamp[2] != stamp[2] or stamp[0] < known.stamp[0]:
        return True
    return known.format is None and known.stamp != stamp and known.stamp[0] < HEAD


def line_of(family: str, above: dict[str, str]) -> list[str]:
    """A family and those above it, as far as they are known; the highest is last."""
    line = [family]
    while (next_one := above.get(line[-1])) and next_one not in line:
        line.append(next_one)
    return line
