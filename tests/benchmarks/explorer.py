"""Speed of the explorer in JupyterLab in headless Chromium: ``npm run benchmarks:explorer -- 1000000``, or several counts.

Measures the time from the start of the cell to the first paint; the time to draw a frame while panning, zooming and scrolling;
a pan step against bokeh with the same spans and colours in a separate page; bytes per span; memory of the page. The default
is one and ten million spans; bokeh is skipped above one million. Needs Debian's ``chromium``, and bokeh (``pip install bokeh``)
for the comparison.
"""

import os
import platform
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from browsers import Jupyter, Visit, launched, open_notebook, served  # noqa: E402
from playwright.sync_api import Browser, Page  # noqa: E402
from questions import spans_of  # noqa: E402

import tokenvis as tv  # noqa: E402

COUNTS = (1_000_000, 10_000_000)
MAX_BOKEH_SPANS = 1_000_000
STEPS = 60  # frames per kind of movement
SLOW_STEPS = 5  # for bokeh
SETUP = """import sys; sys.path.insert(0, {folder!r})
from questions import spans_of
import tokenvis as tv
spans = spans_of({count})
tv.explore(spans.iloc[:10]); tv.plot_timeline(spans.iloc[:10]); import matplotlib.pyplot as plt; plt.close("all")"""
ANSWERS = "__import__('tokenvis.explorer.answers', fromlist=['Answers']).Answers(spans)"
LISTEN = """() => {
  window.frames_seen = []
  document.addEventListener('tokenvis:frame', ({ detail }) => window.frames_seen.push({ ...detail, at: performance.now() }))
}"""
FRAME = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))"


def measure_explorer(browser: Browser, server: Jupyter, count: int) -> dict[str, Any]:
    """Measurements of the explorer for a number of spans."""
    setup = SETUP.format(folder=str(Path(__file__).parent), count=count)
    with open_notebook(browser, server, "lab", [setup, "tv.explore(spans)"], height=900) as notebook:
        page = notebook.page
        page.set_default_timeout(90_000)
        notebook.run(0)
        page.evaluate(LISTEN)
        before = memory_of(page)
        begin = page.evaluate("performance.now()")
        notebook.start(1)
        first = page.wait_for_function(f"() => window.frames_seen.find(({{ n }}) => n === {count})").evaluate(
            "frame => frame.at"
        )
        page.wait_for_timeout(4000)  # for what loads after the first frame
        page.locator(".tv-canvas").focus()
        figures = {"first": (first - begin) / 1000, "memory": (memory_of(page) - before) / 1e6}
        for name, keys in {"pan": "d", "zoom": "w", "scroll": "ArrowDown"}.items():
            figures[name] = frames_of(page, keys)
        whole = np.concatenate([figures[name] for name in ("pan", "zoom", "scroll")])
        figures["p95"] = float(np.percentile(whole, 95))
        figures["bytes"] = notebook.evaluate(f"sum(map(len, {ANSWERS}.answer('trace', 't').buffers))") / count
        return figures


def frames_of(page: Page, key: str) -> list[float]:
    """Drawing times of frames in ms while a key is pressed repeatedly."""
    page.keyboard.press("0")
    for _ in range(4):
        page.keyboard.press("w")  # zoomed in, so that panning has an effect
    page.evaluate(FRAME)
    page.evaluate("() => { window.frames_seen.length = 0 }")
    for _ in range(STEPS):
        page.keyboard.press(key)
        page.evaluate(FRAME)
    return page.evaluate("() => window.frames_seen.map(({ took }) => took)")


def memory_of(page: Page) -> float:
    """Heap size of the page's scripts in bytes, with arrays, after garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0))


def bokeh_pan_ms(browser: Browser, count: int, folder: Path) -> float:
    """Time of one pan step of bokeh's bars in ms."""
    from bokeh.embed import file_html
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure
    from bokeh.resources import INLINE

    spans = spans_of(count)
    lanes = tv.pack_lanes(spans)
    row = spans["location_id"].cat.codes.to_numpy() * 100.0 + lanes["lane"].to_numpy()
    colors = spans["agent_id"].map(tv.palette(spans["agent_id"].cat.categories)).astype(object).to_numpy()
    columns = {
        "left": spans["start_time"].to_numpy(float),
        "right": spans["end_time"].to_numpy(float),
        "bottom": row,
        "top": row + 0.8,
    }
    plot = figure(width=1100, height=420, tools="xpan", output_backend="canvas", name="plot")
    plot.quad(
        "left",
        "right",
        "top",
        "bottom",
        fill_color="color",
        line_color=None,
        source=ColumnDataSource({**columns, "color": colors}),
    )
    path = folder / "bokeh.html"
    path.write_text(file_html(plot, INLINE, "bokeh"))
    with Visit(browser, path.as_uri(), offline=True) as visit:
        visit.page.set_default_timeout(600_000)
        visit.page.goto(visit.home)
        visit.page.wait_for_function(
            "() => window.Bokeh && Bokeh.index && Bokeh.documents.length && Bokeh.documents[0].is_idle"
        )
        return median(visit.page.evaluate(BOKEH_STEP) for _ in range(SLOW_STEPS))


BOKEH_STEP = """() => new Promise((done) => {
  const [view] = Bokeh.index.roots
  const { start, end } = view.model.x_range
  const step = (end - start) * 0.15
  const begin = performance.now()
  view.model.x_range.setv({ start: start + step, end: end + step })
  view.paint()
  done(performance.now() - begin)
})"""


def main() -> None:
    """Print the table."""
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, software rendering")
    heads = ("first paint", "pan", "zoom", "scroll", "95th of all", "bytes/span", "page")
    print(f"{'spans':>12} " + " ".join(f"{head:>13}" for head in heads))
    with tempfile.TemporaryDirectory() as folder, launched() as browser, served(Path(folder)) as server:
        for count in counts:
            figures = measure_explorer(browser, server, count)
            cells = [f"{figures['first']:.2f} s", *(f"{median(figures[name]):.1f} ms" for name in ("pan", "zoom", "scroll"))]
            cells += [f"{figures['p95']:.1f} ms", f"{figures['bytes']:.1f}", f"{figures['memory']:.0f} MB"]
            print(f"{count:>12,} " + " ".join(f"{cell:>13}" for cell in cells), flush=True)
            if count <= MAX_BOKEH_SPANS and find_spec("bokeh"):
                theirs = bokeh_pan_ms(browser, count, server.folder)
                ours = median(figures["pan"])
                print(f"{'':>12} pan step: bokeh {theirs:.0f} ms, {theirs / ours:.0f} times ours", flush=True)


if __name__ == "__main__":
    main()
