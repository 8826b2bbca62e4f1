"""All pictures by name, and a check of their texts for collisions."""

import numpy as np
from matplotlib.figure import Figure

import tokenvis as tv
from tokenvis.plot.artists.text import FittedTexts

HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{",
    "漢字 \N{GRINNING FACE}",
    "x" * 10_000,
    "two\nlines",
    "\x00",
    "_hidden",
    " ",
]

PICTURES = {
    "timeline": tv.plot_timeline,
    "storyline": tv.plot_storyline,
    "storyline in bands": lambda spans, ax=None: tv.plot_storyline(spans, locations="bands", absent="break", ax=ax),
    "concurrency": tv.plot_concurrency,
    "concurrency by agent": lambda spans, ax=None: tv.plot_concurrency(spans, by="agent_id", ax=ax),
    "occupancy": tv.plot_occupancy,
    "colocation": tv.plot_colocation,
    "transitions": tv.plot_transitions,
    "handoffs": tv.plot_handoffs,
    "waits": tv.plot_waits,
    "critical path": tv.plot_critical_path,
    "agent tree": tv.plot_agent_tree,
    "runs": tv.plot_runs,
    "usage": tv.plot_usage,
    "usage by agent": lambda spans, ax=None: tv.plot_usage(spans, by="agent_id", ax=ax),
    "compare many": lambda spans, ax=None: tv.plot_compare(
        spans, spans.iloc[::2].assign(trace_id="other"), by="agent_id", ax=ax
    ),
    "compare": lambda spans, ax=None: tv.plot_compare(spans, spans.iloc[::2].assign(trace_id="other"), ax=ax),
}

FIGURES = {name: lambda spans, draw=draw: draw(spans).figure for name, draw in PICTURES.items()}
FIGURES |= {"overview": tv.plot_overview}  # which creates its own figure


def boxes_of(figure: Figure):
    """Each text of a figure as it is drawn, with its box in pixels."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = []
    for ax in figure.axes:
        texts += [ax.xaxis.label, ax.yaxis.label, *ax.texts]
        for axis, ends in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            labels = axis.get_ticklabels()  # none if the axis is shared, and the labels are at another picture
            ticks = zip(axis.get_ticklocs(), labels, strict=True) if labels else []
            texts += [label for position, label in ticks if min(ends) <= position <= max(ends)]  # matplotlib draws no others
        texts += [ax._left_title, ax._right_title, *(ax.get_legend().get_texts() if ax.get_legend() else [])]
        texts += [text for artist in ax.get_children() if isinstance(artist, FittedTexts) for text in artist.texts(renderer)]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text() and text.get_visible()]


def collisions(figure: Figure):
    """Texts that overlap by more than a pixel, and texts that leave the figure."""
    texts, boxes = zip(*boxes_of(figure), strict=True)
    x0, y0, x1, y1 = np.array([box.extents for box in boxes]).T
    width, height = figure.canvas.get_width_height()
    found = [texts[row] for row in np.flatnonzero((x0 < -1) | (y0 < -1) | (x1 > width + 1) | (y1 > height + 1))]
    shared_width, shared_height = (
        np.minimum.outer(end, end) - np.maximum.outer(start, start) for start, end in ((x0, x1), (y0, y1))
    )
    overlapping = np.argwhere(np.tril((shared_width > 1) & (shared_height > 1), k=-1))
    return found + [(texts[row], texts[other]) for row, other in overlapping]
