"""One line: a text from a trace as a terminal, a list or a title can show it.

Line breaks, which would make lines of their own, and characters that a terminal acts on, that turn the text around or that
nobody sees become one that is seen; those that join letters (U+200C, U+200D) stay.
"""

import unicodedata

LONGEST = 200
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # categories of Unicode
JOINERS = "\u200c\u200d"


def one_line(text: str, longest: int = LONGEST) -> str:
    r"""A text as one line without characters that act, cut where it is longer than ``longest`` characters.

    Examples
    --------
    >>> one_line("two\nlines"), one_line("\x1b[31mred"), one_line("x" * 300, 3)
    ('two lines', '�[31mred', 'xxx…')
    """
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    if cut.isprintable():
        return cut
    return "".join(seen(letter) for letter in cut)


def seen(letter: str) -> str:
    """A character as it is, a line break or a tab as a space, one that is not seen as U+FFFD."""
    if letter in "\n\r\t\v\f":
        return " "
    return "\ufffd" if unicodedata.category(letter) in UNSEEN and letter not in JOINERS else letter
