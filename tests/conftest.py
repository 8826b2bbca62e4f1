"""Shared by all tests: frames written as text, an isolated folder for each test, and the database for notebooks.

Notebooks run against the database that ``npm run seed``, run twice, creates in an empty folder. It is created once, when the
first notebook or test needs it, and before any kernel starts.
"""

import gc
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from tokenvis import Store, load_spans
from tokenvis.__main__ import main

ROOT = Path(__file__).parents[1]
PROFILE = os.environ.get("TOKENVIS_TEST_PROFILE", "quick")
MEMORY = Path("/dev/shm")  # Linux keeps its files in memory: there SQLite does not wait for a disk at each commit
matplotlib.use("agg")
pytest.register_assert_rewrite("browsers")  # before a module imports it

hypothesis.settings.register_profile("quick", max_examples=6, deadline=None, derandomize=True)
hypothesis.settings.register_profile("full", max_examples=200, deadline=None)
hypothesis.settings.load_profile(PROFILE)

SEEDED = "TOKENVIS_TEST_SEEDED"  # names the folder of the seeded database to all processes of a run


@cache
def seeded_database() -> Path:
    """The database that ``npm run seed``, run twice, creates in an empty folder; the first process that needs it creates it."""
    folder = Path(os.environ[SEEDED])
    database, done = folder / "made" / "sqlite.db", folder / "done"
    try:
        database.parent.mkdir()
    except FileExistsError:  # another process is creating it
        deadline = time.monotonic() + 60
        while not done.exists():
            assert time.monotonic() < deadline, "another process of this run has not seeded the database: see its error"
            time.sleep(0.05)
        return database
    npm = shutil.which("npm")
    assert npm, "npm is not installed: the tests run the project's own scripts"
    for _ in range(2):
        environment = {**os.environ, "TOKENVIS_DATABASE": str(database)}
        subprocess.run([npm, "run", "--silent", "seed"], cwd=ROOT, env=environment, check=True, capture_output=True)
    done.touch()
    return database


@cache
def seeded_spans(name: str) -> pd.DataFrame:
    """A trace of the seeded database. Tests share the frame, because no function changes the frame that it gets."""
    return load_spans(name, store=Store(seeded_database(), create=False))


def pytest_configure(config: pytest.Config) -> None:
    """In the main process, before it starts the workers: create the folder of the seeded database, and choose that of tests."""
    if hasattr(config, "workerinput"):
        return
    os.environ[SEEDED] = tempfile.mkdtemp(prefix="tokenvis-")
    if PROFILE == "quick" and has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def has_room(folder: Path) -> bool:
    """Whether the tests may write a gigabyte into a folder, and execute programs there."""
    if not os.access(folder, os.W_OK):
        return False
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize > 1_000_000_000 and not system.f_flag & os.ST_NOEXEC


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set the seeded database as default for the kernels, if notebooks are among the tests; keep the garbage collector fast.

    Modules and tests live as long as the process: no collection need visit them again.
    """
    gc.freeze()
    if any(item.path.suffix == ".ipynb" for item in session.items):
        os.environ["TOKENVIS_DATABASE"] = str(seeded_database())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the seeded database."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SEEDED))


@pytest.fixture(autouse=True)
def isolated_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in an empty folder, without a configured database, and close its figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENVIS_DATABASE", raising=False)
    yield
    plt.close("all")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[object, list[str], list[str]]]:
    """Run a command of the command line: its exit code, and the lines of stdout and of stderr."""

    def run(*arguments: str) -> tuple[object, list[str], list[str]]:
        try:
            code: object = main(arguments)
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


def full_except(names: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of which ``npm test`` runs only ``quick``, and ``npm run test:full`` all."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.full) for name in names]


def spans_of(*rows: str, parents: dict[str, str] | None = None) -> pd.DataFrame:
    """Spans written as text: "agent start end location [trace]"; ids are a, b, c, ... in the order of the rows."""
    fields = sorted(
        (int(start), int(end), agent, chr(ord("a") + number), trace[0] if trace else "t", location)
        for number, (agent, start, end, location, *trace) in enumerate(row.split() for row in rows)
    )
    start, end, agent, ids, trace, location = zip(*fields, strict=True) if fields else [()] * 6
    spans = pd.DataFrame(
        {
            "id": pd.array(ids, dtype="str"),
            "trace_id": names_of(trace),
            "agent_id": names_of(agent),
            "location_id": names_of(location),
            "start_time": np.array(start, dtype=np.int64),
            "end_time": np.array(end, dtype=np.int64),
            "data": pd.array([None] * len(fields), dtype="str"),
        }
    )
    return spans if parents is None else spans.assign(parent_id=pd.array([parents.get(span) for span in ids], dtype="str"))


def names_of(names: Sequence[str]) -> pd.Categorical:
    """Names as in a frame of spans. It is several times faster than a Categorical of texts: a law makes thousands of frames."""
    categories = sorted(set(names))
    codes = {name: code for code, name in enumerate(categories)}
    return pd.Categorical.from_codes([codes[name] for name in names], dtype=names_type(*categories))


@cache
def names_type(*categories: str) -> pd.CategoricalDtype:
    """The type of a column with these names."""
    return pd.CategoricalDtype(pd.Index(categories, dtype="str"))


def with_data(spans: pd.DataFrame, **payloads: dict[str, Any]) -> pd.DataFrame:
    """The spans with payloads, by id."""
    data = [json.dumps(payloads[span]) if span in payloads else None for span in spans["id"].tolist()]
    return spans.assign(data=pd.array(data, dtype="str"))


def spans_with(*payloads: str | Mapping[str, Any] | None) -> pd.DataFrame:
    """A span for each payload: JSON text, a mapping, or None."""
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(payloads))))
    are_texts = all(payload is None or isinstance(payload, str) for payload in payloads)
    return spans.assign(data=pd.Series(payloads, dtype="str" if are_texts else "object"))


@cache
def payloads(*ids: str) -> st.SearchStrategy[dict[str, Any]]:
    """Possible data of a span: links, requests, tokens, a cost, a status, a trigger."""
    tokens = {f"gen_ai.usage.{key}_tokens": st.integers(0, 20) for key in ("input", "output")}
    attributes = st.fixed_dictionaries({}, optional={**tokens, "gen_ai.usage.cost": st.sampled_from([0.5, 2, 8])})
    optional = {
        "links": st.lists(st.sampled_from([*ids, "unknown"]), max_size=2),
        "requested_by": st.sampled_from([*ids, "unknown", [*ids[:2], "unknown"]]),
        "attributes": attributes,
        "status": st.sampled_from(["ok", "error", "open"]),
        "trigger": st.sampled_from(["user", "timer", 3]),
        "estimated": st.sampled_from([[], ["start_time"]]),
    }
    return st.fixed_dictionaries({}, optional=optional)


@cache
def rows_of_spans(n_traces: int, max_spans: int) -> st.SearchStrategy[list[tuple[str, int, int, str, str]]]:
    """Agent, start, length, location and trace of each span; a strategy that is used again need not be made again."""
    row = st.tuples(
        st.sampled_from(["ann", "bob", "eve"]),
        st.integers(0, 8),
        st.integers(0, 5),
        st.sampled_from(["desk", "lab", "attic"]),
        st.sampled_from(["t", "u", "v"][:n_traces]),
    )
    return st.lists(row, max_size=max_spans)


@cache
def parents_of_spans(count: int) -> st.SearchStrategy[list[int | None]]:
    """The position of each span's parent, or None; ``count`` is unknown. Parents with several children are likely."""
    positions = range(count + 1)
    parent = st.none() | st.sampled_from(positions[:2]) | st.sampled_from(positions)
    return st.lists(parent, min_size=count, max_size=count)


@cache
def orders(count: int) -> st.SearchStrategy[list[int]]:
    """The orders of so many rows."""
    return st.permutations(range(count))


@st.composite
def spans_frames(
    draw: st.DrawFn, *, parents: bool = False, data: bool = False, n_traces: int = 2, max_spans: int = 12
) -> pd.DataFrame:
    """Small frames on a small time grid: ties, instants, overlaps of an agent with itself, and several traces."""
    rows = draw(rows_of_spans(n_traces, max_spans))
    frame = spans_of(*(f"{agent} {start} {start + length} {place} {trace}" for agent, start, length, place, trace in rows))
    ids = frame["id"].tolist()
    if parents:
        chosen = draw(parents_of_spans(len(ids)))
        references = [None if parent is None else [*ids, "unknown"][parent] for parent in chosen]
        frame["parent_id"] = pd.array(references, dtype="str")
    if data:
        frame = with_data(frame, **{span: draw(payloads(*sorted(ids))) for span in ids if draw(st.booleans())})
    return frame.iloc[draw(orders(len(ids)))]
