"""Labels: what stands in the bars of spans."""

import pandas as pd

from tokenvis.plot.artists.time_axis import TimeAxis
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_columns


def labels_of(spans: pd.DataFrame, other: str, axis: TimeAxis) -> pd.DataFrame:
    """What stands in the bars of these spans: their ``label``, else of another column, and ``more``, their duration."""
    label = spans[other].astype("str")
    known = field_columns(spans, ["label"])["label"].astype("object")
    label = known.where(known.notna(), label)
    start, end = times_of(spans)
    durations = [axis.duration(b - a) for a, b in zip(start.tolist(), end.tolist(), strict=True)]  # int64 could overflow
    return pd.DataFrame({"label": label.astype(object).to_numpy(), "more": [f" · {text}" for text in durations]})
