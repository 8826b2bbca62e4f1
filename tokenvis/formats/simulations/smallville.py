"""Generative agents in a town: ``master_movement.json``, as the simulation of Smallville and its descendants write it.

``{"<step>": {"<persona>": {"movement", "pronunciatio", "description": "<activity> @ world:sector:arena:object", "chat"}}}``:
a step lists only the personas who changed. Beside it lies ``meta.json`` (or ``<name>_meta.json``), with the date of the first
step, and how long a step lasts. A span is a run of steps in which a persona does the same at the same place. Where a simulation
records who is where at each step, `spans_from_samples` is the door; here the file tells the changes, so runs are made of those.

Source: the repository of generative agents, and files of worlds that were made with it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from tokenvis.conventions.span import SpanRead, given, reason_of, shorten
from tokenvis.conventions.timestamps import START
from tokenvis.formats.files.documents import pairs
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lenient_json import parse_json
from tokenvis.formats.files.reading import Reading

NAME = "Smallville simulations"
MASTER, META = "master_movement.json", "meta.json"
COLON = re.compile(r"\s*[:：]\s*")
SECONDS_PER_STEP = 10
DIGITS = 8  # of a step, at most: with a day each, and a date of four digits, times fit into 63 bits of µs
LONGEST_STEP = 86_400


@dataclass
class Clock:
    """When steps happen: when the first one was, and how many seconds each lasts."""

    start: int = 0
    seconds: int = SECONDS_PER_STEP

    def time_of(self, step: int) -> int:
        """The time of a step in µs."""
        return self.start + step * self.seconds * 1_000_000


@dataclass
class Run:
    """What a persona does at a place, from a step on; and the last step that told of the persona, with its conversation."""

    place: str
    activity: str
    step: int
    data: dict[str, Any] = field(default_factory=dict)
    told: int = 0
    chat: list[Any] = field(default_factory=list)


def recognises(head: Head) -> bool:
    """Whether steps hold personas with a movement and a description."""
    steps = [step for item in head.objects for key, step in item.items() if key.isdigit() and isinstance(step, dict)]
    told = [said for step in steps for said in step.values() if isinstance(said, dict)]
    return any({"movement", "description"} <= said.keys() for said in told)


def read(reading: Reading) -> Iterator[SpanRead]:
    """The runs of every persona."""
    trace_id, title = trace_of(reading)
    reading.name_trace(trace_id, title)
    clock = clock_of(reading)
    runs: dict[str, Run] = {}
    last = 0
    for number, (key, personas) in pairs(reading):
        reading.unit = "step"
        if not key.isdecimal() or len(key) > DIGITS:
            reading.problem(number, f"{key[:40]!r} is no step")
            continue
        step = int(key)
        last = max(last, step)
        if not isinstance(personas, dict):
            reading.problem(step, f"not an object, but {type(personas).__name__}")
            continue
        for persona in personas:
            try:
                run = changed(runs.get(persona), given(personas, persona, dict) or {}, step)
            except (TypeError, ValueError) as error:
                reading.problem(step, reason_of(error))
                continue
            if run is not None:
                if persona in runs:
                    yield span_of(trace_id, persona, runs[persona], clock, clock.time_of(step))
                runs[persona] = run
    end = clock.time_of(last + 1)
    for persona, run in runs.items():
        yield span_of(trace_id, persona, run, clock, end)


def trace_of(reading: Reading) -> tuple[str, str]:
    """The id and the name of a world, which the file does not tell: those of its folder, or of its file."""
    name = reading.source.path.name
    title = reading.source.path.parent.name if name == MASTER else name.removesuffix(".json").removesuffix("_master_movement")
    return f"{title}-{blake2b(reading.source.origin.encode(), digest_size=4).hexdigest()}", title


def clock_of(reading: Reading) -> Clock:
    """The clock that the file beside this one tells."""
    path = reading.source.path
    beside = path.with_name(path.name.replace(MASTER, META) if path.name.endswith(MASTER) else META)
    source = reading.source.beside(beside) if beside.is_file() and beside != path else None
    if source is None:
        reading.problem(None, f"there is no {beside.name} beside it, so steps count from 0, with {SECONDS_PER_STEP} s each")
        return Clock()
    reading.files.append(source)
    try:
        meta = parse_json(beside.read_bytes())
        if not isinstance(meta, dict):
            raise TypeError(f"it is {type(meta).__name__}")
        start = datetime.strptime(given(meta, "start_date", str) or "", "%B %d, %Y").replace(tzinfo=UTC)  # its zone is not told
        seconds = given(meta, "sec_per_step", int) or SECONDS_PER_STEP
        if not 0 < seconds <= LONGEST_STEP:
            raise ValueError(f"'sec_per_step' is {seconds}")
        return Clock(int((start - START).total_seconds()) * 1_000_000, seconds)
    except (OSError, TypeError, ValueError) as error:
        reading.problem(None, reason_of(error), source)
        return Clock()


def changed(run: Run | None, said: dict[str, Any], step: int) -> Run | None:
    """The run that begins with what is said of a persona, None where the one that is there goes on."""
    description, chat = given(said, "description", str), lines_of(said.get("chat"))
    if run is not None:
        if step <= run.told:
            raise ValueError(f"it comes after step {run.told}")
        run.told = step
    activity, place, thing = parts_of(description or "")
    place = place or (run.place if run else "")  # who goes nowhere else stays
    if run is not None and (not description or (run.place, run.activity) == (place, activity)):
        hear(run, chat)
        return None
    if not place:
        return None
    movement = given(said, "movement", list) or []
    data = {"pronunciatio": said.get("pronunciatio"), "object": thing, "movement": movement}
    new = Run(place, activity, step, {key: value for key, value in data.items() if value}, told=step)
    hear(new, chat)
    return new


def lines_of(chat: Any) -> list[Any]:
    """What is said at a step: the list of [who, text], or the one text that some descendants write."""
    return chat if isinstance(chat, list) else [chat] if chat else []


def hear(run: Run, chat: list[Any]) -> None:
    """Add what is new in a conversation: a step repeats all that goes on, with a line more, or begins another."""
    known = len(run.chat) if chat[: len(run.chat)] == run.chat else 0
    if chat[known:]:
        run.data.setdefault("chat", []).extend(chat[known:])
    run.chat = chat


def parts_of(description: str) -> tuple[str, str, str]:
    """Activity, place (sector and arena, or what there is of them) and object."""
    activity, _, address = description.rpartition("@") if "@" in description else (description, "", "")
    parts = [part for part in COLON.split(address.strip()) if part]
    return activity.strip(), ":".join(parts[1:3] or parts[:1]), ":".join(parts[3:])


def span_of(trace_id: str, persona: str, run: Run, clock: Clock, end: int) -> SpanRead:
    """A run as a span."""
    data: dict[str, Any] = {"label": shorten(run.activity) or run.place, "kind": "activity"}
    if run.data:
        data["attributes"] = run.data
    own_id = f"{trace_id}/{persona}/{run.step}"
    return SpanRead(trace_id, own_id, clock.time_of(run.step), end, persona, run.place, run.place, data)
