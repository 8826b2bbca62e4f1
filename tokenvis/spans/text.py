"""Text: texts that UTF-8 can encode. JSON and Python allow lone surrogates; UTF-8 and columns of texts do not."""

import re
from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from tokenvis.spans.columns import text_array_of

SURROGATE = re.compile("[\ud800-\udfff]")

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def text_column(values: Iterable[str | None], index: pd.Index) -> pd.Series:
    """Texts as ``str``, each lone surrogate as U+FFFD; None is missing."""
    texts = list(values)
    try:
        return pd.Series(text_array_of(pa.array(texts, pa.large_string())), index=index)
    except UnicodeEncodeError:
        valid = [None if text is None else without_surrogates(text) for text in texts]
        return pd.Series(valid, index=index, dtype="str")


def encodable(text: str) -> bool:
    """Whether a text can be encoded as UTF-8: a lone surrogate cannot."""
    return text.isascii() or SURROGATE.search(text) is None


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate."""
    return SURROGATE.sub(REPLACEMENT, text)
