"""Colours: one for each name, the same in every picture of a trace.

The twelve colours are the result of a search: each two of them differ in OKLab (B. Ottosson, 2020) for normal vision and for
the three common types of colour blindness (after G. M. Machado et al., "A physiologically-based model for simulation of color
vision deficiency", 2009), and in lightness alone, but in greyscale some look alike. More than twelve would not be distinct; all
further names share one grey. A colour depends only on the sorted set of names. Of more than twelve names, pictures colour those
with the most work.
"""

from collections.abc import Iterable

QUALITATIVE_COLORS = (
    "#3863aa",  # blue
    "#d78e6c",  # clay
    "#118b78",  # green
    "#c93b50",  # red
    "#a16fcf",  # violet
    "#ddc55a",  # gold
    "#5eb6e1",  # cyan
    "#834c1a",  # brown
    "#f79fac",  # pink
    "#809e1f",  # olive
    "#404670",  # slate
    "#bed1fc",  # pale blue
)
OTHERS_COLOR = "#a9aeb8"
MAX_COLORED_NAMES = len(QUALITATIVE_COLORS)


def palette(names: Iterable[str]) -> dict[str, str]:
    """Assign a colour to each name.

    Parameters
    ----------
    names
        Names of agents, locations or anything else; order and repetition do not matter.

    Returns
    -------
    dict
        Name to colour ("#rrggbb"), in lexical order of the names. The first twelve have distinct colours, also with the
        common types of colour blindness; further names are "others", and share a grey.

    Examples
    --------
    >>> palette(["Bob", "Alice", "Bob"])
    {'Alice': '#3863aa', 'Bob': '#d78e6c'}
    """
    sorted_names = sorted({str(name) for name in names})
    return {
        name: QUALITATIVE_COLORS[position] if position < MAX_COLORED_NAMES else OTHERS_COLOR
        for position, name in enumerate(sorted_names)
    }
