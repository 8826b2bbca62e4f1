"""The lookout: which files there are, what each of them is, and which belong together.

A file is looked at once to tell what it is, and again only where it was too short for that, or is another one by now.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tokenvis.errors import IngestError
from tokenvis.readers.formats import GROWING
from tokenvis.reading import Problem
from tokenvis.records import HEAD, HEAD_LINES, Head, beginning, head_of
from tokenvis.sources import DATABASE, Source
from tokenvis.watched import SUFFIX, Known, Stamp, stamp_at, stamp_of


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
        """The files of each family; of one that belongs to another, under that one."""
        news = not stamps.keys() <= self.files.keys()
        known = {path: self.identified(path, stamp, news=news) for path, stamp in stamps.items()}
        sessions = {path: one.family for path, one in known.items() if one.family is not None}
        above = {one.family: one.above for one in known.values() if one.family and one.above}
        given = [known[str(place)].family if str(place) in known else None for place in self.places if not place.is_dir()]
        alone = len(given) == len(self.places)  # then what lies beside the files is looked at, but not meant
        families: dict[str, list[str]] = {}
        for path, family in sessions.items():
            if not alone or family in given:
                families.setdefault(highest(family, above), []).append(path)
        return families

    def identified(self, path: str, stamp: Stamp, *, news: bool = False) -> Known:
        """What a file is: looked at once, and again where it was too short to tell, or is another one by now.

        One that belongs to no other may do so where there are ``news``, which are other files.
        """
        known = self.files.get(path)
        if known is None or is_another(known, stamp):
            known = self.files[path] = self.seen(path, stamp)
            return known
        if known.format and (stamp != known.stamp or news) and is_alone(path, known):
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
                    return Known(stamp, name, *reader.family_of(Path(path)))
            if Path(path) in self.places and start and is_foreign(head, start):
                what = f"{source.name} is no session that grows: it looks like {head or head_of(source)}."
                raise IngestError(f"{what} `tokenvis watch` follows Claude Code and Codex; `tokenvis ingest` reads the rest.")
        except OSError as error:
            self.complain(Problem(os.path.basename(path), None, f"cannot be read ({error.strerror})"))  # noqa: PTH119
            return Known((-1, *stamp[1:]))
        return Known(stamp)


def walked(folder: str) -> Iterator[tuple[str, Stamp]]:
    """The files in a folder and below it, as far as they can be seen; databases are not looked at, see `connections`."""
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


def is_alone(path: str, known: Known) -> bool:
    """Whether a file is not read with the one that it belongs to, because that was not there, or is gone."""
    family = known.family or ""
    return family == path or (Path(family).is_absolute() and stamp_at(family) is None)


def is_foreign(head: Head | None, start: bytes) -> bool:
    """Whether a file is of another format for certain, and not just too short to tell."""
    return head is None or (b"\n" in start and (head.kind != "lines" or len(head.values) == HEAD_LINES))


def is_another(known: Known, stamp: Stamp) -> bool:
    """Whether a file may be something else than it was taken for."""
    if known.stamp[2] != stamp[2] or stamp[0] < known.stamp[0]:
        return True
    return known.format is None and known.stamp != stamp and known.stamp[0] < HEAD


def highest(family: str, above: dict[str, str]) -> str:
    """The family above all others, as far as they are known."""
    seen = {family}
    while (next_one := above.get(family)) and next_one not in seen:
        seen.add(next_one)
        family = next_one
    return family
