"""Texts: durations, counts, costs and tables as a terminal or the log of a pipeline shows them, at most `WIDTH` wide."""

import math
import textwrap
import unicodedata
from collections.abc import Callable, Sequence

from tokenvis.output import one_line
from tokenvis.plot.artists.times.durations import duration_text
from tokenvis.runs.rules import DURATIONS, Amount

WIDTH = 100
MAX_NAME_WIDTH = 32
MAX_READ_LENGTH = 10_000  # of a name whose end is looked at
UNKNOWN_TEXT = "not known"


def number_text(count: float) -> str:
    """A count, or a median of counts.

    Examples
    --------
    >>> number_text(1234), number_text(0.5)
    ('1,234', '0.5')
    """
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


def money_text(cost: float) -> str:
    """A cost with two decimals, or with three digits if it is below 1.

    Examples
    --------
    >>> money_text(1234.5), money_text(0.12345), money_text(0.0000251), money_text(0.0)
    ('1,234.50', '0.123', '0.0000251', '0')
    """
    if not cost:
        return "0"
    return f"{cost:,.{max(2, 2 - math.floor(math.log10(abs(cost))))}f}"


def amount_text(metric: str, amount: Amount) -> str:
    """The value of a metric.

    Examples
    --------
    >>> amount_text("time", Amount(12_000_000)), amount_text("tokens", Amount(1200, True)), amount_text("cost", Amount(None))
    ('12 s', '≥ 1,200', 'not known')
    """
    return written(amount, text_of_metric(metric))


def written(amount: Amount, text_of: Callable[[float], str]) -> str:
    """An amount whose value is written by a function."""
    if amount.value is None:
        return UNKNOWN_TEXT
    return f"{'≥ ' if amount.is_lower_bound else ''}{text_of(amount.value)}"


def text_of_metric(metric: str) -> Callable[[float], str]:
    """The function that writes the values of a metric."""
    return duration_text if metric in DURATIONS else money_text if metric == "cost" else number_text


def percent_text(part: float, whole: float) -> str:
    """A part of a whole in percent, "-" of nothing; only nothing is 0%, and only all is 100%.

    Examples
    --------
    >>> percent_text(1, 3), percent_text(1, 1000), percent_text(999, 1000), percent_text(0, 0)
    ('33%', '<1%', '>99%', '-')
    """
    if not whole:
        return "-"
    text = f"{part / whole:.0%}"
    return "<1%" if text == "0%" and part > 0 else ">99%" if text == "100%" and part < whole else text


def ratio_text(value: float, baseline: float) -> str:
    """A value as a multiple of a baseline; "=" if they are equal, "-" if the baseline is 0.

    Examples
    --------
    >>> ratio_text(12, 10), ratio_text(10, 10), ratio_text(1, 0), ratio_text(1.0001, 1), ratio_text(1, 1000), ratio_text(0, 5)
    ('1.20x', '=', '-', '1.0001x', '0.0010x', '0x')
    """
    if value == baseline:
        return "="
    if not baseline:
        return "-"
    if not value:
        return "0x"
    ratio = value / baseline
    return f"{ratio:,.2f}x" if ratio >= 0.095 and f"{ratio:.2f}" != "1.00" else f"{ratio:.4f}x"


def change_text(value: float, baseline: float, text_of: Callable[[float], str]) -> str:
    """A difference from a baseline with its sign; "=" if there is none.

    Examples
    --------
    >>> change_text(12, 10, number_text), change_text(5_000, 1_000_000, duration_text), change_text(1, 1, money_text)
    ('+2', '-995 ms', '=')
    """
    if value == baseline:
        return "="
    return f"{'+' if value > baseline else '-'}{text_of(abs(value - baseline))}"


def name_cell(name: str, max_width: int = MAX_NAME_WIDTH) -> str:
    r"""A name from a trace, or a path, on one line that is harmless in a terminal; a long one without its middle.

    Examples
    --------
    >>> name_cell("Ann"), name_cell("two\nlines"), name_cell("runs/monday/seed-07.jsonl", 16), name_cell("漢字漢字", 6)
    ('Ann', 'two lines', 'runs/monda…jsonl', '漢…字')
    """
    line = one_line(name, MAX_READ_LENGTH)
    if display_width(line) <= max_width:
        return line
    n_first = (max_width - 1) * 2 // 3
    return f"{fitting(line, n_first)}…{fitting(line[::-1], max_width - 1 - n_first)[::-1]}"


def fitting(text: str, width: int) -> str:
    """The beginning of a text that fits into a width."""
    taken = 0
    for position, character in enumerate(text):
        taken += display_width(character)
        if taken > width:
            return text[:position]
    return text


def display_width(text: str) -> int:
    """The number of columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(each) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def table_lines(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows of cells as aligned lines: the first column to the left, the others to the right.

    Examples
    --------
    >>> for line in table_lines([["agent", "work"], ["Ann", "4m 5s"]]):
    ...     print(line)
    agent   work
    Ann    4m 5s
    """
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [f"{row[0]}{gaps[0]}", *(f"{gap}{cell}" for gap, cell in zip(gaps[1:], row[1:], strict=True))]
        lines.append(f"{indent}{'  '.join(cells)}".rstrip())
    return lines


def wrapped_lines(text: str, indent: str = "") -> list[str]:
    """A text from the library as lines of at most `WIDTH`, the second and later ones indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
