"""Cells: texts in a CSV file that a spreadsheet would run as formulas, defused, so that reading them back gives the same.

A cell that begins with one of ``= + - @``, a tab, a line break or a null character may be run; an apostrophe before it makes it
a text. So that this can be undone, a text that begins with an apostrophe gets one more.
"""

RUN = "=+-@\t\r\n\0"


def defused(text: str) -> str:
    """A text as a cell that no spreadsheet runs.

    Examples
    --------
    >>> defused("=1+1"), defused("ann"), defused("'tis")
    ("'=1+1", 'ann', "''tis")
    """
    return f"'{text}" if text[:1] in {*RUN, "'"} else text


def restored(cell: str) -> str:
    """The text that `defused` made a cell of; any other cell as it is.

    Examples
    --------
    >>> restored("'=1+1"), restored("ann"), restored("'twas")
    ('=1+1', 'ann', "'twas")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {*RUN, "'"} else cell
