"""Hostile payloads in a browser: the saved page, the widget in JupyterLab, pictures, and the report as a table.

Trace data must not execute, request an address, or change object prototypes; and all of it must be readable as text.
"""

import io
import json
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from conftest import spans_of
from hostile import LARGE, PAYLOADS, PROTOTYPE, SCRIPTS, SHORT, TEXTS, UNSEEN, hostile_trace, hostile_traces
from matplotlib.figure import Figure
from pictures import PICTURES

import tokenvis as tv
from tokenvis.explorer.page import write_page
from tokenvis.spans.encoding import encoded

pytest_plugins = ["browsers"]
pytestmark = pytest.mark.full

READABLE = [*SCRIPTS.values(), *TEXTS.values(), *PROTOTYPE]  # shown character by character
NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
SEARCHED = [
    *list(SCRIPTS.values())[:6],
    "{{7*7}}",
    "$\\frac{",
    "-->",
    "&lt;b&gt; &amp; &#60;",
    "__proto__",
    "constructor",
    LARGE[:5_000],
]
MAX_WORK_S = 2  # CPU seconds of the page, independent of the load of the machine
ELEMENTS = {
    *("aside", "bdi", "button", "canvas", "dd", "details", "div", "dl", "dt", "input", "label", "li", "option", "output", "p"),
    *("pre", "select", "span", "strong", "summary", "table", "td", "th", "tr", "ul"),
}
BAND = 44  # pixels from the lanes of an agent to those of the next: two lanes of 18, and 8 between bands

FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))"
TRACES_LEFT = "() => [window.executed ?? null, ({}).polluted ?? null, [].polluted ?? null, Object.keys(Object.prototype)]"
MARKUP = """root => [...root.querySelectorAll('*')].flatMap(({ localName, attributes }) => {
    const names = [...attributes].map(({ name }) => name)
    return [localName, ...names.filter(name => /^(on|src|href|action|formaction|xlink)/.test(name))]
})"""
OPEN_ALL = """async tree => {
    for (;;) {
        const closed = [...tree.querySelectorAll('details:not([open])')]
        if (!closed.length) return
        for (const one of closed) one.open = true
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))
    }
}"""
READ_ALL = """tree => {
    const read = list => [...list.children].filter(({ localName }) => localName === 'li').map(item => {
        const group = item.querySelector(':scope > details > ul')
        const value = group ? read(group) : item.querySelector(':scope > .tv-text, :scope > .tv-value').textContent
        return [item.querySelector('.tv-key').textContent, value]
    })
    return read(tree)
}"""


@contextmanager
def watched(visit):
    """Assert that a visit executes no payload, opens no dialog, makes no foreign request and logs no error."""
    dialogs = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield visit.page
    visit.page.wait_for_timeout(100)  # for deferred work
    assert visit.page.evaluate(TRACES_LEFT) == [None, None, None, []]
    assert (dialogs, visit.errors, visit.foreign_requests) == ([], [], [])
    assert len(visit.context.pages) == 1


class Shown:
    """Drives an explorer in a page, with bands by agent: its parts, and user input."""

    def __init__(self, page):
        self.page = page
        self.root = page.locator(".tokenvis")
        self.details = self.part(".tv-details")
        self.by, self.hue = self.part("select[aria-label=by]"), self.part("select[aria-label=hue]")
        self.meter = page.context.new_cdp_session(page)
        self.meter.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.until(".tv-figures", "text => text.includes('span')")
        self.root.evaluate("root => root.addEventListener('tokenvis:frame', event => { root.view = event.detail.view })")
        self.press("0")
        self.settle()

    def part(self, selector):
        return self.root.locator(selector)

    def texts(self, selector):
        return self.part(selector).evaluate_all("found => found.map(one => one.textContent)")

    def whole_names(self, selector):
        """The names whose shortened texts are shown."""
        return self.part(selector).evaluate_all("found => found.map(one => one.title)")

    def until(self, selector, condition, value=None):
        """Wait until the text of a part meets a condition."""
        read = f"document.querySelector('.tokenvis ' + {json.dumps(selector)})?.textContent ?? ''"
        self.page.wait_for_function(f"value => ({condition})({read}, value)", arg=value, timeout=20_000)

    def settle(self):
        self.page.evaluate(FRAME)

    def press(self, key):
        self.part("canvas").focus()
        self.part("canvas").press(key)

    def work(self):
        """The CPU seconds of the page's main thread."""
        metrics = self.meter.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    @contextmanager
    def promptly(self):
        """Assert that the body of the ``with``, and the frame after it, take less than two seconds."""
        self.settle()
        begin = self.work()
        yield
        self.settle()
        assert self.work() - begin < MAX_WORK_S

    def point(self, number, *, gutter=False):
        """Move the pointer to the span of a payload, or to its agent's name."""
        self.part(".tv-scroll").evaluate("(node, top) => { node.scrollTop = top }", max(0, number * BAND - 100))
        self.settle()
        view = self.root.evaluate("root => root.view")
        x = view["gutter"] + ((number + 9) * 1e6 - view["left"]) * view["scale"]
        y = view["ruler"] + 4 + number * BAND + 7 - view["top"]
        box = self.part("canvas").bounding_box()
        self.page.mouse.move(box["x"] + (20 if gutter else x), box["y"] + y)

    def click(self, number):
        """Click on the span of a payload, and wait for its details."""
        self.point(number)
        self.page.mouse.down()
        self.page.mouse.up()
        self.until(".tv-details", "(text, start) => text.includes('copy') && text.includes(start)", PAYLOADS[number][:100])

    def facts(self):
        return dict(zip(self.texts(".tv-details dt"), self.texts(".tv-details dd"), strict=True))

    def data(self):
        """The fully opened tree of data."""
        tree = self.part("ul[role=tree]")
        tree.evaluate(OPEN_ALL)
        return tree.evaluate(READ_ALL)

    def search(self, text, count):
        self.part("input[type=search]").first.fill(text)
        self.until(".tv-found", "(text, count) => text === count", str(count))

    def choose(self, select, key):
        """Choose a key like a user, and wait until it is shown."""
        select.select_option(value=key)
        self.settle()

    def check(self):
        """Assert that there are only our own elements, and that single lines stay single lines."""
        found = self.root.evaluate(MARKUP)
        assert {*found} <= ELEMENTS
        assert not [text for text in self.texts("bdi, option, .tv-tip, strong") if NOT_SHOWN.search(text) or len(text) > 600]


def tree_of(value):
    """The expected tree of data of a value: a list of names with texts or nested lists."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        return [[str(key)[:2_000] + "…" * (len(str(key)) > 2_000), tree_of(member)] for key, member in members]
    if isinstance(value, str):
        return value if len(value) <= 2_000 else f"{value[:2_000]}… all {len(value):,} characters"
    return json.dumps(value)


def expected_data():
    """The data of the span of each payload."""
    spans = hostile_trace()
    data = spans.assign(data=encoded(spans)).set_index("id")["data"]
    return [json.loads(data[payload]) for payload in PAYLOADS]


def count_of(text):
    """The number of spans that a search finds."""
    words = text.strip().lower()
    spans = hostile_trace()
    labels = [name if not name.startswith("moved ") else "" for name in spans["id"]]
    columns = zip(spans["agent_id"], spans["location_id"], labels, strict=True)
    return sum(any(words in name.lower() for name in names) for names in columns)


def by_agent(page):
    shown = Shown(page)
    shown.choose(shown.by, "agent_id")
    return shown


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The page of the hostile trace, with all its texts."""
    path = tmp_path_factory.mktemp("saved") / "page.html"
    tv.explore(hostile_trace()).save(path, content="full")
    return path


# The saved page


def test_a_page_shows_all_details_as_text(offline_page, saved):
    with watched(offline_page(saved)) as page:
        shown = by_agent(page)
        for number, data in enumerate(expected_data()):
            shown.click(number)
            facts = shown.facts()
            assert [facts[name] for name in ("agent", "location", "id")] == [
                PAYLOADS[number],
                PAYLOADS[number - 5],
                PAYLOADS[number],
            ]
            assert facts.get("parent") == data.get("parent_id")
            assert shown.data() == tree_of(data)
            shown.check()
            if PAYLOADS[number] in READABLE:
                assert shown.texts(".tv-details strong") == [PAYLOADS[number]]


def test_a_page_shows_names_under_the_pointer_as_text(offline_page, saved):
    with watched(offline_page(saved)) as page:
        shown = by_agent(page)
        for number, payload in enumerate(PAYLOADS):
            for gutter in (False, True):
                shown.point(number, gutter=gutter)
                shown.until(".tv-tip", "(text, part) => text.includes(part)", "2 lanes" if gutter else "12 s")
                if payload in READABLE:
                    assert payload in "\n".join(shown.texts(".tv-tip > div"))
            shown.check()


def test_a_page_finds_payloads(offline_page, saved):
    with watched(offline_page(saved)) as page:
        shown = Shown(page)
        for text in SEARCHED:
            shown.search(text, count_of(text))
            shown.part("input[type=search]").first.press("Enter")
            shown.until(".tv-found", "(text, found) => text === found", f"1/{count_of(text)}")
        shown.search("no such text", 0)
        shown.check()


def test_a_page_lists_agents_and_colours_as_text(offline_page, saved):
    with watched(offline_page(saved)) as page:
        shown = Shown(page)
        with shown.promptly():
            shown.part(".tv-agents-button").click()
        assert len(shown.texts(".tv-agents bdi")) == len(PAYLOADS)
        assert {*READABLE} <= {*shown.whole_names(".tv-agents bdi")}
        assert shown.texts(".tv-legend bdi")
        shown.check()
        for text in SEARCHED:
            shown.part(".tv-agents input[type=search]").fill(text)
            assert len(shown.texts(".tv-agents bdi")) == sum(text.lower() in payload.lower() for payload in PAYLOADS)
        shown.part(".tv-agents input[type=checkbox]").first.uncheck()
        shown.settle()
        shown.check()


def test_a_page_uses_hostile_keys_for_bands_and_colours(offline_page, saved):
    with watched(offline_page(saved)) as page:
        shown = Shown(page)
        shown.until("select[aria-label=hue]", "text => text.includes('__proto__')")
        for select in (shown.hue, shown.by):
            options = select.evaluate("select => [...select.options].map(({ value, text }) => [value, text])")
            assert {*SHORT} <= {value for value, _ in options}
            assert {*READABLE} <= {
                select.evaluate("(select, n) => select.options[n].textContent", n) for n in range(len(options))
            }
            for key in [*list(SCRIPTS.values())[:5], *UNSEEN.values(), *PROTOTYPE]:
                shown.choose(select, key)
                shown.page.wait_for_function("([select, key]) => select.value === key", arg=[select.element_handle(), key])
                shown.press("w")
            shown.check()
        assert shown.texts(".tv-notes") == [""]
        assert shown.texts(".tv-legend bdi")


def test_a_page_of_many_hostile_traces_shows_each(offline_page, tmp_path):
    path = tmp_path / "page.html"
    tv.explore(hostile_traces()).save(path, content="full")
    with watched(offline_page(path)) as page:
        shown = Shown(page)
        traces = shown.part("select[aria-label=trace]")
        for payload in [*list(SCRIPTS.values())[:5], *UNSEEN.values(), "__proto__", "constructor", LARGE]:
            traces.select_option(value=payload)
            shown.until(".tv-figures", "text => text.startsWith('1 span ')")
            shown.press(".")
            shown.until(".tv-details", "text => text.includes('copy')")
            facts = shown.facts()
            assert [facts[name] for name in ("agent", "location", "id")] == [payload] * 3
            assert shown.data() == tree_of({"label": payload, payload: payload})
            assert traces.input_value() == payload
            shown.check()


def test_the_title_of_a_page_is_text(offline_page, tmp_path):
    path = tmp_path / "page.html"
    for payload in (SCRIPTS["an end of the title"], TEXTS["an entity"]):
        write_page(spans_of("ann 0 5 desk").assign(trace_id=payload), path)
        with watched(offline_page(path)) as page:
            Shown(page)
            assert page.title() == f"{payload} · tokenvis"


def test_a_page_stays_prompt_with_a_megabyte_of_a_name(offline_page, saved):
    number = PAYLOADS.index(LARGE)
    with watched(offline_page(saved)) as page:
        shown = by_agent(page)
        for gutter in (False, True):
            with shown.promptly():
                shown.point(number, gutter=gutter)
        with shown.promptly():
            shown.click(number)
        with shown.promptly():
            shown.press("w")
        with shown.promptly():
            shown.part(".tv-more").first.click()
        assert shown.part("ul[role=tree] .tv-text").evaluate_all("all => all.some(one => one.textContent.length === 1e6)")
        with shown.promptly():
            shown.press("s")
        with shown.promptly():
            shown.search(LARGE[:5_000], count_of(LARGE))
        with shown.promptly():
            shown.click(1)  # its data has the name as a key
        with shown.promptly():
            shown.part(".tv-agents-button").click()
        shown.check()


def test_a_page_with_bands_and_colours_of_a_megabyte_key_is_prompt(offline_page, tmp_path):
    path = tmp_path / "page.html"
    tv.explore(hostile_trace(), by=LARGE, hue=LARGE).save(path, content="full")
    with watched(offline_page(path)) as page:
        shown = Shown(page)
        assert (len(shown.by.input_value()), len(shown.hue.input_value())) == (len(LARGE), len(LARGE))
        for key in "wsad":
            with shown.promptly():
                shown.press(key)
        shown.check()


# The widget

CELLS = [
    f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from hostile import SCRIPTS, hostile_trace, hostile_traces
import tokenvis as tv
explorer = tv.explore(hostile_trace(), height=500)
explorer
""",
    """
report = tv.ingest(tv.export(hostile_traces(), "made.jsonl"), store="made.db")
report.names |= dict(zip(report.totals, SCRIPTS.values()))
report.skipped.update(SCRIPTS.values())
report
""",
]


def until(visit, code, value):
    """Wait until Python has handled a user action."""
    found, deadline = None, time.monotonic() + 20
    while found != value:
        assert time.monotonic() < deadline, found
        with suppress(UnicodeDecodeError):  # a binary answer to the page came in between
            found = visit.evaluate(code)


def test_a_widget_in_jupyterlab_runs_nothing(chromium, jupyter):
    from browsers import open_notebook  # after pytest has loaded it as a plugin, so that its assertions are rewritten

    with open_notebook(chromium, jupyter, "lab", CELLS, height=1200) as visit, watched(visit) as page:
        visit.run(0)
        shown = by_agent(page)
        data = expected_data()
        for number in [*range(4), PAYLOADS.index("__proto__"), PAYLOADS.index("constructor"), PAYLOADS.index(LARGE)]:
            with shown.promptly():
                shown.click(number)
            assert [shown.facts()[name] for name in ("agent", "id")] == [PAYLOADS[number]] * 2
            assert shown.data() == tree_of(data[number])
            until(visit, "explorer.selection['id'].tolist()", [PAYLOADS[number]])
            shown.point(number, gutter=True)
        shown.check()
        for text in SEARCHED:
            shown.search(text, count_of(text))
        shown.until("select[aria-label=hue]", "text => text.includes('__proto__')")
        for key in [*list(SCRIPTS.values())[:3], *PROTOTYPE, *UNSEEN.values()]:
            shown.choose(shown.hue, key)
            page.wait_for_function("([select, key]) => select.value === key", arg=[shown.hue.element_handle(), key])
            until(visit, "explorer.hue", key)
        for key in ("__proto__", "constructor", SCRIPTS["an image"]):
            visit.execute(f"explorer.by = {key!r}; explorer.hue = {key!r}")
            page.wait_for_function("([select, key]) => select.value === key", arg=[shown.by.element_handle(), key])
        with shown.promptly():
            shown.part(".tv-agents-button").click()
        assert {*READABLE} <= {*shown.whole_names(".tv-agents bdi")}
        shown.check()
        visit.run(1)
        cells = visit.output(1).locator("td").evaluate_all("cells => cells.map(cell => cell.textContent)")
        assert cells[1::5] == [text[:80] for text in SCRIPTS.values()][: len(cells[1::5])]
        saved = visit.save()
        kept = [json.dumps(cell["outputs"]) for cell in saved["cells"][:1]] + [json.dumps(saved["metadata"])]
        assert not [
            text for text in SCRIPTS.values() if text != SCRIPTS["a script"] and json.dumps(text)[1:-1] in "".join(kept)
        ]


# Pictures, and the report


def svg_of(figure):
    """A figure as SVG, with text elements."""
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def test_pictures_run_nothing_as_files_and_inside_a_page(offline_page, tmp_path):
    names = [
        SCRIPTS[name]
        for name in ("an image", "a script", "an end of an attribute", "an element of SVG", "an end of CDATA", "a link")
    ]
    spans = hostile_trace(names, trace_id=SCRIPTS["an end of a comment"])
    pictures = []
    for number, draw in enumerate(PICTURES.values()):
        path = tmp_path / f"{number}.svg"
        path.write_bytes(svg_of(draw(spans).figure))
        pictures.append(path.read_text(encoding="utf-8"))
        with watched(offline_page(path)) as page:
            assert page.locator("svg").count() == 1
            assert page.locator("script, foreignObject, a, iframe, img").count() == 0
    file = io.BytesIO()
    Figure.savefig(tv.plot_timeline(spans).figure, file, format="svg")  # as outlines: texts are in comments
    bodies = "\n".join(text[text.index("<svg") :] for text in [*pictures, file.getvalue().decode()])
    whole = tmp_path / "pictures.html"
    whole.write_text(f"<!DOCTYPE html><meta charset=utf-8><title>pictures</title>{bodies}", encoding="utf-8")
    with watched(offline_page(whole)) as page:
        assert page.locator("body > svg").count() == len(PICTURES) + 1
        assert page.locator("script, foreignObject, a, iframe, img, svg svg").count() == 0
        texts = page.locator("svg text").evaluate_all("texts => texts.map(text => text.textContent)")
        assert [text for text in texts if "<img src=x" in text]


def test_a_report_as_a_table_runs_nothing(offline_page, tmp_path):
    report = tv.ingest(tv.export(hostile_traces(), "made.jsonl"))
    report.names = dict(zip(report.totals, PAYLOADS, strict=True))
    report.skipped.update(SCRIPTS.values())
    path = tmp_path / "report.html"
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><title>report</title>{report._repr_html_()}", encoding="utf-8")
    with watched(offline_page(path)) as page:
        assert {*page.locator("body").evaluate(MARKUP)} == {"div", "table", "thead", "tbody", "tr", "th", "td", "pre"}
        cells = page.locator("td").evaluate_all("cells => cells.map(cell => cell.textContent)")
        assert cells[1::5] == [payload[:80] for payload in PAYLOADS[: len(cells[1::5])]]
        assert f"  {SCRIPTS['an image']}: 1" in page.locator("pre").text_content()
