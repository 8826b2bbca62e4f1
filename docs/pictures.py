"""Draws the pictures of the documentation: ``npm run pictures``.

Those of the explorer need Chromium.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import tokenvis as tv

IMAGES = Path(__file__).parent / "images"
LARGE, SMALL = "claude-opus-4-6", "claude-sonnet-4-5"
PRICES = {LARGE: {"input": 5, "output": 25}, SMALL: {"input": 3, "output": 15}}  # of a million tokens
NO_LINKS = {"links": None}  # only the first call of an agent follows another agent


def million() -> pd.DataFrame:
    """A million spans of eight workers, who move between rooms, work in shifts, and are slow at first."""
    random = np.random.default_rng(8)
    count, workers, rooms = 1_000_000, 8, 6
    worker = np.arange(count) % workers
    step = np.arange(count) // workers
    long = random.gamma(2.0, 20_000, count) * (1 + 4 * np.exp(-step / 20_000))
    paused = (step // 6_000 + worker) % 5 == 0
    clock = pd.Series(long * np.where(paused, 3.0, 1.0)).groupby(worker).cumsum().to_numpy()
    room = (step // 9_000 + worker * worker + (random.random(count) < 0.1) * random.integers(0, rooms, count)) % rooms
    start = (clock - long).astype(np.int64)
    spans = {"id": np.arange(count).astype(str), "trace_id": "a million spans"}
    spans |= {"agent_id": np.char.add("worker ", worker.astype(str)), "location_id": np.char.add("room ", room.astype(str))}
    return pd.DataFrame({**spans, "start_time": start, "end_time": clock.astype(np.int64)})


def waiting() -> pd.DataFrame:
    """A lead that delegates to two workers, one after the other, then to both at once, and asks the user in between."""
    second = 1_000_000
    rows = [
        ("plan", "workflow", "workflow", 0, 60, None, None),
        ("lead", "lead", "desk", 0, 60, "plan", None),
        ("search", "searcher", "library", 4, 14, "lead", None),
        ("draft", "writer", "desk", 16, 28, "lead", None),
        ("approve", "lead", "tool:AskUserQuestion", 30, 42, "lead", "user"),
        ("check", "searcher", "library", 44, 54, "lead", None),
        ("revise", "writer", "desk", 44, 57, "lead", None),
    ]
    columns = ("id", "agent_id", "location_id", "start_time", "end_time", "parent_id", "waits_for")
    spans = pd.DataFrame(rows, columns=columns).assign(trace_id="work and waiting")
    return spans.assign(start_time=spans["start_time"] * second, end_time=spans["end_time"] * second)


@dataclass
class Log:
    """The spans of a made-up team, as rows; times are in seconds."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def span(self, agent: str, location: str, start: float, end: float, **data: object) -> str:
        """Add a span; returns its id."""
        self.rows.append({"id": f"{len(self.rows):03}", "agent_id": agent, "location_id": location, **data})
        self.rows[-1] |= {"start_time": round(start * 1_000_000), "end_time": round(end * 1_000_000)}
        return str(self.rows[-1]["id"])

    def call(self, agent: str, model: str, start: float, end: float, n_before: int, **data: object) -> str:
        """Add a model call, whose input grows with the number of calls before it."""
        used = {"input_tokens": 5_200 + 1_350 * n_before, "output_tokens": round(42 * (end - start))}
        cost = sum(used[f"{kind}_tokens"] * price for kind, price in PRICES[model].items()) / 1_000_000
        figures = {f"gen_ai.usage.{name}": value for name, value in {**used, "cost": cost}.items()}
        return self.span(agent, f"model:{model}", start, end, **figures, **data)

    def work(self, agent: str, start: float, end: float, tools: str, *, model: str = SMALL, **data: object) -> str:
        """Add model calls and the calls of tools between them, in turn; one with "!" fails at first. Returns the last."""
        names, n_calls = tools.split(), 0
        while True:
            last = start + self.random.uniform(4, 15)
            is_last = last > end - 6
            call = self.call(agent, model, start, end if is_last else last, n_calls, **data | (NO_LINKS if n_calls else {}))
            if is_last:
                return call
            name = names[n_calls % len(names)]
            status = "error" if "!" in name and n_calls < len(names) else "ok"
            start = last + self.random.uniform(1, min(6, end - last - 4))
            self.span(agent, f"tool:{name.strip('!')}", last, start, status=status, **data | NO_LINKS)
            n_calls += 1

    def task(self, agent: str, start: float, end: float, tools: str, call: str, label: str, **data: object) -> str:
        """Add a task that the lead gives to another agent in a model call; returns the last call of that agent."""
        task = self.span("lead", "tool:Task", start, end, label=label, requested_by=call)
        return self.work(agent, start + 0.5, end - 0.5, tools, parent_id=task, **data)


def team() -> pd.DataFrame:
    """A team of seven agents that adds a feature in 22 minutes, and waits for its user twice.

    Three research at once, one codes, two check the change one after the other. A page cannot be fetched, and a test fails.
    """
    log = Log()
    asks = log.work("lead", 0, 48, "Read Grep Read", model=LARGE)
    found = [
        log.task("researcher 1", 48, 172, "WebSearch WebFetch WebFetch", asks, "Compare algorithms"),
        log.task("researcher 2", 48.4, 236, "WebSearch WebFetch! WebFetch Read", asks, "Read the gateway's documentation"),
        log.task("researcher 3", 48.8, 298, "Grep Read Read Glob", asks, "Find all callers"),
    ]
    plan = log.work("lead", 300, 346, "Write Read", model=LARGE, links=found)
    log.span("lead", "tool:ExitPlanMode", 346, 571, label="Approve the plan?", waits_for="user", requested_by=plan)
    asks = log.work("lead", 571, 582, "Read", model=LARGE)
    coded = log.task("coder", 582, 880, "Read Edit Edit Bash! Edit Bash", asks, "Limit the rate of requests", links=[plan])
    asks = log.work("lead", 881, 893, "Read", model=LARGE)
    review = log.task("reviewer", 893, 1012, "Read Grep Read", asks, "Review the change", links=[coded])
    tested = log.task("tester", 1012, 1098, "Bash Bash Read", asks, "Measure it under load", links=[coded])
    asks = log.work("lead", 1099, 1111, "Read", model=LARGE)
    fixed = log.task("coder", 1111, 1192, "Edit Bash", asks, "Mend what they found", links=[review, tested])
    asks = log.work("lead", 1193, 1204, "Read", model=LARGE, links=[fixed])
    log.span("lead", "tool:AskUserQuestion", 1204, 1268, label="Deploy it?", waits_for="user", requested_by=asks)
    log.work("lead", 1268, 1316, "Bash Bash Write", model=LARGE)
    return pd.DataFrame(log.rows).assign(trace_id="limit-the-rate-of-requests")


def some_run(number: int) -> pd.DataFrame:
    """One of many runs of a task: a lead plans, two research at once, one codes, and one tests.

    In some runs, one of those who research has to wait long for pages, or the lead for the user; in run 23, the tests fail.
    """
    log = Log(random=np.random.default_rng(number))
    length = log.random.uniform
    planned, pace = length(25, 40), 3.5 if number in (8, 17, 31) else 1.0
    asks = log.work("lead", 0, planned, "Read Grep", model=LARGE)
    ends = planned + length(60, 90), planned + length(60, 90) * pace
    found = [
        log.work(f"researcher {which}", planned, end, "WebSearch WebFetch", links=[asks]) for which, end in enumerate(ends, 1)
    ]
    time, last = max(ends), found[ends.index(max(ends))]
    if number % 7 == 0:
        last = log.span("lead", "tool:ExitPlanMode", time, time + length(20, 70), waits_for="user", links=[last])
        time = log.rows[-1]["end_time"] / 1_000_000
    coded = time + length(2, 6) + length(70, 130)
    last = log.work("coder", time + length(0, 5), coded, "Edit Bash", links=[last])
    tested = coded + length(25, 45)
    last = log.work("tester", coded, tested, "Bash! Read" if number == 23 else "Bash Read", links=[last])
    log.work("lead", tested + length(0, 2), tested + length(10, 20), "Write", model=LARGE, links=[last])
    return pd.DataFrame(log.rows).assign(trace_id=f"run {number:02}")


def main() -> None:
    """Draw each picture, from the demo traces in a temporary database, and from the traces above."""
    mpl.use("agg")
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        store = tv.Store(Path(folder) / "sqlite.db")
        tv.seed_demo(store=store)
        spans, kitchen = (tv.load_spans(name, store=store) for name in ("multi-agent-workflow", "kitchen-sink"))
    for name, figure in (figures_of_demo(spans, kitchen) | figures_of_team(team())).items():
        is_page = name.startswith("overview")
        figure.savefig(IMAGES / f"{name}.png", dpi=80 if is_page else 110, metadata={"Software": None})
    save_column(team())
    draw_explorers(spans, million())


def figures_of_demo(spans: pd.DataFrame, kitchen: pd.DataFrame) -> dict[str, Figure]:
    """The pictures of demo traces, of work and waiting, and of a million spans."""
    later = spans[spans["agent_id"] != "Planner"].assign(trace_id="without a planner")
    return {
        "timeline": tv.plot_timeline(spans).figure,
        "timeline-by-agent": tv.plot_timeline(spans, by="agent_id", hue="location_id").figure,
        "timeline-waits": tv.plot_timeline(waiting()).figure,
        "timeline-million": tv.plot_timeline(million()).figure,
        "overview-small": tv.plot_overview(kitchen),
        "storyline": tv.plot_storyline(spans).figure,
        "critical-path": tv.plot_critical_path(spans).figure,
        "concurrency-waits": tv.plot_concurrency(waiting(), by="agent_id").figure,
        "compare": tv.plot_compare(spans, later).figure,
        "handoffs": tv.plot_handoffs(spans).figure,
    }


def figures_of_team(spans: pd.DataFrame) -> dict[str, Figure]:
    """The pictures of a team of agents, and of many runs."""
    with mpl.rc_context(tv.theme("dark")):
        dark = tv.plot_overview(spans)
    runs = pd.concat(map(some_run, range(1, 41)))
    return {
        "waits": tv.plot_waits(spans).figure,
        "overview": tv.plot_overview(spans),
        "overview-dark": dark,
        "agent-tree": tv.plot_agent_tree(spans).figure,
        "concurrency": tv.plot_concurrency(spans, by="agent_id").figure,
        "usage": tv.plot_usage(spans, by="agent_id").figure,
        "runs": tv.plot_runs(runs).figure,
        "compare-runs": tv.plot_compare(runs, baseline="median").figure,
    }


def save_column(spans: pd.DataFrame) -> None:
    """A picture for a column of a paper, where it is 89 mm wide; here it is twice as large."""
    with mpl.rc_context(tv.theme()):
        figure, ax = plt.subplots(figsize=(89 / 25.4, 65 / 25.4), layout="constrained")
        tv.plot_agent_tree(spans, ax=ax)
        figure.savefig(IMAGES / "column.png", dpi=220, metadata={"Software": None})


def draw_explorers(few: pd.DataFrame, many: pd.DataFrame) -> None:
    """The explorer in a browser: with the details of a span, in dark mode with a search, and with a million spans."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from browsers import launched

    with TemporaryDirectory() as folder, launched() as browser:
        for name, spans, theme, keys, point in (
            ("explorer", few, "light", [], (580, 206)),
            ("explorer-dark", few, "dark", ["/", *"fix", "Enter"], None),
            ("explorer-million", many, "light", ["w"] * 6, None),
        ):
            page = browser.new_page(viewport={"width": 1200, "height": 460}, color_scheme=theme)
            page.goto(tv.explore(spans).save(Path(folder) / f"{name}.html", content="full").path.as_uri())
            page.wait_for_function("() => document.querySelector('.tv-figures')?.textContent.includes('busy')")
            page.locator(".tv-canvas").focus()
            for key in keys:
                page.keyboard.press(key)
                page.wait_for_timeout(200)
            if point:
                page.mouse.click(*point)
            page.wait_for_timeout(1000)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()


if __name__ == "__main__":
    main()
