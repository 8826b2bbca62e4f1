"""Processes: answers the parts of a fleet, on several processes, with as many parts in memory as there are processes.

Processes are those of loky: functions of a notebook can be sent to them, and a process that is killed is an error, not a wait
without end. One process answers in this one.
"""

import multiprocessing
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from tokenvis.errors import BadOption, FleetError, TraceNotFound, listed, quoted
from tokenvis.fleet.answering import answers_of
from tokenvis.fleet.answers import AnswerSchema, Question, question_name
from tokenvis.fleet.failures import Failure, failure_of
from tokenvis.fleet.frames import spans_in
from tokenvis.fleet.sources.source import FleetSource, Part
from tokenvis.private import create_private_file
from tokenvis.temporary import temporary_folder

BAR_DELAY_S = 2.0  # after which the progress bar appears
IDLE_S = 60  # how long idle processes stay for the next call
TIMES_OF_MODULES: dict[str, int] = {}  # when each module's file was changed, as a call first saw it
PARTS_PER_PROCESS = 2  # sent at once, so that no process waits for the next one


class Job(NamedTuple):
    """What each process does with a part: the source to read it from, and the questions with the schemas of their answers."""

    source: FleetSource
    questions: list[Question]
    schemas: list[AnswerSchema]
    stop: bool = False  # after many failures

    def answer(self, part: Part, *, compare: bool) -> "Answered":
        """The answers to a part: batches and failures for each question."""
        try:
            tables = [self.source.read(part)]
            unread: list[Failure] = []
        except FleetError:
            tables, unread = readable_tables(self.source, part.trace_ids)
        batches: list[list[pa.RecordBatch]] = [[] for _ in self.questions]
        failures = [list(unread) for _ in self.questions]
        for table in tables:
            spans = proper_frame(table)
            for number, (question, schema) in enumerate(zip(self.questions, self.schemas, strict=True)):
                answers, failed = answers_of(table, question, schema, spans=spans, compare=compare, stop=self.stop)
                batches[number] += answers
                failures[number] += failed
        return Answered(batches, failures)


def proper_frame(table: pa.Table) -> pd.DataFrame | None:
    """The frame of a table, made once for all questions; None if a span breaks a rule, as `answers_of` finds out."""
    try:
        return spans_in(table)
    except Exception:
        return None


def readable_tables(source: FleetSource, trace_ids: list[str]) -> tuple[list[pa.Table], list[Failure]]:
    """The spans of those traces that can be read, found by halving as in `answers_of`, and the others."""
    try:
        return [source.table_of(trace_ids)], []
    except (FleetError, TraceNotFound) as error:
        if len(trace_ids) == 1:
            return [], [failure_of(trace_ids[0], error)]
    middle = len(trace_ids) // 2
    (tables, failures), (rest, failed) = (readable_tables(source, ids) for ids in (trace_ids[:middle], trace_ids[middle:]))
    return tables + rest, failures + failed


class Answered(NamedTuple):
    """For each question, the answers to the traces of a part, and the traces without an answer."""

    batches: list[list[pa.RecordBatch]]
    failures: list[list[Failure]]


def answered_parts(job: Job, parts: Sequence[Part], workers: int | None) -> Iterator[Answered]:
    """The answers to these parts, in any order, with a progress bar; a caller that stops early ends the work."""
    pool = pool_of(workers, len(parts))
    answers = in_this_process(job, parts) if pool is None else in_processes(pool, job, parts)
    is_notebook = "ipykernel" in sys.modules  # its output is no terminal
    with tqdm(
        total=sum(part.n_spans for part in parts),
        desc="Answering",
        unit=" spans",
        unit_scale=True,
        delay=BAR_DELAY_S,
        disable=False if is_notebook else None,
    ) as bar:
        for part, answer in answers:
            bar.update(part.n_spans)
            yield answer


def pool_of(workers: int | None, n_parts: int) -> Any | None:
    """A pool of processes; None for one process. `FleetError` if several are asked for and loky is missing."""
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
        raise BadOption(f"workers={quoted(workers)} is not a positive number of processes.")
    if workers == 1 or n_parts < 2:
        return None
    try:
        import loky
    except ImportError:
        hint = "Several processes need loky: pip install 'tokenvis[fleet]'."
        if workers is not None:
            raise FleetError(hint) from None
        warnings.warn(f"One process answers. {hint}", stacklevel=5)
        return None
    in_worker = multiprocessing.parent_process() is not None  # a function that asks a fleet itself: the cores are busy
    n_processes = min(workers or (1 if in_worker else loky.cpu_count()), n_parts)
    if n_processes == 1:
        return None
    state = (state_of_process(),)
    return loky.get_reusable_executor(max_workers=n_processes, timeout=IDLE_S, initializer=use_one_core, initargs=state)


def state_of_process() -> int:
    """A number for what processes take over when they start: those of another folder, path or module are not used again."""
    folder = Path().stat()
    return hash((folder.st_dev, folder.st_ino, *sys.path, *sorted(os.environ.items()), *edited_modules()))


def edited_modules() -> list[tuple[str, int]]:
    """The modules that were edited since a call first saw them, as file and time; installed ones do not count."""
    installed = (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"))
    edited = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith(installed):
            with suppress(OSError):
                time = Path(file).stat().st_mtime_ns
                if TIMES_OF_MODULES.setdefault(file, time) != time:
                    edited.append((file, time))
    return sorted(edited)


def use_one_core(state: int) -> None:
    """Let Arrow use one core: there is a process for each. ``state`` tells processes of one state from those of another."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def first_of_several_traces(parts: Sequence[Part]) -> int | None:
    """The number of the first part that has several traces, of which some are asked alone too."""
    return next((number for number, part in enumerate(parts) if len(part.trace_ids) > 1), None)


def in_this_process(job: Job, parts: Sequence[Part]) -> Iterator[tuple[Part, Answered]]:
    """The answers to the parts, one by one."""
    compared = first_of_several_traces(parts)
    for number, part in enumerate(parts):
        yield part, job.answer(part, compare=number == compared)


def in_processes(pool: Any, job: Job, parts: Sequence[Part]) -> Iterator[tuple[Part, Answered]]:
    """The answers to the parts, from the processes of a pool, as they come."""
    compared = first_of_several_traces(parts)
    waiting = iter(enumerate(parts))
    running: dict[Future[Answered], Part] = {}
    with temporary_folder() as folder:
        path = write_job(job, folder / "job")
        try:
            while True:
                for number, part in waiting:
                    running[pool.submit(answer_part, path, part, number == compared)] = part
                    if len(running) >= PARTS_PER_PROCESS * pool._max_workers:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    part = running.pop(future)
                    yield part, result_of(future, part)
        finally:
            for future in running:
                future.cancel()
            if any(future.running() for future in running):
                pool.shutdown(kill_workers=True)  # a function may run for ever; the next call has new processes


def write_job(job: Job, path: Path) -> str:
    """Write a job for other processes to a file, once for all parts; `FleetError` if a question cannot be sent to them."""
    import cloudpickle

    try:
        pickled = cloudpickle.dumps(job)
    except Exception as error:
        names = listed(map(question_name, job.questions))
        raise FleetError(
            f"{names} cannot be sent to other processes: {type(error).__name__}: {error}. Make in the function what cannot be "
            "sent, such as a lock or a connection; or answer in this process: workers=1."
        ) from error
    with os.fdopen(create_private_file(path), "wb") as file:
        file.write(pickled)
    return str(path)


def result_of(future: "Future[Answered]", part: Part) -> Answered:
    """The result of a process; `FleetError` if the process was killed."""
    from loky.process_executor import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool as error:
        first, last = quoted(part.trace_ids[0]), quoted(part.trace_ids[-1])
        raise FleetError(
            f"A process was killed, perhaps for lack of memory, while it answered parts of the fleet ({error}). One of them "
            f"has {part.n_spans:,} spans of the traces from {first} to {last}. Fewer processes need less memory: workers=1."
        ) from None


def answer_part(job: str, part: Part, compare: bool) -> Answered:
    """The answers to a part, in a process of a pool."""
    return job_in(job).answer(part, compare=compare)


@lru_cache(maxsize=1)
def job_in(path: str) -> Job:
    """The job in a file, read once for all its parts."""
    import cloudpickle

    try:
        job: Job = cloudpickle.loads(Path(path).read_bytes())
    except Exception as error:
        raise FleetError(
            f"Other processes cannot load the question: {type(error).__name__}: {error}. They import its modules again: put "
            "these on the path, or answer in this process: workers=1."
        ) from error
    return job
