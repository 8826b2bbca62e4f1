"""Notes: text below a picture about what it leaves out."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.text import fit_text, left_edge, text_extent

MAX_NOTE_SHARE, NOTE_LINE_EMS = 0.22, 1.45  # of a note: of the figure's height; its lines
NOTE_MARGIN_EMS, NOTE_GAP_EMS = 0.3, 0.4  # between a note and the border of the figure; above it


def note_lines(messages: list[str], width: float, max_lines: int, measure: Callable[[str], float]) -> list[str]:
    """Messages on as few lines as fit into a width: broken between messages, or if that is not enough, between words.

    What does not fit into ``max_lines`` is cut.
    """
    words = " · ".join(messages).split(" ")
    for pieces, separator in ((messages, " · "), (words, " ")):
        lines = pieces[:1]
        for piece in pieces[1:]:
            longer = f"{lines[-1]}{separator}{piece}"
            lines[-1:] = [longer] if measure(longer) <= width else [lines[-1], piece]
        if len(lines) <= max_lines and all(measure(line) <= width for line in lines):
            return lines
    lines[max_lines - 1 :] = [" ".join(lines[max_lines - 1 :])]
    return [fit_text(line, width, measure) for line in lines]


class Reporter(Protocol):
    """An artist or a table that reports what it leaves out."""

    def messages(self) -> list[str]:
        """The texts in the current view."""


class Note(Text):
    """Text below the Axes, right-aligned, about what the picture leaves out.

    Its ``parts`` are texts, and reporters that are asked when it is drawn. It is next to the label of the x axis, or below it
    if both do not fit. It wraps, and is cut where it would take too much of the figure's height.
    """

    def __init__(self, ax: Axes, parts: Iterable[str | Reporter], *, size: float, color: str) -> None:
        style: dict[str, Any] = {"ha": "right", "va": "bottom", "multialignment": "right", "linespacing": 1.25}
        super().__init__(1.0, 0.0, "", fontsize=size, color=color, parse_math=False, **style)
        self.parts = list(parts)
        self.set_figure(ax.figure)
        self.axes = ax
        ax.add_artist(self)
        self.set(clip_on=False, transform=IdentityTransform())

    def messages(self) -> list[str]:
        """The texts in the current view."""
        return [text for part in self.parts for text in ([part] if isinstance(part, str) else part.messages())]

    def refit(self, renderer: RendererBase) -> None:
        """Update the text and its position."""
        axes: Any = self.axes
        messages = self.messages()
        self.set_fontfamily(families_of("".join(messages)))
        size: Any = renderer.points_to_pixels(self.get_fontsize())
        width = axes.bbox.x1 - (left_edge(axes, renderer) if len(axes.figure.axes) > 1 else NOTE_MARGIN_EMS * size)
        max_lines = max(int(MAX_NOTE_SHARE * axes.figure.bbox.height / (NOTE_LINE_EMS * size)), 1)
        measure = partial(text_extent, font=self.get_fontproperties(), renderer=renderer)
        self.set_text("\n".join(note_lines(messages, width, max_lines, measure)))
        label, box, extent = axes.xaxis.label.get_window_extent(renderer), axes.bbox, super().get_window_extent(renderer)
        is_below = label.width and box.x1 - extent.width < label.x1 + size
        top = label.y0 - NOTE_GAP_EMS * size if is_below else label.y1
        top = min(top, box.y0 - NOTE_GAP_EMS * size)  # an empty label, on a shared axis, is at the border of the Axes
        self.set_position((box.x1, top - extent.height))

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Any:
        """The box of the text."""
        self.refit(renderer or self.axes.figure._get_renderer())  # type: ignore[union-attr]
        return super().get_window_extent(renderer, dpi)

    def get_tightbbox(self, renderer: Any = None) -> Any:
        """The box of the text, for the layout: matplotlib asks no text for its box that is empty so far."""
        self.refit(renderer or self.axes.figure._get_renderer())  # type: ignore[union-attr]
        return super().get_tightbbox(renderer)

    def draw(self, renderer: RendererBase) -> None:
        """Draw the text."""
        self.refit(renderer)
        super().draw(renderer)
