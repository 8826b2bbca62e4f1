import base64
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browsers import Visit, chromium, offline_page  # noqa: F401
from conftest import with_data
from explorers import SECOND, TIMEOUT_S, ExplorerDriver, eventually, seconds, tops_of
from playwright.sync_api import expect

import tokenvis

pytestmark = pytest.mark.full
expect.set_options(timeout=TIMEOUT_S * 1000)

SECRET = "swordfish-8291"
OFFICE = with_data(
    seconds("ann 0 10 desk", "bob 5 20 desk", "ann 12 30 lab", "eve 15 25 lab", "bob 22 40 lab", "eve 30 60 attic"),
    a={"label": "Plan the day", "kind": "think", "attributes": {"gen_ai.prompt": SECRET}},
    b={"label": "Write a letter", "kind": "write"},
    d={"kind": "think", "prompt": SECRET, "attributes": {"gen_ai.usage.input_tokens": 12}},
    e={"label": f"Plan {SECRET}", "status": "error"},
)
OTHER = seconds("zoe 0 8 garden u", "zoe 8 9 gate u").assign(id=["y", "z"])

Opened = Callable[..., tuple[Visit, ExplorerDriver]]


@pytest.fixture
def opened(offline_page: Callable[..., Visit], tmp_path: Path) -> Opened:  # noqa: F811
    """Saves an explorer as a page, and opens it offline: ``opened(OFFICE, content="full")``."""

    def open_page(
        spans: pd.DataFrame = OFFICE, *, content: str = "full", change: Any = None, **options: Any
    ) -> tuple[Visit, ExplorerDriver]:
        explorer = tokenvis.explore(spans)
        if change:
            change(explorer)
        explorer.save(tmp_path / "page.html", content=content)
        visit = offline_page(tmp_path / "page.html", **options)
        return visit, ExplorerDriver(visit.page, visit.page.locator(".tokenvis"))

    return open_page


def test_a_page_opens_offline_and_makes_no_requests(opened):
    visit, driver = opened()
    expect(driver.figures).to_have_text("6 spans · wall 1 m · active 1 m · busy 1 m 41 s · tokens 12 in")
    assert driver.window() == [0, 60 * SECOND]
    assert visit.requests == [visit.home]
    assert (visit.errors, visit.warnings) == ([], [])
    expect(visit.page).to_have_title("t · tokenvis")
    assert visit.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [1280, 900]


def test_a_page_shows_how_long_the_selected_span_waits(opened):
    spans = seconds("lead 0 22 desk", "w0 1 11 desk", "w1 11 21 desk").assign(parent_id=[None, "a", "a"])
    _, driver = opened(spans)
    expect(driver.figures).to_have_text("3 spans · wall 22 s · active 22 s · busy 22 s")
    driver.click(driver.on(spans, "a"))
    expect(driver.figures).to_have_text("1 span selected · wall 22 s · active 2 s · busy 2 s · waits 20 s")


def test_a_page_shows_the_number_of_lost_spans(opened):
    lost = with_data(seconds("ann 0 10 desk", "tokenvis 3 8 tokenvis.lost"), b={"status": "error", "n_lost": 1234})
    _, driver = opened(lost)
    expect(driver.figures).to_contain_text("· 1,234 spans lost while recording")


def test_a_page_shows_the_view_of_the_explorer(opened):
    def change(explorer: Any) -> None:
        explorer.by, explorer.hue, explorer.window = "kind", "location_id", (10 * SECOND, 30 * SECOND)
        explorer.agents, explorer.selection = ["ann", "eve"], OFFICE[OFFICE["id"] == "d"]

    visit, driver = opened(change=change)
    assert driver.window() == [10 * SECOND, 30 * SECOND]
    expect(driver.root.get_by_role("combobox", name="by")).to_have_value("kind")
    expect(driver.root.get_by_role("combobox", name="hue")).to_have_value("location_id")
    expect(driver.root.get_by_role("button", name="2 of 3 agents")).to_be_visible()
    expect(driver.details).to_contain_text(SECRET)
    expect(driver.figures).to_contain_text("1 span selected")
    assert visit.errors == []


def test_a_page_zooms_selects_and_searches(opened):
    visit, driver = opened()
    place = driver.axis_time(600)
    driver.wheel(driver.at(600, 80), 0, -600, "Control")
    assert driver.x(place) == pytest.approx(600, abs=0.5)
    driver.press("0")
    expect(driver.percent).to_have_text("100%")
    driver.click(driver.on(OFFICE, "a"))
    expect(driver.details.locator("strong")).to_have_text("Plan the day")
    driver.details.locator("summary", has_text="attributes").click()
    expect(driver.details.get_by_role("tree")).to_contain_text(f"gen_ai.prompt: {SECRET}")
    driver.search.fill("plan")
    expect(driver.found).to_have_text("2")
    for match, title in enumerate(["Plan the day", f"Plan {SECRET}"], 1):
        driver.search.press("Enter")
        expect(driver.found).to_have_text(f"{match}/2")
        expect(driver.details.locator("strong")).to_have_text(title)
    driver.search.fill("lab")
    expect(driver.found).to_have_text("3")
    assert visit.errors == []


def test_a_page_selects_in_a_box(opened):
    _, driver = opened()
    top = 26 + tops_of(OFFICE)["a"]
    driver.drag(driver.at(driver.x(8 * SECOND), top - 2), driver.at(driver.x(16 * SECOND), top + 60), "Shift")
    expect(driver.figures).to_contain_text("3 spans selected · wall 30 s")  # a, b, c


def test_a_page_has_bands_colours_and_agents(opened):
    visit, driver = opened()
    by = driver.root.get_by_role("combobox", name="by")
    expect(by.locator("option")).to_contain_text(["agent", "location", "status", "kind"])
    by.select_option("kind")
    kinds = OFFICE.assign(kind=["think", "write", "", "think", "", ""])
    driver.click(driver.on(kinds, "d", "kind"))
    expect(driver.details.locator("dl")).to_contain_text("eve")
    driver.root.get_by_role("combobox", name="hue").select_option("kind")
    expect(driver.root.get_by_role("list", name="colours")).to_contain_text("thinkwrite")
    driver.page.keyboard.press("Escape")
    driver.root.get_by_role("button", name="3 agents").click()
    driver.agents.get_by_role("checkbox", name="bob").uncheck()
    expect(driver.figures).to_contain_text("4 spans")
    assert visit.errors == []


def test_a_page_shows_one_trace_after_the_other(opened):
    visit, driver = opened(pd.concat([OFFICE, OTHER]))
    expect(driver.figures).to_contain_text("6 spans")
    traces = driver.root.get_by_role("combobox", name="trace")
    traces.select_option("u")
    expect(driver.figures).to_contain_text("2 spans")
    assert driver.window() == [0, 9 * SECOND]
    driver.click(driver.on(OTHER, "z"))
    expect(driver.details).to_contain_text("gate")
    assert visit.errors == []


def test_an_empty_page_has_a_message(tmp_path, offline_page):  # noqa: F811
    tokenvis.explore(OFFICE.iloc[:0]).save(tmp_path / "page.html")
    visit = offline_page(tmp_path / "page.html")
    expect(visit.page.locator(".tv-message")).to_have_text("There are no spans.")
    visit.page.locator("canvas").focus()
    for key in ["0", "w", "d", "f", "m", "g", ".", "n", "Escape"]:
        visit.page.keyboard.press(key)
    visit.page.locator(".tv-search input").fill("x")
    visit.page.wait_for_timeout(300)  # the search is debounced by 150 ms
    assert visit.errors == []
    expect(visit.page.locator(".tv-notes")).to_have_text("")


# Free text


def unpacked(path: Path) -> str:
    """The text of a page, raw and with its blocks unpacked."""
    page = path.read_text()
    blocks = re.findall(r'<script type="text/plain" id="[\w-]+">([^<]*)</script>', page)
    assert len(blocks) > 5
    return page + "".join(gzip.decompress(base64.b64decode(block)).decode(errors="replace") for block in blocks)


@pytest.mark.parametrize(("content", "holds"), [("none", False), ("full", True)])
def test_a_page_contains_free_text_only_if_requested(tmp_path, content, holds):
    page = tokenvis.explore(OFFICE.assign(notes=f"my {SECRET}")).save(tmp_path / "page.html", content=content)
    text = unpacked(page.path)
    assert (SECRET in text) == holds
    assert ("Plan the day" in text) == holds
    assert all(name in text for name in ("ann", "desk", "gen_ai.usage.input_tokens"))
    assert str(page).endswith({"none": "6 spans, without free text", "full": "6 spans, with all texts"}[content])


def test_a_page_without_free_text_shows_names_and_a_note(opened):
    visit, driver = opened(content="none")
    driver.click(driver.on(OFFICE, "c"))
    expect(driver.details.locator("strong")).to_have_text("ann")
    expect(driver.details).to_contain_text("This page does not include texts.")
    driver.search.fill("plan")
    expect(driver.found).to_have_text("0")
    assert visit.errors == []


def test_nothing_of_a_trace_is_markup(opened):
    evil = '</script><img src=x onerror="window.hurt=1"><!--'
    spans = with_data(OFFICE.assign(agent_id=evil, location_id=evil, trace_id=evil), a={"label": evil, evil: evil})
    visit, driver = opened(spans)
    driver.click(driver.on(spans, "a"))
    expect(driver.details.locator("strong")).to_have_text(evil)
    expect(driver.details.get_by_role("tree")).to_contain_text(f"{evil}: {evil}")
    assert visit.page.evaluate("[window.hurt ?? null, document.images.length]") == [None, 0]
    assert (visit.requests, visit.errors) == ([visit.home], [])


# The page's own rules


def test_a_page_forbids_every_address_and_every_other_script(opened):
    visit, _ = opened()
    policy = visit.page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    visit.context.set_offline(False)
    failed = "() => fetch('http://example.com').then(() => 'fetched', error => error.message)"
    assert visit.page.evaluate(failed) == "Failed to fetch"
    inject = "code => { const made = document.createElement('script'); made.textContent = code; document.body.append(made) }"
    visit.page.evaluate(inject, "window.ran = true")
    assert visit.page.evaluate("window.ran ?? null") is None
    violated = [error for error in visit.errors if "Content Security Policy" in error]
    assert len(violated) >= 2
    assert not [address for address in visit.requests if "example" in address]


@pytest.mark.parametrize(("theme", "background"), [("light", [255, 255, 255]), ("dark", [22, 25, 31])])
def test_a_page_follows_the_preferred_color_scheme(opened, tmp_path, theme, background):
    visit, driver = opened(theme=theme)
    expect(driver.root).to_have_attribute("data-theme", theme)
    assert driver.pixels()[-3, 60].tolist() == background
    visit.screenshot(tmp_path / f"page-{theme}.png")
    other = {"light": "dark", "dark": "light"}[theme]
    visit.page.emulate_media(color_scheme=other)
    expect(driver.root).to_have_attribute("data-theme", other)
    eventually(lambda: driver.pixels()[-3, 60].tolist() == background, False)


@pytest.mark.parametrize("scale", [1, 1.5, 2])
def test_bars_are_where_their_times_are_on_every_screen(opened, scale):
    spans = seconds("ann 7.3 11.9 desk", "bob 0 60 lab")
    _, driver = opened(spans, scale=scale)
    assert driver.view()["ratio"] == scale
    color = tokenvis.palette(["ann", "bob"])["ann"]
    blue = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
    row = driver.pixels()[round((26 + tops_of(spans)["a"] + 1.5) * scale)]
    assert len(row) == round(1280 * scale)
    inside = np.flatnonzero(np.abs(row - blue).sum(axis=1) < 2)
    assert inside[0] / scale == pytest.approx(driver.x(7.3 * SECOND), abs=1 / scale)
    assert (inside[-1] + 1) / scale == pytest.approx(driver.x(11.9 * SECOND), abs=0.4 + 1 / scale)  # bars leave a gap of 0.4


def test_a_narrow_page_overflows_nowhere(opened, tmp_path):
    visit, driver = opened(pd.concat([OFFICE, OTHER]), width=400, height=700)
    driver.press(".")
    expect(driver.details).to_be_visible()
    visit.screenshot(tmp_path / "page-narrow.png")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 400
    too_wide = (
        "root => [root, ...root.children].filter(node => node.scrollWidth > node.clientWidth).map(node => node.className)"
    )
    assert driver.root.evaluate(too_wide) == []
    assert driver.view()["width"] > 200
