"""Requests: the model call that asked for each tool call, by the id of the call in the model's answer.

Spans of a trace may be read in any order, so requests are resolved once all are read. An id counts within its trace. If several
answers have it, since some contain the whole conversation, the call belongs to the last of those model calls to start before
it. A span inside a span with the same id is a part of that call.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.spans.encoding import with_first_key
from tokenvis.spans.integers import Int64Array, Mask, rank_in, sort_order
from tokenvis.tree.relations import NO_ROW, nearest_marked


def requesting_spans(spans: pa.Table, answers: pa.Table, parent: Int64Array) -> tuple[Int64Array, list[str]]:
    """The rows of calls that a model call asked for, in order, and the id of that model call's span for each.

    ``spans`` has the ``call`` that each row made, and its ``id``, ``trace`` and ``start_time``; ``answers`` has the ``row`` of
    a model call and a ``call`` that its answer asks for; ``parent`` is the row of each row's parent, or -1.
    """
    made = spans["call"].is_valid().to_numpy()
    if not made.any() or not len(answers):
        return np.empty(0, dtype=np.int64), []
    texts = pa.concat_arrays([spans["call"].combine_chunks(), answers["call"].combine_chunks()])
    codes = pc.fill_null(texts.dictionary_encode().indices, NO_ROW).to_numpy().astype(np.int64)
    call, asked_for = codes[: len(spans)], codes[len(spans) :]
    rows = np.flatnonzero(made & ~parts_of_calls(call, parent))
    trace, start = spans["trace"].to_numpy().astype(np.int64), spans["start_time"].to_numpy()
    model = answers["row"].to_numpy()
    n_calls = int(codes.max()) + 1
    group = trace[model] * n_calls + asked_for
    order = sort_order(group, start[model])
    group, model = group[order], model[order]
    wanted = trace[rows] * n_calls + call[rows]
    position = rank_in(group, start[model], wanted, start[rows], side="right") - 1
    found = (position >= 0) & (group[position] == wanted)
    return rows[found], spans["id"].take(pa.array(model[position[found]])).to_pylist()


def parts_of_calls(call: Int64Array, parent: Int64Array) -> Mask:
    """Mark the rows whose nearest ancestor that made a call made the same one; ``call`` is the code of each row's, or -1."""
    made = call != NO_ROW
    if np.bincount(call[made], minlength=1).max() == 1:
        return np.zeros(len(call), dtype=bool)
    above = np.append(nearest_marked(parent, made), NO_ROW)[parent]
    marked: Mask = made & (above != NO_ROW) & (call[above] == call)
    return marked


def with_requests(data: Any, first: int, rows: Int64Array, asked_by: list[str]) -> Any:
    """The payloads of consecutive rows from ``first``, with ``requested_by`` in those of the given rows, which are sorted."""
    start, stop = np.searchsorted(rows, [first, first + len(data)]).tolist()
    if start == stop:
        return data
    data = data.copy()
    for row, span in zip((rows[start:stop] - first).tolist(), asked_by[start:stop], strict=True):
        data[row] = with_first_key(data[row], "requested_by", span)
    return data
