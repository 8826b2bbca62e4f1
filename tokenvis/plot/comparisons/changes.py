"""Changes: how pictures write and colour what is more or less than before."""

from collections.abc import Callable
from typing import Any

from tokenvis.plot.artists.style import ThemeColors, blend_colors
from tokenvis.plot.artists.times.durations import MINUS


def signed_text(change: Any, as_text: Callable[[Any], str]) -> str:
    """A change with its sign."""
    return f"{MINUS if change < 0 else '+' if change else '±'}{as_text(abs(change))}"


def change_color(change: float, theme: ThemeColors) -> str:
    """Red for more, blue for less."""
    return theme.error if change > 0 else blend_colors(theme.accent, theme.text, 0.75) if change else theme.muted
