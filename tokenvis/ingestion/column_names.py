"""Column names: which columns of a table may be the start, the end, the agent and the location of a span, by their words."""

import re
from collections.abc import Iterable

NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
FIELD_WORDS = {  # in the order of choice; a column is proposed once
    "end_time": ("end", "ended", "finish", "finished", "stop", "stopped", "completed", "till", "until"),
    "duration": ("duration", "dur", "elapsed", "latency", "took"),
    "start_time": ("start", "started", "begin", "began", "timestamp", "time", "ts", "when", "datetime", "date", "step", "tick",
                   "frame"),
    "agent_id": ("agent", "worker", "who", "actor", "persona", "person", "character", "player", "user", "assignee", "thread"),
    "location_id": ("location", "place", "room", "where", "desk", "station", "area", "zone", "tool", "model", "machine",
                    "service", "host", "activity", "task"),
    "trace_id": ("trace", "run", "session", "episode", "simulation"),
    "parent_id": ("parent",),
}  # fmt: skip
FIELD_ORDER = ("trace_id", "start_time", "end_time", "duration", "agent_id", "location_id", "parent_id")
SAMPLE_TIMES = ("step", "tick", "frame")


def proposed_columns(names: Iterable[str]) -> dict[str, str]:
    """The likely column of each field of a span, as for ``columns=``."""
    free = {name: [word.lower() for word in NAME_WORD.findall(name)] for name in map(str, names) if len(name) < 200}
    columns: dict[str, str] = {}
    for field, words in FIELD_WORDS.items():
        if field == "duration" and "end_time" in columns:
            continue
        found = ([name for name, own in free.items() if word in own] for word in words)
        name = next((min(named, key=lambda name: len(free[name])) for named in found if named), None)
        if name is not None:
            columns[field] = name
            del free[name]
    return {field: columns[field] for field in FIELD_ORDER if field in columns}
