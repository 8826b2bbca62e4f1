"""Outcomes: how long each run took, what it cost, and how much of it failed."""

from typing import Literal, TypeAlias, get_args

import pandas as pd

from tokenvis.analysis.summary import summary
from tokenvis.analysis.usage import usage
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices

Outcome: TypeAlias = Literal["time", "cost", "tokens", "errors"]

RUN_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def outcomes_of(spans: pd.DataFrame, *, prices: Prices | None = None) -> pd.DataFrame:
    """A row for each run, ordered by trace_id.

    ``trace_id`` (category); ``wall_us`` (int64, µs), ``n_errors`` (int64): as in `summary`; ``tokens`` (Int64): input and
    output; ``cost`` (Float64); both missing if not known; ``n_silent, n_unpriced`` (int64): calls without tokens, or without
    a cost, as in `usage`.
    """
    spans = recorded_spans(spans)
    sizes, figures = summary(spans), usage(spans, by="trace_id", prices=prices)
    tokens = figures[["input_tokens", "output_tokens"]].sum(axis=1, min_count=1).astype("Int64")
    return sizes[["trace_id", "wall_us", "n_errors"]].assign(
        tokens=tokens, cost=figures["cost"], n_silent=figures["n_silent"], n_unpriced=figures["n_unpriced"]
    )
