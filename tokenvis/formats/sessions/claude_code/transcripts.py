"""What is known of a Claude Code session while it is read: its files, and the calls of each of its agents."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tokenvis.formats.files.lines import ReadPosition
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.sessions.claude_code.forks import Ancestry

FileRank: TypeAlias = tuple[int, Path]


@dataclass
class ModelCall:
    """A model call: its times, its usage, its output and the names of the tools it called; ``blocks`` are hashes of blocks."""

    id: str
    start: int
    end: int
    prompt: str | None
    model: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    parts: list[dict[str, str]] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    blocks: set[int] = field(default_factory=set)


@dataclass
class ToolCall:
    """A tool call, the id of the message that asked for it, and its result if there is one."""

    id: str
    name: str
    input: Any
    start: int
    message: str
    end: int | None = None
    failed: bool = False
    result: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    launch_status: str | None = None  # of a call that started agents: "completed", "async_launched", ...
    last_seen: int = 0
    subagent_last_seen: int = 0


@dataclass
class SessionFile:
    """A file of a session: the agent of lines that name none, its rank in the reading order, its read position.

    ``in_document`` is set if the file is one JSON document.
    """

    source: Source
    agent_id: str = ""
    rank: FileRank = (0, Path())
    position: ReadPosition = field(default_factory=ReadPosition)
    in_document: bool = False


@dataclass
class Transcript:
    """The work of one agent: its calls by id, in the order of their first lines.

    ``last_input`` is the time at which the next model call may start; ``is_asked`` is set if it has something to answer.
    ``continues`` is the session whose messages it begins with, and ``copied_prompt`` the first prompt of that copy.
    ``boundaries`` are the times at which the agent's context was compacted, with what triggered it. ``program`` are the
    attributes of the program that wrote its first call: version, branch, folder.
    """

    agent_id: str
    file: Path | None = None
    rank: FileRank = (0, Path())
    first_prompt: str | None = None
    copied_prompt: str | None = None
    continues: str | None = None
    first_seen: int | None = None
    last_seen: int = 0
    last_input: int | None = None
    is_asked: bool = False
    boundaries: list[tuple[int, Any]] = field(default_factory=list)
    pending_prompt: str | None = None
    unanswered: dict[str, ToolCall] = field(default_factory=dict)
    model_calls: dict[str, ModelCall] = field(default_factory=dict)
    tool_calls: dict[str, ToolCall] = field(default_factory=dict)
    name: str = "main"
    parent_call: str | None = None
    parent_guessed: bool = False
    detached: bool = False
    task: str | None = None
    program: dict[str, str] = field(default_factory=dict)


@dataclass
class Session:
    """A session while it is read: transcripts by agent id ("" is the main one), titles, and counts of echoes.

    ``uuid_ranks``, ``call_owners``, ``agent_ranks``, ``titles`` and ``spawning_calls`` contain the rank of the source file.
    ``copied`` has the message and tool calls that were skipped because they belong to the session that it names.
    """

    reading: Reading
    file: SessionFile
    transcripts: dict[str, Transcript] = field(default_factory=dict)
    sidechain_of: dict[str, str] = field(default_factory=dict)
    session_ids: dict[str, None] = field(default_factory=dict)
    uuid_ranks: dict[str, FileRank] = field(default_factory=dict)
    call_owners: dict[str, tuple[FileRank, str, str]] = field(default_factory=dict)
    agent_ranks: dict[str, FileRank] = field(default_factory=dict)
    titles: dict[str, tuple[FileRank, str]] = field(default_factory=dict)
    spawning_calls: dict[str, tuple[FileRank, str]] = field(default_factory=dict)
    echo_counts: Counter[str] = field(default_factory=Counter)
    ancestry: Ancestry = field(default_factory=Ancestry)
    copied: dict[str, str] = field(default_factory=dict)
