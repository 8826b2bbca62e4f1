"""Colours: one for each name, the same in every picture of a trace.

The twelve colours were searched for: every two of them differ in OKLab (B. Ottosson, 2020) to normal eyes and to the three
common colour blindnesses (after G. M. Machado et al., "A physiologically-based model for simulation of color vision
deficiency", 2009), and in lightness alone, so that they stay apart in greyscale. More than twelve would not; further names
share one grey. A colour depends on the sorted set of names alone.
"""

from collections.abc import Iterable

PICKED = (
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
OTHERS = "#a9aeb8"
MOST_NAMES = len(PICKED)


def palette(names: Iterable[str]) -> dict[str, str]:
    """Give each name a colour.

    Parameters
    ----------
    names
        Names of agents, locations or anything else; order and repetition do not matter.

    Returns
    -------
    dict
        Name to colour ("#rrggbb"), in lexical order of the names. The first twelve have colours that can be told apart, with
        colour blindness and in greyscale too; further ones are "others", and share a grey.

    Examples
    --------
    >>> palette(["Bob", "Alice", "Bob"])
    {'Alice': '#3863aa', 'Bob': '#d78e6c'}
    """
    every = sorted({str(name) for name in names})
    return {name: PICKED[position] if position < MOST_NAMES else OTHERS for position, name in enumerate(every)}
