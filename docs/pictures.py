"""Draws the pictures of the documentation: ``npm run pictures``.

Those of the explorer need Chromium.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
import pandas as pd

import tokenvis as tv

IMAGES = Path(__file__).parent / "images"


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


def research() -> pd.DataFrame:
    """A lead that starts a planner, three researchers at once, of which one fails, and a writer, who starts a reviewer."""
    second = 1_000_000
    rows = [
        ("lead", "lead", "desk", 0, 120, None, 8_200, "ok"),
        ("plan", "planner", "desk", 4, 18, "lead", 5_400, "ok"),
        ("search-1", "researcher", "library", 20, 52, "lead", 31_000, "ok"),
        ("search-2", "researcher", "library", 21, 38, "lead", 12_500, "error"),
        ("search-3", "researcher", "library", 22, 66, "lead", 44_100, "ok"),
        ("read", "reader", "library", 30, 48, "search-3", 18_700, "ok"),
        ("draft", "writer", "desk", 70, 114, "lead", 26_300, "ok"),
        ("review", "reviewer", "desk", 88, 104, "draft", 9_900, "ok"),
    ]
    columns = ("id", "agent_id", "location_id", "start_time", "end_time", "parent_id", "gen_ai.usage.input_tokens", "status")
    agents = pd.DataFrame(rows, columns=columns).assign(kind="agent")
    agents["gen_ai.usage.cost"] = agents["gen_ai.usage.input_tokens"] * 3 / 1_000_000
    usage = ["gen_ai.usage.input_tokens", "gen_ai.usage.cost"]
    calls = agents.assign(id=agents["id"] + "-call", parent_id=agents["id"], location_id="model:demo", kind=None, status="ok")
    spans = pd.concat([agents.drop(columns=usage), calls.assign(end_time=calls["start_time"] + 3)], ignore_index=True)
    spans = spans.assign(trace_id="a team of researchers")
    return spans.assign(start_time=spans["start_time"] * second, end_time=spans["end_time"] * second)


def main() -> None:
    """Draw each picture from the demo traces, in a temporary database."""
    mpl.use("agg")
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        store = tv.Store(Path(folder) / "sqlite.db")
        tv.seed_demo(store=store)
        spans = tv.load_spans("multi-agent-workflow", store=store)
    later = spans[spans["agent_id"] != "Planner"].assign(trace_id="without a planner")
    pictures = {
        "timeline": tv.plot_timeline(spans).figure,
        "timeline-by-agent": tv.plot_timeline(spans, by="agent_id", hue="location_id").figure,
        "timeline-waits": tv.plot_timeline(waiting()).figure,
        "timeline-million": tv.plot_timeline(million()).figure,
        "storyline": tv.plot_storyline(spans).figure,
        "overview": tv.plot_overview(spans),
        "critical-path": tv.plot_critical_path(spans).figure,
        "agent-tree": tv.plot_agent_tree(research()).figure,
        "concurrency": tv.plot_concurrency(spans, by="agent_id").figure,
        "concurrency-waits": tv.plot_concurrency(waiting(), by="agent_id").figure,
        "usage": tv.plot_usage(spans).figure,
        "compare": tv.plot_compare(spans, later).figure,
        "handoffs": tv.plot_handoffs(spans).figure,
        "waits": tv.plot_waits(research()).figure,
    }
    for name, figure in pictures.items():
        figure.savefig(IMAGES / f"{name}.png", dpi=110, metadata={"Software": None})
    draw_explorers(spans, million())


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
