"""Shared by all tests: frames written as text, an isolated folder for each test, and the database for notebooks.

Notebooks run against the database that ``npm run seed``, run twice, creates in an empty folder. It is created once, when the
first notebook or test needs it, and before any kernel starts.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
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

from tokenvis.spans.columns import as_spans, in_frame_order

ROOT = Path(__file__).parents[1]
matplotlib.use("agg")
pytest.register_assert_rewrite("browsers")  # before a module imports it

hypothesis.settings.register_profile("quick", max_examples=10, deadline=None, derandomize=True)
hypothesis.settings.register_profile("full", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("TOKENVIS_TEST_PROFILE", "quick"))


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


def pytest_configure(config: pytest.Config) -> None:
    """Create the folder of the seeded database in the main process, before it starts the workers."""
    if not hasattr(config, "workerinput"):
        os.environ[SEEDED] = tempfile.mkdtemp(prefix="tokenvis-")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set the seeded database as default for the kernels, if notebooks are among the tests."""
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


def full_except(names: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of which ``npm test`` runs only ``quick``, and ``npm run test:full`` all."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.full) for name in names]


def spans_of(*rows: str, parents: dict[str, str] | None = None) -> pd.DataFrame:
    """Spans written as text: "agent start end location [trace]"; ids are a, b, c, ... in the order of the rows."""
    fields = [row.split() for row in rows]
    frame = pd.DataFrame(
        {
            "id": [chr(ord("a") + number) for number in range(len(fields))],
            "trace_id": [field[4] if len(field) > 4 else "t" for field in fields],
            "agent_id": [field[0] for field in fields],
            "location_id": [field[3] for field in fields],
            "start_time": np.array([int(field[1]) for field in fields], dtype=np.int64),
            "end_time": np.array([int(field[2]) for field in fields], dtype=np.int64),
        }
    )
    spans = as_spans(frame)
    if parents is not None:
        spans["parent_id"] = spans["id"].map(parents).astype("str")
    return in_frame_order(spans).reset_index(drop=True)


def with_data(spans: pd.DataFrame, **payloads: dict[str, Any]) -> pd.DataFrame:
    """The spans with payloads, by id."""
    data = [json.dumps(payloads[span]) if span in payloads else None for span in spans["id"]]
    return spans.assign(data=pd.Series(data, index=spans.index, dtype="str"))


def spans_with(*payloads: str | Mapping[str, Any] | None) -> pd.DataFrame:
    """A span for each payload: JSON text, a mapping, or None."""
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(payloads))))
    are_texts = all(payload is None or isinstance(payload, str) for payload in payloads)
    return spans.assign(data=pd.Series(payloads, dtype="str" if are_texts else "object"))


@st.composite
def payloads(draw: st.DrawFn, ids: list[str]) -> dict[str, Any]:
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
    return draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def spans_frames(
    draw: st.DrawFn, *, parents: bool = False, data: bool = False, n_traces: int = 2, max_spans: int = 12
) -> pd.DataFrame:
    """Small frames on a small time grid: ties, instants, overlaps of an agent with itself, and several traces."""
    row = st.tuples(
        st.sampled_from(["ann", "bob", "eve"]),
        st.integers(0, 8),
        st.integers(0, 5),
        st.sampled_from(["desk", "lab", "attic"]),
        st.sampled_from(["t", "u", "v"][:n_traces]),
    )
    rows = draw(st.lists(row, max_size=max_spans))
    frame = spans_of(*(f"{agent} {start} {start + length} {place} {trace}" for agent, start, length, place, trace in rows))
    if parents:
        ids = [*frame["id"], "unknown"]
        parent = st.none() | st.sampled_from(ids[:2]) | st.sampled_from(ids)  # makes parents with several children likely
        chosen = draw(st.lists(parent, min_size=len(frame), max_size=len(frame)))
        frame["parent_id"] = pd.Series(chosen, dtype="str")
    if data:
        frame = with_data(frame, **{span: draw(payloads(frame["id"].tolist())) for span in frame["id"] if draw(st.booleans())})
    order = draw(st.permutations(range(len(frame))))
    return frame.iloc[order]
