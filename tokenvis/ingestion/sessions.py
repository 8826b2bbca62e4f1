"""Sessions: the session files of coding agents on this machine.

Claude Code writes them to ``~/.claude/projects/<project>/`` (or ``$CLAUDE_CONFIG_DIR``, or ``~/.config/claude``), Codex in
``~/.codex/sessions/YYYY/MM/DD/`` (or ``$CODEX_HOME``), and archived ones to ``archived_sessions``. Files are listed,
not read, except for the first line of a rollout, which has the working folder.
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

AGE_PATTERN = re.compile(r"(\d{1,6})([mhdw])")
HOURS_PER_UNIT = {"m": 1 / 60, "h": 1, "d": 24, "w": 168}
SESSION_DTYPES = {"format": "str", "modified": "datetime64[us, UTC]", "size": "int64", "project": "str", "path": "str"}
FIRST_LINE_BYTES = 1 << 20  # the line includes the instructions
ROLLOUT_FILE_NAME = re.compile(r"rollout-.*\.jsonl(\.zst)?")
SESSION_FILE_NAME = re.compile(r"(?!agent-).*\.jsonl")


def find_sessions(*, since: str | None = None) -> pd.DataFrame:
    """List the session files of agents on this machine, newest first.

    Parameters
    ----------
    since
        Only sessions changed since then: an age ("30m", "12h", "7d", "2w"), or an ISO 8601 date or time. By default, all.

    Returns
    -------
    DataFrame
        ``format`` (str: "claude_code" or "codex", as `ingest` calls them), ``modified`` (datetime64[us, UTC]), ``size`` (int64,
        bytes), ``project`` (str; missing if unknown), ``path`` (str).

    Raises
    ------
    BadOption
        ``since`` is neither an age nor a time.

    Examples
    --------
    Read the newest: ``ingest(find_sessions()["path"].iloc[0])``.
    """
    earliest = None if since is None else since_time(since)
    rows = [row for row in (*claude_sessions(), *codex_sessions()) if earliest is None or row["modified"] >= earliest]
    table = pd.DataFrame(rows, columns=list(SESSION_DTYPES)).astype(SESSION_DTYPES)
    return table.sort_values(["modified", "path"], ascending=[False, True], ignore_index=True)


def since_time(since: str) -> datetime:
    """The point in time that an age or an ISO 8601 text denotes."""
    if isinstance(since, str) and (age := AGE_PATTERN.fullmatch(since)):
        with suppress(OverflowError):
            return datetime.now(UTC) - timedelta(hours=int(age[1]) * HOURS_PER_UNIT[age[2]])
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(since)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise BadOption(f'since={quoted(since)} is neither an age, such as "7d", "12h" or "30m", nor a date, such as "2026-06-21".')


def data_folders(variable: str, *usual: str) -> list[Path]:
    """The folders configured by an environment variable, else the usual ones in the home directory."""
    configured = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    folders = [Path(os.path.expanduser(name)) for name in configured] or [Path.home() / name for name in usual]  # noqa: PTH111  (it never raises)
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())  # without links to one another


def session_folders() -> list[Path]:
    """The folders of active sessions of Claude Code and Codex, existing or not."""
    projects = [folder / "projects" for folder in data_folders("CLAUDE_CONFIG_DIR", ".claude", ".config/claude")]
    return projects + [folder / "sessions" for folder in data_folders("CODEX_HOME", ".codex")]


def claude_sessions() -> Iterator[dict[str, Any]]:
    """Sessions of Claude Code, without files of subagents."""
    for folder in data_folders("CLAUDE_CONFIG_DIR", ".claude", ".config/claude"):
        for path in files_below(folder / "projects", SESSION_FILE_NAME):
            parents = path.relative_to(folder / "projects").parts[:-1]
            if "subagents" not in parents:
                yield from session_row("claude_code", path, parents[0] if parents else None)


def codex_sessions() -> Iterator[dict[str, Any]]:
    """Rollouts of Codex, one per thread."""
    for folder in data_folders("CODEX_HOME", ".codex"):
        for subfolder in ("sessions", "archived_sessions"):
            for path in files_below(folder / subfolder, ROLLOUT_FILE_NAME):
                yield from session_row("codex", path, working_folder(path))


def files_below(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    """Readable files in a folder and its subfolders whose name matches; none if the folder does not exist."""
    for parent, _, names in os.walk(folder):  # skips folders that cannot be listed
        for path in (Path(parent, file_name) for file_name in names if name.fullmatch(file_name)):
            if is_readable_file(path):
                yield path


def is_readable_file(path: Path) -> bool:
    """Whether a path is a file that this user may read."""
    with suppress(OSError):
        return path.is_file() and os.access(path, os.R_OK)
    return False


def session_row(format: str, path: Path, project: str | None) -> Iterator[dict[str, Any]]:  # noqa: A002
    """The row of a file; none if the file is gone, its name is not Unicode, or its time is out of range."""
    with suppress(OSError, ValueError, OverflowError):
        str(path).encode()
        status = path.stat()
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        yield {"format": format, "modified": modified, "size": status.st_size, "project": project, "path": str(path)}


def working_folder(path: Path) -> str | None:
    """The working folder of a rollout, from its first line."""
    with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
        cwd = orjson.loads(file.readline(FIRST_LINE_BYTES))["payload"]["cwd"]
        return cwd if isinstance(cwd, str) else None
    return None
