"""Colour scales: which colour each span has, and what the legend says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import is_color_like, to_hex
from matplotlib.ticker import MaxNLocator

from tokenvis.errors import BadOption, listed, plural, quoted
from tokenvis.plot.artists.colors import MOST_NAMES, OTHERS
from tokenvis.plot.artists.colors import palette as colors_of
from tokenvis.plot.artists.style import Look
from tokenvis.plot.artists.text import NOTHING
from tokenvis.spans.columns import codes_of
from tokenvis.spans.integers import Int64Array

Palette: TypeAlias = Mapping[str, str] | Sequence[str] | None

MOST_STEPS = 6  # of a scale of numbers
MOST_OTHERS = 100  # names without a colour of their own that are told apart when they are counted


@dataclass(frozen=True)
class Hues:
    """``code`` (int64) is the colour of each span, as a position in ``colors``; ``legend`` says what colours stand for.

    Names without a colour of their own have the same grey, but positions of their own, so that what is most frequent is so for
    one of them, not for all.
    """

    code: Int64Array
    colors: list[str]
    legend: list[tuple[str, str]]

    def of(self, rows: Int64Array) -> list[str]:
        """The colours of these spans."""
        return [self.colors[code] for code in self.code[rows].tolist()]


def hues_of(values: pd.Series, palette: Palette, look: Look) -> Hues:
    """A colour for each value of a column: of names their own, of more than a dozen numbers a scale.

    `BadOption` where the palette that was given does not fit.
    """
    check_palette(palette)
    codes, labels = codes_of(values)
    if palette is None and pd.api.types.is_numeric_dtype(values.dtype) and len(labels) > MOST_NAMES:
        return scale_of(values, look)
    names = [str(name) for name in labels]
    colors = colors_for(palette, names_in(values), names)
    own = [name in colors and colors[name] != OTHERS for name in names]
    legend = [(colors[name], name) for name, has_color in zip(names, own, strict=True) if has_color]
    shown = [color for color, _ in legend]
    n_others = len(own) - len(shown)
    n_places = n_others if n_others <= MOST_OTHERS else 1
    if n_others:
        legend.append((OTHERS, plural(n_others, "other")))
    if (codes < 0).any():
        legend.append((look.quiet, NOTHING))
    return Hues(positions(codes, own), [*shown, *[OTHERS] * n_places, look.quiet], legend)


def names_in(values: pd.Series) -> list[str]:
    """The names whose set gives the colours of a column, sorted: its categories, which survive filtering, else its values."""
    named = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else codes_of(values)[1]
    return sorted({str(name) for name in named})


def positions(codes: Int64Array, own: list[bool]) -> Int64Array:
    """Positions of colours: of names with a colour of their own, then of the others, then of none.

    The others have a position each while they are few, then one for all.
    """
    has_color = np.array([*own, True], dtype=bool)
    n_own, n_others = int(has_color[:-1].sum()), int((~has_color).sum())
    place = np.cumsum(has_color) - 1
    other = n_own + (np.cumsum(~has_color) - 1 if n_others <= MOST_OTHERS else 0)
    place = np.where(has_color, place, other)
    place[-1] = n_own + (n_others if n_others <= MOST_OTHERS else 1)
    return place[codes]


def check_palette(palette: Palette) -> None:
    """Raise `BadOption` unless a palette is a mapping or a list, and holds colours."""
    if palette is None:
        return
    if isinstance(palette, str) or not isinstance(palette, Mapping | Sequence):
        raise BadOption(f"palette={quoted(palette)} is neither a mapping from name to colour nor a list of colours.")
    strange = [color for color in (palette.values() if isinstance(palette, Mapping) else palette) if not is_color_like(color)]
    if strange:
        raise BadOption(f"palette has {listed(strange)}, which is no colour. One is '#3b6fb6'.")


def colors_for(palette: Palette, named: list[str], used: list[str]) -> dict[str, str]:
    """A colour for each name, as the palette has it; names that a mapping leaves out have none."""
    if palette is None:
        return colors_of(named)
    if isinstance(palette, Mapping):
        return {str(name): to_hex(color) for name, color in palette.items()}
    colors = dict(zip(named, map(to_hex, palette), strict=False))
    missing = [name for name in used if name not in colors]
    if missing:
        raise BadOption(f"palette has no colour for {listed(missing)}.")
    return colors


def scale_of(values: pd.Series, look: Look) -> Hues:
    """Colours of numbers: a few steps from pale to strong."""
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(numbers)
    edges = MaxNLocator(MOST_STEPS).tick_values(numbers[known].min(), numbers[known].max())
    step = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    ramp = mpl.colormaps[look.ramp]
    colors = [to_hex(ramp(share)) for share in np.linspace(0.25, 0.95, len(edges) - 1)]
    names = [f"{low:,g} to {high:,g}" for low, high in pairwise(edges)]
    if known.all():
        return Hues(step, colors, list(zip(colors, names, strict=True)))
    colors, names = [*colors, look.quiet], [*names, NOTHING]
    return Hues(np.where(known, step, len(colors) - 1), colors, list(zip(colors, names, strict=True)))
