import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from browsers import Jupyter, NotebookPage, chromium, jupyter, open_notebook  # noqa: F401
from explorers import SECOND, TIMEOUT_S, ExplorerDriver, eventually, seconds
from playwright.sync_api import Browser, expect

from tokenvis import Store

pytestmark = pytest.mark.full
expect.set_options(timeout=TIMEOUT_S * 1000)

FLOORS = [f"ann {floor} {floor + 1} floor-{floor:02}" for floor in range(40)]
CELLS = [
    "import pathlib, time, tokenvis",
    "explorer = tokenvis.explore('tower', follow=True, store='{}')\nexplorer",
    "while not pathlib.Path('{}.done').exists(): time.sleep(0.01)",
]
START = 1_781_293_600 * SECOND  # a timestamp; the axis counts from it
RECORDER = """
import sys
import tokenvis
store = tokenvis.Store(sys.argv[1])
for line in sys.stdin:
    id, agent, start, end, location, *label = line.split()
    span = {"id": id, "agent_id": agent, "location_id": location, "start_time": int(start), "end_time": int(end)}
    store.add_spans("tower", [{**span, "data": {"label": " ".join(label)} if label else None}])
    print("recorded", flush=True)
"""


def later(spans: pd.DataFrame) -> pd.DataFrame:
    """The same spans with timestamps."""
    return spans.assign(start_time=spans["start_time"] + START, end_time=spans["end_time"] + START)


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with one trace of one span per floor, each a second long."""
    made = Store(tmp_path / "tower.db")
    made.write_trace("tower", later(seconds(*FLOORS).assign(trace_id="tower")))
    return made


@pytest.fixture
def record(store) -> Iterator[Callable[..., None]]:
    """Records a span in another process, and waits until it is in the store: ``record("new", "eve", 3, 5, "floor-07")``."""
    command = [sys.executable, "-c", RECORDER, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def put(span: str, agent: str, start: float, end: float, *words: str) -> None:
            times = " ".join(str(START + round(time * SECOND)) for time in (start, end))
            process.stdin.write(f"{span} {agent} {times} {' '.join(words)}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "recorded\n"

        yield put
        process.stdin.close()


@pytest.fixture
def nb(store, chromium: Browser, jupyter: Jupyter) -> Iterator[NotebookPage]:  # noqa: F811
    """A notebook that shows the tower."""
    with open_notebook(chromium, jupyter, "lab", [cell.replace("{}", str(store.path)) for cell in CELLS]) as visit:
        visit.run(0)
        visit.run(1)
        yield visit


def absolute(nb: NotebookPage, driver: ExplorerDriver) -> list[int]:
    """The visible window, in absolute times, in µs."""
    origin = nb.evaluate("int(explorer._answers.time_map_of('tower').origin)")
    return [time + origin - START for time in driver.window()]


def view_state(nb: NotebookPage, driver: ExplorerDriver) -> dict[str, Any]:
    """The view state that must not change."""
    return {
        "window": absolute(nb, driver),
        "in Python": nb.evaluate("explorer.window"),
        "scrolled": driver.view()["top"],
        "selected": nb.evaluate("explorer.selection['id'].tolist()"),
        "details": driver.details.locator("strong").inner_text(),
    }


def test_spans_recorded_by_another_process_appear_and_the_view_stays(nb, record, store, tmp_path):
    driver = ExplorerDriver(nb.page, nb.output(1).locator(".tokenvis"))
    expect(driver.root.locator(".tv-live")).to_be_visible()
    expect(driver.figures).to_contain_text("40 spans")
    record("first", "ann", 40, 60, "floor-00")
    expect(driver.figures).to_contain_text("41 spans")
    eventually(driver.window, [0, 60 * SECOND])  # the whole trace, as before
    expect(driver.percent).to_have_text("100%")

    nb.execute(f"explorer.window = ({START + 2 * SECOND}, {START + 22 * SECOND})")
    eventually(driver.window, [2 * SECOND, 22 * SECOND])
    nb.page.mouse.move(*driver.at(400, 80))
    nb.page.mouse.wheel(0, 130)
    eventually(lambda: driver.view()["top"], 130)
    driver.click(driver.at(driver.x(9.5 * SECOND), 26 + 4 + 9 * 26 + 7 - 130))
    expect(driver.details).to_contain_text("floor-09")
    eventually(lambda: nb.evaluate("explorer.selection['location_id'].tolist()"), ["floor-09"])
    before = view_state(nb, driver)
    nb.screenshot(tmp_path / "before.png")

    record("early", "bob", -20, 3, "cellar", "Before all others")  # shifts rows, name codes and the origin of the axis
    record("more", "eve", 9.2, 9.4, "floor-09", "More")
    record("late", "bob", 61, 90, "floor-01")
    expect(driver.root.get_by_role("button", name="3 agents")).to_be_visible()
    eventually(lambda: len(nb.evaluate("explorer._answers.spans['id'].tolist()")), 44)
    eventually(lambda: driver.root.locator(".tv-percent").inner_text(), "550%")
    nb.screenshot(tmp_path / "after.png")
    after = view_state(nb, driver)
    assert after.pop("window") == pytest.approx(before.pop("window"), abs=1)  # rounding of a pixel
    assert after.pop("scrolled") == before.pop("scrolled") + 26  # by the new band at the top
    assert after == before
    assert nb.errors == []
    assert nb.foreign_requests == []


def test_it_pauses_while_its_output_is_removed(nb, record):
    threads = "sum(thread.name == 'tokenvis follower' for thread in __import__('threading').enumerate())"
    expect(ExplorerDriver(nb.page, nb.output(1).locator(".tokenvis")).figures).to_contain_text("40 spans")
    nb.execute("before = explorer")
    nb.run(1)
    driver = ExplorerDriver(nb.page, nb.output(1).locator(".tokenvis"))
    expect(driver.figures).to_contain_text("40 spans")
    eventually(lambda: nb.evaluate(threads), 1)
    assert nb.evaluate("(before is explorer, before.follow)") == [False, True]
    record("new", "eve", 3, 5, "floor-07")
    expect(driver.figures).to_contain_text("41 spans")
    assert nb.evaluate("[len(one._answers.spans) for one in (before, explorer)]") == [40, 41]
    nb.execute("tokenvis.explore = lambda *_, **__: before")
    nb.run(1)
    expect(ExplorerDriver(nb.page, nb.output(1).locator(".tokenvis")).figures).to_contain_text("41 spans")
    assert nb.errors == []


def test_it_follows_while_a_cell_runs_and_until_it_is_stopped(nb, record, store):
    driver = ExplorerDriver(nb.page, nb.output(1).locator(".tokenvis"))
    expect(driver.figures).to_contain_text("40 spans")
    driver.press(".")
    expect(driver.details).to_contain_text("no data")
    nb.start(2)
    record("a", "ann", 0, 1.5, "floor-00", "Changed")  # the selected span
    record("new", "eve", 3, 5, "floor-07", "Come in")
    expect(driver.root.get_by_role("button", name="2 agents")).to_be_visible()
    expect(driver.details.locator("strong")).to_have_text("Changed")
    expect(driver.details).to_contain_text("duration1.5 s")
    store.path.with_name("tower.db.done").touch()
    nb.finish(2)
    assert nb.evaluate("explorer.selection['end_time'].tolist()") == [START + 1.5 * SECOND]

    moved = store.path.rename(store.path.with_name("away.db"))
    expect(driver.root.locator(".tv-notes")).to_contain_text("no longer exists")
    moved.rename(store.path)
    expect(driver.root.locator(".tv-notes")).to_have_text("")
    nb.execute("explorer.follow = False")
    expect(driver.root.locator(".tv-live")).to_be_hidden()
    record("later", "zoe", 3, 5, "floor-07")
    nb.execute("explorer.follow = True")
    expect(driver.root.locator(".tv-live")).to_be_visible()
    expect(driver.root.get_by_role("button", name="3 agents")).to_be_visible()

    store.write_trace("tower", [])
    expect(driver.root.locator(".tv-message")).to_have_text("There are no spans.")
    record("again", "ann", 0, 2, "floor-00")
    expect(driver.figures).to_contain_text("1 span · wall 2 s")
    assert nb.errors == []
