"""Generative agents in a town: ``master_movement.json``, as the simulation of Smallville and its forks write it.

``{"<step>": {"<persona>": {"movement", "pronunciatio", "description": "<activity> @ world:sector:arena:object", "chat"}}}``:
a step lists only the personas who changed. ``meta.json`` (or ``<name>_meta.json``) in the same folder contains the date of the
first step and the duration of a step. A span is a run of steps in which a persona does the same at the same location. For a
simulation that records every agent at every step, use `spans_from_samples`; this file contains changes, which become runs.

Source: the repository of generative agents, and files of worlds made with it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from tokenvis.conventions.span import SpanRead, optional_value, problem_reason, shorten, stored_id
from tokenvis.conventions.timestamps import UNIX_EPOCH
from tokenvis.formats.files.documents import document_members
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lenient_json import parse_json
from tokenvis.formats.files.reading import Reading

NAME = "Smallville simulations"
MOVEMENT_FILE, META_FILE = "master_movement.json", "meta.json"
COLON = re.compile(r"\s*[:：]\s*")
DEFAULT_STEP_S = 10
MAX_STEP_DIGITS = 8  # of a step number: with steps of a day and a four-digit year, times in µs fit into 64 bits
MAX_STEP_S = 86_400


@dataclass
class StepClock:
    """The times of steps: the time of the first step and the duration of each in seconds."""

    start: int = 0
    step_s: int = DEFAULT_STEP_S

    def time_of(self, step: int) -> int:
        """The time of a step in µs."""
        return self.start + step * self.step_s * 1_000_000


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
    """Whether steps contain personas with a movement and a description."""
    steps = [step for item in head.objects for key, step in item.items() if key.isdigit() and isinstance(step, dict)]
    records = [record for step in steps for record in step.values() if isinstance(record, dict)]
    return any({"movement", "description"} <= record.keys() for record in records)


def read(reading: Reading) -> Iterator[SpanRead]:
    """A span for each run of every persona."""
    trace_id, title = world_names(reading)
    reading.name_trace(trace_id, title)
    clock = read_clock(reading)
    runs: dict[str, ActivityRun] = {}
    last = 0
    for number, (key, personas) in document_members(reading):
        reading.record_noun = "step"
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
        if name == MOVEMENT_FILE
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
        seconds = optional_value(meta, "sec_per_step", int) or DEFAULT_STEP_S
        if not 0 < seconds <= MAX_STEP_S:
            raise ValueError(f"'sec_per_step' is {seconds}")
        return StepClock(int((start - UNIX_EPOCH).total_seconds()) * 1_000_000, seconds)
    except (OSError, TypeError, ValueError) as error:
        reading.add_problem(None, problem_reason(error), source)
        return StepClock()


def next_run(run: ActivityRun | None, record: dict[str, Any], step: int) -> ActivityRun | None:
    """The run that begins with a persona's record, None if the current run continues."""
    description, chat = optional_value(record, "description", str), chat_lines(record.get("chat"))
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
    own_id = stored_id(trace_id, f"{persona}/{run.step}")
    return SpanRead(trace_id, own_id, clock.time_of(run.step), end, persona, run.location, run.location, data)
