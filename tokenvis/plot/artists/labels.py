"""Labels: the texts in the bars of spans."""

import pandas as pd

from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_columns
from tokenvis.spans.integers import Int64Array


def bar_label_texts(spans: pd.DataFrame, fallback_column: str, axis: TimeAxis, rows: Int64Array) -> pd.DataFrame:
    """The texts for the bars of some spans: ``label``, by default from ``fallback_column``, and ``suffix``, the duration."""
    spans = spans.iloc[rows]
    label = spans[fallback_column].astype("str")
    given_label = field_columns(spans, ["label"])["label"].astype("object")
    label = given_label.where(given_label.notna(), label)
    start, end = times_of(spans)
    durations = [axis.duration(b - a) for a, b in zip(start.tolist(), end.tolist(), strict=True)]  # int64 could overflow
    return pd.DataFrame({"label": label.astype(object).to_numpy(), "suffix": [f" · {text}" for text in durations]})
