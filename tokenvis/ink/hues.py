"""Hues: which colour each span has, and what the legend says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import is_color_like, to_hex
from matplotlib.ticker import MaxNLocator

from tokenvis.arrays import Int64Array
from tokenvis.colors import MOST_NAMES, OTHERS
from tokenvis.colors import palette as colors_of
from tokenvis.columns import codes_of
from tokenvis.errors import BadOption, listed, plural, quoted
from tokenvis.lettering import NOTHING
from tokenvis.style import Look

Palette: TypeAlias = Mapping[str, str] | Sequence[str] | None

MOST_STEPS = 6  # of a scale of numbers


@dataclass(frozen=True)
class Hues:
    """``code`` (int64) is the colour of each span, as a position in ``colors``; ``names`` says what each colour stands for."""

    code: Int64Array
    colors: list[str]
    names: list[str]

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
    named = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else labels
    colors = colors_for(palette, sorted({str(name) for name in named}), [str(name) for name in labels])
    entries: dict[tuple[str, str], list[str]] = {}
    for name in map(str, labels):
        color = colors.get(name, OTHERS)
        entries.setdefault((color, "" if color == OTHERS else name), []).append(name)
    if (codes < 0).any():
        entries[look.quiet, NOTHING] = [NOTHING]
    position = {name: number for number, group in enumerate(entries.values()) for name in group}
    ranks = np.array([*(position[str(name)] for name in labels), position.get(NOTHING, 0)], dtype=np.int64)
    if (codes < 0).any():
        ranks[-1] = len(entries) - 1
    told = [name or plural(len(group), "other") for (_, name), group in entries.items()]
    return Hues(ranks[codes], [color for color, _ in entries], told)


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
        return Hues(step, colors, names)
    return Hues(np.where(known, step, len(colors)), [*colors, look.quiet], [*names, NOTHING])
