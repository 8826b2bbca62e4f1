"""Step labels: the longest bars of a path, each with its agent, its label and its duration, in place.

A label is inside its bar if it fits, over it if only the height is too small, else beside it, pointing at it, where it covers
no other bar of the path, no folded gap and no other label, and preferably no line. The longest bars choose first. So labels
never overlap, in small figures and in every zoom; where there is no room, there is no label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.plot.artists.bars import BAR_HEIGHT_SHARE, Bars
from tokenvis.plot.artists.style import ThemeColors, font_sizes
from tokenvis.plot.artists.text import LABEL_BOX_POINTS, FittedTexts, cut_middle, drawable, fit_text, text_color_on
from tokenvis.spans.integers import Float64Array, Int64Array, Mask

MAX_CONSIDERED, MAX_CONSIDERED_OUTSIDE = 200, 40  # bars in view, the longest, for labels inside and outside
MAX_OUTSIDE_PER_INCH = 1.0  # labels over and beside their bars, per inch of width
MIN_OUTSIDE_SHARE = 0.002  # of the time of all bars: shorter bars have no label outside
POINTERS = "\N{BLACK LEFT-POINTING SMALL TRIANGLE} {}", "{} \N{BLACK RIGHT-POINTING SMALL TRIANGLE}"
MAX_NAME_LETTERS, MAX_LABEL_LETTERS = 24, 40
PADDING_EMS = 0.35  # between the border of a bar and its label
HEIGHT_EMS = 1.35  # of a label, with the space to the next
OUTSIDE_OPACITY = 0.8  # of the box behind a label that is not inside its bar


Forms: TypeAlias = Callable[[float, Callable[[str], float]], list[str]]


@dataclass(frozen=True)
class StepText:
    """The parts of a label: whose bar it is, what it does (or ""), and how long."""

    name: str
    label: str
    duration: str

    @classmethod
    def of(cls, name: str, label: str, duration: str) -> "StepText":
        """The parts, cut to lengths that can be read. Without a name, or with the same name, the label stands alone."""
        if label and name in ("", label):
            return cls(drawable(label, MAX_LABEL_LETTERS), "", duration)
        name = drawable(name)
        name = cut_middle(name, MAX_NAME_LETTERS) if len(name) > MAX_NAME_LETTERS else name
        return cls(name, drawable(label, MAX_LABEL_LETTERS), duration)

    def with_duration(self, width: float, measure: Callable[[str], float]) -> list[str]:
        """The forms with a duration that fit into a width, the longest first: with the label, cut if necessary, and without."""
        before, after = f"{self.name} · ", f" · {self.duration}"
        label = fit_text(self.label, width - measure(before + after[1:]), measure) if self.label else ""
        texts = [f"{before}{label}{after}"] if label else []
        return [text for text in (*texts, f"{self.name}{after}") if measure(text) <= width]

    def name_alone(self, width: float, measure: Callable[[str], float]) -> list[str]:
        """The name, if it fits into a width."""
        return [self.name] if measure(self.name) <= width else []


class StepPlace(NamedTuple):
    """A text, the left and the vertical middle of it, and its width, in pixels; and whether it is inside its bar."""

    text: str
    x: float
    y: float
    width: float
    is_inside: bool

    def box(self, em: float) -> Float64Array:
        """Left, lower, right and upper end."""
        half = HEIGHT_EMS / 2 * em
        return np.array([self.x, self.y - half, self.x + self.width, self.y + half])

    def overlaps(self, em: float, *others: Any) -> bool:
        """Whether the text overlaps one of some boxes: left, lower, right and upper end of each."""
        x0, y0, x1, y1 = self.box(em)
        return any(
            ((boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)).any() for boxes in others
        )


class Room:
    """The room for labels in a view: the boxes of the bars, of folded gaps and of the labels so far, in pixels."""

    def __init__(
        self, bars: Float64Array, in_view: Mask, folds: Float64Array, view: Bbox, renderer: RendererBase, labels: FittedTexts
    ) -> None:
        """Measure texts as ``labels`` does; ``bars`` are the boxes of all bars, in order of time."""
        self.bars, self.in_view, self.folds, self.view = bars, in_view, folds, view
        self.lines = line_boxes(bars)
        self.labels: Any = np.empty((0, 4))
        self.em: Any = renderer.points_to_pixels(labels.size)
        self.measure = partial(labels.measure, renderer=renderer)

    def take(self, row: int, step: StepText, *, outside: bool) -> StepPlace | None:
        """The best free place for the label of a bar, which is then taken; if ``outside``, also over the bar and beside it."""
        others = np.concatenate([self.bars[self.in_view & (np.arange(len(self.bars)) != row)], self.folds]) if outside else None
        for forms in (step.with_duration, step.name_alone):
            places: list[tuple[StepPlace, tuple[Any, ...]]] = [(place, ()) for place in self.inside(row, forms)]
            if others is not None:
                beside = self.outside(row, forms)
                places += [(place, obstacles) for obstacles in ((others, self.lines), (others,)) for place in beside]
            for place, obstacles in places:
                if not place.overlaps(self.em, self.labels, *obstacles):
                    self.labels = np.vstack([self.labels, place.box(self.em)])
                    return place
        return None

    def inside(self, row: int, forms: Forms) -> list[StepPlace]:
        """Where a text fits into a bar."""
        left, lower, right, upper = widest_part(self.bars[row], self.folds)
        padding = PADDING_EMS * self.em
        texts = forms(right - left - 2 * padding, self.measure)[:1] if upper - lower > self.em else []
        return [StepPlace(text, left + padding, (lower + upper) / 2, self.measure(text), is_inside=True) for text in texts]

    def outside(self, row: int, forms: Forms) -> list[StepPlace]:
        """Where a text may be over a bar of little height, to the right of the bar, or to the left of it."""
        view, padding, half = self.view, PADDING_EMS * self.em, HEIGHT_EMS / 2 * self.em
        left, lower, right, upper = widest_part(self.bars[row], self.folds)
        y = float(np.clip((lower + upper) / 2, view.y0 + half, view.y1 - half))
        over = forms(right - left - 2 * padding, self.measure)[:1] if upper - lower <= self.em else []
        places = [StepPlace(text, left + padding, y, self.measure(text), is_inside=False) for text in over]
        for text in forms(np.inf, self.measure):
            to_left, to_right = (pointer.format(text) for pointer in POINTERS)
            width = self.measure(to_left)
            places.append(StepPlace(to_left, self.bars[row, 2] + padding, y, width, is_inside=False))
            places.append(StepPlace(to_right, self.bars[row, 0] - padding - width, y, width, is_inside=False))
        return [place for place in places if view.x0 <= place.x and place.x + place.width <= view.x1]


class StepLabels(FittedTexts):
    """The labels of the longest bars in view.

    Parameters
    ----------
    ax
        The Axes of the bars.
    bars
        The bars of the path, in order of time.
    rows
        Those of the bars that may have a label.
    texts
        A function that returns the parts of the labels of some bars.
    fills
        A function that returns the colour of some bars, and whether each has a texture.
    theme
        The colours of the picture.
    """

    def __init__(
        self,
        ax: Axes,
        bars: Bars,
        rows: Int64Array,
        texts: Callable[[Int64Array], list[StepText]],
        fills: Callable[[Int64Array], list[tuple[str, bool]]],
        theme: ThemeColors,
    ) -> None:
        super().__init__(size=font_sizes(ax).bar, zorder=4)
        self.bars, self.texts_of, self.fills_of, self.theme = bars, texts, fills, theme
        duration = bars.end[rows].astype(float) - bars.start[rows]
        order = np.argsort(-duration, kind="stable")
        self.by_length, self.is_long = rows[order], (duration >= MIN_OUTSIDE_SHARE * duration.sum())[order]

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The labels in the current view."""
        bars, in_view = self.bar_boxes()
        room = Room(bars, in_view, self.fold_boxes(), self.axes.bbox, renderer, self)
        n_outside = max(round(self.axes.bbox.width / self.axes.figure.dpi * MAX_OUTSIDE_PER_INCH), 2)
        considered = np.flatnonzero(in_view[self.by_length])[:MAX_CONSIDERED]
        rows, is_long = self.by_length[considered], self.is_long[considered]
        is_long[MAX_CONSIDERED_OUTSIDE:] = False
        labels = []
        for row, step, fill, long in zip(
            rows.tolist(), self.texts_of(rows), self.fills_of(rows), is_long.tolist(), strict=True
        ):
            place = room.take(row, step, outside=long and n_outside > 0)
            if place:
                labels.append(self.label(place, *fill))
                n_outside -= not place.is_inside
        return labels

    def bar_boxes(self) -> tuple[Float64Array, Mask]:
        """Left, lower, right and upper end of each bar, as far as it is in view, in pixels; and which bars are in view."""
        x0, x1 = self.bars.x_ends()
        low, high = sorted(self.axes.get_xlim())
        rows, row, middle = self.bars.placement.rows, self.bars.placement.row, self.bars.placement.middle
        half = rows["height"].to_numpy()[row] * BAR_HEIGHT_SHARE / 2
        corners = [
            self.axes.transData.transform(np.column_stack([x.clip(low, high), y]))
            for x, y in ((x0, middle - half), (x1, middle + half))
        ]
        return np.column_stack([np.minimum(*corners), np.maximum(*corners)]), (x1 > low) & (x0 < high) & (x1 > x0)

    def fold_boxes(self) -> Float64Array:
        """Left, lower, right and upper end of each folded gap, in pixels."""
        folds, box = self.bars.mapping.folds, self.axes.bbox
        x0, x1 = (self.axes.transData.transform(np.column_stack([folds[x]] * 2))[:, 0] for x in ("x0", "x1"))
        lower, upper = np.full(len(folds), box.y0), np.full(len(folds), box.y1)
        return np.column_stack([np.minimum(x0, x1), lower, np.maximum(x0, x1), upper])

    def label(self, place: StepPlace, fill: str, has_texture: bool) -> Text:
        """The text at its place; ``fill`` is the colour of its bar."""
        style: dict[str, Any] = {"va": "center_baseline", "ha": "left", "color": text_color_on(fill)}
        box = {"edgecolor": "none", "pad": LABEL_BOX_POINTS, "facecolor": fill}
        if not place.is_inside:
            style |= {"color": self.theme.text, "bbox": {**box, "facecolor": self.theme.background, "alpha": OUTSIDE_OPACITY}}
        elif has_texture:
            style |= {"bbox": box}
        return self.text_at(place.x, place.y, place.text, **style)


def widest_part(bar: Float64Array, folds: Float64Array) -> tuple[float, float, float, float]:
    """The widest part of a bar that no folded gap covers, the first of several: left, lower, right and upper end."""
    left, lower, right, upper = bar.tolist()
    inside = folds[(folds[:, 2] > left) & (folds[:, 0] < right)]
    edges = [left, *np.clip(inside[:, [0, 2]], left, right).ravel().tolist(), right]
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda part: part[1] - part[0])
    return first, lower, last, upper


def line_boxes(bars: Float64Array) -> Float64Array:
    """The lines from the middle of each bar to that of the next, at its left end, as boxes without a width."""
    x, middle = bars[1:, 0], bars[:, [1, 3]].mean(axis=1)
    return np.column_stack([x, np.minimum(middle[1:], middle[:-1]), x, np.maximum(middle[1:], middle[:-1])])
