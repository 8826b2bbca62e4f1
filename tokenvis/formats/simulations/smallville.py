"""Generative agents in a town: ``master_movement.json``, as the simulation of Smallville and its forks write it.

``{"<step>": {"<persona>": {"movement", "pronunciatio", "description": "<activity> @ world:sector:arena:object", "chat"}}}``:
a step lists only the personas who changed. ``meta.json`` (or ``<name>_meta.json``) in the same folder contains the date of the
first step and the duration of a step. A span is a run of steps in which a persona does the same at the same location. For a
simulation that records every agent at every step, use `spans_from_samples`; this file contains changes, which become runs.

The Chinese Generative Agents write one ``movement.json``: ``{"start_datetime", "sec_per_step", "all_movement": {"0": {...},
"1": {"<persona>": {"location": "sector，arena，object", "movement", "action"}}, ...}}``. Frame 1 is at the start, and a step of
their simulation has 60 frames; frame 0 is the state before the start, so its time is estimated.

Source: the repository of generative agents, and files of worlds made with it; GenerativeAgentsCN, compress.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from tokenvis.conventions.span import SpanRead, optional_value, problem_reason, shorten, stored_id
from tokenvis.conventions.timestamps import UNIX_EPOCH
from tokenvis.formats.files.documents import document_envelopes, document_members
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lenient_json import parse_json
from tokenvis.formats.files.reading import Reading

NAME = "Smallville simulations"
MOVEMENT_FILE, META_FILE = "master_movement.json", "meta.json"
COLON = re.compile(r"\s*[:：]\s*")
DEFAULT_STEP_S = 10
MAX_STEP_DIGITS = 8  # of a step number: with steps of a day and a four-digit year, times in µs fit into 64 bits
MAX_STEP_S = 86_400
REPLAY_FILE, REPLAY = "movement.json", "all_movement"
WORLD = "the ville"  # most replays leave it out of their locations
COMMA = re.compile(r"\s*[，,]\s*")
REPLAY_TEXTS = ("description", "conversation")  # beside the frames of a replay


@dataclass
class StepClock:
    """The times of steps: the time of the first step, its number, and the duration of each in seconds."""

    start: int = 0
    step_s: int = DEFAULT_STEP_S
    first: int = 0

    def time_of(self, step: int) -> int:
        """The time of a step in µs."""
        return self.start + (step - self.first) * self.step_s * 1_000_000


@dataclass
class ActivityRun:
    """An activity of a persona at a location, from a step on; and its conversation at the last step that lists the persona."""

    location: str
    activity: str
    step: int
    data: dict[str, Any] = field(default_factory=dict)
    last_step: int = 0
    chat: list[Any] = field(default_factory=list)


def recognises(head: Head) -> bool:
    """Whether steps contain personas with a movement and a description or a location."""
    if any({"persona_init_pos", REPLAY} <= item.keys() for item in head.objects):
        return True  # its steps may be beyond the head
    worlds = [*head.objects, *(replay for item in head.objects if isinstance(replay := item.get(REPLAY), dict))]
    steps = [step for world in worlds for key, step in world.items() if key.isdigit() and isinstance(step, dict)]
    records = [record for step in steps for record in step.values() if isinstance(record, dict)]
    return any("movement" in record and {"description", "location"} & record.keys() for record in records)


def is_replay(reading: Reading) -> bool:
    """Whether a file is a replay, with its steps under a key."""
    return any(REPLAY in item for item in head_of(reading.source).objects)


def read(reading: Reading) -> Iterator[SpanRead]:
    """A span for each run of every persona."""
    trace_id, title = world_names(reading)
    reading.name_trace(trace_id, title)
    of_replay = is_replay(reading)
    clock = replay_clock(reading) if of_replay else read_clock(reading)
    runs: dict[str, ActivityRun] = {}
    last = 0
    for number, (key, personas) in document_members(reading, f"{REPLAY}.*" if of_replay else "*"):
        reading.record_noun = "step"
        if of_replay and key in REPLAY_TEXTS:
            skip_texts(reading, key, personas)
            continue
        if not key.isdecimal() or len(key) > MAX_STEP_DIGITS:
            reading.add_problem(number, f"{key[:40]!r} is not a step")
            continue
        step = int(key)
        last = max(last, step)
        if not isinstance(personas, dict):
            reading.add_problem(step, f"is of type {type(personas).__name__}, not an object")
            continue
        for persona in personas:
            try:
                run = next_run(runs.get(persona), optional_value(personas, persona, dict) or {}, step)
            except (TypeError, ValueError) as error:
                reading.add_problem(step, problem_reason(error))
                continue
            if run is not None:
                if persona in runs:
                    yield run_span(trace_id, persona, runs[persona], clock, clock.time_of(step))
                runs[persona] = run
    end = clock.time_of(last + 1)
    for persona, run in runs.items():
        yield run_span(trace_id, persona, run, clock, end)


def world_names(reading: Reading) -> tuple[str, str]:
    """The id and the name of a world, derived from its folder or its file name; the file contains neither."""
    name = reading.source.path.name
    title = (
        reading.source.path.parent.name
        if name in (MOVEMENT_FILE, REPLAY_FILE)
        else name.removesuffix(".json").removesuffix("_master_movement")
    )
    return f"{title}-{blake2b(reading.source.origin.encode(), digest_size=4).hexdigest()}", title


def read_clock(reading: Reading) -> StepClock:
    """The clock from the meta file in the same folder."""
    path = reading.source.path
    meta_path = path.with_name(
        path.name.replace(MOVEMENT_FILE, META_FILE) if path.name.endswith(MOVEMENT_FILE) else META_FILE,
    )
    source = reading.source.sibling(meta_path) if meta_path.is_file() and meta_path != path else None
    if source is None:
        reading.add_problem(
            None, f"there is no {meta_path.name} in its folder, so times start at 0 and a step takes {DEFAULT_STEP_S} s"
        )
        return StepClock()
    reading.files.append(source)
    try:
        meta = parse_json(meta_path.read_bytes())
        if not isinstance(meta, dict):
            raise TypeError(f"it is of type {type(meta).__name__}")
        # the file names no time zone
        start = datetime.strptime(optional_value(meta, "start_date", str) or "", "%B %d, %Y").replace(tzinfo=UTC)
        return StepClock(int((start - UNIX_EPOCH).total_seconds()) * 1_000_000, step_seconds(meta))
    except (OSError, TypeError, ValueError) as error:
        reading.add_problem(None, problem_reason(error), source)
        return StepClock()


def replay_clock(reading: Reading) -> StepClock:
    """The clock of a replay, whose first frame is 1."""
    values = next(document_envelopes(reading, "", ("start_datetime", "sec_per_step")))
    try:
        start = datetime.fromisoformat(optional_value(values, "start_datetime", str) or "")
        start = start if start.tzinfo else start.replace(tzinfo=UTC)  # the file names no time zone
        return StepClock((start - UNIX_EPOCH) // timedelta(microseconds=1), step_seconds(values), first=1)
    except (TypeError, ValueError) as error:
        reading.add_problem(None, f"{problem_reason(error)}, so times start at 0 and a step takes {DEFAULT_STEP_S} s")
        return StepClock(first=1)


def step_seconds(values: dict[str, Any]) -> int:
    """The duration of a step; `ValueError` if it cannot be one."""
    seconds = optional_value(values, "sec_per_step", int) or DEFAULT_STEP_S
    if not 0 < seconds <= MAX_STEP_S:
        raise ValueError(f"'sec_per_step' is {seconds}")
    return seconds


def skip_texts(reading: Reading, key: str, texts: Any) -> None:
    """Count the conversations of a replay, which names a time for each, but not which agents it belongs to."""
    if key == "conversation" and isinstance(texts, dict) and (n_texts := sum(bool(text) for text in texts.values())):
        reading.skipped["conversations of a replay, which belong to no one agent"] += n_texts


def next_run(run: ActivityRun | None, record: dict[str, Any], step: int) -> ActivityRun | None:
    """The run that begins with a persona's record, None if the current run continues."""
    description, chat = record_description(record), chat_lines(record.get("chat"))
    if run is not None:
        if step <= run.last_step:
            raise ValueError(f"it comes after step {run.last_step}")
        run.last_step = step
    activity, location, object_name = parse_description(description or "")
    location = location or (run.location if run else "")  # a persona without a new location stays
    if run is not None and (not description or (run.location, run.activity) == (location, activity)):
        add_chat(run, chat)
        return None
    if not location:
        return None
    movement = optional_value(record, "movement", list) or []
    data = {"pronunciatio": record.get("pronunciatio"), "object": object_name, "movement": movement}
    new = ActivityRun(location, activity, step, {key: value for key, value in data.items() if value}, last_step=step)
    add_chat(new, chat)
    return new


def record_description(record: dict[str, Any]) -> str | None:
    """The description of a persona's record; that of a replay's record is put together from its location and action."""
    location = optional_value(record, "location", str)
    if location is None:
        description: str | None = optional_value(record, "description", str)
        return description
    action = optional_value(record, "action", str) or optional_value(record, "description", str) or ""
    address = COMMA.split(location.strip())
    return f"{action.replace('@', ' ')} @ {':'.join(address if address[0].lower() == WORLD else [WORLD, *address])}"


def chat_lines(chat: Any) -> list[Any]:
    """The conversation at a step: a list of [persona, text], or the single text of some forks."""
    return chat if isinstance(chat, list) else [chat] if chat else []


def add_chat(run: ActivityRun, chat: list[Any]) -> None:
    """Add the new lines of a conversation: a step repeats the current conversation with more lines, or begins another."""
    n_repeated = len(run.chat) if chat[: len(run.chat)] == run.chat else 0
    if chat[n_repeated:]:
        run.data.setdefault("chat", []).extend(chat[n_repeated:])
    run.chat = chat


def parse_description(description: str) -> tuple[str, str, str]:
    """The activity, the location (sector and arena, as far as present) and the object of a description."""
    activity, _, address = description.rpartition("@") if "@" in description else (description, "", "")
    parts = [part for part in COLON.split(address.strip()) if part]
    return activity.strip(), ":".join(parts[1:3] or parts[:1]), ":".join(parts[3:])


def run_span(trace_id: str, persona: str, run: ActivityRun, clock: StepClock, end: int) -> SpanRead:
    """A run as a span."""
    data: dict[str, Any] = {"label": shorten(run.activity) or run.location, "kind": "activity"}
    if run.data:
        data["attributes"] = run.data
    if run.step < clock.first:
        data["estimated"] = ["start_time"]
    own_id = stored_id(trace_id, f"{persona}/{run.step}")
    return SpanRead(trace_id, own_id, clock.time_of(run.step), end, persona, run.location, run.location, data)
