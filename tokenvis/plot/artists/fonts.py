"""Fonts: which installed font draws a character, and texts that stay text in files.

DejaVu Sans, which comes with matplotlib, has Latin, Greek, Cyrillic, Arabic and Hebrew letters, and most symbols. Each other
character is drawn with the first installed font that has it: those of `FALLBACKS` in this order, then the others of Noto Sans,
then all others, by name. Fonts are read only if such a character occurs, and each is read once. What no font has is drawn as a
box by a font of matplotlib, and a warning says what to install.
"""

import unicodedata
import warnings
from collections.abc import Iterable
from functools import lru_cache, partial
from sys import maxunicode
from threading import Lock
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"
THEME_FAMILIES = (FONT, "sans-serif")  # the second for browsers without the first
FALLBACKS = (
    *(
        "Noto Sans CJK SC",
        "Noto Sans CJK TC",
        "Noto Sans CJK JP",
        "Noto Sans CJK KR",
    ),  # each has all letters
    *("Noto Sans SC", "Noto Sans TC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC", "Source Han Sans"),
    *("PingFang SC", "Hiragino Sans GB", "Hiragino Sans", "Apple SD Gothic Neo"),  # macOS
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI"),  # Windows
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Apple Symbols", "Symbola"),
)
LAST_RESORT = "Last Resort High-Efficiency"  # matplotlib's font of boxes
WITHOUT_OUTLINES = ("coloremoji", "lastresort", "blank")  # in names without spaces: they have characters, but cannot draw them
EAST_ASIAN_WORDS = {"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH", "KANGXI"}
EAST_ASIAN = "Chinese, Japanese or Korean"
SYMBOLS = "emoji and symbols"
ADVISED_FONTS = {EAST_ASIAN: ("Noto Sans CJK", "fonts-noto-cjk"), SYMBOLS: ("Symbola", "fonts-symbola")}  # of Debian
MAX_NAMED_CHARACTERS = 5  # of characters in a warning
TEXT_AS_TEXT: Any = {"pdf.fonttype": 42, "svg.fonttype": "none"}


class InstalledFonts:
    """The families of fonts in the order of preference, and the first of them that has a character."""

    def __init__(self, families: list[str]) -> None:
        self.families = families
        self.n_read = 0
        self.first_with = np.full(maxunicode + 1, -1, dtype=np.int16)  # for each character, of the fonts read so far
        self.warned: set[str] = set()  # scripts
        self.lock = Lock()

    def family_with(self, character: str) -> str | None:
        """The first family that has a character, None if none has it."""
        code = ord(character)
        with self.lock:
            while self.first_with[code] < 0 and self.n_read < len(self.families):
                self.read_next()
        return self.families[self.first_with[code]] if self.first_with[code] >= 0 else None

    def read_next(self) -> None:
        """Read which characters the next font has; it has none if it cannot be read."""
        try:
            codes = np.array(list(open_font(self.families[self.n_read]).get_charmap()), dtype=np.int64)
        except (OSError, RuntimeError):  # it was removed, or is damaged
            codes = np.empty(0, dtype=np.int64)
        self.first_with[codes[self.first_with[codes] < 0]] = self.n_read
        self.n_read += 1


@lru_cache(maxsize=1)
def installed_fonts() -> InstalledFonts:
    """The fonts of this machine, without the theme's.

    matplotlib keeps its list of fonts in a file, and does not notice that fonts were installed later.
    """
    known = {entry.fname for entry in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known:
            try:
                fontManager.addfont(path)
            except (OSError, RuntimeError, ValueError):  # RuntimeError: a font of bitmaps
                continue
    return InstalledFonts(ordered_families({entry.name for entry in fontManager.ttflist}))


def ordered_families(names: Iterable[str]) -> list[str]:
    """Families in the order of preference, without those that cannot draw."""
    ranks = {name: rank for rank, name in enumerate(FALLBACKS)}
    usable = [
        name for name in names if name != FONT and not any(word in name.replace(" ", "").lower() for word in WITHOUT_OUTLINES)
    ]
    return sorted(usable, key=lambda name: (ranks.get(name, len(ranks)), not name.startswith("Noto Sans "), name))


def open_font(family: str) -> Any:
    """The font of a family at 100 points, one pixel per point.

    It is a separate object, because matplotlib resizes its cached fonts.
    """
    faces = [entry for entry in fontManager.ttflist if entry.name == family]
    face: Any = min(
        faces,
        key=lambda entry: (entry.style != "normal", entry.stretch != "normal", fontManager.score_weight(400, entry.weight)),
    )
    index = getattr(face, "index", 0)  # before matplotlib 3.11, only the first font of a collection is known
    font: Any = FT2Font(face.fname, face_index=index) if index else FT2Font(face.fname)
    if family == LAST_RESORT:
        font.set_charmap(0)
    font.set_size(100, 72)
    return font


open_cached = lru_cache(maxsize=16)(open_font)


@lru_cache(maxsize=65_536)
def family_of(character: str) -> str | None:
    """The family that draws a character, None if no font has it."""
    if open_cached(FONT).get_char_index(ord(character)):
        return FONT
    return installed_fonts().family_with(character)


@lru_cache(maxsize=1)
def box_families() -> tuple[str, ...]:
    """The family of boxes, none before matplotlib 3.11, which draws the box of the first font and warns about each."""
    return (LAST_RESORT,) if any(entry.name == LAST_RESORT for entry in fontManager.ttflist) else ()


def advance(character: str) -> float:
    """The width of a character in the font that draws it, in ems."""
    family = family_of(character) or next(iter(box_families()), FONT)
    width: int = open_cached(family).load_char(ord(character)).linearHoriAdvance
    return width / 65536 / 100


@lru_cache(maxsize=10_000)
def families_of(text: str) -> tuple[str, ...]:
    """The families with which matplotlib draws all characters of a text."""
    needed = set() if text.isascii() else {family_of(character) for character in set(text) if character.isprintable()} - {FONT}
    if not needed:
        return THEME_FAMILIES
    fallbacks = [family for family in installed_fonts().families if family in needed]
    boxes = box_families() if None in needed else ()
    return FONT, *fallbacks, *THEME_FAMILIES[1:], *boxes


def warn_of_missing(text: str) -> None:
    """Warn of characters that no font has, once for each script in a process."""
    missing: dict[str, list[str]] = {}
    for character in dict.fromkeys(text):
        if family_of(character) is None:
            missing.setdefault(script_of(character), []).append(character)
    for script, characters in missing.items():
        if script not in installed_fonts().warned:
            installed_fonts().warned.add(script)
            font, package = ADVISED_FONTS.get(script, ("Noto Sans", "fonts-noto-core"))
            named = ", ".join(shown_alone(character) for character in characters[:MAX_NAMED_CHARACTERS])
            warnings.warn(
                f"No installed font has {named} ({script}): boxes are drawn. "
                f"Install a font such as {font} (Debian, Ubuntu: apt install {package}), and restart Python.",
                stacklevel=2,
            )


def script_of(character: str) -> str:
    """The script of a character, for a person who looks for a font."""
    word = unicodedata.name(character, "").replace("-", " ").partition(" ")[0]
    if word in EAST_ASIAN_WORDS:
        return EAST_ASIAN
    return SYMBOLS if unicodedata.category(character).startswith("S") or word in ("", "COMBINING") else word.capitalize()


def shown_alone(character: str) -> str:
    """A character for a message; an accent, which would join the character before it, as its number."""
    return f"U+{ord(character):04X}" if unicodedata.category(character).startswith("M") else character


def keep_text(figure: Any) -> None:
    """Save this figure with texts as text, whatever the settings are when it is saved.

    matplotlib decides for a whole file whether its texts are text, by settings that are global, and that it reads last when it
    closes a PDF. So the settings apply while a figure with a picture is saved, and no longer.
    """
    if "savefig" not in vars(figure):
        figure.savefig = partial(save_with_text, figure)


def save_with_text(figure: Figure, fname: Any, **options: Any) -> None:
    """`Figure.savefig` with texts as text in PDF and SVG.

    A PdfPages, which is not a file, has pages of other figures: all have the settings under which it is closed.
    """
    is_file = isinstance(fname, str) or hasattr(fname, "__fspath__") or hasattr(fname, "write")
    with mpl.rc_context(TEXT_AS_TEXT if is_file else {}):
        type(figure).savefig(figure, fname, **options)
