"""Colour scales: the colour of each span, and the entries of the legend."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import is_color_like, to_hex
from matplotlib.ticker import MaxNLocator

from tokenvis.errors import BadOption, listed, plural, quoted
from tokenvis.layout.name_order import natural_key
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES, OTHERS_COLOR
from tokenvis.plot.artists.colors import palette as colors_of
from tokenvis.plot.artists.style import ThemeColors
from tokenvis.plot.artists.text import MISSING_NAME
from tokenvis.spans.columns import codes_of, has_names_of_others
from tokenvis.spans.integers import Int64Array

Palette: TypeAlias = Mapping[str, str] | Sequence[str] | None

MAX_SCALE_STEPS = 6  # of a numeric scale
MAX_DISTINCT_OTHERS = 100  # names without a colour that are still counted separately


@dataclass(frozen=True)
class ColorScale:
    """The colours of spans: ``code`` (int64) of each span, a position in ``colors``, and the entries of the ``legend``.

    Names without a colour share one grey, but have separate positions: the dominant colour of a pixel is the colour
    of one name, not of all others together.
    """

    code: Int64Array
    colors: list[str]
    legend: list[tuple[str, str]]

    def colors_of(self, rows: Int64Array) -> list[str]:
        """The colours of these spans."""
        return [self.colors[code] for code in self.code[rows].tolist()]


def color_scale(
    values: pd.Series,
    palette: Palette,
    theme: ThemeColors,
    *,
    busiest: Sequence[str] = (),
    last: Collection[str] = frozenset(),
) -> ColorScale:
    """The colour scale for a column: one colour for each name, or steps for more than a dozen numbers.

    Of more names than colours, those in ``busiest`` have a colour (`busiest_names`), by default the first. The legend is in
    natural order, the names in ``last`` after the others. `BadOption` if the palette does not fit.
    """
    check_palette(palette)
    codes, labels = codes_of(values)
    if palette is None and pd.api.types.is_numeric_dtype(values.dtype) and len(labels) > MAX_COLORED_NAMES:
        return numeric_color_scale(values, theme)
    names = [str(name) for name in labels]
    all_names = color_names(values)
    colored_names = sorted(busiest) if palette is None and len(all_names) > MAX_COLORED_NAMES and busiest else all_names
    colors = colors_for(palette, colored_names, names)
    is_colored = [name in colors and colors[name] != OTHERS_COLOR for name in names]
    legend = [(colors[name], name) for name, has_color in zip(names, is_colored, strict=True) if has_color]
    used_colors = [color for color, _ in legend]
    legend.sort(key=lambda entry: (entry[1] in last, natural_key(entry[1])))
    n_others = len(is_colored) - len(used_colors)
    n_other_colors = n_others if n_others <= MAX_DISTINCT_OTHERS else 1
    if n_others:
        legend.append((OTHERS_COLOR, plural(n_others, "other")))
    if (codes < 0).any():
        legend.append((theme.muted, MISSING_NAME))
    return ColorScale(color_positions(codes, is_colored), [*used_colors, *[OTHERS_COLOR] * n_other_colors, theme.muted], legend)


def default_hue(spans: pd.DataFrame, palette: Palette) -> str:
    """The column that gives colours by default: agents, or locations if the trace has one agent only, without a palette."""
    has_one = palette is None and len(color_names(spans["agent_id"])) == 1
    return "location_id" if has_one else "agent_id"


def color_names(values: pd.Series) -> list[str]:
    """The sorted names that determine the colours of a column: its categories, which survive filtering, else its values.

    In a small slice of a frame of many traces, only the names that occur: else nearly all of them would be grey.
    """
    column = values.array
    is_own = isinstance(column, pd.Categorical) and not has_names_of_others(column)
    names = column.categories if is_own else codes_of(values)[1]
    return sorted({str(name) for name in names})


def color_positions(codes: Int64Array, is_colored: list[bool]) -> Int64Array:
    """Positions in the list of colours: first names with a colour, then the others, then missing values.

    Up to `MAX_DISTINCT_OTHERS` others have separate positions; more share one.
    """
    has_color = np.array([*is_colored, True], dtype=bool)
    n_colored, n_others = int(has_color[:-1].sum()), int((~has_color).sum())
    position = np.cumsum(has_color) - 1
    other_position = n_colored + (np.cumsum(~has_color) - 1 if n_others <= MAX_DISTINCT_OTHERS else 0)
    position = np.where(has_color, position, other_position)
    position[-1] = n_colored + (n_others if n_others <= MAX_DISTINCT_OTHERS else 1)
    return position[codes]


def check_palette(palette: Palette) -> None:
    """Raise `BadOption` unless a palette is a mapping to colours or a list of colours."""
    if palette is None:
        return
    if isinstance(palette, str) or not isinstance(palette, Mapping | Sequence):
        raise BadOption(f"palette={quoted(palette)} is neither a mapping from name to colour nor a list of colours.")
    invalid = [color for color in (palette.values() if isinstance(palette, Mapping) else palette) if not is_color_like(color)]
    if invalid:
        raise BadOption(f"palette has values that are not colours: {listed(invalid)}. Use for example '#3b6fb6'.")


def colors_for(palette: Palette, all_names: list[str], used_names: list[str]) -> dict[str, str]:
    """The colour of each name in the palette; names that are missing in a mapping have none."""
    if palette is None:
        return colors_of(all_names)
    if isinstance(palette, Mapping):
        return {str(name): to_hex(color) for name, color in palette.items()}
    colors = dict(zip(all_names, map(to_hex, palette), strict=False))
    missing = [name for name in used_names if name not in colors]
    if missing:
        raise BadOption(f"palette has no colour for {listed(missing)}. Add one for each name.")
    return colors


def numeric_color_scale(values: pd.Series, theme: ThemeColors) -> ColorScale:
    """Colours of numbers: a few steps from pale to strong."""
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    is_known = np.isfinite(numbers)
    edges = MaxNLocator(MAX_SCALE_STEPS).tick_values(numbers[is_known].min(), numbers[is_known].max())
    step = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    colormap = mpl.colormaps[theme.colormap]
    colors = [to_hex(colormap(share)) for share in np.linspace(0.25, 0.95, len(edges) - 1)]
    names = [f"{low:,g} to {high:,g}" for low, high in pairwise(edges)]
    if is_known.all():
        return ColorScale(step, colors, list(zip(colors, names, strict=True)))
    colors, names = [*colors, theme.muted], [*names, MISSING_NAME]
    return ColorScale(np.where(is_known, step, len(colors) - 1), colors, list(zip(colors, names, strict=True)))
