"""Text lists: a key of the payload with lists of texts, such as ``links``, as one column of texts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.spans.buffers import texts_at
from tokenvis.spans.columns import text_array_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.json_columns import lists_in_texts
from tokenvis.spans.payload import FIRST_PAYLOADS, chunks_of_rows, rows_containing, stored_texts


def text_lists_in(spans: pd.DataFrame, key: str) -> tuple[Int64Array, pd.Series] | None:
    """The row of each text in the lists under a top-level key, and the texts, read by Arrow.

    None if there are too few payloads to gain by it, or they have to be parsed one by one, or a value is not a list of texts.
    """
    rows = rows_containing(spans, f'"{key}"')
    texts = stored_texts(spans["data"]) if len(rows) > FIRST_PAYLOADS else None
    if texts is None:
        return None
    row_parts, text_parts = [], []
    for chunk in chunks_of_rows(spans, rows):
        lists = lists_in_texts(texts_at(texts, chunk), key)
        if lists is None:
            return None
        row_parts.append(np.repeat(chunk, pc.list_value_length(lists).fill_null(0).to_numpy()))
        text_parts.append(pc.list_flatten(lists))
    return np.concatenate(row_parts), pd.Series(text_array_of(pa.concat_arrays(text_parts)))
