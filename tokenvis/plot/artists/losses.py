"""Losses: time in which spans were lost, as a hatch."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from tokenvis.plot.artists.style import Look
from tokenvis.plot.artists.time_axis import TimeAxis
from tokenvis.spans.losses import Losses

LOST_HATCH, LOST_OPACITIES = "\\\\", (0.07, 0.3)  # of time in which spans were lost, its colour and its lines


def draw_losses(ax: Axes, lost: Losses, axis: TimeAxis, look: Look) -> None:
    """Hatch the time in which spans were lost, over the whole height, behind all that is drawn there."""
    if len(lost.rows):
        x0, x1 = (axis.mapping.to_x(times) for times in lost.stretches())
        stretches = list(zip(x0, x1 - x0, strict=True))
        ax.broken_barh(stretches, (0, 1), transform=ax.get_xaxis_transform(), zorder=0.6, label="lost", **hatching(look))


def lost_patch(lost: Losses, look: Look) -> list[Patch]:
    """The hatch of lost spans in a legend, where any were."""
    return [Patch(label="spans lost", **hatching(look))] if len(lost.rows) else []


def hatching(look: Look) -> dict[str, Any]:
    """How time looks in which spans were lost."""
    tint, lines = ((*to_rgb(look.error), opacity) for opacity in LOST_OPACITIES)
    return {"facecolor": tint, "edgecolor": lines, "hatch": LOST_HATCH, "linewidth": 0.8}
