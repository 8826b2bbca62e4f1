"""The still: a timeline as a PNG, for places that show no interactive content."""

import io
from typing import Any

import pandas as pd

from tokenvis.plot.artists.figure import hidden_figures
from tokenvis.plot.timeline import plot_timeline
from tokenvis.spans.typed_columns import expand_data


def timeline_png(spans: pd.DataFrame, *, by: str, hue: str, **options: Any) -> bytes:
    """The timeline of `plot_timeline` as a PNG; ``by`` and ``hue`` may be keys of ``data``."""
    keys = [key for key in dict.fromkeys([by, hue]) if key not in spans.columns]
    with hidden_figures():
        figure: Any = plot_timeline(expand_data(spans, keys) if keys else spans, by=by, hue=hue, **options).figure
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
