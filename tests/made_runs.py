"""Made runs of one task, with seeds: five agents plan, search, write, test and review, and faults are planted in some."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.columns import as_spans, in_frame_order

Draft = dict[str, Any]
Fault = Callable[[Draft, int], Draft]  # changes a span of a run, given its number

STAGES = (  # agent, location, label, mean length in ms
    ("lead", "model:large", "plan", 800),
    ("researcher", "tool:search", "search the documents", 500),
    ("researcher", "model:small", "summarise", 400),
    ("researcher", "tool:search", "search the code", 600),
    ("writer", "model:large", "draft", 1500),
    ("writer", "tool:edit", "edit", 120),
    ("tester", "tool:tests", "run the tests", 900),
    ("reviewer", "model:large", "review", 700),
)


def made_runs(
    n_runs: int, *, seed: int = 0, faults: Sequence[Fault] = (), n_rounds: int = 4, noise: float = 0.15
) -> pd.DataFrame:
    """Runs ``run-000`` and so on, in one frame: a root of the lead, and the stages one after another, in rounds."""
    random = np.random.default_rng(seed)
    frames = [made_run(f"run-{number:03}", number, random, faults, n_rounds, noise) for number in range(n_runs)]
    return in_frame_order(pd.concat(frames, ignore_index=True)).reset_index(drop=True)


def made_run(name: str, number: int, random: Any, faults: Sequence[Fault], n_rounds: int, noise: float) -> pd.DataFrame:
    """One run, which starts an hour after the one before it."""
    origin = 1_790_000_000_000_000 + number * 3_600_000_000
    time, drafts = origin + 5_000, []
    for position, (agent, location, label, mean) in enumerate(STAGES * n_rounds):
        attributes = {
            "gen_ai.request.model": location.removeprefix("model:"),
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        }
        draft = {
            "id": f"{name}/{position:03}",
            "agent_id": agent,
            "location_id": location,
            "length": max(1, int(mean * 1000 * random.lognormal(0, noise))),
            "data": {"label": label, "attributes": attributes if location.startswith("model:") else {}},
        }
        for fault in faults:
            draft = fault(draft, number)
        end = time + draft.pop("length")
        drafts.append({**draft, "start_time": time, "end_time": end, "parent_id": f"{name}/root"})
        time = drafts[-1]["end_time"] + int(random.integers(1, 4000))
    root = {
        "id": f"{name}/root",
        "agent_id": "lead",
        "location_id": "desk",
        "start_time": origin,
        "end_time": time,
        "data": {"label": "run"},
    }
    spans = [{**draft, "data": json.dumps(draft["data"])} for draft in (root, *drafts)]
    return as_spans(spans, trace_id=name)


def slower(agent: str, location: str, factor: float, runs: Sequence[int]) -> Fault:
    """In these runs, the agent takes longer at a location."""

    def fault(draft: Draft, run: int) -> Draft:
        if run in runs and (draft["agent_id"], draft["location_id"]) == (agent, location):
            return {**draft, "length": int(draft["length"] * factor)}
        return draft

    return fault


def failed(agent: str, location: str, runs: Sequence[int]) -> Fault:
    """In these runs, what the agent does at a location fails."""

    def fault(draft: Draft, run: int) -> Draft:
        if run in runs and (draft["agent_id"], draft["location_id"]) == (agent, location):
            return {**draft, "data": {**draft["data"], "status": "error"}}
        return draft

    return fault


def renamed(agent: str, name: str, runs: Sequence[int]) -> Fault:
    """In these runs, an agent has another name."""
    return lambda draft, run: {**draft, "agent_id": name} if run in runs and draft["agent_id"] == agent else draft
