"""The parent: runs inputs in child processes, and reports what became of each.

A child that dies, takes too long or takes too much memory is ended, and its input is run again, alone. If it is survived alone,
a hang does not count, because a busy machine is no fault; a death or an excess of memory was caused by an input before it, so
these are run alone too. If all of them are survived alone, the failure is one of the batch.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from fuzzing.child import keep_input

BATCH = 200  # inputs of one child
TICK_SECONDS = 0.02  # between two looks at the memory of a child
MAX_DETAIL = 4_000  # characters
BREAKS = ("crash", "hang", "memory")  # failures after which the rest needs another child


@dataclass(frozen=True)
class Limits:
    """What an input may take: seconds of the processor, which a busy machine does not change, or of waiting; and memory.

    Making an input is bounded too, but not part of what is measured.
    """

    seconds: float = 20
    waiting_seconds: float = 240
    resident_bytes: int = 1 << 30
    preparing_seconds: float = 300


@dataclass(frozen=True)
class Outcome:
    """What became of an input: ``failure`` is None, "error", "crash", "hang" or "memory"; ``detail`` is an error or a stack.

    ``seconds`` are those of the processor, ``peak`` is the most resident memory in bytes, ``before`` that before the input was
    run, and ``result`` what it returned.
    """

    name: str
    failure: str | None = None
    detail: str = ""
    seconds: float = 0.0
    peak: int = 0
    before: int = 0
    result: Any = None

    def __str__(self):
        summary = f"{self.name}: {self.failure or 'survived'} after {self.seconds:.1f} s, {self.peak >> 20:,} MB"
        return f"{summary}\n{self.detail}" if self.detail else summary


@dataclass(frozen=True)
class Campaign:
    """How inputs are run: the function that makes them, the folder in which children work, and where failures are kept."""

    target: str
    folder: Path
    keep: Path | None = None
    limits: Limits = field(default_factory=Limits)
    jobs: int = 2

    def run(self, names: Sequence[str]) -> list[Outcome]:
        """Run all inputs in batches, several at once."""
        batches = [names[first : first + BATCH] for first in range(0, len(names), BATCH)]
        with ThreadPoolExecutor(self.jobs) as threads:
            return [outcome for outcomes in threads.map(self.run_batch, batches) for outcome in outcomes]

    def run_batch(self, names: Sequence[str]) -> list[Outcome]:
        """Run a batch; after a death its rest is run in another child."""
        outcomes: list[Outcome] = []
        while names:
            found = self.run_child(names)
            names = names[len(found) :]
            if found[-1].failure in BREAKS:
                found = self.explained(found)
            outcomes += found
        return outcomes

    def explained(self, found: list[Outcome]) -> list[Outcome]:
        """The outcomes of a child whose last input failed, with those of inputs that were run again, alone."""
        *before, last = found
        alone = self.run_child([last.name])[0]
        if alone.failure or last.failure == "hang" or not before:
            return [*before, alone]
        again = [self.run_child([outcome.name])[0] for outcome in before]
        if any(outcome.failure in ("crash", "memory") for outcome in again):
            return [*again, alone]
        return [*before, replace(last, detail=f"Only after the {len(before)} inputs before it.\n{last.detail}")]

    def run_child(self, names: Sequence[str]) -> list[Outcome]:
        """Run a child until it has run these inputs, or broke; only the last outcome can be a death."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="child-", ignore_cleanup_errors=True) as name:
            work = Path(name)
            child = Child(self, work, names)
            try:
                outcomes = child.watch()
            finally:
                child.end()
            if self.keep and child.is_broken() and len(names) == 1:
                keep_input(self.keep, outcomes[-1].name, work / "input", outcomes[-1].detail)
        return outcomes


class Child:
    """A running child, and the outcomes of its inputs so far."""

    def __init__(self, campaign: Campaign, work: Path, names: Sequence[str]) -> None:
        self.limits, self.names = campaign.limits, names
        (work / "temporary").mkdir()
        (work / "names").write_text("".join(f"{name}\n" for name in names))
        self.errors = work / "errors"
        command = [sys.executable, "-m", "fuzzing.child", campaign.target, str(work)]
        command += [str(campaign.keep)] if campaign.keep else []
        environment = {**os.environ, "TMPDIR": str(work / "temporary"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (work / "names").open() as given, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command, cwd=campaign.folder, env=environment, stdin=given, stdout=subprocess.PIPE, stderr=errors
            )
        self.observed = psutil.Process(self.process.pid)
        self.outcomes: list[Outcome] = []
        self.pending, self.state, self.peak = b"", "starts", 0
        self.since = self.clock()

    def clock(self) -> tuple[float, float]:
        """Seconds of the processor, and of a clock."""
        with suppress(psutil.NoSuchProcess):
            times = self.observed.cpu_times()
            return times.user + times.system, time.monotonic()
        return self.since

    def elapsed(self) -> tuple[float, float]:
        """Seconds of the processor, and of a clock, since the last message."""
        return tuple(now - then for now, then in zip(self.clock(), self.since, strict=True))

    def watch(self) -> list[Outcome]:
        """The outcomes of the inputs, up to the first that breaks the child."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(TICK_SECONDS):
                    piece = os.read(self.process.stdout.fileno(), 1 << 16)
                    if not piece:
                        return self.ended()
                    self.take(piece)
                if self.is_broken() or self.takes_too_much():
                    return self.outcomes

    def take(self, piece: bytes) -> None:
        """Take messages of the child."""
        *lines, self.pending = (self.pending + piece).split(b"\n")
        for message in map(json.loads, lines):
            self.state, self.since = message["state"], self.clock()
            if self.state != "ended":
                self.peak = 0
                continue
            failure, detail = "error" if message["error"] else None, message["error"] or ""
            if message["peak"] > self.limits.resident_bytes:
                failure, detail = "memory", f"It took more than {self.limits.resident_bytes:,} bytes."
            measured = {key: message[key] for key in ("name", "seconds", "peak", "before", "result")}
            self.outcomes.append(Outcome(failure=failure, detail=detail, **measured))
            if self.is_broken():
                return

    def is_broken(self) -> bool:
        """Whether the last input needs another child for those after it."""
        return bool(self.outcomes) and self.outcomes[-1].failure in BREAKS

    def takes_too_much(self) -> bool:
        """Whether the current input takes too much time or memory; it is then the last outcome."""
        with suppress(psutil.NoSuchProcess):
            self.peak = max(self.peak, self.observed.memory_info().rss)
        seconds, waiting = self.elapsed()
        limits = (self.limits.seconds, self.limits.waiting_seconds)
        if self.state != "runs":
            limits = (self.limits.preparing_seconds,) * 2
        if self.state == "runs" and self.peak > self.limits.resident_bytes:
            failure, reason = "memory", f"It took more than {self.limits.resident_bytes:,} bytes."
        elif seconds > limits[0] or waiting > limits[1]:
            failure, reason = "hang", f"After {waiting:.0f} s, {seconds:.0f} s of them of the processor, it still {self.state}."
        else:
            return False
        self.process.send_signal(signal.SIGABRT)  # the child writes its stack
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.add_broken(failure, reason, seconds)
        return True

    def ended(self) -> list[Outcome]:
        """The outcomes of a child that ended by itself."""
        code = self.process.wait()
        if code > 0 and self.state == "starts":
            raise RuntimeError(f"The child does not start:\n{self.stack()}")
        complete = len(self.outcomes) == len(self.names)
        if code or not complete:
            if complete:
                self.outcomes.pop()  # it died while it ended
            name = signal.Signals(-code).name if code < 0 else f"code {code}"
            self.add_broken("crash", f"The process ended with {name}.", self.elapsed()[0])
        return self.outcomes

    def add_broken(self, failure: str, reason: str, seconds: float) -> None:
        """Add the outcome of the current input, with the stack of the child."""
        name = self.names[len(self.outcomes)]
        self.outcomes.append(Outcome(name, failure, f"{reason}\n{self.stack()}".strip(), seconds, self.peak))

    def stack(self) -> str:
        """What the child wrote last to its standard error."""
        return self.errors.read_text(errors="replace").partition("\n\nExtension modules")[0][-MAX_DETAIL:]

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
