"""Hostile payloads in all text and markup: files, pictures, the page, reports and terminal output."""

import csv
import io
import re
import unicodedata
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest
from conftest import full_except, spans_of
from exports import expected_rows, exported_rows
from files import write_file
from hostile import LARGE, PAYLOADS, SCRIPTS, TEXTS, UNSEEN, hostile_trace, hostile_traces
from matplotlib.figure import Figure
from pictures import FIGURES

import tokenvis as tv
from tokenvis.__main__ import main
from tokenvis.errors import JOINERS
from tokenvis.explorer.bundle import bundle
from tokenvis.explorer.page import write_page
from tokenvis.formats.registry import WRITERS
from tokenvis.ingestion.report import MAX_LINES
from tokenvis.output import FORMULA_STARTS, one_line

every_format = pytest.mark.parametrize("kind", WRITERS)
every_picture = pytest.mark.parametrize("picture", FIGURES)
DRAWN = [  # payloads that could be interpreted in a picture's file; the full tests draw all payloads
    *(SCRIPTS[name] for name in ("an image", "an element of SVG", "an end of a comment")),
    *(TEXTS["half a formula of TeX"], TEXTS["the end of CDATA"], UNSEEN["a null character"], UNSEEN["two lines"], LARGE),
]
TRACE, TRACES = hostile_trace(), hostile_traces()
both = pytest.mark.parametrize(
    "spans", [pytest.param(TRACE, id="one trace"), pytest.param(TRACES, id="a trace each", marks=pytest.mark.full)]
)


@pytest.fixture
def long_cells():
    """Allow cells of a megabyte in Python's CSV reader."""
    before = csv.field_size_limit(2**30)
    yield
    csv.field_size_limit(before)


# Files


@every_format
@both
def test_a_file_contains_every_payload(kind, spans, long_cells):
    assert exported_rows(tv.export(spans, "made", format=kind), kind) == expected_rows(spans)


@both
def test_no_cell_is_a_formula(spans, long_cells):
    with tv.export(spans, "made.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + len(spans)
    assert [cell[:40] for row in rows for cell in row if cell[:1] in {*FORMULA_STARTS}] == []


@every_format
def test_exported_files_are_read_back(kind):
    suffix = {"chrome": "json", "otlp": "otlp.json"}.get(kind, kind)
    report = tv.ingest(tv.export(TRACES, f"made.{suffix}", format=kind))
    assert (report.problems, report.n_spans) == ([], len(TRACES))
    assert set(report.spans()["agent_id"]) == set(PAYLOADS)


# Pictures

SVG = "{http://www.w3.org/2000/svg}"
DRAWING = {"svg", "g", "defs", "style", "path", "use", "clipPath", "rect", "text", "tspan", "image", "linearGradient", "stop"}
METADATA = (
    "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}",
    "{http://purl.org/dc/elements/1.1/}",
    "{http://creativecommons.org/ns#}",
)


def svg_of(figure, *, as_text):
    """A figure as the bytes of an SVG, with its texts as text elements, or as paths with comments."""
    file = io.BytesIO()
    if as_text:
        figure.savefig(file, format="svg")
    else:
        Figure.savefig(figure, file, format="svg")
    return file.getvalue()


def check_svg(content):
    """The texts of an SVG; fails if it contains scripts or external resources."""
    texts = []
    for element in ElementTree.fromstring(content).iter():
        if element.tag.startswith(METADATA) or element.tag == f"{SVG}metadata":
            continue
        assert element.tag.removeprefix(SVG) in DRAWING
        if element.tag == f"{SVG}style":
            assert element.text == "*{stroke-linejoin: round; stroke-linecap: butt}"
            continue
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            if name.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,"))
            assert "javascript:" not in unquote(value).lower()
            assert not re.search(r"url\((?!#)", value)
        texts.append(element.text or "")
    for comment in re.findall(rb"<!--(.*?)-->", content, re.DOTALL):
        assert b"--" not in comment
    outside = re.sub(rb"<!--.*?-->", b"", content, flags=re.DOTALL)
    for payload in SCRIPTS.values():
        assert "<" not in payload or payload.encode() not in outside
    return "\n".join(texts)


def check_picture(picture, spans, *, as_text):
    spans = spans.assign(waits_for=True) if picture == "waits" else spans  # so that there is something to draw
    figure = FIGURES[picture](spans)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=40)
    assert png.tell() > 1_000
    content = svg_of(figure, as_text=as_text)
    texts = check_svg(content)
    if as_text and picture not in ("concurrency", "usage"):  # these contain no agent name
        assert re.search(r"[<>]|\$|javascript:", texts), "no payload is drawn"


@pytest.mark.parametrize("picture", full_except(FIGURES, "timeline", "handoffs", "usage by agent"))
def test_a_picture_draws_payloads_as_text(picture):
    check_picture(picture, hostile_trace(DRAWN, trace_id=DRAWN[0]), as_text=True)


def test_a_picture_with_texts_as_paths_has_them_in_comments():
    spans = hostile_trace(DRAWN, trace_id=SCRIPTS["an end of a comment"])
    check_svg(svg_of(tv.plot_timeline(spans).figure, as_text=False))


@pytest.mark.full
@every_picture
@pytest.mark.parametrize("as_text", [True, False], ids=["texts", "paths"])
def test_a_picture_draws_every_payload_as_text(picture, as_text):
    check_picture(picture, hostile_trace(), as_text=as_text)


# The page

BLOCK = re.compile(rb'<script type="text/plain" id="(?:contents|trace-\d+-\d+)">[A-Za-z0-9+/=]*</script>\n')


class Markup(HTMLParser):
    """The elements of a page: tags, attributes, and the text at the start of each; and its comments and declarations."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.other = []
        self.is_open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, attributes, ""])
        self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = False

    def handle_data(self, data):
        if self.is_open:
            self.elements[-1][2] += data

    def handle_comment(self, data):
        self.other.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment

    def texts(self, tag):
        return [text for name, _, text in self.elements if name == tag]


def without_blocks(path):
    """A saved page without its blocks and its title, and the text of the title."""
    content = BLOCK.sub(b"", Path(path).read_bytes()).decode()
    head, _, rest = content.partition("<title>")
    title, _, tail = rest.partition("</title>")
    return head + tail, Markup(f"<title>{title}</title>").texts("title")


@cache
def harmless_page():
    """A page without hostile payloads, without its blocks and its title."""
    with TemporaryDirectory() as folder:
        return without_blocks(write_page(spans_of("ann 0 5 desk"), Path(folder) / "page.html"))[0]


def check_page(path):
    """The title of a saved page; fails unless the page equals any other page, except for blocks and title."""
    content, title = without_blocks(path)
    assert content == harmless_page()
    markup = Markup(Path(path).read_text(encoding="utf-8"))
    scripts = [dict(attributes) for tag, attributes, _ in markup.elements if tag == "script"]
    assert [script["type"] for script in scripts] == ["text/plain"] * (len(scripts) - 1) + ["module"]
    assert len(scripts) == len(BLOCK.findall(Path(path).read_bytes())) + 1
    assert markup.texts("script")[-1] == bundle("page")
    assert not [name for _, attributes, _ in markup.elements for name, _ in attributes if name.startswith("on")]
    assert markup.texts("title") == title
    return title[0]


def test_a_page_without_hostile_payloads_has_one_script_and_no_handler():
    markup = Markup(harmless_page())
    tags = ["html", "head", "meta", "meta", "meta", "meta", "style", "body", "div", "noscript", "script"]
    assert [tag for tag, _, _ in markup.elements] == tags
    assert {name for _, attributes, _ in markup.elements for name, _ in attributes} <= {
        *("lang", "charset", "http-equiv", "content", "name", "id", "type")
    }
    assert (markup.texts("script"), markup.other) == ([bundle("page")], ["DOCTYPE html"])


@both
@pytest.mark.parametrize("content", ["none", "full"])
def test_a_page_has_only_its_own_markup(spans, content):
    check_page(tv.explore(spans).save("page.html", content=content))


def test_a_page_of_hostile_keys_has_only_its_own_markup():
    explorer = tv.explore(TRACE, by=SCRIPTS["a script"], hue="__proto__")
    check_page(explorer.save("page.html", content="full"))


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_the_title_of_a_page_is_text(payload):
    spans = spans_of("ann 0 5 desk").assign(trace_id=payload)
    assert check_page(write_page(spans, "page.html")) == f"{one_line(payload)} · tokenvis"
    assert not control_characters(one_line(payload))


# The widget


def test_the_state_of_the_widget_in_a_saved_notebook_contains_no_payload():
    state = tv.explore(TRACE, by=SCRIPTS["an image"], hue="__proto__").get_state()
    own = {name: value for name, value in state.items() if name not in ("_esm", "_css", "layout")}
    assert own == {
        "_anywidget_id": "tokenvis.explorer.widget.Explorer",
        **{name: value for name, value in own.items() if name.startswith(("_model", "_view"))},
        "_dom_classes": (),
        "tabbable": None,
        "tooltip": None,
    }


def test_the_fallback_of_the_widget_is_text_and_a_picture():
    data, _ = tv.explore(hostile_trace(DRAWN))._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert data["text/plain"] == (
        "<Explorer of '</script><script>window.executed=true</script>': 16 spans, 8 agents, 8 locations>"
    )


def test_the_repr_of_an_explorer_is_one_line_of_visible_characters():
    explorer = tv.explore(TRACES)
    for payload in PAYLOADS:
        explorer.trace = payload
        assert control_characters(repr(explorer)) == set()
        assert len(repr(explorer)) < 400


# Terminal output


def control_characters(text):
    """The characters of a line that control a terminal or the direction of text."""
    return {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")} - {"\t", *JOINERS}


def lines_with_control_characters(text):
    """The lines of a text that contain such characters."""
    return [line for line in text.split("\n") if control_characters(line)]


def ingested(*payloads):
    """The report on traces with these names."""
    spans = pd.concat([spans_of("ann 0 5 desk").assign(id=payload, trace_id=payload) for payload in payloads])
    return tv.ingest(tv.export(spans, "made.jsonl"))


def test_a_report_contains_no_control_characters():
    assert lines_with_control_characters(str(ingested(*UNSEEN.values()))) == []


def test_a_name_adds_no_line_to_a_report():
    lines = str(ingested(*UNSEEN.values())).split("\n")
    assert len(lines) == len(["database", "format", *UNSEEN, "counts"])


def test_a_name_adds_no_long_line_to_a_report():
    assert max(map(len, str(ingested(LARGE[:20_000])).split("\n"))) < 1_000


def test_a_reported_problem_contains_no_control_characters():
    span = {"id": "a", "trace_id": "t", "agent_id": "a", "location_id": "l", "start_time": 0, "end_time": 1}
    bad = [span | {"id": payload, "start_time": payload} for payload in UNSEEN.values()]
    report = tv.ingest(write_file("bad.jsonl", span, *bad))
    assert len(report.problems) == len(UNSEEN)
    assert lines_with_control_characters(str(report)) == []


def test_the_list_of_traces_contains_no_control_characters(capsys):
    ingested(*UNSEEN.values())
    assert not main(["traces"])
    assert lines_with_control_characters(capsys.readouterr().out) == []


def test_the_list_of_traces_has_no_long_line(capsys):
    ingested(LARGE[:20_000])
    assert not main(["traces"])
    assert max(map(len, capsys.readouterr().out.split("\n"))) < 1_000


# The report as a table in a notebook


@pytest.mark.parametrize("first", range(0, len(PAYLOADS), MAX_LINES))
def test_a_report_in_a_notebook_is_text(first):
    names = PAYLOADS[first : first + MAX_LINES]
    report = tv.ingest(tv.export(TRACES[TRACES["trace_id"].isin(names)], "made.jsonl"))
    report.names = dict(zip(report.totals, names, strict=True))
    report.skipped.update(dict.fromkeys(names, 1))
    markup = Markup(report._repr_html_())
    assert {tag for tag, _, _ in markup.elements} == {"div", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert [attributes for _, attributes, _ in markup.elements if attributes] == []
    assert markup.other == []
    cells = markup.texts("td")
    assert [cells[0::5], cells[1::5]] == [[one.trace_id[:80] for one in report.written], [name[:80] for name in names]]
