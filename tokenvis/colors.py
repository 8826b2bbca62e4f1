"""Colours: one for each name, the same in every picture of a trace.

The first names take hand-picked colours, ordered so that neighbours differ in hue and in lightness; beyond those, hues step
round the circle by the golden angle, in three lightnesses. A colour depends on the sorted set of names alone.
"""

import colorsys
from collections.abc import Iterable

PICKED = (
    "#3b6fb6",  # blue
    "#e8923a",  # orange
    "#3c9a78",  # green
    "#c8546a",  # rose
    "#7d63b3",  # violet
    "#caa92c",  # gold
    "#35a3c4",  # cyan
    "#8c5a3c",  # brown
    "#d98cb8",  # pink
    "#6e8b3d",  # olive
    "#4a4e69",  # slate
    "#9fb8d8",  # pale blue
)
GOLDEN_TURN = 0.6180339887498949
LIGHTNESSES = (0.45, 0.62, 0.34)


def palette(names: Iterable[str]) -> dict[str, str]:
    """Give each name a colour.

    Parameters
    ----------
    names
        Names of agents, locations or anything else; order and repetition do not matter.

    Returns
    -------
    dict
        Name to colour ("#rrggbb"), in lexical order of the names.

    Examples
    --------
    >>> palette(["Bob", "Alice", "Bob"])
    {'Alice': '#3b6fb6', 'Bob': '#e8923a'}
    """
    return {name: nth_color(position) for position, name in enumerate(sorted({str(name) for name in names}))}


def nth_color(position: int) -> str:
    """Colour of the name at that position."""
    if position < len(PICKED):
        return PICKED[position]
    beyond = position - len(PICKED)
    red, green, blue = colorsys.hls_to_rgb(beyond * GOLDEN_TURN % 1, LIGHTNESSES[beyond % len(LIGHTNESSES)], 0.5)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
