"""Sessions: where agents keep the records of their work on this machine.

Claude Code keeps them in ``~/.claude/projects/<project>/`` (or ``$CLAUDE_CONFIG_DIR``, or ``~/.config/claude``), Codex in
``~/.codex/sessions/YYYY/MM/DD/`` (or ``$CODEX_HOME``), and what it archived in ``archived_sessions``. Files are listed, not
read, but for the first line of a rollout, which tells the folder that it worked in.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from tokenvis.errors import BadOption, quoted

AGE = re.compile(r"(\d{1,6})([mhdw])")
HOURS = {"m": 1 / 60, "h": 1, "d": 24, "w": 168}
TYPES = {"format": "str", "modified": "datetime64[us, UTC]", "size": "int64", "project": "str", "path": "str"}
FIRST_LINE = 1 << 20  # bytes: it holds the instructions too
ROLLOUT = re.compile(r"rollout-.*\.jsonl(\.zst)?")
SESSION = re.compile(r"(?!agent-).*\.jsonl")


def find_sessions(*, since: str | None = None) -> pd.DataFrame:
    """List the sessions of agents that are kept on this machine, newest first.

    Parameters
    ----------
    since
        Only those changed since then: an age ("30m", "12h", "7d", "2w"), or an ISO 8601 date or time. By default all.

    Returns
    -------
    DataFrame
        ``format`` (str: "claude_code" or "codex", as `ingest` calls them), ``modified`` (datetime64[us, UTC]), ``size`` (int64,
        bytes), ``project`` (str; missing where it is not told), ``path`` (str).

    Raises
    ------
    BadOption
        ``since`` is neither an age nor a time.

    Examples
    --------
    Read the newest: ``ingest(find_sessions()["path"].iloc[0])``.
    """
    first = None if since is None else moment_of(since)
    rows = [row for row in (*claude_sessions(), *codex_sessions()) if first is None or row["modified"] >= first]
    table = pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)
    return table.sort_values(["modified", "path"], ascending=[False, True], ignore_index=True)


def moment_of(since: str) -> datetime:
    """The moment that an age or a time means."""
    if isinstance(since, str) and (age := AGE.fullmatch(since)):
        with suppress(OverflowError):
            return datetime.now(UTC) - timedelta(hours=int(age[1]) * HOURS[age[2]])
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(since)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise BadOption(f'since={quoted(since)} is neither an age, such as "7d", "12h" or "30m", nor a date, such as "2026-06-21".')


def folders_of(variable: str, *usual: str) -> list[Path]:
    """The folders that a variable names, else the usual ones in the home directory."""
    named = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    every = [Path(os.path.expanduser(name)) for name in named] or [Path.home() / name for name in usual]  # noqa: PTH111  (never raises)
    return list({os.path.realpath(folder): folder for folder in reversed(every)}.values())  # one may be a link to another


def session_folders() -> list[Path]:
    """The folders in which Claude Code and Codex keep the sessions that grow, whether they are there or not."""
    projects = [folder / "projects" for folder in folders_of("CLAUDE_CONFIG_DIR", ".claude", ".config/claude")]
    return projects + [folder / "sessions" for folder in folders_of("CODEX_HOME", ".codex")]


def claude_sessions() -> Iterator[dict[str, Any]]:
    """Sessions of Claude Code, without the files of their subagents."""
    for folder in folders_of("CLAUDE_CONFIG_DIR", ".claude", ".config/claude"):
        for path in files_below(folder / "projects", SESSION):
            parents = path.relative_to(folder / "projects").parts[:-1]
            if "subagents" not in parents:
                yield from row_of("claude_code", path, parents[0] if parents else None)


def codex_sessions() -> Iterator[dict[str, Any]]:
    """Rollouts of Codex, one a thread."""
    for folder in folders_of("CODEX_HOME", ".codex"):
        for place in ("sessions", "archived_sessions"):
            for path in files_below(folder / place, ROLLOUT):
                yield from row_of("codex", path, folder_in(path))


def files_below(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    """Files of such a name in a folder and all below it that can be read; none where it is not there."""
    for place, _, names in os.walk(folder):  # which leaves out folders that cannot be listed
        for path in (Path(place, one) for one in names if name.fullmatch(one)):
            if can_be_read(path):
                yield path


def can_be_read(path: Path) -> bool:
    """Whether a path is a file, and this user's to read."""
    with suppress(OSError):
        return path.is_file() and os.access(path, os.R_OK)
    return False


def row_of(format: str, path: Path, project: str | None) -> Iterator[dict[str, Any]]:  # noqa: A002
    """A file as a row; none where it has just gone, its name is no text, or its time no date."""
    with suppress(OSError, ValueError, OverflowError):
        str(path).encode()
        found = path.stat()
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        yield {"format": format, "modified": modified, "size": found.st_size, "project": project, "path": str(path)}


def folder_in(path: Path) -> str | None:
    """The folder that a rollout worked in, as its first line says."""
    with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
        cwd = orjson.loads(file.readline(FIRST_LINE))["payload"]["cwd"]
        return cwd if isinstance(cwd, str) else None
    return None
