"""Places: the names of a file and of the folders around it, by which people know what is in the file.

The **head** of a place is the name that people use. It is the file's name without its ending (``runs/run-07.csv``: "run-07"),
unless that could be the name of any such file: a word such as "trace" or "log", an id, a hash, a date, the number of a part.
Then it is the nearest folder with a name of its own (``runs/seed-3/trace.jsonl``: "seed-3"). If no name says more than
``traces/trace.jsonl``, the file's name is the head, and the place is **common**.

A place never contains a whole path: of the folders, only two above the head. The folders above the home directory and above
that of temporary files do not count, nor do hidden ones and those that tools name by a path (``-home-ann-shop``).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

from tokenvis.errors import escaped

MAX_PART_LENGTH = 100  # a name in an archive may have 65,535 characters
FOLDERS_ABOVE = 2  # of the head, which tell places apart whose heads are equal
ENDINGS = re.compile(r"(\.(jsonl?|ndjson|csv|tsv|parquet|pb|proto|bin|txt|log|eval|otlp|gz|zst|zip))+$", re.IGNORECASE)
OTHER_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,7}$", re.IGNORECASE)
ARCHIVE = re.compile(r"\.(zip|gz|zst)$", re.IGNORECASE)
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
DATE = r"(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
TIME = r"[t _-]?(?:[01]\d|2[0-3])([-_:.]?)[0-5]\d\2[0-5]\d(?:[.,]\d+)?(?:z|[+-]\d\d[-_:]?\d\d)?"
ID = re.compile(
    rf"(?<![0-9a-z])(?:{UUID_PATTERN}|(?=[a-z]*\d)[0-9a-f]{{8,}}|[0-9a-f]{{16,}}|(?=[a-z]*\d)(?=\d*[a-z])[0-9a-z]{{20,}})(?![0-9a-z])"
)
DATES = re.compile(rf"(?<!\d){DATE}(?:{TIME})?(?!\d)")
TEMPORARY = re.compile("tmp[0-9a-z_]{8}")  # as Python names temporary folders
NUMBERED_PART = re.compile(r"(?<![a-z])(?:part|batch|chunk|shard|page)s?[-_ ]?\d+(?!\d)")
YEAR = re.compile("(19|20)[0-9]{2}")
NAME_WORDS = re.compile(r"[^\W\d_]+|\d+")
COMMON_WORDS = re.compile(
    "(all|app|batch|chunk|content|conversation|csv|data|desktop|document|download|dump|event|export|file|history|home|index|journal"
    "|jsonl?|log|main|master|message|mnt|movement|observation|opentelemetry|opt|otel|otlp|out|output|page|parquet|part|project|raw"
    "|record|recording|result|rollout|root|run|session|shard|span|srv|stderr|stdin|stdout|stream|subagent|telemetry|temp|tmp|tr"
    "|trace|trajectory|transcript|user|var|work|workspace)s?"
)


class FilePlace(NamedTuple):
    """The names of folders and, last, of the file; the position of the head; whether there is no better head than the file.

    ``ends_in_id`` is set if the file's name has an id and nothing else that tells files apart.
    """

    parts: tuple[str, ...]
    head: int
    is_common: bool = False
    ends_in_id: bool = False


def place_text(origin: str) -> str | None:
    """The place of the file with an origin (`origin_of`), as a text for `file_place`; None if the origin is no file.

    Examples
    --------
    >>> place_text("/data/runs/v1/seed-3/trace.jsonl"), place_text("stream run-07.csv"), place_text("DataFrame")
    ('runs/v1/seed-3/trace', 'run-07', None)
    """
    names = path_names(origin)
    if not names:
        return None
    head = head_of_names(names)
    first = len(names) - 1 if head is None else max(head - FOLDERS_ABOVE, 0)
    return "/".join(names[first:])


def path_names(origin: str) -> list[str]:
    """The names of folders and, last, of the file in an origin, without endings; empty if there is no file."""
    if origin in ("DataFrame", "stream stream"):
        return []
    path = origin.removeprefix("stream ")
    for folder in (home(), Path(gettempdir()).as_posix()):
        path = path.removeprefix(f"{folder}/")
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            names = names[:-1]
        elif name not in ("", ".") and not name.endswith(":"):  # a drive of Windows
            names.append(name)
    if not names:
        return []
    *folders, file = names
    stem = ENDINGS.sub("", file)
    stem = OTHER_ENDING.sub("", file) if stem == file else stem
    return [escaped(name, MAX_PART_LENGTH) for name in (*(ARCHIVE.sub("", folder) for folder in folders), stem or file)]


def home() -> str:
    """The home directory."""
    try:
        return Path.home().as_posix()
    except RuntimeError:  # there is none
        return ""


@lru_cache(65_536)
def file_place(text: str) -> FilePlace:
    """The place in a text of `place_text`."""
    return place_of_names(text.split("/"))


def place_of_names(names: Iterable[str]) -> FilePlace:
    """The place with these names of folders and, last, of the file."""
    parts = tuple(names)
    head = head_of_names(parts)
    found = len(parts) - 1 if head is None else head
    return FilePlace(parts, found, head is None, found < len(parts) - 1 and has_id(parts[-1]))


def head_of_names(names: Iterable[str]) -> int | None:
    """The position of the last name that says which run it is, None if there is none."""
    parts = tuple(names)
    in_dates = dated(parts)
    return next((number for number in reversed(range(len(parts))) if not in_dates[number] and is_own_name(parts[number])), None)


def dated(parts: tuple[str, ...]) -> list[bool]:
    """Whether each name is part of a date in folders: ``2025/05/01``."""
    found, is_date = [], False
    for part in parts:
        is_date = part.isdecimal() and (is_date or YEAR.fullmatch(part) is not None)
        found.append(is_date)
    return found


@lru_cache(65_536)
def is_own_name(name: str) -> bool:
    """Whether a name says which run it is: it has a word that is not common, or a number that is no id, date or part.

    Examples
    --------
    >>> [is_own_name(name) for name in ("seed-3", "run-07", "trace", "2024-05-01_trace", "trace-3f2a9c1b", "part-0", ".cache")]
    [True, True, False, False, False, False, False]
    """
    if name.startswith((".", "-")):
        return False
    rest = name.casefold()
    for pattern in (DATES, ID, NUMBERED_PART, TEMPORARY):
        rest = pattern.sub(" ", rest)
    return any(COMMON_WORDS.fullmatch(word) is None for word in NAME_WORDS.findall(rest))


@lru_cache(65_536)
def has_id(name: str) -> bool:
    """Whether a name has an id or a hash, and does not say which run it is."""
    return ID.search(DATES.sub(" ", name.casefold())) is not None and not is_own_name(name)


def is_bare_number(name: str) -> bool:
    """Whether a name is only a number, which says little without its folder."""
    return name.isdecimal()


def common_place(places: Iterable[FilePlace]) -> FilePlace | None:
    """The folder that places have in common, None if there is none; a single place is its own."""
    places, names = list(places), list[str]()
    if len(places) == 1:
        return places[0]
    for together in zip(*(place.parts for place in places), strict=False):
        if len(set(together)) > 1:
            break
        names.append(together[0])
    return place_of_names(names) if names else None
