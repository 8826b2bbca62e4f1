"""Parents: ``parent_id`` of each payload as a column, without parsing most of them."""

import re
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.spans.columns import texts_of
from tokenvis.spans.payload import parse
from tokenvis.spans.text import text_column

ENDS_WITH_PARENT = r'[{,]"parent_id":"(?P<parent>[^"\\]*)"}$'


def parents_of(data: pd.Series) -> pd.Series | None:
    """``parent_id`` of each payload (str, may be missing), of a column of texts; None where none has one.

    Where the text ends with it, as tokenvis writes it, it is taken from there: what stands before the last brace of an object
    is a member of that object, and the last of its name. Other texts are parsed, if they mention the key at all. What is no
    JSON object names no parent: `expand_data` says which.
    """
    texts = pa.array(data.array)
    if not mentions(texts, b'"parent_id"'):
        return None
    parents = pc.struct_field(pc.extract_regex(texts, ENDS_WITH_PARENT), "parent")
    rows = np.flatnonzero(parents.is_null().to_numpy(zero_copy_only=False))
    others = texts.take(pa.array(rows)) if len(rows) < len(texts) else texts
    mention = pc.match_substring_regex(others, '"parent_id"').fill_null(False).to_numpy(zero_copy_only=False)
    rows = rows[mention]
    column = pd.Series(texts_of(parents), index=data.index)
    if len(rows):
        column.iloc[rows] = text_column(map(parent_in, data.iloc[rows].tolist()), data.index[rows])
    return column if column.notna().any() else None


def mentions(texts: pa.Array | pa.ChunkedArray, word: bytes) -> bool:
    """Whether a word stands anywhere in the letters of an array, maybe in a text that a slice of it leaves out."""
    letters = [part.buffers()[2] for part in (texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts])]
    return any(re.search(re.escape(word), part) for part in letters if part is not None)


def parent_in(value: Any) -> str | None:
    """The parent that a payload names, where it does."""
    with suppress(ValueError, RecursionError):
        parent = parse(value).get("parent_id")
        return parent if isinstance(parent, str) else None
    return None
