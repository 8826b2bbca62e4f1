import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browsers import PANEL, Front, Jupyter, NotebookPage, chromium, jupyter, open_notebook  # noqa: F401
from conftest import with_data
from explorers import BAR, PATIENCE, SECOND, Seen, eventually, seconds, tops_of
from playwright.sync_api import Browser, expect

from tokenvis import palette
from tokenvis.layout.time_map import time_map

pytestmark = pytest.mark.full
expect.set_options(timeout=PATIENCE * 1000)

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
import sys
problems = []  # what goes wrong while the kernel hears a page, which a notebook does not show
get_ipython().showtraceback = lambda *_, **options: problems.append(repr(sys.exc_info()[1]))
"""


@contextmanager
def opened(chromium: Browser, jupyter: Jupyter, front: Front) -> Iterator[NotebookPage]:  # noqa: F811
    """A notebook in which an explorer can be shown."""
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
def shown(nb: NotebookPage) -> Callable[..., Seen]:
    """Explores spans in the notebook, anew: ``shown(OFFICE, by="kind")``; spans may be an expression of the kernel."""

    def show(spans: pd.DataFrame | str = OFFICE, **options: Any) -> Seen:
        if isinstance(spans, pd.DataFrame):
            spans.to_pickle(nb.jupyter.root / "spans.pickle")
            spans = "pandas.read_pickle('spans.pickle')"
        nb.execute(f"spans, options = {spans}, {options!r}")
        nb.page.mouse.move(0, 0)
        nb.run(1)
        return seen_in(nb, 1)

    return show


def seen_in(nb: NotebookPage, cell: int) -> Seen:
    return Seen(nb.page, nb.output(cell).locator(".tokenvis"))


def agree(nb: NotebookPage, seen: Seen) -> list[int]:
    """Wait until Python's window is the one that is seen, within a microsecond; it is returned."""
    window = seen.window()
    eventually(
        lambda: [abs(ours - told) <= 1 for ours, told in zip(nb.evaluate("explorer.window"), window, strict=True)], [True] * 2
    )
    return window


def selected(nb: NotebookPage) -> list[str]:
    return nb.evaluate("explorer.selection['id'].tolist()")


def cells_of(nb: NotebookPage) -> list[Any]:
    """What a key of the notebook could change: its cells, whether they were run again, and its dialogs."""
    cell = "cell => [cell.model.type, cell.model.sharedModel.source, cell.model.executionCount ?? null]"
    dialogs = "document.querySelectorAll('.jp-Dialog').length"
    return [nb.page.evaluate(f"[...{PANEL}.content.widgets.map({cell}), {dialogs}]"), nb.evaluate("__import__('os').getpid()")]


@contextmanager
def unchanged(nb: NotebookPage) -> Iterator[None]:
    """Whatever is done inside, the notebook stays as it was; if not, it is put in order for the next test."""
    before = cells_of(nb)
    yield
    after = cells_of(nb)
    if after != before:
        nb.page.evaluate(f"{PANEL}.context.revert()")
    assert after == before


# The window


def test_ctrl_and_wheel_zoom_about_the_pointer(nb, shown):
    seen = shown()
    point = seen.at(400, 80)
    for turns in [-300, -500, 200, -900]:
        place = seen.place(400)
        before = seen.view()["scale"]
        seen.wheel(point, 0, turns, "Control")
        assert (seen.view()["scale"] > before) == (turns < 0)
        assert seen.x(place) == pytest.approx(400, abs=0.5)
        agree(nb, seen)


@pytest.mark.parametrize(("dx", "dy", "keys"), [(120, 0, []), (0, 120, ["Shift"])], ids=["sideways", "shift"])
def test_a_wheel_pans_in_time(nb, shown, dx, dy, keys):
    seen = shown()
    nb.execute(f"explorer.window = ({20 * SECOND}, {30 * SECOND})")
    eventually(seen.window, [20 * SECOND, 30 * SECOND])
    place, scale = seen.place(400), seen.view()["scale"]
    seen.wheel(seen.at(400, 80), dx, dy, *keys)
    assert seen.view()["scale"] == pytest.approx(scale)
    assert 400 - seen.x(place) == pytest.approx(120, rel=0.05)
    agree(nb, seen)


def test_an_upright_wheel_scrolls_the_lanes(nb, shown):
    seen = shown(TOWER)
    window = seen.window()
    nb.page.mouse.move(*seen.at(400, 80))
    nb.page.mouse.wheel(0, 130)
    eventually(lambda: seen.view()["top"], 130)
    assert seen.window() == window
    seen.click(seen.on(TOWER, TOWER["id"][9]))
    eventually(lambda: selected(nb), [TOWER["id"][9]])


def test_a_drag_pans_in_time_and_scrolls_the_lanes(nb, shown):
    seen = shown(TOWER)
    nb.execute(f"explorer.window = ({10 * SECOND}, {20 * SECOND})")
    eventually(seen.window, [10 * SECOND, 20 * SECOND])
    place = seen.place(500)
    seen.drag(seen.at(500, 150), seen.at(420, 100))
    assert seen.x(place) == pytest.approx(420, abs=0.5)
    assert seen.view()["top"] == 50
    assert agree(nb, seen)[0] > 10 * SECOND
    assert selected(nb) == []


def test_keys_zoom_and_pan(nb, shown):
    seen = shown()
    for key, is_closer in {"+": True, "w": True, "=": True, "W": True, "-": False, "s": False}.items():
        scale = seen.view()["scale"]
        seen.press(key)
        assert (seen.view()["scale"] > scale) == is_closer, key
    for key, is_later in {"d": True, "ArrowRight": True, "a": False, "ArrowLeft": False}.items():
        (start, end), _ = seen.window(), seen.press(key)
        window = seen.window()
        assert (window[0] > start) == is_later, key
        assert np.diff(window)[0] == pytest.approx(end - start, abs=2), key
    agree(nb, seen)
    seen.press("0")
    assert agree(nb, seen) == [0, 60 * SECOND]
    expect(seen.percent).to_have_text("100%")


def test_f_shows_the_selection(nb, shown):
    seen = shown()
    seen.click(seen.on(OFFICE, "d"))
    seen.press("f")
    assert agree(nb, seen) == [14 * SECOND, 26 * SECOND]


def test_a_double_click_zooms_to_a_span(nb, shown):
    seen = shown()
    point = seen.on(OFFICE, "d")
    nb.page.mouse.click(*point)
    expect(seen.details).to_be_visible()
    seen.view()  # a hand is slower than a frame
    nb.page.mouse.down(click_count=2)
    nb.page.mouse.up(click_count=2)
    assert agree(nb, seen) == [14 * SECOND, 26 * SECOND]


def test_buttons_zoom_and_say_how_far(nb, shown):
    seen = shown()
    button = seen.root.get_by_role("button", name="zoom in (+)")
    for percent, window in {"150%": [10, 50], "225%": [50 / 3, 130 / 3]}.items():
        button.click()
        expect(seen.percent).to_have_text(percent)
        assert agree(nb, seen) == [round(second * SECOND) for second in window]
    seen.root.get_by_role("button", name="zoom out (-)").click()
    expect(seen.percent).to_have_text("150%")
    seen.root.get_by_role("button", name="show all of the trace (0)").click()
    expect(seen.percent).to_have_text("100%")
    assert agree(nb, seen) == [0, 60 * SECOND]


def test_a_drag_on_the_ruler_zooms_to_that_time(nb, shown):
    seen = shown()
    ends = [seen.place(300), seen.place(500)]
    seen.drag(seen.at(300, 12), seen.at(500, 60))
    assert seen.window() == pytest.approx(ends, abs=2)
    agree(nb, seen)


def test_python_sets_and_observes_the_window(nb, shown):
    seen = shown()
    nb.execute("heard = []; explorer.observe(lambda change: heard.append(change['new']), 'window')")
    nb.execute(f"explorer.window = ({20 * SECOND}, {35 * SECOND})")
    eventually(seen.window, [20 * SECOND, 35 * SECOND])
    expect(seen.percent).to_have_text("400%")
    seen.press("0")
    eventually(lambda: nb.evaluate("heard"), [[20 * SECOND, 35 * SECOND], [0, 60 * SECOND]])


def test_a_window_beyond_the_trace_is_the_same_on_both_sides(nb, shown):
    seen = shown()
    nb.execute(f"explorer.window = ({-30 * SECOND}, {30 * SECOND})")
    expect(seen.percent).to_have_text("100%")
    agree(nb, seen)


# The selection, and details


def test_a_click_selects_a_span_and_shows_its_details(nb, shown):
    seen = shown()
    expect(seen.details).to_be_hidden()
    seen.click(seen.on(OFFICE, "a"))
    eventually(lambda: selected(nb), ["a"])
    terms = seen.details.locator("dl")
    expect(terms).to_have_text("agentannlocationdeskstart0duration10 sida")
    expect(seen.details.locator("strong")).to_have_text("Plan the day")
    expect(seen.figures).to_contain_text("1 span selected")
    tree = seen.details.get_by_role("tree")
    expect(tree).to_contain_text("kind: think")
    for key in ["attributes {1}", "depth {1}", "more [2]"]:
        tree.locator("summary", has_text=key).click()
    expect(tree).to_contain_text("1: 12345678901234567890")
    seen.details.get_by_role("button", name="copy the data").click()
    expect(seen.details.get_by_text("copied")).to_be_visible()
    copied = nb.page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied) == json.loads(OFFICE["data"][0])
    seen.details.get_by_role("button", name="close (Escape)").click()
    expect(seen.details).to_be_hidden()
    eventually(lambda: selected(nb), [])


def test_terms_of_the_details_stand_on_one_line(nb, shown):
    seen = shown()
    seen.press(".")
    expect(seen.details).to_contain_text("Plan the day")
    terms = "node => [...node.querySelectorAll('dt')].map(term => term.offsetHeight)"
    assert max(seen.details.evaluate(terms)) < 24


def test_a_span_without_data_has_details_too(nb, shown):
    seen = shown()
    seen.click(seen.on(OFFICE, "d"))
    expect(seen.details).to_contain_text("no data")
    expect(seen.details.locator("strong")).to_have_text("eve")


def test_a_click_beside_all_spans_selects_nothing(nb, shown):
    seen = shown()
    seen.click(seen.on(OFFICE, "a"))
    eventually(lambda: selected(nb), ["a"])
    seen.click(seen.at(seen.x(2 * SECOND), 26 + tops_of(OFFICE)["c"] + 4))
    eventually(lambda: selected(nb), [])


def test_ctrl_and_click_add_a_span_and_take_it_away(nb, shown):
    seen = shown()
    seen.click(seen.on(OFFICE, "f"))
    for span, wanted in [("a", ["a", "f"]), ("h", ["a", "f", "h"]), ("a", ["f", "h"])]:
        seen.click(seen.on(OFFICE, span), "Control")
        eventually(lambda wanted=wanted: selected(nb), wanted)
    expect(seen.figures).to_contain_text("2 spans selected · wall 30 s · active 30 s · busy 45 s")


@pytest.mark.parametrize("box", [(8, 33, 10, 90), (31, 16, 120, 5), (50, 100, 0, 59)], ids=["right", "left", "down"])
def test_shift_and_drag_select_what_a_box_touches(nb, shown, box):
    seen = shown()
    start, top, end, bottom = box[0] * SECOND, box[2], box[1] * SECOND, box[3]
    start, end = (min(time, 60 * SECOND) for time in (start, end))
    view = seen.view()
    seen.drag(seen.at(seen.x(start), view["ruler"] + top), seen.at(seen.x(end), view["ruler"] + bottom), "Shift")
    (first, last), (high, low) = sorted([start, end]), sorted([top, bottom])
    tops = OFFICE["id"].map(tops_of(OFFICE))
    touched = (OFFICE["start_time"] <= last) & (OFFICE["end_time"] >= first) & (tops <= low) & (tops + BAR >= high)
    assert 0 < touched.sum() < len(OFFICE)
    eventually(lambda: selected(nb), OFFICE["id"][touched].tolist())
    expect(seen.figures).to_contain_text(f"{touched.sum()} span")
    assert seen.window() == [0, 60 * SECOND]


def test_comma_and_full_stop_step_from_span_to_span(nb, shown):
    seen = shown()
    for key, span in [(".", "a"), (".", "f"), (".", "b"), (".", "c"), (",", "b"), (",", "f"), (",", "a"), (",", "a")]:
        seen.press(key)
        eventually(lambda: selected(nb), [span])
    expect(seen.details.locator("strong")).to_have_text("Plan the day")


def test_python_sets_and_observes_the_selection(nb, shown):
    seen = shown()
    nb.execute("heard = []; explorer.observe(lambda change: heard.append(change['new']['id'].tolist()), 'selection')")
    nb.execute("explorer.selection = spans[spans['agent_id'] == 'eve']")
    expect(seen.figures).to_contain_text("2 spans selected")
    nb.execute("explorer.selection = spans[spans['id'] == 'g']")
    expect(seen.details.locator("strong")).to_have_text("swordfish")
    expect(seen.details.locator("dl")).to_contain_text("error")
    seen.press("Escape")
    expect(seen.details).to_be_hidden()
    eventually(lambda: nb.evaluate("heard"), [["d", "f"], ["g"], []])
    assert nb.evaluate("explorer.selection.columns.tolist() == spans.columns.tolist()")


# Search


@pytest.mark.parametrize(
    ("query", "found"), [("EVE", ["d", "f"]), ("attic", ["g", "h"]), ("plan", ["a", "c"])], ids=["agent", "location", "label"]
)
def test_search_finds_agents_locations_and_labels(nb, shown, query, found):
    seen = shown()
    seen.press("/")
    expect(seen.search).to_be_focused()
    nb.page.keyboard.type(query)
    expect(seen.found).to_have_text("2")
    for key, match in [("Enter", 0), ("Enter", 1), ("Enter", 0), ("Shift+Enter", 1)]:
        nb.page.keyboard.press(key)
        expect(seen.found).to_have_text(f"{match + 1}/2")
        eventually(lambda match=match: selected(nb), [found[match]])
    nb.page.keyboard.press("Escape")
    expect(seen.canvas).to_be_focused()
    for key, match in [("n", 0), ("p", 1)]:
        nb.page.keyboard.press(key)
        expect(seen.found).to_have_text(f"{match + 1}/2")


def test_enter_goes_on_to_the_next_match_however_fast_one_types(nb, shown):
    seen = shown()
    seen.search.fill("plan")
    seen.search.press("Enter")
    expect(seen.found).to_have_text("1/2")
    nb.page.wait_for_timeout(400)  # nothing more may happen: the search itself waits 150 ms for more letters
    expect(seen.found).to_have_text("1/2")
    seen.search.press("Enter")
    eventually(lambda: selected(nb), ["c"])


def test_a_search_counts_only_agents_that_are_shown(nb, shown):
    seen = shown()
    seen.search.fill("plan")
    expect(seen.found).to_have_text("2")
    nb.execute("explorer.agents = ['bob', 'eve']")
    expect(seen.found).to_have_text("0")


def test_a_match_out_of_view_is_brought_into_view(nb, shown):
    seen = shown(TOWER)
    nb.execute(f"explorer.window = (0, {4 * SECOND})")
    eventually(seen.window, [0, 4 * SECOND])
    seen.search.fill("floor-33")
    expect(seen.found).to_have_text("1")
    seen.search.press("Enter")
    eventually(lambda: selected(nb), [TOWER["id"][33]])
    start, end = agree(nb, seen)
    assert start <= 33 * SECOND < 34 * SECOND <= end
    view = seen.view()
    assert 0 <= tops_of(TOWER)[TOWER["id"][33]] - view["top"] <= view["height"] - BAR


# Agents, bands, colours


def test_check_boxes_hide_agents(nb, shown):
    seen = shown()
    seen.root.get_by_role("button", name="3 agents").click()
    expect(seen.agents.locator("label")).to_have_text(["ann3", "bob3", "eve2"])
    box = seen.agents.get_by_role("checkbox", name="bob")
    box.uncheck()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "eve"])
    expect(seen.root.get_by_role("button", name="2 of 3 agents")).to_be_visible()
    expect(seen.figures).to_contain_text("5 spans · wall 1 m")
    box.check()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "bob", "eve"])
    seen.agents.get_by_role("button", name="hide all agents").click()
    eventually(lambda: nb.evaluate("explorer.agents"), [])
    seen.agents.get_by_role("searchbox", name="find an agent").fill("ev")
    expect(seen.agents.locator("label")).to_have_text(["eve2"])
    seen.agents.get_by_role("button", name="show all agents").click()
    eventually(lambda: nb.evaluate("explorer.agents"), ["ann", "bob", "eve"])


def test_python_sets_and_observes_agents(nb, shown):
    seen = shown()
    nb.execute("heard = []; explorer.observe(lambda change: heard.append(change['new']), 'agents')")
    nb.execute("explorer.agents = ['eve', 'ann']")
    expect(seen.root.get_by_role("button", name="2 of 3 agents")).to_be_visible()
    seen.click(seen.on(OFFICE, "b"))  # of Bob, who is hidden
    seen.root.get_by_role("button", name="2 of 3 agents").click()
    seen.agents.get_by_role("checkbox", name="bob").check()
    eventually(lambda: nb.evaluate("heard"), [["ann", "eve"], ["ann", "bob", "eve"]])
    assert selected(nb) == []


@pytest.mark.parametrize("key", ["agent_id", "kind"])
def test_by_makes_the_bands(nb, shown, key):
    seen = shown()
    seen.root.get_by_role("combobox", name="by").select_option(key)
    eventually(lambda: nb.evaluate("explorer.by"), key)
    kinds = OFFICE.assign(kind=["think", "write", "think", "", "", "", "write", ""])
    seen.click(seen.on(kinds, "g", key))
    eventually(lambda: selected(nb), ["g"])


def test_hue_gives_the_colours(nb, shown):
    seen = shown()
    legend = seen.root.get_by_role("list", name="colours")
    expect(legend).to_have_text("annbobeve")
    seen.root.get_by_role("combobox", name="hue").select_option("location_id")
    eventually(lambda: nb.evaluate("explorer.hue"), "location_id")
    expect(legend).to_have_text("atticdesklab")
    view, colors = seen.view(), palette(["desk", "lab", "attic"])
    drawn = seen.pixels()
    for span, location in [("f", "desk"), ("c", "lab"), ("h", "attic")]:
        row = OFFICE.set_index("id").loc[span]
        pixel = drawn[view["ruler"] + tops_of(OFFICE)[span] + 1, int(seen.x(row["end_time"])) - 9]
        assert pixel.tolist() == channels(colors[location]), span


def channels(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def test_python_sets_and_observes_by_and_hue(nb, shown):
    seen = shown()
    nb.execute("heard = []; explorer.observe(lambda change: heard.append(change['new']), ['by', 'hue'])")
    nb.execute("explorer.by = 'kind'; explorer.hue = 'kind'")
    expect(seen.root.get_by_role("combobox", name="by")).to_have_value("kind")
    expect(seen.root.get_by_role("combobox", name="hue")).to_have_value("kind")
    expect(seen.root.get_by_role("list", name="colours")).to_contain_text("thinkwrite")
    seen.root.get_by_role("combobox", name="by").select_option("agent_id")
    eventually(lambda: nb.evaluate("heard"), ["kind", "kind", "agent_id"])


def test_what_python_sets_at_once_is_shown(nb, shown):
    nb.execute("real, tokenvis.explore = tokenvis.explore, lambda *args, **options: changed(real(*args, **options))")
    nb.execute("def changed(it):\n    it.window, it.agents = (5000000, 9000000), ['ann']\n    return it")
    try:
        seen = shown(by="kind", hue="kind")
    finally:
        nb.execute("tokenvis.explore = real")
    eventually(seen.window, [5 * SECOND, 9 * SECOND])
    expect(seen.root.get_by_role("button", name="1 of 3 agents")).to_be_visible()


def test_a_click_on_a_name_folds_a_band_and_unfolds_it(nb, shown):
    seen = shown()
    lab = seen.at(30, 26 + tops_of(OFFICE)["c"] + 8)
    settled(nb, seen)
    before = seen.pixels()
    with seen.redrawn():
        seen.click(lab)
    folded = seen.pixels()
    assert (before != folded).any()
    seen.click(seen.on(OFFICE, "c"))
    eventually(lambda: selected(nb), ["c", "d"])  # that are there at that time, in any lane
    with seen.redrawn():
        seen.click(lab)
    seen.press("Escape")
    nb.page.mouse.move(0, 0)
    assert (seen.pixels() == before).all()
    seen.click(seen.on(OFFICE, "c"))
    eventually(lambda: selected(nb), ["c"])


def test_g_folds_long_gaps_and_unfolds_them(nb, shown):
    seen = shown(LONG_GAP)
    mapping, top = time_map(LONG_GAP), 26 + tops_of(LONG_GAP)["c"] + 4
    late = mapping.to_x(np.array([202 * SECOND]))[0]
    assert late < 30 * SECOND
    seen.click(seen.at(seen.x(late), top))
    eventually(lambda: selected(nb), ["c"])
    seen.press("Escape", "g")
    seen.click(seen.at(seen.x(202 * SECOND), top))
    eventually(lambda: selected(nb), ["c"])
    assert nb.evaluate("explorer.window") == [0, 215 * SECOND]
    seen.press("Escape", "g")
    seen.click(seen.at(seen.x(late), top))
    eventually(lambda: selected(nb), ["c"])


def test_m_hides_moves_and_shows_them(nb, shown):
    seen = shown()
    expect(seen.figures).to_contain_text("8 spans")
    settled(nb, seen)
    with_moves = seen.pixels()
    seen.press("m")
    without = seen.pixels()
    assert (with_moves != without).any()
    seen.press("m")
    assert (seen.pixels() == with_moves).all()


def settled(nb: NotebookPage, seen: Seen) -> None:
    """Wait until frames no longer change: moves and labels come after the first one."""
    nb.page.mouse.move(0, 0)
    nb.page.wait_for_load_state("networkidle")
    eventually(lambda: bool((seen.pixels() == (nb.page.wait_for_timeout(150), seen.pixels())[1]).all()), True)


# Help, Escape, keys


def test_question_mark_shows_the_help_and_escape_closes_what_is_open(nb, shown):
    seen = shown()
    seen.press("?")
    expect(seen.help).to_be_visible()
    expect(seen.help.locator("tr")).to_have_count(19)
    seen.page.keyboard.press("Escape")
    expect(seen.help).to_be_hidden()
    seen.root.get_by_role("button", name="3 agents").click()
    expect(seen.agents).to_be_visible()
    seen.page.keyboard.press("Escape")
    expect(seen.agents).to_be_hidden()
    seen.root.get_by_role("button", name="keys and mouse (?)").click()
    seen.help.get_by_role("button", name="close (Escape)").click()
    expect(seen.canvas).to_be_focused()


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
    seen = shown()
    with unchanged(nb):
        for key in KEYS:
            seen.root.locator(place).first.focus()
            nb.page.keyboard.press(key)


@pytest.mark.parametrize("place", ["canvas", "checkbox", "close", ".tv-details dl", ".tv-legend", ".tv-figures"])
def test_keys_stay_in_the_explorer_after_a_click(nb, shown, place):
    seen = shown()
    seen.press(".")
    expect(seen.details).to_contain_text("Plan the day")
    if place == "checkbox":
        seen.root.get_by_role("button", name="3 agents").click()
        seen.agents.get_by_role("checkbox", name="bob").uncheck()
    elif place == "close":
        seen.details.get_by_role("button", name="close (Escape)").click()
    else:
        seen.root.locator(place).click()
    with unchanged(nb):
        for key in ["d", "d", "b", "m"]:  # and not "0 0": should it leak, it takes the kernel away from all tests after it
            nb.page.keyboard.press(key)


@pytest.mark.parametrize("closing", ["details", "trace"])
def test_keys_go_on_in_the_explorer_when_what_had_the_focus_is_gone(nb, shown, closing):
    seen = shown(DEMOS)
    if closing == "details":
        seen.press(".")
        seen.details.get_by_role("button", name="close (Escape)").click()
        expect(seen.details).to_be_hidden()
    else:
        seen.root.get_by_role("combobox", name="trace").focus()
        seen.root.get_by_role("combobox", name="trace").select_option("multi-agent-workflow")
        expect(seen.root.get_by_role("combobox", name="trace")).to_have_value("multi-agent-workflow")
    assert seen.root.evaluate("root => root.contains(document.activeElement)")


# Traces


def test_a_user_chooses_among_traces(nb, shown):
    seen = shown(DEMOS)
    traces = seen.root.get_by_role("combobox", name="trace")
    expect(traces.locator("option")).to_have_text(["kitchen-sink (7)", "multi-agent-workflow (40)"])
    traces.select_option("multi-agent-workflow")
    eventually(lambda: nb.evaluate("explorer.trace"), "multi-agent-workflow")
    expect(seen.figures).to_contain_text("40 spans")
    assert agree(nb, seen) == nb.evaluate("[int(f(explorer._spans()[n])) for f, n in ((min, 'start_time'), (max, 'end_time'))]")
    nb.execute("explorer.trace = 'kitchen-sink'")
    expect(seen.figures).to_contain_text("7 spans")
    expect(seen.root.get_by_role("combobox", name="trace")).to_have_value("kitchen-sink")
    assert nb.evaluate("explorer.agents") == ["Alice", "Bob", "Charlie"]


def test_a_trace_that_is_chosen_at_once_begins_anew(nb, shown):
    seen = shown(DEMOS)
    zoom = "root.querySelector('[aria-label^=\"zoom in\"]').click()"
    choose = "const traces = root.querySelector('select'); traces.value = 'multi-agent-workflow'"
    seen.root.evaluate(f"root => {{ {zoom}; {choose}; traces.dispatchEvent(new Event('change')) }}")
    expect(seen.figures).to_contain_text("40 spans")
    nb.page.wait_for_timeout(300)  # a window is told 80 ms late
    agree(nb, seen)


def test_a_key_that_another_trace_lacks_is_given_up_on_both_sides(nb, shown):
    spans = pd.concat([OFFICE, seconds("ann 0 10 desk u").assign(id="z")])
    seen = shown(spans, by="kind")
    seen.root.get_by_role("combobox", name="trace").select_option("u")
    expect(seen.figures).to_contain_text("1 span")
    by = seen.root.get_by_role("combobox", name="by").input_value()
    eventually(lambda: nb.evaluate("explorer.by"), by)


EMPTY = "tokenvis.load_spans('kitchen-sink').iloc[:0]"


def test_an_empty_trace_says_so(nb):
    nb.execute(f"spans, options = {EMPTY}, {{}}")
    nb.run(1)
    root = nb.output(1).locator(".tokenvis")
    expect(root.locator(".tv-message")).to_have_text("This trace has no spans.")
    expect(root.locator(".tv-percent")).to_have_text("100%")


def test_keys_do_nothing_in_an_empty_trace(nb):
    nb.execute(f"spans, options = {EMPTY}, {{}}")
    nb.run(1)
    root = nb.output(1).locator(".tokenvis")
    root.locator("canvas").focus()
    for key in ["0", "w", "d", "f", "m", "g", ".", "n", "Escape"]:
        nb.page.keyboard.press(key)
    root.locator(".tv-search input").fill("x")
    nb.page.wait_for_timeout(500)  # the search and the window are told late
    assert nb.evaluate("[explorer.trace, explorer.agents, len(explorer.selection)]") == [None, [], 0]
    expect(root.locator(".tv-notes")).to_have_text("")
    assert nb.evaluate("problems") == []


def test_two_views_follow_each_other(nb, shown):
    one = shown()
    nb.run(2)
    other = seen_in(nb, 2)
    other.press("+")
    eventually(one.window, other.window())
    one.canvas.scroll_into_view_if_needed()
    one.click(one.on(OFFICE, "c"))
    expect(other.figures).to_contain_text("1 span selected")
    expect(other.details.locator("strong")).to_have_text("Plan the test")
    agree(nb, one)
    nb.execute("explorer.hue = 'location_id'")
    for seen in (one, other):
        expect(seen.root.get_by_role("list", name="colours")).to_have_text("atticdesklab")


# Pixels

PROBE = seconds("ann 7.3 11.9 desk", "bob 0 60 lab")


def edge(row: np.ndarray, color: list[int], near: float) -> float:
    """Where a colour begins in a row of pixels, near a pixel: what the first one has of it says where in that pixel."""
    first = max(int(near) - 6, 0)
    ground = row[first]
    channel = int(np.abs(ground - color).argmax())
    share = np.clip((row[:, channel] - ground[channel]) / (color[channel] - ground[channel]), 0, 1)
    full = first + int(np.flatnonzero(share[first : first + 14] > 0.99)[0])
    return full - float(share[full - 1])


def lines(row: np.ndarray, least: float) -> list[float]:
    """The middles of dark lines in a row of pixels."""
    dark = row.max() - row
    inside = np.flatnonzero(dark >= least)
    groups = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1) if len(inside) else []
    return [float(((group + 0.5) * dark[group]).sum() / dark[group].sum()) for group in groups]


def test_bars_begin_and_end_where_their_times_are_at_every_zoom(nb, shown):
    seen = shown(PROBE)
    color, top = channels(palette(["ann", "bob"])["ann"]), 26 + tops_of(PROBE)["a"] + 1
    for width in 60 / 2.0 ** np.arange(10):
        window = [round((7.3 - width * 0.4) * SECOND), round((7.3 + width * 0.6) * SECOND)]
        window = [max(window[0], 0), max(window[0], 0) + window[1] - window[0]]
        nb.execute(f"explorer.window = ({window[0]}, {window[1]})")
        eventually(seen.window, window)
        row, right = seen.pixels()[top], seen.canvas.bounding_box()["width"]
        assert edge(row, color, seen.x(7.3 * SECOND)) == pytest.approx(seen.x(7.3 * SECOND), abs=0.5), width
        if (end := seen.x(11.9 * SECOND)) < right - 8:
            mirrored = edge(row[::-1], color, len(row) - end)
            assert len(row) - mirrored == pytest.approx(end, abs=0.5), width


def test_ticks_stand_above_the_grid_and_at_round_times_at_every_zoom(nb, shown):
    seen = shown(PROBE)
    for width in 60 / 2.0 ** np.arange(10):
        window = [0, round(width * SECOND)]
        nb.execute(f"explorer.window = ({window[0]}, {window[1]})")
        eventually(seen.window, window)
        view, gray = seen.view(), seen.pixels().mean(axis=2)
        ticks, grid = (lines(gray[y, view["gutter"] :], 5) for y in (view["ruler"] - 4, view["ruler"] + view["height"] - 3))
        assert ticks == pytest.approx(grid, abs=0.25)
        assert ticks[0] + view["gutter"] == pytest.approx(seen.x(0), abs=0.5)  # where the zero line is
        assert np.diff(ticks).std() < 0.5
        step = np.diff(ticks).mean() / view["scale"]
        assert min(abs(step / (digit * 10.0**power) - 1) for digit in (1, 2, 5, 15, 30) for power in range(9)) < 0.01


def test_the_zero_line_is_darker_than_the_grid(nb, shown):
    seen = shown(seconds("ann -7.3 11.9 desk", "bob -20 60 lab"))
    for window in [[-20, 60], [-9, 5], [-0.5, 0.7]]:
        ends = [round(second * SECOND) for second in window]
        nb.execute(f"explorer.window = ({ends[0]}, {ends[1]})")
        eventually(seen.window, ends)
        view, gray = seen.view(), seen.pixels().mean(axis=2)
        zero = lines(gray[view["ruler"] + view["height"] - 3, view["gutter"] :], 40)
        assert zero == [pytest.approx(seen.x(0) - view["gutter"], abs=0.5)]


# Looks


def test_it_is_dark_where_the_notebook_is_and_looks_well(nb, shown, tmp_path, request):
    seen = shown()
    for theme, paper in {"Dark": "#16191f", "Light": "#ffffff"}.items():
        nb.page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        expect(seen.root).to_have_attribute("data-theme", theme.lower())
        eventually(lambda paper=paper: seen.pixels()[-3, 60].tolist(), channels(paper))
        nb.screenshot(tmp_path / f"{theme}.png")


def test_a_canvas_has_the_colours_of_the_theme_from_its_first_frame(nb, shown):
    assert shown().pixels()[-3, 60].tolist() == [255, 255, 255]


def test_a_narrow_page_wraps_the_tools_and_overflows_nowhere(nb, shown, tmp_path):
    if nb.page.locator(".jp-FileBrowser").is_visible():
        nb.command("application:toggle-left-area")
    nb.page.set_viewport_size({"width": 600, "height": 900})
    try:
        seen = shown(DEMOS)
        seen.press(".")
        expect(seen.details).to_be_visible()
        nb.screenshot(tmp_path / "narrow.png")
        too_wide = (
            "root => [root, ...root.children].filter(node => node.scrollWidth > node.clientWidth).map(node => node.className)"
        )
        assert seen.root.evaluate(too_wide) == []
        inside = "root => [...root.querySelectorAll('.tv-bar button, .tv-bar input, .tv-bar select')].every(node =>"
        inside += " node.getBoundingClientRect().right <= root.getBoundingClientRect().right)"
        assert seen.root.evaluate(inside)
        assert seen.canvas.bounding_box()["width"] >= 200
        assert seen.view()["width"] >= 100
    finally:
        nb.page.set_viewport_size({"width": 1280, "height": 900})


def test_everything_that_can_be_used_has_a_name_and_the_focus_is_seen(nb, shown):
    seen = shown(DEMOS)
    seen.press(".")
    expect(seen.details).to_be_visible()
    seen.root.locator(".tv-agents-button").click()
    names = "root => [...root.querySelectorAll('button, input, select')].map(node => [node.outerHTML,"
    names += " (node.ariaLabel || node.labels?.[0]?.textContent || node.textContent).trim()])"
    named = seen.root.evaluate(names)
    assert len(named) > 12
    assert [markup for markup, name in named if not name] == []
    expect(seen.canvas).to_have_attribute(
        "aria-label", "Timeline of kitchen-sink: 7 spans, 3 agents, 2 locations. Keys: question mark."
    )
    expect(seen.root.get_by_role("status").filter(has_text="span")).to_have_count(1)
    seen.search.focus()
    nb.page.keyboard.press("Escape")
    expect(seen.canvas).to_be_focused()
    outline = "node => [getComputedStyle(node).outlineStyle, getComputedStyle(node).outlineWidth]"
    assert seen.canvas.evaluate(outline) == ["solid", "2px"]


# The file


def test_a_saved_notebook_holds_a_picture_and_nothing_of_the_spans(nb, shown):
    many = pd.concat([OFFICE, crowd(20_000)])
    seen = shown(many)
    expect(seen.figures).to_contain_text("20,008 spans")
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


def test_nothing_went_wrong_and_nothing_foreign_was_asked_for(nb):
    assert nb.errors == []
    assert nb.evaluate("problems") == []
    assert nb.foreign_requests == []


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_a_notebook_that_is_opened_again_shows_what_python_has(chromium, jupyter, front):  # noqa: F811
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
        seen = seen_in(nb, 1)
        assert seen.window() == [10 * SECOND, 20 * SECOND]
        expect(seen.root.get_by_role("combobox", name="by")).to_have_value("kind")
        expect(seen.root.get_by_role("button", name="1 of 3 agents")).to_be_visible()
        expect(seen.details.locator("strong")).to_have_text("Plan the test")
        seen.press("0")  # and what is done there is heard
        whole = [int(OFFICE["start_time"].min()), int(OFFICE["end_time"].max())]
        eventually(lambda: nb.evaluate("explorer.window"), whole)
        assert nb.errors == []
