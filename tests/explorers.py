"""Shared by the tests of the explorer: where it must draw each span, computed independently, and a driver for its page.

A *view* describes a drawn frame: how axis times map to pixels of the canvas.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from browsers import pixels
from conftest import spans_of
from playwright.sync_api import Locator, Page, expect

from tokenvis import pack_lanes

SECOND = 1_000_000
TIMEOUT_S = 10
INSET = 6  # pixels on both sides of the window
TOP, LANE, BAR, BAND_GAP = 4, 18, 14, 8  # heights, in CSS pixels
NEXT_FRAME = "new Promise(done => root.addEventListener('tokenvis:frame', ({detail}) => done(detail.view), {once: true}))"
NO_FRAME = f"new Promise((_, fail) => setTimeout(() => fail(Error('no frame in {TIMEOUT_S} s')), {TIMEOUT_S * 1000}))"

Point = tuple[float, float]


def seconds(*rows: str) -> pd.DataFrame:
    """Spans written as text, "agent start end location [trace]", in seconds, with optional fractions."""
    words = [row.split() for row in rows]
    micros = [[round(float(time) * SECOND) for time in (start, end)] for _, start, end, *_ in words]
    return spans_of(*(" ".join(map(str, [row[0], *ends, *row[3:]])) for row, ends in zip(words, micros, strict=True)))


def tops_of(spans: pd.DataFrame, by: str = "location_id") -> dict[str, int]:
    """The top of each span's bar, in pixels below the ruler: bands in order of their first span, none folded."""
    packed = pack_lanes(spans, by=by)
    tops, top = {}, TOP
    for _, band in packed.groupby("band", sort=False, observed=True):
        tops |= dict(zip(band["id"], (top + LANE * band["lane"]).tolist(), strict=True))
        top += LANE * (int(band["lane"].max()) + 1) + BAND_GAP
    return tops


def eventually(probe: Callable[[], Any], expected: Any) -> None:
    """Wait until a probe returns the expected value: a kernel does not signal that it has handled a message."""
    deadline = time.monotonic() + TIMEOUT_S
    while (found := probe()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == expected, f"{found!r} is not {expected!r}"


class ExplorerDriver:
    """Drives an explorer in a page: reads what it shows, and sends input."""

    def __init__(self, page: Page, root: Locator) -> None:
        self.page = page
        self.root = root
        self.canvas = root.locator("canvas")
        self.figures = root.locator(".tv-figures")
        self.details = root.locator(".tv-details")
        self.agents = root.locator(".tv-agents")
        self.help = root.locator(".tv-help")
        self.percent = root.locator(".tv-percent")
        self.found = root.locator(".tv-found")
        self.search = root.locator(".tv-search input")
        self.canvas.scroll_into_view_if_needed()
        expect(root.locator(".tv-message")).to_be_hidden(timeout=TIMEOUT_S * 1000)

    # Frames

    def view(self) -> dict[str, Any]:
        """The current view: a scroll event without movement triggers a frame."""
        scroll = "root.querySelector('.tv-scroll').dispatchEvent(new Event('scroll'))"
        return self.root.evaluate(f"root => {{ const next = {NEXT_FRAME}; {scroll}; return Promise.race([next, {NO_FRAME}]) }}")

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Wait for the frame that the body of the ``with`` triggers."""
        self.view()
        self.root.evaluate(f"root => {{ root.next = {NEXT_FRAME} }}")
        yield
        self.root.evaluate(f"root => Promise.race([root.next, {NO_FRAME}]).then(() => null)")

    def x(self, axis_time: float) -> float:
        """The pixel of the canvas, from its left edge, at an axis time."""
        view = self.view()
        return view["gutter"] + (axis_time - view["left"]) * view["scale"]

    def axis_time(self, x: float) -> float:
        """The axis time at a pixel of the canvas."""
        view = self.view()
        return view["left"] + (x - view["gutter"]) / view["scale"]

    def window(self) -> list[int]:
        """The window between the insets, in µs."""
        view = self.view()
        ends = (view["left"] + pixel / view["scale"] for pixel in (INSET, view["width"] - INSET))
        return [round(end) for end in ends]

    def pixels(self) -> np.ndarray:
        """The pixels of the canvas after a frame, as floats."""
        self.view()
        return pixels(self.page, self.canvas)[..., :3].astype(float)

    # Pointer and keys

    def at(self, x: float, y: float) -> Point:
        """The point of the page at a point of the canvas."""
        box = self.canvas.bounding_box()
        assert box
        return box["x"] + x, box["y"] + y

    def on(self, spans: pd.DataFrame, span: str, by: str = "location_id") -> Point:
        """The middle of the visible part of a span, as a point of the page."""
        row = spans.set_index("id").loc[span]
        view = self.view()
        ends = np.clip([self.x(row["start_time"]), self.x(row["end_time"])], view["gutter"], view["gutter"] + view["width"])
        return self.at(float(ends.mean()), view["ruler"] + tops_of(spans, by)[span] + BAR / 2 - view["top"])

    def click(self, point: Point, *keys: str) -> None:
        with self.holding(*keys):
            self.page.mouse.click(*point)

    @contextmanager
    def holding(self, *keys: str) -> Iterator[None]:
        """Hold keys down."""
        for key in keys:
            self.page.keyboard.down(key)
        yield
        for key in keys:
            self.page.keyboard.up(key)

    def drag(self, start: Point, end: Point, *keys: str) -> None:
        with self.holding(*keys):
            self.page.mouse.move(*start)
            self.page.mouse.down()
            self.page.mouse.move(*end, steps=4)
            self.page.mouse.up()

    def wheel(self, point: Point, dx: float, dy: float, *keys: str) -> None:
        """Turn the wheel at a point, and wait for the frame."""
        self.page.mouse.move(*point)
        with self.redrawn(), self.holding(*keys):
            self.page.mouse.wheel(dx, dy)

    def press(self, *keys: str) -> None:
        """Press keys while the canvas has the focus."""
        self.canvas.focus()
        for key in keys:
            self.page.keyboard.press(key)
