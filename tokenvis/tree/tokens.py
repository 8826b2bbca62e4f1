"""Tokens: the token counts of each span, counted once.

Many sources repeat the tokens of the calls below on an agent's span, as a sum. So, key by key, a span counts only if none of
its descendants has that key. Names are from OpenTelemetry's conventions for generative AI: input tokens include cached
tokens, output tokens include reasoning tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.fields import field_numbers
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.tree.relations import have_descendant

TOKEN_KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
COST = "gen_ai.usage.cost"


@dataclass(frozen=True)
class TokenCounts:
    """One key: its ``values`` (0 if a span has none), the rows that have one (``present``), and those that are ``counted``."""

    values: Int64Array
    present: Mask
    counted: Mask


def tokens_of(spans: pd.DataFrame, parent: Int64Array, names: Iterable[str] = TOKEN_KEYS) -> dict[str, TokenCounts]:
    """Token counts of each span, by the names in `TOKEN_KEYS`; ``parent`` is the row of each span's parent, or -1."""
    keys = {name: TOKEN_KEYS[name] for name in names}
    columns = field_numbers(spans, keys.values())
    return {name: counted_once(integer_counts(columns.pop(key), key, spans), parent) for name, key in keys.items()}


def counted_once(column: pd.Series, parent: Int64Array) -> TokenCounts:
    """A key's values, and which of them are counted."""
    present: Mask = column.notna().to_numpy()
    return TokenCounts(column.fillna(0).to_numpy(dtype=np.int64), present, present & ~have_descendant(parent, present))


def integer_counts(column: pd.Series, key: str, spans: pd.DataFrame) -> pd.Series:
    """A column of counts as Int64; `BadSpan` if one is not a 64-bit integer."""
    if column.dtype == "Int64":
        return column
    wrong = ((column % 1 != 0) | (column.abs() >= 2.0**63)).fillna(False).to_numpy(dtype=bool)
    if wrong.any():
        row = int(wrong.argmax())
        raise BadSpan(f"{key} of span {quoted(spans['id'].iloc[row])} is {column.iloc[row]}, not an integer.")
    return column.astype("Int64")
