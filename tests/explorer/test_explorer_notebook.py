import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browsers import PANEL, Front, Jupyter, NotebookPage, chromium, jupyter, open_notebook  # noqa: F401
from conftest import with_data
from explorers import BAR, SECOND, TIMEOUT_S, ExplorerDriver, eventually, seconds, tops_of
from playwright.sync_api import Browser, expect

from tokenvis import palette
from tokenvis.layout.time_map import time_map

pytestmark = pytest.mark.full
expect.set_options(timeout=TIMEOUT_S * 1000)

CELLS = ["import pandas, tokenvis\noptions = {}", "explorer = tokenvis.explore(spans, **options)\nexplorer", "explorer"]
OFFICE = with_data(
    seconds(
        *("ann 0 10 desk", "bob 5 20 desk", "ann 12 30 lab", "eve 15 25 lab"),
        *("bob 22 40 lab", "eve 30 60 desk", "ann 35 50 attic", "bob 45 60 attic"),
    ),
    a={"label": "Plan the day", "kind": "think", "attributes": {"depth": {"more": [1, 12345678901234567890]}}},
    b={"label": "Write a letter", "kind": "write"},
    c={"label": "Plan the test", "kind": "think"},
    g={"label": "swordfish", "kind": "write", "status": "error"},
)
LONG_GAP = seconds("ann 0 10 desk", "bob 5 20 desk", "ann 200 210 lab", "bob 205 215 desk")
TOWER = seconds(*(f"ann {floor} {floor + 1} floor-{floor:02}" for floor in range(40)))
DEMOS = "pandas.concat([tokenvis.load_spans(name) for name in ('kitchen-sink', 'multi-agent-workflow')])"

NOTE_PROBLEMS = """
import traceback
problems = []  # errors while the kernel handles page messages, which a notebook does not show
get_ipython().showtraceback = lambda *_, **options: problems.append(traceback.format_exc())
"""


@contextmanager
def opened(chromium: Browser, jupyter: Jupyter, front: Front) -> Iterator[NotebookPage]:  # noqa: F811
    """A notebook that can show an explorer."""
    with open_notebook(chromium, jupyter, front, CELLS) as visit:
        visit.run(0)
        visit.execute(NOTE_PROBLEMS)
        yield visit


@pytest.fixture(scope="module", params=["lab", "notebook"])
def nb(request: pytest.FixtureRequest, chromium: Browser, jupyter: Jupyter) -> Iterator[NotebookPage]:  # noqa: F811
    """A notebook that stays open for all tests."""
    with opened(chromium, jupyter, request.param) as visit:
        yield visit


@pytest.fixture
def shown(nb: NotebookPage) -> Callable[..., ExplorerDriver]:
    """Explores spans in the notebook: ``shown(OFFICE, by="kind")``; spans may be an expression for the kernel."""

    def show(spans: pd.DataFrame | str = OFFICE, **options: Any) -> ExplorerDriver:
        if isinstance(spans, pd.DataFrame):
            spans.to_pickle(nb.jupyter.root / "spans.pickle")
            spans = "pandas.read_pickle('spans.pickle')"
        nb.execute(f"spans, options = {spans}, {options!r}")
        nb.page.mouse.move(0, 0)
        nb.run(1)
        return driver_in(nb, 1)

    return show


def driver_in(nb: NotebookPage, cell: int) -> ExplorerDriver:
    return ExplorerDriver(nb.page, nb.output(cell).locator(".tokenvis"))


def agree(nb: NotebookPage, driver: ExplorerDriver) -> list[int]:
    """Wait until Python's window equals the visible one, within a microsecond, and return it."""
    window = driver.window()
    eventually(
        lambda: [abs(ours - shown) <= 1 for ours, shown in zip(nb.evaluate("explorer.window"), window, strict=True)], [True] * 2
    )
    return window


def selected(nb: NotebookPage) -> list[str]:
    return nb.evaluate("explorer.selection['id'].tolist()")


def cells_of(nb: NotebookPage) -> list[Any]:
    """What a notebook shortcut could change: its cells, their execution counts, dialogs and the kernel."""
    cell = "cell => [cell.model.type, cell.model.sharedModel.source, cell.model.executionCount ?? null]"
    dialogs = "document.querySelectorAll('.jp-Dialog').length"
    return [nb.page.evaluate(f"[...{PANEL}.content.widgets.map({cell}), {dialogs}]"), nb.evaluate("__import__('os').getpid()")]


@contextmanager
def unchanged(nb: NotebookPage) -> Iterator[None]:
    """Assert that the body of the ``with`` does not change the notebook; a changed one is reverted for the next test."""
    before = cells_of(nb)
    yield
    after = cells_of(nb)
    if after != before:
        nb.page.evaluate(f"{PANEL}.context.revert()")
    assert after == before


# The window


def test_ctrl_and_wheel_zoom_about_the_pointer(nb, shown):
    driver = shown()
    point = driver.at(400, 80)
    for turns in [-300, -500, 200, -900]:
        place = driver.axis_time(400)
        before = driver.view()["scale"]
        driver.wheel(point, 0, turns, "Control")
        assert (driver.view()["scale"] > before) == (turns < 0)
        assert driver.x(place) == pytest.approx(400, abs=0.5)
        agree(nb, driver)


@pytest.mark.parametrize(("dx", "dy", "keys"), [(120, 0, []), (0, 120, ["Shift"])], ids=["sideways", "shift"])
def test_a_wheel_pans_in_time(nb, shown, dx, dy, keys):
    driver = shown()
    nb.execute(f"explorer.window = ({20 * SECOND}, {30 * SECOND})")
    eventually(driver.window, [20 * SECOND, 30 * SECOND])
    place, scale = driver.axis_time(400), driver.view()["scale"]
    driver.wheel(driver.at(400, 80), dx, dy, *keys)
    assert driver.view()["scale"] == pytest.approx(scale)
    assert 400 - driver.x(place) == pytest.approx(120, rel=0.05)
    agree(nb, driver)


def test_a_vertical_wheel_scrolls_the_lanes(nb, shown):
    driver = shown(TOWER)
    window = driver.window()
    nb.page.mouse.move(*driver.at(400, 80))
    nb.page.mouse.wheel(0, 130)
    eventually(lambda: driver.view()["top"], 130)
    assert driver.window() == window
    driver.click(driver.on(TOWER, TOWER["id"][9]))
    eventually(lambda: selected(nb), [TOWER["id"][9]])


def test_a_drag_pans_in_time_and_scrolls_the_lanes(nb, shown):
    driver = shown(TOWER)
    nb.execute(f"explorer.window = ({10 * SECOND}, {20 * SECOND})")
    eventually(driver.window, [10 * SECOND, 20 * SECOND])
    place = driver.axis_time(500)
    driver.drag(driver.at(500, 150), driver.at(420, 100))
    assert driver.x(place) == pytest.approx(420, abs=0.5)
    assert driver.view()["top"] == 50
    assert agree(nb, driver)[0] > 10 * SECOND
    assert selected(nb) == []


def test_keys_zoom_and_pan(nb, shown):
    driver = shown()
    for key, is_closer in {"+": True, "w": True, "=": True, "W": True, "-": False, "s": False}.items():
        scale = driver.view()["scale"]
        driver.press(key)
        assert (driver.view()["scale"] > scale) == is_closer, key
    for key, is_later in {"d": True, "ArrowRight": True, "a": False, "ArrowLeft": False}.items():
        (start, end), _ = driver.window(), driver.press(key)
        window = driver.window()
        assert (window[0] > start) == is_later, key
        assert np.diff(window)[0] == pytest.approx(end - start, abs=2), key
    agree(nb, driver)
    driver.press("0")
    assert agree(nb, driver) == [0, 60 * SECOND]
    expect(driver.percent).to_have_text("100%")


def test_f_shows_the_selection(nb, shown):
    driver = shown()
    driver.click(driver.on(OFFICE, "d"))
    driver.press("f")
    assert agree(nb, driver) == [14 * SECOND, 26 * SECOND]


def test_a_double_click_zooms_to_a_span(nb, shown):
    driver = shown()
    point = driver.on(OFFICE, "d")
    nb.page.mouse.click(*point)
    expect(driver.details).to_be_visible()
    driver.view()  # a user is slower than a frame
    nb.page.mouse.down(click_count=2)
    nb.page.mouse.up(click_count=2)
    assert agree(nb, driver) == [14 * SECOND, 26 * SECOND]


def test_buttons_zoom_and_show_the_zoom_factor(nb, shown):
    driver = shown()
    button = driver.root.get_by_role("button", name="zoom in (+)")
    for percent, window in {"150%": [10, 50], "225%": [50 / 3, 130 / 3]}.items():
        button.click()
        expect(driver.percent).to_have_text(percent)
        assert agree(nb, driver) == [round(second * SECOND) for second in window]
    driver.root.get_by_role("button", name="zoom out (-)").click()
    expect(driver.percent).to_have_text("150%")
    driver.root.get_by_role("button", name="show the whole trace (0)").click()
    expect(driver.percent).to_have_text("100%")
    assert agree(nb, driver) == [0, 60 * SECOND]


def test_a_drag_on_the_ruler_zooms_to_that_time(nb, shown):
    driver = shown()
    ends = [driver.axis_time(300), driver.axis_time(500)]
    driver.drag(driver.at(300, 12), driver.at(500, 60))
    assert driver.window() == pytest.approx(ends, abs=2)
    agree(nb, driver)


def test_python_sets_and_observes_the_window(nb, shown):
    driver = shown()
    nb.execute("changes = []; explorer.observe(lambda change: changes.append(change['new']), 'window')")
    nb.execute(f"explorer.window = ({20 * SECOND}, {35 * SECOND})")
    eventually(driver.window, [20 * SECOND, 35 * SECOND])
    expect(driver.percent).to_have_text("400%")
    driver.press("0")
    eventually(lambda: nb.evaluate("changes"), [[20 * SECOND, 35 * SECOND], [0, 60 * SECOND]])


def test_a_window_beyond_the_trace_is_the_same_on_both_sides(nb, shown):
    driver = shown()
    nb.execute(f"explorer.window = ({-30 * SECOND}, {30 * SECOND})")
    expect(driver.percent).to_have_text("100%")
    agree(nb, driver)


# The selection, and details


def test_a_click_selects_a_span_and_shows_its_details(nb, shown):
    driver = shown()
    expect(driver.details).to_be_hidden()
    driver.click(driver.on(OFFICE, "a"))
    eventually(lambda: selected(nb), ["a"])
    terms = driver.details.locator("dl")
    expect(terms).to_have_text("agentannlocationdeskstart0duration10 sida")
    expect(driver.details.locator("strong")).to_have_text("Plan the day")
    expect(driver.figures).to_contain_text("1 span selected")
    tree = driver.details.get_by_role("tree")
    expect(tree).to_contain_text("kind: think")
    for key in ["attributes {1}", "depth {1}", "more [2]"]:
        tree.locator("summary", has_text=key).click()
    expect(tree).to_contain_text("1: 12345678901234567890")
    driver.details.get_by_role("button", name="copy the data").click()
    expect(driver.details.get_by_text("copied")).to_be_visible()
    copied = nb.page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied) == json.loads(OFFICE["data"][0])
    driver.details.get_by_role("button", name="close (Escape)").click()
    expect(driver.details).to_be_hidden()
    eventually(lambda: selected(nb), [])


def test_terms_of_the_details_are_on_one_line(nb, shown):
    driver = shown()
    driver.press(".")
    expect(driver.details).to_contain_text("Plan the day")
    terms = "node => [...node.querySelectorAll('dt')].map(term => term.offsetHeight)"
    assert max(driver.details.evaluate(terms)) < 24


def test_a_span_without_data_has_details_too(nb, shown):
    driver = shown()
    driver.click(driver.on(OFFICE, "d"))
    expect(driver.details).to_contain_text("no data")
    expect(driver.details.locator("strong")).to_have_text("eve")


def test_a_click_beside_all_spans_selects_nothing(nb, shown):
    driver = shown()
    driver.click(driver.on(OFFICE, "a"))
    eventually(lambda: selected(nb), ["a"])
    driver.click(driver.at(driver.x(2 * SECOND), 26 + tops_of(OFFICE)["c"] + 4))
    eventually(lambda: selected(nb), [])


def test_ctrl_and_click_add_and_remove_a_span(nb, shown):
    driver = shown()
    driver.click(driver.on(OFFICE, "f"))
    for span, wanted in [("a", ["a", "f"]), ("h", ["a", "f", "h"]), ("a", ["f", "h"])]:
        driver.click(driver.on(OFFICE, span), "Control")
        eventually(lambda wanted=wanted: selected(nb), wanted)
    expect(driver.figures).to_contain_text("2 spans selected · wall 30 s · active 30 s · busy 45 s")


@pytest.mark.parametrize("box", [(8, 33, 10, 90), (31, 16, 120, 5), (50, 100, 0, 59)], ids=["right", "left", "down"])
def test_shift_and_drag_select_what_a_box_touches(nb, shown, box):
    driver = shown()
    start, top, end, bottom = box[0] * SECOND, box[2], box[1] * SECOND, box[3]
    start, end = (min(time, 60 * SECOND) for time in (start, end))
    view = driver.view()
    driver.drag(driver.at(driver.x(start), view["ruler"] + top), driver.at(driver.x(end), view["ruler"] + bottom), "Shift")
    (first, last), (high, low) = sorted([start, end]), sorted([top, bottom])
    tops = OFFICE["id"].map(tops_of(OFFICE))
    touched = (OFFICE["start_time"] <= last) & (OFFICE["end_time"] >= first) & (tops <= low) & (tops + BAR >= high)
    assert 0 < touched.sum() < len(OFFICE)
    eventually(lambda: selected(nb), OFFICE["id"][touched].tolist())
    expect(driver.figures).to_contain_text(f"{touched.sum()} span")
    assert driver.window() == [0, 60 * SECOND]


def test_comma_and_full_stop_step_from_span_to_span(nb, shown):
    driver = shown()
    for key, span in [(".", "a"), (".", "f"), (".", "b"), (".", "c"), (",", "b"), (",", "f"), (",", "a"), (",", "a")]:
        driver.press(key)
        eventually(lambda: selected(nb), [span])
    expect(driver.details.locator("strong")).to_have_text("Plan the day")


def test_python_sets_and_observes_the_selection(nb, shown):
    driver = shown()
    nb.execute("changes = []; explorer.observe(lambda change: changes.append(change['new']['id'].tolist()), 'selection')")
    nb.execute("explorer.selection = spans[spans['agent_id'] == 'eve']")
    expect(driver.figures).to_contain_text("2 spans selected")
    nb.execute("explorer.selection = spans[spans['id'] == 'g']")
    expect(driver.details.locator("strong")).to_have_text("swordfish")
    expect(driver.details.locator("dl")).to_contain_text("error")
    driver.press("Escape")
    expect(driver.details).to_be_hidden()
    eventually(lambda: nb.evaluate("changes"), [["d", "f"], ["g"], []])
    assert nb.evaluate("explorer.selection.columns.tolist() == spans.columns.tolist()")


# Search


@pytest.mark.parametrize(
    ("query", "found"), [("EVE", ["d", "f"]), ("attic", ["g", "h"]), ("plan", ["a", "c"])], ids=["agent", "location", "label"]
)
def test_search_finds_agents_locations_and_labels(nb, shown, query, found):
    driver = shown()
    driver.press("/")
    expect(driver.search).to_be_focused()
    nb.page.keyboard.type(query)
    expect(driver.found).to_have_text("2")
    for key, match in [("Enter", 0), ("Enter", 1), ("Enter", 0), ("Shift+Enter", 1)]:
        nb.page.keyboard.press(key)
        expect(driver.found).to_have_text(f"{match + 1}/2")
        eventually(lambda match=match: selected(nb), [found[match]])
    nb.page.keyboard.press("Escape")
    expect(driver.canvas).to_be_focused()
    for key, match in [("n", 0), ("p", 1)]:
        nb.page.keyboard.press(key)
        expect(driver.found).to_have_text(f"{match + 1}/2")


def test_enter_goes_to_the_next_match_at_any_typing_speed(nb, shown):
    driver = shown()
    driver.search.fill("plan")
    driver.search.press("Enter")
    expect(driver.found).to_have_text("1/2")
    nb.page.wait_for_timeout(400)  # nothing more may happen: the search is debounced by 150 ms
    expect(driver.found).to_have_text("1/2")
    driver.search.press("Enter")
    eventually(lambda: selected(nb), ["c"])


def test_a_search_counts_only_shown_agents(nb, shown):
    driver = shown()
    driver.search.fill("plan")
    expect(driver.found).to_have_text("2")
    nb.execute("explorer.agents = ['bob', 'eve']")
    expect(driver.found).to_have_text("0")


def test_a_match_out_of_view_is_brought_into_view(nb, shown):
    driver = shown(TOWER)
    nb.execute(f"explorer.window = (0, {4 * SECOND})")
    eventually(driver.window, [0, 4 * SECOND])
    driver.search.fill("floor-33")
    expect(driver.found).to_have_text("1")
    driver.search.press("Enter")
    eventually(lambda: selected(nb), [TOWER["id"][33]])
    start, end = agree(nb, driver)
    assert start <= 33 * SECOND < 34 * SECOND <= end
    view = driver.view()
    assert 0 <= tops_of(TOWER)[TOWER["id"][33]] - view["top"] <= view["height"] - BAR


# Agents, bands, colours


def test_check_boxes_hide_agents(nb, shown):
    driver = shown()
    driver.root.get_by_role("button", name="3 agents").click()
    expect(driver.agents.locator("label")).to_have_text(["ann3", "bob3", "eve2"])
    box = driver.agents.get_by_role("checkbox", name="bob")
    box.uncheck()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "eve"])
    expect(driver.root.get_by_role("button", name="2 of 3 agents")).to_be_visible()
    expect(driver.figures).to_contain_text("5 spans · wall 1 m")
    box.check()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "bob", "eve"])
    driver.agents.get_by_role("button", name="hide all agents").click()
    eventually(lambda: nb.evaluate("explorer.agents"), [])
    driver.agents.get_by_role("searchbox", name="find an agent").fill("ev")
    expect(driver.agents.locator("label")).to_have_text(["eve2"])
    driver.agents.get_by_role("button", name="show all agents").click()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "bob", "eve"])


def test_python_sets_and_observes_agents(nb, shown):
    driver = shown()
    nb.execute("changes = []; explorer.observe(lambda change: changes.append(change['new']), 'agents')")
    nb.execute("explorer.agents = ['eve', 'ann']")
    expect(driver.root.get_by_role("button", name="2 of 3 agents")).to_be_visible()
    driver.click(driver.on(OFFICE, "b"))  # of Bob, who is hidden
    driver.root.get_by_role("button", name="2 of 3 agents").click()
    driver.agents.get_by_role("checkbox", name="bob").check()
    eventually(lambda: nb.evaluate("changes"), [["ann", "eve"], ["ann", "bob", "eve"]])
    assert selected(nb) == []


@pytest.mark.parametrize("key", ["agent_id", "kind"])
def test_by_defines_the_bands(nb, shown, key):
    driver = shown()
    driver.root.get_by_role("combobox", name="by").select_option(key)
    eventually(lambda: nb.evaluate("explorer.by"), key)
    kinds = OFFICE.assign(kind=["think", "write", "think", "", "", "", "write", ""])
    driver.click(driver.on(kinds, "g", key))
    eventually(lambda: selected(nb), ["g"])


def test_hue_defines_the_colours(nb, shown):
    driver = shown()
    legend = driver.root.get_by_role("list", name="colours")
    expect(legend).to_have_text("annbobeve")
    driver.root.get_by_role("combobox", name="hue").select_option("location_id")
    eventually(lambda: nb.evaluate("explorer.hue"), "location_id")
    expect(legend).to_have_text("atticdesklab")
    view, colors = driver.view(), palette(["desk", "lab", "attic"])
    drawn = driver.pixels()
    for span, location in [("f", "desk"), ("c", "lab"), ("h", "attic")]:
        row = OFFICE.set_index("id").loc[span]
        pixel = drawn[view["ruler"] + tops_of(OFFICE)[span] + 1, int(driver.x(row["end_time"])) - 9]
        assert pixel.tolist() == channels(colors[location]), span


def channels(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def test_python_sets_and_observes_by_and_hue(nb, shown):
    driver = shown()
    nb.execute("changes = []; explorer.observe(lambda change: changes.append(change['new']), ['by', 'hue'])")
    nb.execute("explorer.by = 'kind'; explorer.hue = 'kind'")
    expect(driver.root.get_by_role("combobox", name="by")).to_have_value("kind")
    expect(driver.root.get_by_role("combobox", name="hue")).to_have_value("kind")
    expect(driver.root.get_by_role("list", name="colours")).to_contain_text("thinkwrite")
    driver.root.get_by_role("combobox", name="by").select_option("agent_id")
    eventually(lambda: nb.evaluate("changes"), ["kind", "kind", "agent_id"])


def test_what_python_sets_at_once_is_shown(nb, shown):
    nb.execute("real, tokenvis.explore = tokenvis.explore, lambda *args, **options: changed(real(*args, **options))")
    nb.execute("def changed(it):\n    it.window, it.agents = (5000000, 9000000), ['ann']\n    return it")
    try:
        driver = shown(by="kind", hue="kind")
    finally:
        nb.execute("tokenvis.explore = real")
    eventually(driver.window, [5 * SECOND, 9 * SECOND])
    expect(driver.root.get_by_role("button", name="1 of 3 agents")).to_be_visible()


def test_a_click_on_a_name_folds_a_band_and_unfolds_it(nb, shown):
    driver = shown()
    lab = driver.at(30, 26 + tops_of(OFFICE)["c"] + 8)
    settled(nb, driver)
    before = driver.pixels()
    with driver.redrawn():
        driver.click(lab)
    folded = driver.pixels()
    assert (before != folded).any()
    driver.click(driver.on(OFFICE, "c"))
    eventually(lambda: selected(nb), ["c", "d"])  # all spans at that time, in every lane
    with driver.redrawn():
        driver.click(lab)
    driver.press("Escape")
    nb.page.mouse.move(0, 0)
    assert (driver.pixels() == before).all()
    driver.click(driver.on(OFFICE, "c"))
    eventually(lambda: selected(nb), ["c"])


def test_g_folds_long_gaps_and_unfolds_them(nb, shown):
    driver = shown(LONG_GAP)
    mapping, top = time_map(LONG_GAP), 26 + tops_of(LONG_GAP)["c"] + 4
    late = mapping.to_x(np.array([202 * SECOND]))[0]
    assert late < 30 * SECOND
    driver.click(driver.at(driver.x(late), top))
    eventually(lambda: selected(nb), ["c"])
    driver.press("Escape", "g")
    driver.click(driver.at(driver.x(202 * SECOND), top))
    eventually(lambda: selected(nb), ["c"])
    assert nb.evaluate("explorer.window") == [0, 215 * SECOND]
    driver.press("Escape", "g")
    driver.click(driver.at(driver.x(late), top))
    eventually(lambda: selected(nb), ["c"])


def test_m_hides_moves_and_shows_them(nb, shown):
    driver = shown()
    expect(driver.figures).to_contain_text("8 spans")
    settled(nb, driver)
    with_moves = driver.pixels()
    driver.press("m")
    without = driver.pixels()
    assert (with_moves != without).any()
    driver.press("m")
    assert (driver.pixels() == with_moves).all()


def settled(nb: NotebookPage, driver: ExplorerDriver) -> None:
    """Wait until frames no longer change: moves and labels load after the first one."""
    nb.page.mouse.move(0, 0)
    nb.page.wait_for_load_state("networkidle")
    eventually(lambda: bool((driver.pixels() == (nb.page.wait_for_timeout(150), driver.pixels())[1]).all()), True)


# Help, Escape, keys


def test_question_mark_shows_the_help_and_escape_closes_panels(nb, shown):
    driver = shown()
    driver.press("?")
    expect(driver.help).to_be_visible()
    expect(driver.help.locator("tr")).to_have_count(19)
    driver.page.keyboard.press("Escape")
    expect(driver.help).to_be_hidden()
    driver.root.get_by_role("button", name="3 agents").click()
    expect(driver.agents).to_be_visible()
    driver.page.keyboard.press("Escape")
    expect(driver.agents).to_be_hidden()
    driver.root.get_by_role("button", name="keys and mouse (?)").click()
    driver.help.get_by_role("button", name="close (Escape)").click()
    expect(driver.canvas).to_be_focused()


KEYS = [
    "a",
    "b",
    "d",
    "d",
    "0",
    "0",
    "f",
    "m",
    "x",
    "y",
    "i",
    "i",
    "c",
    "v",
    "z",
    "1",
    "Enter",
    "Shift+Enter",
    "Escape",
    "Delete",
]


@pytest.mark.parametrize("place", ["canvas", ".tv-search input", ".tv-agents-button", "select"])
def test_keys_stay_in_the_explorer(nb, shown, place):
    driver = shown()
    with unchanged(nb):
        for key in KEYS:
            driver.root.locator(place).first.focus()
            nb.page.keyboard.press(key)


@pytest.mark.parametrize("place", ["canvas", "checkbox", "close", ".tv-details dl", ".tv-legend", ".tv-figures"])
def test_keys_stay_in_the_explorer_after_a_click(nb, shown, place):
    driver = shown()
    driver.press(".")
    expect(driver.details).to_contain_text("Plan the day")
    if place == "checkbox":
        driver.root.get_by_role("button", name="3 agents").click()
        driver.agents.get_by_role("checkbox", name="bob").uncheck()
    elif place == "close":
        driver.details.get_by_role("button", name="close (Escape)").click()
    else:
        driver.root.locator(place).click()
    with unchanged(nb):
        for key in ["d", "d", "b", "m"]:  # not "0 0": if it leaked, it would restart the kernel for all later tests
            nb.page.keyboard.press(key)


@pytest.mark.parametrize("closing", ["details", "trace"])
def test_keys_still_work_when_the_focused_element_is_removed(nb, shown, closing):
    driver = shown(DEMOS)
    if closing == "details":
        driver.press(".")
        driver.details.get_by_role("button", name="close (Escape)").click()
        expect(driver.details).to_be_hidden()
    else:
        driver.root.get_by_role("combobox", name="trace").focus()
        driver.root.get_by_role("combobox", name="trace").select_option("multi-agent-workflow")
        expect(driver.root.get_by_role("combobox", name="trace")).to_have_value("multi-agent-workflow")
    assert driver.root.evaluate("root => root.contains(document.activeElement)")


# Traces


def test_a_user_chooses_among_traces(nb, shown):
    driver = shown(DEMOS)
    traces = driver.root.get_by_role("combobox", name="trace")
    expect(traces.locator("option")).to_have_text(["kitchen-sink (7)", "multi-agent-workflow (40)"])
    traces.select_option("multi-agent-workflow")
    eventually(lambda: nb.evaluate("explorer.trace"), "multi-agent-workflow")
    expect(driver.figures).to_contain_text("40 spans")
    assert agree(nb, driver) == nb.evaluate(
        "[int(f(explorer._spans()[n])) for f, n in ((min, 'start_time'), (max, 'end_time'))]"
    )
    nb.execute("explorer.trace = 'kitchen-sink'")
    expect(driver.figures).to_contain_text("7 spans")
    expect(driver.root.get_by_role("combobox", name="trace")).to_have_value("kitchen-sink")
    assert nb.evaluate("explorer.agents") == ["Alice", "Bob", "Charlie"]


def test_a_newly_chosen_trace_starts_with_a_new_view(nb, shown):
    driver = shown(DEMOS)
    zoom = "root.querySelector('[aria-label^=\"zoom in\"]').click()"
    choose = "const traces = root.querySelector('select'); traces.value = 'multi-agent-workflow'"
    driver.root.evaluate(f"root => {{ {zoom}; {choose}; traces.dispatchEvent(new Event('change')) }}")
    expect(driver.figures).to_contain_text("40 spans")
    nb.page.wait_for_timeout(300)  # a window is reported after 80 ms
    agree(nb, driver)


def test_a_key_that_another_trace_lacks_is_reset_on_both_sides(nb, shown):
    spans = pd.concat([OFFICE, seconds("ann 0 10 desk u").assign(id="z")])
    driver = shown(spans, by="kind")
    driver.root.get_by_role("combobox", name="trace").select_option("u")
    expect(driver.figures).to_contain_text("1 span")
    by = driver.root.get_by_role("combobox", name="by").input_value()
    eventually(lambda: nb.evaluate("explorer.by"), by)


EMPTY = "tokenvis.load_spans('kitchen-sink').iloc[:0]"


def test_an_empty_trace_has_a_message(nb):
    nb.execute(f"spans, options = {EMPTY}, {{}}")
    nb.run(1)
    root = nb.output(1).locator(".tokenvis")
    expect(root.locator(".tv-message")).to_have_text("There are no spans.")
    expect(root.locator(".tv-percent")).to_have_text("100%")


def test_keys_do_nothing_in_an_empty_trace(nb):
    nb.execute(f"spans, options = {EMPTY}, {{}}")
    nb.run(1)
    root = nb.output(1).locator(".tokenvis")
    root.locator("canvas").focus()
    for key in ["0", "w", "d", "f", "m", "g", ".", "n", "Escape"]:
        nb.page.keyboard.press(key)
    root.locator(".tv-search input").fill("x")
    nb.page.wait_for_timeout(500)  # the search and the window are reported late
    assert nb.evaluate("[explorer.trace, explorer.agents, len(explorer.selection)]") == [None, [], 0]
    expect(root.locator(".tv-notes")).to_have_text("")
    assert nb.evaluate("problems") == []


def test_two_views_follow_each_other(nb, shown):
    one = shown()
    nb.run(2)
    other = driver_in(nb, 2)
    other.press("+")
    eventually(one.window, other.window())
    one.canvas.scroll_into_view_if_needed()
    one.click(one.on(OFFICE, "c"))
    expect(other.figures).to_contain_text("1 span selected")
    expect(other.details.locator("strong")).to_have_text("Plan the test")
    agree(nb, one)
    nb.execute("explorer.hue = 'location_id'")
    for driver in (one, other):
        expect(driver.root.get_by_role("list", name="colours")).to_have_text("atticdesklab")


# Pixels

PROBE = seconds("ann 7.3 11.9 desk", "bob 0 60 lab")


def edge(row: np.ndarray, color: list[int], near: float) -> float:
    """The start of a colour in a row of pixels, near a pixel; its share of the first pixel gives the fraction."""
    first = max(int(near) - 6, 0)
    ground = row[first]
    channel = int(np.abs(ground - color).argmax())
    share = np.clip((row[:, channel] - ground[channel]) / (color[channel] - ground[channel]), 0, 1)
    full = first + int(np.flatnonzero(share[first : first + 14] > 0.99)[0])
    return full - float(share[full - 1])


def lines(row: np.ndarray, least: float) -> list[float]:
    """The centres of dark lines in a row of pixels."""
    dark = row.max() - row
    inside = np.flatnonzero(dark >= least)
    groups = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1) if len(inside) else []
    return [float(((group + 0.5) * dark[group]).sum() / dark[group].sum()) for group in groups]


def test_bars_begin_and_end_where_their_times_are_at_every_zoom(nb, shown):
    driver = shown(PROBE)
    color, top = channels(palette(["ann", "bob"])["ann"]), 26 + tops_of(PROBE)["a"] + 1
    for width in 60 / 2.0 ** np.arange(10):
        window = [round((7.3 - width * 0.4) * SECOND), round((7.3 + width * 0.6) * SECOND)]
        window = [max(window[0], 0), max(window[0], 0) + window[1] - window[0]]
        nb.execute(f"explorer.window = ({window[0]}, {window[1]})")
        eventually(driver.window, window)
        row, right = driver.pixels()[top], driver.canvas.bounding_box()["width"]
        assert edge(row, color, driver.x(7.3 * SECOND)) == pytest.approx(driver.x(7.3 * SECOND), abs=0.5), width
        if (end := driver.x(11.9 * SECOND)) < right - 8:
            mirrored = edge(row[::-1], color, len(row) - end)
            assert len(row) - mirrored == pytest.approx(end, abs=0.5), width


def test_ticks_are_above_the_grid_and_at_round_times_at_every_zoom(nb, shown):
    driver = shown(PROBE)
    for width in 60 / 2.0 ** np.arange(10):
        window = [0, round(width * SECOND)]
        nb.execute(f"explorer.window = ({window[0]}, {window[1]})")
        eventually(driver.window, window)
        view, gray = driver.view(), driver.pixels().mean(axis=2)
        ticks, grid = (lines(gray[y, view["gutter"] :], 5) for y in (view["ruler"] - 4, view["ruler"] + view["height"] - 3))
        assert ticks == pytest.approx(grid, abs=0.25)
        assert ticks[0] + view["gutter"] == pytest.approx(driver.x(0), abs=0.5)  # where the zero line is
        assert np.diff(ticks).std() < 0.5
        step = np.diff(ticks).mean() / view["scale"]
        assert min(abs(step / (digit * 10.0**power) - 1) for digit in (1, 2, 5, 15, 30) for power in range(9)) < 0.01


def test_the_zero_line_is_darker_than_the_grid(nb, shown):
    driver = shown(seconds("ann -7.3 11.9 desk", "bob -20 60 lab"))
    for window in [[-20, 60], [-20, 5], [-20, -19.3]]:  # the time since the start is 0 there
        ends = [round(second * SECOND) for second in window]
        nb.execute(f"explorer.window = ({ends[0]}, {ends[1]})")
        eventually(driver.window, [end + 20 * SECOND for end in ends])
        view, gray = driver.view(), driver.pixels().mean(axis=2)
        zero = lines(gray[view["ruler"] + view["height"] - 3, view["gutter"] :], 40)
        assert zero == [pytest.approx(driver.x(0) - view["gutter"], abs=0.5)]


# Appearance


def test_it_is_dark_in_a_dark_notebook(nb, shown, tmp_path, request):
    driver = shown()
    for theme, paper in {"Dark": "#16191f", "Light": "#ffffff"}.items():
        nb.page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        expect(driver.root).to_have_attribute("data-theme", theme.lower())
        eventually(lambda paper=paper: driver.pixels()[-3, 60].tolist(), channels(paper))
        nb.screenshot(tmp_path / f"{theme}.png")


def test_a_canvas_has_the_colours_of_the_theme_from_its_first_frame(nb, shown):
    assert shown().pixels()[-3, 60].tolist() == [255, 255, 255]


def test_a_narrow_page_wraps_the_tools_and_overflows_nowhere(nb, shown, tmp_path):
    if nb.page.locator(".jp-FileBrowser").is_visible():
        nb.command("application:toggle-left-area")
    nb.page.set_viewport_size({"width": 600, "height": 900})
    try:
        driver = shown(DEMOS)
        driver.press(".")
        expect(driver.details).to_be_visible()
        nb.screenshot(tmp_path / "narrow.png")
        too_wide = (
            "root => [root, ...root.children].filter(node => node.scrollWidth > node.clientWidth).map(node => node.className)"
        )
        assert driver.root.evaluate(too_wide) == []
        inside = "root => [...root.querySelectorAll('.tv-bar button, .tv-bar input, .tv-bar select')].every(node =>"
        inside += " node.getBoundingClientRect().right <= root.getBoundingClientRect().right)"
        assert driver.root.evaluate(inside)
        assert driver.canvas.bounding_box()["width"] >= 200
        assert driver.view()["width"] >= 100
    finally:
        nb.page.set_viewport_size({"width": 1280, "height": 900})


def test_every_control_has_a_name_and_a_visible_focus(nb, shown):
    driver = shown(DEMOS)
    driver.press(".")
    expect(driver.details).to_be_visible()
    driver.root.locator(".tv-agents-button").click()
    names = "root => [...root.querySelectorAll('button, input, select')].map(node => [node.outerHTML,"
    names += " (node.ariaLabel || node.labels?.[0]?.textContent || node.textContent).trim()])"
    named = driver.root.evaluate(names)
    assert len(named) > 12
    assert [markup for markup, name in named if not name] == []
    expect(driver.canvas).to_have_attribute(
        "aria-label", "Timeline of kitchen-sink: 7 spans, 3 agents, 2 locations. Press ? for keyboard shortcuts."
    )
    expect(driver.root.get_by_role("status").filter(has_text="span")).to_have_count(1)
    driver.search.focus()
    nb.page.keyboard.press("Escape")
    expect(driver.canvas).to_be_focused()
    outline = "node => [getComputedStyle(node).outlineStyle, getComputedStyle(node).outlineWidth]"
    assert driver.canvas.evaluate(outline) == ["solid", "2px"]


# The file


def test_a_saved_notebook_contains_a_picture_and_no_span_data(nb, shown):
    many = pd.concat([OFFICE, crowd(20_000)])
    driver = shown(many)
    expect(driver.figures).to_contain_text("20,008 spans")
    nb.save()
    text = nb.path.read_text()
    (output,) = json.loads(text)["cells"][1]["outputs"]
    assert {"image/png", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(output["data"])
    assert "swordfish" not in text
    assert "crowd-12345" not in text
    assert len(text) < 200_000
    state = "{name: str(value) for name, value in explorer.get_state().items() if name not in ('_esm', '_css')}"
    assert all(len(value) < 100 for value in nb.evaluate(state).values())


def crowd(count: int) -> pd.DataFrame:
    start = np.arange(count, dtype=np.int64) * 3000
    frame = {"id": [f"crowd-{number}" for number in range(count)], "trace_id": "t", "agent_id": "ann", "location_id": "hall"}
    return pd.DataFrame({**frame, "start_time": start, "end_time": start + 2000}).assign(data=None)


def test_there_were_no_errors_and_no_foreign_requests(nb):
    assert nb.errors == []
    assert nb.evaluate("problems") == []
    assert nb.foreign_requests == []


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_a_reopened_notebook_shows_the_state_of_python(chromium, jupyter, front):  # noqa: F811
    OFFICE.to_pickle(jupyter.root / "spans.pickle")
    with opened(chromium, jupyter, front) as nb:
        nb.execute("spans = pandas.read_pickle('spans.pickle')")
        nb.run(1)
        nb.execute(f"explorer.window, explorer.by = ({10 * SECOND}, {20 * SECOND}), 'kind'")
        nb.execute("explorer.agents, explorer.selection = ['ann'], spans[spans['id'] == 'c']")
        nb.save()
        nb.page.reload()
        nb.wait()
        nb.wait_for_kernel()
        driver = driver_in(nb, 1)
        assert driver.window() == [10 * SECOND, 20 * SECOND]
        expect(driver.root.get_by_role("combobox", name="by")).to_have_value("kind")
        expect(driver.root.get_by_role("button", name="1 of 3 agents")).to_be_visible()
        expect(driver.details.locator("strong")).to_have_text("Plan the test")
        driver.press("0")  # and Python hears of changes there
        whole = [int(OFFICE["start_time"].min()), int(OFFICE["end_time"].max())]
        eventually(lambda: nb.evaluate("explorer.window"), whole)
        assert nb.errors == []
