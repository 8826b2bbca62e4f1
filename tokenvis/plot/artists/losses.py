"""Losses: the time in which spans were lost, hatched."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from tokenvis.plot.artists.style import ThemeColors
from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.spans.losses import Losses

LOST_HATCH, LOST_ALPHAS = "\\\\", (0.07, 0.3)  # alphas of the fill and of the hatch lines


def draw_losses(ax: Axes, losses: Losses, axis: TimeAxis, theme: ThemeColors) -> None:
    """Hatch the time in which spans were lost, over the full height, behind everything else."""
    if len(losses.rows):
        x0, x1 = (axis.mapping.to_x(times) for times in losses.intervals())
        stretches = list(zip(x0, x1 - x0, strict=True))
        ax.broken_barh(stretches, (0, 1), transform=ax.get_xaxis_transform(), zorder=0.6, label="lost", **hatch_style(theme))


def lost_handles(losses: Losses, theme: ThemeColors) -> list[Patch]:
    """The legend handle for lost spans, if there are any."""
    return [Patch(label="spans lost", **hatch_style(theme))] if len(losses.rows) else []


def hatch_style(theme: ThemeColors) -> dict[str, Any]:
    """The style of time in which spans were lost."""
    face_color, edge_color = ((*to_rgb(theme.error), alpha) for alpha in LOST_ALPHAS)
    return {"facecolor": face_color, "edgecolor": edge_color, "hatch": LOST_HATCH, "linewidth": 0.8}
