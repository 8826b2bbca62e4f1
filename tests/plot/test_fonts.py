import copy
import io
import pickle
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from conftest import full_except, spans_of, with_data
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from pictures import FIGURES

import tokenvis as tv
from tokenvis.plot.artists import fonts
from tokenvis.plot.artists.fonts import FONT, LAST_RESORT, InstalledFonts, families_of, family_of, ordered_families, script_of
from tokenvis.plot.artists.text import drawable, glyph, text_width

ARC, STAR = (
    "\N{ARC}",
    "\N{APL FUNCTIONAL SYMBOL CIRCLE STAR}",
)  # DejaVu Sans Mono has them, DejaVu Sans does not; matplotlib has both fonts
NAMES = ["研究员", "编辑", "规划者", "model:通义千问"]
CACHES = (fonts.family_of, fonts.families_of, glyph)


@pytest.fixture
def install(monkeypatch):
    """A function that replaces the installed fonts, except the theme's, for one test."""

    def replace_fonts(*families):
        replaced = InstalledFonts(list(families))
        monkeypatch.setattr(fonts, "installed_fonts", lambda: replaced)
        for cached in CACHES:
            cached.cache_clear()

    yield replace_fonts
    for cached in CACHES:
        cached.cache_clear()


def named(agents, locations):
    """Spans of these agents: each works at its location, then all meet at the first one, where one waits for a person.

    They have links and tokens.
    """
    numbers = range(len(agents))
    spans = spans_of(*(f"ann {n} {n + 9} desk" for n in numbers), *(f"ann 20 {29 + n} desk" for n in numbers))
    spans[["start_time", "end_time"]] *= 1_000_000
    spans["agent_id"], spans["location_id"] = agents * 2, [*locations, *locations[:1] * len(agents)]
    spans["trace_id"] = agents[0]
    used = {"gen_ai.usage.input_tokens": 10}
    before = [spans["id"].iloc[-1], *spans["id"].iloc[:-1]]
    given = zip(spans["id"], before, agents * 2, strict=True)
    data = {span: {"label": name, "links": [link], "attributes": used} for span, link, name in given}
    data[spans["id"].iloc[-len(agents)]]["waits_for"] = True
    return with_data(spans, **data)


def saved(figure, form, **options):
    figure.savefig(file := io.BytesIO(), format=form, **options)
    return file.getvalue()


def texts_of(svg):
    """The text elements of an SVG: the text, and its font families."""
    elements = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return {element.text: re.search("font-family: ([^;]*)", element.get("style")).group(1) for element in elements}


def test_the_documented_order_of_fonts():
    names = [
        "Zilla",
        "Symbola",
        "Noto Sans Thai",
        "Noto Sans CJK JP",
        FONT,
        "Noto Sans CJK SC",
        "Noto Color Emoji",
        LAST_RESORT,
    ]
    order = ["Noto Sans CJK SC", "Noto Sans CJK JP", "Symbola", "Noto Sans Thai", "Zilla"]
    assert ordered_families(names) == order
    assert ordered_families(names[::-1]) == order


def test_a_character_is_drawn_with_the_first_font_that_has_it(install):
    install("DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral")
    assert (family_of("a"), family_of(ARC)) == (FONT, "DejaVu Sans Mono")
    assert families_of("plain") == families_of("déjà vu") == (FONT, "sans-serif")
    assert families_of(f"{ARC}\n{STAR} a") == (FONT, "DejaVu Sans Mono", "sans-serif")


def test_fonts_are_read_only_for_a_missing_character(monkeypatch):
    for cached in CACHES:
        cached.cache_clear()
    monkeypatch.setattr(fonts, "installed_fonts", lambda: pytest.fail("fonts are read"))
    tv.plot_timeline(spans_of("Zoë→ψ_Ж 0 9 дом")).figure.draw_without_rendering()


def test_a_font_that_cannot_be_read_has_no_characters(install, monkeypatch):
    def open_font(family):
        raise OSError(family) if family == "removed" else RuntimeError(family)

    install("removed", "damaged")
    family_of("a")
    monkeypatch.setattr(fonts, "open_font", open_font)
    assert family_of(ARC) is None


def test_fonts_that_were_installed_after_matplotlib_made_its_list_are_found(monkeypatch, tmp_path):
    [entry] = [entry for entry in fontManager.ttflist if entry.name == "DejaVu Sans Display"][:1]
    copied = tmp_path / "later.ttf"
    copied.write_bytes(Path(entry.fname).read_bytes())
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(copied), str(tmp_path / "broken.ttf")])
    fonts.installed_fonts.__wrapped__()
    assert str(copied) in [entry.fname for entry in fontManager.ttflist]


def test_widths_are_those_of_the_font_that_draws(install):
    install()
    without = text_width(ARC, 10)
    install("DejaVu Sans Mono")
    assert text_width(ARC, 10) == pytest.approx(6.02, abs=0.01)  # each character of this font is 0.602 em wide
    assert without > 7


@pytest.mark.parametrize("figure", full_except(FIGURES, "timeline", "storyline", "critical path", "waits", "overview"))
def test_every_text_has_the_fonts_of_its_characters(install, figure):
    install("DejaVu Sans Mono")
    drawn = FIGURES[figure](named([ARC * 3, f"{STAR} 2", "Ann"], [f"at {ARC}", "desk", f"{STAR}{ARC}"]))
    texts = texts_of(saved(drawn, "svg"))  # a missing character is a warning of matplotlib, which is an error here
    special = {text for text in texts if ARC in text or STAR in text}
    assert special
    assert all("'DejaVu Sans Mono'" in texts[text] for text in special)
    assert all(families.startswith("'DejaVu Sans'") and families.endswith("sans-serif") for families in texts.values())


@pytest.mark.parametrize("form", full_except(["png", "svg", "pdf"], "svg"))
def test_without_a_font_one_warning_says_what_to_install_and_the_text_stays(install, form):
    install("STIXGeneral")
    with warnings.catch_warnings(action="always", record=True) as warned:
        content = saved(tv.plot_timeline(named(NAMES, NAMES)).figure, form)
    assert [str(warning.message) for warning in warned] == [
        "No installed font has 研, 究, 员 (Chinese, Japanese or Korean): boxes are drawn. "
        "Install a font such as Noto Sans CJK (Debian, Ubuntu: apt install fonts-noto-cjk), and restart Python."
    ]
    with warnings.catch_warnings(action="error"):
        ax = tv.plot_occupancy(named(NAMES[::-1], NAMES))
        saved(ax.figure, form)
    assert {text.get_text() for text in ax.get_yticklabels()} == set(NAMES)
    if form == "svg":
        assert set(NAMES) < set(texts_of(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("क\u094d\u202e", r"^No installed font has क, U\+094D \(Devanagari\): .* such as Noto Sans \(.* fonts-noto-core\)"),
        ("\N{ROCKET}" * 9, r"^No installed font has \N{ROCKET} \(emoji and symbols\): .* such as Symbola \(.* fonts-symbola\)"),
        ("".join(map(chr, range(0x4E00, 0x4F00))), "^No installed font has 一, 丁, 丂, 七, 丄 "),
    ],
)
def test_a_warning_names_a_few_characters_their_script_and_a_font(install, text, message):
    install()
    with pytest.warns(UserWarning, match=message):
        drawable(text)
    with warnings.catch_warnings(action="error"):
        drawable(text[::-1])


def test_scripts():
    characters = "字かカ한。ａกკ\N{ROCKET}\N{COMBINING ENCLOSING KEYCAP}"
    east, symbols = "Chinese, Japanese or Korean", "emoji and symbols"
    assert [script_of(character) for character in characters] == [east] * 6 + ["Thai", "Georgian", symbols, symbols]


def is_text(content, form):
    return b"<text" in content if form == "svg" else b"/CIDFontType2" in content and b"/Type3" not in content


@pytest.mark.parametrize("form", full_except(["svg", "pdf"], "svg"))
def test_text_is_text_in_a_saved_file_whatever_the_settings_are(form, tmp_path):
    before = dict(mpl.rcParams)
    figure, (ax, _) = plt.subplots(2)
    tv.plot_timeline(spans_of("ann 0 9 desk"), ax=ax)
    tv.plot_occupancy(spans_of("ann 0 9 desk"), ax=ax)
    plt.savefig(tmp_path / "current", format=form)
    figure.savefig(str(tmp_path / "named"), format=form)
    again = pickle.loads(pickle.dumps(figure))
    contents = [(tmp_path / name).read_bytes() for name in ("current", "named")]
    contents += [
        saved(each, form) for each in (figure, again, copy.deepcopy(figure), tv.plot_overview(spans_of("ann 0 9 desk")))
    ]
    assert all(is_text(content, form) for content in contents)
    assert again.savefig.args == (again,)
    assert dict(mpl.rcParams) == before
    assert not is_text(saved(plt.subplots()[0], form), form)
    Figure.savefig(figure, file := io.BytesIO(), format=form)  # documented: with the settings of matplotlib
    assert not is_text(file.getvalue(), form)


def test_text_is_text_on_a_subfigure_and_on_a_figure_with_its_own_savefig():
    class Logged(Figure):
        def savefig(self, *args, **options):
            super().savefig(*args, **options)
            self.is_logged = True

    figure = Logged()
    tv.plot_timeline(spans_of("ann 0 9 desk"), ax=figure.subfigures(1, 2)[0].subplots())
    assert is_text(saved(figure, "svg"), "svg")
    assert figure.is_logged


def test_all_pages_of_a_file_have_the_same_settings(tmp_path):
    with PdfPages(tmp_path / "pages.pdf") as pages:
        for figure in (tv.plot_timeline(spans_of("ann 0 9 desk")).figure, plt.subplots()[0]):
            pages.savefig(figure)
    content = (tmp_path / "pages.pdf").read_bytes()
    assert b"/Type3" in content
    assert b"/CIDFontType2" not in content


def glyphs_of(svg):
    """The glyphs of each text of an SVG of outlines: font and number."""
    groups = re.findall(r"<!-- (.*?) -->(.*?)</g>", svg.decode(), re.DOTALL)
    return {text: re.findall(r'xlink:href="#(.*?)"', outlines) for text, outlines in groups}


@pytest.mark.full
def test_chinese_names_are_drawn_with_their_own_glyphs_and_stay_text():
    found = families_of("".join(NAMES))
    assert LAST_RESORT not in found, "no font for Chinese is installed: apt-get install fonts-noto-cjk"
    figure = tv.plot_occupancy(named(NAMES, NAMES)).figure
    Figure.savefig(figure, file := io.BytesIO(), format="svg")
    glyphs = [tuple(glyphs_of(file.getvalue())[name]) for name in NAMES[:2]]
    drawn = [glyph for name in glyphs for glyph in name]
    assert len(set(drawn)) == len(drawn) == 5, "each of 研究员编辑 has its own glyph"
    assert not [glyph for glyph in drawn if re.search("LastResort|DejaVu", glyph)]
    assert repr(found[1]) in texts_of(saved(figure, "svg"))[NAMES[0]]
    with mpl.rc_context({"pdf.compression": 0}):
        content = saved(figure, "pdf")
    assert all(f"<{ord(character):04x}>".encode() in content for character in "".join(NAMES[:3])), "text that can be copied"
    assert is_text(content, "pdf")


@pytest.mark.full
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
@pytest.mark.parametrize("figure", FIGURES)
def test_every_picture_has_chinese_names(figure, form):
    with warnings.catch_warnings(action="error"):
        assert len(saved(FIGURES[figure](named(NAMES, NAMES[::-1])), form)) > 1_000
