"""Text: what a column of texts, and UTF-8, can hold: no half of a surrogate pair, which JSON and Python allow."""

import re
from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from tokenvis.spans.columns import texts_of

SURROGATE = re.compile("[\ud800-\udfff]")

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def text_column(values: Iterable[str | None], index: pd.Index) -> pd.Series:
    """Texts as ``str``, each half of a surrogate pair as U+FFFD; None is missing."""
    every = list(values)
    try:
        return pd.Series(texts_of(pa.array(every, pa.large_string())), index=index)
    except UnicodeEncodeError:
        whole = [None if value is None else without_surrogates(value) for value in every]
        return pd.Series(whole, index=index, dtype="str")


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: half of a surrogate pair cannot."""
    return text.isascii() or SURROGATE.search(text) is None


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    return SURROGATE.sub(REPLACEMENT, text)
